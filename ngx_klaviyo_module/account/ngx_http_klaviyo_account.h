/*
 * A Klaviyo account as the configuration describes it: its key, its queue,
 * how it is delivered.  Read-only after the configuration is loaded, except
 * the ring behind its pointer, which all processes share.
 *
 * Room account.  May include: nginx, queue.  Requests are unknown here.
 */


#ifndef NGX_HTTP_KLAVIYO_ACCOUNT_H
#define NGX_HTTP_KLAVIYO_ACCOUNT_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_klaviyo_fleet.h"
#include "ngx_http_klaviyo_user.h"
#include "queue/klaviyo_lane.h"
#include "queue/klaviyo_spool.h"


#define NGX_HTTP_KLAVIYO_VERSION  "0.1.0"

/* the newest one of Klaviyo's API that is known here */
#define NGX_HTTP_KLAVIYO_REVISION  "2026-10-15"

/* with "revision <date> strict" a retired one is refused, not replaced */
#define NGX_HTTP_KLAVIYO_STRICT  "X-Klaviyo-Revision-Fall-Forward-Opt-Out"


#define NGX_HTTP_KLAVIYO_NO_QUEUE        0x1
#define NGX_HTTP_KLAVIYO_NO_SPOOL        0x2
#define NGX_HTTP_KLAVIYO_NO_DEAD_LETTER  0x4


typedef struct ngx_http_klaviyo_account_s  ngx_http_klaviyo_account_t;


/*
 * An account, or a lane beside it: a copy with a queue of its own, whose name
 * is "<account>/<lane>".  Each that shares its queue has one more copy, which
 * delivers for the fleet: "<its name>/fleet".
 */

struct ngx_http_klaviyo_account_s {
    ngx_str_t        name;
    const klaviyo_lane_t
                    *lane;
    ngx_http_klaviyo_account_t
                    *lanes[KLAVIYO_LANE_N];  /* of an account, itself first;
                                        NULL: not used                       */
    ngx_uint_t       lanes_used;     /* bits, while the configuration is read */
    ngx_uint_t       lanes_all;      /* it takes what any rule's lane has    */
    time_t           lanes_max_age[KLAVIYO_LANE_N];  /* s, 0: the lane's     */

    ngx_str_t        authorization;  /* the header line with the key, ends in
                                        NUL, in pages that no core file has  */
    ngx_str_t        company;        /* the public key; empty: not known     */
    ngx_str_t        endpoint;       /* without a slash at the end           */
    ngx_str_t        revision;
    ngx_uint_t       revision_strict;

    ngx_str_t        queue;          /* path of the ring                     */
    size_t           queue_size;
    ngx_uint_t       queue_full;

    ngx_str_t        spool;          /* folder; empty: off                   */
    size_t           spool_size;
    ngx_msec_t       spool_sync;     /* 0: off                               */

    ngx_str_t        dead_letter;    /* path; empty: off                     */
    size_t           dead_letter_size;

    ngx_uint_t       batch_events;
    size_t           batch_bytes;
    ngx_msec_t       batch_linger;

    ngx_uint_t       rate_share;     /* per cent                             */

    ngx_str_t        fleet_name;     /* empty: it shares no limits           */
    void            *fleet;          /* the block, the other module's        */
    ngx_str_t        fleet_key;      /* of what is shared                    */
    ngx_str_t        fleet_whose;    /* a hash of the company, or of the key */
    ngx_uint_t       fleet_queue;    /* the queue is, not the limits alone   */
    size_t           fleet_size;     /* bytes of it in the fleet             */
    ngx_msec_t       fleet_away;     /* then this host delivers by itself    */
    ngx_uint_t       fleet_deliver;  /* it may deliver                       */
    ngx_http_klaviyo_account_t
                    *fleet_host;     /* of a copy that delivers for the
                                        fleet: whose it is; else NULL        */

    ngx_msec_t       hold;           /* 0: no event waits for its visitor    */
    size_t           hold_size;
    ngx_str_t        hold_path;      /* of the ring of those that wait       */

    ngx_msec_t       retry_min;
    ngx_msec_t       retry_max;
    time_t           retry_max_age;  /* s                                    */

    ngx_msec_t       connect_timeout;
    ngx_msec_t       total_timeout;

    ngx_str_t        ssl_trusted_certificate;  /* empty: libcurl's default   */
    struct x509_store_st
                    *ssl_store;      /* in workers, what stands in that file;
                                        NULL: libcurl reads it               */
    ngx_str_t        proxy;          /* empty: none                          */
    ngx_flag_t       ssl_verify;
    ngx_flag_t       dry_run;

