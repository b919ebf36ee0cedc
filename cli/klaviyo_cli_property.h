/*
 * The properties of an event of a log: those that are named, and those of
 * klaviyo_defaults.
 */


#ifndef KLAVIYO_CLI_PROPERTY_H
#define KLAVIYO_CLI_PROPERTY_H


#include "klaviyo_cli_member.h"


/* "properties":{...} */
void klaviyo_cli_event_properties(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const klaviyo_cli_rule_t *rule);


#endif /* KLAVIYO_CLI_PROPERTY_H */
