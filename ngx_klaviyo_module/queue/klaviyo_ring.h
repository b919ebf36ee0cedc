/*
 * The queue of one account: a mapped file that all workers share.
 *
 * Any process that has the ring attached may append; the holder of the lease
 * (klaviyo_lease.h) reads and acknowledges.  Positions are byte offsets that
 * only grow; the place in the file is position % capacity.  The format's
 * picture stands in klaviyo_ring_format.h.
 *
 * Plain C: no nginx, no JSON library.  Nothing here waits for longer than
 * the 5 ms limit of the lock.
 */


#ifndef KLAVIYO_RING_H
#define KLAVIYO_RING_H


#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "klaviyo_figures.h"
#include "klaviyo_health.h"
#include "klaviyo_totals.h"


#define KLAVIYO_RING_MIN_SIZE     (256 * 1024)
#define KLAVIYO_RING_ERROR_MAX    512
#define KLAVIYO_RING_LIMITER_MAX  2560
#define KLAVIYO_RING_UUID_LEN     16
#define KLAVIYO_UNIQUE_ID_MAX     255


typedef enum {
    KLAVIYO_RING_OK = 0,
    KLAVIYO_RING_EMPTY,          /* nothing more to read                    */
    KLAVIYO_RING_AGAIN,          /* the spool has it, see klaviyo_feed.h    */
    KLAVIYO_RING_GAP,            /* only missing events up to the end       */
    KLAVIYO_RING_SMALL,          /* the caller's buffer is too small        */
    KLAVIYO_RING_FULL,           /* no room, the event was dropped          */
    KLAVIYO_RING_BUSY,           /* the lock was not had in 5 ms            */
    KLAVIYO_RING_TOO_LARGE,      /* more than klaviyo_ring_event_max()      */
    KLAVIYO_RING_STALE,          /* the lease is somebody else's by now     */
    KLAVIYO_RING_DETACHED,       /* the file was truncated or taken away    */
    KLAVIYO_RING_ERROR           /* see the error text                      */
} klaviyo_ring_rc_e;


typedef struct klaviyo_ring_s  klaviyo_ring_t;


/*
 * Whose queue it is, as keyed hashes: what tells accounts apart, and nothing
 * that gives a key back.  The caller makes them, keyed by the ring's uuid.
 */

#define KLAVIYO_RING_PRINT_LEN    16

typedef struct {
    uint8_t      key[KLAVIYO_RING_PRINT_LEN];
    uint8_t      company[KLAVIYO_RING_PRINT_LEN];   /* zeroes: not known    */
    uint8_t      endpoint[KLAVIYO_RING_PRINT_LEN];
    uint32_t     dry_run;
} klaviyo_ring_print_t;

/*
 * What events that were captured as `was` were captured for, if they must not
 * go out as `now`.  A key may have been replaced, by "company" or if all else
 * is the same; for another key at another endpoint, or under another dry_run,
 * they were not meant.  NULL: they may go.
 */
const char *klaviyo_ring_print_refuses(const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now);

/* 0 or -1 */
typedef int (*klaviyo_ring_print_pt)(const void *data, const uint8_t *uuid,
    klaviyo_ring_print_t *print);


typedef struct {
    const char  *path;           /* NUL-terminated, at most PATH_MAX - 64   */
    size_t       size;           /* bytes for records                       */
    unsigned     drop_oldest;    /* full: drop the oldest, not the newest   */

    klaviyo_ring_print_pt  print;    /* NULL: anybody's                     */
    const void            *print_data;
    int64_t                master;   /* of the nginx whose configuration    */
                                     /* this is, if it runs already; or 0   */
} klaviyo_ring_conf_t;


/* of the mapping, from `first` on and then from its start */

typedef struct {
    uint8_t        *start;
    size_t          size;
    size_t          first;
    size_t          bytes;
} klaviyo_ring_pages_t;


/*
 * An event as capture hands it over and delivery gets it back: two finished
 * pieces of JSON and the identifier that makes a repeat harmless.
 *
 *     profile     {"type":"profile","attributes":{...}}
 *     attributes  "properties":{...},"metric":{...},"unique_id":"..."
 *                 (the members of the event's attributes without braces,
 *                 without the profile)
 *
 * The time is that of capture in milliseconds of CLOCK_REALTIME: what
 * `retry max_age` is measured from.
 */

