/*
 * The queue room: what is in the records of events that wait.
 *
 * Plain C.
 */


#include <string.h>

#include "klaviyo_hold_record.h"


/* how capture begins a profile that has no identifier */

static const uint8_t  klaviyo_hold_type[] = "{\"type\":\"profile\"";
static const uint8_t  klaviyo_hold_attributes[] = ",\"attributes\":{";

#define KLAVIYO_HOLD_TYPE_LEN        (sizeof(klaviyo_hold_type) - 1)
#define KLAVIYO_HOLD_ATTRIBUTES_LEN  (sizeof(klaviyo_hold_attributes) - 1)


static size_t
klaviyo_hold_prefix(uint8_t *buf, uint8_t type, const uint8_t *key, size_t len)
{
    uint16_t  n;

    n = (uint16_t) len;

    buf[0] = type;
    memcpy(buf + 1, &n, sizeof(uint16_t));
    memcpy(buf + 1 + sizeof(uint16_t), key, len);

    return 1 + sizeof(uint16_t) + len;
}


klaviyo_ring_rc_e
klaviyo_hold_event(klaviyo_ring_t *ring, const klaviyo_event_t *event,
    const uint8_t *key, size_t len, uint8_t *buf)
{
    size_t           n;
    klaviyo_event_t  held;

    if (len == 0 || len > KLAVIYO_HOLD_KEY_MAX) {
        return KLAVIYO_RING_ERROR;
    }

    n = klaviyo_hold_prefix(buf, KLAVIYO_HOLD_EVENT, key, len);
    memcpy(buf + n, event->profile, event->profile_len);

    held = *event;
    held.profile = buf;
    held.profile_len = n + event->profile_len;

    return klaviyo_ring_append(ring, &held);
}


klaviyo_ring_rc_e
klaviyo_hold_identity(klaviyo_ring_t *ring, const uint8_t *key, size_t len,
    const uint8_t *beside, size_t beside_len, const uint8_t *members,
    size_t members_len, int64_t time)
{
    size_t             n;
    uint8_t            buf[KLAVIYO_HOLD_PREFIX_MAX + KLAVIYO_HOLD_BESIDE_MAX];
    klaviyo_event_t    event;
    klaviyo_ring_rc_e  rc;

    if (len == 0 || len > KLAVIYO_HOLD_KEY_MAX
        || beside_len > KLAVIYO_HOLD_BESIDE_MAX)
    {
        return KLAVIYO_RING_ERROR;
    }

    n = klaviyo_hold_prefix(buf, KLAVIYO_HOLD_IDENTITY, key, len);

    if (beside_len) {
        memcpy(buf + n, beside, beside_len);
    }

    event.profile = buf;
    event.profile_len = n + beside_len;
    event.attributes = members_len ? members : buf;
    event.attributes_len = members_len;
    event.unique_id = (const uint8_t *) "-";
    event.unique_id_len = 1;
    event.metric = 0;
    event.time = time;

    rc = klaviyo_ring_put(ring, &event);

    /* by dropping the oldest; BUSY loses no event, and is not counted */

    if (rc == KLAVIYO_RING_FULL) {
        rc = klaviyo_ring_append(ring, &event);
    }

    return rc;
}


int
klaviyo_hold_record(klaviyo_hold_record_t *record,
    const klaviyo_event_t *event)
{
    size_t          len;
    uint16_t        n;
    const uint8_t  *p;

    p = event->profile;
    len = event->profile_len;

    if (len < 1 + sizeof(uint16_t)
        || (p[0] != KLAVIYO_HOLD_EVENT && p[0] != KLAVIYO_HOLD_IDENTITY))
    {
        return 0;
    }

    memcpy(&n, p + 1, sizeof(uint16_t));

    record->type = p[0];

    p += 1 + sizeof(uint16_t);
    len -= 1 + sizeof(uint16_t);

    if (n == 0 || n > len) {
        return 0;
    }

    record->key = p;
    record->key_len = n;
    record->rest = p + n;
    record->rest_len = len - n;

    return 1;
}


size_t
klaviyo_hold_join_size(const klaviyo_hold_record_t *event,
    const klaviyo_hold_record_t *identity, size_t members_len)
{
    return event->rest_len + identity->rest_len + members_len + 1;
}


size_t
klaviyo_hold_join(const klaviyo_hold_record_t *event,
    const klaviyo_hold_record_t *identity, const uint8_t *members,
    size_t members_len, uint8_t *buf)
{
    size_t          len;
    uint8_t        *dst;
    const uint8_t  *p;

    dst = buf;
    p = event->rest;
    len = event->rest_len;

    if (identity->rest_len == 0 && members_len == 0) {
        memcpy(dst, p, len);
        return len;
    }

    if (len < KLAVIYO_HOLD_TYPE_LEN + KLAVIYO_HOLD_ATTRIBUTES_LEN + 2
        || memcmp(p, klaviyo_hold_type, KLAVIYO_HOLD_TYPE_LEN) != 0
        || memcmp(p + KLAVIYO_HOLD_TYPE_LEN, klaviyo_hold_attributes,
                  KLAVIYO_HOLD_ATTRIBUTES_LEN) != 0)
    {
        return 0;
    }

    memcpy(dst, p, KLAVIYO_HOLD_TYPE_LEN);
    dst += KLAVIYO_HOLD_TYPE_LEN;
    p += KLAVIYO_HOLD_TYPE_LEN;

    memcpy(dst, identity->rest, identity->rest_len);
    dst += identity->rest_len;

    memcpy(dst, p, KLAVIYO_HOLD_ATTRIBUTES_LEN);
    dst += KLAVIYO_HOLD_ATTRIBUTES_LEN;
    p += KLAVIYO_HOLD_ATTRIBUTES_LEN;

    memcpy(dst, members, members_len);
    dst += members_len;

    if (members_len && *p != '}') {
        *dst++ = ',';
    }

    len -= KLAVIYO_HOLD_TYPE_LEN + KLAVIYO_HOLD_ATTRIBUTES_LEN;
    memcpy(dst, p, len);
    dst += len;

    return dst - buf;
}
