/*
 * klaviyo-queue replay: lines of JSON back into the ring.
 *
 * An event keeps its unique_id and its time, so that Klaviyo discards what it
 * has and shows the rest where it belongs; its age begins anew, else it would
 * be given up at once.
 */


#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "klaviyo_cli.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_progress.h"
#include "queue/klaviyo_lane.h"
#include "queue/klaviyo_ring_file.h"


#define KLAVIYO_CLI_WAIT       30000   /* ms that a full ring is waited for */
#define KLAVIYO_CLI_WAIT_STEP  20      /* ms                                */
#define KLAVIYO_CLI_TOLD       20      /* bad lines that are told one by one */


typedef struct {
    FILE            *in;
    const char      *name;
    uint8_t         *line;
    size_t           len;
    size_t           size;
    uint64_t         number;     /* of the line, from 1                     */
    uint64_t         put;
    uint64_t         bad;
    uint64_t         bytes;      /* that were read                          */
    uint64_t         of;         /* 0: no file, it is not known             */
} klaviyo_cli_input_t;


static int klaviyo_cli_replay_all(const klaviyo_cli_t *cli,
    klaviyo_ring_t *ring, klaviyo_cli_input_t *input);
static const char *klaviyo_cli_replay_lane(const klaviyo_cli_t *cli,
    const klaviyo_event_t *event);
static int klaviyo_cli_replay_put(klaviyo_ring_t *ring,
    klaviyo_cli_input_t *input, klaviyo_event_t *event);
static int klaviyo_cli_replay_line(klaviyo_cli_input_t *input);
static void klaviyo_cli_replay_bad(klaviyo_cli_input_t *input,
    const char *what);


int
klaviyo_cli_replay(const klaviyo_cli_t *cli)
{
    int                  rc;
    char                 error[KLAVIYO_RING_ERROR_MAX];
    struct stat          st;
    klaviyo_ring_t      *ring;
    klaviyo_cli_input_t  input;

    memset(&input, 0, sizeof(klaviyo_cli_input_t));

    input.in = cli->in;
    input.name = (cli->in == stdin) ? "standard input" : cli->file;

    if (fstat(fileno(cli->in), &st) == 0 && S_ISREG(st.st_mode)) {
        input.of = (uint64_t) st.st_size;
    }

    if (klaviyo_ring_open(&ring, cli->ring, KLAVIYO_RING_JOIN, error)
        == KLAVIYO_RING_OK)
    {
        if (error[0]) {
            (void) klaviyo_cli_error("%s", error);
        }

        rc = klaviyo_cli_replay_all(cli, ring, &input);

        klaviyo_ring_detach(ring);

    } else {
        rc = klaviyo_cli_error("%s", error);
    }

    free(input.line);

    return rc;
}


static int
klaviyo_cli_replay_all(const klaviyo_cli_t *cli, klaviyo_ring_t *ring,
    klaviyo_cli_input_t *input)
{
    int                    rc, got;
    const char            *what;
    klaviyo_event_t        event;
    klaviyo_cli_pieces_t   pieces;

    memset(&pieces, 0, sizeof(klaviyo_cli_pieces_t));

    rc = KLAVIYO_CLI_OK;

    for ( ;; ) {
        got = klaviyo_cli_replay_line(input);

        if (got == 0) {
            break;
        }

        if (got < 0) {
            rc = klaviyo_cli_error("%s, line %" PRIu64 ": %s", input->name,
                                   input->number, strerror(errno));
            break;
        }

        if (input->len > KLAVIYO_CLI_LINE_MAX) {
            klaviyo_cli_replay_bad(input, "the line is too long");
            continue;
        }

        if (input->len == strspn((char *) input->line, " \t\r")) {
            continue;
        }

        what = klaviyo_cli_line_parse(&pieces, input->line, input->len,
                                      cli->backfill, &event);

        if (what == NULL) {
            what = klaviyo_cli_replay_lane(cli, &event);
        }

        if (what) {
            klaviyo_cli_replay_bad(input, what);
            continue;
        }

        rc = klaviyo_cli_replay_put(ring, input, &event);

        if (rc != KLAVIYO_CLI_OK) {
            break;
        }
    }

    free(pieces.attributes);

    if (input->bad > KLAVIYO_CLI_TOLD) {
        (void) klaviyo_cli_error("%s: %" PRIu64 " more lines were skipped",
                                 input->name, input->bad - KLAVIYO_CLI_TOLD);
    }

    klaviyo_cli_progress_clear();

    (void) printf("%" PRIu64 " events put, %" PRIu64 " lines skipped\n",
                  input->put, input->bad);

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_flush();
    }

    return (rc == KLAVIYO_CLI_OK && input->bad) ? KLAVIYO_CLI_FAULTS : rc;
}


