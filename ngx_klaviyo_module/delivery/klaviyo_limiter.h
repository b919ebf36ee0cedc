/*
 * How fast Klaviyo may be asked: sliding windows that never let more through
 * in any interval of a window's length than Klaviyo documents for it.
 *
 *     single  350 in 1 s,  3,500 in 60 s
 *     bulk     10 in 1 s,    150 in 60 s
 *
 * each times `share`.  A window is counted in slices, and the slice that has
 * partly left the window counts whole, so that an error is always on the
 * careful side.  The struct is stored in the ring as it is: fixed layout, no
 * pointers, all zero is the state of a fresh start.  Times are milliseconds
 * of CLOCK_BOOTTIME.
 */


#ifndef KLAVIYO_LIMITER_H
#define KLAVIYO_LIMITER_H


#include <stdint.h>


#define KLAVIYO_LIMITER_SLICES  12


typedef enum {
    KLAVIYO_LIMITER_SINGLE = 0,
    KLAVIYO_LIMITER_BULK,
    KLAVIYO_LIMITER_N
} klaviyo_limiter_class_e;


typedef struct {
    int64_t   slice;             /* number of the newest slice              */
    uint32_t  sent[KLAVIYO_LIMITER_SLICES];
} klaviyo_limiter_window_t;


typedef struct {
    klaviyo_limiter_window_t  burst;
    klaviyo_limiter_window_t  steady;
    int64_t                   reset_at;   /* until when `remaining` holds   */
    int64_t                   remaining;  /* as Klaviyo said; counted down  */
} klaviyo_limiter_lane_t;


typedef struct {
    klaviyo_limiter_lane_t  lane[KLAVIYO_LIMITER_N];
} klaviyo_limiter_t;


/*
 * Milliseconds until one more request may go, 0: now (and then it has been
 * counted).  `share` is 1 to 100 per cent; at least one request a window is
 * always allowed.  A clock that went back counts as no time passed.
 */
int64_t klaviyo_limiter_take(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, unsigned share, int64_t now);

/*
 * What an answer said of the steady window: `remaining` requests for `reset`
 * seconds.  Negative values mean that the header was absent.
 */
void klaviyo_limiter_correct(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, int64_t remaining, int64_t reset,
    int64_t now);


#endif /* KLAVIYO_LIMITER_H */
