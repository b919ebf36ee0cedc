/*
 * What the sender and the handler of answers share.
 *
 * Times are milliseconds of CLOCK_BOOTTIME, which no clock change moves and
 * which all processes of the machine share, except the age of events.
 */


#ifndef NGX_HTTP_KLAVIYO_SENDER_PRIVATE_H
#define NGX_HTTP_KLAVIYO_SENDER_PRIVATE_H


#include "ngx_http_klaviyo_sender.h"

#include "klaviyo_aside.h"
#include "klaviyo_batch.h"
#include "klaviyo_breaker.h"
#include "klaviyo_reply.h"
#include "ngx_http_klaviyo_dead.h"
#include "ngx_http_klaviyo_limits.h"
#include "ngx_http_klaviyo_health.h"
#include "ngx_http_klaviyo_report.h"
#include "ngx_http_klaviyo_transport.h"


/* failures in a row, each with other events, until it is an outage */
#define NGX_HTTP_KLAVIYO_TELLS  3


typedef struct {
    ngx_queue_t                 queue;
    klaviyo_batch_t            *batch;
    uint64_t                    letters;  /* on the disk before it is        */
                                          /* acknowledged                    */
} ngx_http_klaviyo_load_t;


typedef struct {
    ngx_queue_t                 queue;
    ngx_http_klaviyo_sender_t  *sender;
    ngx_http_klaviyo_load_t    *load;
    klaviyo_request_t          *request;
    int64_t                     since;
} ngx_http_klaviyo_transfer_t;


/* what the ring keeps for the next deliverer, beside the pause */

typedef struct {
    ngx_http_klaviyo_limits_saved_t
                                   limits;
    uint64_t                       sent;    /* events before this sequence
                                               may have been sent            */
} ngx_http_klaviyo_saved_t;


/* an answer while it is settled, in words if an event ends by it */

typedef struct {
    klaviyo_answer_t              *answer;
    char                           words[256];
    unsigned                       read:1;
} ngx_http_klaviyo_settling_t;


struct ngx_http_klaviyo_sender_s {
    ngx_http_klaviyo_account_t    *account;
    klaviyo_lease_t               *lease;
    klaviyo_stream_t              *stream;
    ngx_event_t                   *wake;
    ngx_http_klaviyo_transport_t  *transport;
    ngx_http_klaviyo_dead_t       *dead;

    klaviyo_cursor_t               cursor;  /* the next to read              */
    klaviyo_batch_t               *open;    /* being filled, or NULL         */
    int64_t                        open_since;
    ngx_queue_t                    loads;   /* closed batches in ring order  */

    ngx_queue_t                    transfers;
    ngx_uint_t                     active;

    ngx_http_klaviyo_saved_t       saved;
    uint64_t                       unsure;  /* `sent` of the one before us   */
    ngx_http_klaviyo_limits_t      limits;        /* with the pause of a 429 */
    int64_t                        retry_at;
    ngx_uint_t                     failures;      /* since one was accepted  */
    uint64_t                       sends;         /* the last one's number   */
    uint64_t                       accepted;      /* `sends` when one was    */
    size_t                         bytes;         /* of a batch: a slow line
                                                     takes smaller ones      */
    klaviyo_asides_t               asides;
    klaviyo_breaker_t              breaker;
    ngx_http_klaviyo_settling_t   *settling;      /* or NULL                 */

    ngx_http_klaviyo_moved_pt      moved;         /* NULL: nobody is told     */
    void                          *moved_data;

    ngx_http_klaviyo_report_t      report;
    ngx_http_klaviyo_health_t      health;
};


#endif /* NGX_HTTP_KLAVIYO_SENDER_PRIVATE_H */
