/*
 * status: reads the figures of all accounts, as the table has them.
 */


#include "ngx_http_klaviyo_status_figures.h"
#include "ngx_http_klaviyo_status_table.h"
#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_hold_state.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_health.h"
#include "queue/klaviyo_ring_totals.h"


/* where a figure is in what is read, the same for all accounts */

typedef struct {
    const ngx_http_klaviyo_status_row_t  *row;
    const char                           *name;
    size_t                                offset;
} ngx_http_klaviyo_status_place_t;


static ngx_uint_t ngx_http_klaviyo_status_places(
    ngx_http_klaviyo_status_place_t *place);
static ngx_uint_t ngx_http_klaviyo_status_group(
    ngx_http_klaviyo_status_place_t *place,
    const ngx_http_klaviyo_status_row_t *row,
    const klaviyo_figure_name_t *names, size_t offset, ngx_uint_t n);
static ngx_uint_t ngx_http_klaviyo_status_named(const char *group,
    const char *name);
static void ngx_http_klaviyo_status_account(
    ngx_http_klaviyo_account_t *account,
    const ngx_http_klaviyo_status_place_t *place, ngx_uint_t places,
    ngx_http_klaviyo_status_account_t *status);
static void ngx_http_klaviyo_status_reading(
    ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_status_reading_t *reading);
static void ngx_http_klaviyo_status_health(
    ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_status_reading_t *reading);
static ngx_uint_t ngx_http_klaviyo_status_has(
    ngx_http_klaviyo_account_t *account, const char *group);
static void ngx_http_klaviyo_status_sums(
    ngx_http_klaviyo_status_account_t *status);


ngx_int_t
ngx_http_klaviyo_status_read(ngx_pool_t *pool,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t                          i, max, places;
    ngx_http_klaviyo_account_t        **account;
    ngx_http_klaviyo_status_place_t    *place;
    ngx_http_klaviyo_status_account_t  *read;
    ngx_http_klaviyo_status_figure_t   *figure;
    ngx_http_klaviyo_status_reading_t  *reading;

    status->n = kmcf->queues.nelts;

    /* each figure is one of the ring's, or has a row */

    max = KLAVIYO_OUTCOME_N + KLAVIYO_COUNT_N;

    for (i = 0; ngx_http_klaviyo_status_rows[i].group; i++) {
        max++;
    }

    place = ngx_palloc(pool, max * sizeof(ngx_http_klaviyo_status_place_t));

    read = ngx_palloc(pool, status->n
                            * sizeof(ngx_http_klaviyo_status_account_t));
    figure = ngx_palloc(pool, status->n * max
                              * sizeof(ngx_http_klaviyo_status_figure_t));

    reading = ngx_palloc(pool, status->n
                               * sizeof(ngx_http_klaviyo_status_reading_t));

    if (place == NULL || read == NULL || figure == NULL || reading == NULL) {
        return NGX_ERROR;
    }

    places = ngx_http_klaviyo_status_places(place);

    account = kmcf->queues.elts;

    for (i = 0; i < status->n; i++) {
        read[i].name = &account[i]->name;
        read[i].n = 0;
        read[i].written = 0;
        read[i].figure = figure + i * max;
        read[i].reading = &reading[i];

        ngx_http_klaviyo_status_account(account[i], place, places, &read[i]);
    }

    status->account = read;

    return NGX_OK;
}


/* how many there are */

static ngx_uint_t
ngx_http_klaviyo_status_places(ngx_http_klaviyo_status_place_t *place)
{
    size_t                                outcome, counter;
    ngx_uint_t                            n;
    const ngx_http_klaviyo_status_row_t  *row;

    outcome = offsetof(ngx_http_klaviyo_status_reading_t, ring.outcome);
    counter = offsetof(ngx_http_klaviyo_status_reading_t, ring.counter);
    n = 0;

    for (row = ngx_http_klaviyo_status_rows; row->group; row++) {

        if (row->name == NULL) {
            n += ngx_http_klaviyo_status_group(place + n, row,
                                               klaviyo_outcome_names, outcome,
                                               KLAVIYO_OUTCOME_N);
            n += ngx_http_klaviyo_status_group(place + n, row,
                                               klaviyo_counter_names, counter,
                                               KLAVIYO_COUNT_N);
            continue;
        }

        place[n].row = row;
        place[n].name = row->name;
        place[n++].offset = row->offset;
    }

    return n;
}


