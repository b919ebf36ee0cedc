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
    uint64_t                attached;
    uint64_t                hold_attached;
    uint64_t                deliverer;
    uint64_t                paused_for;  /* s                                */
    uint64_t                single_waits_for;
    uint64_t                bulk_waits_for;
    uint64_t                spool_size;
} ngx_http_klaviyo_status_reading_t;


/* the figures in the order of their rows */

typedef struct {
    ngx_str_t                         *name;
    ngx_uint_t                         n;
    ngx_http_klaviyo_status_figure_t  *figure;
} ngx_http_klaviyo_status_account_t;


typedef struct {
    ngx_uint_t                          n;
    ngx_http_klaviyo_status_account_t  *account;
} ngx_http_klaviyo_status_t;


/* the table ends in a row without a group */
extern const ngx_http_klaviyo_status_row_t  ngx_http_klaviyo_status_rows[];


/* reads the figures of all accounts, each consistent; NGX_ERROR: no memory */
ngx_int_t ngx_http_klaviyo_status_read(ngx_pool_t *pool,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_status_t *status);

/* NULL: the account has none of it */
ngx_http_klaviyo_status_figure_t *ngx_http_klaviyo_status_find(
    ngx_http_klaviyo_status_account_t *account, const char *group,
    const char *name);

/* a text that needs no escaping */
void ngx_http_klaviyo_status_text(klaviyo_json_t *out, const char *text);


/* of each form: the most bytes that it takes, and how it is written */

size_t ngx_http_klaviyo_status_json_size(ngx_http_klaviyo_status_t *status);
void ngx_http_klaviyo_status_json(klaviyo_json_t *json,
    ngx_http_klaviyo_status_t *status);

size_t ngx_http_klaviyo_status_prometheus_size(
    ngx_http_klaviyo_status_t *status);
void ngx_http_klaviyo_status_prometheus(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status);

size_t ngx_http_klaviyo_status_html_size(ngx_http_klaviyo_status_t *status);
void ngx_http_klaviyo_status_html(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status);


#endif /* NGX_HTTP_KLAVIYO_STATUS_PRIVATE_H */
