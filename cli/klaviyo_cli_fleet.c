/*
 * klaviyo-queue fleet: what hosts share in a Redis, see docs/fleet.md and the
 * fleet module's klaviyo_fleet_queue_script.h, whose keys are read here.
 * Nothing is changed.
 */


#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "klaviyo_cli.h"
#include "klaviyo_cli_line.h"
#include "klaviyo_cli_redis.h"
#include "json/klaviyo_json.h"
#include "queue/klaviyo_pack.h"


#define KLAVIYO_CLI_FLEET_KEY    512
#define KLAVIYO_CLI_FLEET_PACKS  "50"     /* read at once                    */
#define KLAVIYO_CLI_FLEET_COST   128      /* bytes beside each pack          */


typedef struct {
    const klaviyo_cli_t   *cli;
    klaviyo_cli_redis_t   *redis;
    int                  (*run)(void *data, const char *name,
                                const char *lane);
    unsigned               queues;
    int                    rc;
} klaviyo_cli_fleet_t;


/* what a walk over the packs has met */

typedef struct {
    uint64_t               packs;
    uint64_t               events;
    uint64_t               bytes;
    uint64_t               damaged;
    unsigned               write:1;
} klaviyo_cli_walk_t;


static int klaviyo_cli_fleet_all(klaviyo_cli_fleet_t *fleet,
    const char *account);
static int klaviyo_cli_fleet_stat(void *data, const char *name,
    const char *lane);
static void klaviyo_cli_fleet_text(const char *name, const char *lane,
    const klaviyo_cli_reply_t *state, const klaviyo_cli_reply_t *hosts,
    int64_t now);
static void klaviyo_cli_fleet_json(const char *name, const char *lane,
    const klaviyo_cli_reply_t *state, const klaviyo_cli_reply_t *hosts,
    int64_t now);
static int klaviyo_cli_fleet_check(void *data, const char *name,
    const char *lane);
static int klaviyo_cli_fleet_export(void *data, const char *name,
    const char *lane);
static int klaviyo_cli_fleet_walk(klaviyo_cli_fleet_t *fleet,
    const char *name, const char *lane, klaviyo_cli_walk_t *walk);
static void klaviyo_cli_fleet_pack(klaviyo_cli_walk_t *walk,
    const klaviyo_cli_reply_t *entry);
static klaviyo_cli_reply_t *klaviyo_cli_fleet_get(klaviyo_cli_fleet_t *fleet,
    const char *command, const char *name, const char *kind,
    const char *lane);
static void klaviyo_cli_fleet_key(char *key, const char *name,
    const char *kind, const char *lane);
static uint64_t klaviyo_cli_fleet_uint(const klaviyo_cli_reply_t *state,
    const char *field);
static int64_t klaviyo_cli_fleet_now(klaviyo_cli_fleet_t *fleet);
static void klaviyo_cli_fleet_string(const char *text);
static char *klaviyo_cli_fleet_password(const char *path);


int
klaviyo_cli_fleet(klaviyo_cli_t *cli)
{
    int                   rc;
    char                 *password;
    klaviyo_cli_fleet_t   fleet;

    memset(&fleet, 0, sizeof(klaviyo_cli_fleet_t));

    fleet.cli = cli;
    fleet.run = strcmp(cli->ring, "stat") == 0 ? klaviyo_cli_fleet_stat
              : strcmp(cli->ring, "check") == 0 ? klaviyo_cli_fleet_check
              : strcmp(cli->ring, "export") == 0 ? klaviyo_cli_fleet_export
              : NULL;

    if (fleet.run == NULL || cli->files < 1 || cli->files > 2) {
        return klaviyo_cli_error("\"fleet\" needs one of \"stat\", \"check\" "
                                 "and \"export\", then \"redis://host\", and "
                                 "the name of an account if not all are "
                                 "meant");
    }

    password = NULL;

    if (cli->password_file) {
        password = klaviyo_cli_fleet_password(cli->password_file);

        if (password == NULL) {
            return KLAVIYO_CLI_CANNOT;
        }
    }

    fleet.redis = klaviyo_cli_redis_open(cli->file_names[0], cli->user,
                                         password, cli->trusted);
    free(password);

    if (fleet.redis == NULL) {
        return KLAVIYO_CLI_CANNOT;
    }

    rc = klaviyo_cli_fleet_all(&fleet,
                               cli->files == 2 ? cli->file_names[1] : NULL);

    klaviyo_cli_redis_close(fleet.redis);

    if (rc == KLAVIYO_CLI_OK && fleet.queues == 0) {
        rc = klaviyo_cli_error("no queue is shared there%s%s%s",
                               cli->files == 2 ? " by \"" : "",
                               cli->files == 2 ? cli->file_names[1] : "",
                               cli->files == 2 ? "\"" : "");
    }

    if (rc == KLAVIYO_CLI_CANNOT) {
        return rc;
    }

    return klaviyo_cli_flush() ? KLAVIYO_CLI_CANNOT : fleet.rc;
}


