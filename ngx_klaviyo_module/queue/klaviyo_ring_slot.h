#ifndef KLAVIYO_RING_SLOT_H
#define KLAVIYO_RING_SLOT_H


#include "klaviyo_ring_private.h"


/* a consistent copy of the standing ack slot; the lock is not needed */
void klaviyo_ring_slot_get(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot);

/* 1: it is what klaviyo_ring_slot_put() wrote there */
int klaviyo_ring_slot_whole(const klaviyo_ring_slot_t *slot, uint64_t number);

/* 1: the newest slot that is whole, whichever of them stands */
int klaviyo_ring_slot_newest(klaviyo_ring_t *ring,
    klaviyo_ring_slot_t *newest);

/* makes the copy the standing slot; under the lock, or alone */
void klaviyo_ring_slot_put(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot);

/* how many queued events are there twice; `again`: of klaviyo_ring_end() */
uint64_t klaviyo_ring_slot_twice(const klaviyo_ring_slot_t *slot,
    uint64_t end, uint64_t again);

/* the least of it, consistent as well; the lock is not needed */
void klaviyo_ring_head(klaviyo_ring_t *ring, klaviyo_ring_head_t *head);

/* the same under the lock, of what klaviyo_ring_slot_get() gave: it stands */
static inline int
klaviyo_ring_slot_stands(const klaviyo_ring_t *ring,
    const klaviyo_ring_slot_t *slot)
{
    uint64_t  generation;

    generation = klaviyo_ring_get(&ring->shared->ack_generation);

    return slot->generation == generation
           && klaviyo_ring_slot_whole(slot, generation & 1);
}


#endif /* KLAVIYO_RING_SLOT_H */
