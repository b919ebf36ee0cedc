/*
 * Which page a URL in a page means: this one, or another.
 *
 * Plain C, no allocation.  Slices point into the text they were found in.
 */


#ifndef KLAVIYO_PAGE_URL_H
#define KLAVIYO_PAGE_URL_H


#include "json/klaviyo_scan.h"


typedef struct {
    klaviyo_slice_t   scheme;    /* without the colon; empty: none          */
    klaviyo_slice_t   host;      /* with its port; empty: none              */
    klaviyo_slice_t   path;
    klaviyo_slice_t   args;      /* behind "?"                              */
    unsigned          fragment:1;   /* there is one                         */
} klaviyo_page_url_t;


typedef enum {
    KLAVIYO_PAGE_URL_OTHER = 0,  /* another page                            */
    KLAVIYO_PAGE_URL_PATH,       /* the path is the same, the host is not   */
    KLAVIYO_PAGE_URL_LESS,       /* it has arguments that the page has not  */
    KLAVIYO_PAGE_URL_SAME        /* and one more for each argument it has   */
} klaviyo_page_url_e;


void klaviyo_page_url_parse(klaviyo_page_url_t *url, const uint8_t *p,
    size_t len);

/* 1: there is neither a host nor a path, as in "#product" */
int klaviyo_page_url_is_empty(const klaviyo_page_url_t *url);

/*
 * Is the URL that of the page?  "www." and the port of the host, the slash at
 * the end of the path, the way that bytes are encoded and the order of the
 * arguments make no difference.  The more arguments it shares with the page,
 * the better it fits: "/lamp?variant=2" is nearer than "/lamp".
 */
int klaviyo_page_url_compare(const klaviyo_page_url_t *url,
    const klaviyo_page_url_t *page);


#endif /* KLAVIYO_PAGE_URL_H */
