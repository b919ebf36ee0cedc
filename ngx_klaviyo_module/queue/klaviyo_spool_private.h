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


typedef enum {
    KLAVIYO_SPOOL_STATE_GOOD = 0,
    KLAVIYO_SPOOL_STATE_NEW,         /* never written to                    */
    KLAVIYO_SPOOL_STATE_CORRUPT,
    KLAVIYO_SPOOL_STATE_VERSION,     /* another version of the format       */
    KLAVIYO_SPOOL_STATE_OTHER,       /* not a spool's file at all           */
    KLAVIYO_SPOOL_STATE_ERROR        /* errno                               */
} klaviyo_spool_state_e;


#endif /* KLAVIYO_SPOOL_PRIVATE_H */
