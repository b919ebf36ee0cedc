/*
 * The lease: one process at a time, whatever happens to it.
 */


#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>

#include "ring.h"
#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"


typedef struct {
    pid_t  pid;
    int    to;
    int    from;
} child_t;


/*
 * A child that answers each byte: r renew, v valid, c close, a acknowledge
 * nothing with its epoch.  The ring is inherited, as a worker inherits it.
 */

static void
child_run(klaviyo_ring_t *ring, int in, int out)
{
    char             c;
    klaviyo_ack_t    ack;
    klaviyo_lease_t  lease;

    prctl(PR_SET_PDEATHSIG, SIGKILL);

    if (klaviyo_lease_open(&lease, ring) != 0) {
        _exit(1);
    }

    while (read(in, &c, 1) == 1) {

        switch (c) {

        case 'r':
            c = (char) klaviyo_lease_renew(&lease);
            break;

        case 'v':
            c = (char) klaviyo_lease_valid(&lease);
            break;

        case 'a':
            memset(&ack, 0, sizeof(ack));
            klaviyo_ring_first(ring, &ack.from);
            ack.to = ack.from;
            c = (char) klaviyo_ring_ack(ring, lease.epoch, &ack, 0);
            break;

        default:
            klaviyo_lease_close(&lease);
            klaviyo_lease_close(&lease);
            c = 0;
            break;
        }

        if (write(out, &c, 1) != 1) {
            break;
        }
    }

    _exit(0);
}


static child_t
child_start(klaviyo_ring_t *ring)
{
    int      to[2], from[2];
    child_t  child;

    if (pipe(to) == -1 || pipe(from) == -1) {
        exit(2);
    }

    child.pid = fork();

    if (child.pid == 0) {
        close(to[1]);
        close(from[0]);
        child_run(ring, to[0], from[1]);
    }

    close(to[0]);
    close(from[1]);

    child.to = to[1];
    child.from = from[0];

    return child;
}


static int
child_ask(child_t *child, char c)
{
    if (write(child->to, &c, 1) != 1 || read(child->from, &c, 1) != 1) {
        return -1;
    }

    return c;
}


static void
child_end(child_t *child)
{
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    close(child->to);
    close(child->from);
}


/* while another process has the ring's lock, and when the file is gone */

static void
test_busy(void)
{
    char              c;
    int               in[2], out[2], fds;
    pid_t             pid;
    klaviyo_ring_t   *ring;
    klaviyo_lease_t   lease, other;

    fds = tap_fds();
    ring = ring_open(RING_SIZE, 0);

    is_int(klaviyo_lease_open(&lease, ring), 0, "one");
    is_int(klaviyo_lease_open(&other, ring), 0, "and another");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK, "the one has it");

    if (pipe(in) == -1 || pipe(out) == -1) {
        exit(2);
    }

    pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        klaviyo_ring_lock(ring);
        c = 0;

        if (write(out[1], &c, 1) != 1 || read(in[0], &c, 1) != 1) {
            _exit(1);
        }

        klaviyo_ring_unlock(ring);
        _exit(0);
    }

    is_int(read(out[0], &c, 1), 1, "locked");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK, "who has it, has it");
    is_int(klaviyo_lease_renew(&other), KLAVIYO_RING_BUSY, "nobody gets it");
    is_int(other.fd, -1, "nor keeps a descriptor");
    is_int(write(in[1], &c, 1), 1, "unlocked");
    waitpid(pid, NULL, 0);

    klaviyo_lease_close(&lease);
    is_int(klaviyo_lease_renew(&other), KLAVIYO_RING_OK, "then another does");
    is_int(ring->shared->lease_pid, getpid(), "which is known");

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    is_int(klaviyo_lease_valid(&other), 0, "nobody has it");
    is_int(klaviyo_lease_renew(&other), KLAVIYO_RING_DETACHED, "nor gets it");
    is_int(other.held, 0, "as it knows");
    klaviyo_lease_close(&other);

    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    klaviyo_ring_detach(ring);
    is_int(tap_fds(), fds, "no descriptor is left open");
}


