/*
 * Ring and spool as one stream: what the ring gave back is read from a chunk,
 * as if a thread had fetched it from the disk.
 */


#define _GNU_SOURCE
#include "chunk.h"
#include "ring.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_spool_chunk.h"


#define STREAM_STEPS  6000


/* gives back n events of the ring; their content is known by their number */

static void
release(klaviyo_ring_t *ring, unsigned n)
{
    klaviyo_cursor_t  cursor;

    cursor = ring_cursor(ring, n);

    is_int(klaviyo_ring_release(ring, 0, &cursor), KLAVIYO_RING_OK,
           "release up to %" PRIu64, cursor.seq - RING_SEQ);
}


static void
chunk_add(klaviyo_chunk_t *chunk, unsigned n, size_t size)
{
    ring_event_t  e;

    ring_event(&e, 1, n, size);

    if (chunk_put(chunk, RING_SEQ + n, &e.event) != 1) {
        diag("chunk_add %u failed", n);
    }
}


/* what the chunk is asked for, and how far it tells the truth */

static void
chunk_bounds(klaviyo_chunk_t *chunk, unsigned from, unsigned to)
{
    chunk->from = RING_SEQ + from;
    chunk->to = RING_SEQ + to;
}


static void
stream_is(klaviyo_stream_t *stream, klaviyo_cursor_t *cursor,
    klaviyo_ring_rc_e rc, unsigned number, unsigned missing, const char *what)
{
    uint8_t           buf[16384];
    unsigned          writer, n;
    klaviyo_record_t  record;

    memset(&record, 0xff, sizeof(record));

    if (!is_int(klaviyo_stream_read(stream, cursor, buf, sizeof(buf), &record),
                rc, "%s", what))
    {
        return;
    }

    if (rc == KLAVIYO_RING_AGAIN) {
        is_int(stream->wanted - RING_SEQ, number, "wanted");
        is_int(record.seq - RING_SEQ, number, "its number");
        return;
    }

    is_int(record.missing, missing, "%u missing", missing);
    is_int(record.seq - RING_SEQ, number, "its number");

    if (rc == KLAVIYO_RING_OK) {
        ok(ring_same(&record, &writer, &n) && n == number, "its content");
        ok(record.event.unique_id == buf + sizeof(klaviyo_header_t),
           "in the reader's buffer");
        is_int(record.next.seq - RING_SEQ, number + 1, "next");

    } else {
        is_int(record.next.seq - RING_SEQ, number, "next");
        is_int(record.next.position, 0, "by its number alone");
        ok(record.event.unique_id == NULL && record.event.attributes_len == 0,
           "there is no event");
    }

    *cursor = record.next;
}