/*
 * NULL, or why it does not go into this ring.  Who subscribed may have left
 * since: that is replayed only by who says so.
 */

static const char *
klaviyo_cli_replay_lane(const klaviyo_cli_t *cli, const klaviyo_event_t *event)
{
    const klaviyo_lane_t  *lane;

    lane = klaviyo_lane_of(event);

    if (lane != klaviyo_lane_at(cli->ring)) {
        return "it goes into another queue: that of events, or the one beside "
               "it whose name ends in \".profiles\" or \".subscriptions\"";
    }

    if (lane->guarded && !cli->subscriptions) {
        return "who subscribed may have unsubscribed since, and would be "
               "subscribed again: --subscriptions replays it all the same";
    }

    return NULL;
}


/* A full ring empties while somebody delivers: waited for, within reason. */

static int
klaviyo_cli_replay_put(klaviyo_ring_t *ring, klaviyo_cli_input_t *input,
    klaviyo_event_t *event)
{
    int                waited;
    char               error[KLAVIYO_RING_ERROR_MAX];
    const char        *what;
    struct timespec    step;
    klaviyo_ring_rc_e  rc;

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_CLI_WAIT_STEP * 1000000L;

    for (waited = 0; /* void */ ; waited += KLAVIYO_CLI_WAIT_STEP) {

        if (klaviyo_ring_verify(ring, error) != KLAVIYO_RING_OK) {
            what = "the ring was taken away";
            break;
        }

        event->time = klaviyo_cli_now();

        rc = klaviyo_ring_put(ring, event);

        if (rc == KLAVIYO_RING_OK) {
            input->put++;
            klaviyo_cli_progress(NULL, "events put", input->put, input->bytes,
                                 input->of);
            return KLAVIYO_CLI_OK;
        }

        if (rc == KLAVIYO_RING_TOO_LARGE) {
            klaviyo_cli_replay_bad(input, "the event is too large for this "
                                   "ring");
            return KLAVIYO_CLI_OK;
        }

        if (rc != KLAVIYO_RING_FULL && rc != KLAVIYO_RING_BUSY) {
            what = "the ring cannot be written to";
            break;
        }

        if (rc == KLAVIYO_RING_FULL && !klaviyo_ring_in_use(ring)) {
            what = "the ring is full, and no nginx delivers from it";
            break;
        }

        if (waited >= KLAVIYO_CLI_WAIT) {
            what = "the ring stays full";
            break;
        }

        (void) nanosleep(&step, NULL);
    }

    return klaviyo_cli_error("%s, line %" PRIu64 ": %s; go on from this line "
                             "later", input->name, input->number, what);
}


/*
 * The next line without its end: 1; 0: there is none; -1: errno.  Of one that
 * is too long the rest is passed over.
 */

static int
klaviyo_cli_replay_line(klaviyo_cli_input_t *input)
{
    int       c;
    size_t    size;
    uint8_t  *p;

    input->bytes += input->len + (input->number != 0);
    input->len = 0;
    input->number++;

    for ( ;; ) {
        c = getc_unlocked(input->in);

        if (c == EOF && ferror(input->in)) {
            return -1;
        }

        if (c == EOF && input->len == 0) {
            return 0;
        }

        if (input->len == input->size) {
            size = input->size ? 2 * input->size : 4096;
            p = realloc(input->line, size);

            if (p == NULL) {
                return -1;
            }

            input->line = p;
            input->size = size;
        }

        if (c == EOF || c == '\n') {
            input->line[input->len] = '\0';
            return 1;
        }

        if (input->len <= KLAVIYO_CLI_LINE_MAX) {
            input->line[input->len++] = (uint8_t) c;
        }
    }
}


static void
klaviyo_cli_replay_bad(klaviyo_cli_input_t *input, const char *what)
{
    if (input->bad++ < KLAVIYO_CLI_TOLD) {
        (void) klaviyo_cli_error("%s, line %" PRIu64 ": %s, skipped",
                                 input->name, input->number, what);
    }
}
