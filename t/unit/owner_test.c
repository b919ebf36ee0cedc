/*
 * Whose queue it is: who may attach to a ring with events of another account.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "ring.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_ring_owner.h"
#include "queue/klaviyo_ring_private.h"


/* an account: a letter each for its key, company and endpoint, and dry_run */

static int
print(const void *data, const uint8_t *uuid, klaviyo_ring_print_t *to)
{
    const char  *account = data;

    (void) uuid;

    memset(to, 0, sizeof(klaviyo_ring_print_t));
    to->key[KLAVIYO_RING_PRINT_LEN - 1] = (uint8_t) account[0];
    to->company[KLAVIYO_RING_PRINT_LEN - 1] =
                                 account[1] == '-' ? 0 : (uint8_t) account[1];
    to->endpoint[KLAVIYO_RING_PRINT_LEN - 1] = (uint8_t) account[2];
    to->dry_run = account[3] == 'd';

    return account[0] == '!' ? -1 : 0;
}


static klaviyo_ring_t *
attach_size(const char *account, int64_t master, size_t size)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = size;
    conf.print = account ? print : NULL;
    conf.print_data = account;
    conf.master = master;

    (void) klaviyo_ring_attach(&ring, &conf, ring_error, ring_note);

    return ring;
}


static klaviyo_ring_t *
attach(const char *account, int64_t master)
{
    return attach_size(account, master, RING_SIZE);
}


/* what is said of it; an attach that is not refused makes the ring its own */

static void
is_refused(const char *account, int64_t master, const char *why,
    const char *what)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;
    conf.print = print;
    conf.print_data = account;
    conf.master = master;

    errno = ESRCH;                   /* of long ago: it says nothing */
    is_int(klaviyo_ring_probe(&conf, ring_error), KLAVIYO_RING_ERROR,
           "%s: probed", what);
    ok(strstr(ring_error, why) != NULL, "%s", ring_error);

    ring = attach(account, master);
    ok(ring == NULL, "%s: attached", what);
    ok(strstr(ring_error, why) != NULL, "%s", ring_error);
}


static void
is_taken(const char *account, int64_t master, const char *note,
    const char *what)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;
    conf.print = print;
    conf.print_data = account;
    conf.master = master;

    strcpy(ring_error, "as before");
    is_int(klaviyo_ring_probe(&conf, ring_error), KLAVIYO_RING_OK,
           "%s: probed", what);
    is_str(ring_error, "", "nothing to say");

    ring = attach(account, master);
    ok(ring != NULL, "%s", what);

    if (note) {
        ok(strstr(ring_note, note) != NULL, "%s", ring_note);

    } else {
        is_str(ring_note, "", "nothing to tell");
    }

    if (ring) {
        klaviyo_ring_detach(ring);
    }
}


static void
fresh(const char *account, unsigned events)
{
    klaviyo_ring_t  *ring;

    unlink(ring_path);
    ring = attach(account, 0);
    ring_fill(ring, 0, events, 100);
    klaviyo_ring_detach(ring);
}


static void
test_refuses(void)
{
    unsigned              i;
    const char           *why;
    klaviyo_ring_print_t  was, now;

    static const struct {
        const char  *was;
        const char  *now;
        const char  *why;
    } test[] = {
        { "kce-", "kce-", NULL },
        { "kce-", "KcE-", NULL },
        { "kce-", "kCe-", "another \"company\"" },
        { "kce-", "k-e-", NULL },
        { "k-e-", "kce-", NULL },
        { "k-e-", "K-e-", NULL },
        { "k-e-", "k-E-", NULL },
        { "k-e-", "K-E-", "another key and \"endpoint\"" },
        { "kce-", "K-E-", "another key and \"endpoint\"" },
        { "k-e-", "KcE-", "another key and \"endpoint\"" },
        { "kce-", "kced", "another \"dry_run\"" },
        { "k-ed", "k-e-", "another \"dry_run\"" }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        print(test[i].was, NULL, &was);
        print(test[i].now, NULL, &now);
        why = klaviyo_ring_print_refuses(&was, &now);

        is_str(why ? why : "may", test[i].why ? test[i].why : "may",
               "%s after %s", test[i].now, test[i].was);
    }
}


/* nobody has it in use */

