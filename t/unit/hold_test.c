/*
 * Events that wait for their visitor: let go, expired, dropped, read again
 * after a crash at any moment.
 */


#define _GNU_SOURCE

#include "ring.h"
#include "queue/klaviyo_hold.h"
#include "queue/klaviyo_hold_index.h"
#include "queue/klaviyo_hold_record.h"
#include "queue/klaviyo_hold_state.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_read.h"


#define TIME     10000                   /* ms that an event waits           */
#define ALL      100000
#define SECOND   1000

#define EMPTY    "{\"type\":\"profile\",\"attributes\":{}}"
#define NAMED    "{\"type\":\"profile\",\"attributes\":"                      \
                 "{\"properties\":{\"a\":1}}}"


static klaviyo_ring_t   *queue;
static klaviyo_ring_t   *waiting;
static klaviyo_lease_t   lease;
static klaviyo_hold_t   *hold;


static void
rings_open(size_t queue_size, size_t size)
{
    char  path[128];

    queue = ring_open(queue_size, 0);

    strcpy(path, ring_path);
    strcat(ring_path, ".hold");

    waiting = ring_open(size, 1);

    strcpy(ring_path, path);

    if (queue == NULL || waiting == NULL
        || klaviyo_lease_open(&lease, waiting) != 0
        || klaviyo_lease_renew(&lease) != KLAVIYO_RING_OK)
    {
        exit(2);
    }

    hold = klaviyo_hold_create(queue, waiting, TIME);
}


static void
rings_close(void)
{
    klaviyo_hold_destroy(hold);
    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(waiting);
    klaviyo_ring_detach(queue);
}


/* another process goes on with what is in the rings */

static void
restart(void)
{
    klaviyo_hold_destroy(hold);
    hold = klaviyo_hold_create(queue, waiting, TIME);
}


static klaviyo_ring_rc_e
event(const char *key, const char *id, const char *profile, int64_t time)
{
    uint8_t          buf[2048];
    klaviyo_event_t  e;

    static const char  attributes[] = "\"properties\":{\"URL\":\"/\"}";

    e.profile = (const uint8_t *) profile;
    e.profile_len = strlen(profile);
    e.attributes = (const uint8_t *) attributes;
    e.attributes_len = sizeof(attributes) - 1;
    e.unique_id = (const uint8_t *) id;
    e.unique_id_len = strlen(id);
    e.metric = 0;
    e.time = time;

    return klaviyo_hold_event(waiting, &e, (const uint8_t *) key, strlen(key),
                              buf);
}


static klaviyo_ring_rc_e
identity(const char *key, const char *beside, const char *members)
{
    return klaviyo_hold_identity(waiting, (const uint8_t *) key, strlen(key),
                                 (const uint8_t *) beside, strlen(beside),
                                 (const uint8_t *) members, strlen(members),
                                 0);
}


static int
run(int64_t now)
{
    return klaviyo_hold_run(hold, lease.epoch, now, ALL);
}


/* as text: "id time profile" of each event in the queue, and takes it out */

static const char *
arrived(void)
{
    size_t             len;
    uint8_t            buf[8192];
    klaviyo_ack_t      ack;
    klaviyo_lease_t    own;
    klaviyo_record_t   record;

    static char  text[1024 * 1024];

    len = 0;
    text[0] = '\0';

    memset(&ack, 0, sizeof(ack));
    klaviyo_ring_first(queue, &ack.from);
    ack.to = ack.from;

    while (len < sizeof(text) / 2
           && klaviyo_ring_read(queue, &ack.to, buf, sizeof(buf), &record)
              == KLAVIYO_RING_OK)
    {
        len += snprintf(text + len, sizeof(text) - len, "%s%.*s %d %.*s",
                        len ? "\n" : "",
                        (int) record.event.unique_id_len,
                        (const char *) record.event.unique_id,
                        (int) record.event.time,
                        (int) record.event.profile_len,
                        (const char *) record.event.profile);

        ack.to = record.next;
        ack.outcome[KLAVIYO_OUTCOME_DELIVERED]++;
    }

    klaviyo_lease_open(&own, queue);
    klaviyo_lease_renew(&own);
    klaviyo_ring_ack(queue, own.epoch, &ack, 0);
    klaviyo_lease_close(&own);

    return text;
}


