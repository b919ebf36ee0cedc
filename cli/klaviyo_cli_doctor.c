/*
 * klaviyo-queue doctor: check by check, whether an account can be delivered,
 * by the configuration that nginx uses.
 *
 * Root reads the configuration and the key, which are root's, and looks at
 * the rest as the workers' user: what it sees then is what they can.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_cli_doctor.h"
#include "klaviyo_cli_rights.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_health.h"
#include "queue/klaviyo_ring_inspect.h"


#define KLAVIYO_CLI_TMPFS   0x01021994
#define KLAVIYO_CLI_MOMENT  3000         /* ms: a deliverer is waited for    */
#define KLAVIYO_CLI_LATELY  3600000      /* ms: a refusal is told so long    */


static void klaviyo_cli_doctor_refused(klaviyo_cli_doctor_t *doctor);
static int klaviyo_cli_doctor_keys(klaviyo_cli_doctor_t *doctor,
    const char *name);
static int klaviyo_cli_doctor_account(klaviyo_cli_doctor_t *doctor);
static void klaviyo_cli_doctor_directory(klaviyo_cli_doctor_t *doctor,
    const char *check, const char *path, unsigned file);
static void klaviyo_cli_doctor_ring(klaviyo_cli_doctor_t *doctor);
static void klaviyo_cli_doctor_queue(klaviyo_cli_doctor_t *doctor,
    klaviyo_ring_t *ring);
static void klaviyo_cli_doctor_figures(klaviyo_ring_t *ring,
    klaviyo_figures_t *figures);
static void klaviyo_cli_doctor_state(klaviyo_cli_doctor_t *doctor,
    const klaviyo_health_t *health, const klaviyo_figures_t *figures);
static void klaviyo_cli_doctor_events(klaviyo_cli_doctor_t *doctor,
    const klaviyo_health_t *health, const klaviyo_figures_t *figures);
static uint64_t klaviyo_cli_doctor_sum(const klaviyo_figures_t *figures,
    const char *group);


/* of each account, read before the rights are given up */

static klaviyo_cli_conf_t  klaviyo_cli_doctor_conf;
static char  klaviyo_cli_doctor_key[KLAVIYO_CLI_ACCOUNTS]
                                   [KLAVIYO_RING_ERROR_MAX];


