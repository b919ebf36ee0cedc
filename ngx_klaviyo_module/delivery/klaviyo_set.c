/*
 * Sets of byte strings: open addressing over SipHash-1-3.  Room: delivery,
 * plain C.
 */


#define _GNU_SOURCE

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "klaviyo_set.h"
#include "klaviyo_spare.h"
#include "queue/klaviyo_sip.h"


#define KLAVIYO_ARENA_MIN  16384


int
klaviyo_arena_reserve(klaviyo_arena_t *arena, size_t len)
{
    size_t    size;
    uint8_t  *start;

    if (len <= arena->size - arena->used) {
        return 0;
    }

    if (len > SIZE_MAX / 2 - arena->used) {
        return -1;
    }

    size = arena->size + arena->size / 2;

    if (size < KLAVIYO_ARENA_MIN) {
        size = KLAVIYO_ARENA_MIN;
    }

    if (size < arena->used + len) {
        size = arena->used + len;
    }

    start = klaviyo_spare_resize(arena->start, size);
    if (start == NULL) {
        return -1;
    }

    arena->start = start;
    arena->size = size;

    return 0;
}


size_t
klaviyo_arena_add(klaviyo_arena_t *arena, const uint8_t *p, size_t len)
{
    size_t  offset;

    offset = arena->used;

    if (len > 0) {
        memcpy(arena->start + offset, p, len);
        arena->used += len;
    }

    return offset;
}


void
klaviyo_set_key(klaviyo_set_key_t *key)
{
    ssize_t          n;
    struct timespec  ts;

    n = getrandom(key, sizeof(klaviyo_set_key_t), GRND_NONBLOCK);

    if (n != (ssize_t) sizeof(klaviyo_set_key_t)) {

        /* early in the boot: what a visitor cannot know exactly */

        clock_gettime(CLOCK_MONOTONIC, &ts);

        key->k0 = (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
        key->k1 = (uint64_t) (uintptr_t) key;
    }
}


uint32_t
klaviyo_set_find(const klaviyo_set_t *set, const klaviyo_arena_t *arena,
    const klaviyo_set_key_t *key, const uint8_t *p, size_t len,
    uint64_t *hash)
{
    uint32_t                     i;
    const klaviyo_set_string_t  *string;

    *hash = klaviyo_set_hash(key, p, len);

    for (i = *hash % KLAVIYO_SET_SLOTS;
         set->slot[i] != 0;
         i = (i + 1) % KLAVIYO_SET_SLOTS)
    {
        string = &set->string[set->slot[i] - 1];

        if (string->hash == *hash && string->len == len
            && (len == 0
                || memcmp(arena->start + string->offset, p, len) == 0))
        {
            return set->slot[i] - 1;
        }
    }

    return set->n;
}


void
klaviyo_set_add(klaviyo_set_t *set, klaviyo_arena_t *arena, const uint8_t *p,
    size_t len, uint64_t hash)
{
    uint32_t               i;
    klaviyo_set_string_t  *string;

    string = &set->string[set->n++];

    string->hash = hash;
    string->offset = klaviyo_arena_add(arena, p, len);
    string->len = len;

    i = hash % KLAVIYO_SET_SLOTS;

    while (set->slot[i] != 0) {
        i = (i + 1) % KLAVIYO_SET_SLOTS;
    }

    set->slot[i] = (uint16_t) set->n;
}


uint64_t
klaviyo_set_hash(const klaviyo_set_key_t *key, const uint8_t *p, size_t len)
{
    return klaviyo_sip(key->k0, key->k1, p, len);
}
