/*
 * A record: an event as it lies in the ring and in a segment of the spool.
 *
 *     [header, 40 bytes][unique id][profile][attributes][zeroes]
 *
 * Its length is a multiple of 16.  Both checksums are CRC-32C: `payload_crc`
 * of unique id, profile and attributes; `header_crc` of whose record it is,
 * of its place there, and of the header up to this member, so that bytes of
 * another file, or of an earlier lap, never pass for it.  Thus a record goes
 * from one place to another by a copy, with other numbers in its header.
 *
 * Whoever changes it raises KLAVIYO_RING_VERSION and KLAVIYO_SPOOL_VERSION.
 *
 * Plain C; touches nothing but what it is given.
 */


#ifndef KLAVIYO_RECORD_H
#define KLAVIYO_RECORD_H


#include "klaviyo_ring.h"


#define KLAVIYO_RECORD_EVENT   1
#define KLAVIYO_RECORD_PAD     2     /* of the ring: a header alone         */

#define KLAVIYO_RECORD_MAX     (8 * 1024 * 1024)

#define klaviyo_record_align(n)  (((n) + 15) & ~(uint64_t) 15)


typedef struct {
    uint32_t  length;            /* with header and zeroes                  */
    uint32_t  profile_len;
    uint32_t  attributes_len;
    uint32_t  payload_crc;
    uint64_t  seq;               /* pad: 0                                  */
    int64_t   time;              /* CLOCK_REALTIME, ms                      */
    uint8_t   type;
    uint8_t   flags;             /* 0                                       */
    uint8_t   unique_id_len;
    uint8_t   reserved;          /* 0                                       */
    uint32_t  header_crc;
} klaviyo_header_t;


_Static_assert(sizeof(klaviyo_header_t) == 40, "a header has holes");


/*
 * The header of an event, but for `seq` and `header_crc`.  0, or -1: it has
 * no id, or is longer than a record may be.
 */
int klaviyo_record_header(klaviyo_header_t *header,
    const klaviyo_event_t *event);

/* writes header->length bytes: the header and its event */
void klaviyo_record_put(uint8_t *p, const klaviyo_header_t *header,
    const klaviyo_event_t *event);

size_t klaviyo_record_payload_len(const klaviyo_header_t *header);

/* whether it is an event's, whose lengths agree with each other and with
   what there is */
int klaviyo_record_sane(const klaviyo_header_t *header, uint64_t available);

/* `header_crc` at a place; `owner` is a checksum of whose record it is */
uint32_t klaviyo_record_crc(uint32_t owner, uint64_t place,
    const klaviyo_header_t *header);

/* whether these are the bytes that the header is of */
int klaviyo_record_whole(const klaviyo_header_t *header,
    const uint8_t *payload);

/*
 * Copies header, payload and zeroes to `buf` and checks the copy: 1, or 0: it
 * is damaged; -1: `size` is less than header->length.
 */
int klaviyo_record_copy(uint8_t *buf, size_t size,
    const klaviyo_header_t *header, const uint8_t *payload);

/* all but `missing` and next.position, of the record at p, which stays */
void klaviyo_record_read(klaviyo_record_t *record, const uint8_t *p);


#endif /* KLAVIYO_RECORD_H */
