/*
 * klaviyo-queue stat: the figures, as text or as JSON.
 */


#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json/klaviyo_json.h"
#include "klaviyo_cli.h"
#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_health.h"
#include "queue/klaviyo_ring_inspect.h"
#include "queue/klaviyo_spool_inspect.h"
#include "queue/klaviyo_spool_open.h"


#define KLAVIYO_CLI_GROUPS  32
#define KLAVIYO_CLI_PATH    (4 * 1024)


typedef struct {
    klaviyo_figures_t      figures;
    klaviyo_ring_span_t    span;
    klaviyo_spool_state_t  spool;
    klaviyo_health_t       health;
    const char            *group[KLAVIYO_CLI_GROUPS];
    unsigned               groups;
    unsigned               in_use:1;
    unsigned               has_spool:1;
} klaviyo_cli_stat_t;


static int klaviyo_cli_stat_read(const klaviyo_cli_t *cli,
    klaviyo_ring_t *ring, klaviyo_cli_stat_t *stat);
static void klaviyo_cli_stat_group(klaviyo_cli_stat_t *stat,
    const char *group);
static uint64_t klaviyo_cli_stat_sum(const klaviyo_cli_stat_t *stat,
    const char *group);
static void klaviyo_cli_stat_each(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat, const char *group);
static void klaviyo_cli_stat_number(const klaviyo_cli_t *cli,
    const char *name, uint64_t n);
static void klaviyo_cli_stat_verdict(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat);
static void klaviyo_cli_stat_text(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat);
static void klaviyo_cli_stat_json(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat);
static const char *klaviyo_cli_stat_whose(const klaviyo_cli_stat_t *stat);
static void klaviyo_cli_stat_string(const char *text);


int
klaviyo_cli_stat(const klaviyo_cli_t *cli)
{
    int                  rc;
    char                 error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_t      *ring;
    klaviyo_cli_stat_t   stat;

    if (klaviyo_ring_open(&ring, cli->ring, KLAVIYO_RING_LOOK, error)
        != KLAVIYO_RING_OK)
    {
        return klaviyo_cli_error("%s", error);
    }

    if (klaviyo_ring_damaged(ring, error)) {
        rc = klaviyo_cli_error("%s", error);

    } else {
        rc = klaviyo_cli_stat_read(cli, ring, &stat);
    }

    klaviyo_ring_detach(ring);

    if (rc != KLAVIYO_CLI_OK) {
        return rc;
    }

    if (cli->json) {
        klaviyo_cli_stat_json(cli, &stat);

    } else {
        klaviyo_cli_stat_text(cli, &stat);
    }

    return klaviyo_cli_flush();
}


static int
klaviyo_cli_stat_read(const klaviyo_cli_t *cli, klaviyo_ring_t *ring,
    klaviyo_cli_stat_t *stat)
{
    int               i;
    char              error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_spool_t  *spool;

    memset(stat, 0, sizeof(klaviyo_cli_stat_t));

    if (cli->spool) {

        if (klaviyo_spool_inspect(&spool, cli->spool, error)
            != KLAVIYO_SPOOL_OK)
        {
            return klaviyo_cli_error("%s", error);
        }

        klaviyo_spool_state(spool, &stat->spool);
        klaviyo_spool_close(spool);

        stat->has_spool = 1;
    }

    klaviyo_ring_figures(ring, &stat->figures);
    klaviyo_ring_health(ring, &stat->health);

    if (klaviyo_ring_span(ring, &stat->span) != KLAVIYO_RING_OK) {
        return klaviyo_cli_error("the ring was taken away");
    }

    stat->in_use = klaviyo_ring_in_use(ring);

    /* of a deliverer or a pause before the last reboot nothing is left */

    if (!stat->in_use) {
        stat->figures.deliverer = 0;
        stat->figures.paused_until = 0;
    }

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        klaviyo_cli_stat_group(stat, klaviyo_outcome_names[i].group);
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        klaviyo_cli_stat_group(stat, klaviyo_counter_names[i].group);
    }

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_stat_group(klaviyo_cli_stat_t *stat, const char *group)
{
    unsigned  i;

    for (i = 0; i < stat->groups; i++) {
        if (strcmp(stat->group[i], group) == 0) {
            return;
        }
    }

    if (stat->groups < KLAVIYO_CLI_GROUPS) {
        stat->group[stat->groups++] = group;
    }
}


