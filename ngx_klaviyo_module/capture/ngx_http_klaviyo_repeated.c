/*
 * Headers of an answer that stand there several times, as Link does: before
 * 1.23 nginx's $upstream_http_* and $sent_http_* are the first of them.  Where
 * there is an account they are all of them, with commas between, as nginx's
 * own are from then on.
 */


#include "ngx_http_klaviyo_repeated.h"
#include "account/ngx_http_klaviyo_walk.h"


#if (nginx_version < 1023000)

static ngx_int_t ngx_http_klaviyo_repeated_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_repeated_sent(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_repeated_join(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_list_t *headers, ngx_str_t *name);
static size_t ngx_http_klaviyo_repeated_copy(ngx_list_t *headers,
    ngx_str_t *name, ngx_http_variable_value_t *v, u_char *to);
static ngx_uint_t ngx_http_klaviyo_repeated_is(ngx_str_t *key,
    ngx_str_t *name);


static ngx_http_variable_t  ngx_http_klaviyo_repeated_variables[] = {

    { ngx_string("upstream_http_"), NULL, ngx_http_klaviyo_repeated_upstream,
      0, 0, 0 },

    { ngx_string("sent_http_"), NULL, ngx_http_klaviyo_repeated_sent,
      0, 0, 0 },

      ngx_http_null_variable
};

#endif


void
ngx_http_klaviyo_repeated_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
#if (nginx_version < 1023000)

    ngx_uint_t                  i;
    ngx_http_variable_t        *prefix, *v;
    ngx_http_core_main_conf_t  *cmcf;

    if (kmcf->accounts.nelts == 0) {
        return;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    prefix = cmcf->prefix_variables.elts;

    for (i = 0; i < cmcf->prefix_variables.nelts; i++) {

        for (v = ngx_http_klaviyo_repeated_variables; v->name.len; v++) {

            if (prefix[i].name.len == v->name.len
                && ngx_strncmp(prefix[i].name.data, v->name.data, v->name.len)
                   == 0)
            {
                prefix[i].get_handler = v->get_handler;
            }
        }
    }

#else

    (void) cf;
    (void) kmcf;

#endif
}


#if (nginx_version < 1023000)

static ngx_int_t
ngx_http_klaviyo_repeated_upstream(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  name;

    if (r->upstream == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    name = *(ngx_str_t *) data;
    name.len -= sizeof("upstream_http_") - 1;
    name.data += sizeof("upstream_http_") - 1;

    return ngx_http_klaviyo_repeated_join(r, v,
                                          &r->upstream->headers_in.headers,
                                          &name);
}


static ngx_int_t
ngx_http_klaviyo_repeated_sent(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  name;

    name = *(ngx_str_t *) data;
    name.len -= sizeof("sent_http_") - 1;
    name.data += sizeof("sent_http_") - 1;

    return ngx_http_klaviyo_repeated_join(r, v, &r->headers_out.headers,
                                          &name);
}


/* one that stands alone is not copied */

static ngx_int_t
ngx_http_klaviyo_repeated_join(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_list_t *headers, ngx_str_t *name)
{
    u_char  *p;
    size_t   len;

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = NULL;

    len = ngx_http_klaviyo_repeated_copy(headers, name, v, NULL);

    if (v->data == NULL) {
        v->valid = 0;
        v->not_found = 1;
        return NGX_OK;
    }

    if (len == v->len) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_klaviyo_repeated_copy(headers, name, v, p);

    v->len = len;
    v->data = p;

    return NGX_OK;
}


/* the length of all; with no place to copy them to, the first one is in v */

static size_t
ngx_http_klaviyo_repeated_copy(ngx_list_t *headers, ngx_str_t *name,
    ngx_http_variable_value_t *v, u_char *to)
{
    size_t            len;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    i = 0;
    n = 0;
    len = 0;
    part = &headers->part;

    for ( ;; ) {

        h = ngx_http_klaviyo_walk(&part, &i);

        if (h == NULL) {
            break;
        }

        if (h->hash == 0 || !ngx_http_klaviyo_repeated_is(&h->key, name)) {
            continue;
        }

        if (n++) {
            len += 2;

            if (to) {
                *to++ = ',';
                *to++ = ' ';
            }

        } else if (to == NULL) {
            v->len = h->value.len;
            v->data = h->value.data;
        }

        len += h->value.len;

        if (to) {
            to = ngx_cpymem(to, h->value.data, h->value.len);
        }
    }

    return len;
}


/* "X-Name" is x_name */

static ngx_uint_t
ngx_http_klaviyo_repeated_is(ngx_str_t *key, ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    if (key->len != name->len) {
        return 0;
    }

    for (i = 0; i < key->len; i++) {
        ch = (key->data[i] == '-') ? '_' : ngx_tolower(key->data[i]);

        if (ch != name->data[i]) {
            return 0;
        }
    }

    return 1;
}

#endif
