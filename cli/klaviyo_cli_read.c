/*
 * klaviyo-queue check and export: everything that is queued is read as the
 * deliverer reads it, out of both tiers, and stays where it is.
 *
 * Beside a running nginx events leave while they are read: what is missing is
 * missing only if it has no outcome when it is looked at again.
 */


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "klaviyo_cli.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_progress.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_inspect.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_inspect.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_read.h"


typedef struct {
    const klaviyo_cli_t  *cli;
    const char           *spool;       /* NULL: none that can be read       */
    klaviyo_ring_t       *ring;
    klaviyo_stream_t      stream;
    klaviyo_chunk_t       chunk;
    klaviyo_cursor_t      cursor;
    uint8_t              *buf;
    size_t                size;
    uint64_t              events;
    uint64_t              missing;
    uint64_t              of;          /* events that are queued            */
    unsigned              faults;
    unsigned              write:1;     /* export                            */
    unsigned              other:1;     /* of another ring's numbering       */
    unsigned              copies:1;    /* of what the ring has              */
} klaviyo_cli_reader_t;


static int klaviyo_cli_read_open(const klaviyo_cli_t *cli,
    klaviyo_cli_reader_t *reader, char *error);
static int klaviyo_cli_read(const klaviyo_cli_t *cli,
    klaviyo_cli_reader_t *reader);
static int klaviyo_cli_read_stream(klaviyo_cli_reader_t *reader);
static int klaviyo_cli_read_spool(klaviyo_cli_reader_t *reader,
    uint64_t *seq);
static int klaviyo_cli_read_other(klaviyo_cli_reader_t *reader);
static int klaviyo_cli_read_synced(klaviyo_cli_reader_t *reader);
static int klaviyo_cli_read_segments(klaviyo_cli_reader_t *reader,
    klaviyo_spool_t *spool, uint64_t seq, uint64_t to);
static int klaviyo_cli_read_grow(klaviyo_cli_reader_t *reader, size_t size);
static void klaviyo_cli_read_event(klaviyo_cli_reader_t *reader,
    const klaviyo_event_t *event);
static void klaviyo_cli_read_missing(klaviyo_cli_reader_t *reader,
    const char *where, uint64_t from, uint64_t n);
static void klaviyo_cli_read_fault(const char *text);


int
klaviyo_cli_check(const klaviyo_cli_t *cli)
{
    int                   rc;
    char                  error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_cli_reader_t  reader;

    memset(&reader, 0, sizeof(klaviyo_cli_reader_t));

    rc = klaviyo_cli_read_open(cli, &reader, error);

    if (rc != KLAVIYO_CLI_OK) {
        (void) klaviyo_cli_error("%s", error);
        return rc;
    }

    if (reader.ring) {
        reader.faults = klaviyo_ring_faults(reader.ring,
                                            klaviyo_cli_read_fault);
    }

    rc = klaviyo_cli_read(cli, &reader);

    if (rc == KLAVIYO_CLI_CANNOT) {
        return rc;
    }

    klaviyo_cli_progress_clear();

    (void) printf("%" PRIu64 " events are whole, %" PRIu64 " are missing\n",
                  reader.events, reader.missing);

    return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : rc;
}


int
klaviyo_cli_export(const klaviyo_cli_t *cli)
{
    int                   rc;
    char                  error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_cli_reader_t  reader;

    memset(&reader, 0, sizeof(klaviyo_cli_reader_t));

    reader.write = 1;

    if (klaviyo_cli_read_open(cli, &reader, error) != KLAVIYO_CLI_OK) {
        return klaviyo_cli_error("%s", error);
    }

    rc = klaviyo_cli_read(cli, &reader);

    return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : rc;
}


/*
 * Without a ring, which a reboot may have taken, the spool is all that there
 * is.  FAULTS: the ring is damaged.
 */

