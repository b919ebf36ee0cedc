/*
 * Batches: filling and the end.  Room: delivery, plain C; of the queue it
 * uses klaviyo_stream_read() only.
 */


#include <stdlib.h>
#include <string.h>

#include "klaviyo_batch.h"
#include "klaviyo_batch_private.h"
#include "klaviyo_body.h"
#include "klaviyo_request.h"
#include "klaviyo_spare.h"


#define KLAVIYO_BATCH_RECORD  16384  /* bytes of the first reading buffer   */
#define KLAVIYO_BATCH_READS   (4 * KLAVIYO_BATCH_EVENTS_MAX)
#define KLAVIYO_BATCH_PAGE    4096

/* bytes in one call: within 2 ms, on new pages too */

#define KLAVIYO_BATCH_GIVEN_UP  (64 * 1024)
#define KLAVIYO_BATCH_STEP      (64 * 1024)


static void klaviyo_batch_unread(klaviyo_batch_t *batch);
static void klaviyo_batch_touch(klaviyo_batch_t *batch, size_t bytes);
static klaviyo_ring_rc_e klaviyo_batch_read(klaviyo_batch_t *batch,
    klaviyo_stream_t *stream, klaviyo_record_t *record);
static void klaviyo_batch_missing(klaviyo_batch_t *batch,
    const klaviyo_record_t *record);
static int klaviyo_batch_given_up(const klaviyo_batch_t *batch,
    const klaviyo_event_t *event, int64_t oldest, klaviyo_outcome_e *outcome);
static int klaviyo_batch_add(klaviyo_batch_t *batch,
    const klaviyo_event_t *event, size_t bytes);
static int klaviyo_batch_add_event(klaviyo_batch_t *batch,
    const klaviyo_event_t *event, size_t bytes);
static int klaviyo_batch_add_person(klaviyo_batch_t *batch,
    const klaviyo_event_t *event, size_t bytes);
static size_t klaviyo_batch_shared(klaviyo_batch_t *batch, klaviyo_set_t *set,
    uint32_t i, const uint8_t *p, size_t len, uint64_t hash);
static int klaviyo_batch_overtakes(klaviyo_batch_t *batch,
    const klaviyo_event_t *event, uint32_t entry, uint64_t person);
static int klaviyo_batch_has(const klaviyo_batch_t *batch, uint64_t person);


klaviyo_batch_t *
klaviyo_batch_create(const klaviyo_cursor_t *from,
    const klaviyo_lane_t *lane)
{
    klaviyo_batch_t  *batch;

    batch = calloc(1, sizeof(klaviyo_batch_t));
    if (batch == NULL) {
        return NULL;
    }

    batch->record = klaviyo_spare_alloc(KLAVIYO_BATCH_RECORD);
    batch->entries = klaviyo_spare_alloc(sizeof(klaviyo_set_t));
    batch->others = klaviyo_spare_alloc(sizeof(klaviyo_set_t));
    batch->item = klaviyo_spare_alloc(KLAVIYO_BATCH_EVENTS_MAX
                                      * sizeof(klaviyo_batch_item_t));

    if (batch->record == NULL || batch->entries == NULL
        || batch->others == NULL || batch->item == NULL)
    {
        klaviyo_batch_destroy(batch);
        return NULL;
    }

    memset(batch->entries, 0, sizeof(klaviyo_set_t));
    memset(batch->others, 0, sizeof(klaviyo_set_t));

    batch->record_size = KLAVIYO_BATCH_RECORD;
    batch->lane = lane;
    batch->from = *from;
    batch->end = *from;
    batch->bytes = klaviyo_body_frame_size();

    klaviyo_set_key(&batch->key);

    return batch;
}


void
klaviyo_batch_destroy(klaviyo_batch_t *batch)
{
    klaviyo_request_free_all(batch->waiting);
    klaviyo_request_free_all(batch->taken);

    klaviyo_batch_unread(batch);

    klaviyo_spare_free(batch->body);
    klaviyo_spare_free(batch->arena.start);
    klaviyo_spare_free(batch->item);
    free(batch);
}


