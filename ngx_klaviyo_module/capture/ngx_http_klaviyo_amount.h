/*
 * Private to capture/: an event's amount, its currency and its time, in the
 * configuration and of a request.
 */


#ifndef NGX_HTTP_KLAVIYO_AMOUNT_H
#define NGX_HTTP_KLAVIYO_AMOUNT_H


#include "ngx_http_klaviyo_values.h"


/* value amount [currency] [minor] [decimal=,|.]; */
char *ngx_http_klaviyo_amount_set(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);

/*
 * NGX_CONF_ERROR: a text as "$19.90", of which nginx makes a capture that no
 * regular expression sets, and "9.90".
 */
char *ngx_http_klaviyo_amount_dollars(ngx_conf_t *cf, ngx_str_t *text);

/* time value [zone=+hh:mm]; */
char *ngx_http_klaviyo_time_set(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);

/*
 * An amount and its currency go together, or not at all; what cannot be read
 * is counted and told once a minute.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_amount_evaluate(ngx_http_klaviyo_values_t *values);

/* the time of the event, or, if there is none, that of the request */
ngx_int_t ngx_http_klaviyo_time_evaluate(ngx_http_klaviyo_values_t *values);


#endif /* NGX_HTTP_KLAVIYO_AMOUNT_H */