int
klaviyo_cli_doctor(klaviyo_cli_t *cli)
{
    int                   rc;
    unsigned              i, n;
    const char           *name;
    klaviyo_cli_conf_t   *conf;
    klaviyo_cli_doctor_t  doctor;

    conf = &klaviyo_cli_doctor_conf;

    memset(&doctor, 0, sizeof(klaviyo_cli_doctor_t));

    doctor.cli = cli;
    doctor.conf = conf;

    (void) setvbuf(stdout, NULL, _IOLBF, 0);

    name = cli->ring;

    if (name && strrchr(name, '/')) {
        name = strrchr(name, '/') + 1;
    }

    rc = klaviyo_cli_conf_read(cli, conf);

    if (rc == KLAVIYO_CLI_CANNOT) {
        return rc;
    }

    if (rc == KLAVIYO_CLI_FAULTS
        && geteuid() != 0
        && conf->words && strstr(conf->words, "(13: "))
    {
        return klaviyo_cli_error("the configuration of nginx may not be read: "
                                 "run this as root");
    }

    if (rc == KLAVIYO_CLI_FAULTS) {
        klaviyo_cli_doctor_refused(&doctor);
        return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : KLAVIYO_CLI_FAULTS;
    }

    if (name && klaviyo_cli_conf_find(conf, name) == NULL) {
        return klaviyo_cli_error("there is no klaviyo_account \"%s\" in \"%s\" "
                                 "and what it includes: is it the file that "
                                 "nginx uses? --conf= names another", name,
                                 conf->main ? conf->main : "nginx.conf");
    }

    if (conf->n == 0) {
        return klaviyo_cli_error("there is no klaviyo_account in \"%s\" and "
                                 "what it includes: is it the file that nginx "
                                 "uses? --conf= names another",
                                 conf->main ? conf->main : "nginx.conf");
    }

    if (klaviyo_cli_doctor_keys(&doctor, name) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    n = 0;

    for (i = 0; i < conf->n; i++) {

        if (name && strcmp(conf->account[i].name, name) != 0) {
            continue;
        }

        (void) printf("%s%s\n", n++ ? "\n" : "", conf->account[i].name);

        doctor.account = &conf->account[i];

        if (klaviyo_cli_doctor_account(&doctor) != KLAVIYO_CLI_OK) {
            return KLAVIYO_CLI_CANNOT;
        }
    }

    (void) printf("\n%u fault%s, %u not looked at\n", doctor.faults,
                  doctor.faults == 1 ? "" : "s", doctor.unknown);

    if (klaviyo_cli_flush() != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    return doctor.faults ? KLAVIYO_CLI_FAULTS
                         : doctor.unknown ? KLAVIYO_CLI_CANNOT
                                          : KLAVIYO_CLI_OK;
}


void
klaviyo_cli_found(klaviyo_cli_doctor_t *doctor, klaviyo_cli_finding_e finding,
    const char *check, const char *fmt, ...)
{
    int      len;
    char    *text;
    va_list  args;

    static const char  *const words[] = { "ok", "note", "FAULT", "?" };

    doctor->faults += (finding == KLAVIYO_CLI_FAULT);
    doctor->unknown += (finding == KLAVIYO_CLI_UNKNOWN);

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);

    (void) printf("  %-6s %-14s ", words[finding], check);

    if (len != -1) {
        klaviyo_cli_write(stdout, text, (size_t) len);
        free(text);
    }

    (void) putchar('\n');
}


/* nginx tells what is wrong itself, the files of keys among it */

static void
klaviyo_cli_doctor_refused(klaviyo_cli_doctor_t *doctor)
{
    char  *line, *end, *level;

    for (line = doctor->conf->words; line && *line; line = end + (*end != 0))
    {
        end = line + strcspn(line, "\n");

        level = memmem(line, (size_t) (end - line), "[emerg] ", 8);

        if (level == NULL) {
            continue;
        }

        /* nginx says it to the terminal, and once more to its log */

        level += sizeof("[emerg] ") - 1;
        level += strspn(level, "0123456789#");
        level += strspn(level, ": ");

        if (doctor->faults == 0) {
            klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "configuration",
                              "%.*s", (int) (end - level), level);
        }
    }

    if (doctor->faults == 0) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "configuration",
                          "nginx refuses it: run \"nginx -t\"");
    }
}


/* the keys with root's rights, and the rest without them */

static int
klaviyo_cli_doctor_keys(klaviyo_cli_doctor_t *doctor, const char *name)
{
    unsigned                i;
    const char             *wrong;
    klaviyo_cli_account_t  *account;

    for (i = 0; i < doctor->conf->n; i++) {
        account = &doctor->conf->account[i];

        if (name && strcmp(account->name, name) != 0) {
            continue;
        }

        wrong = klaviyo_cli_conf_key(doctor->conf, account,
                                     klaviyo_cli_doctor_key[i]);

        if (wrong && wrong != klaviyo_cli_doctor_key[i]) {
            (void) snprintf(klaviyo_cli_doctor_key[i],
                            KLAVIYO_RING_ERROR_MAX, "%s", wrong);
        }
    }

    account = name ? klaviyo_cli_conf_find(doctor->conf, name)
                   : &doctor->conf->account[0];

    return klaviyo_cli_rights_user(doctor->conf->user, doctor->conf->group,
                                   account->ring);
}


static int
klaviyo_cli_doctor_account(klaviyo_cli_doctor_t *doctor)
{
    const char             *wrong;
    klaviyo_cli_account_t  *account;

    account = doctor->account;

    klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "configuration",
                      "nginx takes it; %s:%u%s", account->file, account->line,
                      account->dry_run ? "; dry_run is on, nothing is sent"
                                       : "");

    wrong = klaviyo_cli_doctor_key[account - doctor->conf->account];

    if (wrong[0]) {
        klaviyo_cli_found(doctor, geteuid() == 0 || account->key_file == NULL
                                  || strstr(wrong, "(13:") == NULL
                                  ? KLAVIYO_CLI_FAULT : KLAVIYO_CLI_UNKNOWN,
                          "key file", "%s", wrong);

    } else if (account->key_file) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "key file",
                          "\"%s\", for its owner alone", account->key_file);

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "key file",
                          "the key stands in the configuration, \"nginx -T\" "
                          "prints it: use \"api_key_file\"");
    }

    klaviyo_cli_doctor_directory(doctor, "queue", account->ring, 1);

    if (account->spool) {
        klaviyo_cli_doctor_directory(doctor, "spool", account->spool, 0);

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "spool",
                          "off: a reboot, or an outage that fills the queue, "
                          "loses events");
    }

    if (account->dead_letter) {
        klaviyo_cli_doctor_directory(doctor, "dead letters",
                                     account->dead_letter, 1);
    }

    klaviyo_cli_doctor_ring(doctor);

    if (account->key == NULL) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_UNKNOWN, "Klaviyo",
                          "not asked without a key");
        return KLAVIYO_CLI_OK;
    }

    return klaviyo_cli_doctor_way(doctor);
}


