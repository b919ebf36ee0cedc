/*
 * The spool: what is written comes back, whatever happens to the files; what
 * does not come back shows as a gap of the right length.
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "spool.h"
#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_spool_dir.h"
#include "queue/klaviyo_spool_inspect.h"
#include "queue/klaviyo_spool_private.h"
#include "queue/klaviyo_spool_state.h"


#define MB     (1024 * 1024)
#define FIRST  (UINT64_C(1) << 48)


static char      dir[128];
static unsigned  unreadable;         /* entries until a readdir() fails     */


struct dirent *__real_readdir(DIR *list);
struct dirent *__wrap_readdir(DIR *list);


struct dirent *
__wrap_readdir(DIR *list)
{
    if (unreadable && --unreadable == 0) {
        errno = EIO;
        return NULL;
    }

    return __real_readdir(list);
}


static void
fresh(void)
{
    ring_folder();
    snprintf(dir, sizeof(dir), "%s/spool/shop", ring_dir);
}


static void
names(uint64_t number, char *path, size_t size)
{
    snprintf(path, size, "%s/%016" PRIx64 ".spool", dir, number);
}


/* changes one byte of a file in the spool */

static void
damage(const char *name, off_t offset)
{
    int      fd;
    char     path[256];
    uint8_t  byte;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_RDWR);

    byte = 0;
    ok(fd != -1 && pread(fd, &byte, 1, offset) == 1, "byte of %s", name);
    byte ^= 0x55;
    ok(pwrite(fd, &byte, 1, offset) == 1, "damaged");
    close(fd);
}


static void
damage_segment(uint64_t number, off_t offset)
{
    char  name[KLAVIYO_SPOOL_NAME_MAX];

    klaviyo_spool_segment_name(number, name);
    damage(name, offset);
}


static unsigned
files(const char *path, const char *suffix)
{
    DIR            *list;
    size_t          len;
    unsigned        n;
    struct dirent  *entry;

    list = opendir(path);
    n = 0;

    while (list && (entry = readdir(list)) != NULL) {
        len = strlen(entry->d_name);

        n += len > strlen(suffix)
             && strcmp(entry->d_name + len - strlen(suffix), suffix) == 0;
    }

    if (list) {
        closedir(list);
    }

    return n;
}


static klaviyo_spool_state_t *
state(klaviyo_spool_t *spool)
{
    klaviyo_spool_state(spool, &spool_st);

    return &spool_st;
}


static void
test_chunk(void)
{
    unsigned           i, added;
    ring_event_t       e;
    klaviyo_chunk_t    chunk;
    klaviyo_record_t   r;

    memset(&chunk, 0, sizeof(chunk));

    is_int(klaviyo_chunk_next(&chunk, 0, &r), KLAVIYO_RING_EMPTY, "empty");

    for (i = 10; i < 20; i += 2) {
        is_int(spool_add(&chunk, i, i * 10), 1, "added");
    }

    is_int(chunk.events, 5, "five events");
    ok(chunk.from == 10 && chunk.to == 19, "from 10 to 19");
    is_int(spool_add(&chunk, 18, 5), -1, "not twice");

    is_int(klaviyo_chunk_next(&chunk, 10, &r), KLAVIYO_RING_OK, "the first");
    is_int(r.seq, 10, "is 10");
    is_int(klaviyo_chunk_next(&chunk, 11, &r), KLAVIYO_RING_OK, "behind 11");
    ok(r.seq == 12 && r.missing == 1, "is 12, one missing");
    is_int(klaviyo_chunk_next(&chunk, 18, &r), KLAVIYO_RING_OK, "forward");
    is_int(r.seq, 18, "is 18");
    is_int(klaviyo_chunk_next(&chunk, 19, &r), KLAVIYO_RING_EMPTY, "end");
    is_int(klaviyo_chunk_next(&chunk, 13, &r), KLAVIYO_RING_OK, "back");
    ok(r.seq == 14 && r.missing == 1, "is 14, one missing");
    is_int(klaviyo_chunk_next(&chunk, 9, &r), KLAVIYO_RING_EMPTY,
           "of what is before it, it knows nothing");

    klaviyo_chunk_reset(&chunk);
    is_int(klaviyo_chunk_next(&chunk, 10, &r), KLAVIYO_RING_EMPTY, "reset");

    for (added = 0; spool_add(&chunk, added, 8000) == 1; added++) { }

    ok(added > 120 && added < 131, "a megabyte of events: %u", added);
    ok(chunk.used <= chunk.size, "it has not grown");

    klaviyo_chunk_reset(&chunk);
    ring_event(&e, 0, 0, 10);
    e.event.attributes_len = 3 * MB;
    e.event.attributes = calloc(1, 3 * MB);
    is_int(chunk_put(&chunk, 1, &e.event), 1, "a large one alone");
    is_int(chunk_put(&chunk, 2, &e.event), 0, "not two");
    free((void *) e.event.attributes);

    klaviyo_chunk_reset(&chunk);

#if (SIZE_MAX > UINT32_MAX)

    /* lengths that would be small ones in 32 bits */

    ring_event(&e, 0, 0, 10);
    e.event.profile_len = ((size_t) 1 << 32) + 10;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "no profile of 4 GB");
    ring_event(&e, 0, 0, 10);
    e.event.attributes_len = ((size_t) 1 << 32) + 10;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "nor attributes");

#endif

    ring_event(&e, 0, 0, 10);
    e.event.unique_id_len = 256;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "nor a longer id");
    e.event.unique_id_len = 0;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "nor none");
    is_int(chunk.events, 0, "nothing was added");

    klaviyo_chunk_free(&chunk);
}


