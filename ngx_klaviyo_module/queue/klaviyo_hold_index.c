/*
 * The queue room: the index of the events that wait, see the header.
 *
 * Plain C.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "klaviyo_hold_index.h"
#include "klaviyo_sip.h"


int
klaviyo_hold_index_init(klaviyo_hold_index_t *index, uint32_t size)
{
    uint32_t  i, buckets;

    memset(index, 0, sizeof(klaviyo_hold_index_t));

    for (buckets = 64; buckets < size; buckets *= 2) { /* void */ }

    if (getrandom(index->seed, sizeof(index->seed), 0)
        != (ssize_t) sizeof(index->seed))
    {
        return errno ? errno : EIO;
    }

    index->entry = malloc((size_t) size * sizeof(klaviyo_hold_entry_t));
    index->bucket = malloc((size_t) buckets * sizeof(klaviyo_hold_bucket_t));

    if (index->entry == NULL || index->bucket == NULL) {
        klaviyo_hold_index_free(index);
        return ENOMEM;
    }

    for (i = 0; i < buckets; i++) {
        index->bucket[i].head = KLAVIYO_HOLD_INDEX_END;
        index->bucket[i].tail = KLAVIYO_HOLD_INDEX_END;
    }

    index->size = size;
    index->mask = buckets - 1;

    return 0;
}


void
klaviyo_hold_index_free(klaviyo_hold_index_t *index)
{
    free(index->entry);
    free(index->bucket);

    index->entry = NULL;
    index->bucket = NULL;
}


uint64_t
klaviyo_hold_index_hash(const klaviyo_hold_index_t *index, const uint8_t *key,
    size_t len)
{
    return klaviyo_sip(index->seed[0], index->seed[1], key, len);
}


static klaviyo_hold_bucket_t *
klaviyo_hold_index_bucket(klaviyo_hold_index_t *index, uint64_t hash)
{
    return &index->bucket[hash & index->mask];
}


void
klaviyo_hold_index_add(klaviyo_hold_index_t *index,
    const klaviyo_hold_entry_t *entry)
{
    uint32_t                at;
    klaviyo_hold_entry_t   *place;
    klaviyo_hold_bucket_t  *bucket;

    at = (uint32_t) (((uint64_t) index->first + index->used) % index->size);

    place = &index->entry[at];
    *place = *entry;
    place->next = KLAVIYO_HOLD_INDEX_END;
    place->waiting = 1;

    bucket = klaviyo_hold_index_bucket(index, entry->hash);

    if (bucket->head == KLAVIYO_HOLD_INDEX_END) {
        bucket->head = at;

    } else {
        index->entry[bucket->tail].next = at;
    }

    bucket->tail = at;

    index->used++;
    index->waiting++;
}


static void
klaviyo_hold_index_skip(klaviyo_hold_index_t *index)
{
    index->first = (index->first + 1 == index->size) ? 0 : index->first + 1;
    index->used--;
}


klaviyo_hold_entry_t *
klaviyo_hold_index_first(klaviyo_hold_index_t *index)
{
    while (index->used) {

        if (index->entry[index->first].waiting) {
            return &index->entry[index->first];
        }

        klaviyo_hold_index_skip(index);
    }

    return NULL;
}


/* the oldest of all is the oldest of its chain */

void
klaviyo_hold_index_pop(klaviyo_hold_index_t *index)
{
    klaviyo_hold_walk_t   walk;
    klaviyo_hold_entry_t  *entry;

    entry = klaviyo_hold_index_first(index);

    if (entry == NULL) {
        return;
    }

    klaviyo_hold_walk_init(&walk, entry->hash);
    (void) klaviyo_hold_walk_next(index, &walk);
    klaviyo_hold_walk_done(index, &walk);

    klaviyo_hold_index_skip(index);
}


void
klaviyo_hold_walk_init(klaviyo_hold_walk_t *walk, uint64_t hash)
{
    walk->hash = hash;
    walk->at = KLAVIYO_HOLD_INDEX_END;
    walk->prev = KLAVIYO_HOLD_INDEX_END;
}


klaviyo_hold_entry_t *
klaviyo_hold_walk_next(klaviyo_hold_index_t *index, klaviyo_hold_walk_t *walk)
{
    uint32_t               at;
    klaviyo_hold_entry_t  *entry;

    /* at == END: the beginning, or the one before was taken out */

    if (walk->at != KLAVIYO_HOLD_INDEX_END) {
        walk->prev = walk->at;
    }

    for ( ;; ) {

        if (walk->prev == KLAVIYO_HOLD_INDEX_END) {
            at = klaviyo_hold_index_bucket(index, walk->hash)->head;

        } else {
            at = index->entry[walk->prev].next;
        }

        walk->at = at;

        if (at == KLAVIYO_HOLD_INDEX_END) {
            return NULL;
        }

        entry = &index->entry[at];

        if (entry->hash == walk->hash) {
            return entry;
        }

        walk->prev = at;
    }
}


void
klaviyo_hold_walk_done(klaviyo_hold_index_t *index, klaviyo_hold_walk_t *walk)
{
    uint32_t                next;
    klaviyo_hold_entry_t   *entry;
    klaviyo_hold_bucket_t  *bucket;

    entry = &index->entry[walk->at];
    next = entry->next;

    bucket = klaviyo_hold_index_bucket(index, walk->hash);

    if (walk->prev == KLAVIYO_HOLD_INDEX_END) {
        bucket->head = next;

    } else {
        index->entry[walk->prev].next = next;
    }

    if (bucket->tail == walk->at) {
        bucket->tail = walk->prev;
    }

    entry->waiting = 0;
    index->waiting--;

    walk->at = KLAVIYO_HOLD_INDEX_END;
}
