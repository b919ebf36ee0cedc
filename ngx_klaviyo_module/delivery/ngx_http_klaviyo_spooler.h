/*
 * Between ring and disk, for the deliverer that holds an account's lease:
 * what goes to the spool and when, what is read ahead from it, what is
 * finished in it.  All work on the disk is done in jobs, one at a time.
 */


#ifndef NGX_HTTP_KLAVIYO_SPOOLER_H
#define NGX_HTTP_KLAVIYO_SPOOLER_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lease.h"


typedef struct ngx_http_klaviyo_spooler_s  ngx_http_klaviyo_spooler_t;


/*
 * `wake` is posted when a job has ended and there is reason to run again.
 * NULL: already logged.  Without a spool in the configuration it only feeds
 * from the ring.
 */
ngx_http_klaviyo_spooler_t *ngx_http_klaviyo_spooler_create(
    ngx_http_klaviyo_account_t *account, klaviyo_lease_t *lease,
    ngx_event_t *wake, ngx_log_t *log);

/* a job under way ends by itself; neither ring nor lease is touched again */
void ngx_http_klaviyo_spooler_destroy(ngx_http_klaviyo_spooler_t *spooler);

/*
 * 1: what the sender reads is known, it may be created; 0: wait, the spool
 * is being opened.  When adoption changed where the queue begins under a
 * living sender, 0 is returned once: destroy it and ask again.
 */
ngx_uint_t ngx_http_klaviyo_spooler_ready(ngx_http_klaviyo_spooler_t *spooler);

/* 1: nothing else has a claim on what the spool holds, or there is no spool */
ngx_uint_t ngx_http_klaviyo_spooler_owns(
    ngx_http_klaviyo_spooler_t *spooler);

/* what there is to do now; returns the milliseconds until there may be more */
ngx_msec_t ngx_http_klaviyo_spooler_run(ngx_http_klaviyo_spooler_t *spooler);

/* what the sender fills its batches from; AGAIN has been taken care of */
klaviyo_stream_t *ngx_http_klaviyo_spooler_stream(
    ngx_http_klaviyo_spooler_t *spooler);


#endif /* NGX_HTTP_KLAVIYO_SPOOLER_H */
