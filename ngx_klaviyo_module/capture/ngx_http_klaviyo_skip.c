/*
 * klaviyo_skip and klaviyo_consent: requests that give no event, whatever
 * the location tracks.
 *
 * The headers are gone through once, and only where something is tracked.
 * Nothing is allocated.
 */


#include "ngx_http_klaviyo_skip.h"
#include "klaviyo_bots.h"
#include "ngx_http_klaviyo_cookie.h"
#include "ngx_http_klaviyo_location.h"
#include "account/ngx_http_klaviyo_compile.h"


#define NGX_HTTP_KLAVIYO_SKIP_NAME     (sizeof("next-router-prefetch") - 1)

/* found beside what klaviyo_skip names */
#define NGX_HTTP_KLAVIYO_SKIP_CONSENT  0x1000
#define NGX_HTTP_KLAVIYO_SKIP_MEMORY   0x2000

/* what tells that a whole page is prefetched */
#define NGX_HTTP_KLAVIYO_SKIP_EARLY    0x4000
#define NGX_HTTP_KLAVIYO_SKIP_PAGE     0x8000
#define NGX_HTTP_KLAVIYO_SKIP_EARLY_PAGE                                     \
    (NGX_HTTP_KLAVIYO_SKIP_EARLY|NGX_HTTP_KLAVIYO_SKIP_PAGE)

/* and that a script asks */
#define NGX_HTTP_KLAVIYO_SKIP_SCRIPT   0x10000


typedef ngx_uint_t (*ngx_http_klaviyo_skip_pt)(ngx_str_t *value);


/* in the order in which a request is asked, should several hold */

typedef struct {
    ngx_str_t                 name;
    ngx_uint_t                mask;
    klaviyo_counter_e         reason;
} ngx_http_klaviyo_skip_word_t;


typedef struct {
    ngx_str_t                 name;        /* lower case                     */
    ngx_uint_t                mask;
    ngx_http_klaviyo_skip_pt  match;
} ngx_http_klaviyo_skip_header_t;


static void ngx_http_klaviyo_skip_unknown(ngx_conf_t *cf, ngx_str_t *word);
static ngx_uint_t ngx_http_klaviyo_skip_judge(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_loc_conf_t *klcf);
static ngx_uint_t ngx_http_klaviyo_skip_headers(ngx_http_request_t *r,
    ngx_uint_t wanted);
