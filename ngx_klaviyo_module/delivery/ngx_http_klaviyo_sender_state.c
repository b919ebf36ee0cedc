/*
 * What the sender and the handler of its answers both do with its state.
 */


#include "ngx_http_klaviyo_sender_state.h"
#include "queue/klaviyo_ring_ack.h"


ngx_uint_t
ngx_http_klaviyo_sender_single(ngx_http_klaviyo_sender_t *sender,
    klaviyo_request_t *request)
{
    return request->single && sender->account->lane->single;
}


ngx_int_t
ngx_http_klaviyo_sender_save(ngx_http_klaviyo_sender_t *sender)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_save(sender->account->ring, sender->lease->epoch,
                           sender->limits.paused_until, &sender->saved,
                           sizeof(ngx_http_klaviyo_saved_t));

    if (rc == KLAVIYO_RING_OK) {
        return NGX_OK;
    }

    return rc == KLAVIYO_RING_BUSY ? NGX_BUSY : NGX_DECLINED;
}


void
ngx_http_klaviyo_sender_no_memory(ngx_http_klaviyo_sender_t *sender)
{
    ngx_http_klaviyo_report(&sender->report, NGX_LOG_CRIT,
                            NGX_HTTP_KLAVIYO_REPORT_MEMORY,
                            "no memory to deliver with: events are kept");
}