static ngx_uint_t
ngx_http_klaviyo_status_group(ngx_http_klaviyo_status_place_t *place,
    const ngx_http_klaviyo_status_row_t *row,
    const klaviyo_figure_name_t *names, size_t offset, ngx_uint_t n)
{
    ngx_uint_t  i, k;

    k = 0;

    for (i = 0; i < n; i++) {

        if (ngx_strcmp(names[i].group, row->group) == 0
            && !ngx_http_klaviyo_status_named(row->group, names[i].name))
        {
            place[k].row = row;
            place[k].name = names[i].name;
            place[k++].offset = offset + i * sizeof(uint64_t);
        }
    }

    return k;
}


/* whether a row of its own says what the figure is */

static ngx_uint_t
ngx_http_klaviyo_status_named(const char *group, const char *name)
{
    const ngx_http_klaviyo_status_row_t  *row;

    for (row = ngx_http_klaviyo_status_rows; row->group; row++) {

        if (row->name && ngx_strcmp(row->group, group) == 0
            && ngx_strcmp(row->name, name) == 0)
        {
            return 1;
        }
    }

    return 0;
}

static void
ngx_http_klaviyo_status_account(ngx_http_klaviyo_account_t *account,
    const ngx_http_klaviyo_status_place_t *place, ngx_uint_t places,
    ngx_http_klaviyo_status_account_t *status)
{
    ngx_uint_t                          i, has;
    const char                         *group;
    ngx_http_klaviyo_status_figure_t   *figure;
    ngx_http_klaviyo_status_reading_t  *reading;

    reading = status->reading;

    ngx_http_klaviyo_status_reading(account, reading);
    ngx_http_klaviyo_status_health(account, reading);

    group = NULL;
    has = 0;

    for (i = 0; i < places; i++) {

        if (place[i].row->group != group) {
            group = place[i].row->group;
            has = ngx_http_klaviyo_status_has(account, group);
        }

        if (!has) {
            continue;
        }

        figure = &status->figure[status->n++];

        figure->row = place[i].row;
        figure->name = place[i].name;
        figure->value = 0;

        if (place[i].row->family) {
            ngx_memcpy(&figure->value, (u_char *) reading + place[i].offset,
                       sizeof(uint64_t));
        }
    }

    ngx_http_klaviyo_status_sums(status);
}


static void
ngx_http_klaviyo_status_reading(ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_status_reading_t *reading)
{
    ngx_uint_t                         i;
    ngx_http_klaviyo_fleet_host_t     *host;
    ngx_http_klaviyo_fleet_figures_t  *fleet;

    ngx_memzero(reading, sizeof(ngx_http_klaviyo_status_reading_t));

    klaviyo_ring_figures(account->ring, &reading->ring);

    reading->attached = reading->ring.attached;
    reading->deliverer = reading->ring.deliverer;
    reading->paused_for =
                  klaviyo_clock_left(reading->ring.paused_until);
    reading->single_waits_for =
                  klaviyo_clock_left(
                          reading->ring.waits_until[KLAVIYO_WAIT_SINGLE]);
    reading->bulk_waits_for =
                  klaviyo_clock_left(
                          reading->ring.waits_until[KLAVIYO_WAIT_BULK]);
    reading->spool_size = account->spool_size;

    if (account->hold) {
        klaviyo_hold_figures(account->hold_ring, &reading->hold);

        reading->hold_attached = reading->hold.attached;
    }

    if (account->fleet) {
        fleet = account->limits_zone->data;
        reading->fleet = fleet[account->fleet_host != NULL];

        /* another process writes it meanwhile */

        reading->fleet.nlist = ngx_min(reading->fleet.nlist,
                                       NGX_HTTP_KLAVIYO_FLEET_HOSTS);

        for (i = 0; i < reading->fleet.nlist; i++) {
            host = &reading->fleet.list[i];
            host->len = ngx_min(host->len, NGX_HTTP_KLAVIYO_FLEET_HOST);
        }
    }
}