/* what only reading needs */

static void
klaviyo_batch_unread(klaviyo_batch_t *batch)
{
    klaviyo_spare_free(batch->record);
    klaviyo_spare_free(batch->entries);
    klaviyo_spare_free(batch->others);

    batch->record = NULL;
    batch->record_size = 0;
    batch->entries = NULL;
    batch->others = NULL;
}


void
klaviyo_batch_shrink(klaviyo_batch_t *batch)
{
    klaviyo_spare_free(batch->body);
    klaviyo_spare_free(batch->arena.start);
    klaviyo_spare_free(batch->item);

    batch->body = NULL;

    memset(&batch->arena, 0, sizeof(klaviyo_arena_t));
    batch->item = NULL;
    batch->n = 0;
}


void
klaviyo_batch_unsure(klaviyo_batch_t *batch)
{
    batch->unsure = 1;
}


int64_t
klaviyo_batch_oldest(const klaviyo_batch_t *batch)
{
    uint32_t  i;
    int64_t   oldest;

    oldest = INT64_MAX;

    for (i = 0; i < batch->n; i++) {
        if (batch->item[i].event.time < oldest) {
            oldest = batch->item[i].event.time;
        }
    }

    return oldest;
}


klaviyo_ring_rc_e
klaviyo_batch_fill(klaviyo_batch_t *batch, klaviyo_stream_t *stream,
    size_t events, size_t bytes, int64_t oldest, klaviyo_asides_t *asides,
    klaviyo_dead_pt dead, void *data)
{
    int                given_up, aside;
    size_t             step;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;
    klaviyo_outcome_e  outcome;

    step = batch->bytes + KLAVIYO_BATCH_STEP;
    batch->full = 0;
    batch->waits = 0;
    batch->persons = (asides != NULL) ? &asides->key : &batch->key;

    if (events > KLAVIYO_BATCH_EVENTS_MAX) {
        events = KLAVIYO_BATCH_EVENTS_MAX;
    }

    if (bytes > KLAVIYO_BATCH_BODY_MAX) {
        bytes = KLAVIYO_BATCH_BODY_MAX;
    }

    /* records that end at once are work too: a call has to return soon */

    while (batch->n < events
           && batch->bytes < bytes
           && batch->reads < KLAVIYO_BATCH_READS
           && batch->given_up < KLAVIYO_BATCH_GIVEN_UP)
    {
        rc = klaviyo_batch_read(batch, stream, &record);

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {
            return rc;
        }

        outcome = KLAVIYO_OUTCOME_N;

        given_up = rc == KLAVIYO_RING_OK
                   && klaviyo_batch_given_up(batch, &record.event, oldest,
                                             &outcome);

        aside = rc == KLAVIYO_RING_OK && !given_up && asides != NULL
                && klaviyo_aside_find(asides, &record.event) != NULL;

        /*
         * Those given up are in batches of their own: they end at once, and
         * are not given up again when the others are read once more.  One set
         * aside waits, and others do not wait for it.
         */

        if (rc == KLAVIYO_RING_OK
            && (given_up ? batch->n > 0
                         : batch->given_up > 0 || (aside && batch->n > 0)))
        {
            batch->full = 1;
            return KLAVIYO_RING_OK;
        }

        if (given_up) {

            if (dead(data, &record.event, outcome, 0, 0) != 0) {
                return KLAVIYO_RING_ERROR;
            }

            batch->outcome[outcome]++;
            batch->given_up += klaviyo_body_one(NULL, batch->lane,
                                                &record.event);

        } else if (rc == KLAVIYO_RING_OK) {

            switch (klaviyo_batch_add(batch, &record.event, bytes)) {

            case -1:
                return KLAVIYO_RING_ERROR;

            case 0:
                batch->full = (batch->n > 0);
                batch->waits = !batch->full;
                return batch->full ? KLAVIYO_RING_OK : KLAVIYO_RING_EMPTY;
            }
        }

        klaviyo_batch_missing(batch, &record);

        batch->end = record.next;
        batch->reads++;

        if (aside) {
            batch->aside = 1;
            break;
        }

        if (batch->bytes >= step && batch->bytes < bytes) {
            klaviyo_batch_touch(batch, bytes);
            return KLAVIYO_RING_OK;
        }
    }

    batch->full = 1;

    return KLAVIYO_RING_OK;
}


