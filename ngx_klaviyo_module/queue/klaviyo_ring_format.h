/*
 * The format of the ring file, private to the queue room.  All numbers are
 * in the machine's own order; a file never leaves the machine it was made on.
 *
 *     page 0   fixed       written once: version, sizes, uuid, crc
 *              owner       whose events these are: keyed hashes
 *     page 1   shared      mutex, boot_id, write position, tails, lease
 *     page 2   ack slot 0  \ written in turn; the generation says
 *     page 3   ack slot 1  / which one stands
 *     page 4   counters    one atomic for each klaviyo_counter_e
 *     page 5   health 0    \ written in turn; the newer one that is whole
 *     page 6   health 1    / stands, see klaviyo_health.h
 *     page 7   totals      distributions, and events by metric, in atomics;
 *     to 9                 see klaviyo_totals.h
 *     page 10… records     `capacity` bytes
 *
 * Positions are byte offsets that only grow; position % capacity is the
 * place among the records.
 *
 *     first position                  write position
 *     │                               │
 *     ▼                               ▼
 *     [record][record][record][record]. . . . . . .[pad] (back to the start)
 *
 *     record   see klaviyo_record.h; its place is its position, its owner the
 *              ring's uuid
 *     pad      a header alone; its length reaches to the end of the ring.
 *              Fewer bytes than a header at the end are skipped unread.
 *
 * A record never wraps.
 *
 * What commits, each a single store that a kill leaves done or undone:
 *
 *     an append            write_pos.  The writer has filled the tail that
 *                          is not current before (the current one is that
 *                          whose end == write_pos), hence the next sequence
 *                          is always the current tail's plus one.
 *     an acknowledgement,  ack_generation.  The slot that is not current
 *     release, loss or     (generation & 1) has been filled before.
 *     adoption
 *
 * Invariants of an ack slot, sequences modulo 2^64:
 *
 *     sum(outcome) == done - base
 *     done <= seq; events from done to seq are in the spool only
 *     events in the ring == tail.seq + 1 - seq
 *
 * An event that is put at the end again is in the queue twice until its first
 * record is acknowledged, and counts once: tail.again - outcome[PUT_AGAIN]
 * are there twice, but never more than are queued.
 *
 * The first event of a new ring has KLAVIYO_RING_SEQ, so that there is room
 * below for what is adopted.
 *
 * Whoever changes the format raises KLAVIYO_RING_VERSION and looks at: this
 * picture, klaviyo_ring_recover.c, klaviyo_ring_inspect.c, klaviyo_ring_drain.c
 * (it reads files of the same version only), t/unit/ring_recovery_test.c.
 */


#ifndef KLAVIYO_RING_FORMAT_H
#define KLAVIYO_RING_FORMAT_H


#include <pthread.h>

#include "klaviyo_health.h"
#include "klaviyo_record.h"


#define KLAVIYO_RING_MAGIC      "KLVYRING"
#define KLAVIYO_RING_VERSION    6

#define KLAVIYO_RING_PAGE       4096
#define KLAVIYO_RING_SHARED     (1 * KLAVIYO_RING_PAGE)
#define KLAVIYO_RING_SLOTS      (2 * KLAVIYO_RING_PAGE)
#define KLAVIYO_RING_COUNTERS   (4 * KLAVIYO_RING_PAGE)
#define KLAVIYO_RING_HEALTH     (5 * KLAVIYO_RING_PAGE)
#define KLAVIYO_RING_TOTALS     (7 * KLAVIYO_RING_PAGE)
#define KLAVIYO_RING_RECORDS    (10 * KLAVIYO_RING_PAGE)

#define KLAVIYO_RING_COUNTER_MAX  (KLAVIYO_RING_PAGE / 8)
#define KLAVIYO_RING_OUTCOME_MAX  32
#define KLAVIYO_RING_PUT_AGAIN    30   /* outcome: put at the end again     */
#define KLAVIYO_RING_MOVED        31   /* outcome: another ring's now       */

#define KLAVIYO_RING_EVENT_MAX    (4608 * 1024)

#define KLAVIYO_RING_BOOT_ID_LEN  40

/* whose mutex it is: musl's has the size of glibc's, and is another */

#ifdef __GLIBC__
#define KLAVIYO_RING_MUTEX        sizeof(pthread_mutex_t)
#else
#define KLAVIYO_RING_MUTEX        (0x10000 + sizeof(pthread_mutex_t))
#endif

/* bytes of the ring file that OFD locks stand for */

#define KLAVIYO_RING_LOCK_ATTACHED  0   /* shared: attached                 */
#define KLAVIYO_RING_LOCK_LEASE     1   /* exclusive: delivers              */

#define KLAVIYO_RING_SEQ           ((uint64_t) 1 << 48)


