#ifndef NGX_HTTP_KLAVIYO_TRACK_PAGE_H
#define NGX_HTTP_KLAVIYO_TRACK_PAGE_H


#include "ngx_http_klaviyo_capture.h"
#include "ngx_http_klaviyo_template.h"


/* in postconfiguration: of rules with page= where no page is read */
void ngx_http_klaviyo_track_page_warn(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* page=, the word in cf->args that begins so */
char *ngx_http_klaviyo_track_page(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);

/* what the track leaves to the page, when it is complete */
ngx_int_t ngx_http_klaviyo_track_page_rest(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);

/* properties that any others replace; NULL: none; or NGX_CONF_ERROR */
ngx_array_t *ngx_http_klaviyo_track_page_fields(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);

/* 1: the page is what the track asks for, or it does not ask */
ngx_uint_t ngx_http_klaviyo_track_page_is(ngx_http_request_t *r,
    ngx_http_klaviyo_track_t *track);

/* where a location reads pages for its tracks */
ngx_int_t ngx_http_klaviyo_track_page_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf);


#endif /* NGX_HTTP_KLAVIYO_TRACK_PAGE_H */
