/*
 * The queue room: what is done with a spool that is open, each a change of
 * its state.
 *
 * Plain C; may touch the spool's directory and its files.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crash.h"
#include "klaviyo_spool_chunk.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_private.h"
#include "klaviyo_spool.h"
#include "klaviyo_spool_read.h"
#include "klaviyo_spool_segment.h"
#include "klaviyo_spool_state.h"


static int klaviyo_spool_write_chunk(klaviyo_spool_t *spool,
    klaviyo_chunk_t *chunk, uint64_t position, char *error);


void
klaviyo_spool_state(const klaviyo_spool_t *spool,
    klaviyo_spool_state_t *state)
{
    memcpy(state->ring, spool->slot.ring, KLAVIYO_RING_UUID_LEN);
    memcpy(state->previous, spool->slot.previous, KLAVIYO_RING_UUID_LEN);

    state->adoption = spool->slot.adoption;
    state->head = spool->slot.head_seq + spool->slot.delta;
    state->tail = spool->slot.tail_seq + spool->slot.delta;
    state->position = spool->slot.position;
    state->used = klaviyo_spool_used(spool);
    state->segments = spool->segments;
    state->abandoned = spool->abandoned;
}


klaviyo_spool_rc_e
klaviyo_spool_adopt(klaviyo_spool_t *spool, const uint8_t *uuid,
    uint64_t first, uint64_t from, uint64_t to, uint64_t adoption, uint64_t *n,
    char *error)
{
    uint64_t                  size;
    klaviyo_spool_slot_t      slot;
    klaviyo_spool_segment_t  *segment;

    error[0] = '\0';
    *n = 0;

    slot = spool->slot;

    from -= slot.delta;

    if (to == UINT64_MAX) {
        klaviyo_spool_scan_tail(spool, &slot.tail_offset, &slot.tail_seq);
        to = slot.tail_seq;

    } else {
        to -= slot.delta;
    }

    if (klaviyo_spool_lt(slot.tail_seq, to)) {
        to = slot.tail_seq;
    }

    if (klaviyo_spool_lt(from, slot.head_seq)) {
        from = slot.head_seq;
    }

    if (klaviyo_spool_lt(to, from)) {
        to = from;
    }

    /* what the segment has behind `to` is not in its sequences any more */

    segment = klaviyo_spool_segment_of(spool, to - 1);

    if (segment && segment->number != slot.tail_segment) {

        size = klaviyo_record_align(segment->size);

        if (size > KLAVIYO_SPOOL_SEGMENT_MAX) {
            size = KLAVIYO_SPOOL_SEGMENT_MAX;
        }

        slot.tail_segment = segment->number;
        slot.tail_offset = size;
    }

    segment = klaviyo_spool_segment_of(spool, from);

    if (segment && segment->number > slot.head_segment) {
        slot.head_segment = segment->number;
    }

    if (slot.head_segment > slot.tail_segment) {
        slot.head_segment = slot.tail_segment;
    }

    if (memcmp(slot.ring, uuid, KLAVIYO_RING_UUID_LEN) != 0) {
        memcpy(slot.previous, slot.ring, KLAVIYO_RING_UUID_LEN);
    }

    memcpy(slot.ring, uuid, KLAVIYO_RING_UUID_LEN);
    slot.adoption = adoption;
    slot.delta = first - to;
    slot.head_seq = from;
    slot.tail_seq = to;
    slot.position = 0;

    if (klaviyo_spool_commit(spool, &slot, error) == -1) {
        return KLAVIYO_SPOOL_ERROR;
    }

    klaviyo_crash("spool_adopted");

    if (spool->write_fd != -1) {
        (void) close(spool->write_fd);
        spool->write_fd = -1;
    }

    klaviyo_spool_prune(spool);

    *n = to - from;

    return KLAVIYO_SPOOL_OK;
}


