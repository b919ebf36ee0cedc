/*
 * Which events wait, and under which key: in memory, of a fixed size, made
 * again from the ring by whoever takes over.  Private to klaviyo_hold*.c and
 * their tests.
 *
 *     entries   in the order of the ring, from `first` on around the array
 *     buckets   chains through the entries, oldest first
 *
 * Keys are known by a hash that no visitor can compute.
 */


#ifndef KLAVIYO_HOLD_INDEX_H
#define KLAVIYO_HOLD_INDEX_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_HOLD_INDEX_END  UINT32_MAX


typedef struct {
    uint64_t                    position;    /* where a reader finds it     */
    uint64_t                    seq;
    uint64_t                    hash;        /* of the key                  */
    int64_t                     time;        /* CLOCK_REALTIME, ms          */
    uint32_t                    next;        /* in the chain                */
    uint8_t                     kind;        /* the first byte of the key   */
    uint8_t                     waiting;     /* 0: done, not in a chain     */
} klaviyo_hold_entry_t;


typedef struct {
    uint32_t                    head;
    uint32_t                    tail;
} klaviyo_hold_bucket_t;


typedef struct {
    klaviyo_hold_entry_t       *entry;
    klaviyo_hold_bucket_t      *bucket;
    uint64_t                    seed[2];
    uint64_t                    waiting;     /* entries that do             */
    uint32_t                    mask;        /* buckets - 1                 */
    uint32_t                    size;        /* entries                     */
    uint32_t                    first;
    uint32_t                    used;
} klaviyo_hold_index_t;


/* 0 or errno; at most `size` entries, memory is touched as they come */
int klaviyo_hold_index_init(klaviyo_hold_index_t *index, uint32_t size);
void klaviyo_hold_index_free(klaviyo_hold_index_t *index);

uint64_t klaviyo_hold_index_hash(const klaviyo_hold_index_t *index,
    const uint8_t *key, size_t len);

/* copies the entry behind all others, to wait; the index must not be full */
void klaviyo_hold_index_add(klaviyo_hold_index_t *index,
    const klaviyo_hold_entry_t *entry);

/* the oldest entry, done ones are gone by then; NULL: none */
klaviyo_hold_entry_t *klaviyo_hold_index_first(klaviyo_hold_index_t *index);

/* takes the oldest entry away */
void klaviyo_hold_index_pop(klaviyo_hold_index_t *index);


/*
 * The entries of a hash, oldest first; NULL: no more.  done() takes the one
 * just given out of its chain, and the walk goes on.
 */

typedef struct {
    uint64_t                    hash;
    uint32_t                    at;          /* the one just given          */
    uint32_t                    prev;        /* before it in the chain      */
} klaviyo_hold_walk_t;

void klaviyo_hold_walk_init(klaviyo_hold_walk_t *walk, uint64_t hash);
klaviyo_hold_entry_t *klaviyo_hold_walk_next(klaviyo_hold_index_t *index,
    klaviyo_hold_walk_t *walk);
void klaviyo_hold_walk_done(klaviyo_hold_index_t *index,
    klaviyo_hold_walk_t *walk);


#endif /* KLAVIYO_HOLD_INDEX_H */
