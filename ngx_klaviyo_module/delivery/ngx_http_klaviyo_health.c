/*
 * How the account fares, and what the log at "error" is told of it: one line a
 * minute for each cause, with what, since when, how many wait, what to do; one
 * at "notice" when it is well again.
 */


#include "ngx_http_klaviyo_health.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_health.h"


#define NGX_HTTP_KLAVIYO_HEALTH_LOOK     1000    /* ms                       */
#define NGX_HTTP_KLAVIYO_HEALTH_PATIENT  30000   /* ms of failure, told then */
#define NGX_HTTP_KLAVIYO_HEALTH_MINUTE   60000   /* ms between two lines     */
#define NGX_HTTP_KLAVIYO_HEALTH_DAY      72000   /* s: a time without a date */
#define NGX_HTTP_KLAVIYO_HEALTH_TIME     sizeof("2026-11-30 22:11:05")


static klaviyo_state_e ngx_http_klaviyo_health_cause(
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);
static int64_t ngx_http_klaviyo_health_now(void);
static void ngx_http_klaviyo_health_look(ngx_http_klaviyo_health_t *health,
    int64_t oldest, ngx_uint_t breaker);
static void ngx_http_klaviyo_health_full(ngx_http_klaviyo_health_t *health,
    klaviyo_figures_t *figures, int64_t now);
static void ngx_http_klaviyo_health_tell(ngx_http_klaviyo_health_t *health,
    klaviyo_figures_t *figures, int64_t now);
static ngx_uint_t ngx_http_klaviyo_health_may(
    ngx_http_klaviyo_health_t *health, klaviyo_state_e state, int64_t now);
static void ngx_http_klaviyo_health_time(int64_t ms, int64_t now,
    u_char buf[NGX_HTTP_KLAVIYO_HEALTH_TIME]);


void
ngx_http_klaviyo_health_init(ngx_http_klaviyo_health_t *health,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log)
{
    ngx_memzero(health, sizeof(ngx_http_klaviyo_health_t));

    health->account = account;
    health->log = log;
    health->next = ngx_current_msec;

    klaviyo_ring_health(account->ring, &health->kept);

    /* it is in the memory of the one before us, and begins anew */

    health->kept.breaker = 0;
}


void
ngx_http_klaviyo_health_answer(ngx_http_klaviyo_health_t *health,
    klaviyo_answer_t *answer)
{
    klaviyo_health_answer_t  entry;

    ngx_memzero(&entry, sizeof(klaviyo_health_answer_t));

    entry.time = ngx_http_klaviyo_health_now();
    entry.status = answer->status;

    (void) klaviyo_reply_show(answer, entry.title, entry.detail,
                              entry.pointer);

    klaviyo_health_answer(&health->kept, &entry);
    health->dirty = 1;
}


void
ngx_http_klaviyo_health_failed(ngx_http_klaviyo_health_t *health,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    klaviyo_reply_text(answer, health->words, sizeof(health->words));

    /* the breaker's concern */

    if (verdict <= KLAVIYO_REPLY_TOO_LARGE) {
        return;
    }

    if (health->kept.since == 0) {
        health->kept.since = ngx_http_klaviyo_health_now();
    }

    health->kept.cause = ngx_http_klaviyo_health_cause(verdict, answer);
    health->dirty = 1;
}


static klaviyo_state_e
ngx_http_klaviyo_health_cause(klaviyo_verdict_e verdict,
    klaviyo_answer_t *answer)
{
    char  title[KLAVIYO_REPLY_TITLE], detail[KLAVIYO_REPLY_DETAIL];
    char  pointer[KLAVIYO_REPLY_POINTER];

    switch (verdict) {

    case KLAVIYO_REPLY_NONE:
        return KLAVIYO_STATE_UNREACHABLE;

    case KLAVIYO_REPLY_THROTTLED:
        return KLAVIYO_STATE_THROTTLED;

    case KLAVIYO_REPLY_PASSING:
        return answer->challenge ? KLAVIYO_STATE_CHALLENGE
                                 : KLAVIYO_STATE_SERVER_ERROR;

    default: /* KLAVIYO_REPLY_BLOCKED */
        break;
    }

    if (answer->status == NGX_HTTP_UNAUTHORIZED) {
        return KLAVIYO_STATE_KEY_REFUSED;
    }

    if (answer->status != NGX_HTTP_FORBIDDEN) {
        return KLAVIYO_STATE_ENDPOINT_WRONG;
    }

    /* Klaviyo says why; who does not is no Klaviyo */

    return klaviyo_reply_show(answer, title, detail, pointer)
           ? KLAVIYO_STATE_SCOPE_MISSING : KLAVIYO_STATE_CHALLENGE;
}


