/*
 * Bodies of requests.  Room: delivery, plain C.
 *
 *     single  {"data":{"type":"event","attributes":{ATTRIBUTES,
 *              "profile":{"data":PROFILE}}}}
 *
 *     bulk    {"data":{"type":"event-bulk-create-job","attributes":
 *              {"events-bulk-create":{"data":[ENTRY,...]}}}}
 *     ENTRY   {"type":"event-bulk-create","attributes":{"profile":
 *              {"data":PROFILE},"events":{"data":[EVENT,...]}}}
 *     EVENT   {"type":"event","attributes":{ATTRIBUTES}}
 *
 *     job     {"data":{ATTRIBUTES"profiles":{"data":[PROFILE,...]}}}
 *
 *     PROFILE {"type":"profile","attributes":{...},"meta":{...}}, as records
 *             have it; single: with the meta as the last of the attributes
 */


#include <string.h>

#include "json/klaviyo_scan.h"
#include "klaviyo_body.h"


#define KLAVIYO_BODY_SINGLE_START    "{\"data\":{\"type\":\"event\","        \
                                     "\"attributes\":{"
#define KLAVIYO_BODY_SINGLE_PROFILE  ",\"profile\":{\"data\":"
#define KLAVIYO_BODY_SINGLE_END      "}}}}"

#define KLAVIYO_BODY_BULK_START      "{\"data\":{\"type\":"                  \
                                     "\"event-bulk-create-job\","            \
                                     "\"attributes\":"                       \
                                     "{\"events-bulk-create\":{\"data\":["
#define KLAVIYO_BODY_BULK_END        "]}}}}"

#define KLAVIYO_BODY_ENTRY_START     "{\"type\":\"event-bulk-create\","      \
                                     "\"attributes\":{\"profile\":{\"data\":"
#define KLAVIYO_BODY_ENTRY_EVENTS    "},\"events\":{\"data\":["
#define KLAVIYO_BODY_ENTRY_END       "]}}}"

#define KLAVIYO_BODY_JOB_START       "{\"data\":{"
#define KLAVIYO_BODY_JOB_END         "}}"

#define KLAVIYO_BODY_EVENT_START     "{\"type\":\"event\",\"attributes\":{"
#define KLAVIYO_BODY_EVENT_END       "}}"


typedef struct {
    uint8_t  *pos;               /* NULL: counting only                     */
    size_t    len;
} klaviyo_body_t;


#define klaviyo_body_literal(body, text)                                     \
    klaviyo_body_raw(body, text, sizeof(text) - 1)


static void klaviyo_body_profile(klaviyo_body_t *body,
    const klaviyo_event_t *event);
static void klaviyo_body_raw(klaviyo_body_t *body, const void *p, size_t len);
static klaviyo_slice_t klaviyo_body_member(const klaviyo_slice_t *object,
    const char *name);


/* members of the profile's attributes; its id is the last resort */

static const char *const  klaviyo_body_identifiers[] = {
    "email", "phone_number", "external_id", "_kx", NULL
};


size_t
klaviyo_body(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *const *event, uint32_t n)
{
    if (lane->head != NULL) {
        return klaviyo_body_job(p, event, n);
    }

    return (n == 1) ? klaviyo_body_single(p, event[0])
                    : klaviyo_body_bulk(p, event, n);
}


size_t
klaviyo_body_one(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *event)
{
    return klaviyo_body(p, lane, &event, 1);
}


size_t
klaviyo_body_job(uint8_t *p, const klaviyo_event_t *const *event, uint32_t n)
{
    uint32_t        i;
    klaviyo_body_t  body;

    body.pos = p;
    body.len = 0;

    klaviyo_body_literal(&body, KLAVIYO_BODY_JOB_START);
    klaviyo_body_raw(&body, event[0]->attributes, event[0]->attributes_len);
    klaviyo_body_literal(&body, KLAVIYO_LANE_PROFILES_START);

    for (i = 0; i < n; i++) {

        if (i > 0) {
            klaviyo_body_literal(&body, ",");
        }

        klaviyo_body_raw(&body, event[i]->profile, event[i]->profile_len);
    }

    klaviyo_body_literal(&body, KLAVIYO_LANE_PROFILES_END
                                KLAVIYO_BODY_JOB_END);

    return body.len;
}


size_t
klaviyo_body_person(uint8_t *buf, size_t size, const klaviyo_event_t *event)
{
    size_t               i, len;
    unsigned             n;
    klaviyo_slice_t      profile, attributes, value;
    klaviyo_scan_seen_t  seen;

    profile.data = event->profile;
    profile.len = event->profile_len;

    value.len = 0;
    n = 0;

    if (klaviyo_scan_check(&profile, &seen)) {

        attributes = klaviyo_body_member(&profile, "attributes");

        for (n = 0; klaviyo_body_identifiers[n] != NULL; n++) {
            value = klaviyo_body_member(&attributes,
                                        klaviyo_body_identifiers[n]);
            if (value.len != 0) {
                break;
            }
        }

        if (value.len == 0) {
            value = klaviyo_body_member(&profile, "id");
        }
    }

    /* nobody's, or too long to be compared: it is like no other */

    if (value.len == 0 || value.len >= size) {
        len = (event->unique_id_len < size) ? event->unique_id_len : size;
        memcpy(buf, event->unique_id, len);

        return len;
    }

    buf[0] = (uint8_t) n;
    memcpy(buf + 1, value.data, value.len);

    /* email addresses are the same in any case, for Klaviyo */

    for (i = 1; n == 0 && i <= value.len; i++) {
        if (buf[i] >= 'A' && buf[i] <= 'Z') {
            buf[i] |= 0x20;
        }
    }

    return value.len + 1;
}


