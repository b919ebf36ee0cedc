/*
 * The lines of a log, which may be compressed by gzip, and how far earlier
 * runs came in it.
 *
 * The marks of an account are a file of text in its spool, or beside its ring
 * without one, written in place of what was there:
 *
 *     klaviyo-import 1
 *     <log> <bytes> <lines> <text>
 *
 *     log     a log by its first line and the rules that were applied, so that
 *             it is known by another name and compressed, too: 32 hex digits
 *     bytes   of its text that are done with, whole lines
 *     text    the digest of these bytes, 32 hex digits
 *
 * A mark is behind the queue, never ahead of it: what is read twice has the
 * same unique_id as before.
 */


#ifndef KLAVIYO_CLI_INPUT_H
#define KLAVIYO_CLI_INPUT_H


#include <limits.h>
#include <stdint.h>
#include <zlib.h>

#include <openssl/evp.h>

#include "klaviyo_cli_log.h"


#define KLAVIYO_CLI_INPUT_DIGEST  16
#define KLAVIYO_CLI_MARKS         4096       /* logs that are remembered     */


typedef struct {
    uint8_t   log[KLAVIYO_CLI_INPUT_DIGEST];
    uint8_t   text[KLAVIYO_CLI_INPUT_DIGEST];
    uint64_t  bytes;
    uint64_t  lines;
} klaviyo_cli_mark_t;


typedef struct {
    char                 path[PATH_MAX];
    klaviyo_cli_mark_t  *mark;               /* KLAVIYO_CLI_MARKS           */
    unsigned             n;
} klaviyo_cli_marks_t;


typedef struct {
    gzFile       gz;
    const char  *name;
    EVP_MD_CTX  *md;                         /* of the text so far          */
    EVP_MD_CTX  *md_before;                  /* without the last line       */
    uint64_t     bytes;
    uint64_t     before;
    uint64_t     number;                     /* of the line, from 1         */
    uint64_t     size;                       /* of the file; 0: not known   */
    size_t       len;                        /* of the line                 */
    uint8_t     *pos;                        /* what is read, and not yet   */
    uint8_t     *last;                       /* a line                      */
    unsigned     cut:1;                      /* it is longer                */
    unsigned     whole:1;                    /* it has its end              */
    uint8_t      line[KLAVIYO_CLI_LOG_LINE];
    uint8_t      buf[2 * KLAVIYO_CLI_LOG_LINE];
} klaviyo_cli_input_t;


/* OK or CANNOT, already told.  The descriptor becomes the input's. */
int klaviyo_cli_input_open(klaviyo_cli_input_t *input, int fd,
    const char *name);
void klaviyo_cli_input_close(klaviyo_cli_input_t *input);

/* 1: the next line without its end; 0: there is none; -1: already told */
int klaviyo_cli_input_next(klaviyo_cli_input_t *input);

/* from the beginning; 0, or -1: it cannot, as a pipe */
int klaviyo_cli_input_rewind(klaviyo_cli_input_t *input);

/* the digest of what was read, with the last line or without it; 0 or -1 */
int klaviyo_cli_input_digest(const klaviyo_cli_input_t *input, uint64_t bytes,
    uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST]);

/* how much of the file was read, of `size` */
uint64_t klaviyo_cli_input_offset(const klaviyo_cli_input_t *input);


/* marks are read from the path; OK or CANNOT, already told */
int klaviyo_cli_marks_read(klaviyo_cli_marks_t *marks);

/*
 * Logs that begin in the same way have several marks: the next of this log
 * behind `from`, which begins at -1; or -1.
 */
int klaviyo_cli_marks_find(const klaviyo_cli_marks_t *marks,
    const uint8_t log[KLAVIYO_CLI_INPUT_DIGEST], int from);

/*
 * In the place of the mark `*slot`, or, with -1, as a new one, whose place is
 * then in it, perhaps in that of the oldest; then all are written.
 */
int klaviyo_cli_marks_put(klaviyo_cli_marks_t *marks,
    const klaviyo_cli_mark_t *mark, int *slot);


#endif /* KLAVIYO_CLI_INPUT_H */
