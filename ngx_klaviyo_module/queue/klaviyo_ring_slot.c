/*
 * The queue room: the two acknowledgement slots, one of which stands.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only.
 */


#include <string.h>

#include "klaviyo_crash.h"
#include "klaviyo_crc32c.h"
#include "klaviyo_ring_slot.h"


/*
 * Readers of the standing slot need no lock: it stays untouched until its
 * successor stands, and the generation tells that.
 */

void
klaviyo_ring_slot_get(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot)
{
    uint64_t  generation;

    do {
        generation = klaviyo_ring_acquire(&ring->shared->ack_generation);

        memcpy(slot, ring->slot[generation & 1], sizeof(klaviyo_ring_slot_t));

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

    } while (klaviyo_ring_get(&ring->shared->ack_generation) != generation);
}


void
klaviyo_ring_head(klaviyo_ring_t *ring, klaviyo_ring_head_t *head)
{
    uint64_t              generation;
    klaviyo_ring_slot_t  *slot;

    do {
        generation = klaviyo_ring_acquire(&ring->shared->ack_generation);

        slot = ring->slot[generation & 1];
        head->first.position = klaviyo_ring_get(&slot->position);
        head->first.seq = klaviyo_ring_get(&slot->seq);
        head->done = klaviyo_ring_get(&slot->done);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

    } while (klaviyo_ring_get(&ring->shared->ack_generation) != generation);
}


/* Numbers only grow, and never come near their end. */

int
klaviyo_ring_slot_whole(const klaviyo_ring_slot_t *slot, uint64_t number)
{
    return slot->crc == klaviyo_crc32c(0, slot,
                                       offsetof(klaviyo_ring_slot_t, crc))
           && (slot->generation & 1) == number
           && slot->generation <= INT64_MAX
           && slot->position <= INT64_MAX
           && slot->position % 16 == 0
           && slot->seq <= INT64_MAX
           && slot->done <= slot->seq;
}


int
klaviyo_ring_slot_newest(klaviyo_ring_t *ring, klaviyo_ring_slot_t *newest)
{
    int                  found;
    uint64_t             i;
    klaviyo_ring_slot_t  slot;

    found = 0;

    for (i = 0; i < 2; i++) {
        memcpy(&slot, ring->slot[i], sizeof(klaviyo_ring_slot_t));

        if (klaviyo_ring_slot_whole(&slot, i)
            && (!found || slot.generation > newest->generation))
        {
            *newest = slot;
            found = 1;
        }
    }

    return found;
}


/* More than are queued are of a deliverer that died: both records count. */

uint64_t
klaviyo_ring_slot_twice(const klaviyo_ring_slot_t *slot, uint64_t end,
    uint64_t again)
{
    uint64_t  queued;

    queued = end - slot->done;

    if (again < slot->outcome[KLAVIYO_RING_PUT_AGAIN]) {
        return 0;
    }

    again -= slot->outcome[KLAVIYO_RING_PUT_AGAIN];

    return (again < queued) ? again : queued;
}


void
klaviyo_ring_slot_put(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot)
{
    slot->generation = klaviyo_ring_get(&ring->shared->ack_generation) + 1;
    slot->crc = klaviyo_crc32c(0, slot, offsetof(klaviyo_ring_slot_t, crc));

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    memcpy(ring->slot[slot->generation & 1], slot,
           sizeof(klaviyo_ring_slot_t));

    klaviyo_crash("before_ack_commit");

    __atomic_store_n(&ring->shared->ack_generation, slot->generation,
                     __ATOMIC_RELEASE);

    klaviyo_crash("after_ack_commit");

    /* seen before what is written into the space that it gives back */

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
