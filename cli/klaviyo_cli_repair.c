/*
 * klaviyo-queue repair: what cannot be used as it is goes aside, and what is
 * readable in it comes out as lines that can be replayed.
 *
 * It is moved before it is read: nginx may start meanwhile with an empty
 * queue.
 */


#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "klaviyo_cli.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_progress.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_inspect.h"
#include "queue/klaviyo_spool_inspect.h"


#define KLAVIYO_CLI_ASIDE  "corrupt-"   /* in the names of what is aside     */


static int klaviyo_cli_repair_ring(const klaviyo_cli_t *cli);
static int klaviyo_cli_repair_salvage(klaviyo_ring_t *ring);
static int klaviyo_cli_repair_spool(const klaviyo_cli_t *cli);
static void klaviyo_cli_repair_found(const klaviyo_event_t *event);
static int klaviyo_cli_repair_close(const klaviyo_cli_t *cli);
static int klaviyo_cli_repair_is_aside(const char *path);


static FILE                  *klaviyo_cli_out;
static uint64_t               klaviyo_cli_found;
static uint64_t               klaviyo_cli_nonsense;
static klaviyo_cli_pieces_t   klaviyo_cli_pieces;


int
klaviyo_cli_repair(const klaviyo_cli_t *cli)
{
    int  rc, closed;

    rc = klaviyo_cli_repair_ring(cli);

    if (rc == KLAVIYO_CLI_OK && cli->spool) {
        rc = klaviyo_cli_repair_spool(cli);
    }

    closed = klaviyo_cli_repair_close(cli);

    free(klaviyo_cli_pieces.attributes);

    return (rc == KLAVIYO_CLI_OK) ? closed : rc;
}


static int
klaviyo_cli_repair_ring(const klaviyo_cli_t *cli)
{
    int                 rc;
    char                to[PATH_MAX];
    char                error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_t     *ring;
    klaviyo_ring_rc_e   opened;

    opened = klaviyo_ring_open(&ring, cli->ring, KLAVIYO_RING_SEIZE, error);

    /* a ring on tmpfs may be gone when its spool is to be repaired */

    if (opened == KLAVIYO_RING_EMPTY && cli->spool) {
        (void) klaviyo_cli_error("%s", error);
        return KLAVIYO_CLI_OK;
    }

    if (opened != KLAVIYO_RING_OK) {
        return klaviyo_cli_error("%s", error);
    }

    rc = KLAVIYO_CLI_OK;

    if (!klaviyo_cli_repair_is_aside(cli->ring)) {

        if (!klaviyo_ring_damaged(ring, error)) {
            (void) klaviyo_cli_error("\"%s\" can be used as it is",
                                     cli->ring);
            klaviyo_ring_detach(ring);
            return rc;
        }

        (void) klaviyo_cli_error("%s", error);

        if (klaviyo_ring_move_aside(ring, to, error) == KLAVIYO_RING_OK) {
            (void) klaviyo_cli_error("\"%s\" was moved to \"%s\" beside it",
                                     cli->ring, to);

        } else {
            rc = klaviyo_cli_error("%s", error);
        }
    }

    klaviyo_cli_out = cli->out;

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_repair_salvage(ring);
    }

    klaviyo_ring_detach(ring);

    return rc;
}


static int
klaviyo_cli_repair_salvage(klaviyo_ring_t *ring)
{
    uint8_t           *buf;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    buf = malloc(klaviyo_ring_salvage_max(ring));

    if (buf == NULL) {
        return klaviyo_cli_error("no memory");
    }

    memset(&cursor, 0, sizeof(klaviyo_cursor_t));

    while (klaviyo_ring_salvage(ring, &cursor, buf, &record)
           == KLAVIYO_RING_OK)
    {
        klaviyo_cli_repair_found(&record.event);
    }

    free(buf);

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_repair_spool(const klaviyo_cli_t *cli)
{
    char                 to[128];
    char                 error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_spool_rc_e   salvaged;

    klaviyo_cli_out = cli->out;

    salvaged = klaviyo_spool_salvage(cli->spool,
                                     !klaviyo_cli_repair_is_aside(cli->spool),
                                     klaviyo_cli_repair_found, to, error);

    if (to[0]) {
        (void) klaviyo_cli_error("what was in \"%s\" was moved to \"%s\" in "
                                 "there", cli->spool, to);
    }

    if (salvaged == KLAVIYO_SPOOL_OK) {
        return KLAVIYO_CLI_OK;
    }

    (void) klaviyo_cli_error("%s", error);

    return (salvaged == KLAVIYO_SPOOL_NONE) ? KLAVIYO_CLI_OK
                                            : KLAVIYO_CLI_CANNOT;
}


/* Damage may have spared a checksum: only what could be replayed is told. */

static void
klaviyo_cli_repair_found(const klaviyo_event_t *event)
{
    char             *line;
    size_t            len;
    FILE             *memory;
    klaviyo_event_t   again;

    line = NULL;
    memory = open_memstream(&line, &len);

    if (memory == NULL) {
        klaviyo_cli_nonsense++;
        return;
    }

    klaviyo_cli_line_write(memory, event);

    if (fclose(memory) == 0
        && klaviyo_cli_line_parse(&klaviyo_cli_pieces, (uint8_t *) line, len,
                                  0, &again)
           == NULL)
    {
        klaviyo_cli_write(klaviyo_cli_out, line, len);
        klaviyo_cli_found++;
        klaviyo_cli_progress(klaviyo_cli_out, "events found",
                             klaviyo_cli_found, 0, 0);

    } else {
        klaviyo_cli_nonsense++;
    }

    free(line);
}


static int
klaviyo_cli_repair_close(const klaviyo_cli_t *cli)
{
    int  failed;

    if (klaviyo_cli_out == NULL) {
        return KLAVIYO_CLI_OK;
    }

    (void) klaviyo_cli_error("%" PRIu64 " events are readable, %" PRIu64
                             " are not", klaviyo_cli_found,
                             klaviyo_cli_nonsense);

    if (klaviyo_cli_out == stdout) {
        return klaviyo_cli_flush();
    }

    failed = fflush(klaviyo_cli_out) != 0
             || ferror(klaviyo_cli_out)
             || fsync(fileno(klaviyo_cli_out)) != 0;

    if (failed) {
        (void) klaviyo_cli_error("writing \"%s\" failed (%d: %s)",
                                 cli->output, errno, strerror(errno));
    }

    (void) fclose(klaviyo_cli_out);

    return failed ? KLAVIYO_CLI_CANNOT : KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_repair_is_aside(const char *path)
{
    return strstr(path, KLAVIYO_CLI_ASIDE) != NULL;
}