ngx_uint_t
ngx_http_klaviyo_health_accepted(ngx_http_klaviyo_health_t *health)
{
    int64_t            now;
    u_char             since[NGX_HTTP_KLAVIYO_HEALTH_TIME];
    ngx_uint_t         i, told;
    klaviyo_health_t  *kept;
    klaviyo_figures_t  figures;

    kept = &health->kept;
    now = ngx_http_klaviyo_health_now();

    kept->success = now;
    health->dirty = 1;

    if (kept->since == 0) {
        return 0;
    }

    told = 0;

    for (i = KLAVIYO_STATE_KEY_REFUSED; i <= KLAVIYO_STATE_THROTTLED; i++) {
        told |= (kept->told[i] >= kept->since);
    }

    if (told) {
        klaviyo_ring_figures(health->account->ring, &figures);
        ngx_http_klaviyo_health_time(kept->since, now, since);

        ngx_log_error(NGX_LOG_NOTICE, health->log, 0,
                      "klaviyo account \"%V\": delivery works again, it had "
                      "failed since %s; %uL events are left to deliver",
                      &health->account->name, since, figures.queued);
    }

    kept->since = 0;
    kept->cause = 0;

    return told;
}


ngx_uint_t
ngx_http_klaviyo_health_due(ngx_http_klaviyo_health_t *health)
{
    return health->dirty
           || (ngx_msec_int_t) (ngx_current_msec - health->next) >= 0;
}


klaviyo_ring_rc_e
ngx_http_klaviyo_health_run(ngx_http_klaviyo_health_t *health, uint64_t epoch,
    int64_t oldest, ngx_uint_t breaker)
{
    klaviyo_ring_rc_e  rc;

    ngx_http_klaviyo_health_look(health, oldest, breaker);

    rc = klaviyo_ring_health_put(health->account->ring, epoch, &health->kept);

    if (rc == KLAVIYO_RING_OK) {
        health->dirty = 0;
        health->next = ngx_current_msec + NGX_HTTP_KLAVIYO_HEALTH_LOOK;
    }

    return rc;
}


static void
ngx_http_klaviyo_health_look(ngx_http_klaviyo_health_t *health,
    int64_t oldest, ngx_uint_t breaker)
{
    int64_t            now;
    klaviyo_health_t  *kept;
    klaviyo_figures_t  figures;

    kept = &health->kept;
    now = ngx_http_klaviyo_health_now();

    klaviyo_ring_figures(health->account->ring, &figures);

    if (!figures.attached) {
        return;
    }

    if (!breaker) {
        kept->breaker = 0;

    } else if (kept->breaker == 0) {
        kept->breaker = now;
    }

    kept->oldest = figures.queued ? oldest : 0;

    klaviyo_health_sample(kept, &figures, now);

    ngx_http_klaviyo_health_full(health, &figures, now);
    ngx_http_klaviyo_health_tell(health, &figures, now);
}


static void
ngx_http_klaviyo_health_full(ngx_http_klaviyo_health_t *health,
    klaviyo_figures_t *figures, int64_t now)
{
    uint64_t           lost;
    klaviyo_health_t  *kept;

    kept = &health->kept;

    lost = figures->counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
           + figures->outcome[KLAVIYO_OUTCOME_LOST_FULL]
           + figures->outcome[KLAVIYO_OUTCOME_LOST_SPOOL_FULL];

    if (health->looked && lost > health->lost) {
        kept->full = now;

        if (ngx_http_klaviyo_health_may(health, KLAVIYO_STATE_QUEUE_FULL,
                                        now))
        {
            ngx_log_error(NGX_LOG_ERR, health->log, 0,
                          "klaviyo account \"%V\": %s, %uL so far; %uL wait; "
                          "%s", &health->account->name,
                          klaviyo_state_names[KLAVIYO_STATE_QUEUE_FULL].what,
                          lost, figures->queued,
                          klaviyo_state_names[KLAVIYO_STATE_QUEUE_FULL].todo);
        }

    } else if (kept->told[KLAVIYO_STATE_QUEUE_FULL]
               && now - kept->full > NGX_HTTP_KLAVIYO_HEALTH_MINUTE)
    {
        kept->told[KLAVIYO_STATE_QUEUE_FULL] = 0;

        ngx_log_error(NGX_LOG_NOTICE, health->log, 0,
                      "klaviyo account \"%V\": the queue has room again, no "
                      "event was lost for a minute",
                      &health->account->name);
    }

    health->lost = lost;
    health->looked = 1;
}


