/*
 * What an answer of Klaviyo leads to: events are done, go again, or wait; and
 * when the account may ask again.
 */


#include "ngx_http_klaviyo_answer.h"
#include "ngx_http_klaviyo_sender_state.h"
#include "klaviyo_request.h"
#include "klaviyo_settle.h"

#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_crash.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_totals.h"


#define NGX_HTTP_KLAVIYO_OUTAGE  30000  /* ms between probes, at most        */
#define NGX_HTTP_KLAVIYO_LONG    5000   /* ms: too long to halve and halve   */
#define NGX_HTTP_KLAVIYO_SMALL   65536  /* bytes: no line is too slow for it */


static void ngx_http_klaviyo_answer_settle(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);
static void ngx_http_klaviyo_answer_delays(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request);
static void ngx_http_klaviyo_answer_accepted(
    ngx_http_klaviyo_sender_t *sender);
static void ngx_http_klaviyo_answer_failed(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);
static void ngx_http_klaviyo_answer_suspects(
    ngx_http_klaviyo_sender_t *sender);
static void ngx_http_klaviyo_answer_aside(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);
static void ngx_http_klaviyo_answer_later(ngx_http_klaviyo_sender_t *sender,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);
static int64_t ngx_http_klaviyo_answer_backoff(
    ngx_http_klaviyo_sender_t *sender, ngx_msec_t min);
static void ngx_http_klaviyo_answer_opened(ngx_http_klaviyo_sender_t *sender);
static void ngx_http_klaviyo_answer_read(ngx_http_klaviyo_settling_t *settling);
static int ngx_http_klaviyo_answer_allow(void *data, uint32_t ended,
    uint32_t refused);


/* by verdict */

static const klaviyo_counter_e  ngx_http_klaviyo_answer_counters[] = {
    KLAVIYO_COUNT_REPLIES_ACCEPTED,
    KLAVIYO_COUNT_REPLIES_REFUSED,
    KLAVIYO_COUNT_REPLIES_TOO_LARGE,
    KLAVIYO_COUNT_REPLIES_THROTTLED,
    KLAVIYO_COUNT_REPLIES_BLOCKED,
    KLAVIYO_COUNT_REPLIES_PASSING,
    KLAVIYO_COUNT_REPLIES_NONE
};


void
ngx_http_klaviyo_answer(void *data, klaviyo_answer_t *answer)
{
    ngx_http_klaviyo_transfer_t  *transfer = data;

    int64_t                       took;
    klaviyo_batch_t              *batch;
    klaviyo_verdict_e             verdict;
    klaviyo_request_t            *request;
    klaviyo_limiter_class_e       lane;
    ngx_http_klaviyo_load_t      *load;
    ngx_http_klaviyo_sender_t    *sender;
    ngx_http_klaviyo_settling_t   settling;

    sender = transfer->sender;
    request = transfer->request;
    load = transfer->load;
    batch = load->batch;

    took = ngx_max(klaviyo_clock_boot() - transfer->since, 0);

    request->slow = (took >= NGX_HTTP_KLAVIYO_LONG);

    klaviyo_ring_observe(sender->account->ring, KLAVIYO_HISTOGRAM_REQUEST,
                         took);

    sender->active--;
    ngx_queue_remove(&transfer->queue);
    ngx_free(transfer);

    klaviyo_crash("after_answer");

    verdict = klaviyo_reply_verdict(answer);

    klaviyo_ring_count(sender->account->ring,
                       ngx_http_klaviyo_answer_counters[verdict], 1);

    if (verdict != KLAVIYO_REPLY_THROTTLED) {
        lane = ngx_http_klaviyo_sender_single(sender, request)
               ? KLAVIYO_LIMITER_SINGLE : KLAVIYO_LIMITER_BULK;

        ngx_http_klaviyo_limits_correct(&sender->limits, lane,
                                        answer->rate_remaining,
                                        answer->rate_reset,
                                        klaviyo_clock_boot());
    }

    if (verdict != KLAVIYO_REPLY_ACCEPTED) {
        ngx_http_klaviyo_health_answer(&sender->health, answer);
    }

    settling.answer = answer;
    settling.read = 0;

    sender->settling = &settling;

    if (request->state == KLAVIYO_REQUEST_ASIDE
        && verdict != KLAVIYO_REPLY_ACCEPTED)
    {
        ngx_http_klaviyo_answer_aside(sender, batch, request, verdict, answer);

    } else if (verdict <= KLAVIYO_REPLY_TOO_LARGE) {
        ngx_http_klaviyo_answer_settle(sender, batch, request, verdict,
                                       answer);

    } else {
        ngx_http_klaviyo_answer_failed(sender, batch, request, verdict,
                                       answer);
    }

    sender->settling = NULL;

    load->letters = ngx_http_klaviyo_dead_added(sender->dead);

    if (klaviyo_batch_done(batch)) {
        klaviyo_batch_shrink(batch);
    }

    ngx_post_event(sender->wake, &ngx_posted_events);
}


