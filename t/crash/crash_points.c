/*
 * Each named crash point of queue, spool and dead letters, many times: a
 * process works as the deliverer does until it is killed there, another one
 * recovers as its successor, reads everything, and the next one goes on with
 * the same files.
 *
 * Claimed after each kill, exactly: every event whose append had committed
 * and whose acknowledgement had not is there, whole, once and in order, and
 * no other; none is missing between them; captured = outcomes + queued; each
 * event that is booked as dead is in the file of dead letters.  An
 * acknowledgement that was written and not committed stands as a whole or not
 * at all.
 *
 * In every second round the successor has the ring attached while the
 * process is killed, and finds the lock as it was left; in the others it is
 * alone and makes it anew.  Now and then the machine reboots: the ring is
 * gone, and what the spool has is adopted.
 *
 * KLAVIYO_CRASH_ROUNDS and KLAVIYO_CRASH_SEED in the environment.
 */


#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "ring.h"
#include "queue/klaviyo_dead.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_spill.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_read.h"


#define ROUNDS      100
#define STEPS       5000             /* of a process that is never killed   */
#define NUMBERS     (1 << 18)        /* events of one point                 */
#define SPOOL_SIZE  (4 * 1024 * 1024)
#define BATCH       40
#define HIGH        1200             /* events queued: no more are made     */

#define QUEUED      1                /* has to come                         */
#define MAYBE       2


/* what the process reports, so that its successor knows */

typedef enum {
    IDLE = 0,
    APPEND,                          /* of number next - 1                  */
    ACK                              /* of the numbers in batch             */
} doing_e;

typedef struct {
    doing_e   doing;
    unsigned  next;                  /* number of the next event            */
    unsigned  batch[BATCH];
    unsigned  n;                     /* in batch                            */
    unsigned  dead;                  /* written, all together               */
    uint8_t   queued[NUMBERS];       /* 0: may not come                     */
    uint8_t   spooled[NUMBERS];      /* 1: the spool has it                 */
    uint8_t   letter[NUMBERS];       /* 1: is booked as dead                */
} report_t;


/* and how many visits a process survives, at most */

static const struct {
    const char  *name;
    unsigned     visits;
} points[] = {
    { "after_lock", 60 },
    { "middle_of_slot", 60 },
    { "after_copy", 60 },
    { "before_commit", 60 },
    { "after_commit", 60 },
    { "before_ack_commit", 20 },
    { "after_ack_commit", 20 },
    { "spool_created", 4 },
    { "spool_written", 8 },
    { "spool_synced", 8 },
    { "spool_state_written", 12 },
    { "spool_committed", 8 },
    { "spool_forget_committed", 8 },
    { "spool_unlinked", 4 },
    { "spool_adopted", 1 },          /* no process adopts twice             */
    { "dead_written", 8 },
    { "dead_synced", 8 }
};

static report_t         *report;
static klaviyo_ring_t   *ring;
static klaviyo_spool_t  *spool;
static klaviyo_lease_t   lease;
static klaviyo_chunk_t   out;
static klaviyo_chunk_t   ahead;

static char              crash_path[128], spool_dir[128], dead_path[128];
static const char       *point;
static unsigned          round_n;
static unsigned          faults;
static unsigned          uncommitted;    /* an acknowledgement              */
static uint64_t          seed;


#define check(cond, ...)                                                     \
    do {                                                                     \
        if (!(cond)) {                                                       \
            wrong(__LINE__, __VA_ARGS__);                                    \
        }                                                                    \
    } while (0)


/* told a few times; a process that works ends with it */

__attribute__((format(printf, 2, 3))) static void
wrong(int line, const char *fmt, ...)
{
    va_list  args;

    if (faults++ > 5) {
        return;
    }

    printf("#   line %d, %s, round %u: ", line, point, round_n);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}


static unsigned
random_below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return (unsigned) ((seed >> 11) % n);
}


static void
equation(void)
{
    int                i;
    uint64_t           sum;
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    sum = f.queued + f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
          + f.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += f.outcome[i];
    }

    check(sum == f.captured, "captured %" PRIu64 ", outcomes and queued %"
          PRIu64, f.captured, sum);
}


