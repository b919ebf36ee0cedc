/*
 * The queue room: records of a spool in memory, to be written or as read.
 *
 * Plain C; may touch nothing but the chunk.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_spool_private.h"
#include "klaviyo_spool_chunk.h"


size_t
klaviyo_spool_payload_len(const klaviyo_spool_record_t *record)
{
    return (size_t) record->unique_id_len + record->profile_len
           + record->attributes_len;
}


int
klaviyo_spool_record_sane(const klaviyo_spool_record_t *record,
    uint64_t available)
{
    uint64_t  len;

    len = sizeof(klaviyo_spool_record_t) + (uint64_t) record->unique_id_len
          + record->profile_len + record->attributes_len;

    return len <= KLAVIYO_SPOOL_RECORD_MAX
           && record->length == klaviyo_spool_align(len)
           && record->length <= available
           && record->unique_id_len != 0;
}


int
klaviyo_chunk_grow(klaviyo_chunk_t *chunk, size_t size)
{
    uint8_t  *start;

    if (size < KLAVIYO_SPOOL_CHUNK) {
        size = KLAVIYO_SPOOL_CHUNK;
    }

    if (size <= chunk->size) {
        return 0;
    }

    start = realloc(chunk->start, size);
    if (start == NULL) {
        return -1;
    }

    chunk->start = start;
    chunk->size = size;

    return 0;
}


int
klaviyo_chunk_add(klaviyo_chunk_t *chunk, uint64_t seq,
    const klaviyo_event_t *event)
{
    size_t                   len, zeroes;
    uint8_t                 *p, *payload;
    klaviyo_spool_record_t   record;

    if (event->unique_id_len == 0
        || event->unique_id_len > KLAVIYO_UNIQUE_ID_MAX
        || event->profile_len > KLAVIYO_SPOOL_RECORD_MAX
        || event->attributes_len > KLAVIYO_SPOOL_RECORD_MAX)
    {
        return -1;
    }

    memset(&record, 0, sizeof(klaviyo_spool_record_t));

    record.profile_len = (uint32_t) event->profile_len;
    record.attributes_len = (uint32_t) event->attributes_len;
    record.unique_id_len = (uint8_t) event->unique_id_len;
    record.seq = seq;
    record.time = event->time;

    len = sizeof(klaviyo_spool_record_t) + klaviyo_spool_payload_len(&record);
    record.length = (uint32_t) klaviyo_spool_align(len);
    zeroes = record.length - len;

    if (len > KLAVIYO_SPOOL_RECORD_MAX) {
        return -1;
    }

    if (chunk->used == 0) {

        if (klaviyo_chunk_grow(chunk, record.length) == -1) {
            return -1;
        }

        chunk->from = seq;

    } else if (seq < chunk->to) {
        return -1;

    } else if (record.length > chunk->size - chunk->used) {
        return 0;
    }

    p = chunk->start + chunk->used;
    payload = p + sizeof(klaviyo_spool_record_t);

    memcpy(payload, event->unique_id, event->unique_id_len);
    payload += event->unique_id_len;
    memcpy(payload, event->profile, event->profile_len);
    payload += event->profile_len;
    memcpy(payload, event->attributes, event->attributes_len);
    payload += event->attributes_len;
    memset(payload, 0, zeroes);

    record.payload_crc = klaviyo_crc32c(0, p + sizeof(klaviyo_spool_record_t),
                                        klaviyo_spool_payload_len(&record));

    memcpy(p, &record, sizeof(klaviyo_spool_record_t));

    chunk->used += record.length;
    chunk->to = seq + 1;
    chunk->events++;

    return 1;
}


void
klaviyo_chunk_renumber(klaviyo_chunk_t *chunk, uint64_t add)
{
    size_t                  at;
    klaviyo_spool_record_t  record;

    for (at = 0; at < chunk->used; at += record.length) {
        memcpy(&record, chunk->start + at, sizeof(klaviyo_spool_record_t));

        record.seq += add;

        memcpy(chunk->start + at, &record, sizeof(klaviyo_spool_record_t));
    }

    chunk->from += add;
    chunk->to += add;
}


klaviyo_ring_rc_e
klaviyo_chunk_next(klaviyo_chunk_t *chunk, uint64_t seq,
    klaviyo_record_t *record)
{
    unsigned                 again;
    const uint8_t           *payload;
    klaviyo_spool_record_t   header;

    if (seq < chunk->from || seq >= chunk->to) {
        return KLAVIYO_RING_EMPTY;
    }

    /* `at` is where the last look ended: behind what is asked for, or not */

    again = (chunk->at != 0);

    for ( ;; ) {

        if (chunk->at < chunk->used) {
            memcpy(&header, chunk->start + chunk->at,
                   sizeof(klaviyo_spool_record_t));

            if (header.seq < seq) {
                chunk->at += header.length;
                again = 0;
                continue;
            }

            if (header.seq == seq) {
                break;
            }
        }

        if (again) {
            chunk->at = 0;
            again = 0;
            continue;
        }

        if (chunk->at >= chunk->used) {
            return KLAVIYO_RING_EMPTY;
        }

        break;
    }

    payload = chunk->start + chunk->at + sizeof(klaviyo_spool_record_t);

    record->event.unique_id = payload;
    record->event.unique_id_len = header.unique_id_len;
    payload += header.unique_id_len;
    record->event.profile = payload;
    record->event.profile_len = header.profile_len;
    payload += header.profile_len;
    record->event.attributes = payload;
    record->event.attributes_len = header.attributes_len;
    record->event.time = header.time;

    record->seq = header.seq;
    record->missing = header.seq - seq;
    record->next.position = 0;
    record->next.seq = header.seq + 1;

    chunk->at += header.length;

    return KLAVIYO_RING_OK;
}


void
klaviyo_chunk_reset(klaviyo_chunk_t *chunk)
{
    chunk->used = 0;
    chunk->at = 0;
    chunk->from = 0;
    chunk->to = 0;
    chunk->events = 0;
}


void
klaviyo_chunk_free(klaviyo_chunk_t *chunk)
{
    free(chunk->start);
    memset(chunk, 0, sizeof(klaviyo_chunk_t));
}