typedef struct {
    const uint8_t  *profile;
    const uint8_t  *attributes;
    const uint8_t  *unique_id;   /* raw, 1 to 255 bytes                     */
    size_t          profile_len;
    size_t          attributes_len;
    size_t          unique_id_len;
    size_t          metric;      /* where `"metric"` is in the attributes,  */
                                 /* behind the properties; 0: not known     */
    int64_t         time;
} klaviyo_event_t;


/* where a reader stands: the next position and the sequence expected there */

typedef struct {
    uint64_t  position;
    uint64_t  seq;
} klaviyo_cursor_t;


typedef struct {
    klaviyo_event_t   event;     /* points into the buffer of the reader    */
    klaviyo_cursor_t  next;      /* behind this record                      */
    uint64_t          seq;
    uint64_t          missing;   /* events lost between cursor and this one */
} klaviyo_record_t;


/*
 * Where the stream stands, see klaviyo_spool.h: events from `done` to `first`
 * are in the spool only, those from `first` to `end` in the ring.
 */

typedef struct {
    uint8_t           uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t          done;      /* the first event without an outcome      */
    klaviyo_cursor_t  first;
    klaviyo_cursor_t  end;
    uint64_t          adoption;  /* as klaviyo_ring_adopt() was told        */
    uint64_t          size;      /* bytes that the ring can hold            */
    uint64_t          used;
    uint64_t          recovered; /* 0, or the end as a reboot left it, and  */
                                 /* what is before may be damaged           */
    unsigned          removed;   /* 1: the file has no name any more, and   */
                                 /* ends with the processes that have it    */
} klaviyo_ring_span_t;


/*
 * The end of events: everything in [from, to) is finished.  The outcomes add
 * up to to.seq - from.seq, less what was lost in between and is booked
 * already.  `from` of one acknowledgement is `to` of the one before it.
 */

typedef struct {
    klaviyo_cursor_t  from;
    klaviyo_cursor_t  to;
    uint64_t          outcome[KLAVIYO_OUTCOME_N];
} klaviyo_ack_t;


/*
 * Opens or creates the ring and its lock file (path + ".lock"), and the
 * directory if only its last component is missing.  Alone, the header is
 * checked and the mutex made anew; a bad header is moved to
 * ".corrupt-<time>", another version's to ".version-<time>"; after a reboot
 * the records are scanned.  Beside others only the version is checked.  A
 * ring of another size is moved to ".drain-<time>" and its events are taken
 * over by klaviyo_ring_drain().
 *
 * Returns KLAVIYO_RING_OK and the ring, which the caller detaches; or
 * KLAVIYO_RING_ERROR with a text that says what is wrong, where, and what to
 * do.  `note` is filled when something was found that a log should tell
 * (moved aside, events missing after a reboot), else it is an empty string.
 * Both texts hold KLAVIYO_RING_ERROR_MAX bytes.
 */
klaviyo_ring_rc_e klaviyo_ring_attach(klaviyo_ring_t **ring,
    const klaviyo_ring_conf_t *conf, char *error, char *note);

/*
 * For `nginx -t`: the checks of attach that need no change on disk but the
 * directory, and no lock.  Same texts.
 */
klaviyo_ring_rc_e klaviyo_ring_probe(const klaviyo_ring_conf_t *conf,
    char *error);

/*
 * In each worker: the master process, by which its next configuration, and
 * `nginx -t` beside it, know the ring for theirs.
 */
void klaviyo_ring_own(klaviyo_ring_t *ring, int64_t master);

/*
 * Attached by one process, used by others: over a socket the first hands the
 * file to a third, which is their parent and does not map it.  What the third
 * gets is a handle for klaviyo_ring_enter() and klaviyo_ring_detach() alone.  0
 * or errno; of take() also EPIPE: the other end is closed, and EBADMSG: some
 * other message came.
 */
int klaviyo_ring_hand_over(const klaviyo_ring_t *ring, int socket);
int klaviyo_ring_take(klaviyo_ring_t **ring,
    const klaviyo_ring_conf_t *conf, int socket);

/* maps what was taken; OK, or ERROR with the text */
klaviyo_ring_rc_e klaviyo_ring_enter(klaviyo_ring_t *ring, char *error);

/*
 * 1: no other process has the ring attached, but those that were forked with
 * it.  For a process that exits; 0 when in doubt.
 */
int klaviyo_ring_alone(klaviyo_ring_t *ring);

/*
 * Pages that are there before they are written to: each that is not costs the
 * writer some microseconds.  Where the records are in memory and the kernel
 * can, fills `pages` and gives their bytes, of `max` at most, from the write
 * position on; else 0.
 */
