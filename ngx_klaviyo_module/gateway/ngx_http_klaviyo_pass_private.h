/*
 * A request on its way through the gateway.  Private to this room.
 *
 *     _pass.c         the directive
 *     _pass_handler   the content handler: slots, tries, the way to the client
 *     _pass_call      what Klaviyo is asked
 *     _pass_answer    what Klaviyo says, while it comes
 *
 * The handlers of the transport only keep what they are given, and post
 * `wake`: everything else is done from there, from `timer`, and from the
 * client's events, where a request may end and its transfer be canceled.
 */


#ifndef NGX_HTTP_KLAVIYO_PASS_PRIVATE_H
#define NGX_HTTP_KLAVIYO_PASS_PRIVATE_H


#include "ngx_http_klaviyo_pass.h"
#include "delivery/ngx_http_klaviyo_report.h"
#include "delivery/ngx_http_klaviyo_transport.h"

#include "klaviyo_headers.h"
#include "klaviyo_path.h"


/* of an answer on its way: 4 of libcurl's largest pieces, 64 KB */
#define NGX_HTTP_KLAVIYO_PASS_BUFFERS  4
#define NGX_HTTP_KLAVIYO_PASS_BUFFER   16384


typedef struct ngx_http_klaviyo_pass_s  ngx_http_klaviyo_pass_t;


/* of a URI with variables: text, or one variable */

typedef struct {
    ngx_http_complex_value_t     value;
    klaviyo_path_kind_e          kind;
    unsigned                     encoded:1;  /* as a client wrote it         */
} ngx_http_klaviyo_pass_piece_t;


/* one klaviyo_pass */

struct ngx_http_klaviyo_pass_s {
    ngx_http_klaviyo_account_t  *account;    /* chosen by merging            */
    ngx_str_t                    name;       /* account=, empty: the default */
    ngx_http_complex_value_t    *uri;        /* NULL: the request's          */
    ngx_array_t                 *pieces;     /* of it, if it has variables   */
    size_t                       prefix;     /* what of it is the location's */

    u_char                      *conf_file;
    ngx_uint_t                   conf_line;
};


/* the requests of one account in this worker */

typedef struct {
    ngx_queue_t                    queue;
    ngx_http_klaviyo_account_t    *account;
    ngx_http_klaviyo_transport_t  *transport;
    ngx_http_klaviyo_report_t      report;
    ngx_uint_t                     active;   /* waiting ones too             */
} ngx_http_klaviyo_gate_t;


typedef struct {
    ngx_uint_t                   bit;        /* NGX_HTTP_GET, ...            */
    const char                  *name;
    unsigned                     idempotent:1;
    unsigned                     body:1;     /* is sent, though it be empty  */
} ngx_http_klaviyo_method_t;


/* an answer of Klaviyo's, in a pool of its own: there may be many tries */

typedef struct {
    ngx_pool_t                  *pool;
    ngx_uint_t                   status;     /* 0: its head is not complete  */
    ngx_array_t                  headers;    /* of ngx_keyval_t              */
    off_t                        length;     /* -1: not said                 */
    off_t                        received;   /* of the body                  */
    int64_t                      retry_after;  /* s, -1: not said            */
    ngx_chain_t                 *out;        /* of the body, not yet sent    */
    ngx_chain_t                **last;
    unsigned                     challenge:1;
} ngx_http_klaviyo_pass_answer_t;


/* see _pass_handler.c */

typedef enum {
    NGX_HTTP_KLAVIYO_PASS_BODY = 0,  /* the request's is being read          */
    NGX_HTTP_KLAVIYO_PASS_ASKING,    /* a try is under way, or was the last  */
    NGX_HTTP_KLAVIYO_PASS_PAUSING,   /* before another one                   */
    NGX_HTTP_KLAVIYO_PASS_PASSING    /* the answer goes to the client        */
} ngx_http_klaviyo_pass_stage_e;


/* how the last try ended */

typedef enum {
    NGX_HTTP_KLAVIYO_TRY_OPEN = 0,   /* not yet                              */
    NGX_HTTP_KLAVIYO_TRY_WHOLE,      /* with an answer                       */
    NGX_HTTP_KLAVIYO_TRY_BROKEN,     /* without a whole one                  */
    NGX_HTTP_KLAVIYO_TRY_LATE        /* the time is over: there is no other  */
} ngx_http_klaviyo_try_e;


typedef struct {
    ngx_http_request_t              *request;
    ngx_http_klaviyo_pass_stage_e    stage;
    ngx_http_klaviyo_try_e           tried;
    ngx_http_klaviyo_pass_t         *pass;
    ngx_http_klaviyo_gate_t         *gate;
    ngx_http_cleanup_pt             *cleanup;
    ngx_uint_t                       connections;
    ngx_msec_t                       timeout;
    ngx_msec_t                       deadline;   /* ngx_current_msec         */
    ngx_uint_t                       tries;

    ngx_http_klaviyo_method_t       *method;
    ngx_http_klaviyo_call_t          call;
    ngx_chain_t                     *body;       /* the request's, unsent    */
    off_t                            body_pos;   /* in the first buffer      */

    ngx_http_klaviyo_exchange_t     *exchange;   /* NULL: none is under way  */
    ngx_http_klaviyo_pass_answer_t  *answer;     /* of this try              */
    ngx_http_klaviyo_pass_answer_t  *kept;       /* of an earlier one        */

    ngx_chain_t                     *busy;
    ngx_chain_t                     *free;
    ngx_uint_t                       nbuffers;

    ngx_event_t                      wake;
    ngx_event_t                      timer;

    unsigned                         sent:1;     /* may have arrived         */
    unsigned                         paused:1;   /* by us: no room           */
    unsigned                         fresh:1;    /* something came           */
} ngx_http_klaviyo_pass_ctx_t;


#endif /* NGX_HTTP_KLAVIYO_PASS_PRIVATE_H */
