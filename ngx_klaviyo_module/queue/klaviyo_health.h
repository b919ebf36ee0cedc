/*
 * How an account fares: whether its events are delivered, since when not, and
 * for which cause; when one was accepted last; the last answers that were no
 * success.  The deliverer keeps it in the ring, klaviyo_ring_health_put(), so
 * that all workers know it, and the deliverer after a reload.
 *
 *                 an answer but a success       30 s, or it is the key,
 *                 +------------------------+    its scope, the endpoint
 *                 |                        v             |
 *     delivering -+                     failing ---------+--> told in the log,
 *                 ^                        |                  once a minute for
 *                 +------------------------+                  each cause
 *                   a success; told if the failure was
 *
 * Plain C.  Times are milliseconds of CLOCK_REALTIME, 0: never.  Part of the
 * ring's format; texts are bounded and may lack their NUL in a damaged file.
 */


#ifndef KLAVIYO_HEALTH_H
#define KLAVIYO_HEALTH_H


#include "klaviyo_figures.h"


#define KLAVIYO_HEALTH_ANSWERS  10
#define KLAVIYO_HEALTH_SAMPLES  13
#define KLAVIYO_HEALTH_SAMPLE   5000     /* ms between two                   */
#define KLAVIYO_HEALTH_MINUTE   60000
#define KLAVIYO_HEALTH_FEW      10       /* anonymous requests: too few to
                                            say that all are                 */


/*
 * States of an account, X(constant, name, what it is, what to do).  The worst
 * first; several may be so at a time, and "delivering" if no other is.  Those
 * up to THROTTLED are causes of a failure, too.  Appended to only before
 * DELIVERING: klaviyo_health_t.told has their order.
 */

#define KLAVIYO_STATES(X)                                                    \
    X(QUEUE_GONE,      "queue_gone",                                         \
      "the queue's file is damaged or gone: events are lost",                \
      "reload nginx, which makes it anew")                                   \
    X(QUEUE_FULL,      "queue_full",                                         \
      "the queue is full and events are lost",                               \
      "give \"queue\" more \"size\", or the account a \"spool\"")            \
    X(KEY_REFUSED,     "key_refused",                                        \
      "Klaviyo refuses the key",                                             \
      "events are kept; check the key, its scope \"events:write\" and "      \
      "whether it was revoked, then reload nginx")                           \
    X(SCOPE_MISSING,   "scope_missing",                                      \
      "the key may not write events",                                        \
      "events are kept; check the key, its scope \"events:write\" is "       \
      "needed (for profiles \"profiles:write\" and \"lists:write\", for "    \
      "subscriptions \"subscriptions:write\" too), then reload nginx")       \
    X(ENDPOINT_WRONG,  "endpoint_wrong",                                     \
      "what answers does not know such requests",                            \
      "events are kept; check the key, its scope \"events:write\", "         \
      "\"endpoint\" and \"revision\", then reload nginx")                    \
    X(CHALLENGE,       "challenge",                                          \
      "a firewall answers in the place of Klaviyo",                          \
      "events are kept; let this server's address through, or send through " \
      "another with \"proxy\"")                                              \
    X(UNREACHABLE,     "unreachable",                                        \
      "Klaviyo cannot be reached",                                           \
      "events are kept; check the network, DNS, a firewall and \"proxy\"")   \
    X(SERVER_ERROR,    "server_error",                                       \
      "Klaviyo answers with errors of its own",                              \
      "events are kept and sent when it is well again; see "                 \
      "status.klaviyo.com")                                                  \
    X(THROTTLED,       "throttled",                                          \
      "Klaviyo throttles the key",                                           \
      "events are kept; see who else uses the key, or lower \"share\"")      \
    X(BREAKER_OPEN,    "breaker_open",                                       \
      "the breaker is open: Klaviyo refuses too many events",                \
      "those refused are set aside; the dead letters say what is wrong "     \
      "with them")                                                           \
    X(NO_DELIVERER,    "no_deliverer",                                       \
      "no worker delivers",                                                  \
      "see the error log; it is so for a moment after a start")              \
    X(ANONYMOUS_ONLY,  "anonymous_only",                                     \
      "only anonymous visitors came, and no event was captured",             \
      "say who a visitor is with \"klaviyo_profile email\", or let "         \
      "\"klaviyo_identity\" read Klaviyo's cookie")                          \
    X(NOTHING_CAPTURED, "nothing_captured",                                  \
      "nothing was captured yet",                                            \
      "make a request to a location with \"klaviyo_track\"")                 \
    X(DELIVERING,      "delivering",                                         \
      "events are delivered", "")


#define klaviyo_state_constant(constant, name, what, todo)                   \
    KLAVIYO_STATE_##constant,

typedef enum {
    KLAVIYO_STATES(klaviyo_state_constant)
    KLAVIYO_STATE_N
} klaviyo_state_e;

#undef klaviyo_state_constant


#define KLAVIYO_STATE_MAX  16            /* of the format                    */


typedef struct {
    const char  *name;
    const char  *what;
    const char  *todo;
} klaviyo_state_name_t;


extern const klaviyo_state_name_t  klaviyo_state_names[];


/* an answer that was no success; of a run of the same ones, the last */

typedef struct {
    int64_t      time;
    uint32_t     status;         /* of HTTP; 0: no answer                    */
    uint32_t     times;          /* in a row                                 */
    char         title[64];      /* Klaviyo's, or why there was no answer    */
    char         detail[160];
    char         pointer[80];
} klaviyo_health_answer_t;


typedef struct {
    int64_t      time;
    uint64_t     captured;
    uint64_t     delivered;
} klaviyo_health_sample_t;


typedef struct {
    int64_t      success;        /* the last one                             */
    int64_t      since;          /* nothing was accepted; 0: it delivers     */
    uint64_t     cause;          /* klaviyo_state_e, while since != 0        */
    int64_t      breaker;        /* open since then; 0: closed               */
    int64_t      full;           /* when events were last lost to a full one */
    int64_t      oldest;         /* event that waits; 0: not known           */
    int64_t      told[KLAVIYO_STATE_MAX];  /* in the log                     */

    uint64_t     samples;        /* so far; the last is at (samples - 1) % n */
    uint64_t     answers;        /* the same                                 */

    klaviyo_health_sample_t  sample[KLAVIYO_HEALTH_SAMPLES];
    klaviyo_health_answer_t  answer[KLAVIYO_HEALTH_ANSWERS];
} klaviyo_health_t;


/* the state that comes first, and each in states[]: 1 if so, else 0 */
klaviyo_state_e klaviyo_health_states(const klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now,
    uint64_t states[KLAVIYO_STATE_N]);

/* the deliverer's: one more answer */
void klaviyo_health_answer(klaviyo_health_t *health,
    const klaviyo_health_answer_t *answer);

/* the n-th last answer, n from 0 on, with texts that end; 0: there is none */
int klaviyo_health_last(const klaviyo_health_t *health, unsigned n,
    klaviyo_health_answer_t *answer);

/* the deliverer's, as often as it likes */
void klaviyo_health_sample(klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now);

/* events in the last minute, as far as it is known */
void klaviyo_health_minute(const klaviyo_health_t *health,
    const klaviyo_figures_t *figures, int64_t now, uint64_t *captured,
    uint64_t *delivered);


#endif /* KLAVIYO_HEALTH_H */