void
klaviyo_batch_behind(klaviyo_batch_t *batch,
    const klaviyo_batch_t *const *earlier, uint32_t n)
{
    batch->earlier = earlier;
    batch->nearlier = n;
}


int
klaviyo_batch_waiting(const klaviyo_batch_t *batch)
{
    return batch->waits;
}


int
klaviyo_batch_aside(const klaviyo_batch_t *batch)
{
    return batch->aside;
}


uint32_t
klaviyo_batch_events(const klaviyo_batch_t *batch)
{
    return batch->n;
}


int
klaviyo_batch_full(const klaviyo_batch_t *batch)
{
    return batch->full;
}


int
klaviyo_batch_close(klaviyo_batch_t *batch)
{
    uint32_t               i;
    klaviyo_batch_item_t  *item;

    batch->heads = (batch->lane->head != NULL) ? batch->others->n : 1;

    if (klaviyo_request_make(batch, &batch->waiting, NULL) != 0) {
        return -1;
    }

    if (batch->aside) {
        batch->waiting->state = KLAVIYO_REQUEST_ASIDE;
    }

    /* the arena will not move again */

    for (i = 0; i < batch->n; i++) {
        item = &batch->item[i];

        item->event.profile = batch->arena.start + item->profile;
        item->event.attributes = batch->arena.start + item->attributes;
        item->event.unique_id = batch->arena.start + item->unique_id;
    }

    batch->full = 1;

    klaviyo_batch_unread(batch);

    if (batch->n > 0) {
        item = klaviyo_spare_resize(batch->item,
                                    batch->n * sizeof(klaviyo_batch_item_t));
        batch->item = item ? item : batch->item;
    }

    return 0;
}


int
klaviyo_batch_done(const klaviyo_batch_t *batch)
{
    return batch->open == 0;
}


void
klaviyo_batch_ack(const klaviyo_batch_t *batch, klaviyo_ack_t *ack)
{
    ack->from = batch->from;
    ack->to = batch->end;
    ack->again = batch->again;

    memcpy(ack->outcome, batch->outcome, sizeof(ack->outcome));
}


uint64_t
klaviyo_batch_superseded(const klaviyo_batch_t *batch)
{
    return batch->superseded;
}


const klaviyo_cursor_t *
klaviyo_batch_end(const klaviyo_batch_t *batch)
{
    return &batch->end;
}


/*
 * All the memory of a large batch at once, which no copy moves again, and as
 * much of its body's used for the first time as it has grown: new pages are
 * dear, a few at a time.
 */

static void
klaviyo_batch_touch(klaviyo_batch_t *batch, size_t bytes)
{
    if (batch->body == NULL) {
        batch->body = klaviyo_spare_alloc(bytes);
        batch->body_max = bytes;

        if (batch->body == NULL
            || klaviyo_arena_reserve(&batch->arena, bytes) != 0)
        {
            return;
        }
    }

    while (batch->body_size < batch->bytes
           && batch->body_size < batch->body_max)
    {
        batch->body[batch->body_size] = 0;
        batch->body_size += KLAVIYO_BATCH_PAGE;
    }
}


/* the next record, in a buffer that grows as the queue asks */

static klaviyo_ring_rc_e
klaviyo_batch_read(klaviyo_batch_t *batch, klaviyo_stream_t *stream,
    klaviyo_record_t *record)
{
    uint8_t            *buf;
    klaviyo_ring_rc_e   rc;

    for ( ;; ) {
        rc = klaviyo_stream_read(stream, &batch->end, batch->record,
                                 batch->record_size, record);

        if (rc != KLAVIYO_RING_SMALL) {
            return rc;
        }

        if (record->needed <= batch->record_size
            || record->needed > SIZE_MAX)
        {
            return KLAVIYO_RING_ERROR;
        }

        buf = klaviyo_spare_alloc(record->needed);
        if (buf == NULL) {
            return KLAVIYO_RING_ERROR;
        }

        klaviyo_spare_free(batch->record);

        batch->record = buf;
        batch->record_size = record->needed;
    }
}


