/*
 * What is no visitor's page view, or no visitor's wish: the directives
 * klaviyo_skip, klaviyo_bots and klaviyo_consent, and the one question they
 * answer for a request.  It is the visitor's request that is asked about, so
 * a subrequest looks at the method and the headers of the main one.
 */


#ifndef NGX_HTTP_KLAVIYO_SKIP_H
#define NGX_HTTP_KLAVIYO_SKIP_H


#include "ngx_http_klaviyo_context.h"


/* the words of klaviyo_skip; NGX_CONF_BITMASK_SET alone is `off` */

#define NGX_HTTP_KLAVIYO_SKIP_HEAD         0x0002
#define NGX_HTTP_KLAVIYO_SKIP_PREFETCH     0x0004
#define NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE  0x0008
#define NGX_HTTP_KLAVIYO_SKIP_BOT          0x0010
#define NGX_HTTP_KLAVIYO_SKIP_KLA_OFF      0x0020
#define NGX_HTTP_KLAVIYO_SKIP_GPC          0x0040
#define NGX_HTTP_KLAVIYO_SKIP_DNT          0x0080
#define NGX_HTTP_KLAVIYO_SKIP_SCANNER      0x0100   /* see _wait.h          */

#define NGX_HTTP_KLAVIYO_SKIP_DEFAULT                                        \
    (NGX_CONF_BITMASK_SET                                                    \
     |NGX_HTTP_KLAVIYO_SKIP_HEAD                                             \
     |NGX_HTTP_KLAVIYO_SKIP_PREFETCH                                         \
     |NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE                                      \
     |NGX_HTTP_KLAVIYO_SKIP_BOT                                              \
     |NGX_HTTP_KLAVIYO_SKIP_KLA_OFF)


/*
 * When the request ends.  NGX_OK, or NGX_DECLINED and the reason: no event of
 * this request may be captured.  The words in `except` do not count for the
 * event in question.  All is found out once for a request and its location;
 * to ask again is free.
 */
ngx_int_t ngx_http_klaviyo_skipped(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_uint_t except,
    klaviyo_counter_e *reason);

/*
 * The same before its end: 1, as far as is known by now.  The consent is
 * judged later all the same, as if nobody had asked.
 */
ngx_uint_t ngx_http_klaviyo_skipping(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_uint_t except);


/*
 * 1: klaviyo_prefetch refuses this request, in the rewrite phase: it
 * prefetches a page that has rules.  Remembered, so that it is refused once.
 */
ngx_uint_t ngx_http_klaviyo_prefetch_refused(ngx_http_request_t *r);


/* 1: a script asks for it, by GET or HEAD */
ngx_uint_t ngx_http_klaviyo_skip_script(ngx_http_request_t *r);


/* 1: the browser asks for a part of a page, not for one */
ngx_uint_t ngx_http_klaviyo_skip_part(ngx_http_request_t *r);

/* directives: klaviyo_consent, klaviyo_skip, klaviyo_prefetch */
char *ngx_http_klaviyo_consent(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_klaviyo_skip(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_klaviyo_prefetch(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_KLAVIYO_SKIP_H */
