/*
 * Private to capture/: what is known of one request, and the step from a
 * rule to an event.
 */


#ifndef NGX_HTTP_KLAVIYO_CONTEXT_H
#define NGX_HTTP_KLAVIYO_CONTEXT_H


#include "ngx_http_klaviyo_template.h"


#define NGX_HTTP_KLAVIYO_ID_LEN  36


typedef struct ngx_http_klaviyo_claims_s  ngx_http_klaviyo_claims_t;


typedef struct ngx_http_klaviyo_enrichment_s  ngx_http_klaviyo_enrichment_t;


typedef struct ngx_http_klaviyo_source_state_s
    ngx_http_klaviyo_source_state_t;


typedef struct ngx_http_klaviyo_answer_s  ngx_http_klaviyo_answer_t;


typedef struct {
    ngx_http_request_t  *request;

    ngx_http_klaviyo_loc_conf_t
                        *first;      /* of the location that the URI chose
                                        first; NULL: it has no rules         */
    ngx_http_core_loc_conf_t
                        *first_location;
    ngx_str_t            first_uri;
    ngx_http_klaviyo_loc_conf_t
                        *passed;     /* the last with rules of its own that a
                                        redirect led to; or NULL             */
    ngx_http_klaviyo_loc_conf_t
                        *between;    /* one before that; or NULL             */
    ngx_http_klaviyo_loc_conf_t
                        *conf;       /* of the rule in question; or NULL     */

    ngx_str_t            id;         /* of the first event; empty: not yet   */
    ngx_uint_t           captured;
    ngx_uint_t           held;       /* events that wait for their visitor   */
    ngx_str_t            wait;       /* the key of the one just written      */
    const char          *reason;     /* why the first rule gave no event     */

    ngx_http_klaviyo_claims_t
                        *claims;     /* of identity, see _identity.h         */

    uint64_t             number;     /* among all contexts of this worker    */

    ngx_str_t            deflate;    /* compressed text, and                 */
    ngx_str_t            inflate;    /* what became of it                    */

    ngx_str_t           *unread;     /* a source that klaviyo_json could not
                                        read, in the configuration; or NULL  */
    klaviyo_counter_e    claim;      /* why a source of identity could not be
                                        read; 0: none                        */

    void                *judge;      /* the location that set `skip`         */
    ngx_uint_t           skip;       /* why no event may be captured         */

    ngx_array_t         *named;      /* ngx_str_t, of the answer: values of
                                        klaviyo_response_header; or NULL     */
    ngx_http_klaviyo_enrichment_t
                        *enrichment; /* of klaviyo_enrich; or NULL           */
    ngx_http_klaviyo_source_state_t
                        *sources;    /* of klaviyo_json; NULL: not yet       */
    ngx_http_klaviyo_answer_t
                        *answer;     /* of klaviyo_page and
                                        klaviyo_response_body; or NULL       */

    u_char               minted[NGX_HTTP_KLAVIYO_ID_LEN];
    unsigned             judged:1;   /* the consent too                      */
    unsigned             told:1;     /* the minted id was handed out         */
    unsigned             asking:1;   /* unique_id is being evaluated         */
    unsigned             logged:1;   /* the rules have been gone through     */
    unsigned             refused:1;  /* klaviyo_prefetch answered 503        */
    unsigned             large:1;    /* klaviyo_request_body left it unread  */
    unsigned             repair:1;   /* JSON that was read is repaired       */
    unsigned             deflated:1; /* a body that could not be inflated    */
    unsigned             unread_form:1;  /* it is one of klaviyo_form        */
    unsigned             unread_told:1;  /* and counted                      */
} ngx_http_klaviyo_ctx_t;


/*
 * The context of a request, which outlives internal redirects.  NULL: no
 * memory or, without `create`, not there.
 */
ngx_http_klaviyo_ctx_t *ngx_http_klaviyo_context(ngx_http_request_t *r,
    ngx_uint_t create);

/*
 * The unique_id of a rule's event: what was told of it, else the rule's own
 * one, else a new one.  *bad is set when the rule's own one is none.
 */
ngx_int_t ngx_http_klaviyo_unique_id(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_template_t *template,
    ngx_str_t *id, ngx_uint_t *bad);

/* the account of a rule's events; NULL: its variable names none */
ngx_http_klaviyo_account_t *ngx_http_klaviyo_rule_account(
    ngx_http_request_t *r, ngx_http_klaviyo_rule_t *rule);

/* the same rule with the account chosen; NULL, counted: there is none */
ngx_http_klaviyo_rule_t *ngx_http_klaviyo_capture_choose(
    ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, ngx_http_klaviyo_rule_t *own);

/* 0: this location's events are of verified webhooks, and it is none */
ngx_uint_t ngx_http_klaviyo_capture_signed(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *conf);

/* NGX_OK and the event of a rule, good until the next call; or NGX_DECLINED */
ngx_int_t ngx_http_klaviyo_capture_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason);

/* captures the event of a rule: NULL, or why there is none, and counts it */
const char *ngx_http_klaviyo_capture_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/* NGX_OK, or NGX_DECLINED and the reason: the rule fires nothing now */
ngx_int_t ngx_http_klaviyo_capture_wanted(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_counter_e *reason);

/* an identifier like no other, NGX_HTTP_KLAVIYO_ID_LEN bytes */
ngx_int_t ngx_http_klaviyo_mint(u_char *id);

/* why a ring did not take an event, which it or this function counts */
const char *ngx_http_klaviyo_capture_refused(
    ngx_http_klaviyo_account_t *account, klaviyo_ring_rc_e rc);

/*
 * 1: the status of the answer is one of these.  NULL: 2xx and 304 for GET and
 * HEAD, a redirect is no view; 2xx and 3xx for what acts.
 */
ngx_uint_t ngx_http_klaviyo_capture_status(ngx_http_request_t *r,
    ngx_array_t *statuses);

/* 1: the client's method is GET or HEAD */
ngx_uint_t ngx_http_klaviyo_capture_reads(ngx_http_request_t *r);

/* 1: klaviyo_request_body is on here, and the body is not in memory */
ngx_uint_t ngx_http_klaviyo_body_missing(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx);

/* the counter of the source that could not be read, ctx->unread */
klaviyo_counter_e ngx_http_klaviyo_body_source(ngx_http_klaviyo_ctx_t *ctx);

/* counts, and says once a minute, what of the request could not be read */
void ngx_http_klaviyo_body_unread(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_ring_t *ring);

/*
 * Writes the event of a rule: NGX_OK, or NGX_DECLINED with the reason.  What
 * is left out on the way is counted.  The event is good until the next call.
 */
ngx_int_t ngx_http_klaviyo_render(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason);


#endif /* NGX_HTTP_KLAVIYO_CONTEXT_H */