/* as who we are by now, the user of the workers */

static void
klaviyo_cli_doctor_directory(klaviyo_cli_doctor_t *doctor, const char *check,
    const char *path, unsigned file)
{
    char            dir[PATH_MAX];
    struct stat     st;
    struct passwd  *pw;

    (void) snprintf(dir, sizeof(dir), "%s", path);

    if (file && strrchr(dir, '/')) {
        *strrchr(dir, '/') = '\0';
    }

    if (stat(dir, &st) == -1) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, check,
                          "stat() \"%s\" failed (%d: %s)%s", dir, errno,
                          strerror(errno), errno == ENOENT
                          ? ": a start of nginx makes it" : "");
        return;
    }

    pw = getpwuid(st.st_uid);

    if (!S_ISDIR(st.st_mode)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, check,
                          "\"%s\" is not a directory", dir);

    } else if (access(dir, W_OK|X_OK) == -1) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, check,
                          "\"%s\" belongs to \"%s\", and the user that nginx's "
                          "workers run as cannot write there (%d: %s): give "
                          "it to that user", dir, pw ? pw->pw_name : "?",
                          errno, strerror(errno));

    } else if ((st.st_mode & (S_IWGRP|S_IWOTH)) && !(st.st_mode & S_ISVTX)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, check,
                          "others can write to \"%s\": run \"chmod go-w %s\"",
                          dir, dir);

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, check,
                          "\"%s\", of \"%s\"", path,
                          pw ? pw->pw_name : "?");
    }
}


static void
klaviyo_cli_doctor_ring(klaviyo_cli_doctor_t *doctor)
{
    char                    error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_t         *ring;
    klaviyo_cli_account_t  *account;

    account = doctor->account;

    if (klaviyo_ring_open(&ring, account->ring, KLAVIYO_RING_LOOK, error)
        != KLAVIYO_RING_OK)
    {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "nginx",
                          "%s: nginx does not run with this configuration, "
                          "start or reload it", error);
        return;
    }

    if (klaviyo_ring_damaged(ring, error)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "queue", "%s", error);

    } else {
        klaviyo_cli_doctor_queue(doctor, ring);
    }

    klaviyo_ring_detach(ring);
}


static void
klaviyo_cli_doctor_queue(klaviyo_cli_doctor_t *doctor, klaviyo_ring_t *ring)
{
    struct statfs           fs;
    klaviyo_health_t        health;
    klaviyo_figures_t       figures;
    klaviyo_cli_account_t  *account;

    account = doctor->account;

    klaviyo_cli_doctor_figures(ring, &figures);
    klaviyo_ring_health(ring, &health);

    if (!klaviyo_ring_in_use(ring)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "nginx",
                          "does not run, or not with this queue; %" PRIu64
                          " events wait in it", figures.queued);
        return;
    }

    if (figures.deliverer) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "nginx",
                          "runs with this queue, process %" PRId64
                          " delivers", figures.deliverer);
    }

    if (statfs(account->ring, &fs) == 0 && fs.f_type != KLAVIYO_CLI_TMPFS) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "queue",
                          "\"%s\" is on a disk: requests wait for it when it "
                          "is busy, a tmpfs like /run is better",
                          account->ring);
    }

    klaviyo_cli_doctor_state(doctor, &health, &figures);
    klaviyo_cli_doctor_events(doctor, &health, &figures);
}


/* after a start or a reload it takes a moment until one delivers */