/* a member that is a string that says something, or an object; or nothing */

static klaviyo_slice_t
klaviyo_body_member(const klaviyo_slice_t *object, const char *name)
{
    klaviyo_scan_t       scan;
    klaviyo_slice_t      found, value, member;
    klaviyo_scan_type_e  type;

    member.data = NULL;
    member.len = 0;

    if (object->len == 0
        || klaviyo_scan_type(object->data) != KLAVIYO_SCAN_OBJECT)
    {
        return member;
    }

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &found)) {
        klaviyo_scan_value(&scan, &value);

        if (!klaviyo_scan_is(&found, name, strlen(name))) {
            continue;
        }

        type = klaviyo_scan_type(value.data);

        if (type == KLAVIYO_SCAN_OBJECT
            || (type == KLAVIYO_SCAN_STRING && value.len > 2))
        {
            member = value;
        }
    }

    return member;
}


size_t
klaviyo_body_single(uint8_t *p, const klaviyo_event_t *event)
{
    klaviyo_body_t  body;

    body.pos = p;
    body.len = 0;

    klaviyo_body_literal(&body, KLAVIYO_BODY_SINGLE_START);
    klaviyo_body_raw(&body, event->attributes, event->attributes_len);
    klaviyo_body_literal(&body, KLAVIYO_BODY_SINGLE_PROFILE);
    klaviyo_body_profile(&body, event);
    klaviyo_body_literal(&body, KLAVIYO_BODY_SINGLE_END);

    return body.len;
}


size_t
klaviyo_body_bulk(uint8_t *p, const klaviyo_event_t *const *event, uint32_t n)
{
    uint32_t        i;
    klaviyo_body_t  body;

    body.pos = p;
    body.len = 0;

    klaviyo_body_literal(&body, KLAVIYO_BODY_BULK_START);

    for (i = 0; i < n; i++) {

        if (i > 0 && event[i]->profile == event[i - 1]->profile) {
            klaviyo_body_literal(&body, ",");

        } else {
            if (i > 0) {
                klaviyo_body_literal(&body, KLAVIYO_BODY_ENTRY_END ",");
            }

            klaviyo_body_literal(&body, KLAVIYO_BODY_ENTRY_START);
            klaviyo_body_raw(&body, event[i]->profile, event[i]->profile_len);
            klaviyo_body_literal(&body, KLAVIYO_BODY_ENTRY_EVENTS);
        }

        klaviyo_body_literal(&body, KLAVIYO_BODY_EVENT_START);
        klaviyo_body_raw(&body, event[i]->attributes,
                         event[i]->attributes_len);
        klaviyo_body_literal(&body, KLAVIYO_BODY_EVENT_END);
    }

    klaviyo_body_literal(&body, KLAVIYO_BODY_ENTRY_END KLAVIYO_BODY_BULK_END);

    return body.len;
}


size_t
klaviyo_body_frame_size(void)
{
    return sizeof(KLAVIYO_BODY_BULK_START KLAVIYO_BODY_BULK_END) - 1;
}


size_t
klaviyo_body_entry_size(const klaviyo_event_t *event)
{
    return sizeof(KLAVIYO_BODY_ENTRY_START KLAVIYO_BODY_ENTRY_EVENTS
                  KLAVIYO_BODY_ENTRY_END) - 1
           + event->profile_len;
}


size_t
klaviyo_body_event_size(const klaviyo_event_t *event)
{
    return sizeof(KLAVIYO_BODY_EVENT_START KLAVIYO_BODY_EVENT_END ",") - 1
           + event->attributes_len;
}


static void
klaviyo_body_profile(klaviyo_body_t *body, const klaviyo_event_t *event)
{
    const uint8_t   *meta;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  profile, attributes, name, value;

    profile.data = event->profile;
    profile.len = event->profile_len;

    meta = NULL;
    value.len = 0;
    attributes.data = NULL;
    attributes.len = 0;

    klaviyo_scan_enter(&scan, &profile);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        if (klaviyo_scan_is(&name, "attributes", sizeof("attributes") - 1)) {
            attributes = value;

        } else if (klaviyo_scan_is(&name, "meta", sizeof("meta") - 1)
                   && attributes.len > 1)
        {
            meta = name.data;
            break;
        }
    }

    if (meta == NULL) {
        klaviyo_body_raw(body, profile.data, profile.len);
        return;
    }

    /* the attributes without their last brace */

    klaviyo_body_raw(body, profile.data,
                     attributes.data + attributes.len - 1 - profile.data);

    if (attributes.len > sizeof("{}") - 1) {
        klaviyo_body_literal(body, ",");
    }

    klaviyo_body_raw(body, meta, value.data + value.len - meta);
    klaviyo_body_literal(body, "}}");
}


static void
klaviyo_body_raw(klaviyo_body_t *body, const void *p, size_t len)
{
    if (body->pos != NULL) {
        body->pos = (uint8_t *) memcpy(body->pos, p, len) + len;
    }

    body->len += len;
}
