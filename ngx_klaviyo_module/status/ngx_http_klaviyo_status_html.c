/*
 * status: the figures as a page, what is wrong first.  It loads nothing and
 * runs nothing; each figure is a <data> element that has it exactly.
 */


#include "ngx_http_klaviyo_status_private.h"

#include "klaviyo_escape.h"


#define NGX_HTTP_KLAVIYO_STATUS_HEAD     4096  /* of the whole               */
#define NGX_HTTP_KLAVIYO_STATUS_ACCOUNT  4096  /* without figures and names  */
#define NGX_HTTP_KLAVIYO_STATUS_FIGURE   320
#define NGX_HTTP_KLAVIYO_STATUS_WRONG    320
#define NGX_HTTP_KLAVIYO_STATUS_NAMES    2     /* and one for each wrong     */

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
} ngx_http_klaviyo_status_wrong_t;


static ngx_uint_t ngx_http_klaviyo_status_html_wrong(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t now);
static ngx_uint_t ngx_http_klaviyo_status_html_test(
    ngx_http_klaviyo_status_account_t *account,
    const ngx_http_klaviyo_status_wrong_t *wrong, uint64_t *n);
static void ngx_http_klaviyo_status_html_account(klaviyo_json_t *out,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_html_figure(klaviyo_json_t *out,
    ngx_http_klaviyo_status_figure_t *figure);
static void ngx_http_klaviyo_status_html_number(klaviyo_json_t *out,
    uint64_t n);
static void ngx_http_klaviyo_status_html_bytes(klaviyo_json_t *out,
    uint64_t n);
static void ngx_http_klaviyo_status_html_text(klaviyo_json_t *out,
    const char *text);


static const ngx_http_klaviyo_status_wrong_t  ngx_http_klaviyo_wrongs[] = {

    { "queue", "attached", NGX_HTTP_KLAVIYO_STATUS_IS_ZERO,
      "the queue's file is damaged or gone: events are lost until nginx is "
      "reloaded", NULL, 1 },

    { "hold", "attached", NGX_HTTP_KLAVIYO_STATUS_IS_ZERO,
      "the file of events that wait for their visitor is damaged or gone: "
      "they are lost until nginx is reloaded", NULL, 1 },

    { "delivery", "deliverer", NGX_HTTP_KLAVIYO_STATUS_IS_ZERO,
      "no worker delivers", NULL, 1 },

    { "delivery", "paused_for", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "Klaviyo throttles: delivery pauses for another ", " s", 1 },

    { "queue", "used", NGX_HTTP_KLAVIYO_STATUS_IS_FULL,
      "the ring is full to ", " %", 1 },

    { "spool", "bytes_used", NGX_HTTP_KLAVIYO_STATUS_IS_FULL,
      "the spool is full to ", " %", 1 },

    { "replies", "blocked", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "requests that Klaviyo refused for a wrong key, scope, endpoint or "
      "revision: ", "; the error log says which", 0 },

    { "delivery", "breaker_opened", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "times that the breaker opened, since Klaviyo refused too many events "
      "at once: ", "; they are set aside, and others are delivered", 0 },

    { "", "lost", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events lost: ", "", 0 },

    { "", "dead", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events given up: ", "; the dead letters say why", 0 },

    { "dead_letters", "errors", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "errors of the disk of the dead letters, which the queue waits for: ",
      "", 0 },

    { "dead_letters", "dropped_by_rotation", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "dead letters dropped for newer ones: ", "", 0 },

    { "spool", "errors", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "errors of the spool's disk: ", "", 0 },

    { "spool", "segments_abandoned", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "files of the spool left after an error of the disk: ", "", 0 },

    { "spool", "full", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "times that the spool was full: ", "", 0 },

    { "hold", "lost", NGX_HTTP_KLAVIYO_STATUS_IS_NOT,
      "events lost that waited for their visitor: ", "", 0 },

    { NULL, NULL, 0, NULL, NULL, 0 }
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
                + account->n * NGX_HTTP_KLAVIYO_STATUS_FIGURE;

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
        "<style>\n"
        ":root { color-scheme: light dark }\n"
        "body { font: 15px/1.4 sans-serif; max-width: 75em;\n"
        "    margin: 1em auto; padding: 0 1em }\n"
        "h1, h2 { font-weight: 600 }\n"
        "h1 small { font-size: 50%; opacity: .6 }\n"
        ".wrong { padding: 0; list-style: none }\n"
        ".wrong li, .well { margin: .3em 0; padding: .4em .8em;\n"
        "    border-left: .4em solid }\n"
        ".wrong .now { border-color: #c00 }\n"
        ".wrong .once { border-color: #d80 }\n"
        ".well { border-color: #090 }\n"
        ".all { columns: 15em; column-gap: 2em }\n"
        "table { border-collapse: collapse; width: 100%;\n"
        "    margin-bottom: 1em; break-inside: avoid }\n"
        "caption { text-align: left; font-weight: 600 }\n"
        "th { text-align: left; font-weight: normal }\n"
        "td { text-align: right; padding-left: 1em;\n"
        "    font-variant-numeric: tabular-nums }\n"
        "tr { border-top: 1px solid #8884 }\n"
        ".zero { opacity: .5 }\n"
        "</style>\n"
        "</head>\n"
        "<body>\n"
        "<h1>Klaviyo events <small>module " NGX_HTTP_KLAVIYO_VERSION
        ", nginx " NGINX_VERSION "</small></h1>\n"
        "<ul class=\"wrong\">\n");

    n = ngx_http_klaviyo_status_html_wrong(out, status, 1);
    n += ngx_http_klaviyo_status_html_wrong(out, status, 0);

    klaviyo_json_literal(out, "</ul>\n");

    if (n == 0) {
        klaviyo_json_literal(out, "<p class=\"well\">All is well.</p>\n");
    }

    for (i = 0; i < status->n; i++) {
        ngx_http_klaviyo_status_html_account(out, &status->account[i]);
    }

    klaviyo_json_literal(out, "</body>\n</html>\n");
}


/* how many lines that were */

static ngx_uint_t
ngx_http_klaviyo_status_html_wrong(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t now)
{
    uint64_t                                n;
    ngx_uint_t                              i, lines;
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

            lines++;

            if (now) {
                klaviyo_json_literal(out, "<li class=\"now\"><b>");

            } else {
                klaviyo_json_literal(out, "<li class=\"once\"><b>");
            }

            klaviyo_escape_html(out, account->name->data, account->name->len);
            klaviyo_json_literal(out, "</b>, ");

            if (now) {
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

    klaviyo_json_literal(out, "<section>\n<h2>");
    klaviyo_escape_html(out, account->name->data, account->name->len);
    klaviyo_json_literal(out, "</h2>\n<div class=\"all\">\n");

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

    klaviyo_json_literal(out, "</table>\n</div>\n</section>\n");
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
