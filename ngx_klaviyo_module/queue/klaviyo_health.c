/*
 * How an account fares.  What is read here may come from a damaged file:
 * indices are bounded, texts end, times may be anything.
 */


#include <stddef.h>
#include <string.h>

#include "klaviyo_health.h"


#define klaviyo_state_entry(constant, name, what, todo)  { name, what, todo },

const klaviyo_state_name_t  klaviyo_state_names[] = {
    KLAVIYO_STATES(klaviyo_state_entry)
    { NULL, NULL, NULL }
};

#undef klaviyo_state_entry


_Static_assert(KLAVIYO_STATE_N <= KLAVIYO_STATE_MAX,
               "more states than the health has room for");


klaviyo_state_e
klaviyo_health_states(const klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now,
    uint64_t states[KLAVIYO_STATE_N])
{
    unsigned  i;

    memset(states, 0, KLAVIYO_STATE_N * sizeof(uint64_t));

    if (!figures->attached) {
        states[KLAVIYO_STATE_QUEUE_GONE] = 1;
        return KLAVIYO_STATE_QUEUE_GONE;
    }

    if (health->since && health->cause <= KLAVIYO_STATE_THROTTLED) {
        states[health->cause] = 1;
    }

    if (figures->paused_until) {
        states[KLAVIYO_STATE_THROTTLED] = 1;
    }

    states[KLAVIYO_STATE_BREAKER_OPEN] = (health->breaker != 0);

    states[KLAVIYO_STATE_QUEUE_FULL] =
                           (health->full > now - KLAVIYO_HEALTH_MINUTE);

    states[KLAVIYO_STATE_NO_DELIVERER] = (figures->deliverer == 0);

    if (figures->captured == 0) {

        if (figures->counter[KLAVIYO_COUNT_SKIPPED_ANONYMOUS]
            >= KLAVIYO_HEALTH_FEW)
        {
            states[KLAVIYO_STATE_ANONYMOUS_ONLY] = 1;

        } else {
            states[KLAVIYO_STATE_NOTHING_CAPTURED] = 1;
        }
    }

    for (i = 0; i < KLAVIYO_STATE_DELIVERING; i++) {
        if (states[i]) {
            return i;
        }
    }

    states[KLAVIYO_STATE_DELIVERING] = 1;

    return KLAVIYO_STATE_DELIVERING;
}


void
klaviyo_health_answer(klaviyo_health_t *health,
    const klaviyo_health_answer_t *answer)
{
    klaviyo_health_answer_t  *last;

    if (health->answers) {
        last = &health->answer[(health->answers - 1) % KLAVIYO_HEALTH_ANSWERS];

        if (last->status == answer->status
            && memcmp(last->title, answer->title,
                      sizeof(klaviyo_health_answer_t)
                      - offsetof(klaviyo_health_answer_t, title))
               == 0)
        {
            last->time = answer->time;
            last->times++;
            return;
        }
    }

    last = &health->answer[health->answers++ % KLAVIYO_HEALTH_ANSWERS];

    *last = *answer;
    last->times = 1;
}


int
klaviyo_health_last(const klaviyo_health_t *health, unsigned n,
    klaviyo_health_answer_t *answer)
{
    if (n >= health->answers || n >= KLAVIYO_HEALTH_ANSWERS) {
        return 0;
    }

    *answer = health->answer[(health->answers - 1 - n)
                             % KLAVIYO_HEALTH_ANSWERS];

    answer->title[sizeof(answer->title) - 1] = '\0';
    answer->detail[sizeof(answer->detail) - 1] = '\0';
    answer->pointer[sizeof(answer->pointer) - 1] = '\0';

    return 1;
}


void
klaviyo_health_sample(klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now)
{
    klaviyo_health_sample_t  *sample;

    if (health->samples) {
        sample = &health->sample[(health->samples - 1)
                                 % KLAVIYO_HEALTH_SAMPLES];

        if (now >= sample->time && now - sample->time < KLAVIYO_HEALTH_SAMPLE) {
            return;
        }
    }

    sample = &health->sample[health->samples++ % KLAVIYO_HEALTH_SAMPLES];

    sample->time = now;
    sample->captured = figures->captured;
    sample->delivered = figures->outcome[KLAVIYO_OUTCOME_DELIVERED]
                        + figures->outcome[KLAVIYO_OUTCOME_DRY_RUN]
                        + figures->outcome[KLAVIYO_OUTCOME_HANDED_OVER];
}


void
klaviyo_health_minute(const klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now, uint64_t *captured,
    uint64_t *delivered)
{
    unsigned                        i;
    uint64_t                        ended;
    const klaviyo_health_sample_t  *sample, *from;

    *captured = 0;
    *delivered = 0;

    from = NULL;

    for (i = 0; i < KLAVIYO_HEALTH_SAMPLES && i < health->samples; i++) {
        sample = &health->sample[i];

        if (sample->time > now
            || sample->time < now - KLAVIYO_HEALTH_MINUTE
                              - KLAVIYO_HEALTH_SAMPLE)
        {
            continue;
        }

        if (from == NULL || sample->time < from->time) {
            from = sample;
        }
    }

    if (from == NULL) {
        return;
    }

    ended = figures->outcome[KLAVIYO_OUTCOME_DELIVERED]
            + figures->outcome[KLAVIYO_OUTCOME_DRY_RUN]
            + figures->outcome[KLAVIYO_OUTCOME_HANDED_OVER];

    if (figures->captured > from->captured) {
        *captured = figures->captured - from->captured;
    }

    if (ended > from->delivered) {
        *delivered = ended - from->delivered;
    }
}
