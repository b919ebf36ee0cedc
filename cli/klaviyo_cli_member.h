/*
 * Members of a profile or of an event's properties, level by level: the inner
 * one first, and what has been seen is not taken again.
 */


#ifndef KLAVIYO_CLI_MEMBER_H
#define KLAVIYO_CLI_MEMBER_H


#include "json/klaviyo_json.h"
#include "klaviyo_cli_variable.h"


#define KLAVIYO_CLI_EVENT_MEMBERS  512


typedef enum {
    KLAVIYO_CLI_FIELD_ID = 0,
    KLAVIYO_CLI_FIELD_ATTRIBUTE,
    KLAVIYO_CLI_FIELD_LOCATION,
    KLAVIYO_CLI_FIELD_CUSTOM
} klaviyo_cli_field_e;


typedef struct {
    const char             *name;
    klaviyo_slice_t         value;
    klaviyo_value_type_e    type;
    klaviyo_cli_field_e     section;
} klaviyo_cli_valued_t;


/* what the profile has, level by level, the inner one first */

typedef struct {
    klaviyo_cli_valued_t  member[KLAVIYO_CLI_EVENT_MEMBERS];
    unsigned              n;
    unsigned              identified:1;
    unsigned              strong:1;
} klaviyo_cli_person_t;


/* 1: there is one of this name */
int klaviyo_cli_seen(const klaviyo_cli_person_t *seen, const char *name);

/* behind a comma where one is due; nothing if it is empty or of another type */
void klaviyo_cli_event_member(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const char *name, klaviyo_value_type_e type,
    const klaviyo_slice_t *value);


#endif /* KLAVIYO_CLI_MEMBER_H */
