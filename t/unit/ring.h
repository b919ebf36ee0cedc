/*
 * What the tests of the ring share: a folder of their own, events whose
 * content follows from their number, and the equation.
 */


#ifndef RING_H
#define RING_H


#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "queue/klaviyo_ring.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_read.h"


#define RING_SIZE  (256 * 1024)
#define RING_SEQ   ((uint64_t) 1 << 48)   /* of a new ring's first event    */


static char  ring_dir[64];
static char  ring_path[128];
static char  ring_error[KLAVIYO_RING_ERROR_MAX];
static char  ring_note[KLAVIYO_RING_ERROR_MAX];


typedef struct {
    klaviyo_event_t  event;
    char             unique_id[64];
    uint8_t          profile[1024];
    uint8_t          attributes[8192];
} ring_event_t;


static inline void
ring_folder(void)
{
    strcpy(ring_dir, "/tmp/klaviyo-ring-XXXXXX");

    if (access("/dev/shm", W_OK) == 0) {
        strcpy(ring_dir, "/dev/shm/klaviyo-ring-XXXXXX");
    }

    if (mkdtemp(ring_dir) == NULL) {
        perror("mkdtemp");
        exit(2);
    }

    snprintf(ring_path, sizeof(ring_path), "%s/shop.ring", ring_dir);
}


static inline int
ring_shell(const char *fmt, const char *arg)
{
    char  command[512];

    snprintf(command, sizeof(command), fmt, arg, arg, arg);

    return system(command);
}


static inline void
ring_cleanup(void)
{
    (void) ring_shell("rm -rf '%s'", ring_dir);
}


static inline void
ring_in_folder(void (*test)(void))
{
    ring_folder();
    test();
    ring_cleanup();
}


static inline klaviyo_ring_t *
ring_open(size_t size, unsigned drop_oldest)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = size;
    conf.drop_oldest = drop_oldest;

    if (klaviyo_ring_attach(&ring, &conf, ring_error, ring_note)
        != KLAVIYO_RING_OK)
    {
        diag("attach: %s", ring_error);
        return NULL;
    }

    if (ring_note[0]) {
        diag("note: %s", ring_note);
    }

    return ring;
}


/* number n of a writer; size is that of the attributes */

static inline void
ring_event(ring_event_t *e, unsigned writer, unsigned n, size_t size)
{
    size_t  i;

    snprintf(e->unique_id, sizeof(e->unique_id), "w%u-%u", writer, n);

    e->event.unique_id = (uint8_t *) e->unique_id;
    e->event.unique_id_len = strlen(e->unique_id);
    e->event.profile = e->profile;
    e->event.profile_len = 20 + n % 50;
    e->event.attributes = e->attributes;
    e->event.attributes_len = size;
    e->event.metric = 0;
    e->event.time = 1000000 + n;

    memset(e->profile, 'a' + n % 26, e->event.profile_len);

    for (i = 0; i < size; i++) {
        e->attributes[i] = (uint8_t) (n * 31 + writer * 7 + i);
    }
}


static inline klaviyo_ring_rc_e
ring_append(klaviyo_ring_t *ring, unsigned writer, unsigned n, size_t size)
{
    ring_event_t  e;

    ring_event(&e, writer, n, size);

    return klaviyo_ring_append(ring, &e.event);
}


/* numbers from `from` on and below `to`, of writer 1 */

static inline void
ring_fill(klaviyo_ring_t *ring, unsigned from, unsigned to, size_t size)
{
    unsigned  n;

    for (n = from; n < to; n++) {
        if (ring_append(ring, 1, n, size) != KLAVIYO_RING_OK) {
            diag("append %u failed", n);
        }
    }
}


/* where the n-th event begins of those that are in the ring, from 0 on */

static inline klaviyo_cursor_t
ring_cursor(klaviyo_ring_t *ring, unsigned n)
{
    uint8_t              buf[16384];
    klaviyo_cursor_t     cursor;
    klaviyo_record_t     record;
    klaviyo_ring_span_t  span;

    klaviyo_ring_span(ring, &span);
    cursor = span.first;

    while (n--) {
        klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
        cursor = record.next;
    }

    return cursor;
}


/* 1 when the record is what ring_event() made of its unique id */

static inline int
ring_same(const klaviyo_record_t *record, unsigned *writer, unsigned *n)
{
    char          id[64];
    ring_event_t  e;

    if (record->event.unique_id_len >= sizeof(id)) {
        return 0;
    }

    memcpy(id, record->event.unique_id, record->event.unique_id_len);
    id[record->event.unique_id_len] = '\0';

    if (sscanf(id, "w%u-%u", writer, n) != 2
        || record->event.attributes_len > sizeof(e.attributes))
    {
        return 0;
    }

    ring_event(&e, *writer, *n, record->event.attributes_len);

    return record->event.time == e.event.time
           && record->event.profile_len == e.event.profile_len
           && memcmp(record->event.profile, e.profile,
                     e.event.profile_len) == 0
           && memcmp(record->event.attributes, e.attributes,
                     e.event.attributes_len) == 0;
}


/*
 * Reads everything behind the cursor and acknowledges it in one step when
 * ack is set; missing ones as LOST_CORRUPT, the rest as DELIVERED.
 */

typedef struct {
    unsigned  events;
    unsigned  wrong;
    uint64_t  missing;
    unsigned  first;                 /* their numbers                       */
    unsigned  last;
} ring_taken_t;


static inline void
ring_take(klaviyo_ring_t *ring, uint64_t epoch, int ack, ring_taken_t *taken)
{
    uint8_t            buf[16384];
    unsigned           writer, n;
    klaviyo_ack_t      done;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    memset(taken, 0, sizeof(ring_taken_t));
    memset(&done, 0, sizeof(klaviyo_ack_t));

    klaviyo_ring_first(ring, &cursor);
    done.from = cursor;

    for ( ;; ) {
        rc = klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);

        if (rc == KLAVIYO_RING_EMPTY) {
            break;
        }

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {
            diag("read: %d", rc);
            taken->wrong++;
            break;
        }

        taken->missing += record.missing;
        done.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] += record.missing;
        cursor = record.next;

        if (rc == KLAVIYO_RING_GAP) {
            continue;
        }

        if (!ring_same(&record, &writer, &n)) {
            taken->wrong++;
        }

        if (taken->events == 0) {
            taken->first = n;
        }

        taken->last = n;
        taken->events++;
        done.outcome[KLAVIYO_OUTCOME_DELIVERED]++;
    }

    done.to = cursor;

    if (ack) {
        rc = klaviyo_ring_ack(ring, epoch, &done, 0);

        if (rc != KLAVIYO_RING_OK) {
            diag("ack: %d", rc);
            taken->wrong++;
        }
    }
}


static inline void
ring_equation(klaviyo_ring_t *ring, const char *when)
{
    int                i;
    uint64_t           sum;
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    sum = f.queued + f.detached + f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
          + f.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += f.outcome[i];
    }

    is_int(sum, f.captured, "the equation holds %s (captured %" PRIu64 ")",
           when, f.captured);
}


static inline uint64_t
ring_outcome(klaviyo_ring_t *ring, klaviyo_outcome_e outcome)
{
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    return f.outcome[outcome];
}


static inline uint64_t
ring_captured(klaviyo_ring_t *ring)
{
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    return f.captured;
}


static inline uint64_t
ring_queued(klaviyo_ring_t *ring)
{
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    return f.queued;
}


#endif /* RING_H */
