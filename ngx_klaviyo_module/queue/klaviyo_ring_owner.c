/*
 * The queue room: whose queue it is.
 *
 * Two nginx on one machine may come by the same path.  Who finds the ring in
 * use by another one, with another key, endpoint or dry_run, is refused.  The
 * same nginx is known by its master process: what its operator changes and
 * reloads is the operator's word.  A ring that nobody uses and that has no
 * events is anybody's; one with events goes on for the same account only, as
 * far as can be told: see klaviyo_ring_owner_left().
 *
 * Plain C.  May touch page 0 behind `fixed`, and the shared page's `master`.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_owner.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


#define klaviyo_ring_print_same(a, b, member)                                \
    (memcmp((a)->member, (b)->member, KLAVIYO_RING_PRINT_LEN) == 0)


static klaviyo_ring_rc_e klaviyo_ring_owner_left(klaviyo_ring_t *ring,
    const klaviyo_ring_print_t *was, const klaviyo_ring_print_t *now,
    uint64_t n, char *error, char *note);


static klaviyo_ring_owner_t *
klaviyo_ring_owner(klaviyo_ring_t *ring)
{
    return (klaviyo_ring_owner_t *)
           (void *) (ring->map + sizeof(klaviyo_ring_fixed_t));
}


static uint32_t
klaviyo_ring_owner_crc(const klaviyo_ring_owner_t *owner)
{
    return klaviyo_crc32c(0, owner, offsetof(klaviyo_ring_owner_t, crc));
}


/* 1: of both it is known */

static int
klaviyo_ring_company_known(const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now)
{
    static const uint8_t  none[KLAVIYO_RING_PRINT_LEN];

    return memcmp(was->company, none, KLAVIYO_RING_PRINT_LEN) != 0
           && memcmp(now->company, none, KLAVIYO_RING_PRINT_LEN) != 0;
}


/* 1: what differs means another account, or another fate of its events */

static const char *
klaviyo_ring_owner_differs(const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now)
{
    if (!klaviyo_ring_print_same(was, now, key)) {
        return "key";
    }

    if (!klaviyo_ring_print_same(was, now, endpoint)) {
        return "endpoint";
    }

    return was->dry_run != now->dry_run ? "dry_run" : NULL;
}


klaviyo_ring_rc_e
klaviyo_ring_owner_check(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error, char *note)
{
    int64_t                master;
    uint64_t               n;
    const char            *what;
    klaviyo_cursor_t       end;
    klaviyo_ring_head_t    head;
    klaviyo_ring_owner_t   owner;
    klaviyo_ring_print_t   now;

    if (conf->print == NULL) {
        return KLAVIYO_RING_OK;
    }

    memcpy(&owner, klaviyo_ring_owner(ring), sizeof(klaviyo_ring_owner_t));

    /* nobody's yet */

    if (owner.crc != klaviyo_ring_owner_crc(&owner)) {
        return KLAVIYO_RING_OK;
    }

    if (conf->print(conf->print_data, ring->fixed.uuid, &now) != 0) {
        return klaviyo_ring_error(error, "\"%s\": HMAC failed", ring->path);
    }

    what = klaviyo_ring_owner_differs(&owner.print, &now);

    if (what == NULL) {
        return KLAVIYO_RING_OK;
    }

    master = klaviyo_ring_get(&ring->shared->master);

    /* without a master workers may go on, and a start goes on with them */

    if (!ring->alone
        && master != conf->master
        && (master <= 0 || kill((pid_t) master, 0) == 0 || errno != ESRCH))
    {
        return klaviyo_ring_error(error, "\"%s\" is in use by another nginx "
                                  "(process %lld), whose account has another "
                                  "\"%s\": choose another path with "
                                  "\"queue\", or another name of the account",
                                  ring->path, (long long) master, what);
    }

    klaviyo_ring_head(ring, &head);
    klaviyo_ring_end(ring, &end);

    n = end.seq - head.done;

    if (n == 0) {
        return KLAVIYO_RING_OK;
    }

    if (klaviyo_ring_company_known(&owner.print, &now)
        && !klaviyo_ring_print_same(&owner.print, &now, company))
    {
        return klaviyo_ring_error(error, "\"%s\" holds %llu events of another "
                                  "account (\"company\" differs): let them be "
                                  "delivered with its key first, or choose "
                                  "another path with \"queue\"",
                                  ring->path, (unsigned long long) n);
    }

    if (!ring->alone && master == conf->master) {
        (void) klaviyo_ring_error(note, "the \"%s\" has changed, %llu events "
                                  "that wait in \"%s\" go out with the new "
                                  "one", what, (unsigned long long) n,
                                  ring->path);
        return KLAVIYO_RING_OK;
    }

    return klaviyo_ring_owner_left(ring, &owner.print, &now, n, error, note);
}


const char *
klaviyo_ring_print_refuses(const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now)
{
    int  company;

    company = klaviyo_ring_company_known(was, now);

    if (company && !klaviyo_ring_print_same(was, now, company)) {
        return "another \"company\"";
    }

    if (!company
        && !klaviyo_ring_print_same(was, now, key)
        && !klaviyo_ring_print_same(was, now, endpoint))
    {
        return "another key and \"endpoint\"";
    }

    return was->dry_run != now->dry_run ? "another \"dry_run\"" : NULL;
}


/* events that were left by an nginx that is gone */

static klaviyo_ring_rc_e
klaviyo_ring_owner_left(klaviyo_ring_t *ring, const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now, uint64_t n, char *error, char *note)
{
    const char  *what;

    what = klaviyo_ring_print_refuses(was, now);

    if (what != NULL) {
        return klaviyo_ring_error(error, "\"%s\" holds %llu events that were "
                                  "captured for %s: start nginx with that "
                                  "once, choose another path with \"queue\", "
                                  "or move the file away",
                                  ring->path, (unsigned long long) n, what);
    }

    (void) klaviyo_ring_error(note, "the \"%s\" has changed, %llu events that "
                              "wait in \"%s\" go out with the new one",
                              klaviyo_ring_owner_differs(was, now),
                              (unsigned long long) n, ring->path);

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_owner_set(klaviyo_ring_t *ring, const klaviyo_ring_conf_t *conf,
    char *error)
{
    klaviyo_ring_owner_t  owner;

    if (conf->print == NULL) {
        return KLAVIYO_RING_OK;
    }

    if (conf->print(conf->print_data, ring->fixed.uuid, &owner.print) != 0) {
        return klaviyo_ring_error(error, "\"%s\": HMAC failed", ring->path);
    }

    owner.crc = klaviyo_ring_owner_crc(&owner);

    memcpy(klaviyo_ring_owner(ring), &owner, sizeof(klaviyo_ring_owner_t));

    return KLAVIYO_RING_OK;
}


void
klaviyo_ring_own(klaviyo_ring_t *ring, int64_t master)
{
    if (!klaviyo_ring_detached(ring)) {
        __atomic_store_n(&ring->shared->master, master, __ATOMIC_RELAXED);
    }
}