static void
test_left(void)
{
    ring_taken_t     taken;
    klaviyo_ring_t  *ring;

    fresh("kce-", 3);
    is_taken("kce-", 0, NULL, "the same");
    is_taken("kCe-", 0, NULL, "all the same but the company");
    is_refused("Kce-", 0, "holds 3 events of another account", "not that");
    is_taken("kce-", 0, NULL, "the first again");
    is_taken("Kce-", 0, "the \"key\" has changed, 3 events", "another key");
    is_taken("Kce-", 0, NULL, "which is the owner by now");
    is_taken("KcE-", 0, "the \"endpoint\" has changed", "another endpoint");
    is_refused("KcEd", 0, "3 events that were captured for another "
               "\"dry_run\"", "a dry run");
    is_taken("K-E-", 0, NULL, "the company is not known");
    is_refused("k-e-", 0, "another key and \"endpoint\"", "both differ");

    /* nobody's */

    ring = attach(NULL, 0);
    ok(ring != NULL, "who does not say whose it is");
    ring->map[sizeof(klaviyo_ring_fixed_t)] ^= 1;
    klaviyo_ring_detach(ring);
    is_taken("xXxd", 0, NULL, "an owner that is not whole is none");

    is_refused("!Xxd", 0, "HMAC failed", "a hash that fails");

    fresh("kce-", 0);
    is_taken("xXxd", 0, NULL, "without events it is anybody's");

    ring = attach("kce-", 0);
    ring_fill(ring, 0, 3, 100);
    ring_take(ring, 0, 1, &taken);
    klaviyo_ring_detach(ring);
    is_taken("xXxd", 0, NULL, "when all are done, too");

    unlink(ring_path);
    ok(attach("!ce-", 0) == NULL, "a new one and a hash that fails");
    ok(strstr(ring_error, "HMAC failed") != NULL, "%s", ring_error);
}


static pid_t
process(int ends)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);

        if (!ends) {
            pause();
        }

        _exit(0);
    }

    if (ends) {
        waitpid(pid, NULL, 0);
    }

    return pid;
}


static void
test_in_use(void)
{
    char             by[64];
    pid_t            dead, master;
    klaviyo_ring_t  *ring;

    dead = process(1);
    master = process(0);
    (void) snprintf(by, sizeof(by), "in use by another nginx (process %d)",
                    (int) master);

    fresh("kce-", 3);
    ring = attach("kce-", 0);

    is_refused("Kce-", getpid(), "in use by another nginx (process 0)",
               "in use by whom is not known");

    klaviyo_ring_own(ring, master);
    is_refused("Kce-", 0, by, "in use by another's");
    is_refused("kced", getpid(), "another \"dry_run\"", "or by a third's");
    is_taken("kce-", 0, NULL, "for the same account");

    is_taken("kced", master, "the \"dry_run\" has changed, 3 events",
             "its own operator's word");
    is_refused("KCed", master, "holds 3 events of another account",
               "but for the company");

    klaviyo_ring_own(ring, dead);
    is_taken("Kced", 0, "the \"key\" has changed", "the master is gone");
    is_refused("Kce-", 0, "captured for another \"dry_run\"",
               "and no word of it counts");

    is_int(waitpid(master, NULL, WNOHANG), 0, "a master is not disturbed");
    kill(master, SIGKILL);
    waitpid(master, NULL, 0);

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    klaviyo_ring_own(ring, getpid());
    ok(1, "nothing is written then");
    klaviyo_ring_detach(ring);
}


/* one of another size is not taken over from somebody else */

static void
test_size(void)
{
    klaviyo_ring_t  *ring;

    fresh("kce-", 3);

    ring = attach_size("kced", 0, 2 * RING_SIZE);
    ok(ring == NULL, "of another account");
    ok(strstr(ring_error, "\"dry_run\"") != NULL, "%s", ring_error);
    is_taken("kce-", 0, NULL, "it is where it was");

    ring = attach_size("Kce-", 0, 2 * RING_SIZE);
    ok(ring != NULL, "of the same");
    ok(strstr(ring_note, "the \"key\" has changed") != NULL
       && strstr(ring_note, "; \"") != NULL
       && strstr(ring_note, "has another size (256k, now 512k)") != NULL,
       "%s", ring_note);
    klaviyo_ring_detach(ring);
}


int
main(void)
{
    int  fds;

    fds = tap_fds();

    test_refuses();
    ring_in_folder(test_left);
    ring_in_folder(test_in_use);
    ring_in_folder(test_size);

    is_int(tap_fds(), fds, "no descriptor is left open");

    return done_testing();
}
