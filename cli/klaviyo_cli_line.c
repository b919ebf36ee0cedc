/*
 * klaviyo-queue: lines of JSON, written and read.
 *
 * jansson says whether a line is JSON; what goes into the queue are the
 * line's own bytes, so that a number keeps its digits.
 */


#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "json/klaviyo_check.h"
#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "json/klaviyo_scan.h"
#include "klaviyo_cli.h"
#include "klaviyo_cli_line.h"
#include "queue/klaviyo_lane.h"


/* what parse adds to the attributes, at most */
#define KLAVIYO_CLI_LINE_ADDS                                                \
    (sizeof(",\"unique_id\":,\"time\":,\"backfill\":true")                   \
     + klaviyo_json_string_size(KLAVIYO_UNIQUE_ID_MAX) + 64)


enum {
    KLAVIYO_CLI_CAPTURED = 0,
    KLAVIYO_CLI_UNIQUE_ID,
    KLAVIYO_CLI_EVENT
};

enum {
    KLAVIYO_CLI_PROPERTIES = 0,
    KLAVIYO_CLI_METRIC,
    KLAVIYO_CLI_PROFILE,
    KLAVIYO_CLI_OWN_ID,
    KLAVIYO_CLI_TIME,
    KLAVIYO_CLI_VALUE,
    KLAVIYO_CLI_CURRENCY,
    KLAVIYO_CLI_BACKFILLED,
    KLAVIYO_CLI_ATTRIBUTES_N
};


static const char *klaviyo_cli_parse_event(klaviyo_cli_pieces_t *pieces,
    klaviyo_slice_t *line, klaviyo_slice_t *attributes, unsigned backfill,
    klaviyo_event_t *event);
static const char *klaviyo_cli_parse_job(klaviyo_cli_pieces_t *pieces,
    klaviyo_slice_t *line, const klaviyo_lane_t *lane,
    const klaviyo_slice_t *attributes, klaviyo_event_t *event);
static int klaviyo_cli_pieces_reserve(klaviyo_cli_pieces_t *pieces,
    size_t size);
static const klaviyo_lane_t *klaviyo_cli_lane(const klaviyo_slice_t *type);
static const char *klaviyo_cli_parse_metric(const klaviyo_slice_t *metric);
static const char *klaviyo_cli_parse_profile(const klaviyo_slice_t *profile,
    klaviyo_event_t *event);
static const char *klaviyo_cli_parse_person(const klaviyo_slice_t *data,
    klaviyo_event_t *event);
static const char *klaviyo_cli_parse_id(klaviyo_cli_pieces_t *pieces,
    klaviyo_slice_t *id, const klaviyo_slice_t *other,
    klaviyo_event_t *event);
static const char *klaviyo_cli_parse_time(klaviyo_slice_t *time,
    const klaviyo_slice_t *captured);
static const char *klaviyo_cli_parse_pieces(klaviyo_cli_pieces_t *pieces,
    const klaviyo_slice_t *attributes, const klaviyo_slice_t *member,
    unsigned backfill, klaviyo_event_t *event);
static void klaviyo_cli_parse_meta(klaviyo_json_t *json,
    klaviyo_event_t *event);
static void klaviyo_cli_copy(klaviyo_json_t *json,
    const klaviyo_slice_t *object, const char *const *but);
static void klaviyo_cli_members(const klaviyo_slice_t *object,
    const char *const *name, klaviyo_slice_t *member);
static klaviyo_slice_t klaviyo_cli_member(const klaviyo_slice_t *object,
    const char *name);
static int klaviyo_cli_is(const klaviyo_slice_t *slice,
    klaviyo_scan_type_e type);
static int klaviyo_cli_says(const klaviyo_slice_t *slice, const char *text);
static int klaviyo_cli_good_time(const klaviyo_slice_t *time);


static const char *const  klaviyo_cli_line_names[] = {
    "captured",
    "unique_id",
    "event",
    NULL
};

