/*
 * The queue room: letting events go that waited for their visitor.
 *
 * One pass through the ring of those that wait, from its first event on:
 *
 *     acknowledged      mark                cursor      end
 *     │                 │                   │           │
 *     ▼                 ▼                   ▼           ▼
 *     [event][identity].[event][event].....[identity]...
 *      known to be done    done in this process
 *
 * The mark is saved in the ring, with the figures of that moment, after the
 * queue has what was let go: read again after a kill, what stands before it
 * only tells which events still wait.  What is done at the front is
 * acknowledged; a ring that is full drops its oldest, done or not.
 *
 * Plain C.  Runs in the process that has the ring's lease.
 */


#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "klaviyo_hold_index.h"
#include "klaviyo_hold_record.h"
#include "klaviyo_hold_state.h"
#include "klaviyo_hold.h"
#include "klaviyo_ring_ack.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_read.h"
#include "klaviyo_ring_totals.h"


#define KLAVIYO_HOLD_BUF     65536
#define KLAVIYO_HOLD_RECORD  256             /* bytes: a small one           */
#define KLAVIYO_HOLD_GRACE   10000           /* ms, while there is to read   */


typedef struct {
    uint8_t              *data;
    size_t                size;
} klaviyo_hold_buf_t;


struct klaviyo_hold_s {
    klaviyo_ring_t       *queue;
    klaviyo_ring_t       *ring;
    int64_t               time;              /* ms                           */
    klaviyo_hold_state_t  state;
    klaviyo_hold_index_t  index;
    klaviyo_cursor_t      cursor;
    klaviyo_hold_buf_t    read;              /* the record at the cursor     */
    klaviyo_hold_buf_t    event;             /* one that is let go           */
    klaviyo_hold_buf_t    profile;           /* its new profile              */
    unsigned              budget;
    unsigned              again:1;           /* reading up to the mark       */
    unsigned              pending:1;         /* an identity is not through   */
    unsigned              blocked:1;         /* the queue took no more       */
};


static int klaviyo_hold_start(klaviyo_hold_t *hold);
static void klaviyo_hold_dropped(klaviyo_hold_t *hold);
static int klaviyo_hold_next(klaviyo_hold_t *hold);
static void klaviyo_hold_take(klaviyo_hold_t *hold,
    const klaviyo_record_t *record);
static void klaviyo_hold_add(klaviyo_hold_t *hold,
    const klaviyo_hold_record_t *event, const klaviyo_record_t *record);
static int klaviyo_hold_known(klaviyo_hold_t *hold,
    const klaviyo_hold_record_t *identity, const klaviyo_event_t *event);
static klaviyo_ring_rc_e klaviyo_hold_release(klaviyo_hold_t *hold,
    const klaviyo_hold_entry_t *entry, const klaviyo_hold_record_t *identity,
    const klaviyo_event_t *members);
static void klaviyo_hold_caught_up(klaviyo_hold_t *hold);
static void klaviyo_hold_expire(klaviyo_hold_t *hold, int64_t now);
static void klaviyo_hold_save(klaviyo_hold_t *hold, uint64_t epoch);
static int klaviyo_hold_grow(klaviyo_hold_buf_t *buf, size_t size);


klaviyo_hold_t *
klaviyo_hold_create(klaviyo_ring_t *queue, klaviyo_ring_t *ring, int64_t time)
{
    size_t                n;
    klaviyo_hold_t       *hold;
    klaviyo_figures_t     figures;

    hold = calloc(1, sizeof(klaviyo_hold_t));

    if (hold == NULL) {
        return NULL;
    }

    hold->queue = queue;
    hold->ring = ring;
    hold->time = time;

    klaviyo_ring_figures(ring, &figures);

    n = figures.size / KLAVIYO_HOLD_RECORD;

    if (n < 64) {
        n = 64;
    }

    if (n > UINT32_MAX / 4) {
        n = UINT32_MAX / 4;
    }

    if (klaviyo_hold_index_init(&hold->index, (uint32_t) n) != 0
        || !klaviyo_hold_grow(&hold->read, KLAVIYO_HOLD_BUF)
        || !klaviyo_hold_grow(&hold->event, KLAVIYO_HOLD_BUF)
        || !klaviyo_hold_start(hold))
    {
        klaviyo_hold_destroy(hold);
        return NULL;
    }

    return hold;
}


