/*
 * A ring of which every byte is hostile: a file that somebody attaches, looks
 * at, seizes or drains, or bytes that change while it is attached.  Checksums
 * are made to match as far as the first byte asks for it: whoever can write
 * the file can compute them too.  Nothing may crash, nothing may be read
 * beside the mapping, reading comes to an end, and whoever was alone with the
 * file has a ring on whose promises one can rely.
 *
 *     1 byte    what gets its checksum: 1 header page, 2 ack slots, 4 headers
 *               of records, 8 payloads; 16: another boot; 32: drop_oldest,
 *               or seized where it is looked at; and who has the file:
 *               0 a worker, 64 a worker who is told of another size, and
 *               drains it, 128 two who see it change under them (all of it
 *               but the mutex, which is the C library's matter), 192 the
 *               command line tool
 *     2 bytes   how much of the file is cut off, in 8 bytes
 *     the rest  what happens to a ring with a few records around its end:
 *               1 byte (3 bits what, 5 bits length), 2 bytes where, bytes
 */


#include "ring_fuzz.h"
#include "ring_promises.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_inspect.h"
#include "queue/klaviyo_ring_read.h"
#include "queue/klaviyo_ring_record.h"


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_image(void);

static void look(klaviyo_ring_open_e how);
static klaviyo_ring_t *attach(size_t size, unsigned drop_oldest);
static void alone(unsigned flags);
static void again(const klaviyo_ring_span_t *before, int boot);
static void drain(klaviyo_ring_t *ring, const klaviyo_lease_t *lease);
static void spool(klaviyo_ring_t *ring, uint64_t epoch);
static void beside(const uint8_t *data, size_t size, unsigned flags);
static void use(klaviyo_ring_t *ring, klaviyo_lease_t *lease);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;

    memset(body, 'b', sizeof(body));

    make_folder();
    make_image();

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    cut;
    unsigned  flags;

    if (size < 3) {
        return 0;
    }

    flags = data[0];
    cut = ((size_t) data[1] << 8 | data[2]) * 8;

    data += 3;
    size -= 3;

    memcpy(file, image, TOTAL);

    if ((flags & WHO) == BESIDE) {
        put_file(file, TOTAL);
        beside(data, size, flags);
        clean();

        return 0;
    }

    overwrite(file, data, size, 0);
    sign(file, flags);

    if (flags & OTHER_BOOT) {
        memcpy(file + KLAVIYO_RING_SHARED
               + offsetof(klaviyo_ring_shared_t, boot_id), "other", 5);
    }

    put_file(file, TOTAL - (cut < TOTAL ? cut : TOTAL));

    if ((flags & WHO) == LOOKS) {
        look((flags & SEIZED) ? KLAVIYO_RING_SEIZE : KLAVIYO_RING_LOOK);
        return 0;
    }

    alone(flags);
    clean();

    return 0;
}


/* A ring whose records lie around its end, with a pad there; no uuid. */

static void
make_image(void)
{
    int                    fd;
    walk_t                 w;
    unsigned               i;
    klaviyo_ring_t        *ring;
    klaviyo_event_t        event;
    klaviyo_lease_t        lease;
    klaviyo_cursor_t       from;
    klaviyo_ring_fixed_t  *fixed;
    klaviyo_header_t       header;

    ring = attach(SIZE, 0);
    must(ring != NULL
         && klaviyo_lease_open(&lease, ring) == 0
         && klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK);

    memset(&event, 0, sizeof(event));
    event.unique_id = body;
    event.unique_id_len = 16;
    event.profile = body;
    event.profile_len = 40;
    event.attributes = body;
    event.time = 1700000000000;

    for ( ;; ) {
        must(klaviyo_ring_first(ring, &from) == KLAVIYO_RING_OK);

        if (from.position > SIZE - BEFORE - 1000) {
            break;
        }

        event.attributes_len = SIZE - BEFORE - from.position - 100;

        if (event.attributes_len > SIZE / 8) {
            event.attributes_len = SIZE / 8;
        }

        must(klaviyo_ring_append(ring, &event) == KLAVIYO_RING_OK);

        memset(&w, 0, sizeof(w));
        w.at = from;
        walk(ring, &w, 1, 1);
        ack(ring, lease.epoch, &from, &w);
    }

    for (i = 0; i < RECORDS; i++) {
        event.attributes_len = 10 + i * 30;
        must(klaviyo_ring_append(ring, &event) == KLAVIYO_RING_OK);
    }

    memset(&w, 0, sizeof(w));
    w.at = from;

    for (i = 0; i < RECORDS; i++) {
        walk(ring, &w, 1, 1);
        header.length = (uint32_t) klaviyo_record_align(
                            sizeof(header) + 16 + 40 + 10 + i * 30);
        place[i] = PAGES + (w.at.position - header.length) % SIZE;
    }

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);

    fd = open(path, O_RDONLY|O_CLOEXEC);
    must(fd != -1 && read(fd, image, TOTAL) == TOTAL);
    (void) close(fd);

    fixed = (klaviyo_ring_fixed_t *) (void *) image;
    fixed->created = 0;
    memset(fixed->uuid, 0, KLAVIYO_RING_UUID_LEN);
    sign(image, SIGN_ALL);

    memset(image + KLAVIYO_RING_SHARED, 0xa5, 128);
}