static void
is_arrived(const char *expected, const char *what)
{
    const char  *text;

    text = arrived();

    is_str(text, expected, "%s", what);
}


static klaviyo_hold_figures_t
figures(void)
{
    klaviyo_hold_figures_t  f;

    klaviyo_hold_figures(waiting, &f);

    return f;
}


static void
is_figures(int w, int r, int e, int l, const char *when)
{
    klaviyo_hold_figures_t  f;

    f = figures();

    is_int(f.waiting, w, "%s: waiting", when);
    is_int(f.released, r, "%s: released", when);
    is_int(f.expired, e, "%s: expired", when);
    is_int(f.lost, l, "%s: lost", when);
    is_int(f.held, w + r + e + l, "%s: held is their sum", when);
}


static uint64_t
skipped(klaviyo_counter_e counter)
{
    klaviyo_figures_t  f;

    klaviyo_ring_figures(queue, &f);

    return f.counter[counter];
}


static void
test_release(void)
{
    rings_open(RING_SIZE, RING_SIZE);

    event("cA", "1", EMPTY, 100);
    event("cB", "2", EMPTY, 101);
    event("cA", "3", NAMED, 102);
    run(1000);

    is_arrived("", "nobody is known, nothing goes");
    is_figures(3, 0, 0, 0, "at first");
    is_int(ring_captured(queue), 0, "what waits is not captured");

    identity("cA", "", "\"_kx\":\"x.Y\",\"email\":\"a@b.com\"");
    event("cA", "4", EMPTY, 103);
    run(1000);

    is_arrived("1 100 {\"type\":\"profile\",\"attributes\":"
           "{\"_kx\":\"x.Y\",\"email\":\"a@b.com\"}}\n"
           "3 102 {\"type\":\"profile\",\"attributes\":"
           "{\"_kx\":\"x.Y\",\"email\":\"a@b.com\","
           "\"properties\":{\"a\":1}}}",
           "those of the key go, in their order, with their time");
    is_figures(2, 2, 0, 0, "then");
    is_int(ring_captured(queue), 2, "what went is captured");
    ring_equation(queue, "of the queue");

    identity("cB", ",\"id\":\"01X\"", "");
    run(1000);
    is_arrived("2 101 {\"type\":\"profile\",\"id\":\"01X\","
                      "\"attributes\":{}}", "an id alone");

    identity("cA", ",\"id\":\"01X\"", "\"_kx\":\"x.Y\"");
    run(1000);
    is_arrived("4 103 {\"type\":\"profile\",\"id\":\"01X\","
                      "\"attributes\":{\"_kx\":\"x.Y\"}}", "both");

    is_figures(0, 4, 0, 0, "in the end");
    is_int(ring_queued(waiting), 0, "nothing is left in the ring");

    event("kx.Y", "5", "{\"type\":\"profile\",\"attributes\":"
                       "{\"_kx\":\"x.Y\"}}", 104);
    event("cx.Y", "6", EMPTY, 104);
    identity("kx.Y", "", "");
    run(1000);
    is_arrived("5 104 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"x.Y\"}}", "without members, as it is");

    event("cZ", "7", "{\"type\":\"other\"}", 105);
    identity("cZ", "", "\"email\":\"a@b.com\"");
    run(1000);
    is_arrived("", "a profile without a place for members");
    is_figures(1, 5, 0, 1, "is lost");

    is_int(event("", "8", EMPTY, 1), KLAVIYO_RING_ERROR, "no key");
    is_int(identity("", "", ""), KLAVIYO_RING_ERROR, "no key");

    rings_close();
    ring_cleanup();
}