/* each key klaviyo:{NAME}:state:LANE */

static int
klaviyo_cli_fleet_all(klaviyo_cli_fleet_t *fleet, const char *account)
{
    int                   rc;
    char                 *name, *lane, *end, *text, pattern[256], from[32];
    size_t                i;
    const char           *argv[6];
    klaviyo_cli_reply_t  *reply, *keys;

    (void) snprintf(pattern, sizeof(pattern), "klaviyo:{%s}:state:*",
                    account ? account : "*");

    argv[0] = "SCAN";
    argv[1] = from;
    argv[2] = "MATCH";
    argv[3] = pattern;
    argv[4] = "COUNT";
    argv[5] = "1000";

    (void) snprintf(from, sizeof(from), "0");

    do {
        reply = klaviyo_cli_redis(fleet->redis, 6, argv);

        if (reply == NULL) {
            return KLAVIYO_CLI_CANNOT;
        }

        if (reply->n != 2 || reply->element[0].text == NULL) {
            klaviyo_cli_reply_free(reply);
            return klaviyo_cli_error("SCAN is answered by something else");
        }

        (void) snprintf(from, sizeof(from), "%s", reply->element[0].text);

        keys = &reply->element[1];
        rc = KLAVIYO_CLI_OK;

        for (i = 0; rc == KLAVIYO_CLI_OK && i < keys->n; i++) {
            text = keys->element[i].text;

            if (text == NULL || strncmp(text, "klaviyo:{", 9) != 0) {
                continue;
            }

            name = text + 9;
            end = strchr(name, '}');

            if (end == NULL || strncmp(end, "}:state:", 8) != 0) {
                continue;
            }

            *end = '\0';
            lane = end + 8;

            fleet->queues++;
            rc = fleet->run(fleet, name, lane);
        }

        klaviyo_cli_reply_free(reply);

    } while (rc == KLAVIYO_CLI_OK && strcmp(from, "0") != 0);

    return rc;
}


