/*
 * Events set aside, and when they may go again.  Room: delivery, plain C; it
 * touches nothing but its struct.
 */


#include <string.h>

#include "klaviyo_aside.h"


#define KLAVIYO_ASIDE_STALE  600000  /* ms after which one that was due and */
                                     /* did not go has ended otherwise      */


static uint64_t klaviyo_aside_hash(const klaviyo_asides_t *asides,
    const klaviyo_event_t *event);
static void klaviyo_aside_forget(klaviyo_asides_t *asides, int64_t now);


klaviyo_aside_t *
klaviyo_aside_find(klaviyo_asides_t *asides, const klaviyo_event_t *event)
{
    uint32_t  i;
    uint64_t  hash;

    if (asides->n == 0) {
        return NULL;
    }

    hash = klaviyo_aside_hash(asides, event);

    for (i = 0; i < asides->n; i++) {
        if (asides->event[i].hash == hash) {
            return &asides->event[i];
        }
    }

    return NULL;
}


klaviyo_aside_t *
klaviyo_aside_add(klaviyo_asides_t *asides, const klaviyo_event_t *event,
    int64_t now)
{
    klaviyo_aside_t  *aside;

    aside = klaviyo_aside_find(asides, event);

    if (aside != NULL) {
        return aside;
    }

    if (asides->n == KLAVIYO_ASIDE_MAX) {
        klaviyo_aside_forget(asides, now);
    }

    if (asides->n == KLAVIYO_ASIDE_MAX) {
        return NULL;
    }

    aside = &asides->event[asides->n++];

    memset(aside, 0, sizeof(klaviyo_aside_t));

    aside->hash = klaviyo_aside_hash(asides, event);
    aside->since = now;
    aside->next = now;

    return aside;
}


void
klaviyo_aside_remove(klaviyo_asides_t *asides, const klaviyo_event_t *event)
{
    klaviyo_aside_t  *aside;

    aside = klaviyo_aside_find(asides, event);

    if (aside != NULL) {
        *aside = asides->event[--asides->n];
    }
}


int
klaviyo_aside_failed(klaviyo_aside_t *aside, uint64_t accepted, int64_t min,
    int64_t max, int64_t now)
{
    int64_t   pause;
    unsigned  i;

    aside->failed += (accepted >= aside->failed_as);
    aside->failed_as = aside->sent;

    if (aside->failed >= KLAVIYO_ASIDE_TRIES
        && now - aside->since >= KLAVIYO_ASIDE_TIME)
    {
        return 1;
    }

    pause = min;

    for (i = 0; i < aside->tries && pause < max; i++) {
        pause *= 2;
    }

    aside->tries++;
    aside->next = now + (pause < max ? pause : max);

    return 0;
}


static uint64_t
klaviyo_aside_hash(const klaviyo_asides_t *asides,
    const klaviyo_event_t *event)
{
    uint64_t  profile, attributes;

    profile = klaviyo_set_hash(&asides->key, event->profile,
                               event->profile_len);
    attributes = klaviyo_set_hash(&asides->key, event->attributes,
                                  event->attributes_len);

    return profile ^ (attributes << 1 | attributes >> 63);
}


/* those that expired, or that another one of the same bytes ended for */

static void
klaviyo_aside_forget(klaviyo_asides_t *asides, int64_t now)
{
    uint32_t  i;

    i = 0;

    while (i < asides->n) {

        if (now - asides->event[i].next > KLAVIYO_ASIDE_STALE) {
            asides->event[i] = asides->event[--asides->n];
            continue;
        }

        i++;
    }
}
