/*
 * The queue room: how the account fares, in two pages that are written in
 * turn.  Which of them stands is said by their generations alone, so that a
 * kill while one is written leaves the other.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only.
 */


#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_health.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


static int klaviyo_ring_health_read(klaviyo_ring_t *ring, unsigned n,
    klaviyo_ring_health_t *page);
static int klaviyo_ring_health_newest(klaviyo_ring_t *ring,
    klaviyo_ring_health_t *newest);


void
klaviyo_ring_health(klaviyo_ring_t *ring, klaviyo_health_t *health)
{
    klaviyo_ring_health_t  page;

    memset(health, 0, sizeof(klaviyo_health_t));

    if (!klaviyo_ring_detached(ring)
        && klaviyo_ring_health_newest(ring, &page))
    {
        *health = page.health;
    }
}


klaviyo_ring_rc_e
klaviyo_ring_health_put(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_health_t *health)
{
    klaviyo_ring_rc_e      rc;
    klaviyo_ring_health_t  page;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    rc = klaviyo_ring_lock(ring);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (klaviyo_ring_get(&ring->shared->lease_epoch) != epoch) {
        klaviyo_ring_unlock(ring);
        return KLAVIYO_RING_STALE;
    }

    if (!klaviyo_ring_health_newest(ring, &page)) {
        page.generation = 0;
    }

    page.generation++;
    page.health = *health;
    page.reserved = 0;
    page.crc = klaviyo_crc32c(0, &page, offsetof(klaviyo_ring_health_t, crc));

    memcpy(ring->health[page.generation & 1], &page,
           sizeof(klaviyo_ring_health_t));

    klaviyo_ring_unlock(ring);

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


int64_t
klaviyo_ring_oldest(klaviyo_ring_t *ring)
{
    klaviyo_cursor_t     end;
    klaviyo_ring_head_t  head;
    klaviyo_header_t     header;

    if (klaviyo_ring_detached(ring)) {
        return 0;
    }

    klaviyo_ring_head(ring, &head);
    klaviyo_ring_end(ring, &end);

    if (!klaviyo_ring_seek(ring, &head.first.position, end.position,
                           head.first.seq, &header))
    {
        return 0;
    }

    return klaviyo_ring_detached(ring) ? 0 : header.time;
}


static int
klaviyo_ring_health_read(klaviyo_ring_t *ring, unsigned n,
    klaviyo_ring_health_t *page)
{
    memcpy(page, ring->health[n], sizeof(klaviyo_ring_health_t));

    return page->crc == klaviyo_crc32c(0, page,
                                       offsetof(klaviyo_ring_health_t, crc))
           && page->generation != 0
           && (page->generation & 1) == n;
}


static int
klaviyo_ring_health_newest(klaviyo_ring_t *ring,
    klaviyo_ring_health_t *newest)
{
    int                    found;
    unsigned               n;
    klaviyo_ring_health_t  page;

    found = 0;

    for (n = 0; n < 2; n++) {

        if (klaviyo_ring_health_read(ring, n, &page)
            && (!found || page.generation > newest->generation))
        {
            *newest = page;
            found = 1;
        }
    }

    return found;
}
