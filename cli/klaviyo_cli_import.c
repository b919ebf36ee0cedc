/*
 * klaviyo-queue import: old access logs become events, with their own times
 * and `backfill`, by the rules of the configuration or of a map.
 *
 * The unique_id of an event is made of its line, so that Klaviyo discards what
 * it has; how far a log is done with is kept, so that it is not sent again.
 * Visitors' events come first: while the queue is above its share, or the
 * spool holds what it could not, the import waits.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "klaviyo_cli_conf.h"
#include "klaviyo_cli_event.h"
#include "klaviyo_cli_input.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_progress.h"
#include "klaviyo_cli_rights.h"


#define KLAVIYO_CLI_SHARE        25      /* % of the queue                   */
#define KLAVIYO_CLI_LOGS         256     /* at once                          */
#define KLAVIYO_CLI_MAP_MAX      (16 * 1024 * 1024)
#define KLAVIYO_CLI_MARK_LINES   4096    /* between two marks, at most       */
#define KLAVIYO_CLI_MARK_EVENTS  256
#define KLAVIYO_CLI_LOOK         16      /* events between two looks at the  */
                                         /* queue                            */
#define KLAVIYO_CLI_STEP         20      /* ms                               */
#define KLAVIYO_CLI_TELL         60000   /* ms: of a wait                    */


typedef struct {
    const klaviyo_cli_t   *cli;
    klaviyo_cli_log_e      format;
    unsigned               share;
    int64_t                since;
    int64_t                until;
    int64_t                now;
    klaviyo_slice_t        host;
    klaviyo_ring_t        *ring;         /* NULL: a dry run                  */
    klaviyo_cli_marks_t    marks;
    klaviyo_cli_mark_t     mark;         /* of this log                      */
    int                    slot;         /* among the marks; -1: none yet    */
    unsigned               since_mark;   /* lines                            */
    unsigned               put_mark;     /* events                           */
    unsigned               since_look;
    uint64_t               lines;
    uint64_t               before;       /* lines that were done already     */
    uint64_t               events;
    uint64_t               left_out;
    uint64_t               no[KLAVIYO_CLI_NO_N];
} klaviyo_cli_import_t;


static void klaviyo_cli_import_free(klaviyo_cli_import_t *import);
static int klaviyo_cli_import_options(klaviyo_cli_import_t *import);
static int klaviyo_cli_import_moment(const char *text, int64_t *t);
static int klaviyo_cli_import_rules(klaviyo_cli_t *cli,
    klaviyo_cli_conf_t *conf, const char *name);
static int klaviyo_cli_import_map(const char *path);
static int klaviyo_cli_import_open(const klaviyo_cli_t *cli, int *fd,
    unsigned n);
static int klaviyo_cli_import_rights(klaviyo_cli_t *cli,
    const klaviyo_cli_conf_t *conf);
static int klaviyo_cli_import_ring(klaviyo_cli_import_t *import);
static int klaviyo_cli_import_log(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input);
static int klaviyo_cli_import_resume(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input);
static int klaviyo_cli_import_find(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input);
static int klaviyo_cli_import_next(const klaviyo_cli_import_t *import,
    int from);
static int klaviyo_cli_import_line(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input);
static klaviyo_cli_no_e klaviyo_cli_import_place(
    klaviyo_cli_import_t *import, const klaviyo_slice_t *line,
    klaviyo_cli_scope_t **scope);
static int klaviyo_cli_import_put(klaviyo_cli_import_t *import,
    klaviyo_event_t *event);
static int klaviyo_cli_import_room(klaviyo_cli_import_t *import);
static int klaviyo_cli_import_mark(klaviyo_cli_import_t *import,
    const klaviyo_cli_input_t *input);
static void klaviyo_cli_import_told(const klaviyo_cli_import_t *import);
static void klaviyo_cli_import_metrics(const klaviyo_cli_scope_t *scope);
static void klaviyo_cli_import_stop(int signo);


