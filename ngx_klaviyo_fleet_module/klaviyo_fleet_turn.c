/*
 * A host's turn.  Room: fleet, plain C.
 */


#include "klaviyo_fleet_turn.h"


#define KLAVIYO_FLEET_WAIT_MAX  3600000      /* ms, of a pause               */


int64_t
klaviyo_fleet_turn(klaviyo_fleet_turn_t *turn, klaviyo_fleet_ask_e how,
    int64_t fresh, int64_t now, int *ask)
{
    *ask = 0;

    switch (turn->state) {

    case KLAVIYO_FLEET_TURN_ASKED:
        return KLAVIYO_FLEET_ASKED;

    case KLAVIYO_FLEET_TURN_GRANTED:
        if (now - turn->asked <= fresh) {

            if (how == KLAVIYO_FLEET_TAKE) {
                turn->state = KLAVIYO_FLEET_TURN_NONE;
            }

            return 0;
        }

        break;

    case KLAVIYO_FLEET_TURN_WAITS:
        if (now < turn->at && (!turn->near || how == KLAVIYO_FLEET_NEAR)) {
            return turn->at - now;
        }

        break;

    default: /* KLAVIYO_FLEET_TURN_NONE */
        break;
    }

    turn->state = KLAVIYO_FLEET_TURN_ASKED;
    turn->asked = now;
    turn->near = (how == KLAVIYO_FLEET_NEAR);

    *ask = 1;

    return KLAVIYO_FLEET_ASKED;
}


void
klaviyo_fleet_turn_answer(klaviyo_fleet_turn_t *turn, int64_t wait,
    int64_t now)
{
    if (turn->state != KLAVIYO_FLEET_TURN_ASKED) {
        return;
    }

    if (wait <= 0) {
        turn->state = KLAVIYO_FLEET_TURN_GRANTED;
        return;
    }

    turn->state = KLAVIYO_FLEET_TURN_WAITS;
    turn->at = now + (wait < KLAVIYO_FLEET_WAIT_MAX ? wait
                                                   : KLAVIYO_FLEET_WAIT_MAX);
}


void
klaviyo_fleet_turn_reset(klaviyo_fleet_turn_t *turn)
{
    turn->state = KLAVIYO_FLEET_TURN_NONE;
}


int64_t
klaviyo_fleet_away(int64_t contact, int64_t now)
{
    int64_t  wait;

    wait = contact + KLAVIYO_FLEET_AWAY - now;

    return wait > 0 ? wait : 0;
}
