/*
 * How fast Klaviyo may be asked.  Klaviyo documents for each class
 *
 *     single         350 in 1 s,  3,500 in 60 s
 *     bulk            10 in 1 s,    150 in 60 s
 *     profiles        10 in 1 s,    150 in 60 s
 *     subscriptions   75 in 1 s,    700 in 60 s
 *
 * each times `share`.  The minute is what binds a backlog: its requests are
 * spread over it, a small reserve ahead, and the second is kept by that, too.
 *
 * Klaviyo counts arrivals, and one request is longer on its way than another.
 * So a minute counts as KLAVIYO_LIMITER_SPAN here, by exact times: however
 * the way of two requests differs within the second that this adds, no window
 * of Klaviyo's holds more than it documents.
 *
 * The struct is stored as it is, in the ring and in shared memory: fixed
 * layout, no pointers, all zero is the state of a fresh start.  Times are
 * milliseconds of CLOCK_BOOTTIME.
 */


#ifndef KLAVIYO_LIMITER_H
#define KLAVIYO_LIMITER_H


#include <stdint.h>


#define KLAVIYO_LIMITER_WINDOW  60000            /* ms                      */
#define KLAVIYO_LIMITER_JITTER  1000             /* ms                      */
#define KLAVIYO_LIMITER_SPAN    (KLAVIYO_LIMITER_WINDOW                      \
                                 + KLAVIYO_LIMITER_JITTER)

#define KLAVIYO_LIMITER_LOG     150

/* more than 1 only to measure without limits, see bench/ */

#ifndef KLAVIYO_LIMITER_TIMES
#define KLAVIYO_LIMITER_TIMES   1
#endif


typedef enum {
    KLAVIYO_LIMITER_SINGLE = 0,
    KLAVIYO_LIMITER_BULK,        /* and what its lane has in its place      */
    KLAVIYO_LIMITER_N
} klaviyo_limiter_class_e;


typedef struct {
    uint64_t  n;                 /* requests so far                         */
    uint64_t  grain;             /* of these to an entry of the log         */
    int64_t   sent[KLAVIYO_LIMITER_LOG];  /* request i, and those that share
                                             its entry, went at the latest at
                                             sent[i / grain % LOG]          */
    int64_t   turn;              /* of the next request, microseconds       */
    int64_t   reset_at;          /* until when `remaining` holds            */
    int64_t   remaining;         /* as Klaviyo said; counted down           */
} klaviyo_limiter_lane_t;


typedef struct klaviyo_limiter_s {
    klaviyo_limiter_lane_t  lane[KLAVIYO_LIMITER_N];
} klaviyo_limiter_t;


/* requests in a minute, where the lane has no other limit */
unsigned klaviyo_limiter_limit(klaviyo_limiter_class_e lane);

/*
 * Milliseconds until one more request may go, 0: now (and then it has been
 * counted).  `of` requests are allowed in a minute, see klaviyo_limiter_limit()
 * and klaviyo_lane.h; `share` is 1 to 100 per cent of them; at least one
 * request a window is always allowed.  A clock that went back counts as no
 * time passed.
 */
int64_t klaviyo_limiter_take(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, unsigned of, unsigned share, int64_t now);

/*
 * A request of this class goes now, by somebody else's leave: it is counted as
 * if it had been taken.
 */
void klaviyo_limiter_went(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, unsigned of, unsigned share, int64_t now);

/*
 * What an answer said of the minute: `remaining` requests for `reset`
 * seconds.  Negative values mean that the header was absent; a reset of more
 * than a minute is not believed, and counts as absent.
 */
void klaviyo_limiter_correct(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, int64_t remaining, int64_t reset,
    int64_t now);

/*
 * Of two memories of the same account, for each class the one that has sent
 * last becomes `limiter`'s; the other's if both have.
 */
void klaviyo_limiter_merge(klaviyo_limiter_t *limiter,
    const klaviyo_limiter_t *other);


#endif /* KLAVIYO_LIMITER_H */
