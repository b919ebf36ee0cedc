/*
 * Where a line belongs: the server of its host and the location that its URI
 * chooses, as nginx would choose them.
 */


#ifndef KLAVIYO_CLI_PLACE_H
#define KLAVIYO_CLI_PLACE_H


#include "klaviyo_cli_rules.h"


#define KLAVIYO_CLI_RULES_REGEX   8      /* expressions that a line matches   */


/* what an expression found */

typedef struct {
    const pcre2_code  *regex;
    pcre2_match_data  *data;
    const uint8_t     *subject;
    int                n;
} klaviyo_cli_match_t;


/* where a line belongs */

typedef struct {
    klaviyo_cli_scope_t  *server;
    klaviyo_cli_scope_t  *scope;
    klaviyo_cli_match_t   match[KLAVIYO_CLI_RULES_REGEX];
    unsigned              n;
    klaviyo_slice_t       path;          /* decoded, as in $uri              */
    klaviyo_slice_t       args;          /* as the client wrote them         */
    uint8_t               buf[KLAVIYO_CLI_LOG_LINE];
} klaviyo_cli_place_t;


/*
 * Finds the server and the location.  1; 0: no server; -1: the path is none.
 * `host` is empty where neither the line nor the operator names one.
 */
int klaviyo_cli_rules_find(klaviyo_cli_rules_t *rules,
    klaviyo_cli_place_t *place, const klaviyo_slice_t *uri,
    const klaviyo_slice_t *host);

/* the servers that have rules */
unsigned klaviyo_cli_rules_servers(const klaviyo_cli_rules_t *rules);

/* whose rules hold in a scope: it or one around it; NULL: none */
klaviyo_cli_scope_t *klaviyo_cli_rules_of(klaviyo_cli_scope_t *scope);


#endif /* KLAVIYO_CLI_PLACE_H */