static void
test_plain(void)
{
    char                path[256];
    uint64_t            seq;
    struct stat         st;
    spool_taken_t       taken;
    klaviyo_spool_t    *spool, *other;
    klaviyo_spool_rc_e  rc;

    fresh();
    spool = spool_open(dir, 32 * MB);

    ok(spool != NULL, "opened: two directories made");
    is_int(state(spool)->used, 0, "nothing in it");
    is_int(stat(dir, &st) == 0 ? st.st_mode & 0777 : 0, 0700, "its mode");
    snprintf(path, sizeof(path), "%s/state", dir);
    is_int(stat(path, &st) == 0 ? st.st_mode & 0777 : 0, 0600, "the state's");

    is_int(spool_try(&other, dir, 32 * MB), KLAVIYO_SPOOL_BUSY, "in use");
    ok(strstr(ring_error, "in use") != NULL, "says so: %s", ring_error);

    is_int(spool_write(spool, 0, 10000, 500), KLAVIYO_SPOOL_OK, "written");
    ok(state(spool)->segments == 3, "three segments");
    ok(spool_st.head == 0 && spool_st.tail == 10000, "head and tail");
    is_int(spool_st.position, 1000000, "position");
    names(1, path, sizeof(path));
    is_int(stat(path, &st) == 0 ? st.st_mode & 0777 : 0, 0600, "a segment's");
    ok(st.st_size <= 2 * MB, "a segment's size");

    spool_take(spool, 0, 0, &taken);
    ok(taken.events == 10000 && !taken.wrong && !taken.missing, "read");
    ok(taken.reads <= 8, "in few reads: %" PRIu64, taken.reads);
    spool_take(spool, 4711, 0, &taken);
    ok(taken.events == 5289 && taken.first == 4711 && !taken.wrong,
       "from the middle");

    klaviyo_spool_second(spool, &seq);
    ok(seq > 3000 && seq < 4500, "second segment begins at %" PRIu64, seq);

    is_int(klaviyo_spool_forget(spool, seq - 1, ring_error),
           KLAVIYO_SPOOL_OK, "forget almost the first");
    is_int(files(dir, ".spool"), 3, "still there");
    is_int(klaviyo_spool_forget(spool, seq, ring_error), KLAVIYO_SPOOL_OK,
           "forget the first");
    is_int(files(dir, ".spool"), 2, "unlinked");
    is_int(state(spool)->head, seq, "head");
    is_int(klaviyo_spool_forget(spool, seq - 5, ring_error),
           KLAVIYO_SPOOL_OK, "backwards is nothing");
    is_int(state(spool)->head, seq, "head stays");

    klaviyo_spool_close(spool);
    spool = spool_open(dir, 32 * MB);
    ok(spool && ring_note[0] == '\0', "opened again, nothing to tell");
    ok(state(spool)->head == seq && spool_st.tail == 10000, "as it was");
    is_int(spool_st.position, 1000000, "position too");

    rc = spool_write(spool, 10005, 10100, 100);
    is_int(rc, KLAVIYO_SPOOL_OK, "written behind a gap");
    is_int(files(dir, ".spool"), 3, "in a segment of its own");
    spool_take(spool, seq, 0, &taken);
    ok(!taken.wrong && taken.missing == 5
       && taken.events == 10100 - seq - 5, "all but five");

    is_int(spool_write(spool, 10099, 10110, 10), KLAVIYO_SPOOL_ERROR,
           "not before the tail");

    is_int(klaviyo_spool_forget(spool, 10100, ring_error), KLAVIYO_SPOOL_OK,
           "forget all");
    is_int(files(dir, ".spool"), 0, "the last is unlinked too");
    is_int(state(spool)->used, 0, "no bytes");

    is_int(klaviyo_spool_forget(spool, 12000, ring_error), KLAVIYO_SPOOL_OK,
           "more was finished elsewhere");
    ok(state(spool)->head == 12000 && spool_st.tail == 12000, "both move");

    is_int(spool_write(spool, 12000, 12010, 10), KLAVIYO_SPOOL_OK, "goes on");
    klaviyo_spool_close(spool);
    spool = spool_open(dir, 32 * MB);
    ok(state(spool)->head == 12000 && spool_st.tail == 12010, "durable");
    spool_take(spool, 12000, 0, &taken);
    ok(taken.events == 10 && !taken.wrong, "read");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


static void
test_full(void)
{
    uint64_t          n, seq, used;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);

    for (n = 0; spool_write(spool, n, n + 10, 8000) == KLAVIYO_SPOOL_OK;
         n += 10)
    {
        /* void */
    }

    is_int(spool_write(spool, n, n + 10, 8000), KLAVIYO_SPOOL_FULL, "full");
    used = state(spool)->used;
    ok(used <= 4 * MB && used > 3 * MB, "within its size");
    is_int(spool_st.tail, n, "nothing of it was written");

    klaviyo_spool_second(spool, &seq);
    klaviyo_spool_forget(spool, seq, ring_error);
    is_int(spool_write(spool, n, n + 10, 8000), KLAVIYO_SPOOL_OK,
           "room again");

    klaviyo_spool_close(spool);
    ring_cleanup();
}


static void
test_adopt(void)
{
    uint8_t           uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t          n;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    memset(uuid, 7, sizeof(uuid));

    is_int(klaviyo_spool_adopt(spool, uuid, FIRST, 0, 0, 1, &n, ring_error),
           KLAVIYO_SPOOL_OK, "an empty one");
    is_int(n, 0, "has nothing");
    ok(state(spool)->head == FIRST && spool_st.tail == FIRST, "is empty");
    ok(memcmp(spool_st.ring, uuid, sizeof(uuid)) == 0
       && spool_st.adoption == 1, "belongs to the ring");

    spool_write(spool, FIRST, FIRST + 1000, 900);
    klaviyo_spool_forget(spool, FIRST + 100, ring_error);
    ok(state(spool)->segments > 2, "several segments");

    /* a new ring, everything */

    memset(uuid, 8, sizeof(uuid));
    is_int(klaviyo_spool_adopt(spool, uuid, FIRST, FIRST + 100, UINT64_MAX,
                               2, &n, ring_error), KLAVIYO_SPOOL_OK,
           "by a new ring");
    is_int(n, 900, "all that is not finished");
    ok(state(spool)->head == FIRST - 900 && spool_st.tail == FIRST,
       "numbered anew");
    spool_take(spool, FIRST - 900, 0 - UINT64_C(1000), &taken);
    ok(taken.events == 900 && !taken.wrong && !taken.missing, "all there");

    klaviyo_spool_close(spool);
    spool = spool_open(dir, 4 * MB);
    ok(memcmp(state(spool)->ring, uuid, sizeof(uuid)) == 0, "durable");

    spool_write(spool, FIRST, FIRST + 50, 900);
    is_int(state(spool)->tail, FIRST + 50, "and goes on");
    spool_take(spool, FIRST, 0, &taken);
    ok(taken.events == 50 && !taken.wrong, "with its numbers");

    /* from the middle to the middle */

    is_int(klaviyo_spool_adopt(spool, uuid, FIRST + 7, FIRST - 500,
                               FIRST - 490, 3, &n, ring_error),
           KLAVIYO_SPOOL_OK, "a piece");
    is_int(n, 10, "ten");
    ok(state(spool)->head == FIRST - 3 && spool_st.tail == FIRST + 7,
       "numbered");
    is_int(spool_st.segments, 1, "the rest is gone");
    spool_take(spool, FIRST - 3, 0 - UINT64_C(503), &taken);
    ok(taken.events == 10 && !taken.wrong && !taken.missing, "the right ten");

    spool_write(spool, FIRST + 7, FIRST + 20, 50);
    spool_take(spool, FIRST + 7, 0, &taken);
    ok(taken.events == 13 && !taken.wrong && !taken.missing,
       "what follows is not what was cut");

    klaviyo_spool_close(spool);
    spool = spool_open(dir, 4 * MB);
    spool_take(spool, FIRST + 7, 0, &taken);
    ok(taken.events == 13 && !taken.wrong && !taken.missing, "nor later");

    is_int(klaviyo_spool_adopt(spool, uuid, FIRST, FIRST + 100, FIRST + 200,
                               4, &n, ring_error),
           KLAVIYO_SPOOL_OK, "what is not there");
    ok(n == 0 && state(spool)->segments == 0, "is nothing");

    klaviyo_spool_close(spool);
    ring_cleanup();
}


/* What was written and synced, but the state not: as a crash leaves it. */

