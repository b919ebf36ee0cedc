/*
 * The answer to the subrequest of klaviyo_enrich, which stays in memory and
 * within a bound, whatever handler gives it.
 */


#include "ngx_http_klaviyo_enrich_answer.h"
#include "ngx_http_klaviyo_enrich_request.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_ENRICH_SIZE  4096   /* to begin with               */


static ngx_int_t ngx_http_klaviyo_enrich_room(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment, size_t len);


ngx_int_t
ngx_http_klaviyo_enrich_header(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment)
{
    if (enrichment->stage != NGX_HTTP_KLAVIYO_ENRICH_RUNNING) {
        return NGX_ERROR;
    }

    if (sr->headers_out.status < NGX_HTTP_OK
        || sr->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE
        || (sr->headers_out.content_encoding
            && sr->headers_out.content_encoding->value.len))
    {
        ngx_http_klaviyo_enrich_leave(enrichment, KLAVIYO_COUNT_ENRICH_FAILED);
        return NGX_ERROR;
    }

    if (sr->headers_out.content_length_n > KLAVIYO_NAMED_TEXT_MAX) {
        ngx_http_klaviyo_enrich_leave(enrichment,
                                      KLAVIYO_COUNT_ENRICH_TOO_LARGE);
        return NGX_ERROR;
    }

    /* unbuffered, nginx would stop the timer of the client's connection */

    if (sr->upstream && sr->upstream->pipe) {
        sr->upstream->buffering = 1;
    }

    return NGX_OK;
}


/* an error from here would be taken for one of the client's connection */

void
ngx_http_klaviyo_enrich_body(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment, ngx_chain_t *in)
{
    size_t      len;
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {

        b = in->buf;
        len = ngx_buf_in_memory(b) ? b->last - b->pos : 0;

        if (len
            && enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_RUNNING
            && ngx_http_klaviyo_enrich_room(sr, enrichment, len) == NGX_OK)
        {
            enrichment->last = ngx_cpymem(enrichment->last, b->pos, len);
        }

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    /* too much of it: there is no need to wait for the rest */

    if (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_LEFT) {
        ngx_post_event(&enrichment->timer, &ngx_posted_events);
    }
}


static ngx_int_t
ngx_http_klaviyo_enrich_room(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment, size_t len)
{
    u_char  *p;
    size_t   size, used;

    if (len <= (size_t) (enrichment->end - enrichment->last)) {
        return NGX_OK;
    }

    used = enrichment->last - enrichment->start;

    if (len > KLAVIYO_NAMED_TEXT_MAX - used) {
        ngx_http_klaviyo_enrich_leave(enrichment,
                                      KLAVIYO_COUNT_ENRICH_TOO_LARGE);
        return NGX_DECLINED;
    }

    size = ngx_max(2 * (used + len), NGX_HTTP_KLAVIYO_ENRICH_SIZE);
    size = ngx_min(size, KLAVIYO_NAMED_TEXT_MAX);

    p = ngx_pnalloc(sr->pool, size);
    if (p == NULL) {
        ngx_http_klaviyo_enrich_leave(enrichment, KLAVIYO_COUNT_ENRICH_FAILED);
        return NGX_ERROR;
    }

    if (used) {
        ngx_memcpy(p, enrichment->start, used);
    }

    enrichment->start = p;
    enrichment->last = p + used;
    enrichment->end = p + size;

    return NGX_OK;
}


void
ngx_http_klaviyo_enrich_read(ngx_http_klaviyo_enrichment_t *enrichment)
{
    size_t                len;
    klaviyo_named_list_t  list;

    if (enrichment->outcome == KLAVIYO_COUNT_ENRICH_MERGED) {

        len = enrichment->last - enrichment->start;

        if (len == 0) {
            enrichment->outcome = KLAVIYO_COUNT_ENRICH_EMPTY;

        } else if (!klaviyo_named_open(&list, enrichment->start, len)
                   || list.array)
        {
            enrichment->outcome = KLAVIYO_COUNT_ENRICH_NOT_JSON;

        } else {
            (void) klaviyo_named_next(&list, &enrichment->named);
            enrichment->merge = 1;
            enrichment->repair = list.repair;
        }
    }
}


void
ngx_http_klaviyo_enrich_count(ngx_http_klaviyo_enrichment_t *enrichment,
    klaviyo_ring_t *ring)
{
    if (enrichment->outcome == KLAVIYO_COUNT_ENRICH_MERGED
        && !enrichment->merged)
    {
        enrichment->outcome = KLAVIYO_COUNT_ENRICH_UNUSED;
    }

    klaviyo_ring_count(ring, KLAVIYO_COUNT_ENRICH_REQUESTED, 1);
    klaviyo_ring_count(ring, enrichment->outcome, 1);
}
