/*
 * What ngx_http_klaviyo_module and ngx_http_klaviyo_fleet_module know of each
 * other.  Neither needs a symbol of the other: nginx loads them in any order.
 * The main configuration of the former begins with the hook; the latter finds
 * it by the module's name, looks whether `abi` and `version` are its own, and
 * puts its operations there, before any directive is read.
 *
 * An account that shares its limits asks the fleet for each request to
 * Klaviyo, and Klaviyo is never asked meanwhile.  While the fleet is away,
 * hosts take turns by the clock, see klaviyo_slot.h.
 *
 * One that shares its queue calls the operations of a script there, see
 * klaviyo_fleet_queue_script.h.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_H
#define NGX_HTTP_KLAVIYO_FLEET_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* changes with every change of this file, or of what it includes */
#define NGX_HTTP_KLAVIYO_FLEET_ABI    4

#define NGX_HTTP_KLAVIYO_FLEET_ASKED  -1     /* when it is known, `wake` is
                                                posted                       */
#define NGX_HTTP_KLAVIYO_FLEET_AWAY   -2     /* it cannot be asked           */

#define NGX_HTTP_KLAVIYO_FLEET_UUID   32     /* hexadecimal digits           */

/* a queue's name in the fleet: that of its host, a colon, these digits */
#define NGX_HTTP_KLAVIYO_FLEET_HOST   (64 + 1 + NGX_HTTP_KLAVIYO_FLEET_UUID)

#define NGX_HTTP_KLAVIYO_FLEET_HOSTS  40     /* that are listed              */


struct klaviyo_limiter_s;
struct ngx_http_klaviyo_job_s;
struct ngx_http_klaviyo_setting_s;


/* how a turn is asked for: as in klaviyo_fleet_turn.h */

#define NGX_HTTP_KLAVIYO_FLEET_LOOK   0
#define NGX_HTTP_KLAVIYO_FLEET_TAKE   1      /* and it goes now, if it may   */
#define NGX_HTTP_KLAVIYO_FLEET_NEAR   2      /* or goes another way if that
                                                takes two seconds            */


/* where a host stands among those of its fleet; remembered by the ring */

typedef struct {
    uint32_t                               hosts;  /* 0: not known yet       */
    uint32_t                               rank;   /* of it, 0 to hosts - 1  */
    int64_t                                clock;  /* ms, the fleet's before
                                                      CLOCK_BOOTTIME         */
    int64_t                                alone;  /* when it sent by itself
                                                      first and did not tell
                                                      yet; 0: it did         */
    char                                   id[24]; /* of what the fleet knew */
} ngx_http_klaviyo_fleet_place_t;


/* a host that added to the shared queue */

typedef struct {
    u_char                                 name[NGX_HTTP_KLAVIYO_FLEET_HOST];
    size_t                                 len;
    uint64_t                               age;    /* s, not heard of  */
    uint64_t                               left;   /* events of it that wait */
} ngx_http_klaviyo_fleet_host_t;


/* figures, for the status: of the deliverer, in shared memory */

typedef struct {
    uint64_t                               connected;  /* 0 or 1             */
    uint64_t                               hosts;
    uint64_t                               silent;     /* of these           */
    uint64_t                               asked;      /* so far             */
    uint64_t                               granted;
    uint64_t                               by_itself;  /* requests while the
                                                          fleet was away     */
    uint64_t                               errors;     /* connections lost,
                                                          or not had         */

    /* of the shared queue, as the fleet told last */
    uint64_t                               bytes;
    uint64_t                               accepted;   /* events so far      */
    uint64_t                               delivered;  /* of these           */
    uint64_t                               dead;
    uint64_t                               queued;     /* of these, now      */
    uint64_t                               given_back; /* of damaged packs,
                                                          to their hosts     */
    uint64_t                               letters_dropped;
    uint64_t                               full;       /* packs that it had
                                                          no room for        */
    uint64_t                               leads;      /* 0 or 1: this host
                                                          delivers for all   */
    ngx_uint_t                             nlist;
    ngx_http_klaviyo_fleet_host_t          list[NGX_HTTP_KLAVIYO_FLEET_HOSTS];
} ngx_http_klaviyo_fleet_figures_t;


/* operations on the shared queue */

#define NGX_HTTP_KLAVIYO_FLEET_OPS(X)                                        \
    X(ADD, "add") X(HELLO, "hello") X(LEASE, "lease") X(RELEASE, "release")  \
    X(PULL, "pull") X(SETTLE, "settle") X(REFUSE, "refuse")                  \
    X(LIST, "hosts")

#define ngx_http_klaviyo_fleet_op(constant, name)                            \
    NGX_HTTP_KLAVIYO_FLEET_##constant,

typedef enum {
    NGX_HTTP_KLAVIYO_FLEET_OPS(ngx_http_klaviyo_fleet_op)
    NGX_HTTP_KLAVIYO_FLEET_OPS_N
} ngx_http_klaviyo_fleet_op_e;

