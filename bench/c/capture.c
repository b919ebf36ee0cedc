/*
 * Capture alone, without nginx: nanoseconds to make an event of values that
 * are known, and to append it.
 *
 *     capture FOLDER [quick]
 *
 * prints JSON.  `encode`: by number of properties (16 bytes each) and by
 * their size (ten of them), the time to write the JSON (`encode`) and to
 * write and append it (`both`).  `append`: one event of ten properties by 1,
 * 2 and 8 processes, each of which is busy for 20 us between two appends, as
 * with a request, or not at all; with the cost of looking at the clock.
 */


#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"


#define CAPTURE_RING      ((size_t) 64 << 20)
#define CAPTURE_APPENDS   64000        /* fit into the ring                  */
#define CAPTURE_CHUNKS    41
#define CAPTURE_CHUNK     2000
#define CAPTURE_BUSY      20000        /* ns                                 */


static bench_template_t  capture_template;
static bench_event_t     capture_event;
static uint64_t          capture_number;


static int
capture_compare(const void *one, const void *two)
{
    const int64_t  *a = one, *b = two;

    return *a < *b ? -1 : *a > *b;
}


/* everything is acknowledged: the ring is empty again */

static void
capture_empty(klaviyo_ring_t *ring, klaviyo_lease_t *lease)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_span_t  span;

    memset(&ack, 0, sizeof(ack));

    if (klaviyo_lease_renew(lease) != KLAVIYO_RING_OK
        || klaviyo_ring_span(ring, &span) != KLAVIYO_RING_OK)
    {
        fprintf(stderr, "the lease is lost\n");
        exit(1);
    }

    ack.from = span.first;
    ack.to = span.end;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = ack.to.seq - ack.from.seq;

    if (klaviyo_ring_ack(ring, lease->epoch, &ack, 0) != KLAVIYO_RING_OK) {
        fprintf(stderr, "acknowledgement failed\n");
        exit(1);
    }
}


/* ns for one event, the median of chunks; with `ring` it is appended */

static double
capture_chunks(klaviyo_ring_t *ring, klaviyo_lease_t *lease, int chunks)
{
    int      i, k;
    int64_t  begin, ns[CAPTURE_CHUNKS];

    for (i = 0; i < chunks; i++) {
        begin = bench_clock();

        for (k = 0; k < CAPTURE_CHUNK; k++) {
            bench_encode(&capture_event, &capture_template, capture_number++,
                         1000000, 1790000000000);

            if (ring
                && klaviyo_ring_append(ring, &capture_event.event)
                   != KLAVIYO_RING_OK)
            {
                fprintf(stderr, "append failed\n");
                exit(1);
            }
        }

        ns[i] = bench_clock() - begin;

        if (ring) {
            capture_empty(ring, lease);
        }
    }

    qsort(ns, chunks, sizeof(int64_t), capture_compare);

    return (double) ns[chunks / 2] / CAPTURE_CHUNK;
}


static void
capture_encode(klaviyo_ring_t *ring, klaviyo_lease_t *lease, int chunks)
{
    unsigned                i;
    double                  encode, both;
    static const unsigned   n[] = { 0, 1, 5, 10, 20, 50, 10, 10, 10 };
    static const size_t     size[] = { 16, 16, 16, 16, 16, 16, 64, 256, 1024 };

    for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
        bench_template(&capture_template, n[i], size[i]);

        (void) capture_chunks(ring, lease, 3);
        encode = capture_chunks(NULL, NULL, chunks);
        both = capture_chunks(ring, lease, chunks);

        printf("%s\n    {\"properties\":%u,\"value_bytes\":%zu,"
               "\"event_bytes\":%zu,\"encode_ns\":%.0f,\"both_ns\":%.0f}",
               i ? "," : "", n[i], size[i],
               capture_event.event.profile_len
               + capture_event.event.attributes_len, encode, both);
    }
}


/* one writer's times, in memory that is shared with the parent */