static void
tell(const char *text)
{
    must(text[0] != '\0');
}


/* as the command line tool: nothing is repaired before it is read */

static void
look(klaviyo_ring_open_e how)
{
    int                   damaged;
    walk_t                w;
    uint8_t              *buf;
    uint64_t              n;
    klaviyo_ring_t       *ring;
    klaviyo_cursor_t      cursor;
    klaviyo_record_t      record;
    klaviyo_ring_span_t   span;

    if (klaviyo_ring_open(&ring, path, how, error) != KLAVIYO_RING_OK) {
        must(error[0] != '\0');
        return;
    }

    damaged = klaviyo_ring_damaged(ring, error);

    if (how == KLAVIYO_RING_SEIZE) {
        buf = malloc(klaviyo_ring_salvage_max(ring));
        must(buf != NULL);

        memset(&cursor, 0, sizeof(cursor));

        for (n = 0;
             klaviyo_ring_salvage(ring, &cursor, buf, &record)
             == KLAVIYO_RING_OK;
             n++)
        {
            must(n < MOST
                 && record.event.unique_id == buf + sizeof(klaviyo_header_t)
                 && record.event.attributes + record.event.attributes_len
                    <= buf + klaviyo_ring_salvage_max(ring));
        }

        free(buf);

    } else if (!damaged) {
        (void) klaviyo_ring_faults(ring, tell);
        must(klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK);

        memset(&w, 0, sizeof(w));
        walk(ring, &w, MOST, 0);
        w.at = span.first;
        walk(ring, &w, MOST, 0);
    }

    klaviyo_ring_detach(ring);
}


/* NULL for what is not a ring at all, and nobody's to move aside */

static klaviyo_ring_t *
attach(size_t size, unsigned drop_oldest)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = size;
    conf.drop_oldest = drop_oldest;

    if (klaviyo_ring_attach(&ring, &conf, error, note) != KLAVIYO_RING_OK) {
        must(strstr(error, "is not a queue") != NULL);
        return NULL;
    }

    return ring;
}