static const char *const  klaviyo_cli_attributes_names[] = {
    "properties",
    "metric",
    "profile",
    "unique_id",
    "time",
    "value",
    "value_currency",
    "backfill",
    NULL
};

static const char *const  klaviyo_cli_identifiers[] = {
    "email",
    "phone_number",
    "external_id",
    "anonymous_id",
    "_kx",
    NULL
};


void
klaviyo_cli_line_write(FILE *out, const klaviyo_event_t *event)
{
    int64_t                ms;
    uint8_t                id[klaviyo_json_string_size(KLAVIYO_UNIQUE_ID_MAX)];
    uint8_t                time[KLAVIYO_TIME_LEN];
    klaviyo_json_t         json;
    const klaviyo_lane_t  *lane;

    klaviyo_json_init(&json, id, sizeof(id));
    klaviyo_json_string(&json, event->unique_id, event->unique_id_len,
                        KLAVIYO_UNIQUE_ID_MAX);

    ms = (event->time > 0) ? event->time : 0;
    klaviyo_value_format_time(time, ms / 1000);

    (void) fprintf(out, "{\"captured\":\"%.19s.%03dZ\",\"unique_id\":",
                   (char *) time, (int) (ms % 1000));
    (void) fwrite(id, json.pos - json.start, 1, out);

    lane = klaviyo_lane_of(event);

    if (lane->head) {
        (void) fputs(",\"event\":{", out);
        (void) fwrite(event->attributes, event->attributes_len, 1, out);
        (void) fputs(KLAVIYO_LANE_PROFILES_START, out);
        (void) fwrite(event->profile, event->profile_len, 1, out);
        (void) fputs(KLAVIYO_LANE_PROFILES_END "}}\n", out);
        return;
    }

    (void) fputs(",\"event\":{\"type\":\"event\",\"attributes\":{", out);
    (void) fwrite(event->attributes, event->attributes_len, 1, out);
    (void) fputs(",\"profile\":{\"data\":", out);
    (void) fwrite(event->profile, event->profile_len, 1, out);
    (void) fputs("}}}}\n", out);
}


void
klaviyo_cli_line_print(FILE *out, const klaviyo_event_t *event)
{
    char    *line;
    size_t   len;
    FILE    *memory;

    if (!isatty(fileno(out))) {
        klaviyo_cli_line_write(out, event);
        return;
    }

    line = NULL;
    memory = open_memstream(&line, &len);

    if (memory) {
        klaviyo_cli_line_write(memory, event);

        if (fclose(memory) == 0) {
            klaviyo_cli_write(out, line, len);
        }
    }

    free(line);
}


const char *
klaviyo_cli_line_parse(klaviyo_cli_pieces_t *pieces, const uint8_t *p,
    size_t len, unsigned backfill, klaviyo_event_t *event)
{
    json_t                *root;
    klaviyo_slice_t        text, type, attributes;
    klaviyo_slice_t        line[sizeof(klaviyo_cli_line_names)
                                / sizeof(char *)];
    const klaviyo_lane_t  *lane;

    if (len > KLAVIYO_CLI_LINE_MAX) {
        return "the line is too long";
    }

    memset(event, 0, sizeof(klaviyo_event_t));

    root = json_loadb((const char *) p, len, JSON_REJECT_DUPLICATES, NULL);

    if (root == NULL) {
        return "this is not one JSON object";
    }

    json_decref(root);

    text.data = p;
    text.len = klaviyo_value_trim(&text.data, len);

    klaviyo_cli_members(&text, klaviyo_cli_line_names, line);

    type = klaviyo_cli_member(&line[KLAVIYO_CLI_EVENT], "type");
    attributes = klaviyo_cli_member(&line[KLAVIYO_CLI_EVENT], "attributes");

    lane = klaviyo_cli_lane(&type);

    if (lane && klaviyo_cli_is(&attributes, KLAVIYO_SCAN_OBJECT)) {
        return klaviyo_cli_parse_job(pieces, line, lane, &attributes, event);
    }

    if (!klaviyo_cli_says(&type, "event")
        || !klaviyo_cli_is(&attributes, KLAVIYO_SCAN_OBJECT))
    {
        return "there is no \"event\" with its type and attributes";
    }

    return klaviyo_cli_parse_event(pieces, line, &attributes, backfill,
                                   event);
}