/* attached already: `ring` */

static void
recover(void)
{
    int                    tries;
    uint64_t               n;
    klaviyo_spill_e        todo;
    klaviyo_ring_rc_e      rc;
    klaviyo_ring_conf_t    conf;
    klaviyo_spool_conf_t   spool_conf;
    klaviyo_spill_plan_t   plan;
    klaviyo_spool_state_t  state;

    if (ring == NULL) {
        memset(&conf, 0, sizeof(conf));
        memset(&conf, 0, sizeof(conf));
        conf.path = ring_path;
        conf.size = RING_SIZE;

        rc = klaviyo_ring_attach(&ring, &conf, ring_error, ring_note);
        check(rc == KLAVIYO_RING_OK, "attach: %s", ring_error);
        check(ring_note[0] == '\0', "attach: %s", ring_note);
    }

    check(klaviyo_lease_open(&lease, ring) == 0, "no lease");
    check(klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK, "lease not free");
    equation();

    memset(&spool_conf, 0, sizeof(spool_conf));
    spool_conf.dir = spool_dir;
    spool_conf.size = SPOOL_SIZE;

    check(klaviyo_spool_open(&spool, &spool_conf, ring_error, ring_note)
          == KLAVIYO_SPOOL_OK, "open: %s", ring_error);
    check(ring_note[0] == '\0', "open: %s", ring_note);

    for (tries = 0; tries < 5; tries++) {
        klaviyo_spool_state(spool, &state);
        todo = klaviyo_spill_plan(ring, &state, &plan);

        if (todo != KLAVIYO_SPILL_ADOPT) {
            break;
        }

        check(klaviyo_spool_adopt(spool, plan.ring, plan.first, plan.from,
                                  plan.to, plan.adoption, &n, ring_error)
              == KLAVIYO_SPOOL_OK, "adopt: %s", ring_error);

        rc = klaviyo_spill_adopted(ring, lease.epoch, &plan, n);
        check(rc == KLAVIYO_RING_OK, "adopted: %d", rc);
    }

    check(todo == KLAVIYO_SPILL_READY, "plan: %d", todo);

    if (plan.release) {
        rc = klaviyo_ring_release(ring, lease.epoch, &plan.copied);
        check(rc == KLAVIYO_RING_OK, "release: %d", rc);
    }

    equation();
}


static void
leave(unsigned attached)
{
    klaviyo_chunk_free(&out);
    klaviyo_chunk_free(&ahead);
    klaviyo_spool_close(spool);
    spool = NULL;
    klaviyo_lease_close(&lease);

    if (!attached) {
        klaviyo_ring_detach(ring);
        ring = NULL;
    }
}


static void
append(void)
{
    unsigned           i;
    klaviyo_ring_rc_e  rc;
    klaviyo_figures_t  f;

    for (i = random_below(12) + 1; i; i--) {

        klaviyo_ring_figures(ring, &f);

        if (f.used > f.size * 9 / 10 || f.queued > HIGH
            || report->next == NUMBERS)
        {
            return;
        }

        report->doing = APPEND;
        report->next++;

        rc = ring_append(ring, 0, report->next - 1, 20 + random_below(3000));

        report->queued[report->next - 1] = (rc == KLAVIYO_RING_OK) * QUEUED;
        report->doing = IDLE;

        check(rc == KLAVIYO_RING_OK, "append: %d", rc);
    }
}


/* 0: an event, its number in *n and *cursor behind it; -1: no more */

static int
next(klaviyo_cursor_t *cursor, unsigned *n)
{
    uint8_t            buf[16384];
    unsigned           writer, tries;
    klaviyo_stream_t   stream;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;
    stream.chunk = &ahead;

    for (tries = 0; tries < 3; tries++) {
        rc = klaviyo_stream_read(&stream, cursor, buf, sizeof(buf), &record);

        if (rc != KLAVIYO_RING_AGAIN) {
            break;
        }

        check(klaviyo_spool_read(spool, stream.wanted, &ahead, ring_error)
              == KLAVIYO_SPOOL_OK, "read: %s", ring_error);
    }

    if (rc == KLAVIYO_RING_EMPTY) {
        return -1;
    }

    check(rc == KLAVIYO_RING_OK, "read: %d", rc);

    if (rc != KLAVIYO_RING_OK) {
        return -1;
    }

    check(record.missing == 0, "%" PRIu64 " missing", record.missing);

    if (!ring_same(&record, &writer, n) || writer != 0 || *n >= NUMBERS) {
        check(0, "a corrupt event, %" PRIu64, record.seq);
        return -1;
    }

    *cursor = record.next;

    return 0;
}