static void
test_behind_tail(void)
{
    char              saved[256];
    uint8_t           uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t          n;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 32 * MB);
    spool_write(spool, 0, 100, 700);

    snprintf(saved, sizeof(saved), "cp '%s/state' '%s/old'", dir, ring_dir);
    is_int(system(saved), 0, "the state of a moment ago");
    spool_write(spool, 100, 3000, 300);
    klaviyo_spool_close(spool);

    snprintf(saved, sizeof(saved), "cp '%s/old' '%s/state'", ring_dir, dir);
    is_int(system(saved), 0, "back");

    spool = spool_open(dir, 32 * MB);
    is_int(state(spool)->tail, 100, "not committed");
    memset(uuid, 9, sizeof(uuid));
    klaviyo_spool_adopt(spool, uuid, FIRST, 0, UINT64_MAX, 1, &n, ring_error);
    is_int(n, 3000, "adoption finds them all");
    spool_take(spool, FIRST - 3000, FIRST - 3000, &taken);
    ok(taken.events == 3000 && !taken.wrong && !taken.missing, "whole");
    klaviyo_spool_close(spool);

    /* the ring is still there: they are written once more */

    is_int(system(saved), 0, "back again");
    spool = spool_open(dir, 32 * MB);
    spool_write(spool, 103, 110, 20);
    spool_take(spool, 0, 0, &taken);
    ok(taken.events == 107 && taken.missing == 3 && !taken.wrong,
       "what was not committed is not found again");
    klaviyo_spool_close(spool);

    /* damage among them ends the search */

    ring_cleanup();
    fresh();
    spool = spool_open(dir, 32 * MB);
    spool_write(spool, 0, 100, 700);
    snprintf(saved, sizeof(saved), "cp '%s/state' '%s/old'", dir, ring_dir);
    is_int(system(saved), 0, "a state");
    n = state(spool)->used;
    spool_write(spool, 100, 200, 300);
    klaviyo_spool_close(spool);
    snprintf(saved, sizeof(saved), "cp '%s/old' '%s/state'", ring_dir, dir);
    is_int(system(saved), 0, "back");
    damage_segment(1, (off_t) n + 5000);
    spool = spool_open(dir, 32 * MB);
    klaviyo_spool_adopt(spool, uuid, FIRST, 0, UINT64_MAX, 1, &n, ring_error);
    ok(n > 105 && n < 120, "up to the damage: %" PRIu64, n);
    spool_take(spool, FIRST - n, FIRST - n, &taken);
    ok(taken.events == n && !taken.wrong && !taken.missing, "whole");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


static void
test_gaps(void)
{
    char              path[256];
    unsigned          i;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);

    for (i = 0; i < 20; i++) {
        spool_write(spool, i * 100, i * 100 + 100, 900);
    }

    ok(state(spool)->segments >= 8, "several segments");
    klaviyo_spool_close(spool);

    /* a payload, a header, a segment's header, a file */

    damage_segment(1, 4096 + 40 + 200);
    damage_segment(2, 4096 + 1008 * 10 + 3);
    damage_segment(3, 20);
    names(5, path, sizeof(path));
    is_int(unlink(path), 0, "one is gone");

    spool = spool_open(dir, 4 * MB);
    ok(spool != NULL, "opened");
    spool_take(spool, 0, 0, &taken);
    is_int(taken.wrong, 0, "nothing wrong");
    is_int(taken.events + taken.missing, 2000, "gaps of the right length");
    ok(taken.missing > 2 + 400 && taken.missing < 2 + 560,
       "two events and two segments: %" PRIu64, taken.missing);
    spool_take(spool, 1, 0, &taken);
    ok(taken.first == 1 && taken.events > 1400, "behind the damage");

    is_int(spool_write(spool, 2000, 2010, 10), KLAVIYO_SPOOL_OK, "goes on");
    klaviyo_spool_forget(spool, 2000, ring_error);
    is_int(files(dir, ".spool"), 1, "damaged ones go with the others");

    /* and one that goes while the spool is open, before it was read */

    klaviyo_spool_close(spool);
    ring_cleanup();
    fresh();
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 1000, 900);
    spool_write(spool, 1000, 2000, 900);
    klaviyo_spool_close(spool);
    spool = spool_open(dir, 4 * MB);
    names(1, path, sizeof(path));
    is_int(unlink(path), 0, "the first goes");
    spool_take(spool, 0, 0, &taken);
    ok(taken.missing > 200 && taken.missing < 300 && !taken.wrong
       && taken.events + taken.missing == 2000, "it is a gap: %" PRIu64,
       taken.missing);

    /* cut short behind the committed tail's back */

    names(state(spool)->segments ? 9 : 9, path, sizeof(path));
    klaviyo_spool_close(spool);

    ring_cleanup();

    fresh();
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 100, 900);
    names(1, path, sizeof(path));
    is_int(truncate(path, 4096 + 50000), 0, "truncated");
    spool_take(spool, 0, 0, &taken);
    ok(taken.events > 40 && taken.events < 60
       && taken.events + taken.missing == 100 && !taken.wrong, "a gap");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


/* a segment's head with one byte that is another one */

static void
test_head(void)
{
    unsigned          i;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    static const off_t  at[] = {
        offsetof(klaviyo_spool_head_t, magic),
        offsetof(klaviyo_spool_head_t, version),
        offsetof(klaviyo_spool_head_t, uuid),
        offsetof(klaviyo_spool_head_t, number),
        offsetof(klaviyo_spool_head_t, first),
        offsetof(klaviyo_spool_head_t, crc)
    };

    for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        fresh();
        spool = spool_open(dir, 4 * MB);
        spool_write(spool, 0, 1000, 900);
        spool_write(spool, 1000, 2000, 900);
        klaviyo_spool_close(spool);

        damage_segment(2, at[i]);

        spool = spool_open(dir, 4 * MB);
        spool_take(spool, 0, 0, &taken);
        ok(taken.wrong == 0 && taken.missing > 200 && taken.missing < 300
           && taken.events + taken.missing == 2000,
           "without the one segment: %" PRIu64, taken.missing);
        klaviyo_spool_close(spool);
        ring_cleanup();
    }
}


