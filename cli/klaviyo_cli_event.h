/*
 * A line of a log and a rule become an event, as capture would have made it
 * of the request: as far as the line has what the rule needs.
 *
 * A property or a field of the profile that the line does not have is left
 * out.  What the event is not itself without (its condition, metric, value,
 * unique_id, time) must be there.
 */


#ifndef KLAVIYO_CLI_EVENT_H
#define KLAVIYO_CLI_EVENT_H


#include "klaviyo_cli_variable.h"


/* why there is no event; those of klaviyo_skip first */

typedef enum {
    KLAVIYO_CLI_NO_SKIP = 0,
    KLAVIYO_CLI_NO_MALFORMED = KLAVIYO_CLI_SKIP_N,
    KLAVIYO_CLI_NO_TIME,
    KLAVIYO_CLI_NO_RANGE,
    KLAVIYO_CLI_NO_WHOLE,
    KLAVIYO_CLI_NO_CAPTURED,
    KLAVIYO_CLI_NO_SERVER,
    KLAVIYO_CLI_NO_RULE,
    KLAVIYO_CLI_NO_ACCOUNT,
    KLAVIYO_CLI_NO_CONSENT,
    KLAVIYO_CLI_NO_STATUS,
    KLAVIYO_CLI_NO_CONDITION,
    KLAVIYO_CLI_NO_PAGE,
    KLAVIYO_CLI_NO_LACKS,
    KLAVIYO_CLI_NO_ANONYMOUS,
    KLAVIYO_CLI_NO_METRIC,
    KLAVIYO_CLI_NO_LARGE,
    KLAVIYO_CLI_NO_N,
    KLAVIYO_CLI_NO
} klaviyo_cli_no_e;

/* one that is none of klaviyo_skip; what to print */
extern const char *const  klaviyo_cli_no_names[KLAVIYO_CLI_NO_N];


/* OK or CANNOT, already told */
int klaviyo_cli_maker_init(klaviyo_cli_maker_t *maker);

/*
 * KLAVIYO_CLI_NO: the event, which points into the maker; else why there is
 * none.  `nth` counts the events of this line and metric, from 0.
 */
klaviyo_cli_no_e klaviyo_cli_event(klaviyo_cli_maker_t *maker,
    klaviyo_cli_rule_t *rule, const klaviyo_slice_t *line, unsigned nth,
    klaviyo_event_t *event);


#endif /* KLAVIYO_CLI_EVENT_H */