static void
letters(const unsigned *batch, unsigned n)
{
    char                 lines[BATCH * 64];
    size_t               len;
    uint64_t             dropped;
    unsigned             i;
    klaviyo_dead_conf_t  conf;

    for (i = 0, len = 0; i < n; i++) {
        if (batch[i] % 5 == 0) {
            len += (size_t) sprintf(lines + len, "{\"n\":%u,\"end\":%u}\n",
                                    batch[i], batch[i]);
        }
    }

    if (len == 0) {
        return;
    }

    memset(&conf, 0, sizeof(conf));
    conf.path = dead_path;
    conf.size = (uint64_t) 1 << 30;

    check(klaviyo_dead_write(&conf, (uint8_t *) lines, len, &dropped,
                             ring_error)
          == KLAVIYO_RING_OK, "dead letters: %s", ring_error);
    check(dropped == 0, "%" PRIu64 " letters dropped", dropped);
}


/* the acknowledgement of report->batch stands */

static void
acked(void)
{
    unsigned  i, n;

    for (i = 0; i < report->n; i++) {
        n = report->batch[i];
        report->queued[n] = 0;
        report->letter[n] = (n % 5 == 0);
    }

    report->n = 0;
}


static void
take(unsigned max)
{
    unsigned           i;
    klaviyo_ack_t      ack;
    klaviyo_cursor_t   cursor;
    klaviyo_ring_rc_e  rc;

    memset(&ack, 0, sizeof(ack));

    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;

    for (report->n = 0; report->n < max; report->n++) {
        if (next(&cursor, &report->batch[report->n]) == -1) {
            break;
        }
    }

    for (i = 0; i < report->n; i++) {
        ack.outcome[report->batch[i] % 5 ? KLAVIYO_OUTCOME_DELIVERED
                                         : KLAVIYO_OUTCOME_DEAD_REFUSED]++;
    }

    letters(report->batch, report->n);

    ack.to = cursor;

    report->doing = ACK;
    rc = klaviyo_ring_ack(ring, lease.epoch, &ack, 0);
    acked();
    report->doing = IDLE;

    check(rc == KLAVIYO_RING_OK, "ack: %d", rc);
}


/* 1: something was written */

static int
spill(unsigned release)
{
    unsigned               writer, n;
    uint64_t               seq;
    klaviyo_cursor_t       copied;
    klaviyo_record_t       record;
    klaviyo_ring_rc_e      rc;
    klaviyo_ring_span_t    span;
    klaviyo_spool_rc_e     wrote;
    klaviyo_spool_state_t  state;

    klaviyo_spool_state(spool, &state);
    klaviyo_ring_span(ring, &span);

    copied.seq = state.tail;
    copied.position = state.position;

    if (state.tail <= span.first.seq) {
        copied = span.first;
    }

    klaviyo_chunk_reset(&out);

    if (klaviyo_spill_copy(ring, &copied, &out) != KLAVIYO_RING_OK) {
        return 0;
    }

    wrote = klaviyo_spool_write(spool, &out, copied.position, ring_error);

    if (wrote == KLAVIYO_SPOOL_FULL) {
        return 0;
    }

    check(wrote == KLAVIYO_SPOOL_OK, "write: %s", ring_error);

    for (seq = out.from;
         klaviyo_chunk_next(&out, seq, &record) == KLAVIYO_RING_OK;
         seq = record.next.seq)
    {
        check(ring_same(&record, &writer, &n) && n < report->next, "copied");
        report->spooled[n % NUMBERS] = 1;
    }

    if (release) {
        rc = klaviyo_ring_release(ring, lease.epoch, &copied);
        check(rc == KLAVIYO_RING_OK, "release: %d", rc);
    }

    return 1;
}