static void
ngx_http_klaviyo_answer_settle(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    if (verdict == KLAVIYO_REPLY_ACCEPTED) {
        ngx_http_klaviyo_answer_delays(sender, batch, request);

        if (request->state == KLAVIYO_REQUEST_ASIDE) {
            klaviyo_aside_remove(&sender->asides,
                                 klaviyo_request_event(batch, request, 0));
        }

        if (!request->single) {
            sender->bytes = ngx_min(sender->bytes + NGX_HTTP_KLAVIYO_SMALL,
                                    sender->account->batch_bytes);
        }
    }

    switch (klaviyo_batch_settle(batch, request, verdict, answer,
                                 ngx_http_klaviyo_answer_allow,
                                 ngx_http_klaviyo_answer_dead, sender))
    {
    case -1:
        ngx_http_klaviyo_sender_no_memory(sender);
        return;

    case 1:
        ngx_http_klaviyo_answer_opened(sender);
        return;

    case 2:
        ngx_http_klaviyo_answer_opened(sender);
        ngx_http_klaviyo_answer_later(sender, verdict, answer);
        return;
    }

    if (verdict == KLAVIYO_REPLY_ACCEPTED) {
        ngx_http_klaviyo_answer_accepted(sender);
    }
}


/* from capture to delivery */

static void
ngx_http_klaviyo_answer_delays(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    int64_t      now, time;
    uint32_t     i;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    for (i = 0; i < request->n; i++) {
        time = klaviyo_request_event(batch, request, i)->time;

        klaviyo_ring_observe(sender->account->ring, KLAVIYO_HISTOGRAM_DELAY,
                             ngx_max(now - time, 0));
    }
}


/* the account works: what failed meanwhile is suspect, but not in an outage */

static void
ngx_http_klaviyo_answer_accepted(ngx_http_klaviyo_sender_t *sender)
{
    ngx_uint_t                outage, told;
    ngx_queue_t              *q;
    ngx_http_klaviyo_load_t  *load;

    outage = (sender->failures > NGX_HTTP_KLAVIYO_TELLS);

    sender->accepted = sender->sends;

    told = ngx_http_klaviyo_health_accepted(&sender->health);

    if (sender->failures) {
        sender->failures = 0;
        sender->retry_at = 0;

        if (!told) {
            ngx_http_klaviyo_report(&sender->report, NGX_LOG_NOTICE,
                                    NGX_HTTP_KLAVIYO_REPORT_AGAIN,
                                    "Klaviyo answers again");
        }
    }

    if (!outage) {
        ngx_http_klaviyo_answer_suspects(sender);
        return;
    }

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (klaviyo_batch_regroup(load->batch) != 0) {
            ngx_http_klaviyo_sender_no_memory(sender);
        }
    }
}


static void
ngx_http_klaviyo_answer_failed(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    ngx_uint_t  unsure;

    if (request->failed == 0) {
        request->failed = request->sent;
    }

    if (verdict == KLAVIYO_REPLY_THROTTLED
        || sender->accepted < request->failed)
    {
        ngx_http_klaviyo_answer_later(sender, verdict, answer);
    }

    if (request->slow && request->body_len > NGX_HTTP_KLAVIYO_SMALL) {
        sender->bytes = ngx_max(request->body_len / 2, NGX_HTTP_KLAVIYO_SMALL);
    }

    /* whatever it was may pass; but there is no time for another long one */

    if (request->again
        || (request->slow && verdict != KLAVIYO_REPLY_THROTTLED))
    {
        request->state = KLAVIYO_REQUEST_DOUBTED;
    }

    request->again = 1;

    unsure = (verdict == KLAVIYO_REPLY_PASSING
              || verdict == KLAVIYO_REPLY_NONE);

    klaviyo_batch_requeue(batch, request, unsure);

    ngx_http_klaviyo_answer_suspects(sender);
}


/* what failed though another was accepted since it failed first */

