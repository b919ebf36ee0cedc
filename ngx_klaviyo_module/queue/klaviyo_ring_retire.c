/*
 * The queue room: the end of a drained ring.
 *
 * Who gets byte 0 of it exclusively knows that nobody appends to it any more.
 * Then its outcomes go over in one ack slot, together with its uuid: a kill
 * before the unlink does not add them twice.  What cannot be unlinked gives
 * its blocks back.
 *
 * Plain C.  May touch both rings, and the drained one's file.
 */


#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_retire.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"
#include "klaviyo_ring_totals.h"


int
klaviyo_ring_retire(klaviyo_ring_t *ring, klaviyo_ring_t *old)
{
    int                  i;
    uint64_t             n, again;
    klaviyo_cursor_t     end;
    klaviyo_ring_slot_t  slot, from;

    if (klaviyo_file_lock(old->fd, F_WRLCK, KLAVIYO_RING_LOCK_ATTACHED) != 0) {
        return 0;
    }

    klaviyo_ring_slot_get(old, &from);
    again = klaviyo_ring_end(old, &end);

    if (from.done != end.seq
        || from.seq != end.seq
        || klaviyo_ring_lock(ring) != KLAVIYO_RING_OK)
    {
        (void) klaviyo_file_lock(old->fd, F_RDLCK,
                                 KLAVIYO_RING_LOCK_ATTACHED);
        return 0;
    }

    klaviyo_ring_slot_get(ring, &slot);

    if (!klaviyo_ring_slot_stands(ring, &slot)) {
        __atomic_store_n(&ring->common->detached, 1, __ATOMIC_RELAXED);

    } else if (memcmp(slot.retired, old->fixed.uuid, KLAVIYO_RING_UUID_LEN)
               != 0)
    {
        for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
            slot.outcome[i] += from.outcome[i];
            slot.base -= from.outcome[i];
        }

        memcpy(slot.retired, old->fixed.uuid, KLAVIYO_RING_UUID_LEN);

        klaviyo_ring_slot_put(ring, &slot);
    }

    klaviyo_ring_unlock(ring);

    if (klaviyo_ring_detached(ring)) {
        (void) klaviyo_file_lock(old->fd, F_RDLCK,
                                 KLAVIYO_RING_LOCK_ATTACHED);
        return 0;
    }

    memset(from.outcome, 0, sizeof(from.outcome));
    from.outcome[KLAVIYO_RING_PUT_AGAIN] = again;
    from.base = from.done - again;

    klaviyo_ring_slot_put(old, &from);

    /* taking each away as it is added: a kill here loses one at most */

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        n = __atomic_exchange_n(&old->counter[i], 0, __ATOMIC_RELAXED);
        klaviyo_ring_count(ring, i, n);
    }

    klaviyo_ring_totals_add(ring, old);

    (void) unlinkat(old->dir_fd, old->name, 0);

    /* others may have it mapped as idly as we had: no truncation */

    __atomic_store_n(&old->common->detached, 1, __ATOMIC_RELAXED);

    (void) fallocate(old->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                     0, (off_t) old->map_size);

    return 1;
}