static ngx_uint_t ngx_http_klaviyo_skip_read(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_skip_is_prefetch(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_is_page(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_is_part(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_is_empty(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_is_one(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_token(ngx_str_t *value,
    const char *token, size_t len);
static ngx_uint_t ngx_http_klaviyo_skip_consent(ngx_http_request_t *r,
    ngx_http_complex_value_t *consent);
static ngx_uint_t ngx_http_klaviyo_skip_is_no(ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_skip_foresee(ngx_http_request_t *r,
    ngx_http_complex_value_t *consent);


static ngx_conf_enum_t  ngx_http_klaviyo_prefetch_values[] = {
    { ngx_string("skip"), NGX_HTTP_KLAVIYO_PREFETCH_SKIP },
    { ngx_string("count"), NGX_HTTP_KLAVIYO_PREFETCH_COUNT },
    { ngx_string("refuse"), NGX_HTTP_KLAVIYO_PREFETCH_REFUSE },
    { ngx_null_string, 0 }
};


static ngx_http_klaviyo_skip_word_t  ngx_http_klaviyo_skip_words[] = {

    { ngx_string("head"), NGX_HTTP_KLAVIYO_SKIP_HEAD,
      KLAVIYO_COUNT_SKIPPED_HEAD },

    { ngx_string("prefetch"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      KLAVIYO_COUNT_SKIPPED_PREFETCH },

    { ngx_string("subresource"), NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE,
      KLAVIYO_COUNT_SKIPPED_SUBRESOURCE },

    { ngx_string("bot"), NGX_HTTP_KLAVIYO_SKIP_BOT,
      KLAVIYO_COUNT_SKIPPED_BOT },

    { ngx_string("kla_off"), NGX_HTTP_KLAVIYO_SKIP_KLA_OFF,
      KLAVIYO_COUNT_SKIPPED_KLA_OFF },

    { ngx_string("gpc"), NGX_HTTP_KLAVIYO_SKIP_GPC,
      KLAVIYO_COUNT_SKIPPED_GPC },

    { ngx_string("dnt"), NGX_HTTP_KLAVIYO_SKIP_DNT,
      KLAVIYO_COUNT_SKIPPED_DNT },

    /* never found here: such an event waits */

    { ngx_string("scanner"), NGX_HTTP_KLAVIYO_SKIP_SCANNER,
      KLAVIYO_COUNT_SKIPPED_SCANNER },

    /* no words, but reasons */

    { ngx_null_string, NGX_HTTP_KLAVIYO_SKIP_CONSENT,
      KLAVIYO_COUNT_SKIPPED_CONSENT },

    { ngx_null_string, NGX_HTTP_KLAVIYO_SKIP_MEMORY,
      KLAVIYO_COUNT_SKIPPED_MEMORY },

    { ngx_null_string, 0, 0 }
};


/* those of one length together */

static ngx_http_klaviyo_skip_header_t  ngx_http_klaviyo_skip_known[] = {

    { ngx_string("dnt"), NGX_HTTP_KLAVIYO_SKIP_DNT,
      ngx_http_klaviyo_skip_is_one },

    { ngx_string("x-moz"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      ngx_http_klaviyo_skip_is_prefetch },

    { ngx_string("purpose"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      ngx_http_klaviyo_skip_is_prefetch },

    { ngx_string("sec-gpc"), NGX_HTTP_KLAVIYO_SKIP_GPC,
      ngx_http_klaviyo_skip_is_one },

    { ngx_string("x-purpose"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      ngx_http_klaviyo_skip_is_prefetch },

    { ngx_string("sec-purpose"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      ngx_http_klaviyo_skip_is_prefetch },

    { ngx_string("sec-purpose"), NGX_HTTP_KLAVIYO_SKIP_EARLY,
      ngx_http_klaviyo_skip_is_prefetch },

    { ngx_string("sec-fetch-dest"), NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE,
      ngx_http_klaviyo_skip_is_part },

    { ngx_string("sec-fetch-dest"), NGX_HTTP_KLAVIYO_SKIP_PAGE,
      ngx_http_klaviyo_skip_is_page },

    { ngx_string("sec-fetch-dest"), NGX_HTTP_KLAVIYO_SKIP_SCRIPT,
      ngx_http_klaviyo_skip_is_empty },

    { ngx_string("next-router-prefetch"), NGX_HTTP_KLAVIYO_SKIP_PREFETCH,
      ngx_http_klaviyo_skip_is_one },

    { ngx_null_string, 0, NULL }
};


char *
ngx_http_klaviyo_skip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_klaviyo_skip_word_t  *word;

    (void) cmd;

    if (klcf->skip) {
        return "is duplicate";
    }

    klcf->skip = NGX_CONF_BITMASK_SET;

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {

        if (cf->args->nelts == 2) {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\": "
                           "\"off\" stands alone", &value[2]);
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        for (word = ngx_http_klaviyo_skip_words; word->name.len; word++) {

            if (word->name.len == value[i].len
                && ngx_strncmp(word->name.data, value[i].data, value[i].len)
                   == 0)
            {
                break;
            }
        }

        if (word->name.len == 0) {
            ngx_http_klaviyo_skip_unknown(cf, &value[i]);
            return NGX_CONF_ERROR;
        }

        if (klcf->skip & word->mask) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        klcf->skip |= word->mask;
    }

    return NGX_CONF_OK;
}


static void
ngx_http_klaviyo_skip_unknown(ngx_conf_t *cf, ngx_str_t *word)
{
    u_char                        *p, *last;
    u_char                         known[NGX_MAX_CONF_ERRSTR / 2];
    ngx_http_klaviyo_skip_word_t  *w;

    p = known;
    last = known + sizeof(known);

    for (w = ngx_http_klaviyo_skip_words; w->name.len; w++) {
        p = ngx_slprintf(p, last, "\"%V\", ", &w->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": it must be of %*s"
                       "or \"off\" alone", word, (size_t) (p - known), known);
}


char *
ngx_http_klaviyo_prefetch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_str_t        *value;
    ngx_conf_enum_t  *e;

    (void) cmd;

    if (klcf->prefetch != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (e = ngx_http_klaviyo_prefetch_values; e->name.len; e++) {

        if (e->name.len == value[1].len
            && ngx_strcasecmp(e->name.data, value[1].data) == 0)
        {
            klcf->prefetch = e->value;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": expected \"skip\", \"count\" or "
                       "\"refuse\"", &value[1]);

    return NGX_CONF_ERROR;
}


char *
ngx_http_klaviyo_consent(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_str_t  *value;

    (void) cmd;

    if (klcf->consent != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        klcf->consent = NULL;
        return NGX_CONF_OK;
    }

    /* whoever writes so expects that somebody is asked */

    if (ngx_strcmp(value[1].data, "on") == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"klaviyo_consent on\" would be a yes of every "
                           "visitor: name the variable that holds the "
                           "visitor's answer, or write \"off\"");
        return NGX_CONF_ERROR;
    }

    klcf->consent = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->consent == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_compile(cf, &value[1], klcf->consent) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (klcf->consent->lengths == NULL
        && !ngx_http_klaviyo_skip_is_no(&value[1]))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"klaviyo_consent %V\" has no variable and is a "
                           "yes of every visitor: name the variable that "
                           "holds the visitor's answer", &value[1]);
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_klaviyo_skipped(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_uint_t except, klaviyo_counter_e *reason)
{
    ngx_uint_t                     found;
    ngx_http_klaviyo_loc_conf_t   *klcf;
    ngx_http_klaviyo_skip_word_t  *word;

    klcf = ngx_http_klaviyo_conf(r);

    found = ngx_http_klaviyo_skip_judge(r, ctx, klcf);

    if (!ctx->judged) {
        ctx->judged = 1;
        ctx->skip |= ngx_http_klaviyo_skip_consent(r, klcf->consent);

        found = ctx->skip;
    }

    found &= ~except;

    for (word = ngx_http_klaviyo_skip_words; word->mask; word++) {

        if (found & word->mask) {
            *reason = word->reason;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_klaviyo_skipping(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_uint_t except)
{
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (ngx_http_klaviyo_skip_judge(r, ctx, klcf) & ~except) {
        return 1;
    }

    return !ctx->judged && ngx_http_klaviyo_skip_foresee(r, klcf->consent);
}


/* what the headers say, which do not change */

static ngx_uint_t
ngx_http_klaviyo_skip_judge(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_loc_conf_t *klcf)
{
    if (ctx->judge != klcf) {
        ctx->judge = klcf;
        ctx->judged = 0;
        ctx->skip = ngx_http_klaviyo_skip_headers(r->main, klcf->skip);
    }

    return ctx->skip;
}


ngx_uint_t
ngx_http_klaviyo_skip_script(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_skip_headers(r->main, NGX_HTTP_KLAVIYO_SKIP_SCRIPT)
           != 0;
}


ngx_uint_t
ngx_http_klaviyo_skip_part(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_skip_headers(r->main,
                                         NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE)
           != 0;
}


/*
 * The request by which a browser makes a page ready, by speculation rules, is
 * the only one of a click: Sec-Fetch-Dest says "document".  A
 * <link rel=prefetch> and routers in the browser say "empty", and the page is
 * asked for when it is opened.  The refusal is no page of an error_page, which
 * the browser might keep.
 */

ngx_uint_t
ngx_http_klaviyo_prefetch_refused(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (!klcf->refuses
        || (klcf->rules == NULL
            && klcf->named == NULL
            && klcf->json == NULL)
        || r != r->main
        || r->method != NGX_HTTP_GET
        || ngx_http_klaviyo_redirected(r)
        || ngx_http_klaviyo_skip_headers(r, NGX_HTTP_KLAVIYO_SKIP_EARLY_PAGE)
           != NGX_HTTP_KLAVIYO_SKIP_EARLY_PAGE)
    {
        return 0;
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return 0;
    }

    ctx->refused = 1;
    ctx->first = klcf;
    ctx->first_location = ngx_http_get_module_loc_conf(r,
                                                       ngx_http_core_module);
    ctx->first_uri = r->uri;

    r->error_page = 1;

    return 1;
}


/* what of the wanted holds for this request */

static ngx_uint_t
ngx_http_klaviyo_skip_headers(ngx_http_request_t *r, ngx_uint_t wanted)
{
    ngx_str_t                      agent;
    ngx_uint_t                     found;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    found = 0;

    if (r->method == NGX_HTTP_HEAD) {
        found |= wanted & NGX_HTTP_KLAVIYO_SKIP_HEAD;
    }

    wanted &= ~(NGX_CONF_BITMASK_SET|NGX_HTTP_KLAVIYO_SKIP_HEAD);

    if (wanted == 0 || found) {
        return found;
    }

    found = wanted & ngx_http_klaviyo_skip_read(r);

    if ((wanted & NGX_HTTP_KLAVIYO_SKIP_KLA_OFF)
        && ngx_http_klaviyo_cookie_off(r))
    {
        found |= NGX_HTTP_KLAVIYO_SKIP_KLA_OFF;
    }

    if (wanted & NGX_HTTP_KLAVIYO_SKIP_BOT) {

        ngx_str_null(&agent);

        if (r->headers_in.user_agent) {
            agent = r->headers_in.user_agent->value;
        }

        kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

        if (kmcf->bots
            && klaviyo_bots_match(kmcf->bots, agent.data, agent.len))
        {
            found |= NGX_HTTP_KLAVIYO_SKIP_BOT;
        }
    }

    return found;
}


/* what the known headers say; most have a length that none of these has */

static ngx_uint_t
ngx_http_klaviyo_skip_read(ngx_http_request_t *r)
{
    size_t                           len;
    ngx_uint_t                       found;
    ngx_list_part_t                 *part;
    ngx_table_elt_t                 *h, *last;
    ngx_http_klaviyo_skip_header_t  *known;

    static ngx_http_klaviyo_skip_header_t
                                *first[NGX_HTTP_KLAVIYO_SKIP_NAME + 1];

    if (first[NGX_HTTP_KLAVIYO_SKIP_NAME] == NULL) {

        for (known = ngx_http_klaviyo_skip_known; known->name.len; known++) {

            if (first[known->name.len] == NULL) {
                first[known->name.len] = known;
            }
        }
    }

    found = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;
        last = h + part->nelts;

        for ( /* void */ ; h < last; h++) {
            len = h->key.len;

            if (len > NGX_HTTP_KLAVIYO_SKIP_NAME || first[len] == NULL) {
                continue;
            }

            for (known = first[len]; known->name.len == len; known++) {

                if (h->lowcase_key[0] == known->name.data[0]
                    && ngx_memcmp(h->lowcase_key, known->name.data, len) == 0
                    && known->match(&h->value)
                    && (known->match != ngx_http_klaviyo_skip_is_part
                        || !ngx_http_klaviyo_skip_is_empty(&h->value)
                        || ngx_http_klaviyo_reads(r)))
                {
                    found |= known->mask;
                }
            }
        }
    }

    return found;
}


/* Sec-Purpose: prefetch;prerender, Purpose: prefetch, X-Purpose: preview */

static ngx_uint_t
ngx_http_klaviyo_skip_is_prefetch(ngx_str_t *value)
{
    return ngx_http_klaviyo_skip_token(value, "prefetch", 8)
           || ngx_http_klaviyo_skip_token(value, "preview", 7);
}


static ngx_uint_t
ngx_http_klaviyo_skip_is_page(ngx_str_t *value)
{
    return ngx_http_klaviyo_skip_token(value, "document", 8);
}


static ngx_uint_t
ngx_http_klaviyo_skip_is_part(ngx_str_t *value)
{
    return value->len && !ngx_http_klaviyo_skip_is_page(value);
}


/* fetch() and XMLHttpRequest: what acts in the background is a visitor's */

static ngx_uint_t
ngx_http_klaviyo_skip_is_empty(ngx_str_t *value)
{
    return ngx_http_klaviyo_skip_token(value, "empty", 5);
}


static ngx_uint_t
ngx_http_klaviyo_skip_is_one(ngx_str_t *value)
{
    return ngx_http_klaviyo_skip_token(value, "1", 1);
}


/* the token, alone or with parameters behind it */

static ngx_uint_t
ngx_http_klaviyo_skip_token(ngx_str_t *value, const char *token, size_t len)
{
    if (value->len < len
        || ngx_strncasecmp(value->data, (u_char *) token, len) != 0)
    {
        return 0;
    }

    return value->len == len || value->data[len] == ';'
           || value->data[len] == ',' || value->data[len] == ' ';
}


static ngx_uint_t
ngx_http_klaviyo_skip_consent(ngx_http_request_t *r,
    ngx_http_complex_value_t *consent)
{
    ngx_str_t  value;

    if (consent == NULL) {
        return 0;
    }

    if (ngx_http_complex_value(r, consent, &value) != NGX_OK) {
        return NGX_HTTP_KLAVIYO_SKIP_MEMORY;
    }

    return ngx_http_klaviyo_skip_is_no(&value) ? NGX_HTTP_KLAVIYO_SKIP_CONSENT
                                               : 0;
}


/* "denied" is what a consent manager says for no */

static ngx_uint_t
ngx_http_klaviyo_skip_is_no(ngx_str_t *value)
{
    return klaviyo_value_is_no(value->data, value->len)
           || (value->len == sizeof("denied") - 1
               && ngx_strncasecmp(value->data, (u_char *) "denied",
                                  value->len)
                  == 0);
}


/*
 * A "map" keeps what it found first, as of an answer that is not there yet:
 * what the variables hold is put back.
 */

static ngx_uint_t
ngx_http_klaviyo_skip_foresee(ngx_http_request_t *r,
    ngx_http_complex_value_t *consent)
{
    size_t                      size;
    ngx_uint_t                  skip;
    ngx_http_variable_value_t  *kept;
    ngx_http_core_main_conf_t  *cmcf;

    if (consent == NULL || consent->lengths == NULL) {
        return ngx_http_klaviyo_skip_consent(r, consent);
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    kept = ngx_palloc(r->pool, size);
    if (kept == NULL) {
        return NGX_HTTP_KLAVIYO_SKIP_MEMORY;
    }

    ngx_memcpy(kept, r->variables, size);

    skip = ngx_http_klaviyo_skip_consent(r, consent);

    ngx_memcpy(r->variables, kept, size);

    return skip;
}