static void
test_chunk(void)
{
    uint8_t            buf[16384];
    klaviyo_stream_t   stream;
    klaviyo_ring_t    *ring;
    klaviyo_chunk_t    chunk;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 20, 300);
    memset(&chunk, 0, sizeof(chunk));
    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;

    klaviyo_ring_first(ring, &cursor);
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 0, 0, "all in the ring");

    release(ring, 10);
    stream_is(&stream, &cursor, KLAVIYO_RING_AGAIN, 1, 0, "no chunk at all");
    stream.chunk = &chunk;
    stream_is(&stream, &cursor, KLAVIYO_RING_AGAIN, 1, 0, "an empty chunk");

    /* 1, 2, 5, 6 of 1 to 7 are left; 8, 9 are elsewhere */

    chunk_add(&chunk, 1, 300);
    chunk_add(&chunk, 2, 500);
    chunk_add(&chunk, 5, 10);
    chunk_add(&chunk, 6, 300);
    chunk_bounds(&chunk, 1, 8);

    is_int(klaviyo_stream_read(&stream, &cursor, buf, 100, &record),
           KLAVIYO_RING_SMALL, "a buffer too small");
    is_int(record.needed, klaviyo_record_align(40 + 300 + 21 + 4),
           "says what it needs");
    is_int(klaviyo_stream_read(&stream, &cursor, buf, record.needed - 1,
                               &record),
           KLAVIYO_RING_SMALL, "a byte less is too small");

    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 1, 0, "the first");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 2, 0, "the second");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 5, 2, "after a gap");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 6, 0, "the fourth");
    stream_is(&stream, &cursor, KLAVIYO_RING_GAP, 8, 1, "the rest is a gap");
    stream_is(&stream, &cursor, KLAVIYO_RING_AGAIN, 8, 0, "then another chunk");

    /* a reader that comes again */

    cursor.seq = RING_SEQ + 2;
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 2, 0, "the second again");

    /* with copies of what the ring has, and a gap before those */

    cursor.seq = RING_SEQ + 8;
    klaviyo_chunk_reset(&chunk);
    chunk_add(&chunk, 8, 300);
    chunk_add(&chunk, 12, 300);
    chunk_bounds(&chunk, 8, 15);
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 8, 0, "of the next chunk");
    stream_is(&stream, &cursor, KLAVIYO_RING_GAP, 10, 1,
              "a gap up to the ring");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 10, 0, "the ring's first");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 11, 0, "and second");
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 12, 0, "and third");

    /* what the spool has lost meanwhile is jumped over, and not missing */

    klaviyo_ring_lose(ring, 0, RING_SEQ + 9,
                      KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    cursor.seq = RING_SEQ + 3;
    cursor.position = 0;
    chunk_bounds(&chunk, 8, 9);
    stream_is(&stream, &cursor, KLAVIYO_RING_AGAIN, 9, 0, "the first left");
    chunk_bounds(&chunk, 9, 10);
    stream_is(&stream, &cursor, KLAVIYO_RING_GAP, 10, 1, "is missing");

    klaviyo_ring_lose(ring, 0, RING_SEQ + 10,
                      KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    cursor.seq = RING_SEQ + 3;
    cursor.position = 0;
    stream_is(&stream, &cursor, KLAVIYO_RING_OK, 10, 0,
              "all of the spool lost");

    cursor.seq = RING_SEQ + 20;
    cursor.position = 0;
    is_int(klaviyo_stream_read(&stream, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "nothing behind the end");

    klaviyo_chunk_free(&chunk);
    klaviyo_ring_detach(ring);
}


/* a spool of the test's own: everything that the ring gave back */

static void
test_stream(void)
{
    uint8_t              buf[16384];
    uint64_t             sent;
    unsigned             i, n, wrong, again, step, writer, number;
    klaviyo_ack_t        ack;
    klaviyo_stream_t     stream;
    klaviyo_ring_t      *ring;
    klaviyo_chunk_t      chunk;
    klaviyo_cursor_t     cursor, to;
    klaviyo_record_t     record;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    memset(&chunk, 0, sizeof(chunk));
    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;
    stream.chunk = &chunk;

    klaviyo_ring_first(ring, &cursor);
    memset(&ack, 0, sizeof(ack));
    ack.from = cursor;

    n = 0;
    sent = 0;
    wrong = 0;
    again = 0;
    srandom(1);

    for (step = 0; step < STREAM_STEPS; step++) {

        for (i = 0; i < (unsigned) random() % 8; i++) {
            if (ring_append(ring, 1, n, 50 + n * 7 % 900) == KLAVIYO_RING_OK)
            {
                n++;
            }
        }

        klaviyo_ring_span(ring, &span);

        if (span.used > span.size / 5 * 3) {
            to = ring_cursor(ring, 50);
            wrong += klaviyo_ring_release(ring, 0, &to) != KLAVIYO_RING_OK;
        }

        for (i = 0; i < (unsigned) random() % 7; i++) {
            rc = klaviyo_stream_read(&stream, &cursor, buf, sizeof(buf),
                                     &record);

            if (rc == KLAVIYO_RING_AGAIN) {
                again++;
                number = (unsigned) (stream.wanted - RING_SEQ);
                klaviyo_chunk_reset(&chunk);
                klaviyo_ring_span(ring, &span);

                while (chunk.events < 20 && number < n
                       && RING_SEQ + number < span.first.seq)
                {
                    chunk_add(&chunk, number, 50 + number * 7 % 900);
                    number++;
                }

                continue;
            }

            if (rc == KLAVIYO_RING_EMPTY) {
                break;
            }

            wrong += rc != KLAVIYO_RING_OK
                     || record.missing
                     || record.seq != cursor.seq
                     || !ring_same(&record, &writer, &number)
                     || number != record.seq - RING_SEQ;

            cursor = record.next;
            ack.outcome[KLAVIYO_OUTCOME_DELIVERED]++;
            sent++;
        }

        if (random() % 5 == 0) {
            ack.to = cursor;
            wrong += klaviyo_ring_ack(ring, 0, &ack, 0) != KLAVIYO_RING_OK;
            memset(&ack, 0, sizeof(ack));
            ack.from = cursor;
        }
    }

    diag("%u events, %" PRIu64 " read, %u chunks", n, sent, again);
    ok(sent > 5000 && again > 50, "it was a test");
    is_int(wrong, 0, "one stream, in order, each once");
    ring_equation(ring, "after the stream");

    klaviyo_chunk_free(&chunk);
    klaviyo_ring_detach(ring);
}


static void
test_detached(void)
{
    uint8_t            buf[1024];
    klaviyo_stream_t   stream;
    klaviyo_ring_t    *ring;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 20, 300);
    release(ring, 10);
    klaviyo_ring_first(ring, &cursor);
    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;

    ok(truncate(ring_path, 100) == 0, "truncate it");
    klaviyo_ring_verify(ring, ring_error);
    is_int(klaviyo_stream_read(&stream, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_DETACHED, "a ring that is gone");
    klaviyo_ring_detach(ring);
}


int
main(void)
{
    ring_in_folder(test_chunk);
    ring_in_folder(test_stream);
    ring_in_folder(test_detached);

    return done_testing();
}
