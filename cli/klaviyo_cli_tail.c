/*
 * klaviyo-queue tail: events as they come, and what becomes of them, in
 * words.  Of a visitor it says by what he is known, and not who he is.
 */


#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json/klaviyo_pointer.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_watch.h"
#include "queue/klaviyo_lane.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_health.h"
#include "queue/klaviyo_ring_inspect.h"


#define KLAVIYO_CLI_METRIC  128


typedef struct {
    const klaviyo_cli_t  *cli;
    klaviyo_health_t      health;
    klaviyo_state_e       state;
    uint64_t              answers;   /* that were told                       */
    unsigned              begun:1;
} klaviyo_cli_tail_t;


typedef struct {
    const char  *pointer;
    const char  *words;
} klaviyo_cli_known_t;


static void klaviyo_cli_tail_came(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched, const klaviyo_event_t *event);
static void klaviyo_cli_tail_ended(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched);
static void klaviyo_cli_tail_health(klaviyo_cli_watch_t *watch);
static void klaviyo_cli_tail_skipped(const klaviyo_figures_t *before,
    const klaviyo_figures_t *now);
static void klaviyo_cli_tail_time(int64_t ms);
static void klaviyo_cli_tail_event(const klaviyo_event_t *event);
static uint8_t *klaviyo_cli_tail_object(const klaviyo_event_t *event,
    klaviyo_slice_t *object);


static const klaviyo_cli_known_t  klaviyo_cli_known[] = {
    { "/attributes/email", "email" },
    { "/attributes/phone_number", "phone_number" },
    { "/attributes/external_id", "external_id" },
    { "/attributes/_kx", "_kx" },
    { "/attributes/anonymous_id", "anonymous_id" },
    { "/id", "id" },
    { NULL, NULL }
};


int
klaviyo_cli_tail(const klaviyo_cli_t *cli)
{
    int                  rc;
    char                 error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_figures_t    before;
    klaviyo_cli_tail_t   tail;
    klaviyo_cli_watch_t  watch;

    memset(&tail, 0, sizeof(klaviyo_cli_tail_t));
    memset(&watch, 0, sizeof(klaviyo_cli_watch_t));

    tail.cli = cli;

    watch.dead_letter = cli->dead_letter;
    watch.came = klaviyo_cli_tail_came;
    watch.ended = klaviyo_cli_tail_ended;
    watch.data = &tail;

    if (klaviyo_ring_open(&watch.ring, cli->ring, KLAVIYO_RING_LOOK, error)
        != KLAVIYO_RING_OK)
    {
        return klaviyo_cli_error("%s", error);
    }

    (void) setvbuf(stdout, NULL, _IOLBF, 0);

    if (klaviyo_ring_damaged(watch.ring, error)) {
        rc = klaviyo_cli_error("%s", error);

    } else {
        rc = klaviyo_cli_watch_start(&watch);
    }

    while (rc == KLAVIYO_CLI_OK) {
        klaviyo_cli_tail_health(&watch);

        before = watch.figures;
        rc = klaviyo_cli_watch_step(&watch);

        if (rc == KLAVIYO_CLI_OK) {
            klaviyo_cli_tail_skipped(&before, &watch.figures);
            rc = klaviyo_cli_flush();
        }

        klaviyo_cli_watch_wait();
    }

    klaviyo_cli_watch_stop(&watch);
    klaviyo_ring_detach(watch.ring);

    return rc;
}


static void
klaviyo_cli_tail_came(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched, const klaviyo_event_t *event)
{
    klaviyo_cli_tail_t  *tail;

    tail = watch->data;

    klaviyo_cli_tail_time(watched->time);
    (void) printf("#%-6" PRIu64 " captured   ", watched->number);
    klaviyo_cli_tail_event(event);

    if (tail->cli->full) {
        klaviyo_cli_line_print(stdout, event);
    }
}


