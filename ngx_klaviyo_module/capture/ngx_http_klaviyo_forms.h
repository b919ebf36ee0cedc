/*
 * klaviyo_track has two forms, `klaviyo_track metric;` and
 * `klaviyo_track metric { ... }`, while a command of nginx either is a block
 * or is not, by a bit of its type that is looked at before its setter runs.
 *
 * So the configuration's text is read ahead once, in the order and by the
 * rules of nginx's own reader (quotes, comments, includes), the form of each
 * klaviyo_track is noted, and the bit always says what the next one is.
 */


#ifndef NGX_HTTP_KLAVIYO_FORMS_H
#define NGX_HTTP_KLAVIYO_FORMS_H


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * In preconfiguration.  What cannot be read is left to nginx, which comes to
 * the same place and says what is wrong there.
 */
void ngx_http_klaviyo_forms_scan(ngx_conf_t *cf, ngx_command_t *cmd);

/* by the setter, as soon as it knows the form of its own occurrence */
void ngx_http_klaviyo_forms_next(ngx_conf_t *cf, ngx_command_t *cmd);


#endif /* NGX_HTTP_KLAVIYO_FORMS_H */
