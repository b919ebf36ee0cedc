/*
 * How far long work has come, in one line on a terminal that changes; nothing
 * where standard error is none, or where the terminal shows the result.
 */


#ifndef KLAVIYO_CLI_PROGRESS_H
#define KLAVIYO_CLI_PROGRESS_H


#include <stdint.h>
#include <stdio.h>


/* `out` is where the result goes; `of` 0: how much it is is not known */
void klaviyo_cli_progress(FILE *out, const char *what, uint64_t events,
    uint64_t done, uint64_t of);

/* takes the line away, before others and at the end */
void klaviyo_cli_progress_clear(void);


#endif /* KLAVIYO_CLI_PROGRESS_H */
