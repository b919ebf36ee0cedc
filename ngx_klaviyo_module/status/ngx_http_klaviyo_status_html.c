/*
 * status: the figures as a page.  What is wrong comes first, *now* apart from
 * *so far*; then, for each account, its verdict, what it does now, the last
 * answers that were no success, and all figures, folded.  The page loads
 * nothing and runs nothing; each figure is a <data> element that has it
 * exactly.  No state is told by colour alone.
 */


#include "ngx_http_klaviyo_status_figures.h"
#include "ngx_http_klaviyo_status_html.h"

#include "klaviyo_escape.h"


#define NGX_HTTP_KLAVIYO_STATUS_HEAD     8192  /* of the whole               */
#define NGX_HTTP_KLAVIYO_STATUS_ACCOUNT  8192  /* without figures and names  */
#define NGX_HTTP_KLAVIYO_STATUS_ANSWER                                       \
    (512 + klaviyo_escape_size(sizeof(klaviyo_health_answer_t)))
#define NGX_HTTP_KLAVIYO_STATUS_FIGURE   320
#define NGX_HTTP_KLAVIYO_STATUS_WRONG    640
#define NGX_HTTP_KLAVIYO_STATUS_NAMES    3     /* and one for each wrong     */

#define NGX_HTTP_KLAVIYO_STATUS_FULL     75    /* per cent                   */


typedef enum {
    NGX_HTTP_KLAVIYO_STATUS_IS_ZERO = 0,
    NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
    NGX_HTTP_KLAVIYO_STATUS_IS_FULL      /* its group has a "size"           */
} ngx_http_klaviyo_status_test_e;


typedef struct {
    const char                      *group;
    const char                      *name;
    ngx_http_klaviyo_status_test_e   test;
    const char                      *before;  /* the number;                 */
    const char                      *after;   /* NULL: without it            */
    unsigned                         now:1;   /* 0: was, at some time        */
    unsigned                         mends:1; /* it is over if neither of    */
    klaviyo_state_e                  from;    /* the states from here        */
    klaviyo_state_e                  to;      /* to here is so now           */
} ngx_http_klaviyo_status_wrong_t;


static ngx_uint_t ngx_http_klaviyo_status_html_states(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status);
static ngx_uint_t ngx_http_klaviyo_status_html_so(
    ngx_http_klaviyo_status_account_t *account, klaviyo_state_e from,
    klaviyo_state_e to);
static ngx_uint_t ngx_http_klaviyo_status_html_wrong(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t now);
static ngx_uint_t ngx_http_klaviyo_status_html_test(
    ngx_http_klaviyo_status_account_t *account,
    const ngx_http_klaviyo_status_wrong_t *wrong, uint64_t *n);