static void
test_expiry(void)
{
    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    event("cA", "1", EMPTY, 1000);
    event("kB", "2", EMPTY, 2000);
    event("cC", "3", EMPTY, 3000);

    run(1000 + TIME - 1);
    is_figures(3, 0, 0, 0, "before the time");

    run(1000 + TIME);
    is_figures(2, 0, 1, 0, "at the time");
    is_int(skipped(KLAVIYO_COUNT_SKIPPED_ANONYMOUS), 1, "as anonymous");

    identity("cA", "", "\"email\":\"a@b.com\"");
    run(2000 + TIME);
    is_arrived("", "too late");
    is_figures(1, 0, 2, 0, "a scanner");
    is_int(skipped(KLAVIYO_COUNT_SKIPPED_SCANNER), 1, "as scanner");

    identity("cC", "", "\"email\":\"a@b.com\"");
    run(9000 + TIME);
    is_figures(0, 1, 2, 0, "known in the step in which it would expire");

    is_int(ring_queued(waiting), 0, "the space is given back");
    ring_equation(waiting, "of those that wait");

    event("cD", "4", EMPTY, 20000);
    identity("cD", "", "\"_kx\":\"x.Y\"");
    is_int(klaviyo_hold_run(hold, lease.epoch, 20001 + TIME, 1), 1,
           "an identity is not read yet");
    is_figures(1, 1, 2, 0, "so nothing expires");
    run(20001 + TIME);
    is_figures(0, 2, 2, 0, "before it is");
    (void) arrived();

    rings_close();
    ring_cleanup();
}


/* the ring's room, then the index's; the queue's at last */

static void
test_full(void)
{
    char                     id[32];
    unsigned                 n, got;
    const char              *p;
    klaviyo_hold_figures_t   f;

    static char  large[1000];

    snprintf(large, sizeof(large), "%0900d", 0);

    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    for (n = 0; n < 5000; n++) {
        snprintf(id, sizeof(id), "%u", n);

        if (event("cA", id, EMPTY, 1000 + n) != KLAVIYO_RING_OK) {
            break;
        }

        if (n == 700) {
            run(2000);
        }
    }

    is_int(n, 5000, "a full ring takes events");
    run(2000);

    f = figures();
    is_int(f.held, 5000, "all were held");
    ok(f.waiting >= 900 && f.waiting <= 1024, "as many wait as there is room "
       "for: %d", (int) f.waiting);
    is_int(f.lost, 5000 - f.waiting, "the others are lost");

    is_int(identity("cA", "", "\"_kx\":\"x.Y\""), KLAVIYO_RING_OK,
           "an identity finds room, too");
    run(2000);

    got = 0;

    for (p = arrived(); *p; p++) {
        got += (*p == '\n' || p[1] == '\0');
    }

    f = figures();
    ok(got >= 500, "text of events");
    is_int(f.waiting, 0, "they all went");
    is_int(f.held, 5000, "held is the same");
    is_int(f.released + f.lost, 5000, "released and lost");
    is_int(ring_captured(queue), f.released, "as many as the queue got");
    is_arrived("", "once");

    /* the queue is full: they wait for room, and do not expire meanwhile */

    for (n = 0; klaviyo_ring_append(queue, &(klaviyo_event_t) {
             (uint8_t *) EMPTY, (uint8_t *) "", (uint8_t *) "f",
             sizeof(EMPTY) - 1, 0, 1, 0, 1 }) == KLAVIYO_RING_OK; n++)
    {
        /* void */
    }

    event("cB", "1", EMPTY, 5000);
    event("cB", "2", EMPTY, 5001);
    event("cC", "3", EMPTY, 5002);
    identity("cB", "", "\"_kx\":\"x.Y\"");

    is_int(run(6000), 0, "no room: not at once");
    is_int(run(5000 + 2 * TIME), 0, "not at once");
    is_int(figures().waiting, 3, "they wait");
    is_int(skipped(KLAVIYO_COUNT_LOST_QUEUE_FULL), 1, "and are not counted");

    restart();
    run(5000 + 2 * TIME);
    is_int(figures().waiting, 3, "they wait");

    (void) arrived();
    run(5000 + 2 * TIME);
    is_arrived("1 5000 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"x.Y\"}}\n"
                      "2 5001 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"x.Y\"}}", "until there is room");

    f = figures();
    is_int(f.expired, 1, "the third may expire");
    is_int(f.waiting, 0, "none waits");
    is_int(f.held, 5003, "held");

    rings_close();
    ring_cleanup();

    /* the ring's room, not the index's */

    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    for (n = 0; n < 400; n++) {
        snprintf(id, sizeof(id), "%u", n);
        event((n < 200) ? "cA" : "cB", id, large, 1000 + n);

        if (n == 199) {
            run(2000);
            is_int(figures().waiting, 200, "all are there");
        }
    }

    run(2000);

    f = figures();
    is_int(f.waiting, ring_queued(waiting), "those wait that are there");
    ok(f.lost > 50, "the others are lost: %d", (int) f.lost);
    is_int(f.held, 400, "held");

    rings_close();
    ring_cleanup();
}