static void
test_state(void)
{
    char              path[256], text[512];
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 10, 100);
    spool_write(spool, 10, 20, 100);
    klaviyo_spool_close(spool);

    /* generations: 1 open, 2 and 3 written */

    damage("state", 4096 + 30);
    spool = spool_open(dir, 4 * MB);
    ok(spool && ring_note[0] == '\0', "one slot is enough");
    is_int(state(spool)->tail, 10, "the one before");
    klaviyo_spool_close(spool);

    damage("state", 30);
    damage("state", 4096 + 30);
    spool = spool_open(dir, 4 * MB);
    ok(spool != NULL, "no slot: starts anew");
    ok(strstr(ring_note, ".corrupt-") != NULL, "says so: %s", ring_note);
    is_int(state(spool)->tail, 0, "empty");
    is_int(files(dir, ".spool"), 0, "segments were moved");
    snprintf(text, sizeof(text), "ls %s/.corrupt-*/state "
             "%s/.corrupt-*/*.spool > /dev/null", dir, dir);
    is_int(system(text), 0, "all is there");
    is_int(spool_write(spool, 5, 8, 100), KLAVIYO_SPOOL_OK, "works");
    klaviyo_spool_close(spool);

    /* segments without a state */

    snprintf(path, sizeof(path), "%s/state", dir);
    is_int(unlink(path), 0, "the state is gone");
    spool = spool_open(dir, 4 * MB);
    ok(spool && ring_note[0] != '\0', "moved aside too: %s", ring_note);
    klaviyo_spool_close(spool);
    is_int(truncate(path, 0), 0, "an empty state");
    spool = spool_open(dir, 4 * MB);
    ok(spool && ring_note[0] == '\0', "of nothing is no damage");
    klaviyo_spool_close(spool);

    /* what is not ours */

    snprintf(text, sizeof(text), "cd '%s' && rm -rf state .corrupt* && "
             "echo hello, this is a poem > state && "
             "echo x > README && echo y > 0.spool && "
             "echo z > 00000000000000zz.spool && mkdir sub", dir);
    is_int(system(text), 0, "other files");
    is_int(spool_try(&spool, dir, 4 * MB), KLAVIYO_SPOOL_ERROR, "refused");
    ok(strstr(ring_error, "some other file") != NULL, "%s", ring_error);
    is_int(unlink(path), 0, "the poem goes");
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 10, 100);
    klaviyo_spool_forget(spool, 10, ring_error);
    klaviyo_spool_close(spool);
    snprintf(text, sizeof(text), "cd '%s' && ls README 0.spool "
             "00000000000000zz.spool sub > /dev/null", dir);
    is_int(system(text), 0, "the others are left alone");

    /* another version */

    snprintf(text, sizeof(text), "cd '%s' && "
             "printf '\\377' | dd of=state bs=1 seek=8 conv=notrunc "
             "2> /dev/null && printf '\\377' | "
             "dd of=state bs=1 seek=4104 conv=notrunc 2> /dev/null", dir);
    is_int(system(text), 0, "another version");
    spool = spool_open(dir, 4 * MB);
    ok(spool && strstr(ring_note, ".version-") != NULL, "%s", ring_note);
    klaviyo_spool_close(spool);

    /* left-overs of a crash */

    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 10, 100);
    snprintf(text, sizeof(text), "cd '%s' && cp 0000000000000001.spool "
             "0000000000000007.spool && touch 0000000000000000.spool", dir);
    is_int(system(text), 0, "left-overs");
    klaviyo_spool_close(spool);
    spool = spool_open(dir, 4 * MB);
    is_int(files(dir, "1.spool"), 1, "kept what counts");
    is_int(files(dir, "7.spool") + files(dir, "0000.spool"), 0,
           "unlinked what does not");
    spool_take(spool, 0, 0, &taken);
    is_int(taken.events, 10, "all there");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


static void
salvaged(const klaviyo_event_t *event)
{
    (void) event;
}


static uint64_t         came;        /* by salvage                          */
static int64_t          times;       /* of them, added up                   */


static void
came_out(const klaviyo_event_t *event)
{
    came++;
    times += event->time;

    if (event->profile_len < 20 || event->attributes_len != 300
        || event->unique_id_len < 4 || event->unique_id[0] != 'w'
        || event->profile != event->unique_id + event->unique_id_len
        || event->attributes != event->profile + event->profile_len)
    {
        came += 1000;
    }
}


static void
salvage_is(unsigned aside, klaviyo_spool_rc_e rc, const char *why,
    const char *what)
{
    char  to[128];

    came = 0;
    times = 0;
    strcpy(to, "as before");

    is_int(klaviyo_spool_salvage(dir, aside, came_out, to, ring_error), rc,
           "%s", what);

    if (rc == KLAVIYO_SPOOL_OK) {
        is_int(strncmp(to, ".corrupt-", 9) == 0, aside, "moved: \"%s\"", to);

    } else {
        ok(strstr(ring_error, why) != NULL, "%s", ring_error);
    }
}


/* what can be had of a spool whose state is lost */

static void
test_salvage(void)
{
    char              path[256], text[512];
    klaviyo_spool_t  *spool;

    fresh();
    salvage_is(0, KLAVIYO_SPOOL_NONE, "stat()", "no directory");

    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 2000, 300);
    is_int(state(spool)->segments, 4, "four segments");
    salvage_is(0, KLAVIYO_SPOOL_BUSY, "stop nginx first", "in use");
    klaviyo_spool_close(spool);

    salvage_is(0, KLAVIYO_SPOOL_NONE, "can be used as it is", "a good one");
    is_int(came, 0, "nothing comes out");

    damage("state", 30);
    damage("state", 4096 + 30);
    is_int(klaviyo_spool_inspect(&spool, dir, ring_error),
           KLAVIYO_SPOOL_ERROR, "a damaged one");
    ok(strstr(ring_error, "neither slot is whole") != NULL, "%s", ring_error);

    salvage_is(0, KLAVIYO_SPOOL_OK, "", "is salvaged");
    is_int(came, 2000, "all come out");
    is_int(times, 2000 * 1000000 + 1999 * 1000, "with their times");
    is_int(files(dir, ".spool"), 4, "it is where it was");

    /* a payload, a header, the end of a record */

    damage_segment(1, 4096 + 40 + 200);
    damage_segment(2, 4096 + 8);
    names(3, path, sizeof(path));
    snprintf(text, sizeof(text), "truncate -s -400 '%s'", path);
    is_int(system(text), 0, "cut short");
    salvage_is(1, KLAVIYO_SPOOL_OK, "", "what is left");
    is_int(came, 1997, "comes out");
    is_int(files(dir, ".spool"), 0, "it was moved aside");

    salvage_is(0, KLAVIYO_SPOOL_NONE, "there is no spool", "nothing more");
    is_int(klaviyo_spool_inspect(&spool, dir, ring_error), KLAVIYO_SPOOL_OK,
           "nor for a guest");
    is_int(state(spool)->segments, 0, "who sees an empty one");
    klaviyo_spool_close(spool);

    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(text, sizeof(text), "echo a poem > '%s'", path);
    is_int(system(text), 0, "some other file");
    salvage_is(0, KLAVIYO_SPOOL_ERROR, "not the state of a spool", "refused");
    is_int(klaviyo_spool_inspect(&spool, dir, ring_error),
           KLAVIYO_SPOOL_ERROR, "by a guest, too");
    ok(strstr(ring_error, "not the state of a spool") != NULL, "%s",
       ring_error);

    unlink(path);
    is_int(mkdir(path, 0700), 0, "a folder");
    salvage_is(0, KLAVIYO_SPOOL_ERROR, "is a directory", "refused");

    ring_cleanup();
}


static void
probe_is(klaviyo_spool_conf_t *conf, klaviyo_spool_rc_e rc, const char *why,
    const char *what)
{
    strcpy(ring_error, "as before");

    is_int(klaviyo_spool_probe(conf, ring_error), rc, "%s", what);
    ok(strstr(ring_error, why) != NULL && (ring_error[0] != '\0') == (rc != 0),
       "says: %s", ring_error);
}


/* what may be said of a spool before it is opened, and when it is */

