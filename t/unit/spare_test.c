/*
 * Memory that one batch leaves to the next: nobody gets what somebody has,
 * bytes stay where they are moved to, and no more is kept than is said.
 */


#include <stdlib.h>
#include <string.h>

#include "tap.h"

#include "delivery/klaviyo_spare.h"


#define BLOCKS  40
#define ROUNDS  200000


typedef struct {
    uint8_t  *p;
    size_t    size;
    uint8_t   byte;
} block_t;


static int
whole(const block_t *block, size_t size)
{
    size_t  i;

    for (i = 0; i < size; i += 1 + size / 64) {

        if (block->p[i] != block->byte) {
            return 0;
        }
    }

    return size == 0 || block->p[size - 1] == block->byte;
}


static void
test_random(void)
{
    size_t     size;
    block_t    blocks[BLOCKS], *block;
    unsigned   n, bad, seed;

    memset(blocks, 0, sizeof(blocks));
    seed = 1;
    bad = 0;

    for (n = 0; n < ROUNDS; n++) {
        block = &blocks[rand_r(&seed) % BLOCKS];
        size = rand_r(&seed) % (1U << (rand_r(&seed) % 18));

        if (block->p != NULL && !whole(block, block->size)) {
            bad++;
        }

        switch (rand_r(&seed) % 3) {

        case 0:
            klaviyo_spare_free(block->p);
            block->p = NULL;
            block->size = 0;
            continue;

        case 1:
            klaviyo_spare_free(block->p);
            block->p = klaviyo_spare_alloc(size);
            break;

        default:
            block->p = klaviyo_spare_resize(block->p, size);

            if (block->p != NULL && block->size
                && !whole(block, size < block->size ? size : block->size))
            {
                bad++;
            }
        }

        if (block->p == NULL) {
            bad++;
            continue;
        }

        block->size = size;
        block->byte = (uint8_t) n;
        memset(block->p, block->byte, size);
    }

    for (n = 0; n < BLOCKS; n++) {
        klaviyo_spare_free(blocks[n].p);
    }

    klaviyo_spare_drop();

    is_int(bad, 0, "%d steps, each block its own", ROUNDS);
}


static void
test_kept(void)
{
    void  *p, *again;

    p = klaviyo_spare_alloc(100000);
    klaviyo_spare_free(p);

    again = klaviyo_spare_alloc(90000);
    ok(again == p, "what was given back is had again");

    ok(klaviyo_spare_resize(again, 50000) == again, "a smaller one stays");

    klaviyo_spare_free(again);

    p = klaviyo_spare_alloc(200000);
    ok(p != again, "unless it is too small");
    klaviyo_spare_free(p);

    p = klaviyo_spare_alloc(150000);
    ok(klaviyo_spare_alloc(1) == again, "the smallest that is large enough");
    klaviyo_spare_free(p);
    klaviyo_spare_free(again);

    /* more than all that is kept */

    p = klaviyo_spare_alloc(KLAVIYO_SPARE_BYTES + 1);
    ok(p != NULL, "a large one is had");
    klaviyo_spare_free(p);

    ok(klaviyo_spare_alloc(SIZE_MAX) == NULL
       && klaviyo_spare_alloc(SIZE_MAX - 15) == NULL, "too large");

    klaviyo_spare_drop();
}


/* all that is kept together is bounded: what is too much is given back */

static void
test_bound(void)
{
    void    *one, *two, *again;
    size_t   half;

    half = KLAVIYO_SPARE_BYTES / 2;

    one = klaviyo_spare_alloc(half + 100);
    two = klaviyo_spare_alloc(half + 50);

    klaviyo_spare_free(one);
    klaviyo_spare_free(two);

    again = klaviyo_spare_alloc(half);
    ok(again == one, "the smaller one was not kept beside it");

    klaviyo_spare_free(again);

    /* to a byte */

    one = klaviyo_spare_alloc(half + 100);
    two = klaviyo_spare_alloc(half - 100);
    klaviyo_spare_free(one);
    klaviyo_spare_free(two);
    ok(klaviyo_spare_alloc(half - 100) == two, "where there is room, it is");

    klaviyo_spare_free(two);
    klaviyo_spare_drop();
}


int
main(void)
{
    test_random();
    test_kept();
    test_bound();

    return done_testing();
}