static void
ngx_http_klaviyo_answer_suspects(ngx_http_klaviyo_sender_t *sender)
{
    int64_t                   now;
    ngx_queue_t              *q;
    klaviyo_aside_t          *aside;
    klaviyo_request_t        *request;
    ngx_http_klaviyo_load_t  *load;

    now = klaviyo_clock_boot();

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        for ( ;; ) {
            request = klaviyo_batch_suspect(load->batch, sender->accepted);
            if (request == NULL) {
                break;
            }

            if (!request->single) {
                klaviyo_batch_take(load->batch, request);

                if (klaviyo_batch_split(load->batch, request) != 0) {
                    ngx_http_klaviyo_sender_no_memory(sender);
                    return;
                }

                continue;
            }

            request->state = KLAVIYO_REQUEST_ASIDE;

            aside = klaviyo_aside_add(&sender->asides,
                                      klaviyo_request_event(load->batch,
                                                            request, 0),
                                      now);
            if (aside) {
                aside->sent = request->sent;
                (void) klaviyo_aside_failed(aside, sender->accepted,
                                            sender->account->retry_min,
                                            sender->account->retry_max, now);
            }

            klaviyo_ring_count(sender->account->ring,
                               KLAVIYO_COUNT_DELIVERY_ASIDE, 1);
        }
    }
}


/* an event set aside failed once more; without room for it that was the end */

static void
ngx_http_klaviyo_answer_aside(ngx_http_klaviyo_sender_t *sender,
    klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    int                     over;
    char                    text[512];
    klaviyo_aside_t        *aside;
    klaviyo_outcome_e       outcome;
    const klaviyo_event_t  *event;

    event = klaviyo_request_event(batch, request, 0);
    aside = klaviyo_aside_find(&sender->asides, event);

    if (verdict == KLAVIYO_REPLY_THROTTLED) {
        ngx_http_klaviyo_answer_later(sender, verdict, answer);
    }

    over = aside ? klaviyo_aside_failed(aside, sender->accepted,
                                        sender->account->retry_min,
                                        sender->account->retry_max,
                                        klaviyo_clock_boot())
                 : 1;

    outcome = KLAVIYO_OUTCOME_DEAD_FAILED;

    if (verdict == KLAVIYO_REPLY_REFUSED
        || verdict == KLAVIYO_REPLY_TOO_LARGE)
    {
        outcome = (verdict == KLAVIYO_REPLY_REFUSED)
                  ? KLAVIYO_OUTCOME_DEAD_REFUSED
                  : KLAVIYO_OUTCOME_DEAD_TOO_LARGE;

        over = over || ngx_http_klaviyo_answer_allow(sender, 1, 1);
    }

    if (over) {
        klaviyo_aside_remove(&sender->asides, event);

        if (klaviyo_batch_give_up(batch, request, outcome,
                                  ngx_http_klaviyo_answer_dead, sender)
            != 0)
        {
            ngx_http_klaviyo_sender_no_memory(sender);
        }

        return;
    }

    ngx_http_klaviyo_answer_read(sender->settling);

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "an event fails by itself while others are accepted "
                        "(%s): it is set aside and tried again%Z",
                        sender->settling->words);

    ngx_http_klaviyo_report(&sender->report, NGX_LOG_WARN,
                            NGX_HTTP_KLAVIYO_REPORT_ASIDE, text);

    klaviyo_batch_requeue(batch, request, verdict == KLAVIYO_REPLY_PASSING
                                          || verdict == KLAVIYO_REPLY_NONE);
}


/* nothing was accepted: when to ask again */

static void
ngx_http_klaviyo_answer_later(ngx_http_klaviyo_sender_t *sender,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    char     words[256], text[512];
    int64_t  now, delay;

    now = klaviyo_clock_boot();

    klaviyo_reply_text(answer, words, sizeof(words));

    ngx_http_klaviyo_health_failed(&sender->health, verdict, answer);

    if (verdict == KLAVIYO_REPLY_THROTTLED) {

        if (answer->retry_after >= 0) {
            delay = ngx_min(answer->retry_after, KLAVIYO_REPLY_PAUSE_MAX)
                    * 1000;

        } else {
            delay = ngx_http_klaviyo_answer_backoff(sender,
                                                sender->account->retry_min);
            sender->failures++;
        }

        /* refused in the same second again if the clocks disagree */

        ngx_http_klaviyo_limits_pause(&sender->limits, ngx_max(delay, 1000),
                                      now);

        (void) ngx_http_klaviyo_sender_save(sender);

        (void) ngx_snprintf((u_char *) text, sizeof(text),
                            "throttled, %s: the account pauses for %L s%Z",
                            words, (sender->limits.paused_until - now
                                    + 999) / 1000);

        ngx_http_klaviyo_report(&sender->report, NGX_LOG_WARN,
                                NGX_HTTP_KLAVIYO_REPORT_THROTTLED, text);
        return;
    }

    if (now < sender->retry_at) {

        /* several transfers at a time, and one outage if none is accepted */

        if (sender->failures <= NGX_HTTP_KLAVIYO_TELLS) {
            sender->failures++;
        }

        return;
    }

    delay = ngx_http_klaviyo_answer_backoff(sender,
                                            sender->account->retry_min);

    if (answer->retry_after > 0) {
        delay = ngx_max(delay, ngx_min(answer->retry_after * 1000,
                                       (int64_t) sender->account->retry_max));
    }

    if (verdict == KLAVIYO_REPLY_BLOCKED
        && sender->failures >= NGX_HTTP_KLAVIYO_TELLS)
    {
        delay = (int64_t) sender->account->retry_max;
    }

    /* events that come meanwhile may be none of those that fail */

    delay = ngx_min(delay, NGX_HTTP_KLAVIYO_OUTAGE);

    sender->failures++;
    sender->retry_at = now + delay;

    if (verdict > KLAVIYO_REPLY_TOO_LARGE
        && verdict != KLAVIYO_REPLY_BLOCKED)
    {
        (void) ngx_snprintf((u_char *) text, sizeof(text),
                            "%s: events are kept; next try in %L ms%Z",
                            words, delay);

        ngx_http_klaviyo_report(&sender->report, NGX_LOG_WARN,
                                NGX_HTTP_KLAVIYO_REPORT_PASSING, text);
    }
}