static void
test_again(void)
{
    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    event("cA", "1", EMPTY, 1000);
    event("cB", "2", EMPTY, 1001);
    event("cC", "3", EMPTY, 1002);
    identity("cB", "", "\"_kx\":\"x.Y\"");
    run(2000);
    is_figures(2, 1, 0, 0, "before");
    (void) arrived();

    restart();
    run(2000);
    is_arrived("", "what went does not go again");
    is_figures(2, 1, 0, 0, "read again");

    restart();
    event("cB", "4", EMPTY, 1003);
    identity("cA", "", "\"_kx\":\"y.Y\"");
    identity("cB", "", "\"_kx\":\"x.Y\"");
    run(2000);
    is_arrived("1 1000 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"y.Y\"}}\n"
                      "4 1003 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"x.Y\"}}", "the others go");
    is_figures(1, 3, 0, 0, "after");

    /* without the lease nothing is remembered: as if killed after the step */

    identity("cC", "", "\"_kx\":\"z.Y\"");
    klaviyo_hold_run(hold, lease.epoch + 1, 2000, ALL);
    is_arrived("3 1002 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"z.Y\"}}", "killed before it is saved");
    is_figures(1, 3, 0, 0, "killed");

    restart();
    run(2000);
    is_arrived("3 1002 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"z.Y\"}}", "once more, with the same id");
    is_figures(0, 4, 0, 0, "in the end");

    /* the whole handle is new, as for another process after a kill -9 */

    event("cD", "5", EMPTY, 1004);
    event("cE", "6", EMPTY, 1005);
    run(2000);
    rings_close();
    rings_open(RING_SIZE, RING_SIZE);
    is_figures(2, 4, 0, 0, "attached again");
    identity("cE", "", "\"_kx\":\"x.Y\"");
    run(2000);
    is_arrived("6 1005 {\"type\":\"profile\",\"attributes\":"
                      "{\"_kx\":\"x.Y\"}}", "and goes on");

    /* another size: taken over, and let go */

    rings_close();
    rings_open(RING_SIZE, 2 * RING_SIZE);
    klaviyo_ring_drain(waiting, lease.epoch, 100);
    identity("cD", "", "\"_kx\":\"x.Y\"");
    run(2000);
    ok(strstr(arrived(), "5 1004 {\"type\":\"profile\",\"attributes\":"
                         "{\"_kx\":\"x.Y\"}}") != NULL,
       "from a ring of another size");

    rings_close();
    ring_cleanup();
}


/*
 * Chance: visitors are seen and known, the process is killed in the middle of
 * steps.  Each event goes at least once if its visitor was known after it
 * and before its time, and never otherwise.
 */

#define EVENTS    4000
#define VISITORS  40

