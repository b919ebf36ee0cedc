/*
 * klaviyo_webhook: lets only those requests through that their sender signed.
 *
 * Room webhook.  May include: nginx, account, queue, json.
 */


#ifndef NGX_HTTP_KLAVIYO_WEBHOOK_H
#define NGX_HTTP_KLAVIYO_WEBHOOK_H


#include "account/ngx_http_klaviyo_account.h"
#include "klaviyo_sender.h"


struct ngx_http_klaviyo_webhook_s {
    const klaviyo_sender_t      *sender;
    klaviyo_sender_t             custom;      /* what `sender` may be        */
    ngx_http_complex_value_t    *before;      /* of custom: what is signed   */
    ngx_http_complex_value_t    *after;       /* before and behind the body  */
    ngx_http_complex_value_t    *time;

    klaviyo_slice_t              secrets[KLAVIYO_WEBHOOK_SECRETS];
    ngx_uint_t                   n;
    time_t                       tolerance;   /* s                           */
    ngx_http_klaviyo_account_t  *account;     /* whose figures count it      */

    ngx_str_t                    account_name; /* empty: the location's      */
    u_char                      *conf_file;   /* where it stands             */
    ngx_uint_t                   conf_line;
};


typedef struct ngx_http_klaviyo_webhook_s  ngx_http_klaviyo_webhook_t;


/* the variables $klaviyo_webhook_*; in preconfiguration */
ngx_int_t ngx_http_klaviyo_webhook_variables(ngx_conf_t *cf);

/* the handlers of phases, if the directive is used; in postconfiguration */
ngx_int_t ngx_http_klaviyo_webhook_init(ngx_conf_t *cf);


#endif /* NGX_HTTP_KLAVIYO_WEBHOOK_H */