static void
klaviyo_cli_tail_ended(klaviyo_cli_watch_t *watch,
    const klaviyo_cli_watched_t *watched)
{
    unsigned                  n;
    int64_t                   now;
    const char               *group, *name;
    klaviyo_cli_tail_t       *tail;
    klaviyo_health_answer_t   answer;

    tail = watch->data;
    now = klaviyo_cli_now();

    klaviyo_cli_tail_time(now);
    (void) printf("#%-6" PRIu64 " ", watched->number);

    if (watched->fate == KLAVIYO_CLI_AGAIN) {
        (void) printf("set aside  it fails while others are accepted, and is "
                      "tried again by itself\n");
        return;
    }

    if (watched->fate == KLAVIYO_CLI_MIXED) {
        (void) printf("ended      in the same moment as others that ended "
                      "differently\n");
        return;
    }

    group = klaviyo_outcome_names[watched->outcome].group;
    name = klaviyo_outcome_names[watched->outcome].name;

    if (strcmp(group, "lost") == 0) {
        (void) printf("lost       %s\n", name);
        return;
    }

    if (strcmp(group, "dead") != 0) {
        (void) printf("%-10s after %.1f s\n", name,
                      (now > watched->time ? now - watched->time : 0) / 1e3);
        return;
    }

    (void) printf("given up   %s", name);

    if (watched->status) {
        (void) printf(", %u", watched->status);

        /* Klaviyo's words without what they may quote */

        klaviyo_ring_health(watch->ring, &tail->health);

        for (n = 0; klaviyo_health_last(&tail->health, n, &answer); n++) {

            if (answer.status == watched->status) {
                klaviyo_cli_print(" \"%s\" %s%s%s", answer.title,
                                  answer.detail,
                                  answer.pointer[0] ? " at " : "",
                                  answer.pointer);
                break;
            }
        }
    }

    (void) printf(tail->cli->dead_letter ? "; it is in the dead letters\n"
                                         : "\n");
}


/* how the account fares, when that changes */

static void
klaviyo_cli_tail_health(klaviyo_cli_watch_t *watch)
{
    int64_t                      now;
    uint64_t                     states[KLAVIYO_STATE_N];
    klaviyo_state_e              state;
    klaviyo_cli_tail_t          *tail;
    klaviyo_health_answer_t      answer;
    const klaviyo_state_name_t  *name;

    tail = watch->data;
    now = klaviyo_cli_now();

    klaviyo_ring_health(watch->ring, &tail->health);

    state = klaviyo_health_states(&tail->health, &watch->figures, now,
                                  states);

    if (tail->begun && tail->health.answers != tail->answers
        && klaviyo_health_last(&tail->health, 0, &answer))
    {
        klaviyo_cli_tail_time(answer.time);
        (void) printf("%-7s answer     ", "");

        if (answer.status) {
            (void) printf("%u ", answer.status);
        }

        klaviyo_cli_print("\"%s\" %s%s%s\n", answer.title, answer.detail,
                          answer.pointer[0] ? " at " : "", answer.pointer);
    }

    tail->answers = tail->health.answers;

    if (tail->begun && state == tail->state) {
        return;
    }

    name = &klaviyo_state_names[state];

    klaviyo_cli_tail_time(now);
    (void) printf("%-7s now        %s; %" PRIu64 " wait%s%s\n", "",
                  name->what, watch->figures.queued,
                  name->todo[0] ? "; " : "", name->todo);

    tail->state = state;
    tail->begun = 1;
}


static void
klaviyo_cli_tail_skipped(const klaviyo_figures_t *before,
    const klaviyo_figures_t *now)
{
    int       i;
    uint64_t  n;

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        n = now->counter[i] - before->counter[i];

        if (n == 0 || strcmp(klaviyo_counter_names[i].group, "skipped") != 0) {
            continue;
        }

        klaviyo_cli_tail_time(klaviyo_cli_now());
        (void) printf("%-7s no event   %" PRIu64 " %s\n", "", n,
                      klaviyo_skipped_words(klaviyo_counter_names[i].name));
    }
}


