/*
 * Private to capture/: the values of one event, between the request and the
 * writing.
 */


#ifndef NGX_HTTP_KLAVIYO_VALUES_H
#define NGX_HTTP_KLAVIYO_VALUES_H


#include "ngx_http_klaviyo_identity.h"


/* what the operations, the utm_* arguments and the rest evaluate to */

typedef struct {
    ngx_http_request_t            *request;
    ngx_http_klaviyo_template_t   *template;
    ngx_http_klaviyo_account_t    *account;
    klaviyo_ring_t                *ring;        /* the account's            */

    ngx_str_t                     *ops;
    ngx_http_klaviyo_utm_t        *utm;
    ngx_uint_t                     nutm;
    ngx_uint_t                     members;     /* of `properties`          */

    ngx_str_t                      metric;
    ngx_str_t                      value;
    ngx_str_t                      currency;
    u_char                         amount[KLAVIYO_AMOUNT_LEN];
    u_char                         code[KLAVIYO_CURRENCY_LEN];
    ngx_str_t                      unique_id;
    int64_t                        time;

    u_char                        *named;       /* where the metric begins  */

    size_t                         size;

    unsigned                       identified:2;
    unsigned                       backfill:1;
    unsigned                       list_cut:1;

    klaviyo_identity_t             identity;    /* beside the operations    */
} ngx_http_klaviyo_values_t;


/* all but the room at its end */
#define ngx_http_klaviyo_values_zero(values)                                 \
    ngx_memzero(values, offsetof(ngx_http_klaviyo_values_t, identity)        \
                        + KLAVIYO_IDENTITY_HEAD)


#endif /* NGX_HTTP_KLAVIYO_VALUES_H */
