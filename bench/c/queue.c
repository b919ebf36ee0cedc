/*
 * A hand on the queue of a running nginx:
 *
 *     queue fill RING MEGABYTES N [RATE [random]]
 *                                          appends N events of ten properties,
 *                                          RATE in a second or as it can (0);
 *                                          three of them differ in each
 *     queue hold RING MEGABYTES            has the lease, so that no worker
 *                                          delivers, until stdin ends
 *
 * `fill` prints how many got in, and how long it took.
 */


#include <poll.h>
#include <unistd.h>

#include "event.h"
#include "queue/klaviyo_lease.h"


static bench_template_t  queue_template;
static bench_event_t     queue_event;


/* what no packing makes smaller than half of it */

static void
queue_random(bench_template_t *t)
{
    size_t           k;
    unsigned         i, values;
    static uint64_t  state = 88172645463325252;

    values = 0;

    for (i = 0; i < t->n && values < 3; i++) {

        if (t->type[i] != KLAVIYO_VALUE_STRING) {
            continue;
        }

        values++;

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;

        for (k = 0; k < t->value_len[i]; k++) {
            t->value[i][k] = "0123456789abcdef"[(state >> k % 16 * 4) & 15];
        }
    }
}


static int
queue_fill(klaviyo_ring_t *ring, uint64_t n, uint64_t rate, int random)
{
    int64_t          begin, now, due;
    uint64_t         i, in;
    struct timespec  ts;

    in = 0;
    begin = bench_clock();

    for (i = 0; i < n; i++) {

        if (rate) {
            due = begin + (int64_t) (i * 1000000000 / rate);
            now = bench_clock();

            if (due > now) {
                ts.tv_sec = (due - now) / 1000000000;
                ts.tv_nsec = (due - now) % 1000000000;
                (void) nanosleep(&ts, NULL);
            }
        }

        if (random) {
            queue_random(&queue_template);
        }

        bench_encode(&queue_event, &queue_template, i, n / 4 + 1,
                     (int64_t) time(NULL) * 1000);

        in += klaviyo_ring_append(ring, &queue_event.event)
              == KLAVIYO_RING_OK;
    }

    printf("%" PRIu64 " events of %zu bytes in %.3f s\n", in,
           queue_event.event.profile_len + queue_event.event.attributes_len,
           (bench_clock() - begin) / 1e9);

    return in == n ? 0 : 1;
}


static int
queue_hold(klaviyo_ring_t *ring)
{
    struct pollfd    input;
    klaviyo_lease_t  lease;

    if (klaviyo_lease_open(&lease, ring) != 0) {
        return 1;
    }

    input.fd = STDIN_FILENO;
    input.events = POLLIN;

    do {
        if (klaviyo_lease_renew(&lease) != KLAVIYO_RING_OK) {
            fprintf(stderr, "somebody else has the lease\n");
            return 1;
        }

        printf("held\n");
        fflush(stdout);

    } while (poll(&input, 1, 1000) == 0);

    klaviyo_lease_close(&lease);

    return 0;
}


int
main(int argc, char **argv)
{
    klaviyo_ring_t  *ring;

    if (argc < 4) {
        fprintf(stderr, "usage: queue fill|hold RING MEGABYTES ...\n");
        return 2;
    }

    ring = bench_ring(argv[2], strtoull(argv[3], NULL, 10) << 20);

    if (strcmp(argv[1], "hold") == 0) {
        return queue_hold(ring);
    }

    bench_template(&queue_template, 10, 16);

    return queue_fill(ring, argc > 4 ? strtoull(argv[4], NULL, 10) : 1,
                      argc > 5 ? strtoull(argv[5], NULL, 10) : 0, argc > 6);
}