void
klaviyo_hold_destroy(klaviyo_hold_t *hold)
{
    klaviyo_hold_index_free(&hold->index);

    free(hold->read.data);
    free(hold->event.data);
    free(hold->profile.data);
    free(hold);
}


static int
klaviyo_hold_start(klaviyo_hold_t *hold)
{
    if (!klaviyo_hold_state_load(hold->ring, &hold->state)
        || klaviyo_ring_first(hold->ring, &hold->cursor) != KLAVIYO_RING_OK)
    {
        return 0;
    }

    hold->again = 1;

    if (hold->state.seq <= hold->cursor.seq) {
        klaviyo_hold_caught_up(hold);
    }

    return 1;
}


int
klaviyo_hold_run(klaviyo_hold_t *hold, uint64_t epoch, int64_t now,
    unsigned max)
{
    int  more;

    hold->budget = max;
    hold->pending = 0;
    hold->blocked = 0;

    klaviyo_hold_dropped(hold);

    more = klaviyo_hold_next(hold);

    if (hold->again) {
        return more;
    }

    klaviyo_hold_expire(hold, more ? now - KLAVIYO_HOLD_GRACE : now);

    klaviyo_hold_save(hold, epoch);

    return more && !hold->blocked;
}


/* what the full ring dropped since the last look */

static void
klaviyo_hold_dropped(klaviyo_hold_t *hold)
{
    uint64_t               unread;
    klaviyo_cursor_t       first;
    klaviyo_hold_entry_t  *entry;

    if (klaviyo_ring_first(hold->ring, &first) != KLAVIYO_RING_OK) {
        return;
    }

    for ( ;; ) {
        entry = klaviyo_hold_index_first(&hold->index);

        if (entry == NULL || entry->seq >= first.seq) {
            break;
        }

        klaviyo_hold_index_pop(&hold->index);
        hold->state.lost += !hold->again;
    }

    if (hold->cursor.seq >= first.seq) {
        return;
    }

    /* whatever they were; those before the mark are missed in the end */

    unread = first.seq - hold->cursor.seq;

    if (hold->again && hold->state.seq > hold->cursor.seq) {
        unread = (first.seq > hold->state.seq) ? first.seq - hold->state.seq
                                               : 0;
    }

    hold->state.held += unread;
    hold->state.lost += unread;

    hold->cursor = first;
}


/* 1: the budget or the queue's room came to its end before the ring did */

static int
klaviyo_hold_next(klaviyo_hold_t *hold)
{
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    for ( ;; ) {

        if (hold->again && hold->cursor.seq >= hold->state.seq) {
            klaviyo_hold_caught_up(hold);
        }

        if (hold->budget == 0) {
            return 1;
        }

        rc = klaviyo_ring_read(hold->ring, &hold->cursor, hold->read.data,
                               hold->read.size, &record);

        if (rc == KLAVIYO_RING_SMALL) {

            if (!klaviyo_hold_grow(&hold->read, record.needed)) {
                return 0;
            }

            continue;
        }

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {

            /* a mark beyond the end is none of this ring */

            if (hold->again && rc == KLAVIYO_RING_EMPTY) {
                klaviyo_hold_caught_up(hold);
            }

            return 0;
        }

        if (record.seq - record.missing != hold->cursor.seq) {
            klaviyo_hold_dropped(hold);
            continue;
        }

        hold->budget--;

        klaviyo_hold_take(hold, &record);

        if (hold->pending) {
            return 1;
        }
    }
}


