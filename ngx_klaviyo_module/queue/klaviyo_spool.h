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
    KLAVIYO_SPOOL_NONE,          /* there is none, or none to be repaired   */
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


#endif /* KLAVIYO_SPOOL_H */
