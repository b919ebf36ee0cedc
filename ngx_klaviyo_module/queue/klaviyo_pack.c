/*
 * Packs, see the header.  Room: queue, plain C.
 */


#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_pack.h"


#define KLAVIYO_PACK_RECORD  25      /* bytes of a record before its texts  */
#define KLAVIYO_PACK_CRC     44      /* where the checksum is               */

/* zstd's lowest: the higher ones take longer than Redis and the net gain */
#define KLAVIYO_PACK_LEVEL   1


static const uint8_t  klaviyo_pack_magic[4] = { 'K', 'P', 'K', '2' };


static void klaviyo_pack_put(uint8_t *p, uint64_t n, size_t bytes);
static uint64_t klaviyo_pack_get(const uint8_t *p, size_t bytes);
static uint8_t *klaviyo_pack_room(klaviyo_packing_t *pack, size_t size);
static uint32_t klaviyo_pack_crc(const uint8_t *data, size_t len);
static const char *klaviyo_unpack_check(klaviyo_unpacking_t *pack);
static size_t klaviyo_unpack_record(const klaviyo_unpacking_t *pack,
    klaviyo_event_t *event, uint64_t *seq);


int
klaviyo_pack_fits(const klaviyo_packing_t *pack, const klaviyo_event_t *event)
{
    return pack->n == 0
           || (pack->n < KLAVIYO_PACK_EVENTS
               && pack->used + KLAVIYO_PACK_RECORD + event->unique_id_len
                  + event->profile_len + event->attributes_len
                  <= KLAVIYO_PACK_BYTES);
}


int
klaviyo_pack_add(klaviyo_packing_t *pack, const klaviyo_event_t *event,
    uint64_t seq)
{
    size_t    need, size;
    uint8_t  *p;

    need = pack->used + KLAVIYO_PACK_RECORD + event->unique_id_len
           + event->profile_len + event->attributes_len;

    if (need > KLAVIYO_PACK_MAX) {
        return -1;
    }

    if (need > pack->size) {
        size = (need < KLAVIYO_PACK_BYTES) ? KLAVIYO_PACK_BYTES : need;

        p = realloc(pack->start, size);
        if (p == NULL) {
            return -1;
        }

        pack->start = p;
        pack->size = size;
    }

    p = pack->start + pack->used;

    klaviyo_pack_put(p, seq, 8);
    klaviyo_pack_put(p + 8, (uint64_t) event->time, 8);
    klaviyo_pack_put(p + 16, event->profile_len, 4);
    klaviyo_pack_put(p + 20, event->attributes_len, 4);
    klaviyo_pack_put(p + 24, event->unique_id_len, 1);
    p += KLAVIYO_PACK_RECORD;

    memcpy(p, event->unique_id, event->unique_id_len);
    p += event->unique_id_len;
    memcpy(p, event->profile, event->profile_len);
    p += event->profile_len;
    memcpy(p, event->attributes, event->attributes_len);

    if (pack->n++ == 0) {
        pack->from = seq;
    }

    pack->to = seq + 1;
    pack->used = need;

    return 0;
}


const uint8_t *
klaviyo_pack_close(klaviyo_packing_t *pack, const uint8_t *uuid, size_t *len)
{
    size_t    n;
    uint8_t  *p;

    p = klaviyo_pack_room(pack, KLAVIYO_PACK_HEAD
                                + ZSTD_compressBound(pack->used));
    if (p == NULL) {
        return NULL;
    }

    n = ZSTD_compressCCtx(pack->zstd, p + KLAVIYO_PACK_HEAD,
                          pack->closed_size - KLAVIYO_PACK_HEAD, pack->start,
                          pack->used, KLAVIYO_PACK_LEVEL);
    if (ZSTD_isError(n)) {
        return NULL;
    }

    memcpy(p, klaviyo_pack_magic, 4);
    memcpy(p + 4, uuid, KLAVIYO_RING_UUID_LEN);
    klaviyo_pack_put(p + 20, pack->from, 8);
    klaviyo_pack_put(p + 28, pack->to, 8);
    klaviyo_pack_put(p + 36, pack->n, 4);
    klaviyo_pack_put(p + 40, pack->used, 4);

    *len = KLAVIYO_PACK_HEAD + n;

    klaviyo_pack_put(p + KLAVIYO_PACK_CRC, klaviyo_pack_crc(p, *len), 4);

    return p;
}


/* for a closed pack of this size, and what makes it */

static uint8_t *
klaviyo_pack_room(klaviyo_packing_t *pack, size_t size)
{
    if (pack->zstd == NULL) {
        pack->zstd = ZSTD_createCCtx();
        if (pack->zstd == NULL) {
            return NULL;
        }
    }

    if (size > pack->closed_size) {
        free(pack->closed);

        pack->closed = malloc(size);
        pack->closed_size = pack->closed ? size : 0;
    }

    return pack->closed;
}


void
klaviyo_pack_reset(klaviyo_packing_t *pack)
{
    pack->used = 0;
    pack->n = 0;
}


void
klaviyo_pack_free(klaviyo_packing_t *pack)
{
    (void) ZSTD_freeCCtx(pack->zstd);

    free(pack->start);
    free(pack->closed);

    memset(pack, 0, sizeof(klaviyo_packing_t));
}


