/*
 * With whose rights klaviyo-queue run by root does what.  The files that the
 * operator names are opened first, with the rights of whom their path belongs
 * to; the queue by whom the queue belongs to, who is all that is left then.
 */


#ifndef KLAVIYO_CLI_RIGHTS_H
#define KLAVIYO_CLI_RIGHTS_H


#include "klaviyo_cli.h"


/*
 * Opens cli->in and cli->out, finds out where the account's files are if it
 * is given by its name, runs the command, closes them; its status.
 */
int klaviyo_cli_rights_run(klaviyo_cli_t *cli,
    int (*run)(const klaviyo_cli_t *cli));

/* a file that the operator names, to read; -1, already told */
int klaviyo_cli_rights_input(const char *path);

/*
 * For good: what was given by name is found, or, with a user, this user is
 * become first.  OK or CANNOT, already told.
 */
int klaviyo_cli_rights_drop(klaviyo_cli_t *cli);
int klaviyo_cli_rights_user(const char *user, const char *group,
    const char *path);


#endif /* KLAVIYO_CLI_RIGHTS_H */