size_t klaviyo_ring_pages(const klaviyo_ring_t *ring, size_t max,
    klaviyo_ring_pages_t *pages);

/* has them made; takes a while: for a thread, also when the ring has gone */
void klaviyo_ring_pages_make(const klaviyo_ring_pages_t *pages);

/* Unmaps and closes; never while the lock is held. */
void klaviyo_ring_detach(klaviyo_ring_t *ring);

/*
 * Each worker, each second: compares size and name of the file with what was
 * mapped.  Truncated or written over: KLAVIYO_RING_DETACHED from then on, for
 * every call, in place of a SIGBUS.  Removed or replaced: OK, the mapping is
 * as good as before, and the spool should have what is in it.  The first call
 * that finds either says so in `error`.  For what happens within this second
 * see klaviyo_ring_guard.c.
 */
klaviyo_ring_rc_e klaviyo_ring_verify(klaviyo_ring_t *ring, char *error);


/* the largest sum of an event's three lengths that this ring takes, bytes */
size_t klaviyo_ring_event_max(const klaviyo_ring_t *ring);

/*
 * Appends one event; OK, FULL, BUSY, TOO_LARGE or DETACHED.  What is dropped
 * has been counted when this returns, except TOO_LARGE (the caller's skip).
 */
klaviyo_ring_rc_e klaviyo_ring_append(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);

/* the same for who comes again when it is BUSY, which is not counted */
klaviyo_ring_rc_e klaviyo_ring_try(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);

/*
 * The same for who has the event elsewhere and can come again: nothing is
 * counted, and nothing else is dropped to make room.
 */
klaviyo_ring_rc_e klaviyo_ring_put(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);


/*
 * The first event without an outcome: where a new deliverer begins.  Is that
 * in the spool, the position is the ring's first own one.
 */
klaviyo_ring_rc_e klaviyo_ring_first(klaviyo_ring_t *ring,
    klaviyo_cursor_t *cursor);

/* one consistent look without the lock; OK or DETACHED */
klaviyo_ring_rc_e klaviyo_ring_span(klaviyo_ring_t *ring,
    klaviyo_ring_span_t *span);

/*
 * Copies the record at the cursor into buf and checks the copy.  OK and the
 * record (the caller moves on by cursor = record->next); EMPTY; SMALL, with
 * the bytes needed in record->missing; GAP when nothing readable follows,
 * with record->missing and record->next set; DETACHED.  Bytes that are no
 * record are skipped up to the next valid one and show as `missing`.
 * A cursor behind the first event (dropped by drop_oldest) moves to it; the
 * dropped ones have been counted and are not `missing`.  AGAIN: the event is
 * in the spool; its sequence is record->seq.
 */
klaviyo_ring_rc_e klaviyo_ring_read(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor, uint8_t *buf, size_t size,
    klaviyo_record_t *record);

/*
 * Bytes committed behind the cursor, those in the spool as at least one: a
 * cheap look without the lock.
 */
uint64_t klaviyo_ring_ahead(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor);

/*
 * Books the outcomes and gives the space back, as one step that a crash
 * leaves done or undone.  Events that drop_oldest took meanwhile are moved
 * from lost to their true outcome.  OK, STALE, BUSY (try again), DETACHED.
 */
klaviyo_ring_rc_e klaviyo_ring_ack(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack);

/* the same, with `moved` more of them that are another ring's by now */
klaviyo_ring_rc_e klaviyo_ring_book(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack, uint64_t moved);


/*
 * Gives the space of events back that the spool has: everything before `to`.
 * They stay queued.  OK, STALE, BUSY, DETACHED, ERROR: `to` is not in the
 * ring.
 */
klaviyo_ring_rc_e klaviyo_ring_release(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_cursor_t *to);

/*
 * Everything before `to` that has no outcome and that only the spool had ends
 * with this one (lost); `to` is at most `first`.  As klaviyo_ring_ack().
 */
klaviyo_ring_rc_e klaviyo_ring_lose(klaviyo_ring_t *ring, uint64_t epoch,
    uint64_t to, klaviyo_outcome_e outcome);

/*
 * The spool has exactly `n` events before `first` from now on, which count as
 * captured here; as klaviyo_ring_release().  AGAIN: the ring begins elsewhere
 * by now, drop_oldest has come by.
 */
klaviyo_ring_rc_e klaviyo_ring_adopt(klaviyo_ring_t *ring, uint64_t epoch,
    uint64_t first, uint64_t n, uint64_t adoption);