/* the lane whose head begins with this type; NULL: none, or that of events */

static const klaviyo_lane_t *
klaviyo_cli_lane(const klaviyo_slice_t *type)
{
    size_t       len;
    unsigned     i;
    const char  *head;

    for (i = 1; i < KLAVIYO_LANE_N; i++) {
        head = klaviyo_lanes[i].head;
        len = strlen(head);

        /* "type":TYPE, */

        if (type->len == len - (sizeof("\"type\":,") - 1)
            && memcmp(type->data, head + sizeof("\"type\":") - 1, type->len)
               == 0)
        {
            return &klaviyo_lanes[i];
        }
    }

    return NULL;
}


/* one profile, and the head of the request as capture writes it */

static const char *
klaviyo_cli_parse_job(klaviyo_cli_pieces_t *pieces, klaviyo_slice_t *line,
    const klaviyo_lane_t *lane, const klaviyo_slice_t *attributes,
    klaviyo_event_t *event)
{
    const char       *error;
    klaviyo_json_t    json;
    klaviyo_scan_t    scan;
    klaviyo_slice_t   id, name, value, profiles, data, related;

    profiles = klaviyo_cli_member(attributes, "profiles");
    data = klaviyo_cli_member(&profiles, "data");
    related = klaviyo_cli_member(&line[KLAVIYO_CLI_EVENT], "relationships");

    if (!klaviyo_cli_is(&data, KLAVIYO_SCAN_ARRAY)) {
        return "there are no profiles";
    }

    klaviyo_scan_enter(&scan, &data);

    if (!klaviyo_scan_next(&scan, &name)) {
        return "there are no profiles";
    }

    klaviyo_scan_value(&scan, &value);

    if (klaviyo_scan_next(&scan, &name)) {
        return "there is more than one profile";
    }

    error = klaviyo_cli_parse_person(&value, event);

    if (error) {
        return error;
    }

    id = line[KLAVIYO_CLI_UNIQUE_ID];
    error = klaviyo_cli_parse_id(pieces, &id, &id, event);

    if (error) {
        return error;
    }

    if (klaviyo_cli_pieces_reserve(pieces, strlen(lane->head) + attributes->len
                                           + related.len
                                           + KLAVIYO_CLI_LINE_ADDS)
        != 0)
    {
        return "there is no memory for it";
    }

    klaviyo_json_init(&json, pieces->attributes, pieces->size);
    klaviyo_json_raw(&json, (const uint8_t *) lane->head, strlen(lane->head));

    if (related.len) {
        klaviyo_json_literal(&json, "\"relationships\":");
        klaviyo_json_raw(&json, related.data, related.len);
        klaviyo_json_literal(&json, ",");
    }

    klaviyo_json_literal(&json, "\"attributes\":{");

    klaviyo_scan_enter(&scan, attributes);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        if (klaviyo_cli_says(&name, "profiles")) {
            continue;
        }

        klaviyo_json_raw(&json, name.data, name.len);
        klaviyo_json_literal(&json, ":");
        klaviyo_json_raw(&json, value.data, value.len);
        klaviyo_json_literal(&json, ",");
    }

    event->attributes = json.start;
    event->attributes_len = json.pos - json.start;

    return NULL;
}


static int
klaviyo_cli_pieces_reserve(klaviyo_cli_pieces_t *pieces, size_t size)
{
    uint8_t  *p;

    if (size <= pieces->size) {
        return 0;
    }

    p = realloc(pieces->attributes, size);

    if (p == NULL) {
        return -1;
    }

    pieces->attributes = p;
    pieces->size = size;

    return 0;
}


