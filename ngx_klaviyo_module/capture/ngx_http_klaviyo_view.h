/*
 * What a page view is: the parameters "view" and "fetch=" of klaviyo_track.
 */


#ifndef NGX_HTTP_KLAVIYO_VIEW_H
#define NGX_HTTP_KLAVIYO_VIEW_H


#include "ngx_http_klaviyo_context.h"


/* the parameter "fetch=" */
char *ngx_http_klaviyo_view_fetch(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);


/* 1: a GET of a page whose answer is HTML; a 304 was HTML when it was 200 */
ngx_uint_t ngx_http_klaviyo_view(ngx_http_request_t *r);

/*
 * 1: a script's GET that "fetch=" of the track names.  To ask again costs
 * another walk through the headers.
 */
ngx_uint_t ngx_http_klaviyo_view_fetched(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_track_t *track);


#endif /* NGX_HTTP_KLAVIYO_VIEW_H */