typedef struct {
    uint8_t          magic[8];
    uint32_t         version;
    uint32_t         records;        /* KLAVIYO_RING_RECORDS                */
    uint32_t         mutex;          /* KLAVIYO_RING_MUTEX                  */
    uint32_t         reserved;
    uint64_t         capacity;       /* bytes, a multiple of the page       */
    int64_t          created;        /* CLOCK_REALTIME, s                   */
    uint8_t          uuid[KLAVIYO_RING_UUID_LEN];
    uint32_t         reserved2;
    uint32_t         crc;            /* of all before                       */
} klaviyo_ring_fixed_t;


/* behind `fixed`: whose the events are; written under the lock file's lock */

typedef struct {
    klaviyo_ring_print_t  print;
    uint32_t              crc;       /* of all before                       */
} klaviyo_ring_owner_t;


typedef struct {
    uint64_t         end;            /* position behind the record          */
    uint64_t         seq;            /* of the record that ends there       */
    uint64_t         again;          /* records so far that were put again  */
} klaviyo_ring_tail_t;


typedef struct {
    union {
        pthread_mutex_t  mutex;      /* robust, shared by processes         */
        uint8_t          room[128];
    } lock;

    uint8_t              boot_id[KLAVIYO_RING_BOOT_ID_LEN];
    uint64_t             recovered;  /* 0, or the end that was found after  */
                                     /* a reboot: the spool may have others */
                                     /* from there on                       */
    int64_t              master;     /* process, of those who have it       */
    int64_t              waits_until[KLAVIYO_WAIT_N];  /* as lease_deadline */

    uint64_t             write_pos;
    klaviyo_ring_tail_t  tail[2];
    uint64_t             ack_generation;

    uint64_t             lease_epoch;
    int64_t              lease_deadline;   /* CLOCK_BOOTTIME, ms; 0: free   */
    int64_t              lease_pid;
    uint64_t             lease_unlocked;   /* taken from a stopped holder,  */
                                           /* who has the OFD lock still    */
} klaviyo_ring_shared_t;


typedef struct {
    uint64_t         generation;     /* its lowest bit is the slot's number */
    uint64_t         position;       /* everything before it is free        */
    uint64_t         seq;            /* of the first event in the ring      */
    uint64_t         done;           /* of the first event not finished     */
    uint64_t         base;           /* seq of the first event counted      */
    uint64_t         adoption;       /* the last one booked here            */
    uint64_t         lost_from;      /* the last events that were lost out  */
    uint64_t         lost_to;        /* of the spool, and what they were    */
    uint64_t         lost_outcome;   /* booked as                           */
    int64_t          paused_until;   /* CLOCK_BOOTTIME, ms                  */
    uint8_t          retired[KLAVIYO_RING_UUID_LEN];  /* the last ring whose */
                                     /* figures were added to these         */
    uint64_t         outcome[KLAVIYO_RING_OUTCOME_MAX];
    uint8_t          limiter[KLAVIYO_RING_LIMITER_MAX];
    uint32_t         limiter_len;
    uint32_t         crc;            /* of all before                       */
} klaviyo_ring_slot_t;


typedef struct {
    uint64_t          generation;    /* 0: nothing was written yet          */
    klaviyo_health_t  health;
    uint32_t          reserved;
    uint32_t          crc;           /* of all before                       */
} klaviyo_ring_health_t;


typedef struct {
    uint64_t         hash;           /* of the name, and its length in the  */
                                     /* lowest byte; 0: free                */
    uint64_t         captured;
    uint64_t         slice[KLAVIYO_METRIC_SLICES];
    uint8_t          name[KLAVIYO_METRIC_NAME + 1];
} klaviyo_ring_metric_t;


typedef struct {
    klaviyo_histogram_t    histogram[KLAVIYO_HISTOGRAMS_MAX];
    klaviyo_ring_metric_t  metric[KLAVIYO_METRICS + 1];   /* and all others */
} klaviyo_ring_totals_t;


_Static_assert(sizeof(pthread_mutex_t) <= 128, "the mutex has no room");
_Static_assert(sizeof(klaviyo_ring_fixed_t) == 64, "fixed has holes");
_Static_assert(sizeof(klaviyo_ring_shared_t) == 296, "shared has holes");
_Static_assert(sizeof(klaviyo_ring_slot_t) <= KLAVIYO_RING_PAGE,
               "a slot has no room");
_Static_assert(sizeof(klaviyo_ring_health_t) <= KLAVIYO_RING_PAGE,
               "health has no room");
_Static_assert(sizeof(klaviyo_ring_totals_t)
               <= KLAVIYO_RING_RECORDS - KLAVIYO_RING_TOTALS,
               "the totals have no room");
_Static_assert(KLAVIYO_HISTOGRAM_N <= KLAVIYO_HISTOGRAMS_MAX,
               "more histograms than the totals hold");
_Static_assert(KLAVIYO_COUNT_N <= KLAVIYO_RING_COUNTER_MAX,
               "more counters than the page holds");
_Static_assert(KLAVIYO_OUTCOME_N <= KLAVIYO_RING_PUT_AGAIN,
               "more outcomes than a slot holds");


#endif /* KLAVIYO_RING_FORMAT_H */
