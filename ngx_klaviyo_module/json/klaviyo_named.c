/*
 * json: events that an application names.  Plain C.
 */


#include <string.h>

#include "klaviyo_named.h"


#define klaviyo_named_type(type)  (1 << KLAVIYO_WALK_##type)


static void klaviyo_named_object(klaviyo_named_t *named,
    const klaviyo_slice_t *object);


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
    { "properties", klaviyo_named_type(OBJECT) }
};


int
klaviyo_named_open(klaviyo_named_list_t *list, const uint8_t *p, size_t len)
{
    klaviyo_walk_type_e  type;

    list->text.data = p;
    list->text.len = len;
    list->end = 0;

    if (len > KLAVIYO_NAMED_TEXT_MAX || !klaviyo_walk_check(&list->text)) {
        return 0;
    }

    type = klaviyo_walk_type(list->text.data);

    list->array = (type == KLAVIYO_WALK_ARRAY);

    klaviyo_walk_enter(&list->walk, list->text.data,
                       list->text.data + list->text.len);

    return type == KLAVIYO_WALK_ARRAY || type == KLAVIYO_WALK_OBJECT;
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

    } else if (klaviyo_walk_next(&list->walk, &name)) {
        klaviyo_walk_value(&list->walk, &value);

    } else {
        list->end = 1;
        return KLAVIYO_VALUE_EMPTY;
    }

    if (klaviyo_walk_type(value.data) != KLAVIYO_WALK_OBJECT) {
        return KLAVIYO_VALUE_BAD;
    }

    klaviyo_named_object(named, &value);

    return KLAVIYO_VALUE_OK;
}


static void
klaviyo_named_object(klaviyo_named_t *named, const klaviyo_slice_t *object)
{
    int                  i;
    klaviyo_walk_t       walk;
    klaviyo_slice_t      name, value;
    klaviyo_walk_type_e  type;

    memset(named, 0, sizeof(klaviyo_named_t));

    klaviyo_walk_enter(&walk, object->data, object->data + object->len);

    while (klaviyo_walk_next(&walk, &name)) {

        klaviyo_walk_value(&walk, &value);

        type = klaviyo_walk_type(value.data);

        for (i = 0; i < KLAVIYO_NAMED_N; i++) {

            if (klaviyo_walk_is(&name, klaviyo_named_members[i].name,
                                strlen(klaviyo_named_members[i].name)))
            {
                break;
            }
        }

        if (i < KLAVIYO_NAMED_N && type == KLAVIYO_WALK_NULL) {
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
