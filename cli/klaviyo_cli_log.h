/*
 * A line of an access log as fields that have the names of nginx's variables.
 * What is in there, visitors wrote: every byte may be anything.
 *
 * "combined", which Apache writes too; what is behind it is passed over:
 *
 *     $remote_addr - $remote_user [$time_local] "$request" $status
 *     $body_bytes_sent "$http_referer" "$http_user_agent"
 *
 * "json": an object whose members have the names of variables, or those that
 * a map gives them.
 */


#ifndef KLAVIYO_CLI_LOG_H
#define KLAVIYO_CLI_LOG_H


#include <stddef.h>
#include <stdint.h>

#include "json/klaviyo_scan.h"


#define KLAVIYO_CLI_LOG_LINE    65536    /* bytes of a line                  */
#define KLAVIYO_CLI_LOG_FIELDS  128      /* further ones are not kept        */
#define KLAVIYO_CLI_LOG_NAMES   64       /* fields that a map names          */


typedef enum {
    KLAVIYO_CLI_LOG_COMBINED = 0,
    KLAVIYO_CLI_LOG_JSON
} klaviyo_cli_log_e;


typedef enum {
    KLAVIYO_CLI_LOG_OK = 0,
    KLAVIYO_CLI_LOG_MALFORMED,
    KLAVIYO_CLI_LOG_TIME         /* none, or one that cannot be             */
} klaviyo_cli_log_rc_e;


/* a field of JSON by another name, or by a JSON pointer */

typedef struct {
    const char  *field;
    const char  *member;
} klaviyo_cli_log_name_t;


typedef struct {
    const klaviyo_cli_log_name_t  *name;
    unsigned                       n;
} klaviyo_cli_log_names_t;


typedef struct {
    klaviyo_slice_t  name;
    klaviyo_slice_t  value;
} klaviyo_cli_log_field_t;


/*
 * The fields point into the line and into `buf`.  Method, uri and status are
 * there, whatever the format; "-" is an empty value.
 */

typedef struct {
    int64_t                  time;       /* s                               */
    unsigned                 status;
    klaviyo_slice_t          method;
    klaviyo_slice_t          uri;        /* as the client wrote it, from "/" */
    klaviyo_slice_t          host;       /* empty: not known; without port   */
    klaviyo_cli_log_field_t  field[KLAVIYO_CLI_LOG_FIELDS];
    unsigned                 n;
    size_t                   used;
    uint8_t                  buf[2 * KLAVIYO_CLI_LOG_LINE];
} klaviyo_cli_log_t;


/* `now` is s since 1970; a line has KLAVIYO_CLI_LOG_LINE bytes at most */
klaviyo_cli_log_rc_e klaviyo_cli_log_parse(klaviyo_cli_log_t *log,
    klaviyo_cli_log_e format, const klaviyo_cli_log_names_t *names,
    const uint8_t *p, size_t len, int64_t now);

/* 1: the line has it, be it empty; 0: it does not say */
int klaviyo_cli_log_field(const klaviyo_cli_log_t *log, const char *name,
    size_t len, klaviyo_slice_t *value);


#endif /* KLAVIYO_CLI_LOG_H */
