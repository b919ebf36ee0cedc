/*
 * Private to capture/: the template that a track becomes in one location.
 *
 * A template is a row of operations in the order in which an event is
 * written.  An operation is finished JSON, or a name and where its value
 * comes from.  Nothing in it changes after the configuration is read.
 */


#ifndef NGX_HTTP_KLAVIYO_TEMPLATE_H
#define NGX_HTTP_KLAVIYO_TEMPLATE_H


#include "ngx_http_klaviyo_capture.h"
#include "json/klaviyo_value.h"


#define NGX_HTTP_KLAVIYO_EVENT_MAX   (4400 * 1000)  /* one alone in a body  */
#define NGX_HTTP_KLAVIYO_UTM_MAX     20             /* arguments of a URI   */
#define NGX_HTTP_KLAVIYO_UTM_NAME    64             /* bytes                */


/* the places of an event's members, in the order in which it is written */

typedef enum {
    NGX_HTTP_KLAVIYO_ID = 0,     /* beside the profile's attributes         */
    NGX_HTTP_KLAVIYO_ATTRIBUTES, /* of the profile                          */
    NGX_HTTP_KLAVIYO_LOCATION,
    NGX_HTTP_KLAVIYO_CUSTOM,     /* properties of the profile               */
    NGX_HTTP_KLAVIYO_APPEND,     /* what is done to these                   */
    NGX_HTTP_KLAVIYO_UNAPPEND,
    NGX_HTTP_KLAVIYO_UNSET,
    NGX_HTTP_KLAVIYO_PROPERTIES, /* of the event                            */
    NGX_HTTP_KLAVIYO_SECTIONS
} ngx_http_klaviyo_section_e;


typedef enum {
    NGX_HTTP_KLAVIYO_CHECK_NONE = 0,
    NGX_HTTP_KLAVIYO_CHECK_EMAIL,
    NGX_HTTP_KLAVIYO_CHECK_PHONE,
    NGX_HTTP_KLAVIYO_CHECK_IP,
    NGX_HTTP_KLAVIYO_CHECK_IDENTIFIER
} ngx_http_klaviyo_check_e;


/* an anonymous_id says that it is the same visitor, not who that is */

#define NGX_HTTP_KLAVIYO_IS_KNOWN      1
#define NGX_HTTP_KLAVIYO_IS_ANONYMOUS  2


/* a profile field that has its own place in Klaviyo's schema */

typedef struct {
    ngx_str_t                    name;
    ngx_http_klaviyo_section_e   section;
    ngx_http_klaviyo_check_e     check;
    unsigned                     identifier:2; /* NGX_HTTP_KLAVIYO_IS_*     */
    ngx_int_t                    degrees;      /* at most; it may be a number
                                                  too.  0: it is none       */
} ngx_http_klaviyo_known_t;


/* a length of 0: there is no value */
typedef ngx_int_t (*ngx_http_klaviyo_default_pt)(ngx_http_request_t *r,
    ngx_str_t *value);


/* NGX_OK; NGX_DECLINED: there is none; NGX_ABORT: nginx has to be asked */
typedef ngx_int_t (*ngx_http_klaviyo_part_pt)(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);


typedef struct {
    ngx_str_t                    name;
    ngx_http_klaviyo_default_pt  get;
    ngx_uint_t                   type;         /* klaviyo_value_type_e      */
} ngx_http_klaviyo_default_t;


typedef struct {
    ngx_str_t                    name;
    ngx_str_t                    text;         /* `"name":`, or, without a
                                                  value, finished members   */
    ngx_http_complex_value_t    *value;
    ngx_http_klaviyo_default_pt  get;
    ngx_int_t                    index;        /* of the only variable of the
                                                  value, or NGX_ERROR       */
    ngx_http_klaviyo_part_pt     part;         /* finds the argument or the
                                                  cookie that it is, or NULL */
    ngx_str_t                    key;          /* the name of that          */
    ngx_http_get_variable_pt     handler;      /* nginx's, of such variables */
    ngx_uint_t                   type;         /* klaviyo_value_type_e      */
    ngx_uint_t                   members;      /* in finished text          */
    ngx_http_klaviyo_check_e     check;
    unsigned                     identifier:2;
    unsigned                     own:1;        /* of the track's block      */
} ngx_http_klaviyo_op_t;


struct ngx_http_klaviyo_template_s {
    ngx_http_klaviyo_op_t       *ops;
    ngx_uint_t                   end[NGX_HTTP_KLAVIYO_SECTIONS];
    ngx_array_t                 *properties;   /* ngx_http_klaviyo_field_t   */

    ngx_http_klaviyo_op_t        metric;
    ngx_http_klaviyo_op_t        value;
    ngx_http_klaviyo_op_t        currency;
    ngx_http_klaviyo_op_t        unique_id;
    ngx_http_klaviyo_op_t        time;
    ngx_http_klaviyo_op_t        backfill;

    klaviyo_amount_form_t        form;         /* of the amount             */
    int                          zone;         /* of the time               */
    ngx_uint_t                   phone_country;
    ngx_http_klaviyo_own_cookie_t
                                *attribution;  /* NULL: off                 */

    size_t                       size;         /* of all that is no value   */
    unsigned                     identified:2; /* by a constant             */
    unsigned                     defaults:1;
    unsigned                     named:1;      /* for events that the
                                                  application names         */
    unsigned                     apart:1;      /* each constant is an
                                                  operation                 */
    unsigned                     merged:1;     /* klaviyo_enrich has a word */
    unsigned                     own_id:1;     /* the track has a unique_id */
};


/* an argument utm_* of the request; the name is of [a-z0-9_] */

typedef struct {
    ngx_str_t                    name;
    ngx_str_t                    value;
} ngx_http_klaviyo_utm_t;


/* NULL: no memory */
ngx_http_klaviyo_template_t *ngx_http_klaviyo_template(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf, ngx_http_klaviyo_track_t *track);

/*
 * The index of a variable that is the whole value, to be had without a copy;
 * NGX_ERROR: it is more than that.
 */
ngx_int_t ngx_http_klaviyo_template_variable(ngx_conf_t *cf,
    ngx_http_complex_value_t *value);


#endif /* NGX_HTTP_KLAVIYO_TEMPLATE_H */