static void
alone(unsigned flags)
{
    int                  hidden;
    walk_t               w;
    unsigned             added;
    uint64_t             was, next, position;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;
    klaviyo_cursor_t     from;
    klaviyo_ring_span_t  span;
    klaviyo_header_t     header;

    ring = attach((flags & WHO) == DRAINS ? 2 * SIZE : SIZE,
                  flags & DROP_OLDEST);
    if (ring == NULL) {
        return;
    }

    must(klaviyo_lease_open(&lease, ring) == 0
         && klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK);

    limits(ring, &span);
    was = defect(ring);

    if ((flags & WHO) == DRAINS) {
        must(was == 0);
        drain(ring, &lease);
    }

    spool(ring, lease.epoch);
    limits(ring, &span);

    memset(&w, 0, sizeof(w));
    w.at = span.first;
    walk(ring, &w, MOST, 1);
    must(w.events + w.missing == span.end.seq - span.first.seq
         && w.at.seq == span.end.seq);

    /* some of them, then new ones, then all */

    from = span.first;
    memset(&w, 0, sizeof(w));
    w.at = from;
    walk(ring, &w, 3, 1);
    ack(ring, lease.epoch, &from, &w);
    must(defect(ring) == was);

    /* a record that has a number of theirs already hides them */

    must(klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK);
    next = span.end.seq;
    position = span.first.position;
    hidden = klaviyo_ring_seek(ring, &position, span.end.position, next,
                               &header);
    added = add(ring, (flags & DROP_OLDEST) != 0);
    limits(ring, &span);
    must(span.end.seq == next + added && defect(ring) == was);

    memset(&w, 0, sizeof(w));
    w.at = span.first;
    walk(ring, &w, MOST, 1);
    must(w.events + w.missing == span.end.seq - span.first.seq
         && (w.ours == added || hidden));

    if (flags & DROP_OLDEST) {
        fill(ring);
        limits(ring, &span);
        must(defect(ring) == was);
    }

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);

    again(&span, (flags & OTHER_BOOT) != 0);
}


/* the next start finds what this one left, after a reboot all its events */