static void
klaviyo_hold_take(klaviyo_hold_t *hold, const klaviyo_record_t *record)
{
    int                    readable;
    uint64_t               lost;
    klaviyo_hold_record_t  found;

    readable = (record->event.profile_len
                && klaviyo_hold_record(&found, &record->event));

    if (readable && found.type == KLAVIYO_HOLD_IDENTITY
        && !klaviyo_hold_known(hold, &found, &record->event))
    {
        return;
    }

    lost = record->missing;

    if (record->next.seq != record->seq && !readable) {
        lost++;
    }

    if (!hold->again) {
        hold->state.held += lost;
        hold->state.lost += lost;
    }

    if (readable && found.type == KLAVIYO_HOLD_EVENT) {
        klaviyo_hold_add(hold, &found, record);
    }

    hold->cursor = record->next;
}


static void
klaviyo_hold_add(klaviyo_hold_t *hold, const klaviyo_hold_record_t *event,
    const klaviyo_record_t *record)
{
    klaviyo_hold_entry_t  entry;

    if (!hold->again) {
        hold->state.held++;
    }

    if (hold->index.used == hold->index.size
        && klaviyo_hold_index_first(&hold->index) != NULL
        && hold->index.used == hold->index.size)
    {
        klaviyo_hold_index_pop(&hold->index);
        hold->state.lost += !hold->again;
    }

    entry.position = hold->cursor.position;
    entry.seq = record->seq;
    entry.hash = klaviyo_hold_index_hash(&hold->index, event->key,
                                         event->key_len);
    entry.time = record->event.time;
    entry.kind = event->key[0];

    klaviyo_hold_index_add(&hold->index, &entry);
}


/* 1: the identity is done with; 0: some of its events have to go later */

static int
klaviyo_hold_known(klaviyo_hold_t *hold,
    const klaviyo_hold_record_t *identity, const klaviyo_event_t *event)
{
    klaviyo_ring_rc_e      rc;
    klaviyo_hold_walk_t    walk;
    klaviyo_hold_entry_t  *entry;

    klaviyo_hold_walk_init(&walk,
                           klaviyo_hold_index_hash(&hold->index,
                                                   identity->key,
                                                   identity->key_len));
    for ( ;; ) {
        entry = klaviyo_hold_walk_next(&hold->index, &walk);

        if (entry == NULL) {
            return 1;
        }

        if (hold->again) {
            klaviyo_hold_walk_done(&hold->index, &walk);
            continue;
        }

        if (hold->budget == 0) {
            hold->pending = 1;
            return 0;
        }

        hold->budget--;

        rc = klaviyo_hold_release(hold, entry, identity, event);

        switch (rc) {

        case KLAVIYO_RING_OK:
            klaviyo_hold_walk_done(&hold->index, &walk);
            hold->state.released++;
            break;

        case KLAVIYO_RING_EMPTY:                /* another key, or dropped  */
            break;

        case KLAVIYO_RING_TOO_LARGE:
        case KLAVIYO_RING_ERROR:
            klaviyo_hold_walk_done(&hold->index, &walk);
            hold->state.lost++;
            break;

        default:
            hold->pending = 1;
            hold->blocked = 1;
            return 0;
        }
    }
}


