#ifndef KLAVIYO_RING_FIGURES_H
#define KLAVIYO_RING_FIGURES_H


#include "klaviyo_ring.h"


/* one consistent look without the lock; OK or DETACHED */
klaviyo_ring_rc_e klaviyo_ring_span(klaviyo_ring_t *ring,
    klaviyo_ring_span_t *span);

/* for the figures only: until when requests of this kind wait; 0: none does */
void klaviyo_ring_wait(klaviyo_ring_t *ring, klaviyo_wait_e kind,
    int64_t until);

/* while it is quiet this process counts nothing; its caller does not yield */
void klaviyo_ring_quiet(klaviyo_ring_t *ring, unsigned quiet);

void klaviyo_ring_count(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n);

/* for counters that are a level, not a sum */
void klaviyo_ring_set(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n);

void klaviyo_ring_figures(klaviyo_ring_t *ring, klaviyo_figures_t *figures);


#endif /* KLAVIYO_RING_FIGURES_H */
