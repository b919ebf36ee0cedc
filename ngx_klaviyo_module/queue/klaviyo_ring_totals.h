#ifndef KLAVIYO_RING_TOTALS_H
#define KLAVIYO_RING_TOTALS_H


#include "klaviyo_ring.h"
#include "klaviyo_totals.h"


/* one more in a distribution */
void klaviyo_ring_observe(klaviyo_ring_t *ring,
    klaviyo_histogram_e histogram, uint64_t value);
void klaviyo_ring_histogram(klaviyo_ring_t *ring,
    klaviyo_histogram_e histogram, klaviyo_histogram_t *read);

/*
 * An event that was captured, by its metric; klaviyo_ring_append() has done
 * so, also of one that had no room.  What is replayed is not counted.
 */
void klaviyo_ring_captured(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);

/* an event that found the ring locked for too long, and is lost */
void klaviyo_ring_lost_busy(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);

/* how many were read; `now` is ms of CLOCK_REALTIME */
unsigned klaviyo_ring_metrics(klaviyo_ring_t *ring, int64_t now,
    klaviyo_metric_t read[KLAVIYO_METRICS + 1]);

/* klaviyo_ring_totals.c: adds the totals of a drained ring, and zeroes them */
void klaviyo_ring_totals_add(klaviyo_ring_t *ring, klaviyo_ring_t *old);

extern const klaviyo_bounds_t  klaviyo_bounds[];


#endif /* KLAVIYO_RING_TOTALS_H */
