/*
 * Private to capture/: who the visitor is when the configuration does not
 * say it.  The sources, in their order:
 *
 *     _kx, _ke, utm_email    of the client's request
 *     klaviyo_kx_cookie      what a _kx of an earlier request left
 *     __kla_id               Klaviyo's own cookie
 *
 * The first one with an identifier gives all of them: two sources may speak
 * of two people, and Klaviyo would make one of these.
 */


#ifndef NGX_HTTP_KLAVIYO_IDENTITY_H
#define NGX_HTTP_KLAVIYO_IDENTITY_H


#include "ngx_http_klaviyo_context.h"
#include "klaviyo_identity.h"


/* the words of klaviyo_identity; NGX_CONF_BITMASK_SET alone is `off` */

#define NGX_HTTP_KLAVIYO_IDENTITY_COOKIE   0x0002
#define NGX_HTTP_KLAVIYO_IDENTITY_QUERY    0x0004

#define NGX_HTTP_KLAVIYO_IDENTITY_DEFAULT                                    \
    (NGX_CONF_BITMASK_SET                                                    \
     |NGX_HTTP_KLAVIYO_IDENTITY_COOKIE                                       \
     |NGX_HTTP_KLAVIYO_IDENTITY_QUERY)


typedef enum {
    NGX_HTTP_KLAVIYO_CLAIM_KX = 0,      /* as ngx_http_klaviyo_arg_e        */
    NGX_HTTP_KLAVIYO_CLAIM_KE,
    NGX_HTTP_KLAVIYO_CLAIM_EMAIL,
    NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE,
    NGX_HTTP_KLAVIYO_CLAIM_KLA_ID,
    NGX_HTTP_KLAVIYO_CLAIM_N
} ngx_http_klaviyo_claim_e;


/*
 * The identifiers of the request's visitor that are good in an account; NULL
 * is any.  NGX_OK; NGX_DECLINED: nobody is known; NGX_ERROR: no memory.  What
 * is left out is counted in the ring, unless it is NULL.  Each source is
 * read once for a request, the first time that it is asked for.
 */
ngx_int_t ngx_http_klaviyo_identify(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_account_t *account,
    klaviyo_ring_t *ring, klaviyo_identity_t *identity);

/* what one source says, whether it is to be used here or not; NULL: no
   memory */
const klaviyo_identity_t *ngx_http_klaviyo_claim(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_claim_e n);

/* $klaviyo_exchange_id and $klaviyo_visitor_id */
ngx_int_t ngx_http_klaviyo_exchange_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
ngx_int_t ngx_http_klaviyo_visitor_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

/* directive: klaviyo_identity */
char *ngx_http_klaviyo_identity(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* `"name":`, as klaviyo_identity_e; all but the id are attributes */
extern ngx_str_t  ngx_http_klaviyo_identity_names[];


#endif /* NGX_HTTP_KLAVIYO_IDENTITY_H */
