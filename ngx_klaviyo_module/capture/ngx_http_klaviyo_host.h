/*
 * Whose host stands in the URL of an event: a client names any, and the URL
 * may go out to people as a link.  Where server_name names hosts, only those
 * get into it.
 */


#ifndef NGX_HTTP_KLAVIYO_HOST_H
#define NGX_HTTP_KLAVIYO_HOST_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The names of the server whose block is merged, of ngx_http_klaviyo_host_t.
 * NULL: it names no host, and takes any ("_", "", no server_name);
 * NGX_CONF_ERROR: no memory.
 */
ngx_array_t *ngx_http_klaviyo_hosts(ngx_conf_t *cf);

/*
 * The host as $host has it if it is one of these, with the port as the client
 * named it; else the first of the names, without a port.  `host` is empty
 * where that is none: a regular expression, or "www.example.*".
 */
void ngx_http_klaviyo_host(ngx_http_request_t *r, ngx_array_t *hosts,
    ngx_str_t *host, ngx_str_t *port);


#endif /* NGX_HTTP_KLAVIYO_HOST_H */
