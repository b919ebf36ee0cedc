/*
 * klaviyo-queue send: one test event by the way of all events, through the
 * queue and nginx's deliverer, and what becomes of it.
 *
 * Klaviyo's 202 says that it was submitted, and not that it is there: with a
 * key that may read events, Klaviyo is asked for it.
 */


#define _GNU_SOURCE
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "json/klaviyo_check.h"
#include "json/klaviyo_json.h"
#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_health.h"
#include "klaviyo_cli_http.h"
#include "klaviyo_cli_rights.h"
#include "klaviyo_cli_watch.h"


#define KLAVIYO_CLI_METRIC    "klaviyo-queue test"
#define KLAVIYO_CLI_MINUTE    60         /* s that its end is waited for     */
#define KLAVIYO_CLI_SHOWN     30000      /* ms that Klaviyo is asked for it  */
#define KLAVIYO_CLI_ASK       2000       /* ms between two questions         */
#define KLAVIYO_CLI_ID        48
#define KLAVIYO_CLI_EVENT_MAX 2048


typedef struct {
    char                    id[KLAVIYO_CLI_ID];
    size_t                  id_len;
    klaviyo_cli_watched_t   end;         /* WAITS: not yet                   */
    unsigned                came:1;
} klaviyo_cli_send_t;


static int klaviyo_cli_send_key(klaviyo_cli_t *cli, klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t **account);
static int klaviyo_cli_send_event(const klaviyo_cli_t *cli,
    klaviyo_cli_send_t *send, uint8_t *buf, klaviyo_event_t *event);
static int klaviyo_cli_send_put(const klaviyo_cli_t *cli,
    klaviyo_cli_send_t *send);
static void klaviyo_cli_send_came(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched, const klaviyo_event_t *event);
static void klaviyo_cli_send_ended(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched);
static int klaviyo_cli_send_wait(const klaviyo_cli_t *cli,
    klaviyo_cli_send_t *send, klaviyo_cli_watch_t *watch);
static int klaviyo_cli_send_end(klaviyo_cli_send_t *send,
    klaviyo_cli_watch_t *watch, int64_t began);
static int klaviyo_cli_send_shown(klaviyo_cli_send_t *send,
    const klaviyo_cli_account_t *account);


static klaviyo_cli_conf_t  klaviyo_cli_send_conf;


int
klaviyo_cli_send(klaviyo_cli_t *cli)
{
    int                     rc;
    klaviyo_cli_conf_t     *conf;
    klaviyo_cli_send_t      send;
    klaviyo_cli_account_t  *account;

    if (cli->email == NULL
        || !klaviyo_value_is_email((const uint8_t *) cli->email,
                                   strlen(cli->email)))
    {
        return klaviyo_cli_error("\"send\" needs an email of yours, whose "
                                 "profile gets the event: "
                                 "--email=you@shop.com");
    }

    memset(&send, 0, sizeof(klaviyo_cli_send_t));

    conf = &klaviyo_cli_send_conf;

    (void) setvbuf(stdout, NULL, _IOLBF, 0);

    /* with root's rights; the rest with those of whose the queue is */

    rc = klaviyo_cli_send_key(cli, conf, &account);

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_rights_drop(cli);
    }

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_send_put(cli, &send);
    }

    if (rc == KLAVIYO_CLI_OK
        && send.end.outcome == KLAVIYO_OUTCOME_DELIVERED)
    {
        rc = klaviyo_cli_send_shown(&send, account);
    }

    return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : rc;
}


/* without one the event goes the same way, and Klaviyo is not asked */

