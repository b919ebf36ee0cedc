/*
 * klaviyo-queue: the queue of an account from the command line, over the same
 * plain-C files as the module.
 *
 * A command gets its arguments and returns the exit status.  Everything that
 * is not its result goes to standard error.
 */


#ifndef KLAVIYO_CLI_H
#define KLAVIYO_CLI_H


#include <stdio.h>

#include "queue/klaviyo_paths.h"
#include "queue/klaviyo_ring_open.h"


#define KLAVIYO_CLI_OK      0
#define KLAVIYO_CLI_FAULTS  1    /* done, but not all of it is good         */
#define KLAVIYO_CLI_CANNOT  2


typedef struct {
    const char      *name;       /* of the account; NULL: paths are given   */
    const char      *ring;
    const char      *file;       /* NULL or "-": standard input             */
    const char      *spool;      /* NULL: not given                         */
    const char      *dead_letter;  /* NULL: not known                       */
    const char      *output;     /* NULL: standard output                   */
    const char      *nginx;      /* the program; NULL: the usual one        */
    const char      *conf;       /* its configuration; the same             */
    const char      *prefix;     /* -p of it; the same                      */
    const char      *email;      /* of send                                 */
    const char      *timeout;    /* s; NULL: a minute                       */
    const char      *format;     /* of import, as the next ones             */
    const char      *map;
    const char      *host;
    const char      *share;
    const char      *since;
    const char      *until;
    const char      *user;       /* of fleet: Redis's, and the next         */
    const char      *password_file;
    const char      *trusted;    /* certificates, a file                    */
    const char     **file_names; /* of import: logs; of fleet: where it is  */
    unsigned         files;
    FILE            *in;         /* of file                                 */
    FILE            *out;        /* of output                               */
    klaviyo_paths_t  paths;      /* of the account                          */
    unsigned         json:1;
    unsigned         backfill:1;
    unsigned         all:1;
    unsigned         full:1;
    unsigned         subscriptions:1;
    unsigned         dry_run:1;
    unsigned         print_map:1;
    unsigned         again:1;
    unsigned         keep_text:1;    /* of the configuration                */
} klaviyo_cli_t;


int klaviyo_cli_stat(const klaviyo_cli_t *cli);
int klaviyo_cli_check(const klaviyo_cli_t *cli);
int klaviyo_cli_export(const klaviyo_cli_t *cli);
int klaviyo_cli_replay(const klaviyo_cli_t *cli);
int klaviyo_cli_repair(const klaviyo_cli_t *cli);
int klaviyo_cli_tail(const klaviyo_cli_t *cli);

/* these read the configuration first, and care for their rights */
int klaviyo_cli_doctor(klaviyo_cli_t *cli);
int klaviyo_cli_send(klaviyo_cli_t *cli);
int klaviyo_cli_import(klaviyo_cli_t *cli);

/* no queue of this machine: with the rights of who calls it */
int klaviyo_cli_fleet(klaviyo_cli_t *cli);


/* a line on standard error behind the program's name; KLAVIYO_CLI_CANNOT */
int klaviyo_cli_error(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/*
 * Writes what may hold bytes of anybody's: to a terminal, control characters
 * but the newline as \u00XX, as a terminal obeys them.
 */
void klaviyo_cli_write(FILE *out, const void *data, size_t len);

/* printf() of such bytes */
void klaviyo_cli_print(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* ms of CLOCK_REALTIME */
int64_t klaviyo_cli_now(void);

/* whether all that was written has left; KLAVIYO_CLI_CANNOT with the error */
int klaviyo_cli_flush(void);


#endif /* KLAVIYO_CLI_H */