/*
 * What else the sequence jumped over before this record was lost while the
 * batch was being filled: who lost it has booked it, and knew why.  A record
 * of the spool has no position.
 */

static void
klaviyo_batch_missing(klaviyo_batch_t *batch, const klaviyo_record_t *record)
{
    klaviyo_outcome_e  outcome;

    outcome = (record->next.position == 0) ? KLAVIYO_OUTCOME_LOST_SPOOL
                                           : KLAVIYO_OUTCOME_LOST_CORRUPT;

    batch->outcome[outcome] += record->missing;
}


/* 1: it is not sent at all, and why */

static int
klaviyo_batch_given_up(const klaviyo_batch_t *batch,
    const klaviyo_event_t *event, int64_t oldest, klaviyo_outcome_e *outcome)
{
    if (oldest != 0 && event->time < oldest) {
        *outcome = KLAVIYO_OUTCOME_DEAD_EXPIRED;
        return 1;
    }

    /* somebody put it into the queue of another lane */

    if (klaviyo_lane_of(event) != batch->lane) {
        *outcome = KLAVIYO_OUTCOME_DEAD_REFUSED;
        return 1;
    }

    if (klaviyo_body_one(NULL, batch->lane, event) > KLAVIYO_BATCH_BODY_MAX) {
        *outcome = KLAVIYO_OUTCOME_DEAD_TOO_LARGE;
        return 1;
    }

    return 0;
}


/* 1: it is the batch's, 0: it does not fit beside the others, -1: no memory */

static int
klaviyo_batch_add(klaviyo_batch_t *batch, const klaviyo_event_t *event,
    size_t bytes)
{
    int  rc;

    rc = (batch->lane->head != NULL)
         ? klaviyo_batch_add_person(batch, event, bytes)
         : klaviyo_batch_add_event(batch, event, bytes);

    if (rc == 1) {
        batch->item[batch->n].event = *event;
        batch->item[batch->n].attempts = 0;
        batch->n++;
        batch->open++;
    }

    return rc;
}


static int
klaviyo_batch_add_event(klaviyo_batch_t *batch, const klaviyo_event_t *event,
    size_t bytes)
{
    size_t                 cost;
    uint32_t               entry, unique_id;
    uint64_t               entry_hash, unique_id_hash;
    klaviyo_arena_t       *arena;
    klaviyo_batch_item_t  *item;

    arena = &batch->arena;

    entry = klaviyo_set_find(batch->entries, arena, &batch->key,
                             event->profile, event->profile_len, &entry_hash);

    unique_id = klaviyo_set_find(batch->others, arena, &batch->key,
                                 event->unique_id, event->unique_id_len,
                                 &unique_id_hash);

    cost = klaviyo_body_event_size(event);

    if (entry == batch->entries->n) {
        cost += klaviyo_body_entry_size(event);
    }

    if (batch->n > 0 && batch->bytes + cost > bytes) {
        return 0;
    }

    if (klaviyo_arena_reserve(arena, event->attributes_len
                                     + event->profile_len
                                     + event->unique_id_len)
        != 0)
    {
        return -1;
    }

    item = &batch->item[batch->n];

    item->attributes = klaviyo_arena_add(arena, event->attributes,
                                         event->attributes_len);
    item->entry = entry;
    item->head = 0;
    item->person = 0;
    item->repeated = (unique_id < batch->others->n);

    item->profile = klaviyo_batch_shared(batch, batch->entries, entry,
                                         event->profile, event->profile_len,
                                         entry_hash);
    item->unique_id = klaviyo_batch_shared(batch, batch->others, unique_id,
                                           event->unique_id,
                                           event->unique_id_len,
                                           unique_id_hash);

    batch->bytes += cost;

    return 1;
}