static const char *
klaviyo_cli_parse_event(klaviyo_cli_pieces_t *pieces, klaviyo_slice_t *line,
    klaviyo_slice_t *attributes, unsigned backfill, klaviyo_event_t *event)
{
    unsigned         n;
    const char      *error;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, *id;
    klaviyo_slice_t  member[KLAVIYO_CLI_ATTRIBUTES_N + 1];

    klaviyo_cli_members(attributes, klaviyo_cli_attributes_names, member);

    if (!klaviyo_cli_is(&member[KLAVIYO_CLI_PROPERTIES],
                        KLAVIYO_SCAN_OBJECT))
    {
        return "the event has no properties";
    }

    n = 0;
    klaviyo_scan_enter(&scan, &member[KLAVIYO_CLI_PROPERTIES]);

    while (klaviyo_scan_next(&scan, &name)) {
        n++;
    }

    if (n > KLAVIYO_PROPERTIES_MAX) {
        return "the event has too many properties";
    }

    if (member[KLAVIYO_CLI_VALUE].len
        && !klaviyo_cli_is(&member[KLAVIYO_CLI_VALUE], KLAVIYO_SCAN_NUMBER)
        && !klaviyo_cli_is(&member[KLAVIYO_CLI_VALUE], KLAVIYO_SCAN_NULL))
    {
        return "the value is not a number";
    }

    error = klaviyo_cli_parse_metric(&member[KLAVIYO_CLI_METRIC]);

    if (error == NULL) {
        error = klaviyo_cli_parse_profile(&member[KLAVIYO_CLI_PROFILE],
                                          event);
    }

    id = &member[KLAVIYO_CLI_OWN_ID];

    if (error == NULL) {
        error = klaviyo_cli_parse_id(pieces, id, &line[KLAVIYO_CLI_UNIQUE_ID],
                                     event);
    }

    if (error == NULL) {
        error = klaviyo_cli_parse_time(&member[KLAVIYO_CLI_TIME],
                                       &line[KLAVIYO_CLI_CAPTURED]);
    }

    if (error == NULL) {
        error = klaviyo_cli_parse_pieces(pieces, attributes, member, backfill,
                                         event);
    }

    return error;
}


static const char *
klaviyo_cli_parse_metric(const klaviyo_slice_t *metric)
{
    int              good;
    uint8_t         *buf;
    klaviyo_slice_t  data, attributes, name;

    data = klaviyo_cli_member(metric, "data");
    attributes = klaviyo_cli_member(&data, "attributes");
    name = klaviyo_cli_member(&attributes, "name");

    if (!klaviyo_cli_is(&name, KLAVIYO_SCAN_STRING)) {
        return "the event has no metric";
    }

    buf = malloc(name.len);

    if (buf == NULL) {
        return "there is no memory for it";
    }

    good = klaviyo_value_is_metric(buf, klaviyo_scan_string(&name, buf));

    free(buf);

    return good ? NULL : "the name of the metric is empty, too long, or has "
                         "control characters";
}


static const char *
klaviyo_cli_parse_profile(const klaviyo_slice_t *profile,
    klaviyo_event_t *event)
{
    klaviyo_slice_t  data;

    data = klaviyo_cli_member(profile, "data");

    return klaviyo_cli_parse_person(&data, event);
}


static const char *
klaviyo_cli_parse_person(const klaviyo_slice_t *data, klaviyo_event_t *event)
{
    unsigned         i;
    klaviyo_slice_t  type, member, attributes;

    type = klaviyo_cli_member(data, "type");
    attributes = klaviyo_cli_member(data, "attributes");

    if (!klaviyo_cli_says(&type, "profile")) {
        return "the event has no profile";
    }

    if (data->len > KLAVIYO_PROFILE_MAX) {
        return "the profile is too large";
    }

    event->profile = data->data;
    event->profile_len = data->len;

    member = klaviyo_cli_member(data, "id");

    if (klaviyo_cli_is(&member, KLAVIYO_SCAN_STRING) && member.len > 2) {
        return NULL;
    }

    for (i = 0; klaviyo_cli_identifiers[i]; i++) {
        member = klaviyo_cli_member(&attributes, klaviyo_cli_identifiers[i]);

        if (klaviyo_cli_is(&member, KLAVIYO_SCAN_STRING) && member.len > 2) {
            return NULL;
        }
    }

    return "the profile has no identifier";
}


