/*
 * klaviyo-queue doctor, in two files: what is on this machine
 * (klaviyo_cli_doctor.c), and Klaviyo with the way there
 * (klaviyo_cli_doctor_way.c).
 */


#ifndef KLAVIYO_CLI_DOCTOR_H
#define KLAVIYO_CLI_DOCTOR_H


#include "klaviyo_cli_conf.h"


typedef enum {
    KLAVIYO_CLI_WELL = 0,
    KLAVIYO_CLI_NOTE,            /* to be known, and no fault               */
    KLAVIYO_CLI_FAULT,
    KLAVIYO_CLI_UNKNOWN          /* could not be looked at                  */
} klaviyo_cli_finding_e;


typedef struct {
    const klaviyo_cli_t    *cli;
    klaviyo_cli_conf_t     *conf;
    klaviyo_cli_account_t  *account;     /* that is looked at               */
    unsigned                faults;
    unsigned                unknown;
} klaviyo_cli_doctor_t;


/* a line: a check, and what was found */
void klaviyo_cli_found(klaviyo_cli_doctor_t *doctor,
    klaviyo_cli_finding_e finding, const char *check, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* the account's DNS, proxy, TLS, key, scopes, revision, limits */
int klaviyo_cli_doctor_way(klaviyo_cli_doctor_t *doctor);


#endif /* KLAVIYO_CLI_DOCTOR_H */
