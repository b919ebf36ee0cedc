/*
 * delivery: memory that one batch leaves to the next.  Plain C.
 *
 *     [size of what follows, padded to 16 bytes][what the caller has]
 */


#include "klaviyo_spare.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>


#define KLAVIYO_SPARE_HEAD   16
#define KLAVIYO_SPARE_MIN    4096      /* what is smaller is not kept        */
#define KLAVIYO_SPARE_WASTE  4         /* times what is left of a block      */
#define KLAVIYO_SPARE_N      16


static size_t klaviyo_spare_size(const void *p);
static void *klaviyo_spare_set(uint8_t *start, size_t size);
static void *klaviyo_spare_find(size_t size);


static void    *klaviyo_spare[KLAVIYO_SPARE_N];
static size_t   klaviyo_spare_bytes;


void *
klaviyo_spare_alloc(size_t size)
{
    void  *p;

    p = klaviyo_spare_find(size);

    if (p != NULL) {
        return p;
    }

    if (size > SIZE_MAX - KLAVIYO_SPARE_HEAD) {
        return NULL;
    }

    return klaviyo_spare_set(malloc(KLAVIYO_SPARE_HEAD + size), size);
}


/* what would leave much of it is made smaller indeed */

void *
klaviyo_spare_resize(void *p, size_t size)
{
    void    *larger;
    size_t   was;

    if (p == NULL) {
        return klaviyo_spare_alloc(size);
    }

    was = klaviyo_spare_size(p);

    if (size <= was && was / KLAVIYO_SPARE_WASTE <= size) {
        return p;
    }

    if (size > was) {
        larger = klaviyo_spare_find(size);

        if (larger != NULL) {
            memcpy(larger, p, was);
            klaviyo_spare_free(p);
            return larger;
        }
    }

    if (size > SIZE_MAX - KLAVIYO_SPARE_HEAD) {
        return NULL;
    }

    return klaviyo_spare_set(realloc((uint8_t *) p - KLAVIYO_SPARE_HEAD,
                                     KLAVIYO_SPARE_HEAD + size), size);
}


void
klaviyo_spare_free(void *p)
{
    size_t    size;
    unsigned  i;

    if (p == NULL) {
        return;
    }

    size = klaviyo_spare_size(p);

    if (size >= KLAVIYO_SPARE_MIN
        && size <= KLAVIYO_SPARE_BYTES - klaviyo_spare_bytes)
    {
        for (i = 0; i < KLAVIYO_SPARE_N; i++) {

            if (klaviyo_spare[i] == NULL) {
                klaviyo_spare[i] = p;
                klaviyo_spare_bytes += size;
                return;
            }
        }
    }

    free((uint8_t *) p - KLAVIYO_SPARE_HEAD);
}


void
klaviyo_spare_drop(void)
{
    unsigned  i;

    for (i = 0; i < KLAVIYO_SPARE_N; i++) {

        if (klaviyo_spare[i] != NULL) {
            free((uint8_t *) klaviyo_spare[i] - KLAVIYO_SPARE_HEAD);
            klaviyo_spare[i] = NULL;
        }
    }

    klaviyo_spare_bytes = 0;
}


static size_t
klaviyo_spare_size(const void *p)
{
    size_t  size;

    memcpy(&size, (const uint8_t *) p - KLAVIYO_SPARE_HEAD, sizeof(size_t));

    return size;
}


static void *
klaviyo_spare_set(uint8_t *start, size_t size)
{
    if (start == NULL) {
        return NULL;
    }

    memcpy(start, &size, sizeof(size_t));

    return start + KLAVIYO_SPARE_HEAD;
}


/*
 * The smallest that is large enough, and be it for less than it has room for:
 * what grows grows into it.  All of them together are bounded.
 */

static void *
klaviyo_spare_find(size_t size)
{
    void      *p;
    size_t     is, least;
    unsigned   i, best;

    best = KLAVIYO_SPARE_N;
    least = 0;

    for (i = 0; i < KLAVIYO_SPARE_N; i++) {

        if (klaviyo_spare[i] == NULL) {
            continue;
        }

        is = klaviyo_spare_size(klaviyo_spare[i]);

        if (is >= size && (best == KLAVIYO_SPARE_N || is < least)) {
            best = i;
            least = is;
        }
    }

    if (best == KLAVIYO_SPARE_N) {
        return NULL;
    }

    p = klaviyo_spare[best];

    klaviyo_spare[best] = NULL;
    klaviyo_spare_bytes -= least;

    return p;
}