/*
 * Two for one person in one request: where the later one counts, both are in
 * the entry.  Where each changes the profile, they go one after the other.
 */

static int
klaviyo_batch_add_person(klaviyo_batch_t *batch, const klaviyo_event_t *event,
    size_t bytes)
{
    size_t                       cost, len;
    uint8_t                      person[KLAVIYO_LANE_PERSON_MAX];
    uint32_t                     entry, head;
    uint64_t                     entry_hash, head_hash, who;
    klaviyo_arena_t             *arena;
    klaviyo_batch_item_t        *item;

    arena = &batch->arena;

    head = klaviyo_set_find(batch->others, arena, &batch->key,
                            event->attributes, event->attributes_len,
                            &head_hash);

    memcpy(person, &head, sizeof(uint32_t));

    len = sizeof(uint32_t)
          + klaviyo_body_person(person + sizeof(uint32_t),
                                sizeof(person) - sizeof(uint32_t), event);

    entry = klaviyo_set_find(batch->entries, arena, &batch->key, person, len,
                             &entry_hash);

    who = klaviyo_set_hash(batch->persons, person + sizeof(uint32_t),
                           len - sizeof(uint32_t));

    if (!batch->lane->later
        && klaviyo_batch_overtakes(batch, event, entry, who))
    {
        return 0;
    }

    cost = event->profile_len + sizeof(",") - 1;

    if (head == batch->others->n) {
        cost += klaviyo_body_frame_size() + event->attributes_len;
    }

    if (batch->n > 0 && batch->bytes + cost > bytes) {
        return 0;
    }

    if (klaviyo_arena_reserve(arena, event->profile_len
                                     + event->attributes_len
                                     + event->unique_id_len + len)
        != 0)
    {
        return -1;
    }

    item = &batch->item[batch->n];

    item->profile = klaviyo_arena_add(arena, event->profile,
                                      event->profile_len);
    item->unique_id = klaviyo_arena_add(arena, event->unique_id,
                                        event->unique_id_len);
    item->entry = entry;
    item->head = head;
    item->person = who;
    item->repeated = 0;

    if (entry < batch->entries->n) {
        batch->superseded++;
    }

    (void) klaviyo_batch_shared(batch, batch->entries, entry, person, len,
                                entry_hash);

    item->attributes = klaviyo_batch_shared(batch, batch->others, head,
                                            event->attributes,
                                            event->attributes_len, head_hash);

    batch->bytes += cost;

    return 1;
}


/* where string number `i` of the set is, which is added if it is new */

static size_t
klaviyo_batch_shared(klaviyo_batch_t *batch, klaviyo_set_t *set, uint32_t i,
    const uint8_t *p, size_t len, uint64_t hash)
{
    if (i == set->n) {
        klaviyo_set_add(set, &batch->arena, p, len, hash);
    }

    return set->string[i].offset;
}


/*
 * 1: the batch has something else of this person, or an earlier one has
 * anything
 */

static int
klaviyo_batch_overtakes(klaviyo_batch_t *batch, const klaviyo_event_t *event,
    uint32_t entry, uint64_t person)
{
    uint32_t                     i;
    const klaviyo_batch_item_t  *item;

    for (i = 0; i < batch->n; i++) {
        item = &batch->item[i];

        if (item->person == person
            && (item->entry != entry
                || item->event.profile_len != event->profile_len
                || memcmp(batch->arena.start + item->profile, event->profile,
                          event->profile_len)
                   != 0))
        {
            return 1;
        }
    }

    for (i = 0; i < batch->nearlier; i++) {
        if (klaviyo_batch_has(batch->earlier[i], person)) {
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_batch_has(const klaviyo_batch_t *batch, uint64_t person)
{
    uint32_t  i;

    for (i = 0; i < batch->n; i++) {
        if (batch->item[i].person == person) {
            return 1;
        }
    }

    return 0;
}