static klaviyo_cli_rules_t     klaviyo_cli_rules;
static klaviyo_cli_log_t       klaviyo_cli_log;
static klaviyo_cli_place_t     klaviyo_cli_place;
static klaviyo_cli_maker_t     klaviyo_cli_maker;
static klaviyo_cli_input_t     klaviyo_cli_input;
static klaviyo_cli_conf_t      klaviyo_cli_import_conf;
static volatile sig_atomic_t   klaviyo_cli_stopped;


int
klaviyo_cli_import(klaviyo_cli_t *cli)
{
    int                    rc, fd[KLAVIYO_CLI_LOGS];
    unsigned               i, n;
    const char            *name;
    struct sigaction       sa;
    klaviyo_cli_import_t   import;

    memset(&import, 0, sizeof(klaviyo_cli_import_t));

    import.cli = cli;

    rc = klaviyo_cli_import_options(&import);

    if (rc != KLAVIYO_CLI_OK) {
        return rc;
    }

    name = strrchr(cli->ring, '/');
    name = name ? name + 1 : cli->ring;

    cli->name = cli->ring;

    klaviyo_cli_maker.rules = &klaviyo_cli_rules;
    klaviyo_cli_maker.account = name;
    klaviyo_cli_maker.log = &klaviyo_cli_log;
    klaviyo_cli_maker.place = &klaviyo_cli_place;

    rc = klaviyo_cli_import_rules(cli, &klaviyo_cli_import_conf, name);

    if (rc != KLAVIYO_CLI_OK || cli->print_map) {
        return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : rc;
    }

    n = cli->files ? cli->files : 1;

    if (n > KLAVIYO_CLI_LOGS) {
        return klaviyo_cli_error("more than %u logs at once", KLAVIYO_CLI_LOGS);
    }

    /* the operator's files first; the rest by whom the queue belongs to */

    rc = klaviyo_cli_import_open(cli, fd, n);

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_import_rights(cli, &klaviyo_cli_import_conf);
    }

    if (rc == KLAVIYO_CLI_OK) {
        rc = klaviyo_cli_maker_init(&klaviyo_cli_maker);
    }

    if (rc == KLAVIYO_CLI_OK && !cli->dry_run) {
        rc = klaviyo_cli_import_ring(&import);
    }

    if (rc != KLAVIYO_CLI_OK) {
        klaviyo_cli_import_free(&import);
        return rc;
    }

    memset(&sa, 0, sizeof(struct sigaction));
    sa.sa_handler = klaviyo_cli_import_stop;

    (void) sigaction(SIGINT, &sa, NULL);
    (void) sigaction(SIGTERM, &sa, NULL);

    for (i = 0; i < n && rc == KLAVIYO_CLI_OK && !klaviyo_cli_stopped; i++) {

        rc = klaviyo_cli_input_open(&klaviyo_cli_input, fd[i],
                                    cli->files ? cli->file_names[i]
                                               : "standard input");

        if (rc == KLAVIYO_CLI_OK) {
            rc = klaviyo_cli_import_log(&import, &klaviyo_cli_input);
        }

        klaviyo_cli_input_close(&klaviyo_cli_input);
    }

    klaviyo_cli_progress_clear();
    klaviyo_cli_import_told(&import);
    klaviyo_cli_import_free(&import);

    if (klaviyo_cli_flush() != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (klaviyo_cli_stopped) {
        rc = klaviyo_cli_error("stopped: the same command goes on from there");
    }

    return (rc == KLAVIYO_CLI_OK
            && import.no[KLAVIYO_CLI_NO_MALFORMED]
               + import.no[KLAVIYO_CLI_NO_TIME])
           ? KLAVIYO_CLI_FAULTS : rc;
}


static void
klaviyo_cli_import_free(klaviyo_cli_import_t *import)
{
    if (import->ring) {
        klaviyo_ring_detach(import->ring);
    }

    free(import->marks.mark);
    free(klaviyo_cli_maker.bots);
}


