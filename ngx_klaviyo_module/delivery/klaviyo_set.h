/*
 * Distinct byte strings, numbered in the order in which they came.
 *
 * The bytes lie in an arena that only grows and that several sets may share;
 * strings are offsets into it, so that it may move.  The hash is keyed:
 * visitors choose the strings and must not be able to make them collide.
 *
 * Plain C.
 */


#ifndef KLAVIYO_SET_H
#define KLAVIYO_SET_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_SET_MAX    1000      /* strings                             */
#define KLAVIYO_SET_SLOTS  2048      /* a power of two, never half full     */


typedef struct {
    uint8_t  *start;
    size_t    used;
    size_t    size;
} klaviyo_arena_t;


typedef struct {
    uint64_t  k0;
    uint64_t  k1;
} klaviyo_set_key_t;


typedef struct {
    uint64_t  hash;
    size_t    offset;
    size_t    len;
} klaviyo_set_string_t;


/* all zero is an empty set */

typedef struct {
    klaviyo_set_string_t  string[KLAVIYO_SET_MAX];
    uint16_t              slot[KLAVIYO_SET_SLOTS];  /* a number + 1, 0: free */
    uint32_t              n;
} klaviyo_set_t;


/* room for `len` bytes more: 0, or -1 without memory */
int klaviyo_arena_reserve(klaviyo_arena_t *arena, size_t len);

/* copies into reserved room, returns the offset */
size_t klaviyo_arena_add(klaviyo_arena_t *arena, const uint8_t *p,
    size_t len);


void klaviyo_set_key(klaviyo_set_key_t *key);

/* keyed, of any bytes */
uint64_t klaviyo_set_hash(const klaviyo_set_key_t *key, const uint8_t *p,
    size_t len);

/* a string's number, or set->n when it is new; `hash` is for set_add() */
uint32_t klaviyo_set_find(const klaviyo_set_t *set,
    const klaviyo_arena_t *arena, const klaviyo_set_key_t *key,
    const uint8_t *p, size_t len, uint64_t *hash);

/* a new string gets number set->n; its room is reserved, the set not full */
void klaviyo_set_add(klaviyo_set_t *set, klaviyo_arena_t *arena,
    const uint8_t *p, size_t len, uint64_t hash);


#endif /* KLAVIYO_SET_H */
