/*
 * When Klaviyo refuses too many events for good, something is wrong with all
 * of them: the breaker opens, and what is left stays in the queue instead of
 * going to the dead letters.
 *
 *     closed      up to 100 refused events a minute, and up to 5 per cent of
 *                 those that ended in it (10 are always allowed)
 *     open        nothing is sent, for a minute, then twice as long, ...
 *     half open   one request at a time finds out: one that is accepted
 *                 whole closes it, one refused event more than a closed one
 *                 allows opens it again
 *
 * Plain C.  Times are milliseconds of CLOCK_BOOTTIME.  All zero: closed.
 */


#ifndef KLAVIYO_BREAKER_H
#define KLAVIYO_BREAKER_H


#include <stdint.h>


#define KLAVIYO_BREAKER_MINUTE   60000   /* ms                              */
#define KLAVIYO_BREAKER_REFUSED  100     /* events a minute                 */
#define KLAVIYO_BREAKER_SHARE    5       /* per cent of those that ended    */
#define KLAVIYO_BREAKER_ALWAYS   10      /* events, whatever their share    */


typedef enum {
    KLAVIYO_BREAKER_CLOSED = 0,
    KLAVIYO_BREAKER_OPEN,
    KLAVIYO_BREAKER_HALF_OPEN
} klaviyo_breaker_state_e;


typedef struct {
    int64_t                  since;      /* of the minute that is counted   */
    int64_t                  until;      /* open: when it is half open      */
    uint32_t                 ended;      /* in this minute                  */
    uint32_t                 refused;
    uint32_t                 opened;     /* times in a row                  */
    klaviyo_breaker_state_e  state;
} klaviyo_breaker_t;


/* the state as of now: open turns half open when its time has come */
klaviyo_breaker_state_e klaviyo_breaker_state(klaviyo_breaker_t *breaker,
    int64_t now);

/*
 * An answer ended `ended` events, `refused` of them for good.  1: that is
 * allowed and was counted; 0: the breaker is open now, for at most `max` ms;
 * book nothing of this answer, keep the events.
 */
int klaviyo_breaker_allow(klaviyo_breaker_t *breaker, uint32_t ended,
    uint32_t refused, int64_t max, int64_t now);


#endif /* KLAVIYO_BREAKER_H */
