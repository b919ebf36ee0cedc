/*
 * Secrets in files: read by the master when the configuration is loaded, kept
 * in pages of their own that core files leave out, wiped when it goes.  No
 * message shows a byte of one.
 */


#ifndef NGX_HTTP_KLAVIYO_SECRET_H
#define NGX_HTTP_KLAVIYO_SECRET_H


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_KLAVIYO_SECRET_MAX  512     /* bytes                        */


/*
 * Reads a file that nobody can read or write but its owner, and whom
 * klaviyo_readers.h lets, into a buffer of NGX_HTTP_KLAVIYO_SECRET_MAX bytes;
 * line ends behind the secret are left out.  `directive`, `kind` ("key file")
 * and `holds` are for messages.  The path becomes a full one.  NGX_ERROR is
 * already logged.  The caller wipes the buffer.
 */
ngx_int_t ngx_http_klaviyo_secret_read(ngx_conf_t *cf, ngx_str_t *path,
    const char *directive, const char *kind, const char *holds, u_char *buf,
    ngx_str_t *secret);

/*
 * A copy, behind a prefix that may be empty and before a NUL, which lives as
 * long as the configuration.  NGX_ERROR is already logged.
 */
ngx_int_t ngx_http_klaviyo_secret_keep(ngx_conf_t *cf, ngx_str_t *prefix,
    ngx_str_t *secret, ngx_str_t *kept);


#endif /* NGX_HTTP_KLAVIYO_SECRET_H */
