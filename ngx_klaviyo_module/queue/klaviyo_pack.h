/*
 * A pack: events on their way from one host to another, by Redis.  Unlike the
 * ring's records its bytes are the same on all machines: numbers are
 * little-endian.
 *
 *     magic "KPK2"      4     the last character is the version
 *     uuid             16     whose log the events are in
 *     from              8     the first event's sequence there
 *     to                8     behind the last event's
 *     n                 4     events
 *     size              4     bytes of the records, decompressed
 *     crc               4     CRC-32C of all before and all behind
 *     records                 compressed (zstd)
 *
 *     record            seq 8, time 8, profile's length 4, attributes' length
 *                       4, unique_id's length 1, unique_id, profile,
 *                       attributes
 *
 * Sequences grow from record to record.  At most KLAVIYO_PACK_EVENTS, and as
 * many as begin within KLAVIYO_PACK_BYTES: one larger event is a pack of its
 * own.  Who changes the format changes the version, and klaviyo-queue.
 *
 * Plain C.
 */


#ifndef KLAVIYO_PACK_H
#define KLAVIYO_PACK_H


#include "klaviyo_ring.h"


#define KLAVIYO_PACK_EVENTS   200
#define KLAVIYO_PACK_BYTES    (128 * 1024)

/* of the records: those of one event that a ring just takes */
#define KLAVIYO_PACK_MAX      (5 * 1024 * 1024)

#define KLAVIYO_PACK_HEAD     48


/* being filled; zeroed, it is empty */

typedef struct {
    uint8_t   *start;            /* the records                             */
    size_t     used;
    size_t     size;
    uint32_t   n;
    uint64_t   from;
    uint64_t   to;

    uint8_t   *closed;
    size_t     closed_size;

    struct ZSTD_CCtx_s  *zstd;   /* kept: to make one costs as much as to
                                    compress                                */
} klaviyo_packing_t;


/* being read */

typedef struct {
    uint8_t    uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t   from;
    uint64_t   to;
    uint32_t   n;

    uint8_t   *start;            /* the records, decompressed               */
    size_t     size;
    size_t     at;               /* the next one                            */
    uint32_t   read;             /* how many were                           */
} klaviyo_unpacking_t;


/* 1: it has room for this event, too */
int klaviyo_pack_fits(const klaviyo_packing_t *pack,
    const klaviyo_event_t *event);

/* 0; or -1: no memory, or the event is larger than any ring takes */
int klaviyo_pack_add(klaviyo_packing_t *pack, const klaviyo_event_t *event,
    uint64_t seq);

/*
 * The bytes of a pack of at least one event, good until the next call; NULL:
 * no memory.
 */
const uint8_t *klaviyo_pack_close(klaviyo_packing_t *pack, const uint8_t *uuid,
    size_t *len);

/* empty again; its memory is kept */
void klaviyo_pack_reset(klaviyo_packing_t *pack);
void klaviyo_pack_free(klaviyo_packing_t *pack);


/* NULL; or what is wrong with these bytes, in words, and nothing is to free */
const char *klaviyo_unpack_open(klaviyo_unpacking_t *pack, const uint8_t *data,
    size_t len);

/*
 * 1 and the next event, whose pointers are good until the pack is freed; 0:
 * that was all.  Opened, all its records are known to be whole.
 */
int klaviyo_unpack_next(klaviyo_unpacking_t *pack, klaviyo_event_t *event,
    uint64_t *seq);

void klaviyo_unpack_free(klaviyo_unpacking_t *pack);


#endif /* KLAVIYO_PACK_H */