/*
 * The deliverer's memory across reloads and crashes: the pause of a 429 in
 * milliseconds of CLOCK_BOOTTIME (0: none; forgotten after a reboot), and
 * the limiter's own bytes, at most KLAVIYO_RING_LIMITER_MAX.  load() gives
 * zeroes when nothing of this length was saved since boot; with `former` what
 * a ring that this one takes over has, while it has none itself.  OK, STALE,
 * BUSY, DETACHED.
 */
klaviyo_ring_rc_e klaviyo_ring_save(klaviyo_ring_t *ring, uint64_t epoch,
    int64_t paused_until, const void *limiter, size_t len);
klaviyo_ring_rc_e klaviyo_ring_load(klaviyo_ring_t *ring, unsigned former,
    int64_t *paused_until, void *limiter, size_t len);


/* for the figures only: until when requests of this kind wait; 0: none does */
void klaviyo_ring_wait(klaviyo_ring_t *ring, klaviyo_wait_e kind,
    int64_t until);


/*
 * How the account fares: what was put last, zeroes if nothing was.  put() is
 * the deliverer's: OK, STALE, BUSY, DETACHED.
 */
void klaviyo_ring_health(klaviyo_ring_t *ring, klaviyo_health_t *health);
klaviyo_ring_rc_e klaviyo_ring_health_put(klaviyo_ring_t *ring,
    uint64_t epoch, const klaviyo_health_t *health);

/* when the first event that is in the ring was captured; 0: there is none */
int64_t klaviyo_ring_oldest(klaviyo_ring_t *ring);


/*
 * Takes over what is left in rings of another size ("<path>.drain-*"): moves
 * events, and when a drained file has no process left that appends to it,
 * adds its figures and unlinks it.  A bounded step, for the deliverer to
 * call each second: at most `max` events.  Returns how many were moved.
 */
unsigned klaviyo_ring_drain(klaviyo_ring_t *ring, uint64_t epoch,
    unsigned max);

/*
 * A ring of the same account at another path, to be taken over in the same
 * manner by whoever calls klaviyo_ring_drain() from now on; only while it is
 * the one with this uuid.  0, or -1: no memory.  Opens nothing.
 */
int klaviyo_ring_drain_also(klaviyo_ring_t *ring, const char *path,
    const uint8_t *uuid);


/*
 * A ring that is being drained and has events in the spool: OK and where it
 * stands, if its lease is ours; BUSY: not yet; EMPTY: no such ring is known.
 * It is not unlinked before moved() books these events as ours.  lose() ends
 * those of all whose lease is ours as lost: for who knows that they are not in
 * the spool; it returns how many.
 */
klaviyo_ring_rc_e klaviyo_ring_drain_span(klaviyo_ring_t *ring,
    const uint8_t *uuid, klaviyo_ring_span_t *span);
klaviyo_ring_rc_e klaviyo_ring_drain_moved(klaviyo_ring_t *ring,
    const uint8_t *uuid);
uint64_t klaviyo_ring_drain_lose(klaviyo_ring_t *ring);

/* 1: there are rings to take over from */
int klaviyo_ring_drains(const klaviyo_ring_t *ring);

/*
 * Lets go of the leases of drained rings, for who holds the ring's own no
 * longer; the next klaviyo_ring_drain() takes them again.
 */
void klaviyo_ring_drain_leave(klaviyo_ring_t *ring);


/* one more in a distribution */
void klaviyo_ring_observe(klaviyo_ring_t *ring,
    klaviyo_histogram_e histogram, uint64_t value);
void klaviyo_ring_histogram(klaviyo_ring_t *ring,
    klaviyo_histogram_e histogram, klaviyo_histogram_t *read);

/*
 * An event that became the ring's, by its metric; klaviyo_ring_append() has
 * done so.  What is replayed is not counted.
 */
void klaviyo_ring_captured(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);

/* how many were read; `now` is ms of CLOCK_REALTIME */
unsigned klaviyo_ring_metrics(klaviyo_ring_t *ring, int64_t now,
    klaviyo_metric_t read[KLAVIYO_METRICS + 1]);


/* while it is quiet this process counts nothing; its caller does not yield */
void klaviyo_ring_quiet(klaviyo_ring_t *ring, unsigned quiet);

void klaviyo_ring_count(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n);

/* for counters that are a level, not a sum */
void klaviyo_ring_set(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n);

void klaviyo_ring_figures(klaviyo_ring_t *ring, klaviyo_figures_t *figures);


#endif /* KLAVIYO_RING_H */
