/*
 * The second tier of an account's queue: events on disk that the ring cannot
 * hold, or that must survive a reboot.
 *
 * Ring and spool are one stream with one numbering, that of the ring:
 *
 *         done                first                     end
 *          |                    |                        |
 *     spool [.........................)                       head ... tail
 *     ring                      [........................)
 *
 * Events before `first` are in the spool only; those from `first` to `tail`
 * are in both (`sync`), and the ring's copy is the one that is delivered.
 *
 * Every function here may wait for the disk: it is called by a thread beside
 * the event loop, by a child of a master that exits, or by the tool; never
 * by two at a time for one spool.  The exceptions say so.
 *
 * What commits, and in which order:
 *
 *     write     data synced, then the state; the caller gives the ring's
 *               space back after that
 *     forget    the state, then the segments are unlinked, then the
 *               directory is synced
 *
 * Plain C.
 */


#ifndef KLAVIYO_SPOOL_H
#define KLAVIYO_SPOOL_H


#include "klaviyo_ring.h"


#define KLAVIYO_SPOOL_MIN_SIZE   (4 * 1024 * 1024)  /* bytes                */
#define KLAVIYO_SPOOL_CHUNK      (1024 * 1024)   /* bytes read at a time    */


typedef enum {
    KLAVIYO_SPOOL_OK = 0,
    KLAVIYO_SPOOL_BUSY,          /* another process has it open             */
    KLAVIYO_SPOOL_FULL,          /* `size` is reached: nothing was written  */
    KLAVIYO_SPOOL_ERROR          /* see the text; nothing was committed     */
} klaviyo_spool_rc_e;


typedef struct klaviyo_spool_s  klaviyo_spool_t;


typedef struct {
    const char  *dir;            /* NUL-terminated, at most PATH_MAX - 64   */
    uint64_t     size;           /* bytes of all segments                   */

    uint8_t      ring[KLAVIYO_RING_UUID_LEN];  /* who asks; or zeroes      */
    klaviyo_ring_print_t  print; /* by no uuid; zeroes: anybody's           */
} klaviyo_spool_conf_t;


/* what is there; sequences are in the numbering of the ring that has it */

typedef struct {
    uint8_t      ring[KLAVIYO_RING_UUID_LEN];  /* zeroes: nobody's yet      */
    uint8_t      previous[KLAVIYO_RING_UUID_LEN];  /* the one before that   */
    uint64_t     adoption;       /* number of the last one, 0: none         */
    uint64_t     head;           /* everything before was finished          */
    uint64_t     tail;           /* everything before is in the spool       */
    uint64_t     position;       /* of `tail` in that ring; 0 after adopt() */
                                 /* and when forget() went beyond the tail: */
                                 /* then the ring's first event comes next  */
    uint64_t     used;           /* bytes of all segments                   */
    uint64_t     segments;
    uint64_t     abandoned;      /* segments, since the spool was opened    */
} klaviyo_spool_state_t;


/*
 * Records that were read, or are to be written, in memory.  Only bytes: may
 * be used by any thread, one at a time.  Zeroed, it is empty.
 */

typedef struct {
    uint8_t     *start;          /* the owner's, see klaviyo_chunk_free()   */
    size_t       size;
    size_t       used;
    size_t       at;             /* of the next record to be looked at      */
    uint64_t     from;           /* the sequence asked for, or of the first */
    uint64_t     to;             /* behind the last: none between is        */
                                 /* elsewhere in the spool                  */
    uint64_t     events;
} klaviyo_chunk_t;


/*
 * Creates the directory if only its last two components are missing, opens
 * or creates the state and locks it.  Looks at each segment's header only.  A
 * state of which no slot can be believed is moved to ".corrupt-<time>"
 * together with the segments.  Events that another ring left, and that
 * `print` says are another account's, are an ERROR.  ERROR with the text;
 * `note` as with klaviyo_ring_attach(); both hold KLAVIYO_RING_ERROR_MAX
 * bytes.
 */