static void
ngx_http_klaviyo_health_tell(ngx_http_klaviyo_health_t *health,
    klaviyo_figures_t *figures, int64_t now)
{
    int64_t                      age;
    u_char                       since[NGX_HTTP_KLAVIYO_HEALTH_TIME];
    uint64_t                     states[KLAVIYO_STATE_N];
    klaviyo_health_t            *kept;
    klaviyo_state_e              state;
    const klaviyo_state_name_t  *name;

    kept = &health->kept;

    state = klaviyo_health_states(kept, figures, now, states);

    if (state == KLAVIYO_STATE_ANONYMOUS_ONLY
        && kept->told[state] == 0
        && ngx_http_klaviyo_health_may(health, state, now))
    {
        ngx_log_error(NGX_LOG_ERR, health->log, 0,
                      "klaviyo account \"%V\": %s, %uL requests so far; %s",
                      &health->account->name, klaviyo_state_names[state].what,
                      figures->counter[KLAVIYO_COUNT_SKIPPED_ANONYMOUS],
                      klaviyo_state_names[state].todo);
    }

    if (kept->since == 0 || kept->cause > KLAVIYO_STATE_THROTTLED
        || figures->queued == 0)
    {
        return;
    }

    state = kept->cause;

    if (state > KLAVIYO_STATE_ENDPOINT_WRONG
        && now - kept->since < NGX_HTTP_KLAVIYO_HEALTH_PATIENT)
    {
        return;
    }

    if (!ngx_http_klaviyo_health_may(health, state, now)) {
        return;
    }

    name = &klaviyo_state_names[state];
    ngx_http_klaviyo_health_time(kept->since, now, since);

    age = kept->oldest ? ngx_max((now - kept->oldest) / 1000, 0) : 0;

    ngx_log_error(NGX_LOG_ERR, health->log, 0,
                  "klaviyo account \"%V\": delivery has failed since %s: %s "
                  "(%s); %uL events wait, the oldest for %L s; %s",
                  &health->account->name, since, name->what,
                  health->words[0] ? health->words : "as before a reload",
                  figures->queued, age, name->todo);
}


/* in the ring, so that a reload does not tell it again */

static ngx_uint_t
ngx_http_klaviyo_health_may(ngx_http_klaviyo_health_t *health,
    klaviyo_state_e state, int64_t now)
{
    int64_t  *told;

    told = &health->kept.told[state];

    if (*told && now >= *told && now - *told < NGX_HTTP_KLAVIYO_HEALTH_MINUTE)
    {
        return 0;
    }

    *told = now;

    return 1;
}


static int64_t
ngx_http_klaviyo_health_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


static void
ngx_http_klaviyo_health_time(int64_t ms, int64_t now,
    u_char buf[NGX_HTTP_KLAVIYO_HEALTH_TIME])
{
    ngx_tm_t  tm;

    ngx_localtime((time_t) (ms / 1000), &tm);

    if (ms <= now && (now - ms) / 1000 < NGX_HTTP_KLAVIYO_HEALTH_DAY) {
        (void) ngx_snprintf(buf, NGX_HTTP_KLAVIYO_HEALTH_TIME,
                            "%02d:%02d:%02d%Z",
                            tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
        return;
    }

    (void) ngx_snprintf(buf, NGX_HTTP_KLAVIYO_HEALTH_TIME,
                        "%4d-%02d-%02d %02d:%02d:%02d%Z",
                        tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);
}
