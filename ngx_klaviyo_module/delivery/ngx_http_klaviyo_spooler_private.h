/*
 * What the spooler's files share: ngx_http_klaviyo_spooler.c (opening, making
 * the spool the ring's own, the end of jobs) and
 * ngx_http_klaviyo_spooler_step.c (the steps from then on).
 */


#ifndef NGX_HTTP_KLAVIYO_SPOOLER_PRIVATE_H
#define NGX_HTTP_KLAVIYO_SPOOLER_PRIVATE_H


#include "ngx_http_klaviyo_spooler.h"

#include "ngx_http_klaviyo_disk.h"
#include "ngx_http_klaviyo_report.h"


struct ngx_http_klaviyo_spooler_s {
    ngx_http_klaviyo_account_t  *account;
    klaviyo_lease_t             *lease;
    ngx_event_t                 *wake;
    ngx_log_t                   *log;

    ngx_http_klaviyo_disk_t     *disk;       /* NULL: `spool off`            */
    klaviyo_feed_t               feed;
    klaviyo_chunk_t              ahead;      /* what the feed reads from     */

    klaviyo_spool_state_t        state;      /* after the last job           */
    klaviyo_spill_plan_t         plan;
    klaviyo_cursor_t             copied;     /* where copying goes on        */

    ngx_msec_t                   begun;      /* opening, then adopting       */
    ngx_msec_t                   written;    /* when copying began last      */
    ngx_msec_t                   forgotten;
    ngx_msec_t                   tried[NGX_HTTP_KLAVIYO_DISK_N];
    ngx_uint_t                   failed;     /* bits of these                */

    ngx_http_klaviyo_report_t    report;

    unsigned                     open:1;
    unsigned                     settled:1;  /* the spool is this ring's     */
    unsigned                     moved:1;    /* the queue begins elsewhere   */
    unsigned                     spilling:1;
    unsigned                     gone:1;     /* not opened before what it    */
                                             /* had is counted as lost       */
};


/* what has failed is tried again a second later, and holds up nothing else */
ngx_uint_t ngx_http_klaviyo_spooler_may(ngx_http_klaviyo_spooler_t *spooler,
    ngx_http_klaviyo_disk_e what, ngx_msec_t *wait);
void ngx_http_klaviyo_spooler_later(ngx_http_klaviyo_spooler_t *spooler,
    ngx_http_klaviyo_disk_e what);

/* what only the spool had is lost, before `to`; said and counted */
void ngx_http_klaviyo_spooler_lose(ngx_http_klaviyo_spooler_t *spooler,
    uint64_t to, const char *why);


/* ngx_http_klaviyo_spooler_step.c */

/* begins what is to be done next; shortens *wait to when there may be more */
void ngx_http_klaviyo_spooler_step(ngx_http_klaviyo_spooler_t *spooler,
    ngx_msec_t *wait);

/* the ends of jobs */
void ngx_http_klaviyo_spooler_written(ngx_http_klaviyo_spooler_t *spooler);
void ngx_http_klaviyo_spooler_read(ngx_http_klaviyo_spooler_t *spooler);
void ngx_http_klaviyo_spooler_full(ngx_http_klaviyo_spooler_t *spooler);
void ngx_http_klaviyo_spooler_failed(ngx_http_klaviyo_spooler_t *spooler);


#endif /* NGX_HTTP_KLAVIYO_SPOOLER_PRIVATE_H */
