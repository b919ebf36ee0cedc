/*
 * What the files of the spool share among themselves.  Included by
 * klaviyo_spool*.c and by their tests, by nobody else.
 */


#ifndef KLAVIYO_SPOOL_PRIVATE_H
#define KLAVIYO_SPOOL_PRIVATE_H


#include "klaviyo_file.h"
#include "klaviyo_spool_format.h"


#define KLAVIYO_SPOOL_NAME_MAX  32       /* bytes of a segment's name       */

/* directories in the spool's own that hold what was moved aside */

#define KLAVIYO_SPOOL_CORRUPT   ".corrupt"
#define KLAVIYO_SPOOL_FOREIGN   ".version"


typedef struct {
    uint64_t                  number;
    uint64_t                  first;     /* sequence                        */
    uint64_t                  size;      /* bytes of the file               */
    unsigned                  bad;       /* its header is not believed, and */
                                         /* `first` is not known            */
} klaviyo_spool_segment_t;


struct klaviyo_spool_s {
    klaviyo_dir_t             dir;
    uint64_t                  size;
    uint64_t                  segment_size;
    int                       state_fd;

    klaviyo_spool_slot_t      slot;      /* what is committed               */
    unsigned                  doubtful;  /* a commit failed: the disk may   */
                                         /* have a newer one                */
    uint32_t                  uuid_crc;  /* where checksums begin           */

    klaviyo_spool_segment_t  *segment;   /* by number                       */
    size_t                    segments;
    size_t                    segments_max;
    uint64_t                  next;      /* the number of a new one         */
    uint64_t                  abandoned;

    int                       write_fd;  /* of the last segment; -1: the    */
                                         /* next record begins a new one    */

    int                       read_fd;   /* where reading goes on, -1: not  */
    uint64_t                  read_number;  /* known; records from          */
    uint64_t                  read_offset;  /* read_seq on do not stand     */
    uint64_t                  read_seq;     /* before read_offset           */
};


/* a <= b for sequences that are less than 2^63 apart */
#define klaviyo_spool_le(a, b)  ((int64_t) ((b) - (a)) >= 0)
#define klaviyo_spool_lt(a, b)  ((int64_t) ((b) - (a)) > 0)


/* klaviyo_spool_state.c */

typedef enum {
    KLAVIYO_SPOOL_STATE_GOOD = 0,
    KLAVIYO_SPOOL_STATE_NEW,         /* never written to                    */
    KLAVIYO_SPOOL_STATE_CORRUPT,
    KLAVIYO_SPOOL_STATE_VERSION,     /* another version of the format       */
    KLAVIYO_SPOOL_STATE_OTHER,       /* not a spool's file at all           */
    KLAVIYO_SPOOL_STATE_ERROR        /* errno                               */
} klaviyo_spool_state_e;

/* reads and judges both slots; fills *slot with the one that stands */
klaviyo_spool_state_e klaviyo_spool_state_load(int fd,
    klaviyo_spool_slot_t *slot);

/* a slot of a spool that has nothing; 0, or -1 and errno */
int klaviyo_spool_state_make(klaviyo_spool_slot_t *slot);

/*
 * Makes a changed copy of spool->slot the one that stands.  -1: the old one
 * stands, but what a crash brings back may be either.
 */
int klaviyo_spool_commit(klaviyo_spool_t *spool, klaviyo_spool_slot_t *slot,
    char *error);


/* klaviyo_spool_dir.c */

void klaviyo_spool_segment_name(uint64_t number, char *name);

/*
 * One look into the directory: fills the table with all segments, those as
 * bad that the state does not tell of (the rest of a crash).  Changes nothing
 * on the disk.  0 or -1.
 */
int klaviyo_spool_segments_open(klaviyo_spool_t *spool, char *error);

/* a new last one in the table; NULL: no memory */
klaviyo_spool_segment_t *klaviyo_spool_segment_push(klaviyo_spool_t *spool,
    uint64_t number);

/*
 * The state as it is on the disk, in spool->slot if it is GOOD.  NEW: nothing
 * was ever written, and there are no segments; with segments it is CORRUPT.
 * ERROR: with the text.
 */
klaviyo_spool_state_e klaviyo_spool_state_read(klaviyo_spool_t *spool,
    char *error);

/*
 * Moves the state and all segments into a new directory whose name begins
 * with `kind`; `to` gets that name and holds 128 bytes.  0 or -1.
 */
int klaviyo_spool_aside(klaviyo_spool_t *spool, const char *kind, char *to,
    char *error);

/* bytes of all segments */
uint64_t klaviyo_spool_used(const klaviyo_spool_t *spool);

/* the segment that has this sequence, the last with first <= seq; or NULL */
klaviyo_spool_segment_t *klaviyo_spool_segment_of(
    const klaviyo_spool_t *spool, uint64_t seq);

/* where the segment's sequences end: the next one's first, or the tail */
uint64_t klaviyo_spool_segment_end(const klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment);

/*
 * Unlinks what no sequence between head and tail is in.  What the disk does
 * not let go stays in the table.
 */
void klaviyo_spool_prune(klaviyo_spool_t *spool);


/* klaviyo_spool_segment.c */

/* the crc that begins a record's header_crc */
uint32_t klaviyo_spool_record_crc(const klaviyo_spool_t *spool,
    uint64_t number);

/*
 * Writes records, all of a chunk in the spool's numbering, behind the tail,
 * and syncs them; *slot gets the new end.  -1: call abandon.
 */
int klaviyo_spool_segment_write(klaviyo_spool_t *spool, uint8_t *records,
    size_t len, klaviyo_spool_slot_t *slot, char *error);

/*
 * After a failed write: what is not committed is taken back as far as the
 * disk lets us; `from` is the first segment of this write.
 */
void klaviyo_spool_abandon(klaviyo_spool_t *spool, uint64_t from);

/* cuts off what is behind the committed tail, if the disk lets us */
void klaviyo_spool_trim(klaviyo_spool_t *spool);


/* klaviyo_spool_read.c */

/*
 * Reads records that follow each other without a gap from the committed tail
 * on and syncs them; moves *offset and *seq behind them.
 */
void klaviyo_spool_scan_tail(klaviyo_spool_t *spool, uint64_t *offset,
    uint64_t *seq);


/* klaviyo_spool_chunk.c */

/* adds to the sequence of each record */
void klaviyo_chunk_renumber(klaviyo_chunk_t *chunk, uint64_t add);

/* room for so many bytes in all; 0, or -1: no memory */
int klaviyo_chunk_grow(klaviyo_chunk_t *chunk, size_t size);

/* whether the lengths agree with each other and with what there is */
int klaviyo_spool_record_sane(const klaviyo_spool_record_t *record,
    uint64_t available);

size_t klaviyo_spool_payload_len(const klaviyo_spool_record_t *record);


#endif /* KLAVIYO_SPOOL_PRIVATE_H */