int
main(void)
{
    child_t              a, b, c;
    klaviyo_ring_t      *ring, *other;
    klaviyo_figures_t    f;
    klaviyo_lease_t      lease;

    ring_in_folder(test_busy);
    ring_folder();

    ring = ring_open(RING_SIZE, 0);

    /* both inherit the descriptors that the parent attached with */

    a = child_start(ring);
    b = child_start(ring);

    is_int(child_ask(&a, 'r'), KLAVIYO_RING_OK, "the first has it");
    is_int(child_ask(&b, 'r'), KLAVIYO_RING_BUSY,
           "the second not, though it inherited the same descriptor");
    is_int(child_ask(&a, 'r'), KLAVIYO_RING_OK, "renewed");
    is_int(child_ask(&a, 'v'), 1, "valid");
    is_int(child_ask(&b, 'v'), 0, "not valid");

    klaviyo_ring_figures(ring, &f);
    is_int(f.deliverer, a.pid, "the figures know who");
    ring_equation(ring, "with a lease");

    is_int(child_ask(&a, 'a'), KLAVIYO_RING_OK, "the holder acknowledges");
    is_int(child_ask(&b, 'a'), KLAVIYO_RING_STALE, "the other may not");

    /* a process that attached by itself */

    other = ring_open(RING_SIZE, 0);
    is_int(klaviyo_lease_open(&lease, other), 0, "a second attachment");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_BUSY, "is refused, too");
    is_int(lease.fd, -1, "and has no descriptor more");

    is_int(child_ask(&a, 'c'), 0, "let go");
    is_int(child_ask(&b, 'r'), KLAVIYO_RING_OK, "the other has it at once");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_BUSY, "nobody else");

    child_end(&b);
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK,
           "free at once after SIGKILL");
    is_int(klaviyo_lease_valid(&lease), 1, "valid");
    klaviyo_lease_close(&lease);
    is_int(klaviyo_lease_valid(&lease), 0, "not valid once closed");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_ERROR,
           "nor renewed once closed");
    child_end(&a);

    /* a holder that is stopped */

    a = child_start(ring);
    b = child_start(ring);
    c = child_start(ring);

    is_int(child_ask(&a, 'r'), KLAVIYO_RING_OK, "a has it");
    kill(a.pid, SIGSTOP);
    is_int(child_ask(&b, 'r'), KLAVIYO_RING_BUSY, "stopped, not yet free");

    ring->shared->lease_deadline = klaviyo_clock_boot() - 1;

    is_int(child_ask(&b, 'r'), KLAVIYO_RING_OK, "taken after its deadline");
    is_int(child_ask(&c, 'r'), KLAVIYO_RING_BUSY, "by one only");

    kill(a.pid, SIGCONT);
    is_int(child_ask(&a, 'v'), 0, "it goes on and finds another epoch");
    is_int(child_ask(&a, 'a'), KLAVIYO_RING_STALE, "its ack is stale");
    is_int(child_ask(&a, 'r'), KLAVIYO_RING_BUSY, "it stands back");
    is_int(child_ask(&c, 'r'), KLAVIYO_RING_BUSY,
           "the lock it let go is not the lease");
    is_int(child_ask(&b, 'v'), 1, "the new holder has it still");
    is_int(child_ask(&b, 'r'), KLAVIYO_RING_OK, "and the lock by now");
    is_int(ring->shared->lease_unlocked, 0, "which the page knows");

    /* the same, and the stopped one is killed */

    kill(b.pid, SIGSTOP);
    ring->shared->lease_deadline = klaviyo_clock_boot() - 1;
    is_int(child_ask(&c, 'r'), KLAVIYO_RING_OK, "taken again");
    child_end(&b);
    is_int(child_ask(&a, 'r'), KLAVIYO_RING_BUSY,
           "the killed one's lock is not the lease");
    child_end(&c);
    is_int(child_ask(&a, 'r'), KLAVIYO_RING_BUSY,
           "a holder by epoch is waited for");
    ring->shared->lease_deadline = klaviyo_clock_boot() - 1;
    is_int(child_ask(&a, 'r'), KLAVIYO_RING_OK, "until its deadline");

    /* a rename does not part the lease from its ring */

    ok(ring_shell("mv '%s/shop.ring' '%s/moved'", ring_dir) == 0, "renamed");
    c = child_start(ring);
    is_int(child_ask(&c, 'r'), KLAVIYO_RING_BUSY, "still exclusive");
    child_end(&a);
    is_int(child_ask(&c, 'r'), KLAVIYO_RING_OK, "and free at death");
    child_end(&c);

    ring_equation(ring, "after all that");

    klaviyo_ring_detach(other);
    klaviyo_ring_detach(ring);
    ring_cleanup();

    return done_testing();
}