    klaviyo_ring_t  *ring;           /* NULL in `nginx -t` and `nginx -s`;
                                        mapped in workers only               */
    klaviyo_ring_t  *hold_ring;      /* and without hold                     */
    ngx_shm_zone_t  *limits_zone;    /* delivery's: the key's rate limits;
                                        begins with the fleet's figures, of
                                        the account and of its fleet_host    */
    ngx_shm_zone_t  *hold_zone;      /* capture's: when somebody waited      */

    ngx_uint_t       missing;        /* NGX_HTTP_KLAVIYO_NO_*: `nginx -t`
                                        leaves it to a start to make it      */

    ngx_uint_t       used;           /* by a directive somewhere             */

    ngx_pid_t        master;         /* of the nginx that runs with it       */
                                     /* already, or 0                        */

    u_char          *conf_file;      /* where the block stands               */
    ngx_uint_t       conf_line;

    ngx_array_t     *former;         /* of ngx_http_klaviyo_former_t: taken
                                        over by the reload; NULL: none       */
};


struct ngx_http_klaviyo_webhook_s;


typedef struct {
    ngx_http_klaviyo_fleet_hook_t
                     fleet;          /* first: the other module finds it     */
    ngx_array_t      accounts;       /* of ngx_http_klaviyo_account_t *      */
    ngx_array_t      queues;         /* the same, each with its lanes        */
    ngx_http_klaviyo_user_t
                     user;           /* of the workers                       */
    ngx_uint_t       user_unknown;   /* "user" may come behind "http"        */
    ngx_flag_t       kx_cookie;      /* there is a klaviyo_kx_cookie         */
    ngx_flag_t       attribution;    /* there is a klaviyo_attribution       */

    ngx_array_t     *bot_patterns;   /* of klaviyo_bots, while it is read    */
    struct klaviyo_bots_s  *bots;    /* NULL without an account              */

    ngx_array_t     *sources;        /* of klaviyo_json and klaviyo_form     */
    ngx_array_t     *hashes;         /* of klaviyo_hash                      */
    ngx_uint_t       webhook;        /* klaviyo_webhook stands somewhere     */
    ngx_uint_t     (*answered)(ngx_http_request_t *r);
                                     /* 1: by the module, such a request
                                        fires no event; NULL: none is        */
    ngx_uint_t     (*signed_by)(ngx_http_request_t *r,
                                struct ngx_http_klaviyo_webhook_s *webhook);
                                     /* 0: not verified, the rules of its
                                        location fire no event               */
    ngx_uint_t       debugs;         /* klaviyo_debug stands somewhere       */
    ngx_uint_t       enriches;       /* klaviyo_enrich stands somewhere      */
    u_char          *nobody_file;    /* where an event stands whose visitors */
    ngx_uint_t       nobody_line;    /* cannot be known                      */
    ngx_uint_t       somebody;       /* there are others                     */
    ngx_array_t     *page_tracks;    /* ngx_http_klaviyo_track_t *, rules
                                        with page=; NULL: none               */
    ngx_uint_t       pages;          /* klaviyo_page stands somewhere, or
                                        klaviyo_response_body                */
} ngx_http_klaviyo_main_conf_t;


/*
 * What the rooms beside capture know of a location, each its own.  The
 * location's configuration, which is capture's, begins with it.
 */

typedef struct {
    struct ngx_http_klaviyo_webhook_s
                    *webhook;        /* UNSET_PTR: inherit, NULL: off        */

    struct ngx_http_klaviyo_pass_s
                    *pass;           /* NULL: none; not inherited            */
    ngx_msec_t       pass_timeout;
    ngx_int_t        pass_connections;

    struct ngx_http_klaviyo_page_s
                    *page;           /* UNSET_PTR: inherit, NULL: off        */
    size_t           response_body;  /* bytes; UNSET_SIZE: inherit, 0: off   */
} ngx_http_klaviyo_location_t;


extern ngx_module_t  ngx_http_klaviyo_module;


/* the directive klaviyo_account; `conf` is the main configuration */
char *ngx_http_klaviyo_account_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * When the configuration is complete: kmcf->queues.  Only lanes that something
 * uses are there.
 */
ngx_int_t ngx_http_klaviyo_account_lanes(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* what works, and is hardly what was meant: once, at "warn" */
void ngx_http_klaviyo_account_warn(ngx_log_t *log,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* NULL: there is none of this name */
ngx_http_klaviyo_account_t *ngx_http_klaviyo_account_find(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_str_t *name);


#endif /* NGX_HTTP_KLAVIYO_ACCOUNT_H */
