/*
 * Turns by a shared clock: however many hosts there are, and whichever of them
 * send, Klaviyo's minute holds.
 */


#include <stdlib.h>

#include "tap.h"

#include "delivery/klaviyo_limiter.h"
#include "delivery/klaviyo_slot.h"


static uint64_t  seed = 88172645463325252ULL;


static uint64_t
test_random(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


/* some of the hosts send whatever they may, for four minutes */

static void
test_taken(unsigned limit, unsigned hosts, unsigned busy)
{
    int64_t          now, wait, end;
    unsigned         i, most, n, first;
    static int64_t   sent[40000], used[300], ready[300];

    now = 1000000 + (int64_t) test_random(100000);
    end = now + 240000;
    n = 0;

    for (i = 0; i < hosts; i++) {
        used[i] = -1;
        ready[i] = now;
    }

    for ( /* void */ ; now < end; now++) {
        for (i = 0; i < hosts; i++) {

            if (now < ready[i] || i % busy) {
                continue;
            }

            wait = klaviyo_slot_wait(limit, hosts, i, now, &used[i], 1);

            ready[i] = now + (wait ? wait + (int64_t) test_random(5) : 1);

            if (wait == 0) {
                sent[n++] = now;
            }
        }
    }

    most = 0;
    first = 0;

    for (i = 0; i < n; i++) {
        while (sent[i] - sent[first] >= 60000) {
            first++;
        }

        most = (i - first + 1 > most) ? i - first + 1 : most;
    }

    ok(n > 0 && most <= limit, "limit %u, %u hosts: %u in a minute", limit,
       hosts, most);

    if (busy == 1) {
        ok(most >= limit * 9 / 10, "and that is nearly all of it");
    }
}


int
main(void)
{
    int64_t   used;
    unsigned  i;

    static const unsigned  hosts[] = { 1, 2, 3, 5, 7, 20, 100, 150, 250 };

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        test_taken(150, hosts[i], 1);
        test_taken(150, hosts[i], 3);
        test_taken(10, hosts[i], 1);
        test_taken(3500, hosts[i], 1);
    }

    used = -1;

    is_int(klaviyo_slot_wait(150, 2, 0, 0, &used, 0), 0, "its slot is now");
    is_int(used, -1, "looked at, not used");
    is_int(klaviyo_slot_wait(150, 2, 0, 0, &used, 1), 0, "used");
    is_int(klaviyo_slot_wait(150, 2, 0, 5, &used, 1), 809, "once in a cycle");

    used = -1;

    is_int(klaviyo_slot_wait(150, 2, 1, 100, &used, 0), 307,
           "the other one's comes behind");

    used = -1;

    is_int(klaviyo_slot_wait(150, 2, 0, 500, &used, 0), 314,
           "a slot that has passed is not made up for");
    is_int(klaviyo_slot_wait(0, 0, 9, -5, &used, 0), 0,
           "values out of range");

    return done_testing();
}