static int
klaviyo_cli_fleet_stat(void *data, const char *name, const char *lane)
{
    klaviyo_cli_fleet_t  *fleet = data;

    int64_t               now;
    klaviyo_cli_reply_t  *state, *hosts;

    now = klaviyo_cli_fleet_now(fleet);
    state = klaviyo_cli_fleet_get(fleet, "HGETALL", name, "state", lane);
    hosts = klaviyo_cli_fleet_get(fleet, "HGETALL", name, "hosts", lane);

    if (now < 0 || state == NULL || hosts == NULL) {
        klaviyo_cli_reply_free(state);
        klaviyo_cli_reply_free(hosts);
        return KLAVIYO_CLI_CANNOT;
    }

    if (fleet->cli->json) {
        klaviyo_cli_fleet_json(name, lane, state, hosts, now);

    } else {

        if (fleet->queues > 1) {
            (void) printf("\n");
        }

        klaviyo_cli_fleet_text(name, lane, state, hosts, now);
    }

    klaviyo_cli_reply_free(state);
    klaviyo_cli_reply_free(hosts);

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_fleet_text(const char *name, const char *lane,
    const klaviyo_cli_reply_t *state, const klaviyo_cli_reply_t *hosts,
    int64_t now)
{
    size_t       i, n;
    int64_t      until;
    uint64_t     accepted, delivered, dead, left, seen;
    const char  *owner;

    accepted = klaviyo_cli_fleet_uint(state, "accepted");
    delivered = klaviyo_cli_fleet_uint(state, "delivered");
    dead = klaviyo_cli_fleet_uint(state, "dead");
    until = (int64_t) klaviyo_cli_fleet_uint(state, "until");
    owner = klaviyo_cli_reply_field(state, "owner");
    n = 0;

    klaviyo_cli_print("%-24s %s, %s\n", "account", name, lane);
    (void) printf("%-24s ", "delivers");

    if (owner == NULL || until <= now) {
        owner = "nobody now";
    }

    klaviyo_cli_write(stdout, owner, strlen(owner));

    (void) printf("\n%-24s %" PRIu64 "\n", "accepted", accepted);
    (void) printf("%-24s %" PRIu64 "\n", "delivered", delivered);
    (void) printf("%-24s %" PRIu64 "\n", "dead", dead);
    (void) printf("%-24s %" PRIu64 "\n", "queued",
                  accepted - delivered - dead);
    (void) printf("%-24s %" PRIu64 "\n", "bytes",
                  klaviyo_cli_fleet_uint(state, "bytes"));

    for (i = 0; i + 1 < hosts->n; i += 2) {
        left = 0;
        seen = 0;

        if (hosts->element[i].text == NULL || hosts->element[i + 1].text == NULL
            || sscanf(hosts->element[i + 1].text, "%*u %*u %" SCNu64
                      " %" SCNu64, &left, &seen) != 2)
        {
            continue;
        }

        (void) printf("%s  ", n++ ? "" : "\nhosts\n");
        klaviyo_cli_write(stdout, hosts->element[i].text,
                          hosts->element[i].len);
        (void) printf("  heard of %" PRId64 " s ago, %" PRIu64 " events "
                      "wait\n", (now - (int64_t) seen) / 1000, left);
    }
}


static void
klaviyo_cli_fleet_json(const char *name, const char *lane,
    const klaviyo_cli_reply_t *state, const klaviyo_cli_reply_t *hosts,
    int64_t now)
{
    size_t       i, n;
    int64_t      until;
    uint64_t     accepted, delivered, dead, left, seen;
    const char  *owner;

    accepted = klaviyo_cli_fleet_uint(state, "accepted");
    delivered = klaviyo_cli_fleet_uint(state, "delivered");
    dead = klaviyo_cli_fleet_uint(state, "dead");
    until = (int64_t) klaviyo_cli_fleet_uint(state, "until");
    owner = klaviyo_cli_reply_field(state, "owner");
    n = 0;

    (void) printf("{\"account\":");
    klaviyo_cli_fleet_string(name);
    (void) printf(",\"lane\":");
    klaviyo_cli_fleet_string(lane);
    (void) printf(",\"delivers\":");

    if (owner && until > now) {
        klaviyo_cli_fleet_string(owner);

    } else {
        (void) printf("null");
    }

    (void) printf(",\"accepted\":%" PRIu64 ",\"delivered\":%" PRIu64
                  ",\"dead\":%" PRIu64 ",\"queued\":%" PRIu64 ",\"bytes\":%"
                  PRIu64 ",\"hosts\":{", accepted, delivered, dead,
                  accepted - delivered - dead,
                  klaviyo_cli_fleet_uint(state, "bytes"));

    for (i = 0; i + 1 < hosts->n; i += 2) {
        left = 0;
        seen = 0;

        if (hosts->element[i].text == NULL
            || hosts->element[i + 1].text == NULL)
        {
            continue;
        }

        (void) sscanf(hosts->element[i + 1].text, "%*u %*u %" SCNu64 " %"
                      SCNu64, &left, &seen);

        (void) printf("%s", n++ ? "," : "");
        klaviyo_cli_fleet_string(hosts->element[i].text);
        (void) printf(":{\"age\":%" PRId64 ",\"left\":%" PRIu64 "}",
                      (now - (int64_t) seen) / 1000, left);
    }

    (void) printf("}}\n");
}


/* beside a fleet that works the sums may differ by what came meanwhile */

static int
klaviyo_cli_fleet_check(void *data, const char *name, const char *lane)
{
    klaviyo_cli_fleet_t  *fleet = data;

    uint64_t              queued, bytes;
    klaviyo_cli_walk_t    walk;
    klaviyo_cli_reply_t  *state;

    memset(&walk, 0, sizeof(klaviyo_cli_walk_t));

    if (klaviyo_cli_fleet_walk(fleet, name, lane, &walk) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    state = klaviyo_cli_fleet_get(fleet, "HGETALL", name, "state", lane);

    if (state == NULL) {
        return KLAVIYO_CLI_CANNOT;
    }

    queued = klaviyo_cli_fleet_uint(state, "accepted")
             - klaviyo_cli_fleet_uint(state, "delivered")
             - klaviyo_cli_fleet_uint(state, "dead");
    bytes = klaviyo_cli_fleet_uint(state, "bytes");

    klaviyo_cli_reply_free(state);

    klaviyo_cli_print("%s, %s: %" PRIu64 " events in %" PRIu64 " packs are "
                      "whole, %" PRIu64 " packs are damaged; %" PRIu64
                      " events and %" PRIu64 " bytes are counted\n", name,
                      lane, walk.events, walk.packs - walk.damaged,
                      walk.damaged, queued, bytes);

    if (walk.damaged) {
        fleet->rc = KLAVIYO_CLI_FAULTS;
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_fleet_export(void *data, const char *name, const char *lane)
{
    klaviyo_cli_fleet_t  *fleet = data;

    klaviyo_cli_walk_t  walk;

    memset(&walk, 0, sizeof(klaviyo_cli_walk_t));

    walk.write = 1;

    if (klaviyo_cli_fleet_walk(fleet, name, lane, &walk) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (walk.damaged) {
        fleet->rc = KLAVIYO_CLI_FAULTS;
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_fleet_walk(klaviyo_cli_fleet_t *fleet, const char *name,
    const char *lane, klaviyo_cli_walk_t *walk)
{
    char                  key[KLAVIYO_CLI_FLEET_KEY], from[64], *dash;
    size_t                i, n;
    const char           *argv[6];
    klaviyo_cli_reply_t  *reply, *entry;

    klaviyo_cli_fleet_key(key, name, "q", lane);

    argv[0] = "XRANGE";
    argv[1] = key;
    argv[2] = from;
    argv[3] = "+";
    argv[4] = "COUNT";
    argv[5] = KLAVIYO_CLI_FLEET_PACKS;

    (void) snprintf(from, sizeof(from), "-");

    do {
        reply = klaviyo_cli_redis(fleet->redis, 6, argv);

        if (reply == NULL) {
            return KLAVIYO_CLI_CANNOT;
        }

        n = reply->n;

        for (i = 0; i < n; i++) {
            entry = &reply->element[i];

            if (entry->n != 2 || entry->element[0].text == NULL) {
                continue;
            }

            klaviyo_cli_fleet_pack(walk, entry);

            /* behind this one */

            dash = strchr(entry->element[0].text, '-');

            if (dash) {
                *dash = '\0';
                (void) snprintf(from, sizeof(from), "%s-%llu",
                                entry->element[0].text,
                                strtoull(dash + 1, NULL, 10) + 1);
            }
        }

        klaviyo_cli_reply_free(reply);

    } while (n == (size_t) atoi(KLAVIYO_CLI_FLEET_PACKS));

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_fleet_pack(klaviyo_cli_walk_t *walk,
    const klaviyo_cli_reply_t *entry)
{
    size_t                i;
    uint64_t              seq;
    const char           *wrong;
    klaviyo_event_t       event;
    klaviyo_unpacking_t   pack;
    const klaviyo_cli_reply_t  *fields, *bytes;

    fields = &entry->element[1];
    bytes = NULL;

    for (i = 0; i + 1 < fields->n; i += 2) {
        if (fields->element[i].text
            && strcmp(fields->element[i].text, "p") == 0)
        {
            bytes = &fields->element[i + 1];
        }
    }

    walk->packs++;

    wrong = (bytes && bytes->text)
            ? klaviyo_unpack_open(&pack, (uint8_t *) bytes->text, bytes->len)
            : "it has no bytes";

    if (wrong) {
        walk->damaged++;
        (void) klaviyo_cli_error("pack %s: %s", entry->element[0].text, wrong);
        return;
    }

    walk->bytes += bytes->len + KLAVIYO_CLI_FLEET_COST;

    while (klaviyo_unpack_next(&pack, &event, &seq)) {
        walk->events++;

        if (walk->write) {
            klaviyo_cli_line_print(stdout, &event);
        }
    }

    klaviyo_unpack_free(&pack);
}


static klaviyo_cli_reply_t *
klaviyo_cli_fleet_get(klaviyo_cli_fleet_t *fleet, const char *command,
    const char *name, const char *kind, const char *lane)
{
    char         key[KLAVIYO_CLI_FLEET_KEY];
    const char  *argv[2];

    klaviyo_cli_fleet_key(key, name, kind, lane);

    argv[0] = command;
    argv[1] = key;

    return klaviyo_cli_redis(fleet->redis, 2, argv);
}


static void
klaviyo_cli_fleet_key(char *key, const char *name, const char *kind,
    const char *lane)
{
    (void) snprintf(key, KLAVIYO_CLI_FLEET_KEY, "klaviyo:{%s}:%s:%s", name,
                    kind, lane);
}


static uint64_t
klaviyo_cli_fleet_uint(const klaviyo_cli_reply_t *state, const char *field)
{
    const char  *text;

    text = klaviyo_cli_reply_field(state, field);

    return text ? strtoull(text, NULL, 10) : 0;
}


/* Redis's, ms; -1: already told */

static int64_t
klaviyo_cli_fleet_now(klaviyo_cli_fleet_t *fleet)
{
    int64_t               now;
    const char           *argv[1];
    klaviyo_cli_reply_t  *reply;

    argv[0] = "TIME";

    reply = klaviyo_cli_redis(fleet->redis, 1, argv);

    if (reply == NULL) {
        return -1;
    }

    now = (reply->n == 2 && reply->element[0].text && reply->element[1].text)
          ? strtoll(reply->element[0].text, NULL, 10) * 1000
            + strtoll(reply->element[1].text, NULL, 10) / 1000
          : -1;

    klaviyo_cli_reply_free(reply);

    return now;
}


static void
klaviyo_cli_fleet_string(const char *text)
{
    uint8_t         buf[klaviyo_json_string_size(KLAVIYO_CLI_FLEET_KEY)];
    klaviyo_json_t  json;

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_string(&json, (const uint8_t *) text, strlen(text),
                        KLAVIYO_CLI_FLEET_KEY);

    klaviyo_cli_write(stdout, buf, json.pos - json.start);
}


/* its first line; NULL: already told */

static char *
klaviyo_cli_fleet_password(const char *path)
{
    FILE    *in;
    char    *line;
    size_t   size;
    ssize_t  len;

    in = fopen(path, "re");

    if (in == NULL) {
        (void) klaviyo_cli_error("\"%s\": %s", path, strerror(errno));
        return NULL;
    }

    line = NULL;
    size = 0;
    len = getline(&line, &size, in);

    (void) fclose(in);

    if (len <= 0) {
        (void) klaviyo_cli_error("\"%s\" holds no password", path);
        free(line);
        return NULL;
    }

    line[strcspn(line, "\r\n")] = '\0';

    return line;
}