static void ngx_http_klaviyo_status_html_account(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_verdict(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_now(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_bar(klaviyo_json_t *out,
    const char *name, uint64_t used, uint64_t size);
static void ngx_http_klaviyo_status_html_answers(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_metrics(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_hosts(klaviyo_json_t *out,
    ngx_http_klaviyo_fleet_figures_t *fleet);
static void ngx_http_klaviyo_status_html_skipped(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_time(klaviyo_json_t *out,
    int64_t ms);
static void ngx_http_klaviyo_status_html_age(klaviyo_json_t *out,
    uint64_t sec);
static void ngx_http_klaviyo_status_html_figure(klaviyo_json_t *out,
    ngx_http_klaviyo_status_figure_t *figure);
static void ngx_http_klaviyo_status_html_number(klaviyo_json_t *out,
    uint64_t n);
static void ngx_http_klaviyo_status_html_bytes(klaviyo_json_t *out,
    uint64_t n);
static void ngx_http_klaviyo_status_html_text(klaviyo_json_t *out,
    const char *text);


static const ngx_http_klaviyo_status_wrong_t  ngx_http_klaviyo_wrongs[] = {

    { "hold", "attached", NGX_HTTP_KLAVIYO_STATUS_IS_ZERO,
      "the file of events that wait for their visitor is damaged or gone: "
      "they are lost until nginx is reloaded", NULL, 1, 0, 0, 0 },

    { "queue", "used", NGX_HTTP_KLAVIYO_STATUS_IS_FULL,
      "the ring is full to ", " %", 1, 0, 0, 0 },

    { "spool", "bytes_used", NGX_HTTP_KLAVIYO_STATUS_IS_FULL,
      "the spool is full to ", " %", 1, 0, 0, 0 },

    { "replies", "blocked", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "requests that Klaviyo refused for a wrong key, scope, endpoint or "
      "revision: ", "; the error log says which", 0, 1,
      KLAVIYO_STATE_KEY_REFUSED, KLAVIYO_STATE_CHALLENGE },

    { "delivery", "breaker_opened", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "times that the breaker opened, since Klaviyo refused too many events "
      "at once: ", "; they are set aside, and others are delivered", 0, 1,
      KLAVIYO_STATE_BREAKER_OPEN, KLAVIYO_STATE_BREAKER_OPEN },

    { "", "lost", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events lost: ", "", 0, 0, 0, 0 },

    { "", "dead", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events given up: ", "; the dead letters say why", 0, 0, 0, 0 },

    { "dead_letters", "errors", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "errors of the disk of the dead letters, which the queue waits for: ",
      "", 0, 0, 0, 0 },

    { "dead_letters", "dropped_by_rotation", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "dead letters dropped for newer ones: ", "", 0, 0, 0, 0 },

    { "spool", "errors", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "errors of the spool's disk: ", "", 0, 0, 0, 0 },

    { "spool", "segments_abandoned", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "files of the spool left after an error of the disk: ", "", 0, 0, 0, 0 },

    { "spool", "full", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "times that the spool was full: ", "", 0, 0, 0, 0 },

    { "hold", "lost", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events lost that waited for their visitor: ", "", 0, 0, 0, 0 },

    { NULL, NULL, 0, NULL, NULL, 0, 0, 0, 0 }
};


size_t
ngx_http_klaviyo_status_html_size(ngx_http_klaviyo_status_t *status)
{
    size_t                                  size, names;
    ngx_uint_t                              i;
    ngx_http_klaviyo_status_account_t      *account;
    const ngx_http_klaviyo_status_wrong_t  *wrong;

    size = NGX_HTTP_KLAVIYO_STATUS_HEAD;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];
        names = NGX_HTTP_KLAVIYO_STATUS_NAMES;

        size += NGX_HTTP_KLAVIYO_STATUS_ACCOUNT
                + account->n * NGX_HTTP_KLAVIYO_STATUS_FIGURE
                + KLAVIYO_HEALTH_ANSWERS * NGX_HTTP_KLAVIYO_STATUS_ANSWER
                + KLAVIYO_STATE_N * NGX_HTTP_KLAVIYO_STATUS_WRONG
                + account->reading->metrics
                  * (klaviyo_escape_size(KLAVIYO_METRIC_NAME) + 64)
                + account->reading->fleet.nlist
                  * (klaviyo_escape_size(NGX_HTTP_KLAVIYO_FLEET_HOST) + 128);

        names += KLAVIYO_STATE_N;

        for (wrong = ngx_http_klaviyo_wrongs; wrong->group; wrong++) {
            size += NGX_HTTP_KLAVIYO_STATUS_WRONG;
            names++;
        }

        size += names * klaviyo_escape_size(account->name->len);
    }

    return size;
}


void
ngx_http_klaviyo_status_html(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t  i, n;

    klaviyo_json_literal(out,
        "<!DOCTYPE html>\n"
        "<html lang=\"en\">\n"
        "<head>\n"
        "<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n"
        "<title>Klaviyo events</title>\n"
        "<style>" NGX_HTTP_KLAVIYO_STATUS_STYLE "</style>\n"
        "</head>\n"
        "<body>\n"
        "<main>\n"
        "<h1>Klaviyo events <small>module " NGX_HTTP_KLAVIYO_VERSION
        ", nginx " NGINX_VERSION "</small></h1>\n"
        "<ul class=\"wrong\">\n");

    n = ngx_http_klaviyo_status_html_states(out, status);
    n += ngx_http_klaviyo_status_html_wrong(out, status, 1);
    n += ngx_http_klaviyo_status_html_wrong(out, status, 0);

    klaviyo_json_literal(out, "</ul>\n");

    if (n == 0) {
        klaviyo_json_literal(out, "<p class=\"well\">All is well.</p>\n");
    }

    for (i = 0; i < status->n; i++) {
        ngx_http_klaviyo_status_html_account(out, &status->account[i]);
    }

    klaviyo_json_literal(out,
        "<form><p>The page is read anew every 10 seconds. "
        "<button name=\"refresh\" value=\"0\">Stop that</button></p></form>\n"
        "</main>\n</body>\n</html>\n");
}


/* what is so now; how many lines that were */

static ngx_uint_t
ngx_http_klaviyo_status_html_states(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t                          i, lines;
    klaviyo_state_e                     state;
    ngx_http_klaviyo_status_account_t  *account;

    lines = 0;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for (state = 0; state < KLAVIYO_STATE_NOTHING_CAPTURED; state++) {

            if (!account->reading->states[state]) {
                continue;
            }

            lines++;

            klaviyo_json_literal(out, "<li class=\"now\"><b>");
            klaviyo_escape_html(out, account->name->data, account->name->len);
            klaviyo_json_literal(out, "</b>, now: ");
            ngx_http_klaviyo_status_html_text(out,
                                           klaviyo_state_names[state].what);

            if (state == KLAVIYO_STATE_THROTTLED
                && account->reading->paused_for)
            {
                klaviyo_json_literal(out, ", for another ");
                ngx_http_klaviyo_status_html_number(out,
                                                account->reading->paused_for);
                klaviyo_json_literal(out, " s");
            }

            klaviyo_json_literal(out, "</li>\n");
        }
    }

    return lines;
}


/* whether one of these states is so */

static ngx_uint_t
ngx_http_klaviyo_status_html_so(ngx_http_klaviyo_status_account_t *account,
    klaviyo_state_e from, klaviyo_state_e to)
{
    klaviyo_state_e  state;

    for (state = from; state <= to; state++) {
        if (account->reading->states[state]) {
            return 1;
        }
    }

    return 0;
}


/* how many lines that were of what is not mended */

static ngx_uint_t
ngx_http_klaviyo_status_html_wrong(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t now)
{
    uint64_t                                n;
    ngx_uint_t                              i, lines, mended;
    ngx_http_klaviyo_status_account_t      *account;
    const ngx_http_klaviyo_status_wrong_t  *wrong;

    lines = 0;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for (wrong = ngx_http_klaviyo_wrongs; wrong->group; wrong++) {

            if (wrong->now != now
                || !ngx_http_klaviyo_status_html_test(account, wrong, &n))
            {
                continue;
            }

            mended = wrong->mends
                     && !ngx_http_klaviyo_status_html_so(account, wrong->from,
                                                         wrong->to);

            lines += !mended;

            if (mended) {
                klaviyo_json_literal(out, "<li class=\"mended\"><b>");

            } else if (now) {
                klaviyo_json_literal(out, "<li class=\"now\"><b>");

            } else {
                klaviyo_json_literal(out, "<li class=\"once\"><b>");
            }

            klaviyo_escape_html(out, account->name->data, account->name->len);
            klaviyo_json_literal(out, "</b>, ");

            if (mended) {
                klaviyo_json_literal(out, "mended, so far: ");

            } else if (now) {
                klaviyo_json_literal(out, "now: ");

            } else {
                klaviyo_json_literal(out, "so far: ");
            }

            ngx_http_klaviyo_status_html_text(out, wrong->before);

            if (wrong->after) {
                klaviyo_json_literal(out, "<b>");
                ngx_http_klaviyo_status_html_number(out, n);
                klaviyo_json_literal(out, "</b>");
                ngx_http_klaviyo_status_html_text(out, wrong->after);
            }

            klaviyo_json_literal(out, "</li>\n");
        }
    }

    return lines;
}


/* whether that is so, and the number to tell */

static ngx_uint_t
ngx_http_klaviyo_status_html_test(ngx_http_klaviyo_status_account_t *account,
    const ngx_http_klaviyo_status_wrong_t *wrong, uint64_t *n)
{
    ngx_http_klaviyo_status_figure_t  *figure, *size;

    figure = ngx_http_klaviyo_status_find(account, wrong->group, wrong->name);

    if (figure == NULL) {
        return 0;
    }

    *n = figure->value;

    if (wrong->test == NGX_HTTP_KLAVIYO_STATUS_IS_ZERO) {
        return *n == 0;
    }

    if (wrong->test == NGX_HTTP_KLAVIYO_STATUS_IS_NOT) {
        return *n != 0;
    }

    size = ngx_http_klaviyo_status_find(account, wrong->group, "size");

    if (size == NULL || size->value < 100) {
        return 0;
    }

    *n = figure->value / (size->value / 100);

    return *n >= NGX_HTTP_KLAVIYO_STATUS_FULL;
}


static void
ngx_http_klaviyo_status_html_account(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    ngx_uint_t                         i;
    const char                        *group;
    ngx_http_klaviyo_status_figure_t  *figure;

    klaviyo_json_literal(out, "<section id=\"account-");
    klaviyo_escape_html(out, account->name->data, account->name->len);
    klaviyo_json_literal(out, "\">\n<h2>");
    klaviyo_escape_html(out, account->name->data, account->name->len);
    klaviyo_json_literal(out, "</h2>\n");

    ngx_http_klaviyo_status_html_verdict(out, account);
    ngx_http_klaviyo_status_html_now(out, account);
    ngx_http_klaviyo_status_html_answers(out, account);
    ngx_http_klaviyo_status_html_metrics(out, account);
    ngx_http_klaviyo_status_html_hosts(out, &account->reading->fleet);
    ngx_http_klaviyo_status_html_skipped(out, account);

    klaviyo_json_literal(out, "<details>\n<summary>All figures</summary>\n"
                              "<div class=\"all\">\n");

    group = NULL;

    for (i = 0; i < account->n; i++) {
        figure = &account->figure[i];

        if (group == NULL || ngx_strcmp(group, figure->row->group) != 0) {

            if (group) {
                klaviyo_json_literal(out, "</table>\n");
            }

            group = figure->row->group;

            klaviyo_json_literal(out, "<table>\n<caption>");
            ngx_http_klaviyo_status_html_text(out, *group ? group : "events");
            klaviyo_json_literal(out, "</caption>\n");
        }

        ngx_http_klaviyo_status_html_figure(out, figure);
    }

    klaviyo_json_literal(out,
                         "</table>\n</div>\n</details>\n</section>\n");
}


/* one sentence on how it fares, and what to do */

static void
ngx_http_klaviyo_status_html_verdict(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    klaviyo_state_e                     state, also;
    klaviyo_health_t                   *health;
    ngx_http_klaviyo_status_figure_t   *dead;
    ngx_http_klaviyo_status_reading_t  *reading;

    reading = account->reading;
    health = &reading->health;
    state = reading->state;

    if (state == KLAVIYO_STATE_DELIVERING) {
        klaviyo_json_literal(out, "<p class=\"verdict good\">\xe2\x9c\x93 "
                                  "<b>Delivering</b>");

    } else if (state == KLAVIYO_STATE_NOTHING_CAPTURED) {
        klaviyo_json_literal(out, "<p class=\"verdict idle\">\xe2\x80\xa6 "
                                  "<b>");
        ngx_http_klaviyo_status_html_text(out,
                                          klaviyo_state_names[state].what);
        klaviyo_json_literal(out, "</b>");

    } else {
        klaviyo_json_literal(out, "<p class=\"verdict bad\">\xe2\x9c\x97 ");

        if (health->since && state <= KLAVIYO_STATE_THROTTLED
            && state != KLAVIYO_STATE_QUEUE_GONE)
        {
            klaviyo_json_literal(out, "behind since ");
            ngx_http_klaviyo_status_html_time(out, health->since);
            klaviyo_json_literal(out, ": ");
        }

        klaviyo_json_literal(out, "<b>");
        ngx_http_klaviyo_status_html_text(out,
                                          klaviyo_state_names[state].what);
        klaviyo_json_literal(out, "</b>");

        for (also = state + 1; also < KLAVIYO_STATE_NOTHING_CAPTURED; also++) {
            if (reading->states[also]) {
                klaviyo_json_literal(out, "; also: ");
                ngx_http_klaviyo_status_html_text(out,
                                            klaviyo_state_names[also].what);
            }
        }

        if (reading->paused_for) {
            klaviyo_json_literal(out, ", paused by Klaviyo until ");
            ngx_http_klaviyo_status_html_time(out, reading->now
                                       + (int64_t) reading->paused_for * 1000);
        }

        if (health->breaker) {
            klaviyo_json_literal(out, ", the breaker is open since ");
            ngx_http_klaviyo_status_html_time(out, health->breaker);
        }
    }

    if (reading->ring.queued) {
        klaviyo_json_literal(out, "; <b>");
        ngx_http_klaviyo_status_html_number(out, reading->ring.queued);
        klaviyo_json_literal(out, "</b> waiting, the oldest for ");
        ngx_http_klaviyo_status_html_age(out, reading->oldest);
    }

    dead = ngx_http_klaviyo_status_find(account, "", "dead");

    if (dead && dead->value && state == KLAVIYO_STATE_DELIVERING) {
        klaviyo_json_literal(out, "; but so far <b>");
        ngx_http_klaviyo_status_html_number(out, dead->value);
        klaviyo_json_literal(out, "</b> given up, see the answers below and "
                                  "the dead letters");
    }

    if (*klaviyo_state_names[state].todo) {
        klaviyo_json_literal(out, ". What to do: ");
        ngx_http_klaviyo_status_html_text(out,
                                          klaviyo_state_names[state].todo);
    }

    klaviyo_json_literal(out, ".</p>\n");
}


static void
ngx_http_klaviyo_status_html_now(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    ngx_http_klaviyo_status_reading_t  *reading;

    reading = account->reading;

    klaviyo_json_literal(out, "<h3>Now</h3>\n<dl>\n"
                              "<div><dt>last success</dt><dd>");

    if (reading->health.success) {
        ngx_http_klaviyo_status_html_time(out, reading->health.success);
        klaviyo_json_literal(out, ", ");
        ngx_http_klaviyo_status_html_age(out,
                     ngx_max(reading->now - reading->health.success, 0)
                     / 1000);
        klaviyo_json_literal(out, " ago");

    } else {
        klaviyo_json_literal(out, "never");
    }

    klaviyo_json_literal(out, "</dd></div>\n"
                              "<div><dt>captured a minute</dt><dd>");
    ngx_http_klaviyo_status_html_number(out, reading->captured);
    klaviyo_json_literal(out, "</dd></div>\n"
                              "<div><dt>delivered a minute</dt><dd>");
    ngx_http_klaviyo_status_html_number(out, reading->delivered);
    klaviyo_json_literal(out, "</dd></div>\n</dl>\n");

    ngx_http_klaviyo_status_html_bar(out, "ring", reading->ring.used,
                                     reading->ring.size);

    if (ngx_http_klaviyo_status_find(account, "spool", "size")) {
        ngx_http_klaviyo_status_html_bar(out, "spool",
                             reading->ring.counter[KLAVIYO_COUNT_SPOOL_USED],
                             reading->spool_size);
    }
}


static void
ngx_http_klaviyo_status_html_bar(klaviyo_json_t *out, const char *name,
    uint64_t used, uint64_t size)
{
    uint64_t  percent;

    percent = (size >= 100) ? ngx_min(used / (size / 100), 100) : 0;

    klaviyo_json_literal(out, "<p><label>");
    ngx_http_klaviyo_status_html_text(out, name);
    klaviyo_json_literal(out, " <meter min=\"0\" max=\"100\" low=\"50\" "
                              "high=\"75\" optimum=\"0\" value=\"");
    klaviyo_json_uint(out, percent);
    klaviyo_json_literal(out, "\"></meter></label> ");
    klaviyo_json_uint(out, percent);
    klaviyo_json_literal(out, " %: ");
    ngx_http_klaviyo_status_html_bytes(out, used);
    klaviyo_json_literal(out, " of ");
    ngx_http_klaviyo_status_html_bytes(out, size);
    klaviyo_json_literal(out, "</p>\n");
}


static void
ngx_http_klaviyo_status_html_answers(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    ngx_uint_t                i;
    klaviyo_health_answer_t   answer;

    klaviyo_json_literal(out, "<h3>So far: the last answers that were no "
                              "success</h3>\n");

    if (account->reading->health.answers == 0) {
        klaviyo_json_literal(out, "<p>none</p>\n");
        return;
    }

    klaviyo_json_literal(out, "<ol class=\"answers\">\n");

    for (i = 0;
         klaviyo_health_last(&account->reading->health, i, &answer);
         i++)
    {
        klaviyo_json_literal(out, "<li>");
        ngx_http_klaviyo_status_html_time(out, answer.time);

        if (answer.status) {
            klaviyo_json_literal(out, " <b>");
            klaviyo_json_uint(out, answer.status);
            klaviyo_json_literal(out, "</b> ");

        } else {
            klaviyo_json_literal(out, " <b>no answer</b> ");
        }

        ngx_http_klaviyo_status_html_text(out, answer.title);

        if (answer.detail[0]) {
            klaviyo_json_literal(out, " <q>");
            ngx_http_klaviyo_status_html_text(out, answer.detail);
            klaviyo_json_literal(out, "</q>");
        }

        if (answer.pointer[0]) {
            klaviyo_json_literal(out, " <code>");
            ngx_http_klaviyo_status_html_text(out, answer.pointer);
            klaviyo_json_literal(out, "</code>");
        }

        if (answer.times > 1) {
            klaviyo_json_literal(out, " (");
            ngx_http_klaviyo_status_html_number(out, answer.times);
            klaviyo_json_literal(out, " times in a row)");
        }

        klaviyo_json_literal(out, "</li>\n");
    }

    klaviyo_json_literal(out, "</ol>\n");
}


static void
ngx_http_klaviyo_status_html_metrics(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    ngx_uint_t               i, n;
    const klaviyo_metric_t  *metric;

    n = 0;

    for (i = 0; i < account->reading->metrics; i++) {
        metric = &account->reading->metric[i];

        if (metric->hour == 0) {
            continue;
        }

        if (n++ == 0) {
            klaviyo_json_literal(out, "<h3>The last hour: events by metric"
                                      "</h3>\n<ul class=\"metrics\">\n");
        }

        klaviyo_json_literal(out, "<li><b>");
        ngx_http_klaviyo_status_html_number(out, metric->hour);
        klaviyo_json_literal(out, "</b> ");
        ngx_http_klaviyo_status_html_text(out, metric->name);
        klaviyo_json_literal(out, "</li>\n");
    }

    if (n) {
        klaviyo_json_literal(out, "</ul>\n");
    }
}


/* and what one that has vanished left behind */

static void
ngx_http_klaviyo_status_html_hosts(klaviyo_json_t *out,
    ngx_http_klaviyo_fleet_figures_t *fleet)
{
    ngx_uint_t                      i;
    ngx_http_klaviyo_fleet_host_t  *host;

    for (i = 0; i < fleet->nlist; i++) {
        host = &fleet->list[i];

        if (i == 0) {
            klaviyo_json_literal(out, "<h3>The fleet: events that wait, by "
                                      "host</h3>\n<ul class=\"metrics\">\n");
        }

        klaviyo_json_literal(out, "<li><b>");
        ngx_http_klaviyo_status_html_number(out, host->left);
        klaviyo_json_literal(out, "</b> ");
        klaviyo_escape_html(out, host->name, host->len);
        klaviyo_json_literal(out, ", heard of ");
        ngx_http_klaviyo_status_html_number(out, host->age);
        klaviyo_json_literal(out, " s ago</li>\n");
    }

    if (i) {
        klaviyo_json_literal(out, "</ul>\n");
    }
}


static void
ngx_http_klaviyo_status_html_skipped(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account)
{
    ngx_uint_t                         i, n;
    ngx_http_klaviyo_status_figure_t  *figure;

    n = 0;

    for (i = 0; i < account->n; i++) {
        figure = &account->figure[i];

        if (figure->value == 0
            || ngx_strcmp(figure->row->group, "skipped") != 0)
        {
            continue;
        }

        if (n++ == 0) {
            klaviyo_json_literal(out, "<h3>So far: requests that made no "
                                      "event</h3>\n<ul>\n");
        }

        klaviyo_json_literal(out, "<li><b>");
        ngx_http_klaviyo_status_html_number(out, figure->value);
        klaviyo_json_literal(out, "</b> ");
        ngx_http_klaviyo_status_html_text(out,
                                          klaviyo_skipped_words(figure->name));
        klaviyo_json_literal(out, "</li>\n");
    }

    if (n) {
        klaviyo_json_literal(out, "</ul>\n");
    }
}


/* the server's clock, and UTC for programs; with its day if that is another */

static void
ngx_http_klaviyo_status_html_time(klaviyo_json_t *out, int64_t ms)
{
    u_char    buf[128], *last;
    time_t    sec;
    ngx_tm_t  tm, utc;

    /* a damaged file may say anything */

    sec = (ms > 0 && ms / 1000 < 253402300800) ? (time_t) (ms / 1000) : 0;

    ngx_gmtime(sec, &utc);
    ngx_localtime(sec, &tm);

    last = ngx_snprintf(buf, sizeof(buf),
                        "<time datetime=\"%4d-%02d-%02d" "T"
                        "%02d:%02d:%02d" "Z\">",
                        utc.ngx_tm_year, utc.ngx_tm_mon, utc.ngx_tm_mday,
                        utc.ngx_tm_hour, utc.ngx_tm_min, utc.ngx_tm_sec);

    if (ngx_time() - sec > 72000) {
        last = ngx_snprintf(last, buf + sizeof(buf) - last, "%4d-%02d-%02d ",
                            tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday);
    }

    last = ngx_snprintf(last, buf + sizeof(buf) - last,
                        "%02d:%02d:%02d</time>",
                        tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);

    klaviyo_json_raw(out, buf, last - buf);
}


/* 42 s, 4 min, 5 h, 3 days */

static void
ngx_http_klaviyo_status_html_age(klaviyo_json_t *out, uint64_t sec)
{
    if (sec < 120) {
        klaviyo_json_uint(out, sec);
        klaviyo_json_literal(out, " s");

    } else if (sec < 120 * 60) {
        klaviyo_json_uint(out, sec / 60);
        klaviyo_json_literal(out, " min");

    } else if (sec < 48 * 3600) {
        klaviyo_json_uint(out, sec / 3600);
        klaviyo_json_literal(out, " h");

    } else {
        ngx_http_klaviyo_status_html_number(out, sec / 86400);
        klaviyo_json_literal(out, " days");
    }
}


static void
ngx_http_klaviyo_status_html_figure(klaviyo_json_t *out,
    ngx_http_klaviyo_status_figure_t *figure)
{
    if (figure->value) {
        klaviyo_json_literal(out, "<tr title=\"");

    } else {
        klaviyo_json_literal(out, "<tr class=\"zero\" title=\"");
    }

    ngx_http_klaviyo_status_html_text(out, figure->row->help);
    klaviyo_json_literal(out, "\"><th scope=\"row\">");
    ngx_http_klaviyo_status_html_text(out, figure->name);
    klaviyo_json_literal(out, "</th><td><data value=\"");
    klaviyo_json_uint(out, figure->value);
    klaviyo_json_literal(out, "\">");

    switch (figure->row->kind) {

    case NGX_HTTP_KLAVIYO_STATUS_BYTES:
        ngx_http_klaviyo_status_html_bytes(out, figure->value);
        break;

    case NGX_HTTP_KLAVIYO_STATUS_SECONDS:
        ngx_http_klaviyo_status_html_number(out, figure->value);
        klaviyo_json_literal(out, " s");
        break;

    case NGX_HTTP_KLAVIYO_STATUS_TIME:

        if (figure->value) {
            ngx_http_klaviyo_status_html_time(out,
                                           (int64_t) figure->value * 1000);

        } else {
            klaviyo_json_literal(out, "never");
        }

        break;

    case NGX_HTTP_KLAVIYO_STATUS_STATE:
        ngx_http_klaviyo_status_html_text(out, figure->value ? "yes" : "no");
        break;

    case NGX_HTTP_KLAVIYO_STATUS_PROCESS:
        klaviyo_json_uint(out, figure->value);
        break;

    default:
        ngx_http_klaviyo_status_html_number(out, figure->value);
    }

    klaviyo_json_literal(out, "</data></td></tr>\n");
}


/* 1,234,567 */

static void
ngx_http_klaviyo_status_html_number(klaviyo_json_t *out, uint64_t n)
{
    u_char      digits[NGX_INT64_LEN + 1];
    ngx_uint_t  i, len;

    len = ngx_sprintf(digits, "%uL", n) - digits;

    for (i = 0; i < len; i++) {

        if (i && (len - i) % 3 == 0) {
            klaviyo_json_literal(out, ",");
        }

        klaviyo_json_raw(out, &digits[i], 1);
    }
}


/* 1.5 MiB, rounded down */

static void
ngx_http_klaviyo_status_html_bytes(klaviyo_json_t *out, uint64_t n)
{
    ngx_uint_t  unit;

    static const char *const  units[] = { " KiB", " MiB", " GiB", " TiB" };

    if (n < 1024) {
        klaviyo_json_uint(out, n);
        klaviyo_json_literal(out, " bytes");
        return;
    }

    for (unit = 0; unit < 3 && n >= 1024 * 1024; unit++) {
        n /= 1024;
    }

    ngx_http_klaviyo_status_html_number(out, n / 1024);
    klaviyo_json_literal(out, ".");
    klaviyo_json_uint(out, n % 1024 * 10 / 1024);
    ngx_http_klaviyo_status_text(out, units[unit]);
}


static void
ngx_http_klaviyo_status_html_text(klaviyo_json_t *out, const char *text)
{
    klaviyo_escape_html(out, text, ngx_strlen(text));
}
