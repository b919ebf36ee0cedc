/*
 * What an answer of Klaviyo leads to: events are done, go again, or wait; and
 * when the account may ask again.
 */


#include "ngx_http_klaviyo_sender_private.h"

#include "queue/klaviyo_crash.h"


#define NGX_HTTP_KLAVIYO_PROBE  60000  /* ms, first probe after a fault in the
                                          configuration                      */


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

    sender->active--;
    ngx_queue_remove(&transfer->queue);
    ngx_free(transfer);

    klaviyo_crash("after_answer");

    verdict = klaviyo_reply_verdict(answer);

    klaviyo_ring_count(sender->account->ring,
                       ngx_http_klaviyo_answer_counters[verdict], 1);

    if (verdict != KLAVIYO_REPLY_THROTTLED) {
        lane = request->single ? KLAVIYO_LIMITER_SINGLE
                               : KLAVIYO_LIMITER_BULK;

        klaviyo_limiter_correct(&sender->memory.limiter, lane,
                                answer->rate_remaining, answer->rate_reset,
                                ngx_http_klaviyo_sender_now());
    }

    switch (verdict) {

    case KLAVIYO_REPLY_ACCEPTED:
    case KLAVIYO_REPLY_REFUSED:
    case KLAVIYO_REPLY_TOO_LARGE:

        if (sender->failures) {
            sender->failures = 0;
            sender->retry_at = 0;
            ngx_http_klaviyo_report(&sender->report, NGX_LOG_NOTICE,
                                    NGX_HTTP_KLAVIYO_REPORT_AGAIN,
                                    "Klaviyo answers again");
        }

        settling.answer = answer;
        settling.errors = NULL;
        settling.read = 0;

        sender->settling = &settling;

        switch (klaviyo_batch_settle(batch, request, verdict, answer,
                                     ngx_http_klaviyo_answer_allow,
                                     ngx_http_klaviyo_answer_dead, sender))
        {
        case -1:
            ngx_http_klaviyo_sender_memory(sender);
            break;

        case 1:
            ngx_http_klaviyo_answer_opened(sender);
            break;
        }

        sender->settling = NULL;

        klaviyo_reply_errors_free(settling.errors);

        load->letters = ngx_http_klaviyo_dead_added(sender->dead);

        break;

    default:
        ngx_http_klaviyo_answer_later(sender, verdict, answer);

        klaviyo_batch_requeue(batch, request,
                              verdict == KLAVIYO_REPLY_PASSING
                              || verdict == KLAVIYO_REPLY_NONE);
    }

    ngx_post_event(sender->wake, &ngx_posted_events);
}


/* nothing was accepted: when to ask again */

static void
ngx_http_klaviyo_answer_later(ngx_http_klaviyo_sender_t *sender,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer)
{
    char     words[256], text[512];
    int64_t  now, delay;

    now = ngx_http_klaviyo_sender_now();

    klaviyo_reply_text(answer, words, sizeof(words));

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

        sender->paused_until = ngx_max(sender->paused_until,
                                       now + ngx_max(delay, 1000));

        ngx_http_klaviyo_limits_sync(sender->account, &sender->paused_until,
                                     &sender->memory.limiter);

        (void) ngx_http_klaviyo_sender_save(sender);

        (void) ngx_snprintf((u_char *) text, sizeof(text),
                            "throttled, %s: the account pauses for %L s%Z",
                            words, (sender->paused_until - now + 999) / 1000);

        ngx_http_klaviyo_report(&sender->report, NGX_LOG_WARN,
                                NGX_HTTP_KLAVIYO_REPORT_THROTTLED, text);
        return;
    }

    if (now < sender->retry_at) {

        /* one outage, several transfers */

        return;
    }

    if (verdict == KLAVIYO_REPLY_BLOCKED) {
        delay = ngx_min((int64_t) NGX_HTTP_KLAVIYO_PROBE
                        << ngx_min(sender->failures, 10),
                        (int64_t) sender->account->retry_max);

        (void) ngx_snprintf((u_char *) text, sizeof(text),
                            "%s: events are kept; check the key, its scope "
                            "\"events:write\", \"endpoint\" and \"revision\", "
                            "then reload; next try in %L s%Z",
                            words, (delay + 999) / 1000);

        ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_BLOCKED, text);

    } else {
        delay = ngx_http_klaviyo_answer_backoff(sender,
                                                sender->account->retry_min);

        if (answer->retry_after > 0) {
            delay = ngx_max(delay,
                            ngx_min(answer->retry_after * 1000,
                                    (int64_t) sender->account->retry_max));
        }

        (void) ngx_snprintf((u_char *) text, sizeof(text),
                            "%s: events are kept; next try in %L ms%Z",
                            words, delay);

        ngx_http_klaviyo_report(&sender->report, NGX_LOG_WARN,
                                NGX_HTTP_KLAVIYO_REPORT_PASSING, text);
    }

    sender->failures++;
    sender->retry_at = now + delay;
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

    return klaviyo_breaker_allow(&sender->breaker, ended, refused,
                                 (int64_t) sender->account->retry_max,
                                 ngx_http_klaviyo_sender_now());
}


static void
ngx_http_klaviyo_answer_opened(ngx_http_klaviyo_sender_t *sender)
{
    char     text[512];
    int64_t  wait;

    wait = sender->breaker.until - ngx_http_klaviyo_sender_now();

    klaviyo_ring_count(sender->account->ring, KLAVIYO_COUNT_BREAKER_OPENED, 1);

    ngx_http_klaviyo_answer_read(sender->settling);

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "Klaviyo refuses too many events (%s): the breaker "
                        "is open and events are kept; see the dead letters "
                        "for what is wrong with them; next try in %L s%Z",
                        sender->settling->words, (wait + 999) / 1000);

    ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_BREAKER, text);
}


/* the body may be large, and hundreds of events may end by it */

static void
ngx_http_klaviyo_answer_read(ngx_http_klaviyo_settling_t *settling)
{
    if (settling->read) {
        return;
    }

    settling->read = 1;
    settling->errors = klaviyo_reply_errors(settling->answer);

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

    letter.outcome = outcome;
    letter.attempts = attempts;
    letter.now = (int64_t) tp->sec * 1000 + tp->msec;

    if (settling) {
        ngx_http_klaviyo_answer_read(settling);

        klaviyo_reply_detail(settling->errors, error, detail, sizeof(detail));

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