static int
klaviyo_cli_read_open(const klaviyo_cli_t *cli, klaviyo_cli_reader_t *reader,
    char *error)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_open(&reader->ring, cli->ring, KLAVIYO_RING_LOOK,
                           error);

    if (rc == KLAVIYO_RING_EMPTY && cli->spool) {
        (void) klaviyo_cli_error("%s", error);
        return KLAVIYO_CLI_OK;
    }

    if (rc != KLAVIYO_RING_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (klaviyo_ring_damaged(reader->ring, error)) {
        klaviyo_ring_detach(reader->ring);
        return KLAVIYO_CLI_FAULTS;
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_read(const klaviyo_cli_t *cli, klaviyo_cli_reader_t *reader)
{
    int  rc;

    reader->cli = cli;
    reader->spool = cli->spool;
    reader->stream.ring = reader->ring;
    reader->stream.chunk = &reader->chunk;

    rc = KLAVIYO_CLI_OK;

    if (reader->spool) {
        rc = klaviyo_cli_read_other(reader);
    }

    if (rc == KLAVIYO_CLI_OK && reader->ring) {
        rc = klaviyo_cli_read_stream(reader);
    }

    if (rc == KLAVIYO_CLI_OK
        && reader->ring && reader->spool && !reader->write)
    {
        rc = klaviyo_cli_read_synced(reader);
    }

    klaviyo_chunk_free(&reader->chunk);
    free(reader->buf);

    if (reader->ring) {
        klaviyo_ring_detach(reader->ring);
    }

    if (rc == KLAVIYO_CLI_OK && (reader->faults || reader->missing)) {
        rc = KLAVIYO_CLI_FAULTS;
    }

    return rc;
}


/* From the first event without an outcome to the end of this moment. */

static int
klaviyo_cli_read_stream(klaviyo_cli_reader_t *reader)
{
    uint64_t             seq, end;
    const char          *where;
    klaviyo_record_t     record;
    klaviyo_ring_span_t  span;

    if (klaviyo_cli_read_grow(reader, klaviyo_ring_record_max(reader->ring))
        != KLAVIYO_CLI_OK)
    {
        return KLAVIYO_CLI_CANNOT;
    }

    if (klaviyo_ring_span(reader->ring, &span) != KLAVIYO_RING_OK) {
        return klaviyo_cli_error("the ring was taken away");
    }

    end = span.end.seq;
    seq = span.done;
    reader->of = end - seq;

    reader->cursor.position = span.first.position;
    reader->cursor.seq = span.done;

    while (seq < end) {
        where = (seq < span.first.seq) ? "spool" : "ring";

        switch (klaviyo_stream_read(&reader->stream, &reader->cursor,
                                    reader->buf, reader->size, &record))
        {

        case KLAVIYO_RING_OK:
            klaviyo_cli_read_missing(reader, where, record.seq
                                     - record.missing, record.missing);
            klaviyo_cli_read_event(reader, &record.event);
            reader->cursor = record.next;
            break;

        case KLAVIYO_RING_GAP:
            klaviyo_cli_read_missing(reader, where, record.seq
                                     - record.missing, record.missing);
            reader->cursor = record.next;
            break;

        case KLAVIYO_RING_SMALL:

            if (klaviyo_cli_read_grow(reader, record.needed)
                != KLAVIYO_CLI_OK)
            {
                return KLAVIYO_CLI_CANNOT;
            }

            break;

        case KLAVIYO_RING_AGAIN:
            reader->cursor.seq = reader->stream.wanted;

            if (klaviyo_cli_read_spool(reader, &reader->cursor.seq)
                != KLAVIYO_CLI_OK)
            {
                return KLAVIYO_CLI_CANNOT;
            }

            break;

        case KLAVIYO_RING_EMPTY:
            return KLAVIYO_CLI_OK;

        default:
            return klaviyo_cli_error("the ring was taken away");
        }

        seq = reader->cursor.seq;
    }

    return KLAVIYO_CLI_OK;
}


/*
 * The chunk from *seq on.  What cannot be had of the spool at all is passed
 * over: *seq is then the first event of the ring.
 */

static int
klaviyo_cli_read_spool(klaviyo_cli_reader_t *reader, uint64_t *seq)
{
    char                  error[KLAVIYO_RING_ERROR_MAX];
    unsigned              ours;
    klaviyo_spool_t      *spool;
    klaviyo_spool_rc_e    rc;
    klaviyo_ring_span_t   span;
    klaviyo_spool_state_t state;

    if (reader->spool) {
        rc = klaviyo_spool_inspect(&spool, reader->spool, error);

        if (rc != KLAVIYO_SPOOL_OK) {
            return klaviyo_cli_error("%s", error);
        }

        klaviyo_spool_state(spool, &state);

        ours = klaviyo_ring_span(reader->ring, &span) == KLAVIYO_RING_OK
               && memcmp(state.ring, span.uuid, KLAVIYO_RING_UUID_LEN) == 0;

        if (ours) {
            rc = klaviyo_spool_read(spool, *seq, &reader->chunk, error);
        }

        klaviyo_spool_close(spool);

        if (rc != KLAVIYO_SPOOL_OK) {
            return klaviyo_cli_error("%s", error);
        }

        if (ours && reader->chunk.to > *seq) {
            return KLAVIYO_CLI_OK;
        }

    } else if (reader->cli->spool == NULL) {
        (void) klaviyo_cli_error("events are in the spool: name it with "
                                 "--spool=");
    }

    if (klaviyo_ring_span(reader->ring, &span) != KLAVIYO_RING_OK) {
        return klaviyo_cli_error("the ring was taken away");
    }

    if (span.first.seq > *seq) {
        klaviyo_cli_read_missing(reader, "spool", *seq,
                                 span.first.seq - *seq);
        *seq = span.first.seq;
    }

    return KLAVIYO_CLI_OK;
}


/* A spool that the ring has not taken over yet: all of it is queued. */

static int
klaviyo_cli_read_other(klaviyo_cli_reader_t *reader)
{
    int                    rc;
    char                   error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_spool_t       *spool;
    klaviyo_spool_rc_e     looked;
    klaviyo_ring_span_t    span;
    klaviyo_spool_state_t  state;

    looked = klaviyo_spool_inspect(&spool, reader->spool, error);

    if (looked == KLAVIYO_SPOOL_NONE) {
        return klaviyo_cli_error("%s", error);
    }

    if (looked != KLAVIYO_SPOOL_OK) {

        if (reader->write) {
            return klaviyo_cli_error("%s", error);
        }

        klaviyo_cli_read_fault(error);
        reader->faults++;
        reader->spool = NULL;
        return KLAVIYO_CLI_OK;
    }

    rc = KLAVIYO_CLI_OK;
    klaviyo_spool_state(spool, &state);

    if (reader->ring == NULL
        || (klaviyo_ring_span(reader->ring, &span) == KLAVIYO_RING_OK
            && memcmp(state.ring, span.uuid, KLAVIYO_RING_UUID_LEN) != 0))
    {
        reader->other = 1;
        rc = klaviyo_cli_read_segments(reader, spool, state.head, state.tail);
        reader->other = 0;
    }

    klaviyo_spool_close(spool);

    return rc;
}


/* What is in both tiers: for check, the spool's copies of it. */

static int
klaviyo_cli_read_synced(klaviyo_cli_reader_t *reader)
{
    int                    rc;
    char                   error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_spool_t       *spool;
    klaviyo_ring_span_t    span;
    klaviyo_spool_state_t  state;

    if (klaviyo_spool_inspect(&spool, reader->spool, error)
        != KLAVIYO_SPOOL_OK)
    {
        return klaviyo_cli_error("%s", error);
    }

    rc = KLAVIYO_CLI_OK;
    klaviyo_spool_state(spool, &state);

    if (klaviyo_ring_span(reader->ring, &span) == KLAVIYO_RING_OK
        && memcmp(state.ring, span.uuid, KLAVIYO_RING_UUID_LEN) == 0
        && state.tail > span.first.seq)
    {
        reader->copies = 1;
        rc = klaviyo_cli_read_segments(reader, spool,
                                       (state.head > span.first.seq)
                                       ? state.head : span.first.seq,
                                       state.tail);
    }

    klaviyo_spool_close(spool);

    return rc;
}


static int
klaviyo_cli_read_segments(klaviyo_cli_reader_t *reader,
    klaviyo_spool_t *spool, uint64_t seq, uint64_t to)
{
    char              error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_record_t  record;

    while (seq < to) {

        if (klaviyo_spool_read(spool, seq, &reader->chunk, error)
            != KLAVIYO_SPOOL_OK)
        {
            return klaviyo_cli_error("%s", error);
        }

        while (klaviyo_chunk_next(&reader->chunk, seq, &record)
               == KLAVIYO_RING_OK)
        {
            klaviyo_cli_read_missing(reader, "spool", seq, record.missing);
            klaviyo_cli_read_event(reader, &record.event);
            seq = record.seq + 1;
        }

        /* where nothing can be read at all the rest is missing */

        if (reader->chunk.to <= seq && reader->chunk.events == 0) {
            reader->chunk.to = to;
        }

        if (reader->chunk.to > seq) {
            klaviyo_cli_read_missing(reader, "spool", seq,
                                     reader->chunk.to - seq);
            seq = reader->chunk.to;
        }
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_read_grow(klaviyo_cli_reader_t *reader, size_t size)
{
    uint8_t  *p;

    p = realloc(reader->buf, size);

    if (p == NULL) {
        return klaviyo_cli_error("no memory for %zu bytes", size);
    }

    reader->buf = p;
    reader->size = size;

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_read_event(klaviyo_cli_reader_t *reader,
    const klaviyo_event_t *event)
{
    if (!reader->copies) {
        reader->events++;
    }

    if (reader->write) {
        klaviyo_cli_line_print(stdout, event);
    }

    klaviyo_cli_progress(reader->write ? stdout : NULL,
                         reader->write ? "events written" : "events read",
                         reader->events,
                         reader->events, reader->of);
}


/* Those that have an outcome by now are not missing: it tells what it was. */

static void
klaviyo_cli_read_missing(klaviyo_cli_reader_t *reader, const char *where,
    uint64_t from, uint64_t n)
{
    klaviyo_ring_span_t  span;

    if (n && !reader->other
        && klaviyo_ring_span(reader->ring, &span) == KLAVIYO_RING_OK
        && span.done > from)
    {
        n = (span.done - from < n) ? n - (span.done - from) : 0;
        from = span.done;
    }

    if (n == 0) {
        return;
    }

    if (reader->copies) {
        (void) klaviyo_cli_error("%s: the copies of %" PRIu64 " events from "
                                 "number %" PRIu64 " on cannot be read, the "
                                 "ring has them", where, n, from);
        reader->faults++;
        return;
    }

    (void) klaviyo_cli_error("%s: %" PRIu64 " events from number %" PRIu64
                             " on cannot be read", where, n, from);
    reader->missing += n;
}


static void
klaviyo_cli_read_fault(const char *text)
{
    (void) klaviyo_cli_error("%s", text);
}
