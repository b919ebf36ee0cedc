/*
 * The configuration that nginx uses, as far as it is of accounts: what
 * `nginx -T` prints, read by nginx's own rules.  It is root's, as nginx's
 * files are; what the workers' user writes is not asked.
 */


#ifndef KLAVIYO_CLI_CONF_H
#define KLAVIYO_CLI_CONF_H


#include "klaviyo_cli.h"


#define KLAVIYO_CLI_KEY_MAX   512
#define KLAVIYO_CLI_ACCOUNTS  256


/* NULL: not there; paths are absolute */

typedef struct {
    char      *name;
    char      *file;             /* where the block stands                  */
    unsigned   line;
    char      *key_file;
    char      *key;              /* of api_key, or what is in the file      */
    char      *company;
    char      *endpoint;
    char      *revision;
    char      *proxy;
    char      *certificate;
    char      *ring;
    char      *spool;
    char      *dead_letter;
    long       connect_timeout;  /* ms                                      */
    long       total_timeout;
    unsigned   strict:1;
    unsigned   unverified:1;     /* ssl_verify off                          */
    unsigned   dry_run:1;
    unsigned   no_spool:1;
    unsigned   no_dead_letter:1;
} klaviyo_cli_account_t;


typedef struct {
    char                  *words;    /* what nginx said beside it           */
    char                  *text;     /* if cli->keep_text: keys are in it   */
    char                  *main;     /* the file that includes the others   */
    char                  *prefix;   /* of relative paths                   */
    char                  *user;     /* of the workers; NULL: not named     */
    char                  *group;
    klaviyo_cli_account_t  account[KLAVIYO_CLI_ACCOUNTS];
    unsigned               n;
} klaviyo_cli_conf_t;


/*
 * cli->nginx and cli->conf name the program and the file, NULL: the usual
 * ones.  OK; FAULTS: nginx refuses it, conf->words say why; CANNOT, already
 * told.
 */
int klaviyo_cli_conf_read(const klaviyo_cli_t *cli, klaviyo_cli_conf_t *conf);

klaviyo_cli_account_t *klaviyo_cli_conf_find(klaviyo_cli_conf_t *conf,
    const char *name);

/*
 * Reads the account's key into account->key.  NULL, or what is wrong, without
 * a byte of the key, in `text`, which holds KLAVIYO_RING_ERROR_MAX bytes.
 */
const char *klaviyo_cli_conf_key(const klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t *account, char *text);


#endif /* KLAVIYO_CLI_CONF_H */