const char *
klaviyo_unpack_open(klaviyo_unpacking_t *pack, const uint8_t *data, size_t len)
{
    const char  *wrong;

    memset(pack, 0, sizeof(klaviyo_unpacking_t));

    if (len < KLAVIYO_PACK_HEAD || memcmp(data, klaviyo_pack_magic, 3) != 0) {
        return "it is no pack";
    }

    /* an older one its host has still, and adds again when it is updated */

    if (data[3] < klaviyo_pack_magic[3]) {
        return "it is older than what is read here";
    }

    if (data[3] > klaviyo_pack_magic[3]) {
        return "it is a pack of another version";
    }

    if (klaviyo_pack_get(data + KLAVIYO_PACK_CRC, 4)
        != klaviyo_pack_crc(data, len))
    {
        return "its checksum is another one";
    }

    memcpy(pack->uuid, data + 4, KLAVIYO_RING_UUID_LEN);
    pack->from = klaviyo_pack_get(data + 20, 8);
    pack->to = klaviyo_pack_get(data + 28, 8);
    pack->n = (uint32_t) klaviyo_pack_get(data + 36, 4);
    pack->size = (size_t) klaviyo_pack_get(data + 40, 4);

    if (pack->n == 0 || pack->n > KLAVIYO_PACK_EVENTS
        || pack->size > KLAVIYO_PACK_MAX
        || pack->size < (size_t) pack->n * KLAVIYO_PACK_RECORD
        || pack->to > INT64_MAX || pack->from >= pack->to)
    {
        return "its numbers are out of bounds";
    }

    pack->start = malloc(pack->size);
    if (pack->start == NULL) {
        return "there is no memory for it";
    }

    /* to exactly the size that was named; an error is a size that is none */

    wrong = ZSTD_decompress(pack->start, pack->size, data + KLAVIYO_PACK_HEAD,
                            len - KLAVIYO_PACK_HEAD)
            == pack->size
            ? klaviyo_unpack_check(pack)
            : "its records are not compressed well";

    if (wrong != NULL) {
        klaviyo_unpack_free(pack);
    }

    return wrong;
}


static const char *
klaviyo_unpack_check(klaviyo_unpacking_t *pack)
{
    size_t           len;
    uint32_t         i;
    uint64_t         seq, least;
    klaviyo_event_t  event;

    least = pack->from;

    for (i = 0; i < pack->n; i++) {
        len = klaviyo_unpack_record(pack, &event, &seq);

        if (len == 0 || seq < least || seq >= pack->to
            || (i == 0 && seq != pack->from))
        {
            return "its records are damaged";
        }

        least = seq + 1;
        pack->at += len;
    }

    if (pack->at != pack->size || least != pack->to) {
        return "its records are damaged";
    }

    pack->at = 0;

    return NULL;
}


/* the bytes of the record, 0: it is none */

static size_t
klaviyo_unpack_record(const klaviyo_unpacking_t *pack, klaviyo_event_t *event,
    uint64_t *seq)
{
    size_t          rest;
    const uint8_t  *p;

    p = pack->start + pack->at;
    rest = pack->size - pack->at;

    if (rest < KLAVIYO_PACK_RECORD) {
        return 0;
    }

    memset(event, 0, sizeof(klaviyo_event_t));

    *seq = klaviyo_pack_get(p, 8);
    event->time = (int64_t) klaviyo_pack_get(p + 8, 8);
    event->profile_len = (size_t) klaviyo_pack_get(p + 16, 4);
    event->attributes_len = (size_t) klaviyo_pack_get(p + 20, 4);
    event->unique_id_len = p[24];

    p += KLAVIYO_PACK_RECORD;
    rest -= KLAVIYO_PACK_RECORD;

    if (event->unique_id_len == 0
        || event->unique_id_len > rest
        || event->profile_len > rest - event->unique_id_len
        || event->attributes_len > rest - event->unique_id_len
                                   - event->profile_len)
    {
        return 0;
    }

    event->unique_id = p;
    event->profile = p + event->unique_id_len;
    event->attributes = event->profile + event->profile_len;

    return KLAVIYO_PACK_RECORD + event->unique_id_len + event->profile_len
           + event->attributes_len;
}


int
klaviyo_unpack_next(klaviyo_unpacking_t *pack, klaviyo_event_t *event,
    uint64_t *seq)
{
    if (pack->read == pack->n) {
        return 0;
    }

    pack->at += klaviyo_unpack_record(pack, event, seq);
    pack->read++;

    return 1;
}


void
klaviyo_unpack_free(klaviyo_unpacking_t *pack)
{
    free(pack->start);

    memset(pack, 0, sizeof(klaviyo_unpacking_t));
}


static uint32_t
klaviyo_pack_crc(const uint8_t *data, size_t len)
{
    uint32_t  crc;

    crc = klaviyo_crc32c(0, data, KLAVIYO_PACK_CRC);

    return klaviyo_crc32c(crc, data + KLAVIYO_PACK_HEAD,
                          len - KLAVIYO_PACK_HEAD);
}


static void
klaviyo_pack_put(uint8_t *p, uint64_t n, size_t bytes)
{
    size_t  i;

    for (i = 0; i < bytes; i++) {
        p[i] = (uint8_t) (n >> (8 * i));
    }
}


static uint64_t
klaviyo_pack_get(const uint8_t *p, size_t bytes)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < bytes; i++) {
        n |= (uint64_t) p[i] << (8 * i);
    }

    return n;
}