/* the same id in the line and in the event, or in one of them only */

static const char *
klaviyo_cli_parse_id(klaviyo_cli_pieces_t *pieces, klaviyo_slice_t *id,
    const klaviyo_slice_t *other, klaviyo_event_t *event)
{
    size_t    len;
    uint8_t   buf[klaviyo_json_string_size(KLAVIYO_UNIQUE_ID_MAX)];

    if (id->len == 0) {
        *id = *other;
    }

    if (!klaviyo_cli_is(id, KLAVIYO_SCAN_STRING)) {
        return "there is no unique_id";
    }

    if (id->len > sizeof(buf)) {
        return "the unique_id is too long";
    }

    len = klaviyo_scan_string(id, buf);

    if (len == 0 || len > KLAVIYO_UNIQUE_ID_MAX) {
        return len ? "the unique_id is too long" : "the unique_id is empty";
    }

    if (other->len
        && (!klaviyo_cli_is(other, KLAVIYO_SCAN_STRING)
            || !klaviyo_scan_is(other, buf, len)))
    {
        return "the unique_id of the line is not that of the event";
    }

    memcpy(pieces->unique_id, buf, len);

    event->unique_id = pieces->unique_id;
    event->unique_id_len = len;

    return NULL;
}


/* an event without a time happened when it was captured, not now */

static const char *
klaviyo_cli_parse_time(klaviyo_slice_t *time, const klaviyo_slice_t *captured)
{
    if (time->len) {
        return klaviyo_cli_good_time(time) ? NULL
               : "the event's time is none that Klaviyo takes";
    }

    if (captured->len == 0) {
        return NULL;
    }

    if (!klaviyo_cli_good_time(captured)) {
        return "\"captured\" is not a time";
    }

    *time = *captured;

    return NULL;
}


static int
klaviyo_cli_good_time(const klaviyo_slice_t *text)
{
    int64_t          t;
    klaviyo_slice_t  bare;

    bare = *text;

    if (klaviyo_cli_is(text, KLAVIYO_SCAN_STRING)) {
        bare.data++;
        bare.len -= 2;
    }

    return klaviyo_value_time(bare.data, bare.len, (int64_t) time(NULL), 0,
                              &t)
           == KLAVIYO_VALUE_OK;
}


/*
 * The members of the event's attributes as they stand, without the profile;
 * those that may have come from elsewhere are put behind.
 */

static const char *
klaviyo_cli_parse_pieces(klaviyo_cli_pieces_t *pieces,
    const klaviyo_slice_t *attributes, const klaviyo_slice_t *member,
    unsigned backfill, klaviyo_event_t *event)
{
    size_t                  size;
    klaviyo_json_t          json;
    klaviyo_scan_t          scan;
    klaviyo_slice_t         name, value;
    const klaviyo_slice_t  *id, *time;

    size = attributes->len + KLAVIYO_CLI_LINE_ADDS;

    if (klaviyo_cli_pieces_reserve(pieces, size) != 0) {
        return "there is no memory for it";
    }

    id = &member[KLAVIYO_CLI_OWN_ID];
    time = &member[KLAVIYO_CLI_TIME];

    klaviyo_json_init(&json, pieces->attributes, size);

    klaviyo_json_literal(&json, "\"unique_id\":");
    klaviyo_json_raw(&json, id->data, id->len);

    if (time->len) {
        klaviyo_json_literal(&json, ",\"time\":");
        klaviyo_json_raw(&json, time->data, time->len);
    }

    if (backfill) {
        klaviyo_json_literal(&json, ",\"backfill\":true");
    }

    klaviyo_scan_enter(&scan, attributes);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        if (klaviyo_cli_says(&name, "profile")
            || klaviyo_cli_says(&name, "unique_id")
            || klaviyo_cli_says(&name, "time")
            || (backfill && klaviyo_cli_says(&name, "backfill")))
        {
            continue;
        }

        klaviyo_json_literal(&json, ",");
        klaviyo_json_raw(&json, name.data, name.len);
        klaviyo_json_literal(&json, ":");
        klaviyo_json_raw(&json, value.data, value.len);
    }

    event->attributes = json.start;
    event->attributes_len = json.pos - json.start;

    klaviyo_cli_parse_meta(&json, event);

    return json.overflow ? "the event is too large" : NULL;
}