static klaviyo_ring_rc_e
klaviyo_hold_release(klaviyo_hold_t *hold, const klaviyo_hold_entry_t *entry,
    const klaviyo_hold_record_t *identity, const klaviyo_event_t *members)
{
    size_t                 len;
    klaviyo_cursor_t       cursor;
    klaviyo_record_t       record;
    klaviyo_ring_rc_e      rc;
    klaviyo_hold_record_t  event;

    cursor.position = entry->position;
    cursor.seq = entry->seq;

    for ( ;; ) {
        rc = klaviyo_ring_read(hold->ring, &cursor, hold->event.data,
                               hold->event.size, &record);

        if (rc != KLAVIYO_RING_SMALL) {
            break;
        }

        if (!klaviyo_hold_grow(&hold->event, record.needed)) {
            return KLAVIYO_RING_BUSY;
        }
    }

    if (rc == KLAVIYO_RING_DETACHED) {
        return rc;
    }

    if (rc != KLAVIYO_RING_OK
        || record.seq != entry->seq
        || !klaviyo_hold_record(&event, &record.event)
        || event.key_len != identity->key_len
        || memcmp(event.key, identity->key, event.key_len) != 0)
    {
        return KLAVIYO_RING_EMPTY;
    }

    len = klaviyo_hold_join_size(&event, identity, members->attributes_len);

    if (!klaviyo_hold_grow(&hold->profile, len)) {
        return KLAVIYO_RING_BUSY;
    }

    len = klaviyo_hold_join(&event, identity, members->attributes,
                            members->attributes_len, hold->profile.data);

    if (len == 0) {
        return KLAVIYO_RING_ERROR;
    }

    record.event.profile = hold->profile.data;
    record.event.profile_len = len;

    rc = klaviyo_ring_put(hold->queue, &record.event);

    if (rc == KLAVIYO_RING_OK) {
        klaviyo_ring_captured(hold->queue, &record.event);
    }

    return rc;
}


static void
klaviyo_hold_caught_up(klaviyo_hold_t *hold)
{
    hold->again = 0;

    klaviyo_hold_state_known(&hold->state, hold->index.waiting);
}


/*
 * Times grow along the ring, but for what came from a ring of another size
 * and the differences between workers: then some wait a little longer.
 */

static void
klaviyo_hold_expire(klaviyo_hold_t *hold, int64_t now)
{
    klaviyo_hold_entry_t  *entry;

    /* some of them are known by now, and only have to go */

    if (hold->pending) {
        return;
    }

    for ( ;; ) {
        entry = klaviyo_hold_index_first(&hold->index);

        if (entry == NULL || entry->time > now - hold->time) {
            return;
        }

        klaviyo_ring_count(hold->queue,
                           entry->kind == KLAVIYO_HOLD_SCANNER
                           ? KLAVIYO_COUNT_SKIPPED_SCANNER
                           : KLAVIYO_COUNT_SKIPPED_ANONYMOUS, 1);

        klaviyo_hold_index_pop(&hold->index);
        hold->state.expired++;
    }
}


static void
klaviyo_hold_save(klaviyo_hold_t *hold, uint64_t epoch)
{
    klaviyo_ack_t          ack;
    klaviyo_hold_state_t   saved;
    klaviyo_hold_entry_t  *entry;

    hold->state.seq = hold->cursor.seq;
    hold->state.waiting = hold->index.waiting;

    if (!klaviyo_hold_state_load(hold->ring, &saved)) {
        return;
    }

    if (memcmp(&saved, &hold->state, sizeof(klaviyo_hold_state_t)) != 0
        && klaviyo_ring_save(hold->ring, epoch, 0, &hold->state,
                             sizeof(klaviyo_hold_state_t))
           != KLAVIYO_RING_OK)
    {
        return;
    }

    memset(&ack, 0, sizeof(klaviyo_ack_t));

    if (klaviyo_ring_first(hold->ring, &ack.from) != KLAVIYO_RING_OK) {
        return;
    }

    ack.to = hold->cursor;
    entry = klaviyo_hold_index_first(&hold->index);

    if (entry) {
        ack.to.position = entry->position;
        ack.to.seq = entry->seq;
    }

    if (ack.to.seq > ack.from.seq) {
        (void) klaviyo_ring_ack(hold->ring, epoch, &ack,
                                ack.to.seq - ack.from.seq);
    }
}


static int
klaviyo_hold_grow(klaviyo_hold_buf_t *buf, size_t size)
{
    uint8_t  *data;

    if (size <= buf->size) {
        return 1;
    }

    data = realloc(buf->data, size);

    if (data == NULL) {
        return 0;
    }

    buf->data = data;
    buf->size = size;

    return 1;
}
