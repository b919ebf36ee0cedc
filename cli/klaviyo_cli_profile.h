/*
 * Whose an event of a log is: what klaviyo_profile says, else what the query
 * and the cookies of the line do.
 */


#ifndef KLAVIYO_CLI_PROFILE_H
#define KLAVIYO_CLI_PROFILE_H


#include "capture/klaviyo_identity.h"
#include "klaviyo_cli_member.h"


/* every field that the rule and the scopes around it name */
void klaviyo_cli_event_person(klaviyo_cli_maker_t *maker,
    klaviyo_cli_rule_t *rule, klaviyo_cli_person_t *person);

/* the first source that knows somebody, as KLAVIYO_CLI_IDENTITY_..., or 0 */
void klaviyo_cli_event_identity(klaviyo_cli_maker_t *maker,
    klaviyo_identity_t *identity, int *from);

/* {"type":"profile",...} */
void klaviyo_cli_event_profile(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const klaviyo_cli_person_t *person,
    const klaviyo_identity_t *identity);


#endif /* KLAVIYO_CLI_PROFILE_H */