static void
ngx_http_klaviyo_status_health(ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_status_reading_t *reading)
{
    int64_t            oldest, first;
    ngx_uint_t         i;
    ngx_time_t        *tp;
    klaviyo_health_t  *health;

    health = &reading->health;
    tp = ngx_timeofday();

    reading->now = (int64_t) tp->sec * 1000 + tp->msec;

    klaviyo_ring_health(account->ring, health);

    reading->state = klaviyo_health_states(health, &reading->ring,
                                           reading->now, reading->states);

    /* another host may deliver all, and visitors are none of its business */

    if (account->fleet_host
        && (reading->state == KLAVIYO_STATE_NOTHING_CAPTURED
            || reading->state == KLAVIYO_STATE_ANONYMOUS_ONLY))
    {
        reading->states[reading->state] = 0;
        reading->state = KLAVIYO_STATE_DELIVERING;
        reading->states[reading->state] = 1;
    }

    reading->success = ngx_max(health->success, 0) / 1000;
    reading->since = ngx_max(health->since, 0) / 1000;

    klaviyo_health_minute(health, &reading->ring, reading->now,
                          &reading->captured, &reading->delivered);

    for (i = 0; i < KLAVIYO_HISTOGRAM_N; i++) {
        klaviyo_ring_histogram(account->ring, i, &reading->histogram[i]);
    }

    reading->metrics = klaviyo_ring_metrics(account->ring, reading->now,
                                            reading->metric);

    if (reading->ring.queued == 0) {
        return;
    }

    /* what the spool has is older, and known by the deliverer alone */

    oldest = health->oldest;
    first = klaviyo_ring_oldest(account->ring);

    if (oldest <= 0 || (first && first < oldest)) {
        oldest = first;
    }

    if (oldest > 0 && oldest < reading->now) {
        reading->oldest = (reading->now - oldest) / 1000;
    }
}


static ngx_uint_t
ngx_http_klaviyo_status_has(ngx_http_klaviyo_account_t *account,
    const char *group)
{
    if (ngx_strcmp(group, "spool") == 0) {
        return account->spool.len != 0;
    }

    if (ngx_strcmp(group, "dead_letters") == 0) {
        return account->dead_letter.len != 0;
    }

    if (ngx_strcmp(group, "hold") == 0) {
        return account->hold != 0;
    }

    if (ngx_strcmp(group, "fleet") == 0) {
        return account->fleet != NULL;
    }

    return 1;
}


static void
ngx_http_klaviyo_status_sums(ngx_http_klaviyo_status_account_t *status)
{
    ngx_uint_t                         i, j;
    ngx_http_klaviyo_status_figure_t  *figure;

    figure = status->figure;

    for (i = 0; i < status->n; i++) {

        if (figure[i].row->family) {
            continue;
        }

        for (j = 0; j < status->n; j++) {

            if (ngx_strcmp(figure[j].row->group, figure[i].name) == 0) {
                figure[i].value += figure[j].value;
            }
        }
    }
}


ngx_http_klaviyo_status_figure_t *
ngx_http_klaviyo_status_find(ngx_http_klaviyo_status_account_t *account,
    const char *group, const char *name)
{
    ngx_uint_t                         i;
    ngx_http_klaviyo_status_figure_t  *figure;

    for (i = 0; i < account->n; i++) {
        figure = &account->figure[i];

        if (ngx_strcmp(figure->row->group, group) == 0
            && ngx_strcmp(figure->name, name) == 0)
        {
            return figure;
        }
    }

    return NULL;
}


void
ngx_http_klaviyo_status_text(klaviyo_json_t *out, const char *text)
{
    klaviyo_json_raw(out, text, ngx_strlen(text));
}
