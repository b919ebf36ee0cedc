/*
 * klaviyo-queue: how far long work has come; see the header.
 */


#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_cli_progress.h"


#define KLAVIYO_CLI_PROGRESS_STEP   200    /* ms between two lines           */
#define KLAVIYO_CLI_PROGRESS_LOOK   64     /* events between two looks at
                                              the clock                      */


static unsigned  klaviyo_cli_progress_shown;


void
klaviyo_cli_progress(FILE *out, const char *what, uint64_t events,
    uint64_t done, uint64_t of)
{
    int64_t          now;
    struct timespec  ts;

    static int       wanted = -1;
    static int64_t   next;

    if (wanted == -1) {
        wanted = isatty(STDERR_FILENO)
                 && (out == NULL || !isatty(fileno(out)));
    }

    if (!wanted || events % KLAVIYO_CLI_PROGRESS_LOOK != 0) {
        return;
    }

    clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    if (now < next) {
        return;
    }

    next = now + KLAVIYO_CLI_PROGRESS_STEP;

    (void) fprintf(stderr, "\r%" PRIu64 " %s", events, what);

    if (of) {
        (void) fprintf(stderr, ", %u %%",
                       (unsigned) ((done < of) ? done / (of / 100.0) : 100));
    }

    (void) fputs("\033[K", stderr);
    (void) fflush(stderr);

    klaviyo_cli_progress_shown = 1;
}


void
klaviyo_cli_progress_clear(void)
{
    if (klaviyo_cli_progress_shown) {
        (void) fputs("\r\033[K", stderr);
        klaviyo_cli_progress_shown = 0;
    }
}