static void
capture_writer(klaviyo_ring_t *ring, int64_t *ns, int n, int64_t busy)
{
    int      i;
    int64_t  begin, end;

    for (i = 0; i < n; i++) {
        begin = bench_clock();

        /* one that waited for the lock in vain is in the figures */

        (void) klaviyo_ring_append(ring, &capture_event.event);

        end = bench_clock();
        ns[i] = end - begin;

        while (bench_clock() - end < busy) { /* as a request is */ }
    }

    _exit(0);
}


static void
capture_append(klaviyo_ring_t *ring, klaviyo_lease_t *lease, int writers,
    int total, int64_t busy, const char *comma)
{
    int                i, n, status;
    int64_t           *ns;
    uint64_t           lost;
    klaviyo_figures_t  figures;

    n = total / writers;
    total = n * writers;

    klaviyo_ring_figures(ring, &figures);
    lost = figures.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];

    ns = mmap(NULL, total * sizeof(int64_t), PROT_READ|PROT_WRITE,
              MAP_SHARED|MAP_ANONYMOUS|MAP_POPULATE, -1, 0);

    if (ns == MAP_FAILED) {
        exit(1);
    }

    for (i = 0; i < writers; i++) {

        if (fork() == 0) {
            capture_writer(ring, ns + i * n, n, busy);
        }
    }

    for (i = 0; i < writers; i++) {

        if (wait(&status) == -1 || status != 0) {
            fprintf(stderr, "a writer failed\n");
            exit(1);
        }
    }

    klaviyo_ring_figures(ring, &figures);
    lost = figures.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY] - lost;

    qsort(ns, total, sizeof(int64_t), capture_compare);

    printf("%s\n    {\"writers\":%d,\"busy_us\":%d,\"p50_ns\":%" PRId64
           ",\"p99_9_ns\":%" PRId64 ",\"max_ns\":%" PRId64
           ",\"lost\":%" PRIu64 "}",
           comma, writers, (int) (busy / 1000), ns[total / 2],
           ns[(int64_t) total * 999 / 1000], ns[total - 1], lost);

    munmap(ns, total * sizeof(int64_t));
    capture_empty(ring, lease);
}


static double
capture_clock(void)
{
    int      i;
    int64_t  begin;

    begin = bench_clock();

    for (i = 0; i < 1000000; i++) {
        (void) bench_clock();
    }

    return (bench_clock() - begin) / 1e6;
}


int
main(int argc, char **argv)
{
    int               i, quick, total;
    char              path[4096];
    klaviyo_ring_t   *ring;
    klaviyo_lease_t   lease;
    static const int  writers[] = { 1, 2, 8 };

    if (argc < 2) {
        fprintf(stderr, "usage: capture FOLDER [quick]\n");
        return 2;
    }

    quick = argc > 2;
    total = quick ? CAPTURE_APPENDS / 4 : CAPTURE_APPENDS;

    snprintf(path, sizeof(path), "%s/capture.ring", argv[1]);
    ring = bench_ring(path, CAPTURE_RING);

    if (klaviyo_lease_open(&lease, ring) != 0) {
        return 1;
    }

    /* a lap, so that every page has been touched */

    bench_template(&capture_template, 10, 1024);

    for (i = 0; i < 6; i++) {
        (void) capture_chunks(ring, &lease, 1);
    }

    printf("{\"clock_ns\":%.1f,\n\"encode\":[", capture_clock());
    capture_encode(ring, &lease, quick ? 5 : CAPTURE_CHUNKS);

    bench_template(&capture_template, 10, 16);
    bench_encode(&capture_event, &capture_template, 1, 1, 1790000000000);

    printf("],\n\"append\":[");

    for (i = 0; i < 3; i++) {
        capture_append(ring, &lease, writers[i], total, CAPTURE_BUSY,
                       i ? "," : "");
        capture_append(ring, &lease, writers[i], total, 0, ",");
    }

    printf("]}\n");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);

    return 0;
}