static void
test_probe(void)
{
    char                   path[256], text[512];
    klaviyo_spool_t       *spool;
    klaviyo_spool_conf_t   conf;

    fresh();

    memset(&conf, 0, sizeof(conf));
    conf.dir = dir;
    conf.size = KLAVIYO_SPOOL_MIN_SIZE - 1;
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "below the least", "too small");
    conf.size = (uint64_t) INT64_MAX + 1;
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "too large", "too large");
    conf.size--;
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "the largest size");
    conf.size = KLAVIYO_SPOOL_MIN_SIZE;
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "the least size");
    conf.size = 4 * MB;
    conf.dir = "/";
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "full path", "no directory");
    conf.dir = dir;
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "a new one");

    /* with events of one account, and then another's */

    memset(conf.ring, 1, sizeof(conf.ring));
    conf.print.dry_run = 1;
    is_int(klaviyo_spool_open(&spool, &conf, ring_error, ring_note),
           KLAVIYO_SPOOL_OK, "of an account");
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "in use by it");
    klaviyo_spool_close(spool);

    conf.print.dry_run = 0;
    memset(conf.print.key, 2, sizeof(conf.print.key));
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "without events it is anybody's");

    conf.print.dry_run = 1;
    is_int(klaviyo_spool_open(&spool, &conf, ring_error, ring_note),
           KLAVIYO_SPOOL_OK, "and was taken");
    spool_write(spool, 0, 10, 100);
    klaviyo_spool_close(spool);

    conf.print.dry_run = 0;
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "10 events that were captured for "
             "another \"dry_run\"", "with events it is not");
    is_int(klaviyo_spool_open(&spool, &conf, ring_error, ring_note),
           KLAVIYO_SPOOL_ERROR, "nor is it opened");

    spool = spool_open(dir, 4 * MB);
    ok(spool != NULL, "but by who does not say who it is");
    memset(spool->slot.ring, 1, sizeof(conf.ring));
    klaviyo_spool_forget(spool, 1, ring_error);
    klaviyo_spool_close(spool);
    probe_is(&conf, KLAVIYO_SPOOL_OK, "", "its own ring was asked before");
    memset(conf.ring, 3, sizeof(conf.ring));
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "9 events", "another's is asked now");

    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(text, sizeof(text), "echo a poem > '%s'", path);
    is_int(system(text), 0, "some other file");
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "some other file", "refused");

    unlink(path);
    is_int(mkdir(path, 0700), 0, "a folder");
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "is a directory", "refused");

    is_int(chmod(dir, 0777), 0, "a folder for everybody");
    rmdir(path);
    probe_is(&conf, KLAVIYO_SPOOL_ERROR, "every user", "refused");

    ring_cleanup();
}


/* a directory that cannot be read to its end has not said what it lacks */

static void
test_unreadable(void)
{
    char              path[256], to[128];
    unsigned          i, refused, told;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 100, 100);
    klaviyo_spool_close(spool);

    unreadable = 1;
    is_int(spool_try(&spool, dir, 4 * MB), KLAVIYO_SPOOL_ERROR,
           "segments that cannot be listed");
    ok(strstr(ring_error, "readdir()") != NULL, "%s", ring_error);

    unreadable = 1;
    is_int(klaviyo_spool_inspect(&spool, dir, ring_error), KLAVIYO_SPOOL_ERROR,
           "nor by a guest");
    ok(strstr(ring_error, "readdir()") != NULL, "%s", ring_error);

    unreadable = 0;
    spool = spool_open(dir, 4 * MB);
    spool_take(spool, 0, 0, &taken);
    ok(taken.events == 100 && !taken.wrong, "nothing was lost by it");
    klaviyo_spool_close(spool);

    /* wherever it breaks, moving it aside is done to its end, or again */

    snprintf(path, sizeof(path), "%s/state", dir);
    damage("state", 30);
    damage("state", 4096 + 30);

    refused = 0;
    told = 0;

    for (i = 1; i < 100; i++) {
        unreadable = i;

        if (spool_try(&spool, dir, 4 * MB) == KLAVIYO_SPOOL_OK) {
            break;
        }

        unreadable = 0;
        refused++;
        told += ring_note[0] != '\0';

        if (files(dir, ".spool") && ring_note[0] != '\0') {
            ok(0, "an empty spool beside segments");
        }
    }

    unreadable = 0;
    ok(refused > 2 && i < 100, "%u times refused", refused);
    is_int(told, 1, "once, all of it was moved aside");
    is_int(files(dir, ".spool"), 0, "nothing is left");
    is_int(state(spool)->tail, 0, "an empty one");

    spool_write(spool, 0, 100, 100);
    klaviyo_spool_close(spool);

    /* an empty state: nothing, or the rest of something, is beside it */

    is_int(truncate(path, 0), 0, "an empty state");

    unreadable = 1;
    is_int(spool_try(&spool, dir, 4 * MB), KLAVIYO_SPOOL_ERROR,
           "is not known to be a new one");
    ok(strstr(ring_error, "readdir()") != NULL, "%s", ring_error);

    unreadable = 1;
    is_int(klaviyo_spool_inspect(&spool, dir, ring_error), KLAVIYO_SPOOL_ERROR,
           "nor to a guest");
    ok(strstr(ring_error, "readdir()") != NULL, "%s", ring_error);

    unreadable = 1;
    is_int(klaviyo_spool_salvage(dir, 1, salvaged, to, ring_error),
           KLAVIYO_SPOOL_ERROR, "nor to be usable as it is");
    ok(strstr(ring_error, "readdir()") != NULL, "%s", ring_error);
    is_int(files(dir, ".spool"), 1, "the segment is there");

    ring_cleanup();
}


static void
test_owner(void)
{
    char                  path[256], text[512];
    klaviyo_spool_t      *spool;
    klaviyo_spool_conf_t  conf;

    fresh();
    spool = spool_open(dir, 4 * MB);
    klaviyo_spool_close(spool);

    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(text, sizeof(text), "cd '%s' && mv state elsewhere && "
             "ln -s elsewhere state", dir);
    is_int(system(text), 0, "a link");
    is_int(spool_try(&spool, dir, 4 * MB), KLAVIYO_SPOOL_ERROR, "refused");
    ok(strstr(ring_error, "symbolic link") != NULL, "%s", ring_error);
    unlink(path);

    is_int(chmod(dir, 0777), 0, "for everybody");
    is_int(spool_try(&spool, dir, 4 * MB), KLAVIYO_SPOOL_ERROR, "refused");
    ok(strstr(ring_error, "every user") != NULL, "%s", ring_error);
    chmod(dir, 0700);

    is_int(spool_try(&spool, dir, 1000), KLAVIYO_SPOOL_ERROR, "too small");
    is_int(spool_try(&spool, "spool", 4 * MB), KLAVIYO_SPOOL_ERROR,
           "not a full path");
    snprintf(text, sizeof(text), "%s/a/b/c", ring_dir);
    is_int(spool_try(&spool, text, 4 * MB), KLAVIYO_SPOOL_ERROR,
           "three components are too many");
    ok(strstr(ring_error, "mkdir") != NULL, "%s", ring_error);

    memset(&conf, 0, sizeof(conf));
    conf.dir = dir;
    conf.size = 4 * MB;
    is_int(klaviyo_spool_probe(&conf, ring_error), KLAVIYO_SPOOL_OK, "probe");
    is_int(access(path, F_OK), -1, "makes no state");

    if (geteuid() != 0) {
        diag("not root: ownership is not tested");
        ring_cleanup();
        return;
    }

    spool = spool_open(dir, 4 * MB);
    klaviyo_spool_close(spool);
    is_int(chown(path, 815, 815), 0, "a stranger's");
    is_int(klaviyo_spool_open(&spool, &conf, ring_error, ring_note),
           KLAVIYO_SPOOL_ERROR, "refused");
    ok(strstr(ring_error, "another user") != NULL, "%s", ring_error);

    ring_cleanup();
}