/* full jitter: anything up to the exponential bound, in ms */

static int64_t
ngx_http_klaviyo_answer_backoff(ngx_http_klaviyo_sender_t *sender,
    ngx_msec_t min)
{
    int64_t  bound;

    bound = ngx_min((int64_t) min << ngx_min(sender->failures, 20),
                    (int64_t) sender->account->retry_max);

    return ngx_random() % (bound + 1);
}


static int
ngx_http_klaviyo_answer_allow(void *data, uint32_t ended, uint32_t refused)
{
    ngx_http_klaviyo_sender_t  *sender = data;

    /* in an outage nothing tells that it is the events */

    if (refused && sender->failures > NGX_HTTP_KLAVIYO_TELLS) {
        return 0;
    }

    return klaviyo_breaker_allow(&sender->breaker, ended, refused,
                                 (int64_t) sender->account->retry_max,
                                 klaviyo_clock_boot());
}


static void
ngx_http_klaviyo_answer_opened(ngx_http_klaviyo_sender_t *sender)
{
    char  text[512];

    klaviyo_ring_count(sender->account->ring, KLAVIYO_COUNT_BREAKER_OPENED, 1);

    ngx_http_klaviyo_answer_read(sender->settling);

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "Klaviyo refuses too many events (%s): the breaker "
                        "is open and events are kept: those refused are set "
                        "aside, the others are delivered; see the dead "
                        "letters for what is wrong with them%Z",
                        sender->settling->words);

    ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_BREAKER, text);
}


/* hundreds of events may end by one answer */

static void
ngx_http_klaviyo_answer_read(ngx_http_klaviyo_settling_t *settling)
{
    if (settling->read) {
        return;
    }

    settling->read = 1;

    klaviyo_reply_text(settling->answer, settling->words,
                       sizeof(settling->words));
}


/* without an answer: the event was too old or too large to be sent at all */

int
ngx_http_klaviyo_answer_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error)
{
    ngx_http_klaviyo_sender_t  *sender = data;

    char                          text[512], detail[1024];
    size_t                        i, n;
    u_char                        id[64];
    ngx_time_t                   *tp;
    klaviyo_letter_t              letter;
    ngx_http_klaviyo_settling_t  *settling;

    settling = sender->settling;

    ngx_memzero(&letter, sizeof(klaviyo_letter_t));

    tp = ngx_timeofday();

    letter.lane = klaviyo_lane_of(event);
    letter.outcome = outcome;
    letter.attempts = attempts;
    letter.now = (int64_t) tp->sec * 1000 + tp->msec;

    if (settling) {
        ngx_http_klaviyo_answer_read(settling);

        klaviyo_reply_detail(settling->answer, error, detail, sizeof(detail));

        if (detail[0] == '\0') {
            (void) ngx_cpystrn((u_char *) detail, (u_char *) settling->words,
                               sizeof(detail));
        }

        letter.status = settling->answer->status;
        letter.detail = detail;
    }

    if (ngx_http_klaviyo_dead_add(sender->dead, &letter, event) != NGX_OK) {
        return -1;
    }

    if (settling == NULL) {
        return 0;
    }

    n = ngx_min(event->unique_id_len, sizeof(id));

    for (i = 0; i < n; i++) {
        id[i] = (event->unique_id[i] < ' ' || event->unique_id[i] >= 0x7f)
                ? '?' : event->unique_id[i];
    }

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "Klaviyo refused an event for good (%s: %s), "
                        "unique_id \"%*s\"%Z",
                        klaviyo_outcome_names[outcome].name, settling->words,
                        n, id);

    ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_REFUSED, text);

    return 0;
}