static uint64_t
klaviyo_cli_stat_sum(const klaviyo_cli_stat_t *stat, const char *group)
{
    int       i;
    uint64_t  sum;

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (strcmp(klaviyo_outcome_names[i].group, group) == 0) {
            sum += stat->figures.outcome[i];
        }
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        if (strcmp(klaviyo_counter_names[i].group, group) == 0) {
            sum += stat->figures.counter[i];
        }
    }

    return sum;
}


static void
klaviyo_cli_stat_one(const klaviyo_cli_t *cli,
    const klaviyo_figure_name_t *name, uint64_t n, unsigned *printed)
{
    if (cli->json) {
        (void) printf("%s\"%s\":%" PRIu64, *printed ? "," : "", name->name,
                      n);

    } else if (n || cli->all) {
        (void) printf("  %-22s %" PRIu64 "\n", name->name, n);
    }

    *printed = 1;
}


static void
klaviyo_cli_stat_each(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat, const char *group)
{
    int       i;
    unsigned  printed;

    printed = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (strcmp(klaviyo_outcome_names[i].group, group) == 0) {
            klaviyo_cli_stat_one(cli, &klaviyo_outcome_names[i],
                                 stat->figures.outcome[i], &printed);
        }
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        if (strcmp(klaviyo_counter_names[i].group, group) == 0) {
            klaviyo_cli_stat_one(cli, &klaviyo_counter_names[i],
                                 stat->figures.counter[i], &printed);
        }
    }
}


/* what is zero is left out, but for those that are looked for first */

static void
klaviyo_cli_stat_number(const klaviyo_cli_t *cli, const char *name,
    uint64_t n)
{
    if (n || cli->all) {
        (void) printf("%-24s %" PRIu64 "\n", name, n);
    }
}


/* how the account fares, in the words of the page and of the log */

static void
klaviyo_cli_stat_verdict(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat)
{
    uint64_t                     states[KLAVIYO_STATE_N];
    klaviyo_state_e              state;
    const klaviyo_state_name_t  *name;

    state = klaviyo_health_states(&stat->health, &stat->figures,
                                  klaviyo_cli_now(), states);

    name = &klaviyo_state_names[state];

    if (cli->name) {
        klaviyo_cli_print("%-24s %s\n", "account", cli->name);
    }

    if (!stat->in_use) {
        (void) printf("%-24s no nginx has it in use\n", "now");
        return;
    }

    (void) printf("%-24s %s\n", "now", name->what);

    if (name->todo[0]) {
        (void) printf("%-24s %s\n", "what to do", name->todo);
    }
}


static void
klaviyo_cli_stat_text(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat)
{
    unsigned                      i;
    uint64_t                      paused;
    const klaviyo_figures_t      *figures;
    const klaviyo_spool_state_t  *spool;

    figures = &stat->figures;
    spool = &stat->spool;

    klaviyo_cli_stat_verdict(cli, stat);

    klaviyo_cli_print("%-24s %s\n", "ring", cli->ring);
    (void) printf("%-24s %s\n", "in use", stat->in_use ? "yes" : "no");
    (void) printf("%-24s %" PRIu64 "\n", "size", figures->size);
    (void) printf("%-24s %" PRIu64 "\n", "used", figures->used);

    if (figures->deliverer) {
        (void) printf("%-24s %" PRId64 "\n", "deliverer",
                      figures->deliverer);

    } else {
        (void) printf("%-24s %s\n", "deliverer", "none");
    }

    paused = klaviyo_clock_left(stat->figures.paused_until);

    if (paused || cli->all) {
        (void) printf("%-24s %" PRIu64 " s\n", "paused for", paused);
    }

    (void) printf("\n%-24s %" PRIu64 "\n", "captured", figures->captured);
    (void) printf("%-24s %" PRIu64 "\n", "queued", figures->queued);

    klaviyo_cli_stat_number(cli, "  in the spool only", figures->spooled);

    for (i = 0; i < stat->groups; i++) {
        klaviyo_cli_stat_number(cli, stat->group[i],
                                klaviyo_cli_stat_sum(stat, stat->group[i]));
        klaviyo_cli_stat_each(cli, stat, stat->group[i]);
    }

    if (stat->has_spool) {
        klaviyo_cli_print("\n%-24s %s\n", "spool", cli->spool);
        (void) printf("  %-22s %s\n", "belongs to",
                      klaviyo_cli_stat_whose(stat));
        (void) printf("  %-22s %" PRIu64 "\n", "events",
                      spool->tail - spool->head);
        (void) printf("  %-22s %" PRIu64 "\n", "bytes", spool->used);
        (void) printf("  %-22s %" PRIu64 "\n", "segments", spool->segments);
    }
}