static void
again(const klaviyo_ring_span_t *before, int boot)
{
    walk_t                w;
    uint64_t              was;
    klaviyo_ring_t       *ring;
    klaviyo_lease_t       lease;
    klaviyo_ring_span_t   span;

    if (boot) {
        other_boot();
    }

    ring = attach(before->size, 0);

    must(ring != NULL
         && klaviyo_lease_open(&lease, ring) == 0
         && klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK);

    limits(ring, &span);
    was = defect(ring);

    must(memcmp(span.uuid, before->uuid, KLAVIYO_RING_UUID_LEN) == 0
         && span.first.seq == before->first.seq
         && span.first.position == before->first.position
         && span.done == before->done
         && span.end.seq >= before->end.seq
         && (boot || span.end.seq == before->end.seq));

    memset(&w, 0, sizeof(w));
    w.at = span.first;
    walk(ring, &w, MOST, 1);
    ack(ring, lease.epoch, &span.first, &w);

    limits(ring, &span);
    must(span.used == 0 && span.done == span.end.seq && defect(ring) == was);

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


static void
drain(klaviyo_ring_t *ring, const klaviyo_lease_t *lease)
{
    unsigned  n, moved, sum;

    sum = 0;

    for (n = 0; klaviyo_ring_drains(ring); n++) {
        (void) klaviyo_ring_drain_lose(ring);
        moved = klaviyo_ring_drain(ring, lease->epoch, 5);
        must(moved <= 5 && n < MOST);
        sum += moved;
    }

    must(sum <= SIZE / (sizeof(klaviyo_header_t) + 8)
         && defect(ring) == 0);
}


/* what the spool's reader and writer do to the ring */

static void
spool(klaviyo_ring_t *ring, uint64_t epoch)
{
    walk_t               w;
    int64_t              paused;
    uint64_t             was;
    klaviyo_cursor_t     first;
    klaviyo_record_t     record;
    klaviyo_ring_span_t  span;

    static const char    limiter[24] = "limiter";
    char                 loaded[24];

    was = defect(ring);

    must(klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK
         && klaviyo_ring_first(ring, &first) == KLAVIYO_RING_OK
         && first.seq == span.done
         && first.position == span.first.position);

    memset(&w, 0, sizeof(w));
    w.at = span.first;
    walk(ring, &w, 2, 1);

    /* numbers that leave no room for those behind or before are refused */

    if (span.end.seq - w.at.seq
        > (span.end.position - w.at.position) / sizeof(klaviyo_header_t)
        || (span.end.seq == w.at.seq && span.end.position != w.at.position)
        || w.at.seq <= 7)
    {
        must(w.at.seq <= 7
             || klaviyo_ring_release(ring, epoch, &w.at)
                == KLAVIYO_RING_ERROR);
        (void) klaviyo_ring_lose(ring, epoch, span.first.seq,
                                 KLAVIYO_OUTCOME_LOST_SPOOL);
        return;
    }

    must(klaviyo_ring_release(ring, epoch, &w.at) == KLAVIYO_RING_OK
         && klaviyo_ring_adopt(ring, epoch, w.at.seq, 7, 1)
            == KLAVIYO_RING_OK
         && defect(ring) == was);

    limits(ring, &span);
    must(span.done == span.first.seq - 7);

    first = span.first;
    first.seq = span.done + 2;

    must(read_one(ring, &first, &record, 1) == KLAVIYO_RING_AGAIN
         && record.seq == first.seq
         && klaviyo_ring_lose(ring, epoch, first.seq,
                              KLAVIYO_OUTCOME_LOST_SPOOL_FULL)
            == KLAVIYO_RING_OK
         && klaviyo_ring_lose(ring, epoch, span.first.seq,
                              KLAVIYO_OUTCOME_LOST_SPOOL)
            == KLAVIYO_RING_OK
         && defect(ring) == was
         && klaviyo_ring_save(ring, epoch, 5, limiter, sizeof(limiter))
            == KLAVIYO_RING_OK
         && klaviyo_ring_load(ring, &paused, loaded, sizeof(loaded))
            == KLAVIYO_RING_OK
         && paused == 5
         && memcmp(loaded, limiter, sizeof(limiter)) == 0);
}


/* what changes under two that have it: no promise, but no harm either */

static void
beside(const uint8_t *data, size_t size, unsigned flags)
{
    klaviyo_ring_t       *ring, *guest;
    klaviyo_lease_t       lease, other;
    klaviyo_ring_span_t   span;

    ring = attach(SIZE, flags & DROP_OLDEST);
    guest = NULL;

    must(ring != NULL
         && note[0] == '\0'
         && klaviyo_lease_open(&lease, ring) == 0
         && klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK
         && klaviyo_ring_open(&guest, path, KLAVIYO_RING_JOIN, error)
            == KLAVIYO_RING_OK
         && klaviyo_lease_open(&other, guest) == 0
         && klaviyo_lease_renew(&other) == KLAVIYO_RING_BUSY);

    limits(ring, &span);
    must(defect(ring) == 0);

    overwrite(ring->map, data, size, 1);
    sign(ring->map, flags);

    use(ring, &lease);
    use(guest, &other);

    if (klaviyo_ring_verify(ring, error) == KLAVIYO_RING_DETACHED) {
        must(error[0] != '\0'
             && klaviyo_ring_read(ring, &span.first, file, 0,
                                  &(klaviyo_record_t) { .seq = 0 })
                == KLAVIYO_RING_DETACHED);
    }

    klaviyo_lease_close(&other);
    klaviyo_ring_detach(guest);
    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


static void
use(klaviyo_ring_t *ring, klaviyo_lease_t *lease)
{
    walk_t               w;
    klaviyo_ack_t        a;
    klaviyo_figures_t    figures;
    klaviyo_ring_span_t  span;

    (void) klaviyo_lease_renew(lease);
    klaviyo_ring_figures(ring, &figures);
    must(klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK);
    (void) klaviyo_ring_ahead(ring, &span.first);

    memset(&w, 0, sizeof(w));
    walk(ring, &w, MOST, 0);

    w.events = 0;
    w.missing = 0;
    w.at = span.first;
    walk(ring, &w, 3, 0);

    memset(&a, 0, sizeof(a));
    a.from = span.first;
    a.to = w.at;
    a.outcome[KLAVIYO_OUTCOME_DELIVERED] = w.events;
    a.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] = w.missing;

    (void) klaviyo_ring_ack(ring, lease->epoch, &a, 0);
    (void) add(ring, 1);
    walk(ring, &w, MOST, 0);
    (void) klaviyo_ring_release(ring, lease->epoch, &w.at);
    (void) klaviyo_ring_adopt(ring, lease->epoch, w.at.seq, 7, 1);
    (void) klaviyo_ring_lose(ring, lease->epoch, w.at.seq - 2,
                             KLAVIYO_OUTCOME_LOST_SPOOL);
    (void) klaviyo_ring_save(ring, lease->epoch, 5, body, 24);
    walk(ring, &w, MOST, 0);
}
