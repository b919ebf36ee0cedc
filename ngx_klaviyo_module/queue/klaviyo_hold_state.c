/*
 * The queue room: the saved state of events that wait, and their figures.
 *
 * Plain C.
 */


#include <string.h>

#include "klaviyo_hold_state.h"
#include "klaviyo_ring_ack.h"
#include "klaviyo_ring_figures.h"


#define KLAVIYO_HOLD_MARK  0x3144484b   /* "KHD1" */


int
klaviyo_hold_state_load(klaviyo_ring_t *ring, klaviyo_hold_state_t *state)
{
    int64_t  unused;

    if (klaviyo_ring_load(ring, &unused, state, sizeof(klaviyo_hold_state_t))
        == KLAVIYO_RING_DETACHED)
    {
        return 0;
    }

    if (state->magic != KLAVIYO_HOLD_MARK) {
        memset(state, 0, sizeof(klaviyo_hold_state_t));
        state->magic = KLAVIYO_HOLD_MARK;
    }

    return 1;
}


void
klaviyo_hold_state_known(klaviyo_hold_state_t *state, uint64_t waiting)
{
    uint64_t  done, known;

    if (state->held < waiting) {
        state->held = waiting;
    }

    done = state->held - waiting;
    known = state->released + state->expired + state->lost;

    if (known <= done) {
        state->lost += done - known;
        return;
    }

    known -= done;

    if (state->released >= known) {
        state->released -= known;
        return;
    }

    known -= state->released;
    state->released = 0;

    if (state->expired >= known) {
        state->expired -= known;
        return;
    }

    state->lost -= known - state->expired;
    state->expired = 0;
}


void
klaviyo_hold_figures(klaviyo_ring_t *ring, klaviyo_hold_figures_t *figures)
{
    uint64_t              lost;
    klaviyo_figures_t     of_ring;
    klaviyo_hold_state_t  state;

    memset(figures, 0, sizeof(klaviyo_hold_figures_t));

    klaviyo_ring_figures(ring, &of_ring);

    lost = of_ring.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
           + of_ring.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY]
           + of_ring.detached;

    if (klaviyo_hold_state_load(ring, &state)) {
        figures->held = state.held;
        figures->waiting = state.waiting;
        figures->released = state.released;
        figures->expired = state.expired;
        figures->lost = state.lost;
    }

    figures->held += lost;
    figures->lost += lost;
    figures->size = of_ring.size;
    figures->used = of_ring.used;
    figures->attached = of_ring.attached;
}