klaviyo_spool_rc_e
klaviyo_spool_write(klaviyo_spool_t *spool, klaviyo_chunk_t *chunk,
    uint64_t position, char *error)
{
    int                   rc;
    uint64_t              delta, used, heads;
    struct stat           st;
    klaviyo_spool_slot_t  slot;

    error[0] = '\0';

    delta = spool->slot.delta;

    if (chunk->used == 0
        || !klaviyo_spool_le(spool->slot.tail_seq, chunk->from - delta))
    {
        errno = EINVAL;
        (void) klaviyo_file_error(error, "events from %llu on do not follow "
                                  "what the spool \"%s\" has",
                                  (unsigned long long) chunk->from,
                                  spool->dir.path);
        return KLAVIYO_SPOOL_ERROR;
    }

    /* a commit that failed is settled before its bytes are touched */

    if (spool->doubtful) {
        slot = spool->slot;

        if (klaviyo_spool_commit(spool, &slot, error) == -1) {
            return KLAVIYO_SPOOL_ERROR;
        }

        klaviyo_spool_prune(spool);
    }

    /* a segment begins when nothing is left, or when ours was removed */

    if (spool->write_fd != -1
        && (spool->slot.head_seq == spool->slot.tail_seq
            || (fstat(spool->write_fd, &st) == 0 && st.st_nlink == 0)))
    {
        (void) close(spool->write_fd);
        spool->write_fd = -1;
    }

    if (spool->write_fd == -1) {
        klaviyo_spool_trim(spool);
    }

    used = klaviyo_spool_used(spool);
    heads = chunk->used / (spool->segment_size / 2) + 2;

    if (used + chunk->used + heads * KLAVIYO_SPOOL_BLOCK > spool->size) {
        return KLAVIYO_SPOOL_FULL;
    }

    klaviyo_chunk_renumber(chunk, 0 - delta);

    rc = klaviyo_spool_write_chunk(spool, chunk, position, error);

    klaviyo_chunk_renumber(chunk, delta);

    return rc == 0 ? KLAVIYO_SPOOL_OK : KLAVIYO_SPOOL_ERROR;
}


static int
klaviyo_spool_write_chunk(klaviyo_spool_t *spool, klaviyo_chunk_t *chunk,
    uint64_t position, char *error)
{
    int                   rc, tries;
    uint64_t              from;
    klaviyo_spool_slot_t  slot;

    slot = spool->slot;
    from = spool->next;
    rc = -1;

    for (tries = 0; tries < 2; tries++) {
        from = spool->next;

        rc = klaviyo_spool_segment_write(spool, chunk->start, chunk->used,
                                         &slot, error);

        if (rc == 0) {
            break;
        }

        klaviyo_spool_abandon(spool, from);
    }

    if (rc == -1) {
        return -1;
    }

    if (slot.head_seq == slot.tail_seq) {
        slot.head_segment = from;
    }

    slot.tail_seq = chunk->to;
    slot.position = position;

    if (klaviyo_spool_commit(spool, &slot, error) == -1
        && klaviyo_spool_commit(spool, &slot, error) == -1)
    {
        (void) close(spool->write_fd);
        spool->write_fd = -1;

        return -1;
    }

    error[0] = '\0';

    klaviyo_crash("spool_committed");

    if (tries) {
        klaviyo_spool_prune(spool);
    }

    return 0;
}


klaviyo_spool_rc_e
klaviyo_spool_forget(klaviyo_spool_t *spool, uint64_t seq, char *error)
{
    klaviyo_spool_slot_t      slot;
    klaviyo_spool_segment_t  *segment;

    error[0] = '\0';

    slot = spool->slot;
    seq -= slot.delta;

    if (!klaviyo_spool_lt(slot.head_seq, seq)) {
        return KLAVIYO_SPOOL_OK;
    }

    if (klaviyo_spool_lt(slot.tail_seq, seq)) {
        slot.tail_seq = seq;
        slot.position = 0;
    }

    /* of an empty spool it is enough that the next commit tells it */

    if (spool->slot.head_seq == spool->slot.tail_seq) {
        slot.head_seq = seq;
        spool->slot = slot;

        return KLAVIYO_SPOOL_OK;
    }

    segment = klaviyo_spool_segment_of(spool, seq);

    if (segment && segment->number > slot.head_segment) {
        slot.head_segment = segment->number;
    }

    slot.head_seq = seq;

    if (klaviyo_spool_commit(spool, &slot, error) == -1) {
        return KLAVIYO_SPOOL_ERROR;
    }

    klaviyo_crash("spool_forget_committed");

    klaviyo_spool_prune(spool);

    return KLAVIYO_SPOOL_OK;
}


void
klaviyo_spool_second(const klaviyo_spool_t *spool, uint64_t *seq)
{
    size_t                    i;
    uint64_t                  second;
    klaviyo_spool_segment_t  *segment;

    second = spool->slot.tail_seq;

    for (i = 0; i < spool->segments; i++) {
        segment = &spool->segment[i];

        if (!segment->bad
            && klaviyo_spool_lt(spool->slot.head_seq, segment->first)
            && klaviyo_spool_lt(segment->first, second))
        {
            second = segment->first;
        }
    }

    *seq = second + spool->slot.delta;
}
