/*
 * The figures as they are read for one answer, and the forms that write them.
 * Of this room only.
 */


#ifndef NGX_HTTP_KLAVIYO_STATUS_PRIVATE_H
#define NGX_HTTP_KLAVIYO_STATUS_PRIVATE_H


#include "account/ngx_http_klaviyo_account.h"

#include "json/klaviyo_json.h"
#include "queue/klaviyo_hold.h"


typedef enum {
    NGX_HTTP_KLAVIYO_STATUS_COUNTER = 0,
    NGX_HTTP_KLAVIYO_STATUS_GAUGE,
    NGX_HTTP_KLAVIYO_STATUS_BYTES,       /* a gauge, as is whatever follows  */
    NGX_HTTP_KLAVIYO_STATUS_SECONDS,
    NGX_HTTP_KLAVIYO_STATUS_TIME,        /* s since the epoch, 0: never      */
    NGX_HTTP_KLAVIYO_STATUS_PROCESS,     /* its id                           */
    NGX_HTTP_KLAVIYO_STATUS_STATE        /* 0 or 1                           */
} ngx_http_klaviyo_status_kind_e;


/*
 * What is known of a figure before it is read.  Those of a group stand
 * together, and those of a family; a group whose figures have the label
 * "reason" is a part of "reasons" in the JSON.
 */

typedef struct {
    const char                      *group;   /* "": of none                 */
    const char                      *name;    /* NULL: all of the ring's in
                                                 the group without a row     */
    size_t                           offset;  /* of what is read             */
    ngx_http_klaviyo_status_kind_e   kind;
    const char                      *family;  /* of Prometheus' metrics;
                                                 NULL: a sum of a group      */
    const char                      *label;   /* whose value is the name;
                                                 NULL: it is the family      */
    const char                      *help;
} ngx_http_klaviyo_status_row_t;


typedef struct {
    const ngx_http_klaviyo_status_row_t  *row;
    const char                           *name;
    uint64_t                              value;
} ngx_http_klaviyo_status_figure_t;


/* all that is read of an account; what a row names has 64 bits */

typedef struct {
    klaviyo_figures_t       ring;
    klaviyo_hold_figures_t  hold;
    ngx_http_klaviyo_fleet_figures_t  fleet;
    uint64_t                attached;
    uint64_t                hold_attached;
    uint64_t                deliverer;
    uint64_t                paused_for;  /* s                                */
    uint64_t                single_waits_for;
    uint64_t                bulk_waits_for;
    uint64_t                spool_size;

    klaviyo_health_t        health;
    klaviyo_state_e         state;       /* the worst of states[]            */
    int64_t                 now;         /* CLOCK_REALTIME, ms               */
    uint64_t                states[KLAVIYO_STATE_N];
    uint64_t                success;     /* s since the epoch, 0: never      */
    uint64_t                since;       /* of a failure; 0: it delivers     */
    uint64_t                oldest;      /* age of the oldest that waits, s  */
    uint64_t                captured;    /* in the last minute               */
    uint64_t                delivered;

    klaviyo_histogram_t     histogram[KLAVIYO_HISTOGRAM_N];
    klaviyo_metric_t        metric[KLAVIYO_METRICS + 1];
    ngx_uint_t              metrics;
} ngx_http_klaviyo_status_reading_t;


/* the figures in the order of their rows */

typedef struct {
    ngx_str_t                          *name;
    ngx_uint_t                          n;
    ngx_uint_t                          written;  /* of these, family by
                                                     family                  */
    ngx_http_klaviyo_status_figure_t   *figure;
    ngx_http_klaviyo_status_reading_t  *reading;
} ngx_http_klaviyo_status_account_t;


typedef struct {
    ngx_uint_t                          n;
    ngx_http_klaviyo_status_account_t  *account;
} ngx_http_klaviyo_status_t;


/*
 * What the page's style is, and the hash that its Content-Security-Policy
 * allows it by: t/seen.t knows whether it fits.
 */

#define NGX_HTTP_KLAVIYO_STATUS_STYLE                                        \
    "\n"                                                                     \
    ":root { color-scheme: light dark }\n"                                   \
    "body { font: 16px/1.45 sans-serif; margin: 0 }\n"                       \
    "main { max-width: 75em; margin: 0 auto; padding: 1em }\n"               \
    "h1, h2, h3 { font-weight: 600; line-height: 1.2 }\n"                    \
    "h1 small { font-size: 50%; font-weight: 400 }\n"                        \
    "h3 { font-size: 1em; margin: 1em 0 .3em }\n"                            \
    "section { border-top: 1px solid #8888 }\n"                              \
    ".wrong { padding: 0; list-style: none }\n"                              \
    ".wrong li, .well, .verdict { margin: .3em 0; padding: .4em .8em;\n"     \
    "    border-left: .4em solid }\n"                                        \
    ".verdict { font-size: 1.15em }\n"                                       \
    ".wrong .now, .bad { border-color: #c00 }\n"                             \
    ".wrong .once { border-color: #d80 }\n"                                  \
    ".wrong .mended, .well, .good { border-color: #090 }\n"                  \
    ".idle { border-color: #888 }\n"                                         \
    "dl { display: flex; flex-wrap: wrap; gap: .5em 2em; margin: 0 }\n"      \
    "dt { font-size: .9em }\n"                                               \
    "dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums }\n"\
    "label { display: inline-block; min-width: 14em }\n"                     \
    "meter { width: 9em }\n"                                                 \
    ".answers { padding-left: 1.5em; overflow-wrap: anywhere }\n"            \
    "summary { padding: .5em 0; cursor: pointer }\n"                         \
    ".all { columns: 15em; column-gap: 2em }\n"                              \
    "table { border-collapse: collapse; width: 100%;\n"                      \
    "    margin-bottom: 1em; break-inside: avoid }\n"                        \
    "caption { text-align: left; font-weight: 600 }\n"                       \
    "th { text-align: left; font-weight: normal }\n"                         \
    "td { text-align: right; padding-left: 1em;\n"                           \
    "    font-variant-numeric: tabular-nums }\n"                             \
    "tr { border-top: 1px solid #8884 }\n"

#define NGX_HTTP_KLAVIYO_STATUS_STYLE_HASH                                   \
    "sha256-KUaVk/jx4KKJIFUZz8p9ZEZ7xtSNwFi9UE4m3bnZWjs="


#endif /* NGX_HTTP_KLAVIYO_STATUS_PRIVATE_H */
