/*
 * What a line of a log knows of variables, and texts that hold them.
 */


#ifndef KLAVIYO_CLI_VARIABLE_H
#define KLAVIYO_CLI_VARIABLE_H


#include "capture/klaviyo_bots.h"
#include "klaviyo_cli_place.h"
#include "queue/klaviyo_ring.h"


#define KLAVIYO_CLI_EVENT_TEXT  (512 * 1024)
#define KLAVIYO_CLI_EVENT_JSON  (1024 * 1024)


/* of what, and where, an event is made */

typedef struct {
    const klaviyo_cli_rules_t  *rules;
    const char                 *account;
    const char                 *first;   /* the account of rules that name  */
                                         /* none                            */
    const char                 *company;
    klaviyo_bots_t             *bots;
    const klaviyo_cli_log_t    *log;
    const klaviyo_cli_place_t  *place;
    uint64_t                    left_out;
    const char                 *lacking; /* of the last template            */
    size_t                      lacking_len;
    size_t                      used;
    unsigned                    first_of_line:1;
    unsigned                    full:1;  /* there is no more room for text  */
    uint8_t                     id[KLAVIYO_UNIQUE_ID_MAX];
    uint8_t                     text[KLAVIYO_CLI_EVENT_TEXT];
    uint8_t                     json[KLAVIYO_CLI_EVENT_JSON];
} klaviyo_cli_maker_t;


#define klaviyo_cli_get(maker, name, value)                                  \
    klaviyo_cli_variable(maker, name, sizeof(name) - 1, value)

#define klaviyo_cli_inherited(scope, found, member, unset)                   \
    for (found = scope; found->member == unset && found->parent;             \
         found = found->parent) { /* void */ }


/* 1: the value, be it empty; 0: a variable is not in the line */
int klaviyo_cli_expand(klaviyo_cli_maker_t *maker, const char *template,
    klaviyo_slice_t *value);
int klaviyo_cli_variable(klaviyo_cli_maker_t *maker, const char *name,
    size_t len, klaviyo_slice_t *value);

/* an argument as the client wrote it, in any case of its name: 1, or 0 */
int klaviyo_cli_argument(klaviyo_cli_maker_t *maker, const char *name,
    size_t len, klaviyo_slice_t *value);

/* 1: the value, be it empty; 0: the line does not say */
int klaviyo_cli_cookie(klaviyo_cli_maker_t *maker, const char *name,
    size_t len, klaviyo_slice_t *value);

/* room for text until the next event; NULL: there is no more */
uint8_t *klaviyo_cli_text(klaviyo_cli_maker_t *maker, size_t len);


#endif /* KLAVIYO_CLI_VARIABLE_H */
