/*
 * klaviyo_attribution: the campaigns that a visitor came by.
 *
 * The cookie holds two of them, the first and the last, as the arguments of
 * the links that they came with:
 *
 *     utm_source=a&utm_medium=b|gclid=c
 *
 * It is the visitor's to write: what is read is bounded and checked.  What is
 * written is as the link had it, but for the bytes that may not stand in a
 * cookie and the bar, which are percent-encoded.
 */


#include "ngx_http_klaviyo_attribution.h"
#include "klaviyo_decode.h"
#include "ngx_http_klaviyo_cookie.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_own_cookie.h"
#include "ngx_http_klaviyo_skip.h"
#include "ngx_http_klaviyo_url.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_ATTRIBUTION_ARGS   10    /* of one campaign         */
#define NGX_HTTP_KLAVIYO_ATTRIBUTION_NAME   32    /* bytes                   */
#define NGX_HTTP_KLAVIYO_ATTRIBUTION_VALUE  500
#define NGX_HTTP_KLAVIYO_ATTRIBUTION_LEN    1500  /* bytes of a campaign     */


typedef struct {
    ngx_str_t   first;
    ngx_str_t   last;
    ngx_uint_t  left_out;         /* arguments, or a cookie that is none     */
    unsigned    came:1;           /* by a campaign, in this request          */
} ngx_http_klaviyo_campaigns_t;


static ngx_int_t ngx_http_klaviyo_attribution_read(ngx_http_request_t *r,
    ngx_str_t *name, ngx_http_klaviyo_campaigns_t *campaigns);
static void ngx_http_klaviyo_attribution_cookie(ngx_http_request_t *r,
    ngx_str_t *name, ngx_http_klaviyo_campaigns_t *campaigns);
static ngx_int_t ngx_http_klaviyo_attribution_came(ngx_http_request_t *r,
    ngx_http_klaviyo_campaigns_t *campaigns, ngx_str_t *campaign);
static u_char *ngx_http_klaviyo_attribution_arg(u_char *dst, u_char *end,
    ngx_http_klaviyo_arg_t *arg);
static ngx_uint_t ngx_http_klaviyo_attribution_is(u_char *p, size_t len);
static ngx_uint_t ngx_http_klaviyo_attribution_plain(u_char ch);
static ngx_int_t ngx_http_klaviyo_attribution_properties(
    ngx_http_request_t *r, const char *prefix, ngx_str_t *campaign,
    ngx_array_t *properties, ngx_http_klaviyo_utm_t *utm, ngx_uint_t *n);
static ngx_int_t ngx_http_klaviyo_attribution_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_attribution_set(ngx_http_request_t *r,
    ngx_http_klaviyo_own_cookie_t *cookie,
    ngx_http_klaviyo_campaigns_t *campaigns);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;


/* klaviyo_attribution [cookie=name] [days=30] | off */

char *
ngx_http_klaviyo_attribution(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_str_t                     *value, name, days;
    ngx_uint_t                     i;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (klcf->attribution != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        klcf->attribution = NULL;
        return NGX_CONF_OK;
    }

    ngx_str_null(&name);
    ngx_str_null(&days);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "cookie=", 7) == 0) {

            if (name.data) {
                goto duplicate;
            }

            name.len = value[i].len - 7;
            name.data = value[i].data + 7;
            continue;
        }

        if (ngx_strncmp(value[i].data, "days=", 5) == 0) {

            if (days.data) {
                goto duplicate;
            }

            days.len = value[i].len - 5;
            days.data = value[i].data + 5;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected \"cookie=\", "
                           "\"days=\", or \"off\" alone", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (name.data == NULL) {
        ngx_str_set(&name, "klaviyo_campaign");
    }

    if (days.data == NULL) {
        ngx_str_set(&days, "30");
    }

    klcf->attribution = ngx_http_klaviyo_own_cookie(cf, &name, &days);
    if (klcf->attribution == NULL) {
        return NGX_CONF_ERROR;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->attribution = 1;

    return NGX_CONF_OK;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       &value[i]);

    return NGX_CONF_ERROR;
}


/* the cookie's campaigns, and that of this request if it came by one */