/* A limit of the file's size in the middle of a segment. */

static void
test_abandon(void)
{
    char              path[256];
    struct stat       st;
    uint64_t          before;
    struct rlimit     limit, old;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    signal(SIGXFSZ, SIG_IGN);
    spool = spool_open(dir, 32 * MB);
    spool_write(spool, 0, 100, 900);
    before = state(spool)->used;

    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = before + 50 * 1024;
    setrlimit(RLIMIT_FSIZE, &limit);

    is_int(spool_write(spool, 100, 200, 900), KLAVIYO_SPOOL_OK,
           "a segment that fails is replaced by another");
    is_int(state(spool)->abandoned, 1, "one is abandoned");
    is_int(spool_st.segments, 2, "two segments");
    names(1, path, sizeof(path));
    ok(stat(path, &st) == 0 && (uint64_t) st.st_size == before,
       "what was not committed is cut off");
    spool_take(spool, 0, 0, &taken);
    ok(taken.events == 200 && !taken.wrong && !taken.missing, "all there");

    limit.rlim_cur = 20 * 1024;
    setrlimit(RLIMIT_FSIZE, &limit);
    is_int(spool_write(spool, 200, 300, 900), KLAVIYO_SPOOL_ERROR,
           "both fail");
    ok(strstr(ring_error, "limit of a file's size") != NULL, "%s",
       ring_error);
    is_int(state(spool)->tail, 200, "nothing of it is committed");
    is_int(files(dir, ".spool"), 2, "nothing of it is left");
    setrlimit(RLIMIT_FSIZE, &old);

    is_int(spool_write(spool, 200, 300, 900), KLAVIYO_SPOOL_OK, "again");
    klaviyo_spool_close(spool);
    spool = spool_open(dir, 32 * MB);
    spool_take(spool, 0, 0, &taken);
    ok(taken.events == 300 && !taken.wrong && !taken.missing, "all there");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


/* A disk that is full, then read-only. */

static void
test_disk(void)
{
    uint64_t          n, m;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();

    if (mount("none", ring_dir, "tmpfs", 0, "size=1m") == -1) {
        diag("no mount: a full disk is not tested");
        ring_cleanup();
        return;
    }

    spool = spool_open(dir, 32 * MB);

    for (n = 0; spool_write(spool, n, n + 10, 3000) == KLAVIYO_SPOOL_OK;
         n += 10)
    {
        /* void */
    }

    ok(strstr(ring_error, "the disk is full") != NULL, "%s", ring_error);
    is_int(spool_write(spool, n, n + 10, 8000), KLAVIYO_SPOOL_ERROR, "still");
    spool_take(spool, 0, 0, &taken);
    ok(taken.events == n && !taken.wrong && !taken.missing,
       "what was written is all there: %" PRIu64, n);

    is_int(klaviyo_spool_forget(spool, n, ring_error), KLAVIYO_SPOOL_OK,
           "forgetting works on a full disk");

    for (m = n; m < n + 50; m += 10) {
        is_int(spool_write(spool, m, m + 10, 3000), KLAVIYO_SPOOL_OK,
               "and makes room");
    }

    klaviyo_spool_close(spool);

    is_int(mount("none", ring_dir, "tmpfs", MS_REMOUNT|MS_RDONLY, NULL), 0,
           "read-only");
    is_int(spool_try(&spool, dir, 32 * MB), KLAVIYO_SPOOL_ERROR, "refused");
    ok(strstr(ring_error, "read-only") != NULL, "%s", ring_error);

    umount(ring_dir);
    ring_cleanup();
}


static int  state_file;


/* what a state is taken for that has this slot, and nothing else */

static klaviyo_spool_state_e
load_with(klaviyo_spool_slot_t *slot, unsigned place)
{
    klaviyo_spool_slot_t  read;

    slot->crc = klaviyo_crc32c(0, slot, offsetof(klaviyo_spool_slot_t, crc));

    if (ftruncate(state_file, 0) == -1
        || ftruncate(state_file, KLAVIYO_SPOOL_STATE_SIZE) == -1
        || pwrite(state_file, slot, sizeof(*slot),
                  place * KLAVIYO_SPOOL_BLOCK)
           != (ssize_t) sizeof(*slot))
    {
        perror("state");
        exit(2);
    }

    return klaviyo_spool_state_load(state_file, &read);
}


#define slot_is(member, value, expected, what)                               \
    (klaviyo_spool_state_make(&slot), slot.generation = 2,                   \
     slot.tail_segment = 5, slot.tail_seq = 100, slot.head_seq = 50,         \
     slot.tail_offset = KLAVIYO_SPOOL_BLOCK, slot.member = (value),          \
     is_int(load_with(&slot, slot.generation & 1), expected, "%s", what))


/* a slot at its limits, and beyond them */

static void
test_slot(void)
{
    char                  path[256];
    uint64_t              max;
    klaviyo_spool_slot_t  slot, other, read;

    fresh();
    snprintf(path, sizeof(path), "%s/slots", ring_dir);
    state_file = open(path, O_RDWR|O_CREAT, 0600);

    max = INT64_MAX;

    slot_is(reserved, 0, KLAVIYO_SPOOL_STATE_GOOD, "a slot");
    is_int(load_with(&slot, 1), KLAVIYO_SPOOL_STATE_CORRUPT,
           "in the other's place");
    slot_is(version, KLAVIYO_SPOOL_VERSION + 1, KLAVIYO_SPOOL_STATE_VERSION,
            "another version");
    slot_is(magic[0], 'X', KLAVIYO_SPOOL_STATE_CORRUPT, "another magic");

    slot_is(generation, max - 1, KLAVIYO_SPOOL_STATE_GOOD,
            "the last generation");
    slot_is(generation, max, KLAVIYO_SPOOL_STATE_CORRUPT, "none beyond it");

    slot_is(head_seq, 100, KLAVIYO_SPOOL_STATE_GOOD, "all is finished");
    slot_is(head_seq, 101, KLAVIYO_SPOOL_STATE_CORRUPT, "and more");

    slot_is(head_segment, 5, KLAVIYO_SPOOL_STATE_GOOD, "one segment");
    slot_is(head_segment, 6, KLAVIYO_SPOOL_STATE_CORRUPT, "less than one");
    slot_is(tail_segment, max - 1, KLAVIYO_SPOOL_STATE_GOOD,
            "the last segment");
    slot_is(tail_segment, max, KLAVIYO_SPOOL_STATE_CORRUPT, "none beyond it");

    slot_is(tail_offset, 0, KLAVIYO_SPOOL_STATE_GOOD, "no segment yet");
    slot_is(tail_offset, 16, KLAVIYO_SPOOL_STATE_CORRUPT,
            "in a segment's header");
    slot_is(tail_offset, KLAVIYO_SPOOL_BLOCK + 8, KLAVIYO_SPOOL_STATE_CORRUPT,
            "in a record");
    slot_is(tail_offset, KLAVIYO_SPOOL_SEGMENT_MAX, KLAVIYO_SPOOL_STATE_GOOD,
            "a full segment");
    slot_is(tail_offset, KLAVIYO_SPOOL_SEGMENT_MAX + 16,
            KLAVIYO_SPOOL_STATE_CORRUPT, "more than full");

    /* of two the newer one, wherever it is */

    klaviyo_spool_state_make(&slot);
    slot.generation = 8;
    slot.tail_seq = 8;
    load_with(&slot, 0);

    other = slot;
    other.generation = 7;
    other.tail_seq = 7;
    other.crc = klaviyo_crc32c(0, &other, offsetof(klaviyo_spool_slot_t, crc));
    is_int(pwrite(state_file, &other, sizeof(other), KLAVIYO_SPOOL_BLOCK),
           sizeof(other), "another");
    is_int(klaviyo_spool_state_load(state_file, &read),
           KLAVIYO_SPOOL_STATE_GOOD, "two");
    is_int(read.tail_seq, 8, "the first is newer");

    other.generation = 9;
    other.crc = klaviyo_crc32c(0, &other, offsetof(klaviyo_spool_slot_t, crc));
    is_int(pwrite(state_file, &other, sizeof(other), KLAVIYO_SPOOL_BLOCK),
           sizeof(other), "another");
    klaviyo_spool_state_load(state_file, &read);
    is_int(read.tail_seq, 7, "the second is");

    /* what is no state */

    is_int(ftruncate(state_file, 0), 0, "empty");
    is_int(klaviyo_spool_state_load(state_file, &read),
           KLAVIYO_SPOOL_STATE_NEW, "is new");
    is_int(ftruncate(state_file, KLAVIYO_SPOOL_STATE_SIZE), 0, "zeroes");
    is_int(klaviyo_spool_state_load(state_file, &read),
           KLAVIYO_SPOOL_STATE_NEW, "are new");
    is_int(ftruncate(state_file, KLAVIYO_SPOOL_STATE_SIZE + 1), 0, "one more");
    is_int(klaviyo_spool_state_load(state_file, &read),
           KLAVIYO_SPOOL_STATE_OTHER, "is some other file");
    close(state_file);

    ring_cleanup();
}


/* lengths that agree with each other, and with what there is */

static void
test_sane(void)
{
    klaviyo_header_t  r;

    memset(&r, 0, sizeof(r));
    r.type = KLAVIYO_RECORD_EVENT;
    r.unique_id_len = 1;
    r.profile_len = 3;
    r.attributes_len = 4;
    r.length = 48;

    is_int(klaviyo_record_payload_len(&r), 8, "its payload");
    ok(klaviyo_record_sane(&r, 48), "a record");
    ok(!klaviyo_record_sane(&r, 47), "not of fewer bytes");
    r.length = 64;
    ok(!klaviyo_record_sane(&r, 64), "nor longer than it is");
    r.length = 48;
    r.attributes_len = 5;
    ok(!klaviyo_record_sane(&r, 64), "nor shorter");
    r.attributes_len = 5;
    r.unique_id_len = 0;
    ok(!klaviyo_record_sane(&r, 64), "nor without an id");

    r.unique_id_len = 1;
    r.attributes_len = 4;
    r.type = KLAVIYO_RECORD_PAD;
    ok(!klaviyo_record_sane(&r, 64), "nor of another type");
    r.type = KLAVIYO_RECORD_EVENT;
    r.flags = 1;
    ok(!klaviyo_record_sane(&r, 64), "nor with flags that nobody knows");
    r.flags = 0;
    r.reserved = 1;
    ok(!klaviyo_record_sane(&r, 64), "nor with more than that");
    r.reserved = 0;

    r.length = KLAVIYO_RECORD_MAX;
    r.attributes_len = KLAVIYO_RECORD_MAX - 44;
    ok(klaviyo_record_sane(&r, UINT64_MAX), "the largest");
    r.attributes_len++;
    r.length += 16;
    ok(!klaviyo_record_sane(&r, UINT64_MAX), "a byte more");
}


/* an event as large as may be, and a chunk that is filled to its last byte */

static void
test_chunk_limits(void)
{
    size_t            max;
    uint8_t          *bytes;
    ring_event_t      e;
    klaviyo_chunk_t   chunk;

    memset(&chunk, 0, sizeof(chunk));
    bytes = calloc(1, KLAVIYO_RECORD_MAX + 1);

    ring_event(&e, 0, 1, 0);
    max = KLAVIYO_RECORD_MAX - sizeof(klaviyo_header_t)
          - e.event.unique_id_len - e.event.profile_len;
    e.event.attributes = bytes;
    e.event.attributes_len = max + 1;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "a byte too large");
    e.event.attributes_len = KLAVIYO_RECORD_MAX + 1;
    is_int(chunk_put(&chunk, 1, &e.event), -1, "much too large");
    e.event.attributes_len = max;
    is_int(chunk_put(&chunk, 1, &e.event), 1, "the largest");
    is_int(chunk.used, KLAVIYO_RECORD_MAX, "fills its record");
    is_int(chunk.size, KLAVIYO_RECORD_MAX, "and the chunk");
    is_int(chunk_put(&chunk, 2, &e.event), 0, "which is full");

    klaviyo_chunk_reset(&chunk);
    e.event.attributes_len = max - 48;
    is_int(chunk_put(&chunk, 1, &e.event), 1, "room for one more");
    e.event.profile_len = 3;
    e.event.attributes_len = 8 - 3 - e.event.unique_id_len;
    is_int(chunk_put(&chunk, 2, &e.event), 1, "that is as large");
    is_int(chunk.used, chunk.size, "to the last byte");

    klaviyo_chunk_free(&chunk);
    free(bytes);
}


