/*
 * The queue of one account: a mapped file that all workers share.
 *
 * Any process that has the ring attached may append; the holder of the lease
 * (klaviyo_lease.h) reads and acknowledges.  Positions are byte offsets that
 * only grow; the place in the file is position % capacity.  The format's
 * picture stands in klaviyo_ring_format.h.
 *
 * Room queue.  May include: nothing.  Plain C: no nginx, no JSON library.  An
 * append waits for no longer than the 5 ms limit of the lock.
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
    KLAVIYO_RING_AGAIN,          /* the spool has it, see klaviyo_stream.h  */
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

/* fills all of the print; 0 or -1 */
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
    size_t            needed;    /* SMALL: bytes that it takes              */
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
 * The end of events: everything in [from, to) is finished.  The outcomes and
 * `again` add up to to.seq - from.seq, less what was lost in between and is
 * booked already.  `from` of one acknowledgement is `to` of the one before it.
 */

typedef struct {
    klaviyo_cursor_t  from;
    klaviyo_cursor_t  to;
    uint64_t          outcome[KLAVIYO_OUTCOME_N];
    uint64_t          again;     /* by klaviyo_ring_put_again()             */
} klaviyo_ack_t;


/* the largest sum of an event's three lengths that this ring takes, bytes */
size_t klaviyo_ring_event_max(const klaviyo_ring_t *ring);

/* the bytes that a reader needs for any record */
size_t klaviyo_ring_record_max(const klaviyo_ring_t *ring);

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

/* the same with an event of this queue, to be acknowledged as `again` */
klaviyo_ring_rc_e klaviyo_ring_put_again(klaviyo_ring_t *ring,
    const klaviyo_event_t *event);


#endif /* KLAVIYO_RING_H */