static ngx_int_t
ngx_http_klaviyo_attribution_read(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_klaviyo_campaigns_t *campaigns)
{
    ngx_str_t  campaign;

    ngx_memzero(campaigns, sizeof(ngx_http_klaviyo_campaigns_t));

    ngx_http_klaviyo_attribution_cookie(r->main, name, campaigns);

    if (ngx_http_klaviyo_attribution_came(r, campaigns, &campaign) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (campaign.len == 0) {
        return NGX_OK;
    }

    campaigns->came = 1;
    campaigns->last = campaign;

    if (campaigns->first.len == 0) {
        campaigns->first = campaign;
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_attribution_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_klaviyo_campaigns_t *campaigns)
{
    u_char     *p, *last, *bar;
    ngx_str_t   cookie;

    if (ngx_http_klaviyo_cookie(r, name, &cookie) != NGX_OK
        || cookie.len == 0)
    {
        return;
    }

    last = cookie.data + cookie.len;

    for (p = cookie.data; p < last; p++) {

        if (!ngx_http_klaviyo_attribution_plain(*p)) {
            break;
        }
    }

    bar = ngx_strlchr(cookie.data, last, '|');

    if (p < last || bar == NULL
        || bar - cookie.data > NGX_HTTP_KLAVIYO_ATTRIBUTION_LEN
        || last - bar - 1 > NGX_HTTP_KLAVIYO_ATTRIBUTION_LEN)
    {
        campaigns->left_out++;
        return;
    }

    campaigns->first.data = cookie.data;
    campaigns->first.len = bar - cookie.data;
    campaigns->last.data = bar + 1;
    campaigns->last.len = last - bar - 1;
}


/* an empty one: the request came by none */

static ngx_int_t
ngx_http_klaviyo_attribution_came(ngx_http_request_t *r,
    ngx_http_klaviyo_campaigns_t *campaigns, ngx_str_t *campaign)
{
    u_char                   *p, *next, *end;
    ngx_uint_t                i, n;
    ngx_http_klaviyo_arg_t   *arg;
    ngx_http_klaviyo_url_t   *url;
    ngx_http_klaviyo_args_t   more, *args;

    ngx_str_null(campaign);

    url = ngx_http_klaviyo_url(r);
    if (url == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    p = NULL;
    end = NULL;

    for (args = &url->args;
         args;
         args = ngx_http_klaviyo_url_more(args, &more))
    {
        for (i = 0; i < args->n; i++) {

            arg = &args->arg[i];

            if (arg->end - arg->equal < 2
                || !ngx_http_klaviyo_attribution_is(arg->start,
                                                    arg->equal - arg->start))
            {
                continue;
            }

            if (p == NULL) {
                p = ngx_pnalloc(r->pool, NGX_HTTP_KLAVIYO_ATTRIBUTION_LEN);
                if (p == NULL) {
                    return NGX_ERROR;
                }

                campaign->data = p;
                end = p + NGX_HTTP_KLAVIYO_ATTRIBUTION_LEN;
            }

            next = (n < NGX_HTTP_KLAVIYO_ATTRIBUTION_ARGS)
                   ? ngx_http_klaviyo_attribution_arg(p, end, arg) : NULL;

            if (next == NULL) {
                campaigns->left_out++;
                continue;
            }

            p = next;
            n++;
        }
    }

    /* without the last `&` */

    if (n) {
        campaign->len = p - campaign->data - 1;
    }

    return NGX_OK;
}


/* the argument with an `&` behind it; NULL: it is too long */

static u_char *
ngx_http_klaviyo_attribution_arg(u_char *dst, u_char *end,
    ngx_http_klaviyo_arg_t *arg)
{
    u_char  *p, *value;

    value = dst + (arg->equal - arg->start) + 1;

    for (p = arg->start; p < arg->end; p++) {

        if (end - dst < 4) {
            return NULL;
        }

        if (ngx_http_klaviyo_attribution_plain(*p) && *p != '|') {
            *dst++ = *p;

        } else {
            dst = ngx_sprintf(dst, "%%%02Xd", *p);
        }
    }

    if (dst - value > NGX_HTTP_KLAVIYO_ATTRIBUTION_VALUE) {
        return NULL;
    }

    *dst++ = '&';

    return dst;
}


/* utm_*, but the one of an identity, and the ids of clicks */

static ngx_uint_t
ngx_http_klaviyo_attribution_is(u_char *p, size_t len)
{
    size_t      i;
    ngx_uint_t  n;

    static ngx_str_t  clicks[] = {
        ngx_string("gclid"), ngx_string("fbclid"), ngx_string("ttclid"),
        ngx_string("msclkid")
    };

    for (n = 0; n < sizeof(clicks) / sizeof(clicks[0]); n++) {

        if (clicks[n].len == len && ngx_memcmp(clicks[n].data, p, len) == 0) {
            return 1;
        }
    }

    if (len <= sizeof("utm_") - 1
        || len > NGX_HTTP_KLAVIYO_ATTRIBUTION_NAME
        || ngx_memcmp(p, "utm_", sizeof("utm_") - 1) != 0
        || (len == sizeof("utm_email") - 1
            && ngx_memcmp(p, "utm_email", len) == 0))
    {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if ((p[i] < 'a' || p[i] > 'z') && (p[i] < '0' || p[i] > '9')
            && p[i] != '_')
        {
            return 0;
        }
    }

    return 1;
}


/* 1: it may stand in a cookie, with nothing around it */

static ngx_uint_t
ngx_http_klaviyo_attribution_plain(u_char ch)
{
    return ch > ' ' && ch < 0x7f && ch != '"' && ch != ',' && ch != ';'
           && ch != '\\';
}


ngx_int_t
ngx_http_klaviyo_attribution_add(ngx_http_request_t *r, klaviyo_ring_t *ring,
    ngx_http_klaviyo_template_t *template, ngx_http_klaviyo_utm_t **utm,
    ngx_uint_t *n)
{
    ngx_http_klaviyo_utm_t        *all;
    ngx_http_klaviyo_campaigns_t   campaigns;

    if (ngx_http_klaviyo_attribution_read(r, &template->attribution->name,
                                          &campaigns)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (campaigns.left_out) {
        klaviyo_ring_count(ring, KLAVIYO_COUNT_VALUE_CAMPAIGN,
                           campaigns.left_out);
    }

    if (campaigns.first.len == 0 && campaigns.last.len == 0) {
        return NGX_OK;
    }

    all = ngx_palloc(r->pool, (*n + 2 * NGX_HTTP_KLAVIYO_ATTRIBUTION_ARGS)
                              * sizeof(ngx_http_klaviyo_utm_t));
    if (all == NULL) {
        return NGX_ERROR;
    }

    if (*n) {
        ngx_memcpy(all, *utm, *n * sizeof(ngx_http_klaviyo_utm_t));
    }

    *utm = all;

    if (ngx_http_klaviyo_attribution_properties(r, "first_", &campaigns.first,
                                                template->properties, all, n)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_attribution_properties(r, "last_",
                                                   &campaigns.last,
                                                   template->properties, all,
                                                   n);
}


static ngx_int_t
ngx_http_klaviyo_attribution_properties(ngx_http_request_t *r,
    const char *prefix, ngx_str_t *campaign, ngx_array_t *properties,
    ngx_http_klaviyo_utm_t *utm, ngx_uint_t *n)
{
    size_t       i, len;
    u_char      *p, *end, *equal, *last;
    ngx_str_t    name, value;
    ngx_uint_t   k, first;

    len = ngx_strlen(prefix);
    last = campaign->data + campaign->len;
    first = *n;

    for (p = campaign->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        equal = ngx_strlchr(p, end, '=');

        if (equal == NULL || end - equal < 2
            || end - equal > NGX_HTTP_KLAVIYO_ATTRIBUTION_VALUE
            || !ngx_http_klaviyo_attribution_is(p, equal - p))
        {
            continue;
        }

        name.len = len + (equal - p);
        name.data = ngx_pnalloc(r->pool, name.len);

        value.data = ngx_pnalloc(r->pool, end - equal);

        if (name.data == NULL || value.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ngx_cpymem(name.data, prefix, len), p, equal - p);

        /* blanks before what is encoded becomes a `+` */

        for (i = 0; i < (size_t) (end - equal - 1); i++) {
            value.data[i] = equal[1 + i] == '+' ? ' ' : equal[1 + i];
        }

        value.len = klaviyo_decode_percent(value.data, value.data, i);

        if (ngx_http_klaviyo_field_find(properties, &name)) {
            continue;
        }

        for (k = first; k < *n; k++) {

            if (utm[k].name.len == name.len
                && ngx_memcmp(utm[k].name.data, name.data, name.len) == 0)
            {
                break;
            }
        }

        if (k < *n) {
            continue;
        }

        utm[k].name = name;
        utm[k].value = value;

        if (++*n == first + NGX_HTTP_KLAVIYO_ATTRIBUTION_ARGS) {
            break;
        }
    }

    return NGX_OK;
}


void
ngx_http_klaviyo_attribution_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->attribution) {
        ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_klaviyo_attribution_filter;
    }
}


static ngx_int_t
ngx_http_klaviyo_attribution_filter(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t        *ctx;
    ngx_http_klaviyo_loc_conf_t   *klcf;
    ngx_http_klaviyo_campaigns_t   campaigns;

    klcf = ngx_http_klaviyo_conf(r);

    if (klcf->attribution == NULL
        || r != r->main
        || ngx_strlchr(r->unparsed_uri.data,
                       r->unparsed_uri.data + r->unparsed_uri.len, '?')
           == NULL)
    {
        return ngx_http_klaviyo_next_header_filter(r);
    }

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL
        || ngx_http_klaviyo_attribution_read(r, &klcf->attribution->name,
                                             &campaigns)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (campaigns.came
        && !ngx_http_klaviyo_skipping(r, ctx, 0)
        && ngx_http_klaviyo_attribution_set(r, klcf->attribution, &campaigns)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


static ngx_int_t
ngx_http_klaviyo_attribution_set(ngx_http_request_t *r,
    ngx_http_klaviyo_own_cookie_t *cookie,
    ngx_http_klaviyo_campaigns_t *campaigns)
{
    u_char     *p;
    ngx_str_t   value;

    value.len = campaigns->first.len + 1 + campaigns->last.len;

    value.data = ngx_pnalloc(r->pool, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, campaigns->first.data, campaigns->first.len);
    *p++ = '|';
    ngx_memcpy(p, campaigns->last.data, campaigns->last.len);

    return ngx_http_klaviyo_own_cookie_set(r, cookie, &value);
}