static void
read_is(klaviyo_spool_t *spool, uint64_t seq, uint64_t first, const char *what)
{
    klaviyo_chunk_t   chunk;
    klaviyo_record_t  r;

    memset(&chunk, 0, sizeof(chunk));

    is_int(klaviyo_spool_read(spool, seq, &chunk, ring_error),
           KLAVIYO_SPOOL_OK, "%s", what);
    is_int(chunk.from, seq, "what was asked for");

    if (klaviyo_chunk_next(&chunk, seq, &r) == KLAVIYO_RING_OK) {
        is_int(r.seq, first, "the first that is there");

    } else {
        is_int(chunk.to, first, "nothing is there up to");
    }

    klaviyo_chunk_free(&chunk);
}


/* the spool has numbers of its own, and the chunk keeps those of the ring */

static void
test_renumbered(void)
{
    uint8_t            uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t           n;
    klaviyo_chunk_t    chunk;
    klaviyo_spool_t   *spool;
    klaviyo_record_t   r;

    fresh();
    spool = spool_open(dir, 4 * MB);
    memset(uuid, 7, sizeof(uuid));
    klaviyo_spool_adopt(spool, uuid, FIRST, 0, 0, 1, &n, ring_error);

    memset(&chunk, 0, sizeof(chunk));
    spool_add(&chunk, FIRST, 100);
    spool_add(&chunk, FIRST + 1, 100);
    is_int(klaviyo_spool_write(spool, &chunk, 0, ring_error),
           KLAVIYO_SPOOL_OK, "written");
    ok(chunk.from == FIRST && chunk.to == FIRST + 2, "as it was given");
    is_int(klaviyo_chunk_next(&chunk, FIRST + 1, &r), KLAVIYO_RING_OK,
           "with its records");
    is_int(r.seq, FIRST + 1, "by their numbers");

    klaviyo_chunk_free(&chunk);
    klaviyo_spool_close(spool);
    ring_cleanup();
}


