/*
 * Private to capture/: klaviyo_enrich, what an internal location knows of a
 * request, merged into its events.
 *
 * A background subrequest holds a reference to the main request: it is
 * logged, and its events are captured, when both have ended.  The filters
 * are there only if the directive is.
 */


#ifndef NGX_HTTP_KLAVIYO_ENRICH_H
#define NGX_HTTP_KLAVIYO_ENRICH_H


#include "ngx_http_klaviyo_header.h"


/* see _enrich_request.c */

typedef enum {
    NGX_HTTP_KLAVIYO_ENRICH_RUNNING = 0,
    NGX_HTTP_KLAVIYO_ENRICH_LEFT,
    NGX_HTTP_KLAVIYO_ENRICH_ENDED
} ngx_http_klaviyo_enrich_stage_e;


struct ngx_http_klaviyo_enrichment_s {
    ngx_http_klaviyo_enrich_t
                        *directive;  /* the events it is for have this one   */
    ngx_http_request_t  *request;    /* the subrequest; NULL: none was made  */
    ngx_http_klaviyo_enrich_stage_e
                         stage;
    ngx_event_t          timer;

    u_char              *start;      /* the answer                           */
    u_char              *last;
    u_char              *end;

    klaviyo_counter_e    outcome;    /* as it would be counted now           */
    klaviyo_named_t      named;      /* from the log phase on                */

    unsigned             merge:1;    /* there is something to merge          */
    unsigned             merged:1;   /* something of it is in an event       */
    unsigned             repair:1;   /* of it, see klaviyo_scan_seen_t       */
};


/* directive: klaviyo_enrich */
char *ngx_http_klaviyo_enrich(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* its filters, if there is one; in postconfiguration */
void ngx_http_klaviyo_enrich_init(ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_ENRICH_H */
