/*
 * The files of a spool, private to klaviyo_spool*.c and their tests.  All
 * numbers are in the machine's own order; a spool never leaves the machine it
 * was made on.
 *
 *     state                    two slots of 4096 bytes, written in turn
 *     <16 hex digits>.spool    a segment; its name is its number
 *
 *     state    [slot 0][slot 1]     the slot is its generation's lowest bit;
 *                                   the newest whose crc is right stands
 *
 *     segment  [header, 4096 bytes][record][record] . . .
 *
 *     record   see klaviyo_record.h; its place is its offset, its owner the
 *              spool's uuid and the segment's number
 *
 * The spool has sequences of its own: seq = the ring's - delta, modulo 2^64.
 * Thus all of it passes to another ring by one number in the state.
 *
 *     head                                             tail
 *       |                                               |
 *   [.......)[.......................)[..................).......
 *    first    first                    first              not committed
 *
 * A segment has the sequences from its `first` to the next one's, or to the
 * tail; what is found in it beyond was never committed, or is committed
 * elsewhere.  Hence who stops writing to a segment only has to begin the next
 * one with the tail that was committed.  A segment is never written to again
 * after a failure or by another process.
 *
 * What commits is a slot.  The bytes it tells of have been synced before.
 *
 * Whoever changes the format raises KLAVIYO_SPOOL_VERSION and looks at this
 * picture, klaviyo_spool_inspect.c, t/unit/spool_test.c, t/fuzz/spool_fuzz.c.
 */


#ifndef KLAVIYO_SPOOL_FORMAT_H
#define KLAVIYO_SPOOL_FORMAT_H


#include "klaviyo_record.h"
#include "klaviyo_spool.h"


#define KLAVIYO_SPOOL_STATE_MAGIC    "KLVYSPST"
#define KLAVIYO_SPOOL_SEGMENT_MAGIC  "KLVYSPSG"
#define KLAVIYO_SPOOL_VERSION        3

#define KLAVIYO_SPOOL_STATE_NAME     "state"

#define KLAVIYO_SPOOL_BLOCK          4096   /* a slot, a segment's header   */
#define KLAVIYO_SPOOL_STATE_SIZE     (2 * KLAVIYO_SPOOL_BLOCK)

#define KLAVIYO_SPOOL_SEGMENT_MIN    (256 * 1024)
#define KLAVIYO_SPOOL_SEGMENT_MAX    (16 * 1024 * 1024)


typedef struct {
    uint8_t   magic[8];
    uint32_t  version;
    uint32_t  reserved;
    uint64_t  generation;
    uint8_t   uuid[KLAVIYO_RING_UUID_LEN];   /* of the spool                */
    uint8_t   ring[KLAVIYO_RING_UUID_LEN];   /* whose it is                 */
    uint8_t   previous[KLAVIYO_RING_UUID_LEN];   /* whose it was before     */
    uint64_t  delta;
    uint64_t  adoption;
    uint64_t  head_segment;      /* those with lower numbers are finished   */
    uint64_t  head_seq;
    uint64_t  tail_segment;      /* those with higher ones not committed    */
    uint64_t  tail_offset;
    uint64_t  tail_seq;
    uint64_t  position;          /* of tail_seq in the ring                 */
    klaviyo_ring_print_t  print; /* whose the events are; zeroes: not said  */
    uint32_t  crc;               /* of all before                           */
} klaviyo_spool_slot_t;


typedef struct {
    uint8_t   magic[8];
    uint32_t  version;
    uint32_t  reserved;
    uint8_t   uuid[KLAVIYO_RING_UUID_LEN];   /* of the spool                */
    uint64_t  number;
    uint64_t  first;             /* sequence                                */
    uint32_t  reserved2;
    uint32_t  crc;               /* of all before                           */
} klaviyo_spool_head_t;


_Static_assert(sizeof(klaviyo_spool_slot_t) == 192, "a slot has holes");
_Static_assert(sizeof(klaviyo_spool_head_t) == 56, "a head has holes");


#endif /* KLAVIYO_SPOOL_FORMAT_H */
