/*
 * The rules by which lines of a log become events: what a configuration of
 * nginx says of locations and klaviyo_track, or a map, which is written in
 * the same words.
 *
 * What is not in the log, and what else nginx would do with a request, is not
 * known here; klaviyo_cli_rules_t tells what was passed over.
 */


#ifndef KLAVIYO_CLI_RULES_H
#define KLAVIYO_CLI_RULES_H


#define PCRE2_CODE_UNIT_WIDTH  8
#include <pcre2.h>

#include <openssl/evp.h>

#include "json/klaviyo_amount.h"
#include "klaviyo_cli_log.h"


#define KLAVIYO_CLI_RULES_NEST    32     /* blocks and includes in each other */
#define KLAVIYO_CLI_RULES_DIGEST  16


typedef enum {
    KLAVIYO_CLI_SKIP_HEAD = 0,
    KLAVIYO_CLI_SKIP_PREFETCH,
    KLAVIYO_CLI_SKIP_SUBRESOURCE,
    KLAVIYO_CLI_SKIP_BOT,
    KLAVIYO_CLI_SKIP_KLA_OFF,
    KLAVIYO_CLI_SKIP_GPC,
    KLAVIYO_CLI_SKIP_DNT,
    KLAVIYO_CLI_SKIP_SCANNER,
    KLAVIYO_CLI_SKIP_N
} klaviyo_cli_skip_e;

extern const char *const  klaviyo_cli_skip_names[KLAVIYO_CLI_SKIP_N];


typedef struct {
    char                  *name;
    char                  *value;        /* may hold variables; "": none     */
    klaviyo_value_type_e   type;
} klaviyo_cli_member_t;


typedef struct {
    klaviyo_cli_member_t  *member;
    unsigned               n;
} klaviyo_cli_members_t;


/* texts may hold variables; NULL: not there */

typedef struct {
    char                   *metric;
    char                   *condition;
    char                   *account;
    char                   *amount;
    char                   *currency;
    char                   *unique_id;
    char                   *time;
    char                   *status;      /* "2xx,304"                        */
    int                     zone;        /* s                                */
    uint8_t                 decimal;
    unsigned                minor:1;
    unsigned                view:1;
    unsigned                page:1;      /* needs the page itself            */
    klaviyo_cli_members_t   profile;
    klaviyo_cli_members_t   property;
    uint64_t                events;
    char                   *lacks;       /* a variable that lines lack       */
} klaviyo_cli_rule_t;


typedef enum {
    KLAVIYO_CLI_SCOPE_HTTP = 0,
    KLAVIYO_CLI_SCOPE_SERVER,
    KLAVIYO_CLI_SCOPE_PREFIX,
    KLAVIYO_CLI_SCOPE_FIRST,             /* ^~                               */
    KLAVIYO_CLI_SCOPE_EXACT,
    KLAVIYO_CLI_SCOPE_REGEX,
    KLAVIYO_CLI_SCOPE_NAMED
} klaviyo_cli_scope_e;


typedef struct {
    char        *name;
    pcre2_code  *regex;
} klaviyo_cli_host_t;


typedef struct klaviyo_cli_scope_s  klaviyo_cli_scope_t;

struct klaviyo_cli_scope_s {
    klaviyo_cli_scope_t    *parent;
    klaviyo_cli_scope_t   **child;
    unsigned                children;
    klaviyo_cli_scope_e     kind;
    char                   *name;
    pcre2_code             *regex;
    klaviyo_cli_host_t     *host;        /* of a server                      */
    unsigned                hosts;
    klaviyo_cli_rule_t     *rule;
    unsigned                rules;
    klaviyo_cli_members_t   profile;
    klaviyo_cli_members_t   property;
    char                   *account;
    char                   *consent;     /* NULL: as the outer one           */
    char                   *company;
    int                     identity;    /* bits; -1: as the outer one       */
    int                     skip;
    int                     defaults;
    int                     country;
    unsigned                off:1;       /* klaviyo_track off                */
};

#define KLAVIYO_CLI_IDENTITY_QUERY   1
#define KLAVIYO_CLI_IDENTITY_COOKIE  2


typedef struct {
    char  *variable;
    char  *name;
} klaviyo_cli_cookie_t;


typedef struct {
    klaviyo_cli_scope_t      http;
    klaviyo_cli_log_names_t  names;
    klaviyo_cli_log_name_t   name[KLAVIYO_CLI_LOG_NAMES];
    klaviyo_cli_cookie_t    *cookie;     /* klaviyo_cookie                   */
    unsigned                 cookies;
    FILE                    *print;      /* NULL: the map is not asked for   */
    unsigned                 notes;      /* of what is passed over           */
    unsigned                 tell:1;     /* each of them                     */
    EVP_MD_CTX              *md;
    uint8_t                  digest[KLAVIYO_CLI_RULES_DIGEST];
} klaviyo_cli_rules_t;


/*
 * Reads what `nginx -T` printed, or a map: with `file` NULL the first.  OK or
 * CANNOT, already told.
 */
int klaviyo_cli_rules_read(klaviyo_cli_rules_t *rules, const char *text,
    const char *file);


#endif /* KLAVIYO_CLI_RULES_H */