static void
forget(void)
{
    klaviyo_ring_span_t  span;

    klaviyo_ring_span(ring, &span);

    check(klaviyo_spool_forget(spool, span.done, ring_error)
          == KLAVIYO_SPOOL_OK, "forget: %s", ring_error);
}


/* a process of its own, with a ring and a spool that it attached itself */

static void
work(void)
{
    unsigned  i;

    setenv("KLAVIYO_CRASH", crash_path, 1);

    recover();

    for (i = 0; i < STEPS && faults == 0; i++) {

        switch (random_below(8)) {

        case 0: case 1: case 2:
            append();
            break;

        case 3: case 4:
            (void) spill(random_below(4));
            break;

        case 5: case 6:
            take(1 + random_below(BATCH));
            break;

        default:
            forget();
        }
    }

    _exit(faults ? 1 : 0);
}


/* 1: an event that need not have come, and did not */

static unsigned
missed(unsigned n)
{
    check(report->queued[n] != QUEUED, "event %u is not there", n);

    if (report->queued[n] == 0) {
        return 0;
    }

    report->queued[n] = 0;
    report->letter[n] = (uncommitted && n % 5 == 0);

    return 1;
}


/* everything that is queued, without taking it */

static void
look(void)
{
    unsigned          n, low, got, came, gone;
    klaviyo_cursor_t  cursor;

    klaviyo_ring_first(ring, &cursor);

    low = 0;
    came = 0;
    gone = 0;

    for (got = 0; next(&cursor, &n) == 0; got++) {

        check(n >= low, "event %u again, or out of order", n);

        while (low < n) {
            gone += missed(low++);
        }

        check(report->queued[n] != 0, "event %u is there", n);
        came += (report->queued[n] == MAYBE);
        low = n + 1;

        if (!uncommitted) {
            report->queued[n] = QUEUED;
        }
    }

    while (low < report->next) {
        gone += missed(low++);
    }

    check(!uncommitted || came == 0 || gone == 0,
          "half of an acknowledgement: %u and %u", came, gone);
    check(ring_queued(ring) == got, "%" PRIu64 " queued, %u read",
          ring_queued(ring), got);
}


/*
 * For who was attached the acknowledgement does not stand.  Its bytes do, for
 * who attaches alone next, unless another change has come over them.
 */

static void
settle(void)
{
    unsigned           n;
    klaviyo_ring_rc_e  rc;

    if (uncommitted && random_below(2)) {
        rc = klaviyo_ring_save(ring, lease.epoch, 0, "", 0);
        check(rc == KLAVIYO_RING_OK, "save: %d", rc);

        for (n = 0; n < report->next; n++) {
            report->queued[n] = report->queued[n] ? QUEUED : 0;
        }
    }

    if (uncommitted) {
        leave(0);
        recover();
        look();
    }

    for (n = 0; n < report->next; n++) {
        report->queued[n] = report->queued[n] ? QUEUED : 0;
    }

    uncommitted = 0;
}


/* all whole, and at least once what is booked */

static void
look_dead(void)
{
    char      line[256];
    FILE     *file;
    unsigned  n, end, lines;

    static uint8_t  found[NUMBERS];

    memset(found, 0, sizeof(found));

    file = fopen(dead_path, "r");
    lines = 0;

    while (file && fgets(line, sizeof(line), file)) {
        lines++;

        if (sscanf(line, "{\"n\":%u,\"end\":%u}\n", &n, &end) != 2
            || n != end || n >= NUMBERS || strchr(line, '\n') == NULL)
        {
            check(0, "a torn letter: %s", line);
            continue;
        }

        found[n] = 1;
    }

    if (file) {
        fclose(file);
    }

    for (n = 0; n < report->next; n++) {
        check(!report->letter[n] || found[n], "event %u has no letter", n);
    }

    report->dead = lines;
}


static void
arm(unsigned visits)
{
    FILE  *file;

    file = fopen(crash_path, "w");

    if (file == NULL) {
        perror(crash_path);
        exit(2);
    }

    fprintf(file, "%s %u\n", point, visits);
    fclose(file);
}


/* what the kill left of what the process had begun */