static void
test_chance(void)
{
    int                      wrong, sums, again;
    char                     key[8], id[16], *line, *text;
    int64_t                  now;
    unsigned                 n, i, v, seed;
    klaviyo_hold_figures_t   f;

    static int      visitor[EVENTS], due[EVENTS], went[EVENTS];
    static int64_t  at[EVENTS];

    ring_folder();
    rings_open(1024 * 1024, 8 * 1024 * 1024);

    seed = 7;
    now = 1000;
    n = 0;
    wrong = 0;
    sums = 0;
    again = 0;

    while (n < EVENTS) {
        now += rand_r(&seed) % 5;
        v = rand_r(&seed) % VISITORS;

        snprintf(key, sizeof(key), "c%u", v);

        if (rand_r(&seed) % 10 < 8) {
            snprintf(id, sizeof(id), "%u", n);
            visitor[n] = (int) v;
            at[n] = now;
            event(key, id, EMPTY, now);
            n++;

        } else if (v % 4) {
            identity(key, "", "\"_kx\":\"x.Y\"");

            for (i = 0; i < n; i++) {
                if (visitor[i] == (int) v) {
                    due[i] = 1;
                }
            }
        }

        switch (rand_r(&seed) % 20) {

        case 0:
            restart();
            break;

        case 1:
            klaviyo_hold_run(hold, lease.epoch + 1, now, 1 + n % 7);
            restart();
            break;

        case 2:
            klaviyo_hold_run(hold, lease.epoch + 1, now, ALL);
            restart();
            again++;
            break;

        default:
            klaviyo_hold_run(hold, lease.epoch, now, 1 + n % 50);
            break;
        }

        f = figures();
        sums += (f.held != f.waiting + f.released + f.expired + f.lost);

        text = strdup(arrived());

        for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            i = (unsigned) atoi(line);
            wrong += (!due[i] || atoi(strchr(line, ' ')) != at[i]);
            went[i]++;
        }

        free(text);
    }

    ok(again > 50, "many kills");
    is_int(wrong, 0, "nothing goes that may not");
    is_int(sums, 0, "held is the sum, always");

    run(now);
    text = strdup(arrived());

    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        went[atoi(line)]++;
    }

    free(text);

    wrong = 0;

    for (i = 0; i < EVENTS; i++) {
        wrong += (at[i] + TIME > now && due[i] != (went[i] > 0));
    }

    is_int(wrong, 0, "all go whose visitor is known");

    f = figures();
    is_int(f.held, EVENTS, "held");
    is_int(f.lost, 0, "none is lost");

    for ( ;; ) {
        if (!run(now + TIME)) {
            break;
        }
    }

    f = figures();
    is_int(f.waiting, 0, "all others expire");
    is_int(ring_queued(waiting), 0, "the ring is empty");
    is_int(f.expired + f.released, EVENTS, "expired and released");

    rings_close();
    ring_cleanup();
}


/* what is told after a kill: those that wait are certain, the others follow */

static void
test_known(void)
{
    unsigned              i;
    klaviyo_hold_state_t  s;

    static const struct {
        uint64_t  waiting, held, released, expired, lost;
    } test[] = {
        { 4, 10, 2, 3, 1 },
        { 3, 10, 2, 3, 2 },          /* fewer: dropped unseen               */
        { 5, 10, 1, 3, 1 },          /* more: not let go, as it seems       */
        { 6, 10, 0, 3, 1 },
        { 7, 10, 0, 2, 1 },          /* nor expired                         */
        { 9, 10, 0, 0, 1 },
        { 10, 10, 0, 0, 0 },         /* nor lost                            */
        { 12, 12, 0, 0, 0 }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        memset(&s, 0, sizeof(s));
        s.held = 10;
        s.released = 2;
        s.expired = 3;
        s.lost = 1;

        klaviyo_hold_state_known(&s, test[i].waiting);

        ok(s.held == test[i].held && s.released == test[i].released
           && s.expired == test[i].expired && s.lost == test[i].lost,
           "%d wait: %d held, %d released, %d expired, %d lost",
           (int) test[i].waiting, (int) s.held, (int) s.released,
           (int) s.expired, (int) s.lost);
    }
}