#undef ngx_http_klaviyo_fleet_op


/* an argument or an element of an answer */

typedef struct {
    ngx_str_t                              text;   /* NULL: a number         */
    int64_t                                number;
} ngx_http_klaviyo_fleet_value_t;


/* one end of the shared queue; handlers are not called from within a call */

typedef struct {
    ngx_str_t                              name;   /* of what is shared      */
    ngx_str_t                              lane;
    ngx_str_t                             *account;   /* for logs            */
    ngx_log_t                             *log;
    void                                  *data;

    /* connected: calls are taken */
    void                                 (*ready)(void *data);

    /* of a call, in their order */
    void                                 (*answer)(void *data,
                                               ngx_http_klaviyo_fleet_op_e op,
                                               const
                                               ngx_http_klaviyo_fleet_value_t
                                               *value, ngx_uint_t n);

    /* calls without an answer have none, whether they were done or not */
    void                                 (*lost)(void *data);
} ngx_http_klaviyo_fleet_queue_t;


/* of an account's lane, in the worker that delivers it */

typedef struct {
    ngx_str_t                              name;   /* of what is shared      */
    ngx_str_t                              lane;
    ngx_str_t                             *account;   /* for logs            */
    u_char                                 uuid[NGX_HTTP_KLAVIYO_FLEET_UUID];
    unsigned                               share;  /* per cent               */
    unsigned                               limit[2];  /* requests in a minute,
                                                         by class            */
    const struct klaviyo_limiter_s        *limiter;   /* what this host sent */
    ngx_http_klaviyo_fleet_place_t        *place;  /* as remembered; the
                                                      fleet keeps it         */
    ngx_http_klaviyo_fleet_figures_t      *figures;
    ngx_event_t                           *wake;
    ngx_log_t                             *log;
} ngx_http_klaviyo_fleet_lane_t;


typedef struct {
    ngx_uint_t             abi;
    const char            *version;

    /* the block klaviyo_fleet of this name; NULL: there is none */
    void                *(*find)(ngx_cycle_t *cycle, ngx_str_t *name);

    /* NULL: no memory.  `lane` stays where it is until the close */
    void                *(*open)(void *fleet,
                                 ngx_http_klaviyo_fleet_lane_t *lane);
    void                 (*close)(void *limits);

    /*
     * Milliseconds until a request of this class may go, 0: now, ASKED or
     * AWAY
     */
    int64_t              (*turn)(void *limits, unsigned class, ngx_uint_t how,
                                 int64_t now);

    /* what klaviyo_limiter_correct() takes, and a pause for all, in ms */
    void                 (*correct)(void *limits, unsigned class,
                                    int64_t remaining, int64_t reset);
    void                 (*pause)(void *limits, int64_t ms);

    /* until when others have paused, ms of CLOCK_BOOTTIME */
    int64_t              (*paused)(void *limits);

    /* NULL: no memory.  `queue` stays where it is until the close */
    void                *(*queue_open)(void *fleet,
                                       ngx_http_klaviyo_fleet_queue_t *queue);
    void                 (*queue_close)(void *queue);

    /* NGX_OK: answer() or lost() comes; NGX_BUSY: it is not ready */
    ngx_int_t            (*queue_call)(void *queue,
                                       ngx_http_klaviyo_fleet_op_e op,
                                       const ngx_http_klaviyo_fleet_value_t
                                       *value, ngx_uint_t n);
} ngx_http_klaviyo_fleet_ops_t;


typedef struct {
    ngx_uint_t                             abi;
    const char                            *version;
    const ngx_http_klaviyo_fleet_ops_t    *ops;    /* NULL: not loaded       */

    /* ngx_http_klaviyo_job_post() */
    ngx_int_t                            (*job)(struct
                                                ngx_http_klaviyo_job_s *job,
                                                ngx_log_t *log);

    /* ngx_http_klaviyo_secret_read(), ngx_http_klaviyo_secret_keep() */
    ngx_int_t                            (*secret_read)(ngx_conf_t *cf,
                                                ngx_str_t *path,
                                                const char *directive,
                                                const char *kind,
                                                const char *holds, u_char *buf,
                                                ngx_str_t *secret);
    ngx_int_t                            (*secret_keep)(ngx_conf_t *cf,
                                                ngx_str_t *prefix,
                                                ngx_str_t *secret,
                                                ngx_str_t *kept);

    /* ngx_http_klaviyo_settings() */
    char                                *(*settings)(ngx_conf_t *cf,
                                                const char *block,
                                                struct
                                                ngx_http_klaviyo_setting_s
                                                *settings, void *conf);
} ngx_http_klaviyo_fleet_hook_t;


#endif /* NGX_HTTP_KLAVIYO_FLEET_H */
