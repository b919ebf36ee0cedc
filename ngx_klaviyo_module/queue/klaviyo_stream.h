/*
 * Ring and spool as one stream, for its reader: the deliverer, or the command
 * line tool.
 *
 * What the spool has is read from the disk elsewhere, into a chunk, and
 * looked at here: nothing in this file waits for a disk.
 *
 * Plain C.
 */


#ifndef KLAVIYO_STREAM_H
#define KLAVIYO_STREAM_H


#include "klaviyo_spool.h"


typedef struct {
    klaviyo_ring_t   *ring;
    klaviyo_chunk_t  *chunk;     /* of the spool, from about `wanted` on    */
    uint64_t          wanted;    /* after AGAIN: the sequence to read from  */
} klaviyo_stream_t;


/*
 * As klaviyo_ring_read(), of both tiers.  AGAIN: the event is in the spool
 * and not in the chunk; have klaviyo_spool_read(stream->wanted) fill it.  A
 * cursor before the first event without an outcome moves to that.
 */
klaviyo_ring_rc_e klaviyo_stream_read(klaviyo_stream_t *stream,
    const klaviyo_cursor_t *cursor, uint8_t *buf, size_t size,
    klaviyo_record_t *record);


#endif /* KLAVIYO_STREAM_H */
