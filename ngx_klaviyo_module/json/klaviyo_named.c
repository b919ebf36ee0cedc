/*
 * json: events that an application names.  Plain C.
 */


#include <string.h>

#include "klaviyo_named.h"


#define klaviyo_named_type(type)  (1 << KLAVIYO_SCAN_##type)


static void klaviyo_named_object(klaviyo_named_t *named,
    const klaviyo_slice_t *object);
static void klaviyo_named_properties(klaviyo_named_t *named);


/* in the order of klaviyo_named_member_e */

static const struct {
    const char  *name;
    unsigned     types;
} klaviyo_named_members[] = {
    { "metric", klaviyo_named_type(STRING) },
    { "value", klaviyo_named_type(STRING)|klaviyo_named_type(NUMBER) },
    { "value_currency", klaviyo_named_type(STRING) },
    { "unique_id", klaviyo_named_type(STRING)|klaviyo_named_type(NUMBER) },
    { "time", klaviyo_named_type(STRING)|klaviyo_named_type(NUMBER) },
    { "backfill", klaviyo_named_type(STRING)|klaviyo_named_type(NUMBER)
                  |klaviyo_named_type(BOOL) },
    { "profile", klaviyo_named_type(OBJECT) },
    { "properties", klaviyo_named_type(OBJECT) },
    { "identify", klaviyo_named_type(BOOL) },
    { "subscribe", klaviyo_named_type(OBJECT) }
};


int
klaviyo_named_open(klaviyo_named_list_t *list, const uint8_t *p, size_t len)
{
    klaviyo_scan_seen_t  seen;
    klaviyo_scan_type_e  type;

    list->text.data = p;
    list->text.len = len;
    list->end = 0;

    if (!klaviyo_scan_check(&list->text, &seen)) {
        return 0;
    }

    list->names = seen.names;
    list->repair = seen.repair;

    type = klaviyo_scan_type(list->text.data);

    list->array = (type == KLAVIYO_SCAN_ARRAY);

    klaviyo_scan_enter(&list->scan, &list->text);

    return type == KLAVIYO_SCAN_ARRAY || type == KLAVIYO_SCAN_OBJECT;
}


klaviyo_value_rc_e
klaviyo_named_next(klaviyo_named_list_t *list, klaviyo_named_t *named)
{
    klaviyo_slice_t  name, value;

    if (list->end) {
        return KLAVIYO_VALUE_EMPTY;
    }

    value = list->text;

    if (!list->array) {
        list->end = 1;

    } else if (klaviyo_scan_next(&list->scan, &name)) {
        klaviyo_scan_value(&list->scan, &value);

    } else {
        return KLAVIYO_VALUE_EMPTY;
    }

    if (klaviyo_scan_type(value.data) != KLAVIYO_SCAN_OBJECT) {
        return KLAVIYO_VALUE_BAD;
    }

    klaviyo_named_object(named, &value);
    klaviyo_named_properties(named);

    named->names = list->names;

    return KLAVIYO_VALUE_OK;
}


static void
klaviyo_named_object(klaviyo_named_t *named, const klaviyo_slice_t *object)
{
    int                  i;
    klaviyo_scan_t       scan;
    klaviyo_slice_t      name, value;
    klaviyo_scan_type_e  type;

    memset(named, 0, sizeof(klaviyo_named_t));

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &name)) {

        klaviyo_scan_value(&scan, &value);

        type = klaviyo_scan_type(value.data);

        for (i = 0; i < KLAVIYO_NAMED_N; i++) {

            if (klaviyo_scan_is(&name, klaviyo_named_members[i].name,
                                strlen(klaviyo_named_members[i].name)))
            {
                break;
            }
        }

        if (i < KLAVIYO_NAMED_N && type == KLAVIYO_SCAN_NULL) {
            named->member[i].len = 0;
            continue;
        }

        if (i == KLAVIYO_NAMED_N
            || !(klaviyo_named_members[i].types & (1 << type)))
        {
            named->left_out++;
            continue;
        }

        named->member[i] = value;
    }
}


/* what the API of old has among the properties, if it is said nowhere else */

static void
klaviyo_named_properties(klaviyo_named_t *named)
{
    unsigned                 said;
    klaviyo_scan_t           scan;
    klaviyo_slice_t          name, value;
    klaviyo_scan_type_e      type;
    klaviyo_named_member_e   i;

    said = 0;

    for (i = 0; i < KLAVIYO_NAMED_N; i++) {
        said |= (unsigned) (named->member[i].len != 0) << i;
    }

    klaviyo_scan_enter(&scan, &named->member[KLAVIYO_NAMED_PROPERTIES]);

    while (klaviyo_scan_next(&scan, &name)) {

        i = klaviyo_named_legacy(&name);

        if (i == KLAVIYO_NAMED_N) {
            continue;
        }

        klaviyo_scan_value(&scan, &value);

        type = klaviyo_scan_type(value.data);

        if (type == KLAVIYO_SCAN_NULL || (said & 1U << i)) {
            continue;
        }

        if (!(klaviyo_named_members[i].types & (1 << type))) {
            named->left_out++;
            continue;
        }

        named->member[i] = value;
    }
}


klaviyo_named_member_e
klaviyo_named_legacy(const klaviyo_slice_t *name)
{
    size_t  i;

    static const struct {
        const char              *name;
        klaviyo_named_member_e   member;
    } legacy[] = {
        { "$value", KLAVIYO_NAMED_VALUE },
        { "$event_id", KLAVIYO_NAMED_UNIQUE_ID },
        { "$value_currency", KLAVIYO_NAMED_CURRENCY },
        { "$currency_code", KLAVIYO_NAMED_CURRENCY }
    };

    if (name->len < 2 || (name->data[1] != '$' && name->data[1] != '\\')) {
        return KLAVIYO_NAMED_N;
    }

    for (i = 0; i < sizeof(legacy) / sizeof(legacy[0]); i++) {

        if (klaviyo_scan_is(name, legacy[i].name, strlen(legacy[i].name))) {
            return legacy[i].member;
        }
    }

    return KLAVIYO_NAMED_N;
}
