/*
 * What is kept of an answer while libcurl hands it over, piece by piece.
 *
 * For the transport only.
 */


#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H


#include <ngx_config.h>
#include <ngx_core.h>

#include <curl/curl.h>

#include "klaviyo_reply.h"


typedef struct {
    CURL              *easy;
    ngx_log_t         *log;

    klaviyo_answer_t   answer;    /* `status` 0 until its head is complete   */
    u_char            *body;
    size_t             size;      /* of the buffer, bytes                    */
    size_t             received;  /* of the body, kept or not, bytes         */
    char               error[CURL_ERROR_SIZE];
} ngx_http_klaviyo_transport_answer_t;


/* sets the options of `easy` that lead its answer here */
ngx_int_t ngx_http_klaviyo_transport_answer_init(
    ngx_http_klaviyo_transport_answer_t *ctx, CURL *easy, ngx_log_t *log);

/* the transfer ended with `rc`; what is returned lives until free */
klaviyo_answer_t *ngx_http_klaviyo_transport_answer_done(
    ngx_http_klaviyo_transport_answer_t *ctx, CURLcode rc);

void ngx_http_klaviyo_transport_answer_free(
    ngx_http_klaviyo_transport_answer_t *ctx);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H */