/* a record has beside the attributes what a single request has in them */

static void
klaviyo_cli_parse_meta(klaviyo_json_t *json, klaviyo_event_t *event)
{
    uint8_t          *start;
    klaviyo_slice_t   data, attributes, meta;

    static const char *const  apart[] = { "attributes", "meta", NULL };

    data.data = event->profile;
    data.len = event->profile_len;

    attributes = klaviyo_cli_member(&data, "attributes");
    meta = klaviyo_cli_member(&attributes, "meta");

    if (meta.len == 0) {
        return;
    }

    start = json->pos;

    klaviyo_json_literal(json, "{");
    klaviyo_cli_copy(json, &data, apart);
    klaviyo_json_literal(json, ",\"attributes\":{");
    klaviyo_cli_copy(json, &attributes, apart);
    klaviyo_json_literal(json, "},\"meta\":");
    klaviyo_json_raw(json, meta.data, meta.len);
    klaviyo_json_literal(json, "}");

    event->profile = start;
    event->profile_len = json->pos - start;
}


/* the members but those that are named */

static void
klaviyo_cli_copy(klaviyo_json_t *json, const klaviyo_slice_t *object,
    const char *const *but)
{
    unsigned         i;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, value;

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        for (i = 0; but[i] && !klaviyo_cli_says(&name, but[i]); i++) {
            /* void */
        }

        if (but[i]) {
            continue;
        }

        if (json->pos[-1] != '{') {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_raw(json, name.data, name.len);
        klaviyo_json_literal(json, ":");
        klaviyo_json_raw(json, value.data, value.len);
    }
}


/* each named member's value, or an empty slice; names end with a NULL */

static void
klaviyo_cli_members(const klaviyo_slice_t *object, const char *const *name,
    klaviyo_slice_t *member)
{
    unsigned         i;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  found, value;

    for (i = 0; name[i]; i++) {
        member[i].data = NULL;
        member[i].len = 0;
    }

    if (!klaviyo_cli_is(object, KLAVIYO_SCAN_OBJECT)) {
        return;
    }

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &found)) {
        klaviyo_scan_value(&scan, &value);

        for (i = 0; name[i]; i++) {
            if (klaviyo_cli_says(&found, name[i])) {
                member[i] = value;
            }
        }
    }
}


static klaviyo_slice_t
klaviyo_cli_member(const klaviyo_slice_t *object, const char *name)
{
    const char       *names[2];
    klaviyo_slice_t   member;

    names[0] = name;
    names[1] = NULL;

    klaviyo_cli_members(object, names, &member);

    return member;
}


static int
klaviyo_cli_is(const klaviyo_slice_t *slice, klaviyo_scan_type_e type)
{
    return slice->len != 0 && klaviyo_scan_type(slice->data) == type;
}


static int
klaviyo_cli_says(const klaviyo_slice_t *slice, const char *text)
{
    return klaviyo_cli_is(slice, KLAVIYO_SCAN_STRING)
           && klaviyo_scan_is(slice, text, strlen(text));
}
