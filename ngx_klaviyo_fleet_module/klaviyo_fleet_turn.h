/*
 * A host's turn, as the fleet's answers say: one for each class of requests.
 *
 *     NONE ──ask──▶ ASKED ──answer: 0──▶ GRANTED ──taken──▶ NONE
 *                     ▲    ──answer: ms─▶ WAITS ──its time──┐
 *                     └─────────────────────────────────────┘
 *
 * A grant goes stale: Klaviyo's windows have room for a second between the
 * asking and the request.  Plain C; times are milliseconds of CLOCK_BOOTTIME.
 */


#ifndef KLAVIYO_FLEET_TURN_H
#define KLAVIYO_FLEET_TURN_H


#include <stdint.h>


#define KLAVIYO_FLEET_ASKED  -1

/* without an answer for so long a host goes on by itself, ms */
#define KLAVIYO_FLEET_AWAY   2000


typedef enum {
    KLAVIYO_FLEET_LOOK = 0,
    KLAVIYO_FLEET_TAKE,          /* and it goes now, if it may               */
    KLAVIYO_FLEET_NEAR           /* or goes another way if that takes long  */
} klaviyo_fleet_ask_e;


typedef enum {
    KLAVIYO_FLEET_TURN_NONE = 0,
    KLAVIYO_FLEET_TURN_ASKED,
    KLAVIYO_FLEET_TURN_WAITS,
    KLAVIYO_FLEET_TURN_GRANTED
} klaviyo_fleet_turn_e;


typedef struct {
    klaviyo_fleet_turn_e  state;
    int64_t               asked;
    int64_t               at;
    unsigned              near:1;    /* asked so: it has no ticket          */
} klaviyo_fleet_turn_t;


/*
 * Milliseconds until a request may go, 0: now, or KLAVIYO_FLEET_ASKED.  A
 * grant is good for `fresh` ms.  *ask: the fleet is to be asked now; 1 or 0.
 */
int64_t klaviyo_fleet_turn(klaviyo_fleet_turn_t *turn,
    klaviyo_fleet_ask_e how, int64_t fresh, int64_t now, int *ask);

/* the fleet said so many ms, 0: granted */
void klaviyo_fleet_turn_answer(klaviyo_fleet_turn_t *turn, int64_t wait,
    int64_t now);

/* nobody is asked any more: the connection is gone */
void klaviyo_fleet_turn_reset(klaviyo_fleet_turn_t *turn);

/*
 * While there is no connection, and the last answer came at `contact`:
 * milliseconds until this host goes on by itself, 0: it does.
 */
int64_t klaviyo_fleet_away(int64_t contact, int64_t now);


#endif /* KLAVIYO_FLEET_TURN_H */
