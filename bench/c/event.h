/*
 * An event as the module makes it of a request: precompiled pieces and
 * values that are escaped and checked by type, by the module's own plain C.
 *
 * What the module does besides, and what is not here: nginx evaluates the
 * variables, the cookie is decoded, the request is looked at for what to
 * skip.  bench/instructions.pl counts these.
 */


#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H


#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <unistd.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "queue/klaviyo_ring.h"
#include "queue/klaviyo_ring_file.h"


#define BENCH_PROPERTIES_MAX  50
#define BENCH_VALUE_MAX       4096


typedef struct {
    unsigned              n;
    size_t                name_len[BENCH_PROPERTIES_MAX];
    size_t                value_len[BENCH_PROPERTIES_MAX];
    klaviyo_value_type_e  type[BENCH_PROPERTIES_MAX];
    char                  name[BENCH_PROPERTIES_MAX][32];
    uint8_t               value[BENCH_PROPERTIES_MAX][BENCH_VALUE_MAX];
} bench_template_t;


typedef struct {
    klaviyo_event_t  event;
    size_t           id_len;
    uint8_t          id[64];
    uint8_t          buf[BENCH_PROPERTIES_MAX * (BENCH_VALUE_MAX + 64)
                         + 4096];
} bench_event_t;


static inline int64_t
bench_clock(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}


/* n properties with values of `size` bytes; of five one is a number, a bool */

static inline void
bench_template(bench_template_t *t, unsigned n, size_t size)
{
    unsigned  i, k;

    t->n = n;

    for (i = 0; i < n; i++) {
        t->name_len[i] = snprintf(t->name[i], sizeof(t->name[i]),
                                  "%s\"Property%u\":", i ? "," : "", i);

        switch (i % 5) {

        case 1:
            t->type[i] = KLAVIYO_VALUE_NUMBER;
            t->value_len[i] = snprintf((char *) t->value[i], BENCH_VALUE_MAX,
                                       "%u.90", 10 + i);
            break;

        case 3:
            t->type[i] = KLAVIYO_VALUE_BOOL;
            t->value_len[i] = snprintf((char *) t->value[i], BENCH_VALUE_MAX,
                                       "yes");
            break;

        default:
            t->type[i] = KLAVIYO_VALUE_STRING;
            t->value_len[i] = size;

            for (k = 0; k < size; k++) {
                t->value[i][k] = "Brass Desk Lamp "[k % 16];
            }
        }
    }
}


#define bench_digits(p, n, number)                                           \
    for (i = (n); i-- > 0; number /= 10) { (p)[i] = '0' + number % 10; }


/* event number `number`, one of `profiles` visitors */

static inline void
bench_encode(bench_event_t *e, const bench_template_t *t, uint64_t number,
    uint64_t profiles, int64_t now)
{
    int             cut;
    size_t          i;
    uint64_t        visitor, n;
    klaviyo_json_t  json;
    uint8_t         text[32];

    visitor = number % profiles;

    klaviyo_json_init(&json, e->buf, sizeof(e->buf));

    klaviyo_json_literal(&json, "{\"type\":\"profile\",\"attributes\":{"
                                "\"external_id\":");
    memcpy(text, "visitor-", 8);
    bench_digits(text + 8, 8, visitor);
    klaviyo_json_string(&json, text, 16, 512);
    klaviyo_json_literal(&json, "}}");

    e->event.profile = json.start;
    e->event.profile_len = json.pos - json.start;

    klaviyo_json_literal(&json, "\"properties\":{");

    for (i = 0; i < t->n; i++) {
        klaviyo_json_raw(&json, t->name[i], t->name_len[i]);
        (void) klaviyo_value_write(&json, t->type[i], t->value[i],
                                   t->value_len[i], &cut);
    }

    e->event.metric = json.pos - json.start - e->event.profile_len + 2;

    klaviyo_json_literal(&json, "},\"metric\":{\"data\":{\"type\":\"metric\","
                                "\"attributes\":{\"name\":"
                                "\"Viewed Product\"}}},\"time\":\"");
    klaviyo_value_format_time(text, now / 1000);
    klaviyo_json_raw(&json, text, KLAVIYO_TIME_LEN);
    klaviyo_json_literal(&json, "\",\"unique_id\":");

    n = number;
    memcpy(e->id, "bench-", 6);
    bench_digits(e->id + 6, 26, n);
    e->id_len = 32;

    klaviyo_json_string(&json, e->id, e->id_len, KLAVIYO_UNIQUE_ID_MAX);

    e->event.attributes = json.start + e->event.profile_len;
    e->event.attributes_len = json.pos - e->event.attributes;
    e->event.unique_id = e->id;
    e->event.unique_id_len = e->id_len;
    e->event.time = now;
}


/* becomes whose the folder is that the ring is in */

static inline void
bench_become(const char *path)
{
    char         dir[4096];
    char        *slash;
    struct stat  st;

    (void) snprintf(dir, sizeof(dir), "%s", path);

    slash = strrchr(dir, '/');

    if (slash) {
        *slash = '\0';
    }

    if (geteuid() == 0
        && stat(dir, &st) == 0
        && (setgid(st.st_gid) == -1 || setuid(st.st_uid) == -1))
    {
        perror("setuid()");
        exit(1);
    }
}



static inline klaviyo_ring_t *
bench_ring(const char *path, size_t size)
{
    char                 error[KLAVIYO_RING_ERROR_MAX];
    char                 note[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_t      *ring;
    klaviyo_ring_conf_t  conf;

    bench_become(path);

    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = size;

    if (klaviyo_ring_attach(&ring, &conf, error, note) != KLAVIYO_RING_OK) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }

    return ring;
}


#endif /* BENCH_EVENT_H */