/* a segment that goes is not kept by a descriptor */

static void
test_kept(void)
{
    int               fds;
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    fds = tap_fds();

    spool_write(spool, 0, 600, 900);
    ok(state(spool)->segments > 2, "several segments");
    read_is(spool, 590, 590, "the last one");
    is_int(tap_fds(), fds + 2, "is written to, and read");

    klaviyo_spool_forget(spool, 590, ring_error);
    is_int(state(spool)->segments, 1, "the others go");
    is_int(tap_fds(), fds + 2, "it stays open");
    spool_take(spool, 590, 0, &taken);
    is_int(taken.events, 10, "and is read on");

    klaviyo_spool_forget(spool, 600, ring_error);
    is_int(state(spool)->segments, 0, "it goes, too");
    is_int(tap_fds(), fds, "and is not kept");

    spool_write(spool, 600, 610, 900);
    read_is(spool, 600, 600, "another begins");
    klaviyo_spool_close(spool);
    is_int(tap_fds(), fds - 2, "closed");

    ring_cleanup();
}


/* a reader that goes back, and segments that say nothing of themselves */

static void
test_back(void)
{
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    spool_write(spool, 0, 100, 100);
    read_is(spool, 50, 50, "the middle");
    read_is(spool, 10, 10, "back, in the same segment");
    read_is(spool, 90, 90, "forth");
    read_is(spool, 0, 0, "the beginning");
    klaviyo_spool_close(spool);

    damage_segment(1, 20);
    spool = spool_open(dir, 4 * MB);
    read_is(spool, 10, 100, "the only one is damaged");
    spool_write(spool, 100, 200, 100);
    read_is(spool, 10, 100, "the first one is");
    read_is(spool, 150, 150, "the second");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


/* one event whose record has so many bytes, a multiple of 16 */

static klaviyo_spool_rc_e
write_record(klaviyo_spool_t *spool, uint64_t seq, size_t length)
{
    ring_event_t        e;
    klaviyo_chunk_t     chunk;
    klaviyo_spool_rc_e  rc;

    ring_event(&e, 0, 0, 0);
    e.event.attributes_len = length - sizeof(klaviyo_header_t)
                             - e.event.unique_id_len - e.event.profile_len;
    e.event.attributes = calloc(1, length);

    memset(&chunk, 0, sizeof(chunk));
    chunk_put(&chunk, seq, &e.event);
    rc = klaviyo_spool_write(spool, &chunk, 0, ring_error);

    klaviyo_chunk_free(&chunk);
    free((void *) e.event.attributes);

    return rc;
}


/* a segment is filled to its last byte, and not beyond it */

static void
test_fit(void)
{
    spool_taken_t     taken;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 4 * MB);
    write_record(spool, 0, 100000);
    write_record(spool, 1, KLAVIYO_SPOOL_SEGMENT_MIN - KLAVIYO_SPOOL_BLOCK
                           - 100000);
    is_int(state(spool)->segments, 1, "to the last byte");
    is_int(spool_st.used, KLAVIYO_SPOOL_SEGMENT_MIN, "it is full");
    write_record(spool, 2, 100000);
    is_int(state(spool)->segments, 2, "the next has another");
    write_record(spool, 3, KLAVIYO_SPOOL_SEGMENT_MIN - KLAVIYO_SPOOL_BLOCK
                           - 100000 + 16);
    is_int(state(spool)->segments, 3, "nor does one more byte fit");

    /* larger than a segment: one to itself */

    write_record(spool, 4, 2 * KLAVIYO_SPOOL_SEGMENT_MIN);
    write_record(spool, 5, 1600);
    is_int(state(spool)->segments, 5, "a large one has it to itself");
    spool_take(spool, 0, 0, &taken);
    is_int(taken.events, 6, "all are read");
    klaviyo_spool_close(spool);

    ring_cleanup();
}


static void
test_large(void)
{
    uint8_t           *big;
    ring_event_t       e;
    klaviyo_chunk_t    chunk;
    klaviyo_spool_t   *spool;
    klaviyo_record_t   r;

    fresh();
    spool = spool_open(dir, 16 * MB);
    memset(&chunk, 0, sizeof(chunk));

    big = malloc(4 * MB);
    memset(big, 'x', 4 * MB);
    ring_event(&e, 0, 1, 10);
    e.event.attributes = big;
    e.event.attributes_len = 4 * MB;
    chunk_put(&chunk, 1, &e.event);
    is_int(klaviyo_spool_write(spool, &chunk, 0, ring_error),
           KLAVIYO_SPOOL_OK, "four megabytes");
    klaviyo_chunk_free(&chunk);
    spool_write(spool, 2, 10, 10);

    is_int(klaviyo_spool_read(spool, 0, &chunk, ring_error),
           KLAVIYO_SPOOL_OK, "read");
    is_int(klaviyo_chunk_next(&chunk, 0, &r), KLAVIYO_RING_OK, "a record");
    ok(r.seq == 1 && r.event.attributes_len == 4 * MB
       && memcmp(r.event.attributes, big, 4 * MB) == 0, "it is the same");

    free(big);
    klaviyo_chunk_free(&chunk);
    klaviyo_spool_close(spool);
    ring_cleanup();
}


/* by this process so far */

static uint64_t
bytes_read(void)
{
    FILE      *file;
    uint64_t   n;

    n = 0;
    file = fopen("/proc/self/io", "r");

    if (file == NULL || fscanf(file, "rchar: %" SCNu64, &n) != 1) {
        perror("/proc/self/io");
        exit(2);
    }

    fclose(file);

    return n;
}


/* a start takes as long for a full spool as for one with a little in it */

static void
test_start(void)
{
    uint64_t          n, before, after, segments;
    klaviyo_spool_t  *spool;

    fresh();
    spool = spool_open(dir, 64 * MB);

    for (n = 0; state(spool)->used < 32 * MB; n += 50) {
        if (spool_write(spool, n, n + 50, 8000) != KLAVIYO_SPOOL_OK) {
            break;
        }
    }

    segments = state(spool)->segments;
    klaviyo_spool_close(spool);

    before = bytes_read();
    spool = spool_open(dir, 64 * MB);
    after = bytes_read();

    ok(segments >= 8, "%" PRIu64 " segments of %" PRIu64 " events", segments,
       n);
    is_int(state(spool)->segments, segments, "all are there");
    is_int(spool_st.tail, n, "to the end");
    ok(after - before < segments * 1024 + 16384, "opened by reading %" PRIu64
       " bytes", after - before);

    klaviyo_spool_close(spool);
    ring_cleanup();
}


int
main(void)
{
    test_chunk();
    test_plain();
    test_full();
    test_start();
    test_adopt();
    test_behind_tail();
    test_gaps();
    test_head();
    test_state();
    test_unreadable();
    test_owner();
    test_abandon();
    test_disk();
    test_slot();
    test_sane();
    test_chunk_limits();
    test_renumbered();
    test_kept();
    test_back();
    test_fit();
    test_salvage();
    test_probe();
    test_large();

    return done_testing();
}
