/*
 * klaviyo-queue: members of events; see the header.
 */


#include <string.h>

#include "json/klaviyo_value.h"
#include "klaviyo_cli_member.h"


int
klaviyo_cli_seen(const klaviyo_cli_person_t *seen, const char *name)
{
    unsigned  i;

    for (i = 0; i < seen->n; i++) {
        if (strcmp(seen->member[i].name, name) == 0) {
            return 1;
        }
    }

    return 0;
}


void
klaviyo_cli_event_member(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const char *name, klaviyo_value_type_e type, const klaviyo_slice_t *value)
{
    int                 cut;
    uint8_t            *start;
    klaviyo_value_rc_e  rc;

    if (value->len == 0) {
        return;
    }

    cut = 0;
    start = json->pos;

    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_string(json, (const uint8_t *) name, strlen(name),
                        strlen(name));
    klaviyo_json_literal(json, ":");

    rc = klaviyo_value_write(json, type, value->data, value->len, &cut);

    if (rc != KLAVIYO_VALUE_OK && !json->overflow) {
        json->pos = start;
    }

    maker->left_out += (rc == KLAVIYO_VALUE_BAD);
}
