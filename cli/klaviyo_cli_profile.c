/*
 * klaviyo-queue: profiles of events; see the header.
 */


#define _GNU_SOURCE
#include <arpa/inet.h>
#include <string.h>

#include "capture/klaviyo_decode.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_value.h"
#include "klaviyo_cli_profile.h"


#define KLAVIYO_CLI_EVENT_STRONG   1      /* says who somebody is             */


typedef struct {
    const char           *name;
    klaviyo_cli_field_e   section;
    unsigned              identifier;    /* 2: of a browser, not a person   */
} klaviyo_cli_known_t;


static void klaviyo_cli_event_fields(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_members_t *members, klaviyo_cli_person_t *person);
static int klaviyo_cli_event_field(klaviyo_cli_maker_t *maker,
    const char *name, klaviyo_slice_t *value);
static int klaviyo_cli_event_check(klaviyo_cli_maker_t *maker,
    const char *name, klaviyo_slice_t *value);
static void klaviyo_cli_event_group(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const klaviyo_cli_person_t *person,
    klaviyo_cli_field_e section, const char *name);


static const klaviyo_cli_known_t  klaviyo_cli_knowns[] = {
    { "id", KLAVIYO_CLI_FIELD_ID, 1 },
    { "email", KLAVIYO_CLI_FIELD_ATTRIBUTE, 1 },
    { "phone_number", KLAVIYO_CLI_FIELD_ATTRIBUTE, 1 },
    { "external_id", KLAVIYO_CLI_FIELD_ATTRIBUTE, 1 },
    { "anonymous_id", KLAVIYO_CLI_FIELD_ATTRIBUTE, 2 },
    { "_kx", KLAVIYO_CLI_FIELD_ATTRIBUTE, 1 },
    { "first_name", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "last_name", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "organization", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "locale", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "title", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "image", KLAVIYO_CLI_FIELD_ATTRIBUTE, 0 },
    { "ip", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "address1", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "address2", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "city", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "country", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "region", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "zip", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "timezone", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "latitude", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { "longitude", KLAVIYO_CLI_FIELD_LOCATION, 0 },
    { NULL, KLAVIYO_CLI_FIELD_CUSTOM, 0 }
};


void
klaviyo_cli_event_person(klaviyo_cli_maker_t *maker, klaviyo_cli_rule_t *rule,
    klaviyo_cli_person_t *person)
{
    klaviyo_cli_scope_t  *scope;

    person->n = 0;
    person->identified = 0;
    person->strong = 0;

    klaviyo_cli_event_fields(maker, &rule->profile, person);

    for (scope = maker->place->scope; scope; scope = scope->parent) {
        klaviyo_cli_event_fields(maker, &scope->profile, person);
    }
}


static void
klaviyo_cli_event_fields(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_members_t *members, klaviyo_cli_person_t *person)
{
    unsigned                    i, j;
    klaviyo_cli_valued_t       *valued;
    const klaviyo_cli_member_t *member;

    for (i = 0; i < members->n; i++) {
        member = &members->member[i];

        if (klaviyo_cli_seen(person, member->name)
            || person->n == KLAVIYO_CLI_EVENT_MEMBERS)
        {
            continue;
        }

        valued = &person->member[person->n++];

        valued->name = member->name;
        valued->type = member->type;

        for (j = 0; klaviyo_cli_knowns[j].name; j++) {
            if (strcmp(klaviyo_cli_knowns[j].name, member->name) == 0) {
                break;
            }
        }

        valued->section = klaviyo_cli_knowns[j].section;

        if (!klaviyo_cli_expand(maker, member->value, &valued->value)
            || !klaviyo_cli_event_field(maker, member->name, &valued->value))
        {
            valued->value.len = 0;
        }

        if (valued->value.len
            && klaviyo_cli_knowns[j].identifier
            && !klaviyo_value_is_identifier(valued->value.data,
                                            valued->value.len))
        {
            valued->value.len = 0;
            maker->left_out++;
        }

        if (valued->value.len && klaviyo_cli_knowns[j].identifier) {
            person->identified = 1;
            person->strong |= (klaviyo_cli_knowns[j].identifier
                               == KLAVIYO_CLI_EVENT_STRONG);
        }
    }
}


static int
klaviyo_cli_event_field(klaviyo_cli_maker_t *maker, const char *name,
    klaviyo_slice_t *value)
{
    uint8_t          *p;
    klaviyo_slice_t   decoded;

    value->len = klaviyo_value_trim(&value->data, value->len);

    if (value->len == 0) {
        return 0;
    }

    if (strcmp(name, "email") != 0 && strcmp(name, "phone_number") != 0
        && strcmp(name, "ip") != 0)
    {
        return 1;
    }

    if (memchr(value->data, '%', value->len)) {
        p = klaviyo_cli_text(maker, value->len);

        if (p) {
            decoded.data = p;
            decoded.len = klaviyo_decode_percent(p, value->data, value->len);

            if (klaviyo_cli_event_check(maker, name, &decoded)) {
                *value = decoded;
                return 1;
            }
        }
    }

    if (klaviyo_cli_event_check(maker, name, value)) {
        return 1;
    }

    maker->left_out++;

    return 0;
}


static int
klaviyo_cli_event_check(klaviyo_cli_maker_t *maker, const char *name,
    klaviyo_slice_t *value)
{
    char                  ip[INET6_ADDRSTRLEN + 1];
    size_t                len;
    uint8_t               form[KLAVIYO_IDN_LEN], number[KLAVIYO_PHONE_LEN];
    uint8_t              *p, address[16];
    klaviyo_cli_scope_t  *scope;

    p = form;

    switch (name[0]) {

    case 'e':

        if (klaviyo_value_is_email(value->data, value->len)) {
            return 1;
        }

        len = klaviyo_idn_email(value->data, value->len, form);

        if (len == 0 || !klaviyo_value_is_email(form, len)) {
            return 0;
        }

        break;

    case 'p':

        if (klaviyo_value_is_phone(value->data, value->len)) {
            return 1;
        }

        klaviyo_cli_inherited(maker->place->scope, scope, country, -1);

        len = klaviyo_phone(value->data, value->len, (unsigned) scope->country,
                            number);
        if (len == 0) {
            return 0;
        }

        p = number;
        break;

    default:

        if (value->len >= sizeof(ip)) {
            return 0;
        }

        memcpy(ip, value->data, value->len);
        ip[value->len] = '\0';

        return inet_pton(strchr(ip, ':') ? AF_INET6 : AF_INET, ip, address)
               == 1;
    }

    value->data = klaviyo_cli_text(maker, len);

    if (value->data == NULL) {
        return 0;
    }

    memcpy((uint8_t *) value->data, p, len);
    value->len = len;

    return 1;
}


/* the sources in their order; the first that knows somebody */

void
klaviyo_cli_event_identity(klaviyo_cli_maker_t *maker,
    klaviyo_identity_t *identity, int *from)
{
    int                     rc;
    size_t                  i;
    uint8_t                *buf;
    klaviyo_slice_t         value;
    klaviyo_cli_scope_t    *scope;

    static const struct {
        const char             *name;
        klaviyo_identity_rc_e (*read)(klaviyo_identity_t *identity,
                                      const uint8_t *p, size_t len,
                                      uint8_t *buf);
        int                     from;
    } source[] = {
        { "_kx", klaviyo_identity_kx, KLAVIYO_CLI_IDENTITY_QUERY },
        { "_ke", klaviyo_identity_ke, KLAVIYO_CLI_IDENTITY_QUERY },
        { "utm_email", klaviyo_identity_email, KLAVIYO_CLI_IDENTITY_QUERY },
        { "__kla_id", klaviyo_identity_cookie, KLAVIYO_CLI_IDENTITY_COOKIE },
        { NULL, NULL, 0 }
    };

    klaviyo_cli_inherited(maker->place->scope, scope, identity, -1);

    for (i = 0; source[i].name; i++) {

        if (!(scope->identity & source[i].from)) {
            continue;
        }

        rc = (source[i].from == KLAVIYO_CLI_IDENTITY_QUERY)
             ? klaviyo_cli_argument(maker, source[i].name,
                                    strlen(source[i].name), &value)
             : klaviyo_cli_cookie(maker, source[i].name,
                                  strlen(source[i].name), &value);

        if (!rc || value.len == 0 || value.len > KLAVIYO_IDENTITY_TEXT_MAX) {
            continue;
        }

        buf = klaviyo_cli_text(maker, value.len);

        if (buf == NULL
            || source[i].read(identity, value.data, value.len, buf)
               != KLAVIYO_IDENTITY_OK)
        {
            memset(identity, 0, sizeof(klaviyo_identity_t));
            continue;
        }

        if (maker->company) {
            (void) klaviyo_identity_restrict(identity,
                                             (const uint8_t *) maker->company,
                                             strlen(maker->company));
        }

        if (klaviyo_identity_any(identity)) {
            *from = source[i].from;
            return;
        }

        memset(identity, 0, sizeof(klaviyo_identity_t));
    }
}


void
klaviyo_cli_event_profile(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const klaviyo_cli_person_t *person, const klaviyo_identity_t *identity)
{
    unsigned  i;

    static const char *const  names[KLAVIYO_IDENTITY_ALL] = {
        "id", "_kx", "email", "phone_number", "external_id", "anonymous_id",
        "first_name", "last_name"
    };

    klaviyo_json_literal(json, "{\"type\":\"profile\"");

    for (i = 0; i < person->n; i++) {
        if (person->member[i].section == KLAVIYO_CLI_FIELD_ID) {
            klaviyo_cli_event_member(json, maker, "id",
                                     KLAVIYO_VALUE_STRING,
                                     &person->member[i].value);
        }
    }

    if (identity->value[KLAVIYO_IDENTITY_ID].len) {
        klaviyo_json_literal(json, ",\"id\":");
        klaviyo_json_string(json, identity->value[KLAVIYO_IDENTITY_ID].data,
                            identity->value[KLAVIYO_IDENTITY_ID].len,
                            KLAVIYO_IDENTITY_MAX);
    }

    klaviyo_json_literal(json, ",\"attributes\":{");

    for (i = 0; i < person->n; i++) {
        if (person->member[i].section == KLAVIYO_CLI_FIELD_ATTRIBUTE) {
            klaviyo_cli_event_member(json, maker, person->member[i].name,
                                     person->member[i].type,
                                     &person->member[i].value);
        }
    }

    for (i = KLAVIYO_IDENTITY_KX; i < KLAVIYO_IDENTITY_ALL; i++) {

        klaviyo_slice_t  value;

        /* an anonymous_id of the configuration may stand beside the others */

        if (identity->value[i].len == 0 || klaviyo_cli_seen(person, names[i])) {
            continue;
        }

        value.data = identity->value[i].data;
        value.len = identity->value[i].len;

        klaviyo_cli_event_member(json, maker, names[i], KLAVIYO_VALUE_STRING,
                                 &value);
    }

    klaviyo_cli_event_group(json, maker, person, KLAVIYO_CLI_FIELD_LOCATION,
                            "\"location\":{");
    klaviyo_cli_event_group(json, maker, person, KLAVIYO_CLI_FIELD_CUSTOM,
                            "\"properties\":{");

    klaviyo_json_literal(json, "}}");
}


static void
klaviyo_cli_event_group(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const klaviyo_cli_person_t *person, klaviyo_cli_field_e section,
    const char *name)
{
    uint8_t   *start, *inside;
    unsigned   i;

    start = json->pos;

    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_raw(json, name, strlen(name));
    inside = json->pos;

    for (i = 0; i < person->n; i++) {
        if (person->member[i].section == section) {
            klaviyo_cli_event_member(json, maker, person->member[i].name,
                                     person->member[i].type,
                                     &person->member[i].value);
        }
    }

    if (json->pos == inside) {
        json->pos = start;
        return;
    }

    klaviyo_json_literal(json, "}");
}