klaviyo_spool_rc_e klaviyo_spool_open(klaviyo_spool_t **spool,
    const klaviyo_spool_conf_t *conf, char *error, char *note);

/* what nginx -t can check without a change but the directory */
klaviyo_spool_rc_e klaviyo_spool_probe(const klaviyo_spool_conf_t *conf,
    char *error);

void klaviyo_spool_close(klaviyo_spool_t *spool);

/*
 * 1: the state was removed, and most likely all: what is written is nowhere,
 * and the spool is to be closed and opened anew.
 */
int klaviyo_spool_gone(const klaviyo_spool_t *spool);

/* from memory: never waits */
void klaviyo_spool_state(const klaviyo_spool_t *spool,
    klaviyo_spool_state_t *state);


/*
 * From now on the spool belongs to the ring `uuid`, whose first own event is
 * `first`: of what the spool has, [from, to) in its old numbering becomes
 * [first - n, first), which is then head and tail.  `to` may be UINT64_MAX:
 * all that is there, and what a crash left readable behind the tail.  *n is
 * how many, gaps counted.  `adoption` is the caller's new number for it.
 */
klaviyo_spool_rc_e klaviyo_spool_adopt(klaviyo_spool_t *spool,
    const uint8_t *uuid, uint64_t first, uint64_t from, uint64_t to,
    uint64_t adoption, uint64_t *n, char *error);

/*
 * Writes the chunk's records behind the tail and makes them durable.  Their
 * first sequence is not below the tail; what lies between is missing for
 * good.  `position` is that of chunk->to in the ring.  A failed write or sync
 * abandons the segment at its last good record, and the next call writes to a
 * new one; this call tries one new segment itself.
 */
klaviyo_spool_rc_e klaviyo_spool_write(klaviyo_spool_t *spool,
    klaviyo_chunk_t *chunk, uint64_t position, char *error);

/*
 * Everything before `seq` is finished: commits, unlinks whole segments.  To be
 * called before write(), and it has to succeed: what was finished behind the
 * tail would look like a gap.
 */
klaviyo_spool_rc_e klaviyo_spool_forget(klaviyo_spool_t *spool, uint64_t seq,
    char *error);

/*
 * For `full=drop_oldest`: *seq is where the segment after the oldest begins
 * (or the tail).  The caller books what is lost before it, then forgets.
 */
void klaviyo_spool_second(const klaviyo_spool_t *spool, uint64_t *seq);

/*
 * Fills the chunk, its old content gone, with records from `seq` on: about
 * KLAVIYO_SPOOL_CHUNK bytes, at least one record if there is one before the
 * tail.  What cannot be read is jumped over: the records tell by their
 * sequence, and chunk->to by how far they tell the whole truth.  ERROR: the
 * disk failed where it may not fail again, or there is no memory.
 */
klaviyo_spool_rc_e klaviyo_spool_read(klaviyo_spool_t *spool, uint64_t seq,
    klaviyo_chunk_t *chunk, char *error);


/*
 * Adds an event for klaviyo_spool_write(); 1, 0: it has no room beside the
 * others (an empty chunk grows to what it needs), -1: no memory.
 */
int klaviyo_chunk_add(klaviyo_chunk_t *chunk, uint64_t seq,
    const klaviyo_event_t *event);

/*
 * The next record at or behind `seq`; its event points into the chunk,
 * record->missing counts from `seq`, record->next.position is 0.  OK, or
 * EMPTY: none in this chunk.
 */
klaviyo_ring_rc_e klaviyo_chunk_next(klaviyo_chunk_t *chunk, uint64_t seq,
    klaviyo_record_t *record);

void klaviyo_chunk_reset(klaviyo_chunk_t *chunk);
void klaviyo_chunk_free(klaviyo_chunk_t *chunk);


#endif /* KLAVIYO_SPOOL_H */
