/*
 * Private to capture/: what is known of one request, and the step from a
 * rule to an event.
 */


#ifndef NGX_HTTP_KLAVIYO_CONTEXT_H
#define NGX_HTTP_KLAVIYO_CONTEXT_H


#include "ngx_http_klaviyo_template.h"


#define NGX_HTTP_KLAVIYO_ID_LEN  36


/* each redirect inside nginx, of a request or a subrequest, takes one */
#define ngx_http_klaviyo_redirected(r)                                       \
    ((r)->uri_changes != NGX_HTTP_MAX_URI_CHANGES + 1)


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
    unsigned             wanted:1;   /* a value of the body, which is empty  */
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

/* 1: the client's method is GET or HEAD */
ngx_uint_t ngx_http_klaviyo_reads(ngx_http_request_t *r);

/*
 * The configuration of the events of a request: in the log phase that of the
 * rule in question, before it that of the first location that has rules.
 */
ngx_http_klaviyo_loc_conf_t *ngx_http_klaviyo_conf(ngx_http_request_t *r);


#endif /* NGX_HTTP_KLAVIYO_CONTEXT_H */