static int
klaviyo_cli_import_options(klaviyo_cli_import_t *import)
{
    char                *end;
    const klaviyo_cli_t *cli;

    cli = import->cli;

    if (cli->format == NULL || strcmp(cli->format, "combined") == 0) {
        import->format = KLAVIYO_CLI_LOG_COMBINED;

    } else if (strcmp(cli->format, "json") == 0) {
        import->format = KLAVIYO_CLI_LOG_JSON;

    } else {
        return klaviyo_cli_error("unknown format \"%s\": it is \"combined\" "
                                 "or \"json\"", cli->format);
    }

    import->share = KLAVIYO_CLI_SHARE;

    if (cli->share) {
        import->share = (unsigned) strtoul(cli->share, &end, 10);

        if (import->share < 1 || import->share > 90
            || (end[0] && strcmp(end, "%") != 0))
        {
            return klaviyo_cli_error("invalid share \"%s\": from 1%% to 90%% "
                                     "of the queue", cli->share);
        }
    }

    import->now = klaviyo_cli_now() / 1000;
    import->since = 0;
    import->until = INT64_MAX;

    if (cli->host) {
        import->host.data = (const uint8_t *) cli->host;
        import->host.len = strlen(cli->host);
    }

    if ((cli->since && !klaviyo_cli_import_moment(cli->since, &import->since))
        || (cli->until
            && !klaviyo_cli_import_moment(cli->until, &import->until)))
    {
        return klaviyo_cli_error("invalid time: it is a date, as "
                                 "2026-09-06, or 2026-09-06T18:05:09+02:00");
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_import_moment(const char *text, int64_t *t)
{
    int   len;
    char  moment[64];

    len = snprintf(moment, sizeof(moment), "%s%s", text,
                   strlen(text) == 10 && text[4] == '-' ? "T00:00:00" : "");

    return len > 0 && (size_t) len < sizeof(moment)
           && klaviyo_value_time((uint8_t *) moment, (size_t) len,
                                 klaviyo_cli_now() / 1000, 0, t)
              == KLAVIYO_VALUE_OK;
}


/* with the rights to read the configuration; what it prints holds keys */

static int
klaviyo_cli_import_rules(klaviyo_cli_t *cli, klaviyo_cli_conf_t *conf,
    const char *name)
{
    int                     rc;
    klaviyo_cli_account_t  *account;

    klaviyo_cli_rules.print = cli->print_map ? stdout : NULL;
    klaviyo_cli_rules.tell = cli->dry_run;

    if (cli->map) {
        return klaviyo_cli_import_map(cli->map);
    }

    cli->keep_text = 1;
    rc = klaviyo_cli_conf_read(cli, conf);

    free(conf->words);
    conf->words = NULL;

    if (rc != KLAVIYO_CLI_OK) {
        return klaviyo_cli_error("the configuration of nginx, whose rules are "
                                 "applied, cannot be read: run \"nginx -t\", "
                                 "or name a map with --map=");
    }

    account = klaviyo_cli_conf_find(conf, name);

    if (account == NULL) {
        rc = klaviyo_cli_error("there is no klaviyo_account \"%s\" in the "
                               "configuration of nginx", name);
    } else {
        klaviyo_cli_maker.company = account->company;
        klaviyo_cli_maker.first = conf->account[0].name;

        if (cli->print_map) {
            (void) printf("# the rules of the configuration, as \"klaviyo-queue"
                          " import --map\" takes them\n");
        }

        rc = klaviyo_cli_rules_read(&klaviyo_cli_rules, conf->text, NULL);
    }

    explicit_bzero(conf->text, strlen(conf->text));
    free(conf->text);
    conf->text = NULL;

    if (rc == KLAVIYO_CLI_OK && !cli->print_map && cli->host == NULL
        && klaviyo_cli_rules_servers(&klaviyo_cli_rules) > 1
        && (cli->format == NULL || strcmp(cli->format, "combined") == 0))
    {
        return klaviyo_cli_error("the lines do not say the host, and several "
                                 "servers have rules: choose one with "
                                 "--host=");
    }

    return rc;
}


static int
klaviyo_cli_import_map(const char *path)
{
    int      fd, rc;
    char    *text;
    size_t   len;
    ssize_t  n;

    fd = klaviyo_cli_rights_input(path);

    if (fd == -1) {
        return KLAVIYO_CLI_CANNOT;
    }

    text = malloc(KLAVIYO_CLI_MAP_MAX + 1);
    len = 0;

    while (text && len < KLAVIYO_CLI_MAP_MAX) {
        n = read(fd, text + len, KLAVIYO_CLI_MAP_MAX - len);

        if (n <= 0) {
            break;
        }

        len += (size_t) n;
    }

    (void) close(fd);

    if (text == NULL || len == KLAVIYO_CLI_MAP_MAX) {
        free(text);
        return klaviyo_cli_error("\"%s\" is too large for a map", path);
    }

    text[len] = '\0';

    rc = klaviyo_cli_rules_read(&klaviyo_cli_rules, text, path);

    free(text);

    return rc;
}


static int
klaviyo_cli_import_open(const klaviyo_cli_t *cli, int *fd, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {

        if (cli->files == 0 || strcmp(cli->file_names[i], "-") == 0) {
            fd[i] = dup(STDIN_FILENO);

        } else {
            fd[i] = klaviyo_cli_rights_input(cli->file_names[i]);
        }

        if (fd[i] == -1) {
            return KLAVIYO_CLI_CANNOT;
        }
    }

    return KLAVIYO_CLI_OK;
}


/* a dry run needs no queue, and no rights either */

static int
klaviyo_cli_import_rights(klaviyo_cli_t *cli, const klaviyo_cli_conf_t *conf)
{
    if (cli->dry_run) {
        return klaviyo_cli_rights_user(conf->user ? conf->user : "nobody",
                                       conf->user ? conf->group : NULL, "/");
    }

    return klaviyo_cli_rights_drop(cli);
}


static int
klaviyo_cli_import_ring(klaviyo_cli_import_t *import)
{
    int                   n;
    char                  error[KLAVIYO_RING_ERROR_MAX];
    const klaviyo_cli_t  *cli;

    cli = import->cli;

    if (klaviyo_ring_open(&import->ring, cli->ring, KLAVIYO_RING_JOIN, error)
        != KLAVIYO_RING_OK)
    {
        return klaviyo_cli_error("%s", error);
    }

    if (cli->spool) {
        n = snprintf(import->marks.path, sizeof(import->marks.path),
                     "%s/import", cli->spool);
    } else {
        n = snprintf(import->marks.path, sizeof(import->marks.path),
                     "%s.import", cli->ring);
    }

    if ((size_t) n >= sizeof(import->marks.path) - 8) {
        return klaviyo_cli_error("the path of the queue is too long");
    }

    return klaviyo_cli_marks_read(&import->marks);
}


static int
klaviyo_cli_import_log(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input)
{
    int  rc;

    rc = klaviyo_cli_input_next(input);

    if (rc == 1) {
        rc = klaviyo_cli_import_resume(import, input);
    }

    while (rc == 1 && !klaviyo_cli_stopped) {

        if (klaviyo_cli_import_line(import, input) != KLAVIYO_CLI_OK) {
            (void) klaviyo_cli_import_mark(import, input);
            return KLAVIYO_CLI_CANNOT;
        }

        klaviyo_cli_progress(NULL, "lines read", import->lines,
                             klaviyo_cli_input_offset(input), input->size);

        rc = klaviyo_cli_input_next(input);
    }

    if (klaviyo_cli_import_mark(import, input) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    return (rc == -1) ? KLAVIYO_CLI_CANNOT : KLAVIYO_CLI_OK;
}


/* the line that was read is the first; 1: the next is to be done; 0; -1 */

static int
klaviyo_cli_import_resume(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input)
{
    int                  rc;
    uint8_t              digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX          *md;
    const char          *since, *until;

    import->slot = -1;
    memset(&import->mark, 0, sizeof(klaviyo_cli_mark_t));
    memset(digest, 0, sizeof(digest));

    if (import->ring == NULL || !input->whole) {
        return 1;
    }

    since = import->cli->since ? import->cli->since : "";
    until = import->cli->until ? import->cli->until : "";

    md = EVP_MD_CTX_new();

    rc = (md
          && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1
          && EVP_DigestUpdate(md, klaviyo_cli_rules.digest,
                              KLAVIYO_CLI_RULES_DIGEST) == 1
          && EVP_DigestUpdate(md, &import->format, sizeof(import->format)) == 1
          && EVP_DigestUpdate(md, import->host.data, import->host.len) == 1
          && EVP_DigestUpdate(md, since, strlen(since) + 1) == 1
          && EVP_DigestUpdate(md, until, strlen(until) + 1) == 1
          && EVP_DigestUpdate(md, input->line, input->len) == 1
          && EVP_DigestFinal_ex(md, digest, NULL) == 1);

    EVP_MD_CTX_free(md);

    if (!rc) {
        (void) klaviyo_cli_error("no memory");
        return -1;
    }

    memcpy(import->mark.log, digest, KLAVIYO_CLI_INPUT_DIGEST);

    return import->cli->again ? 1 : klaviyo_cli_import_find(import, input);
}


/*
 * The mark that is farthest in the text, if what is before it is what it was
 * then; behind it the import goes on.
 */

static int
klaviyo_cli_import_find(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input)
{
    int                        i, rc, best;
    uint64_t                   last;
    uint8_t                    digest[KLAVIYO_CLI_INPUT_DIGEST];
    const klaviyo_cli_mark_t  *mark;

    last = 0;
    best = -1;

    for (i = klaviyo_cli_import_next(import, -1);
         i != -1;
         i = klaviyo_cli_import_next(import, i))
    {
        mark = &import->marks.mark[i];
        last = (mark->bytes > last) ? mark->bytes : last;
    }

    if (last == 0) {
        return 1;
    }

    rc = 1;

    for ( ;; ) {

        for (i = klaviyo_cli_import_next(import, -1);
             i != -1;
             i = klaviyo_cli_import_next(import, i))
        {
            mark = &import->marks.mark[i];

            if (mark->bytes == input->bytes
                && klaviyo_cli_input_digest(input, mark->bytes, digest) == 0
                && memcmp(digest, mark->text, KLAVIYO_CLI_INPUT_DIGEST) == 0)
            {
                best = i;
            }
        }

        if (rc != 1 || input->bytes >= last || klaviyo_cli_stopped) {
            break;
        }

        rc = klaviyo_cli_input_next(input);
    }

    if (rc == -1) {
        return -1;
    }

    mark = (best == -1) ? NULL : &import->marks.mark[best];

    if (mark == NULL || mark->bytes != input->bytes) {

        /* another log, which begins as that one did */

        if (klaviyo_cli_input_rewind(input) == -1) {
            (void) klaviyo_cli_error("%s: it begins as a log that was "
                                     "imported, and goes on differently: "
                                     "--again begins anew", input->name);
            return -1;
        }

        rc = 1;

        while (mark && rc == 1 && input->bytes < mark->bytes) {
            rc = klaviyo_cli_input_next(input);
        }

        if (rc == -1) {
            return -1;
        }
    }

    if (mark) {
        import->mark = *mark;
        import->slot = best;
        import->before += mark->lines;
    }

    return klaviyo_cli_input_next(input);
}


static int
klaviyo_cli_import_next(const klaviyo_cli_import_t *import, int from)
{
    return klaviyo_cli_marks_find(&import->marks, import->mark.log, from);
}


static int
klaviyo_cli_import_line(klaviyo_cli_import_t *import,
    klaviyo_cli_input_t *input)
{
    unsigned              i, j, nth;
    klaviyo_slice_t       line;
    klaviyo_event_t       event;
    klaviyo_cli_no_e      no;
    klaviyo_cli_rule_t   *rule;
    klaviyo_cli_scope_t  *scope;

    import->lines++;

    line.data = input->line;
    line.len = input->len;

    no = input->whole ? input->cut ? KLAVIYO_CLI_NO_MALFORMED
                                   : klaviyo_cli_import_place(import, &line,
                                                              &scope)
                      : KLAVIYO_CLI_NO_WHOLE;

    if (no == KLAVIYO_CLI_NO) {

        for (i = 0; i < scope->rules; i++) {
            rule = &scope->rule[i];
            nth = 0;

            for (j = 0; j < i; j++) {
                nth += (strcmp(scope->rule[j].metric, rule->metric) == 0);
            }

            klaviyo_cli_maker.first_of_line = (i == 0);

            no = klaviyo_cli_event(&klaviyo_cli_maker, rule, &line, nth,
                                   &event);

            if (no != KLAVIYO_CLI_NO) {
                import->no[no]++;
                continue;
            }

            if (import->cli->dry_run && rule->events == 0) {
                event.time = klaviyo_cli_now();
                klaviyo_cli_progress_clear();
                klaviyo_cli_line_print(stdout, &event);
            }

            if (klaviyo_cli_import_put(import, &event) != KLAVIYO_CLI_OK) {
                return KLAVIYO_CLI_CANNOT;
            }

            rule->events++;
        }

    } else {
        import->no[no]++;
    }

    if (!input->whole) {
        return KLAVIYO_CLI_OK;
    }

    /* only now is it done with */

    import->mark.bytes = input->bytes;
    import->mark.lines = input->number;

    if (++import->since_mark >= KLAVIYO_CLI_MARK_LINES
        || import->put_mark >= KLAVIYO_CLI_MARK_EVENTS)
    {
        return klaviyo_cli_import_mark(import, input);
    }

    return KLAVIYO_CLI_OK;
}


static klaviyo_cli_no_e
klaviyo_cli_import_place(klaviyo_cli_import_t *import,
    const klaviyo_slice_t *line, klaviyo_cli_scope_t **scope)
{
    klaviyo_slice_t  value;

    switch (klaviyo_cli_log_parse(&klaviyo_cli_log, import->format,
                                  &klaviyo_cli_rules.names, line->data,
                                  line->len, import->now))
    {
    case KLAVIYO_CLI_LOG_OK:
        break;

    case KLAVIYO_CLI_LOG_TIME:
        return KLAVIYO_CLI_NO_TIME;

    default:
        return KLAVIYO_CLI_NO_MALFORMED;
    }

    if (klaviyo_cli_log.time < import->since
        || klaviyo_cli_log.time >= import->until)
    {
        return KLAVIYO_CLI_NO_RANGE;
    }

    if (klaviyo_cli_log_field(&klaviyo_cli_log, "klaviyo_captured", 16, &value)
        && value.len && value.data[0] >= '1' && value.data[0] <= '9')
    {
        return KLAVIYO_CLI_NO_CAPTURED;
    }

    if (import->host.len) {

        /* of a log of several hosts, the lines of this one */

        if (klaviyo_cli_log.host.len
            && (klaviyo_cli_log.host.len != import->host.len
                || strncasecmp((const char *) klaviyo_cli_log.host.data,
                               import->cli->host, import->host.len) != 0))
        {
            return KLAVIYO_CLI_NO_SERVER;
        }

        klaviyo_cli_log.host = import->host;
    }

    switch (klaviyo_cli_rules_find(&klaviyo_cli_rules, &klaviyo_cli_place,
                                   &klaviyo_cli_log.uri,
                                   &klaviyo_cli_log.host))
    {
    case 0:
        return KLAVIYO_CLI_NO_SERVER;

    case -1:
        return KLAVIYO_CLI_NO_MALFORMED;

    default:
        break;
    }

    *scope = klaviyo_cli_rules_of(klaviyo_cli_place.scope);

    return *scope ? KLAVIYO_CLI_NO : KLAVIYO_CLI_NO_RULE;
}


static int
klaviyo_cli_import_put(klaviyo_cli_import_t *import, klaviyo_event_t *event)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    struct timespec    step;
    klaviyo_ring_rc_e  rc;

    if (import->ring == NULL) {
        import->events++;
        return KLAVIYO_CLI_OK;
    }

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_CLI_STEP * 1000000L;

    for ( ;; ) {

        if (klaviyo_cli_import_room(import) != KLAVIYO_CLI_OK) {
            return KLAVIYO_CLI_CANNOT;
        }

        if (klaviyo_ring_verify(import->ring, error) != KLAVIYO_RING_OK) {
            return klaviyo_cli_error("the ring was taken away: the same "
                                     "command goes on from there");
        }

        /* its age, of `retry max_age`, begins now */

        event->time = klaviyo_cli_now();

        rc = klaviyo_ring_put(import->ring, event);

        switch (rc) {

        case KLAVIYO_RING_OK:
            import->events++;
            import->put_mark++;
            return KLAVIYO_CLI_OK;

        case KLAVIYO_RING_TOO_LARGE:
            import->no[KLAVIYO_CLI_NO_LARGE]++;
            return KLAVIYO_CLI_OK;

        case KLAVIYO_RING_FULL:
        case KLAVIYO_RING_BUSY:
            import->since_look = 0;
            (void) nanosleep(&step, NULL);
            break;

        default:
            return klaviyo_cli_error("the ring cannot be written to");
        }
    }
}


/* waits while the queue is above the share, or more than the ring can hold */

static int
klaviyo_cli_import_room(klaviyo_cli_import_t *import)
{
    int64_t            told;
    struct timespec    step;
    klaviyo_figures_t  figures;

    if (import->since_look) {
        import->since_look--;
        return KLAVIYO_CLI_OK;
    }

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_CLI_STEP * 1000000L;

    told = klaviyo_cli_now();

    for ( ;; ) {
        klaviyo_ring_figures(import->ring, &figures);

        if (figures.used <= figures.size / 100 * import->share
            && figures.spooled == 0)
        {
            import->since_look = KLAVIYO_CLI_LOOK;
            return KLAVIYO_CLI_OK;
        }

        if (klaviyo_cli_stopped) {
            return KLAVIYO_CLI_CANNOT;
        }

        if (!klaviyo_ring_in_use(import->ring)) {
            return klaviyo_cli_error("the queue has its share, and no nginx "
                                     "delivers from it: start it, and the same "
                                     "command goes on from there");
        }

        if (klaviyo_cli_now() - told > KLAVIYO_CLI_TELL) {
            (void) klaviyo_cli_error("waits: %" PRIu64 " events are in the "
                                     "queue, %" PRIu64 " of them in the spool",
                                     figures.queued, figures.spooled);
            told = klaviyo_cli_now();
        }

        (void) nanosleep(&step, NULL);
    }
}


static int
klaviyo_cli_import_mark(klaviyo_cli_import_t *import,
    const klaviyo_cli_input_t *input)
{
    if (import->ring == NULL || import->mark.bytes == 0
        || import->since_mark == 0)
    {
        return KLAVIYO_CLI_OK;
    }

    if (klaviyo_cli_input_digest(input, import->mark.bytes, import->mark.text)
        == -1)
    {
        return klaviyo_cli_error("no memory");
    }

    import->since_mark = 0;
    import->put_mark = 0;

    return klaviyo_cli_marks_put(&import->marks, &import->mark, &import->slot);
}


static void
klaviyo_cli_import_told(const klaviyo_cli_import_t *import)
{
    unsigned  i;

    (void) printf("%" PRIu64 " lines read", import->lines);

    if (import->before) {
        (void) printf(", %" PRIu64 " were done before", import->before);
    }

    (void) printf("\n%" PRIu64 " events %s\n", import->events,
                  import->ring || !import->cli->dry_run ? "put"
                                                        : "would be put");

    klaviyo_cli_import_metrics(&klaviyo_cli_rules.http);

    for (i = 0; i < KLAVIYO_CLI_NO_N; i++) {
        if (import->no[i]) {
            (void) printf("%10" PRIu64 "  skipped, %s\n", import->no[i],
                          klaviyo_cli_no_names[i]);
        }
    }

    if (klaviyo_cli_maker.left_out) {
        (void) printf("%10" PRIu64 "  values left out, as they are none of "
                      "their type\n", klaviyo_cli_maker.left_out);
    }
}


static void
klaviyo_cli_import_metrics(const klaviyo_cli_scope_t *scope)
{
    unsigned  i;

    for (i = 0; i < scope->rules; i++) {

        if (scope->rule[i].events) {
            (void) printf("%10" PRIu64 "  \"%s\"\n", scope->rule[i].events,
                          scope->rule[i].metric);
        }

        if (scope->rule[i].lacks) {
            (void) printf("            \"%s\" lacks $%s\n",
                          scope->rule[i].metric, scope->rule[i].lacks);
        }
    }

    for (i = 0; i < scope->children; i++) {
        klaviyo_cli_import_metrics(scope->child[i]);
    }
}


static void
klaviyo_cli_import_stop(int signo)
{
    (void) signo;

    klaviyo_cli_stopped = 1;
}