static void
resolve(void)
{
    unsigned  i;

    switch (report->doing) {

    case APPEND:
        if (strcmp(point, "after_commit") == 0) {
            report->queued[report->next - 1] = QUEUED;
            break;
        }

        check(strcmp(point, "after_lock") == 0
              || strcmp(point, "middle_of_slot") == 0
              || strcmp(point, "after_copy") == 0
              || strcmp(point, "before_commit") == 0, "killed in an append");
        break;

    case ACK:
        if (strcmp(point, "after_ack_commit") == 0) {
            acked();
            break;
        }

        check(strcmp(point, "before_ack_commit") == 0,
              "killed in an acknowledgement");

        for (i = 0; i < report->n; i++) {
            report->queued[report->batch[i]] = MAYBE;
        }

        uncommitted = 1;
        break;

    default:
        break;
    }

    report->doing = IDLE;
    report->n = 0;
}


/*
 * What only the ring had is gone, unless a process was killed while it wrote
 * it to the spool.
 */

static void
reboot(void)
{
    unsigned  n;

    while (random_below(3) && spill(random_below(2))) { /* void */ }

    forget();

    for (n = 0; n < report->next; n++) {
        if (report->queued[n] && !report->spooled[n]) {
            report->queued[n] = strncmp(point, "spool_", 6) ? 0 : MAYBE;
        }
    }

    leave(0);
    unlink(ring_path);
}


static void
test_point(unsigned visits, unsigned rounds)
{
    int       status;
    pid_t     pid;
    unsigned  killed, reboots, adopted;

    memset(report, 0, sizeof(report_t));
    adopted = (strcmp(point, "spool_adopted") == 0);
    faults = 0;
    killed = 0;
    reboots = 0;
    uncommitted = 0;

    (void) ring_shell("rm -rf '%s'/*", ring_dir);
    mkdir(spool_dir, 0700);

    for (round_n = 1; round_n <= rounds && faults == 0; round_n++) {

        arm(1 + random_below(visits));

        fflush(stdout);

        pid = fork();

        if (pid == 0) {
            ring = NULL;             /* the successor's                     */
            seed += round_n;
            work();
        }

        (void) waitpid(pid, &status, 0);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            check(0, "not killed: %d", status);
            break;
        }

        killed++;
        resolve();

        recover();
        look();
        settle();
        look_dead();

        if (adopted || random_below(8) == 0) {

            append();

            if (random_below(3) == 0) {
                take(BATCH);
            }

            reboots++;
            reboot();
            continue;
        }

        if (random_below(16) == 0) {
            while (ring_queued(ring) && faults == 0) {
                take(BATCH);
            }
        }

        leave(round_n % 2);
    }

    is_int(killed, rounds, "%s: killed each time", point);
    is_int(faults, 0, "%s: nothing lost, corrupt or twice", point);
    diag("%u appended, %u dead letters, %u reboots", report->next,
         report->dead, reboots);

    if (ring) {
        klaviyo_ring_detach(ring);
        ring = NULL;
    }
}


int
main(void)
{
    size_t           i;
    unsigned         rounds;
    const char      *value;
    struct timespec  now;

    value = getenv("KLAVIYO_CRASH_ROUNDS");
    rounds = value ? (unsigned) strtoul(value, NULL, 10) : ROUNDS;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    value = getenv("KLAVIYO_CRASH_SEED");
    seed = value ? strtoull(value, NULL, 10) : (uint64_t) now.tv_nsec + 1;

    diag("KLAVIYO_CRASH_SEED=%" PRIu64, seed);
    unsetenv("KLAVIYO_CRASH");

    report = mmap(NULL, sizeof(report_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (report == MAP_FAILED) {
        perror("mmap");
        return 2;
    }

    ring_folder();
    snprintf(spool_dir, sizeof(spool_dir), "%s/spool", ring_dir);
    snprintf(dead_path, sizeof(dead_path), "%s/dead.jsonl", ring_dir);
    snprintf(crash_path, sizeof(crash_path), "%s/crash", ring_dir);

    for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        point = points[i].name;
        test_point(points[i].visits, rounds);
    }

    ring_cleanup();

    return done_testing();
}
