/*
 * Private to page/: an answer that is being read, or was.
 */


#ifndef NGX_HTTP_KLAVIYO_PAGE_PRIVATE_H
#define NGX_HTTP_KLAVIYO_PAGE_PRIVATE_H


#include "ngx_http_klaviyo_page.h"
#include "klaviyo_page.h"
#include "capture/ngx_http_klaviyo_context.h"


/* klaviyo_page in one location */

typedef struct ngx_http_klaviyo_page_s {
    ngx_uint_t            want;        /* KLAVIYO_HTML_...                   */
    size_t                size;        /* bytes of a page                    */
} ngx_http_klaviyo_page_t;


struct ngx_http_klaviyo_answer_s {
    ngx_http_request_t   *request;
    klaviyo_ring_t       *ring;        /* the account's of the first rule    */
    klaviyo_page_t       *page;        /* NULL: it is JSON, or left alone    */
    struct z_stream_s    *zstream;     /* NULL: it is not compressed         */

    ngx_str_t             body;        /* of JSON                            */
    size_t                allocated;   /* bytes for it                       */

    size_t                size;        /* that are read at most              */
    size_t                seen;        /* bytes, inflated                    */

    unsigned              json:1;
    unsigned              begun:1;     /* the first bytes have come          */
    unsigned              over:1;      /* the last ones have                 */
    unsigned              bare:1;      /* it may be without zlib's header    */
    unsigned              inflated:1;  /* all that is compressed             */
    unsigned              ended:1;     /* the page's facts are there         */
};


#endif /* NGX_HTTP_KLAVIYO_PAGE_PRIVATE_H */