static klaviyo_ring_rc_e
large_event(const char *key, size_t size)
{
    static uint8_t   buf[2048], bytes[256 * 1024];
    klaviyo_event_t  e;

    memset(&e, 0, sizeof(e));
    e.profile = (const uint8_t *) EMPTY;
    e.profile_len = sizeof(EMPTY) - 1;
    e.attributes = bytes;
    e.attributes_len = size;
    e.unique_id = (const uint8_t *) "L";
    e.unique_id_len = 1;
    e.time = 1000;

    return klaviyo_hold_event(waiting, &e, (const uint8_t *) key, strlen(key),
                              buf);
}


/* larger than what is read at once, and than what the queue takes */

static void
test_large(void)
{
    ring_folder();
    rings_open(4 * RING_SIZE, 4 * RING_SIZE);
    is_int(large_event("cA", 100000), KLAVIYO_RING_OK, "a large one waits");
    identity("cA", "", "\"_kx\":\"x.Y\"");
    run(2000);
    is_figures(0, 1, 0, 0, "it went");
    is_int(ring_queued(queue), 1, "to the queue");
    rings_close();
    ring_cleanup();

    ring_folder();
    rings_open(RING_SIZE, 4 * RING_SIZE);
    large_event("cA", 100000);
    event("cA", "2", EMPTY, 1000);
    identity("cA", "", "\"_kx\":\"x.Y\"");
    run(2000);
    is_figures(0, 1, 0, 1, "what the queue cannot take is lost");
    rings_close();
    ring_cleanup();
}


/* dropped after a restart, before anybody has read up to the mark */

static void
test_dropped(void)
{
    unsigned                 n;
    klaviyo_hold_figures_t   f;

    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    for (n = 0; n < 100; n++) {
        event("cA", "1", EMPTY, 1000);
    }

    run(2000);
    is_figures(100, 0, 0, 0, "a hundred");
    restart();

    for ( /* void */ ; n < 5000; n++) {
        event("cA", "1", EMPTY, 1000);
    }

    run(2000);
    f = figures();
    is_int(f.held, 5000, "all are known of");
    is_int(f.waiting + f.lost, 5000, "they wait, or are lost");
    ok(f.waiting > 900 && f.waiting < 1100, "as many as there is room for");

    /* what was saved is of something else, and gone with the file */

    klaviyo_ring_save(waiting, lease.epoch, 0, "12345678901234567890123456789"
                      "012345678901234567890123456789", 56);
    f = figures();
    is_int(f.held, 0, "other bytes are no figures");
    is_int(f.size, RING_SIZE, "its size");
    is_int(f.attached, 1, "it is there");

    strcat(ring_path, ".hold");
    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(waiting, ring_error);
    event("cA", "1", EMPTY, 1000);
    f = figures();
    ok(f.attached == 0 && f.held == 1 && f.lost == 1, "and what came then");
    is_int(klaviyo_hold_run(hold, lease.epoch, 2000, ALL), 0, "nothing to do");
    ok(klaviyo_hold_create(queue, waiting, TIME) == NULL, "nor to begin");

    rings_close();
    ring_cleanup();
}


/* what a record of a visitor's identity is made of */

