#ifndef NGX_HTTP_KLAVIYO_TRACK_H
#define NGX_HTTP_KLAVIYO_TRACK_H


#include "ngx_http_klaviyo_capture.h"
#include "ngx_http_klaviyo_template.h"


/* directives: klaviyo_track, klaviyo_event */
char *ngx_http_klaviyo_track(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* directive: klaviyo_track_json */
char *ngx_http_klaviyo_track_json(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * A new rule of the directive, zeroed but for where it stands, in an array
 * that may be unset yet.  NULL: no memory.
 */
ngx_http_klaviyo_track_t *ngx_http_klaviyo_track_add(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_array_t **tracks);

/* account=, fetch=, if=, page=, status= or view */
char *ngx_http_klaviyo_track_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);


#endif /* NGX_HTTP_KLAVIYO_TRACK_H */