static void
klaviyo_cli_stat_json(const klaviyo_cli_t *cli,
    const klaviyo_cli_stat_t *stat)
{
    unsigned                      i;
    const klaviyo_figures_t      *figures;
    const klaviyo_spool_state_t  *spool;

    figures = &stat->figures;
    spool = &stat->spool;

    (void) printf("{\"ring\":");
    klaviyo_cli_stat_string(cli->ring);
    (void) printf(",\"in_use\":%s,\"size\":%" PRIu64 ",\"used\":%" PRIu64
                  ",\"deliverer\":%" PRId64 ",\"paused_for\":%" PRIu64,
                  stat->in_use ? "true" : "false", figures->size,
                  figures->used, figures->deliverer,
                  klaviyo_clock_left(stat->figures.paused_until));

    (void) printf(",\"captured\":%" PRIu64 ",\"queued\":%" PRIu64
                  ",\"spooled\":%" PRIu64, figures->captured,
                  figures->queued, figures->spooled);

    for (i = 0; i < stat->groups; i++) {

        if (strcmp(stat->group[i], "delivered") == 0
            || strcmp(stat->group[i], "dry_run") == 0
            || strcmp(stat->group[i], "dead") == 0
            || strcmp(stat->group[i], "lost") == 0
            || strcmp(stat->group[i], "handed_over") == 0)
        {
            (void) printf(",\"%s\":%" PRIu64, stat->group[i],
                          klaviyo_cli_stat_sum(stat, stat->group[i]));
        }
    }

    (void) printf(",\"figures\":{");

    for (i = 0; i < stat->groups; i++) {
        (void) printf("%s\"%s\":{", i ? "," : "", stat->group[i]);
        klaviyo_cli_stat_each(cli, stat, stat->group[i]);
        (void) printf("}");
    }

    (void) printf("}");

    if (stat->has_spool) {
        (void) printf(",\"spool\":{\"dir\":");
        klaviyo_cli_stat_string(cli->spool);
        (void) printf(",\"belongs_to\":\"%s\",\"events\":%" PRIu64
                      ",\"bytes\":%" PRIu64 ",\"segments\":%" PRIu64 "}",
                      klaviyo_cli_stat_whose(stat),
                      spool->tail - spool->head, spool->used,
                      spool->segments);
    }

    (void) printf("}\n");
}


static const char *
klaviyo_cli_stat_whose(const klaviyo_cli_stat_t *stat)
{
    static const uint8_t  nobody[KLAVIYO_RING_UUID_LEN];

    if (memcmp(stat->spool.ring, stat->span.uuid, KLAVIYO_RING_UUID_LEN)
        == 0)
    {
        return "this ring";
    }

    return memcmp(stat->spool.ring, nobody, KLAVIYO_RING_UUID_LEN)
           ? "another ring" : "no ring yet";
}


static void
klaviyo_cli_stat_string(const char *text)
{
    uint8_t         buf[klaviyo_json_string_size(KLAVIYO_CLI_PATH)];
    klaviyo_json_t  json;

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_string(&json, (const uint8_t *) text, strlen(text),
                        KLAVIYO_CLI_PATH);

    klaviyo_cli_write(stdout, buf, json.pos - json.start);
}