static int
klaviyo_cli_send_key(klaviyo_cli_t *cli, klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t **account)
{
    char         text[KLAVIYO_RING_ERROR_MAX];
    const char  *name, *wrong;

    *account = NULL;

    name = strrchr(cli->ring, '/');
    name = name ? name + 1 : cli->ring;

    cli->name = cli->ring;

    if (klaviyo_cli_conf_read(cli, conf) != KLAVIYO_CLI_OK) {
        (void) klaviyo_cli_error("the configuration of nginx cannot be read: "
                                 "Klaviyo will not be asked for the event");
        return KLAVIYO_CLI_OK;
    }

    *account = klaviyo_cli_conf_find(conf, name);

    if (*account == NULL) {
        return klaviyo_cli_error("there is no klaviyo_account \"%s\" in the "
                                 "configuration of nginx", name);
    }

    wrong = klaviyo_cli_conf_key(conf, *account, text);

    if (wrong) {
        (void) klaviyo_cli_error("%s: Klaviyo will not be asked for the "
                                 "event", wrong);
        *account = NULL;
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_send_event(const klaviyo_cli_t *cli, klaviyo_cli_send_t *send,
    uint8_t *buf, klaviyo_event_t *event)
{
    int64_t          now;
    uint8_t          time[KLAVIYO_TIME_LEN];
    uint64_t         random[2];
    klaviyo_json_t   json;

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        return klaviyo_cli_error("getrandom() failed");
    }

    send->id_len = (size_t) snprintf(send->id, sizeof(send->id),
                                     "test-%016" PRIx64 "%016" PRIx64,
                                     random[0], random[1]);

    now = klaviyo_cli_now();
    klaviyo_value_format_time(time, now / 1000);

    memset(event, 0, sizeof(klaviyo_event_t));

    event->time = now;
    event->unique_id = (const uint8_t *) send->id;
    event->unique_id_len = send->id_len;
    event->profile = buf;

    klaviyo_json_init(&json, buf, KLAVIYO_CLI_EVENT_MAX);

    klaviyo_json_literal(&json, "{\"type\":\"profile\",\"attributes\":{"
                                "\"email\":");
    klaviyo_json_string(&json, (const uint8_t *) cli->email,
                        strlen(cli->email), KLAVIYO_EMAIL_MAX);
    klaviyo_json_literal(&json, "}}");

    event->profile_len = (size_t) (json.pos - json.start);
    event->attributes = json.pos;

    klaviyo_json_literal(&json, "\"properties\":{\"Source\":"
                                "\"klaviyo-queue send\",\"Test\":");
    klaviyo_json_string(&json, (const uint8_t *) send->id, send->id_len,
                        send->id_len);
    klaviyo_json_literal(&json, "},\"metric\":{\"data\":{\"type\":\"metric\","
                                "\"attributes\":{\"name\":\""
                                KLAVIYO_CLI_METRIC "\"}}},\"time\":");
    klaviyo_json_string(&json, time, KLAVIYO_TIME_LEN, KLAVIYO_TIME_LEN);
    klaviyo_json_literal(&json, ",\"unique_id\":");
    klaviyo_json_string(&json, (const uint8_t *) send->id, send->id_len,
                        send->id_len);

    event->attributes_len = (size_t) (json.pos - event->attributes);

    return json.overflow ? klaviyo_cli_error("the email is too long")
                         : KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_send_put(const klaviyo_cli_t *cli, klaviyo_cli_send_t *send)
{
    int                  rc;
    char                 error[KLAVIYO_RING_ERROR_MAX];
    uint8_t              buf[KLAVIYO_CLI_EVENT_MAX];
    klaviyo_event_t      event;
    klaviyo_ring_rc_e    put;
    klaviyo_cli_watch_t  watch;

    memset(&watch, 0, sizeof(klaviyo_cli_watch_t));

    watch.dead_letter = cli->dead_letter;
    watch.came = klaviyo_cli_send_came;
    watch.ended = klaviyo_cli_send_ended;
    watch.data = send;

    if (klaviyo_ring_open(&watch.ring, cli->ring, KLAVIYO_RING_JOIN, error)
        != KLAVIYO_RING_OK)
    {
        return klaviyo_cli_error("%s", error);
    }

    rc = klaviyo_cli_watch_start(&watch);

    if (rc == KLAVIYO_CLI_OK && !klaviyo_ring_in_use(watch.ring)) {
        rc = klaviyo_cli_error("no nginx delivers from \"%s\": start it first",
                               cli->ring);
    }

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_send_event(cli, send, buf, &event);
    }

    if (rc == KLAVIYO_CLI_OK) {
        put = klaviyo_ring_put(watch.ring, &event);

        if (put != KLAVIYO_RING_OK) {
            rc = klaviyo_cli_error(put == KLAVIYO_RING_FULL
                                   ? "the queue is full: nothing can be put "
                                     "into it until events are delivered"
                                   : "the event cannot be put into the queue");
        }
    }

    if (rc == KLAVIYO_CLI_OK) {
        (void) printf("queued     \"" KLAVIYO_CLI_METRIC "\" for %s, unique_id "
                      "\"%s\"; %" PRIu64 " wait before it\n", cli->email,
                      send->id, watch.figures.queued);

        rc = klaviyo_cli_send_wait(cli, send, &watch);
    }

    klaviyo_cli_watch_stop(&watch);
    klaviyo_ring_detach(watch.ring);

    return rc;
}


static void
klaviyo_cli_send_came(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched, const klaviyo_event_t *event)
{
    (void) watch;
    (void) watched;
    (void) event;
}


static void
klaviyo_cli_send_ended(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched)
{
    klaviyo_cli_send_t  *send;

    send = watch->data;

    if (watched->unique_id_len == send->id_len
        && memcmp(watched->unique_id, send->id, send->id_len) == 0
        && watched->fate != KLAVIYO_CLI_AGAIN)
    {
        send->end = *watched;
    }
}


static int
klaviyo_cli_send_wait(const klaviyo_cli_t *cli, klaviyo_cli_send_t *send,
    klaviyo_cli_watch_t *watch)
{
    int               rc;
    int64_t           began, until;
    uint64_t          states[KLAVIYO_STATE_N];
    klaviyo_state_e   state;
    klaviyo_health_t  health;

    began = klaviyo_cli_now();
    until = began + 1000 * (cli->timeout ? strtol(cli->timeout, NULL, 10)
                                         : KLAVIYO_CLI_MINUTE);

    do {
        rc = klaviyo_cli_watch_step(watch);

        if (rc != KLAVIYO_CLI_OK) {
            return rc;
        }

        if (send->end.fate != KLAVIYO_CLI_WAITS) {
            return klaviyo_cli_send_end(send, watch, began);
        }

        klaviyo_cli_watch_wait();

    } while (klaviyo_cli_now() < until);

    klaviyo_ring_health(watch->ring, &health);

    state = klaviyo_health_states(&health, &watch->figures, klaviyo_cli_now(),
                                  states);

    (void) printf("waits      after %" PRId64 " s: %s; %s\n",
                  (klaviyo_cli_now() - began) / 1000,
                  klaviyo_state_names[state].what,
                  klaviyo_state_names[state].todo[0]
                  ? klaviyo_state_names[state].todo
                  : "it is delivered behind those before it");

    return KLAVIYO_CLI_FAULTS;
}


static int
klaviyo_cli_send_end(klaviyo_cli_send_t *send, klaviyo_cli_watch_t *watch,
    int64_t began)
{
    klaviyo_health_t          health;
    klaviyo_health_answer_t   answer;

    if (send->end.fate == KLAVIYO_CLI_MIXED) {
        (void) printf("ended      in the same moment as others that ended "
                      "differently: see \"stat\"\n");
        send->end.outcome = KLAVIYO_OUTCOME_N;
        return KLAVIYO_CLI_FAULTS;
    }

    switch (send->end.outcome) {

    case KLAVIYO_OUTCOME_DELIVERED:
        (void) printf("delivered  after %.1f s: Klaviyo answered 202, which "
                      "says \"submitted\"\n",
                      (klaviyo_cli_now() - began) / 1e3);
        return KLAVIYO_CLI_OK;

    case KLAVIYO_OUTCOME_DRY_RUN:
        (void) printf("dry run    it was logged, and not sent: \"dry_run\" is "
                      "on\n");
        return KLAVIYO_CLI_OK;

    default:
        break;
    }

    klaviyo_ring_health(watch->ring, &health);

    (void) printf("given up   %s",
                  klaviyo_outcome_names[send->end.outcome].name);

    if (klaviyo_health_last(&health, 0, &answer)) {
        klaviyo_cli_print(", the last answer was %u \"%s\" %s%s%s",
                          answer.status, answer.title, answer.detail,
                          answer.pointer[0] ? " at " : "", answer.pointer);
    }

    (void) putchar('\n');

    return KLAVIYO_CLI_FAULTS;
}


static int
klaviyo_cli_send_shown(klaviyo_cli_send_t *send,
    const klaviyo_cli_account_t *account)
{
    int                 rc;
    char                path[256];
    time_t              since;
    int64_t             began;
    struct tm           tm;
    struct timespec     step;
    klaviyo_cli_http_t  http;
    klaviyo_verdict_e   verdict;
    unsigned            found;

    if (account == NULL) {
        return KLAVIYO_CLI_OK;
    }

    step.tv_sec = KLAVIYO_CLI_ASK / 1000;
    step.tv_nsec = 0;

    /* their clock need not be ours */

    began = klaviyo_cli_now();
    since = (time_t) (began / 1000 - 600);

    (void) gmtime_r(&since, &tm);
    (void) strftime(path, sizeof(path), "/api/events?filter="
                    "greater-or-equal(datetime,%Y-%m-%dT%H:%M:%SZ)"
                    "&sort=-datetime&page%%5Bsize%%5D=200", &tm);

    do {
        rc = klaviyo_cli_http(account, path, NULL, &http);

        if (rc != KLAVIYO_CLI_OK) {
            return rc;
        }

        verdict = klaviyo_reply_verdict(&http.answer);

        found = (verdict == KLAVIYO_REPLY_ACCEPTED && http.answer.body
                 && memmem(http.answer.body, http.answer.body_len, send->id,
                           send->id_len) != NULL);

        klaviyo_cli_http_free(&http);

        if (found) {
            (void) printf("there      Klaviyo shows it, after %.1f s\n",
                          (klaviyo_cli_now() - began) / 1e3);
            return KLAVIYO_CLI_OK;
        }

        if (verdict == KLAVIYO_REPLY_BLOCKED) {
            (void) printf("not asked  the key may not read events, with the "
                          "scope \"events:read\" Klaviyo would be asked\n");
            return KLAVIYO_CLI_OK;
        }

        (void) nanosleep(&step, NULL);

    } while (klaviyo_cli_now() - began < KLAVIYO_CLI_SHOWN);

    (void) printf("not there  Klaviyo does not show it after %u s: emails at "
                  "example.com and test.com it drops, others may take longer\n",
                  KLAVIYO_CLI_SHOWN / 1000);

    return KLAVIYO_CLI_FAULTS;
}