static void
test_identity(void)
{
    uint8_t            buf[1024];
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    klaviyo_hold_identity(waiting, (const uint8_t *) "cA", 2,
                          (const uint8_t *) ",\"id\":\"1\"", 9,
                          (const uint8_t *) "\"a\":1", 5, 4711);

    klaviyo_ring_first(waiting, &cursor);
    is_int(klaviyo_ring_read(waiting, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "a record");
    is_int(record.event.time, 4711, "its time");
    is_mem(record.event.unique_id, record.event.unique_id_len, "-", 1,
           "no id of its own");
    is_mem(record.event.profile, record.event.profile_len,
           "I\2\0cA,\"id\":\"1\"", 14, "its key, and what is beside");
    is_mem(record.event.attributes, record.event.attributes_len, "\"a\":1", 5,
           "its members");

    rings_close();
    ring_cleanup();
}


static void
test_hostile(void)
{
    size_t                 len;
    uint8_t                buf[64];
    unsigned               i, seed;
    klaviyo_event_t        e;
    klaviyo_hold_record_t  record;

    ring_folder();
    rings_open(RING_SIZE, RING_SIZE);

    seed = 3;

    memset(&e, 0, sizeof(e));
    e.unique_id = (const uint8_t *) "x";
    e.unique_id_len = 1;
    e.profile = buf;
    e.attributes = buf;

    for (i = 0; i < 2000; i++) {
        e.profile_len = rand_r(&seed) % sizeof(buf);

        for (len = 0; len < e.profile_len; len++) {
            buf[len] = (uint8_t) rand_r(&seed);
        }

        if (i % 2 && e.profile_len) {
            buf[0] = (i % 4 == 1) ? 'E' : 'I';
        }

        if (i % 3 && e.profile_len > 3) {
            buf[1] = (uint8_t) (rand_r(&seed) % 64);
            buf[2] = 0;
        }

        e.time = 1000;

        if (klaviyo_hold_record(&record, &e)
            && (record.key_len == 0
                || record.key + record.key_len + record.rest_len
                   != buf + e.profile_len))
        {
            ok(0, "a record's bounds");
        }

        klaviyo_ring_append(waiting, &e);
        run(1000);
    }

    run(1000 + TIME);
    is_int(figures().waiting, 0, "any bytes are taken, or lost");
    is_int(figures().held,
           figures().released + figures().expired + figures().lost,
           "and counted");

    rings_close();
    ring_cleanup();
}


static void
test_index(void)
{
    uint32_t               i, found;
    klaviyo_hold_walk_t    walk;
    klaviyo_hold_entry_t   entry, *e;
    klaviyo_hold_index_t   index;

    is_int(klaviyo_hold_index_init(&index, 100), 0, "an index");

    memset(&entry, 0, sizeof(entry));

    /* all in few chains, many times around */

    for (i = 0; i < 1000; i++) {

        while (index.used == index.size) {
            klaviyo_hold_index_pop(&index);
        }

        entry.seq = i;
        entry.hash = (i % 5) * (index.mask + 1);
        klaviyo_hold_index_add(&index, &entry);

        if (i % 7 == 0) {
            klaviyo_hold_walk_init(&walk, entry.hash);
            found = 0;

            while ((e = klaviyo_hold_walk_next(&index, &walk)) != NULL) {
                if (e->hash != entry.hash || e->seq % 5 != i % 5) {
                    ok(0, "a walk keeps to its hash");
                }

                if (found++ % 2) {
                    klaviyo_hold_walk_done(&index, &walk);
                }
            }
        }
    }

    found = 0;

    for (i = 0; i < 5; i++) {
        klaviyo_hold_walk_init(&walk, i * (index.mask + 1));

        while (klaviyo_hold_walk_next(&index, &walk)) {
            klaviyo_hold_walk_done(&index, &walk);
            found++;
        }
    }

    ok(found > 30, "entries are found: %d", (int) found);
    is_int(index.waiting, 0, "and were all that waited");
    ok(klaviyo_hold_index_first(&index) == NULL, "none is first");
    is_int(index.used, 0, "none is there");

    klaviyo_hold_index_free(&index);
}


int
main(void)
{
    ring_folder();

    test_release();
    test_expiry();
    test_full();
    test_again();
    test_chance();
    test_identity();
    test_known();
    test_large();
    test_dropped();
    test_hostile();
    test_index();

    return done_testing();
}