static void
klaviyo_cli_doctor_figures(klaviyo_ring_t *ring, klaviyo_figures_t *figures)
{
    unsigned         i;
    struct timespec  step;

    step.tv_sec = 0;
    step.tv_nsec = 100 * 1000000L;

    for (i = 0; ; i++) {
        klaviyo_ring_figures(ring, figures);

        if (figures->deliverer || i == KLAVIYO_CLI_MOMENT / 100
            || !klaviyo_ring_in_use(ring))
        {
            return;
        }

        (void) nanosleep(&step, NULL);
    }
}


/* what the deliverer says of itself, in the words of the page and the log */

static void
klaviyo_cli_doctor_state(klaviyo_cli_doctor_t *doctor,
    const klaviyo_health_t *health, const klaviyo_figures_t *figures)
{
    char                      since[64], last[512];
    time_t                    s;
    uint64_t                  states[KLAVIYO_STATE_N];
    struct tm                 tm;
    klaviyo_state_e           i;
    klaviyo_health_answer_t   answer;

    (void) klaviyo_health_states(health, figures, klaviyo_cli_now(), states);

    since[0] = '\0';
    last[0] = '\0';

    s = (time_t) (health->since / 1000);

    if (health->since && localtime_r(&s, &tm)) {
        (void) strftime(since, sizeof(since), " since %Y-%m-%d %H:%M:%S", &tm);
    }

    if (klaviyo_health_last(health, 0, &answer)) {
        (void) snprintf(last, sizeof(last), " (last: %u \"%s\" %s)",
                        answer.status, answer.title, answer.detail);
    }

    for (i = 0; i < KLAVIYO_STATE_DELIVERING; i++) {

        if (states[i] == 0) {
            continue;
        }

        klaviyo_cli_found(doctor, i == KLAVIYO_STATE_NOTHING_CAPTURED
                                  ? KLAVIYO_CLI_NOTE : KLAVIYO_CLI_FAULT,
                          i == KLAVIYO_STATE_QUEUE_FULL ? "queue"
                          : i >= KLAVIYO_STATE_ANONYMOUS_ONLY ? "visitors"
                          : "delivery",
                          "%s%s%s: %s", klaviyo_state_names[i].what,
                          i == health->cause ? since : "",
                          i == health->cause ? last : "",
                          klaviyo_state_names[i].todo);
    }

    if (states[KLAVIYO_STATE_DELIVERING]) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "delivery",
                          "%" PRIu64 " delivered, %" PRIu64 " wait",
                          figures->outcome[KLAVIYO_OUTCOME_DELIVERED],
                          figures->queued);
    }
}


static void
klaviyo_cli_doctor_events(klaviyo_cli_doctor_t *doctor,
    const klaviyo_health_t *health, const klaviyo_figures_t *figures)
{
    unsigned                  n;
    uint64_t                  dead, lost;
    klaviyo_health_answer_t   answer;

    dead = klaviyo_cli_doctor_sum(figures, "dead");
    lost = klaviyo_cli_doctor_sum(figures, "lost");

    for (n = 0; dead && klaviyo_health_last(health, n, &answer); n++) {

        if ((answer.status == 400 || answer.status == 409
             || answer.status == 413 || answer.status == 422)
            && klaviyo_cli_now() - answer.time < KLAVIYO_CLI_LATELY)
        {
            klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "events",
                              "%" PRIu64 " were given up, Klaviyo refused the "
                              "last one within the hour: %u \"%s\" %s%s%s; see "
                              "the dead letters, mend it, \"replay\" them",
                              dead, answer.status, answer.title,
                              answer.detail, answer.pointer[0] ? " at " : "",
                              answer.pointer);
            dead = 0;
            break;
        }
    }

    if (dead || lost) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "events",
                          "so far %" PRIu64 " were given up and %" PRIu64
                          " lost: see \"klaviyo-queue stat %s\"", dead, lost,
                          doctor->account->name);
    }
}


static uint64_t
klaviyo_cli_doctor_sum(const klaviyo_figures_t *figures, const char *group)
{
    int       i;
    uint64_t  sum;

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (strcmp(klaviyo_outcome_names[i].group, group) == 0) {
            sum += figures->outcome[i];
        }
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        if (strcmp(klaviyo_counter_names[i].group, group) == 0) {
            sum += figures->counter[i];
        }
    }

    return sum;
}