static void
klaviyo_cli_tail_time(int64_t ms)
{
    time_t     s;
    struct tm  tm;

    s = (time_t) (ms / 1000);

    if (localtime_r(&s, &tm) == NULL) {
        memset(&tm, 0, sizeof(struct tm));
    }

    (void) printf("%02d:%02d:%02d.%03d  ", tm.tm_hour, tm.tm_min, tm.tm_sec,
                  (int) (((ms % 1000) + 1000) % 1000));
}


static void
klaviyo_cli_tail_event(const klaviyo_event_t *event)
{
    size_t                 properties;
    uint8_t               *copy, buf[8 * KLAVIYO_CLI_METRIC];
    unsigned               i, known;
    klaviyo_scan_t         scan;
    klaviyo_slice_t        object, value, name, profile;
    const klaviyo_lane_t  *lane;

    static const char  metric[] = "/metric/data/attributes/name";

    copy = klaviyo_cli_tail_object(event, &object);

    if (copy == NULL) {
        (void) printf("(not readable)\n");
        return;
    }

    if (klaviyo_pointer_find(&object, (const uint8_t *) metric,
                             sizeof(metric) - 1, &value)
        && klaviyo_scan_type(value.data) == KLAVIYO_SCAN_STRING
        && value.len <= sizeof(buf))
    {
        klaviyo_cli_print("\"%.*s\"",
                          (int) klaviyo_scan_string(&value, buf), buf);
    }

    lane = klaviyo_lane_of(event);

    if (lane->head) {
        (void) printf("one of \"%s\"", lane->name);
    }

    profile.data = event->profile;
    profile.len = event->profile_len;
    known = 0;

    for (i = 0; klaviyo_cli_known[i].pointer; i++) {

        if (klaviyo_pointer_find(&profile, (const uint8_t *)
                                 klaviyo_cli_known[i].pointer,
                                 strlen(klaviyo_cli_known[i].pointer),
                                 &value))
        {
            (void) printf("%s%s", known++ ? ", " : " of a visitor known by ",
                          klaviyo_cli_known[i].words);
        }
    }

    if (lane->head) {
        (void) putchar('\n');
        free(copy);
        return;
    }

    properties = 0;

    if (klaviyo_pointer_find(&object, (const uint8_t *) "/properties",
                             sizeof("/properties") - 1, &value))
    {
        klaviyo_scan_enter(&scan, &value);

        while (klaviyo_scan_next(&scan, &name)) {
            klaviyo_scan_value(&scan, &value);
            properties++;
        }
    }

    (void) printf("; %zu propert%s\n", properties,
                  properties == 1 ? "y" : "ies");

    free(copy);
}


/*
 * The members of an event's attributes as the object that they are; in other
 * lanes it is the head of a request, which is closed.
 */

static uint8_t *
klaviyo_cli_tail_object(const klaviyo_event_t *event, klaviyo_slice_t *object)
{
    size_t                len;
    uint8_t              *copy;
    const char           *end;
    klaviyo_slice_t       profile;
    klaviyo_scan_seen_t   seen;

    end = klaviyo_lane_of(event)->head ? "\"profiles\":[]}}" : "}";
    len = strlen(end);

    copy = malloc(1 + event->attributes_len + len);

    if (copy == NULL) {
        return NULL;
    }

    copy[0] = '{';
    memcpy(copy + 1, event->attributes, event->attributes_len);
    memcpy(copy + 1 + event->attributes_len, end, len);

    object->data = copy;
    object->len = 1 + event->attributes_len + len;

    profile.data = event->profile;
    profile.len = event->profile_len;

    if (klaviyo_scan_check(object, &seen)
        && klaviyo_scan_check(&profile, &seen))
    {
        return copy;
    }

    free(copy);

    return NULL;
}
