/*
 * From a request to an event: what the configuration says of a location, and
 * the log-phase handler that turns it into a record in an account's ring.
 *
 * Templates are compiled when the configuration is merged: names and constant
 * values are checked and serialised then; a request evaluates variables and
 * escapes them.
 *
 * Room capture.  May include: nginx, account, queue, json.  It knows requests,
 * and nothing of what becomes of an event behind the ring.
 */


#ifndef NGX_HTTP_KLAVIYO_CAPTURE_H
#define NGX_HTTP_KLAVIYO_CAPTURE_H


#include "account/ngx_http_klaviyo_account.h"
#include "json/klaviyo_amount.h"


typedef struct ngx_http_klaviyo_template_s  ngx_http_klaviyo_template_t;


/* klaviyo_property, klaviyo_profile, and the same inside a track's block */

typedef struct {
    ngx_str_t                  name;
    ngx_http_complex_value_t   value;
    ngx_uint_t                 type;       /* klaviyo_value_type_e           */
    ngx_uint_t                 patch;      /* ngx_http_klaviyo_section_e, or
                                              0: the value is set            */
} ngx_http_klaviyo_field_t;


/* one klaviyo_track */

typedef struct {
    ngx_str_t                  directive;
    ngx_http_complex_value_t   metric;
    ngx_http_complex_value_t  *filter;     /* if=                            */
    ngx_array_t               *statuses;   /* NULL: the default              */
    ngx_str_t                  account;    /* account=, empty: the default   */
    ngx_http_complex_value_t  *choice;     /* account= with a variable       */
    ngx_uint_t                 view;       /* 1: a page view, GET and HTML   */
    ngx_http_complex_value_t  *fetch;      /* fetch=, or NULL: a path, or a
                                              condition with variables       */

    klaviyo_lane_e             lane;       /* of klaviyo_identify and
                                              klaviyo_subscribe              */
    ngx_http_complex_value_t  *list;       /* list=, or NULL                 */
    ngx_http_complex_value_t  *source;     /* source=, or NULL               */
    ngx_uint_t                 channels;   /* NGX_HTTP_KLAVIYO_CHANNEL_*     */
    time_t                     max_age;    /* s, 0: the lane's               */

    ngx_array_t               *profile;    /* ngx_http_klaviyo_field_t       */
    ngx_array_t               *properties; /* ngx_http_klaviyo_field_t       */
    ngx_http_complex_value_t  *value;
    ngx_http_complex_value_t  *currency;
    klaviyo_amount_form_t      form;       /* of the amount                  */
    ngx_http_complex_value_t  *unique_id;
    ngx_http_complex_value_t  *time;
    int                        zone;       /* of a time without one, seconds
                                              east of UTC                    */
    ngx_http_complex_value_t  *backfill;
    ngx_str_t                  page;       /* page=, empty: any              */
    ngx_int_t                  page_type;  /* index of the variable          */

    u_char                    *conf_file;  /* where it stands, for messages  */
    ngx_uint_t                 conf_line;

    unsigned                   page_read:1; /* somewhere klaviyo_page does   */
    unsigned                   named:1;    /* the application names events   */
    unsigned                   order:1;    /* it may be of somebody else than
                                              the visitor: its block has
                                              `unique_id` or `value`         */
} ngx_http_klaviyo_track_t;


/* klaviyo_prefetch; unset: refuse where klaviyo_skip names "prefetch" */

#define NGX_HTTP_KLAVIYO_PREFETCH_SKIP    0
#define NGX_HTTP_KLAVIYO_PREFETCH_COUNT   1
#define NGX_HTTP_KLAVIYO_PREFETCH_REFUSE  2


/* klaviyo_kx_cookie, klaviyo_attribution */

typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  attributes; /* all that follows the value     */
} ngx_http_klaviyo_own_cookie_t;


/* klaviyo_debug */

typedef struct {
    ngx_http_complex_value_t   allowed;
    ngx_str_t                  name;       /* of the account; or empty       */
    ngx_http_klaviyo_account_t
                              *account;    /* NULL: that of the rule         */
    u_char                    *conf_file;
    ngx_uint_t                 conf_line;
} ngx_http_klaviyo_debug_t;


/* klaviyo_enrich */

