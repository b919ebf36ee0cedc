/*
 * Dead letters on their way to the disk, for the sender.
 *
 * Letters are numbered as they are added; what is written up to which number
 * tells the sender what it may acknowledge.
 */


#ifndef NGX_HTTP_KLAVIYO_DEAD_H
#define NGX_HTTP_KLAVIYO_DEAD_H


#include "account/ngx_http_klaviyo_account.h"
#include "klaviyo_letter.h"
#include "ngx_http_klaviyo_report.h"


typedef struct ngx_http_klaviyo_dead_s  ngx_http_klaviyo_dead_t;


/*
 * `wake` is posted when letters have been written.  NULL: already logged.
 * Without dead_letter in the configuration all are written at once, nowhere.
 */
ngx_http_klaviyo_dead_t *ngx_http_klaviyo_dead_create(
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_report_t *report,
    ngx_event_t *wake);

/* a job under way ends by itself; letters not yet written are forgotten */
void ngx_http_klaviyo_dead_destroy(ngx_http_klaviyo_dead_t *dead);

/* NGX_OK, or NGX_ERROR: no memory, nothing was added */
ngx_int_t ngx_http_klaviyo_dead_add(ngx_http_klaviyo_dead_t *dead,
    klaviyo_letter_t *letter, const klaviyo_event_t *event);

/* how many were added so far, and how many of these are on the disk */
uint64_t ngx_http_klaviyo_dead_added(ngx_http_klaviyo_dead_t *dead);
uint64_t ngx_http_klaviyo_dead_written(ngx_http_klaviyo_dead_t *dead);

/* 1: as much waits in memory as may; `wake` is posted when there is room */
ngx_uint_t ngx_http_klaviyo_dead_full(ngx_http_klaviyo_dead_t *dead);

/*
 * Of who delivers for a fleet they are kept in memory: those there are, and
 * that so many bytes of them are elsewhere now.
 */
void ngx_http_klaviyo_dead_letters(ngx_http_klaviyo_dead_t *dead,
    ngx_str_t *letters);
void ngx_http_klaviyo_dead_forget(ngx_http_klaviyo_dead_t *dead, size_t bytes);

/* writes what waits; a failure is tried again a second later */
void ngx_http_klaviyo_dead_run(ngx_http_klaviyo_dead_t *dead);


#endif /* NGX_HTTP_KLAVIYO_DEAD_H */