typedef struct {
    ngx_http_complex_value_t   uri;
    ngx_http_complex_value_t   args;       /* behind the directive's own "?" */
    ngx_msec_t                 timeout;    /* ms                             */
    unsigned                   whole:1;    /* a "?" may be in the URI's value */
} ngx_http_klaviyo_enrich_t;


/* a track as it applies in one location: account chosen, template compiled */

typedef struct {
    ngx_http_klaviyo_track_t     *track;
    ngx_http_klaviyo_account_t   *account; /* with a choice: that where what
                                              names no account is counted    */
    ngx_http_complex_value_t     *choice;  /* the account's name, or NULL    */
    ngx_http_klaviyo_template_t  *template;
} ngx_http_klaviyo_rule_t;


typedef struct {
    ngx_http_klaviyo_location_t
                               location;   /* of other rooms; stands first   */

    ngx_array_t               *tracks;     /* ngx_http_klaviyo_track_t;
                                              UNSET_PTR: inherit, NULL: off  */
    ngx_array_t               *profile;    /* ngx_http_klaviyo_field_t       */
    ngx_array_t               *properties; /* ngx_http_klaviyo_field_t       */
    ngx_str_t                  account;    /* klaviyo_account_default        */
    ngx_http_complex_value_t  *choice;     /* that with a variable           */
    u_char                    *account_file;  /* where that stands           */
    ngx_uint_t                 account_line;
    ngx_flag_t                 defaults;
    ngx_int_t                  phone_country;  /* calling code, 0: off       */

    ngx_uint_t                 identity;   /* NGX_HTTP_KLAVIYO_IDENTITY_*    */
    ngx_http_klaviyo_own_cookie_t
                              *kx_cookie,  /* UNSET_PTR: inherit, NULL: off  */
                              *attribution;

    ngx_http_klaviyo_track_t  *header;     /* klaviyo_response_header, whose
                                              name stands as the metric;
                                              UNSET_PTR: inherit, NULL: off  */
    ngx_array_t               *json_tracks;   /* klaviyo_track_json, whose
                                              variable stands as the metric;
                                              UNSET_PTR: inherit, NULL: off  */
    ngx_array_t               *lane_tracks[KLAVIYO_LANE_N];
                                           /* of other lanes than events;
                                              UNSET_PTR: inherit, NULL: off  */
    ngx_http_klaviyo_enrich_t *enrich;     /* UNSET_PTR: inherit, NULL: off  */
    ngx_flag_t                 request_body;

    ngx_http_klaviyo_debug_t  *debug;      /* UNSET_PTR: inherit, NULL: off  */
    ngx_http_complex_value_t  *consent;    /* UNSET_PTR: inherit, NULL: off  */
    ngx_array_t               *hosts;      /* the server's, see _host.h      */
    ngx_uint_t                 skip;       /* NGX_HTTP_KLAVIYO_SKIP_*        */
    ngx_uint_t                 prefetch;   /* NGX_HTTP_KLAVIYO_PREFETCH_*    */

    ngx_array_t               *rules;      /* ngx_http_klaviyo_rule_t, made by
                                              merging; NULL: nothing to do   */
    ngx_http_klaviyo_rule_t   *named;      /* of the header's events, made by
                                              merging; NULL: there is none   */
    ngx_array_t               *json;       /* the same of json_tracks        */
    ngx_array_t               *lane_rules[KLAVIYO_LANE_N];
                                           /* and of lane_tracks             */

    unsigned                   own_tracks:1; /* the tracks stand in this
                                                location, or in that of this
                                                `if`                         */
    unsigned                   own_header:1; /* so does the header           */
    unsigned                   own_json:1; /* so do the json_tracks          */
    unsigned                   refuses:1;    /* what prefetches a page       */
    unsigned                   own_lanes:KLAVIYO_LANE_N;
                                           /* and those of a lane, a bit each */
} ngx_http_klaviyo_loc_conf_t;


/* configuration */

void *ngx_http_klaviyo_capture_create_conf(ngx_conf_t *cf);
char *ngx_http_klaviyo_capture_merge_conf(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf);

/* directive: klaviyo_account_default */
char *ngx_http_klaviyo_account_default(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the log-phase handler, first of its phase; in postconfiguration */
ngx_int_t ngx_http_klaviyo_capture_init(ngx_conf_t *cf);


#endif /* NGX_HTTP_KLAVIYO_CAPTURE_H */
