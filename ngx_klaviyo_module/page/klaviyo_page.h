/*
 * What a page says of itself: read while it passes, and told when it is over.
 *
 *     klaviyo_html.h ──▶ JSON-LD, microdata, meta tags, data layer, EverShop
 *                            │
 *                            ▼
 *                        facts: the type, and what it has of a product, an
 *                        order, a list of products, an article
 *
 * A product is this page's when its URL is, or when it names none and is the
 * first one.  JSON-LD goes before microdata, that before the data layer, that
 * before meta tags, which only add what is missing.
 *
 * Plain C; memory comes from the caller and is bounded by `size`.
 */


#ifndef KLAVIYO_PAGE_H
#define KLAVIYO_PAGE_H


#include "klaviyo_html.h"
#include "json/klaviyo_scan.h"


/* X(constant, name) */

#define KLAVIYO_PAGE_FACTS(X)                                                \
    X(TYPE,          "type")                                                 \
    X(TITLE,         "title")                                                \
    X(CANONICAL,     "canonical")                                            \
    X(URL,           "url")                                                  \
    X(NAME,          "name")                                                 \
    X(PRODUCT_ID,    "product_id")                                           \
    X(SKU,           "sku")                                                  \
    X(BRAND,         "brand")                                                \
    X(PRICE,         "price")                                                \
    X(LIST_PRICE,    "list_price")                                           \
    X(CURRENCY,      "currency")                                             \
    X(IMAGE,         "image")                                                \
    X(AVAILABILITY,  "availability")                                         \
    X(CATEGORIES,    "categories")                                           \
    X(RATING,        "rating")                                               \
    X(ORDER_ID,      "order_id")                                             \
    X(TOTAL,         "total")                                                \
    X(ITEMS,         "items")                                                \
    X(ITEM_NAMES,    "item_names")                                           \
    X(JSONLD,        "jsonld")


#define klaviyo_page_constant(constant, name)  KLAVIYO_PAGE_##constant,

typedef enum {
    KLAVIYO_PAGE_FACTS(klaviyo_page_constant)
    KLAVIYO_PAGE_N
} klaviyo_page_fact_e;

#undef klaviyo_page_constant


typedef struct klaviyo_page_s  klaviyo_page_t;


/* what is asked for, which lives as long as the page */

typedef struct {
    klaviyo_slice_t   scheme;
    klaviyo_slice_t   host;
    klaviyo_slice_t   uri;       /* the client's, with arguments            */
    klaviyo_charset_e charset;   /* of the answer, as its header says       */
} klaviyo_page_request_t;


/*
 * `want` is of KLAVIYO_HTML_…; `size` bounds the bytes that are kept.  NULL:
 * no memory.
 */
klaviyo_page_t *klaviyo_page_create(unsigned want, size_t size,
    const klaviyo_page_request_t *request, klaviyo_html_alloc_pt alloc,
    void *data);

/* the next bytes: 0; -1: no memory, and there will be no facts */
int klaviyo_page_feed(klaviyo_page_t *page, const uint8_t *p, size_t len);

/* the page is over, once; 0; -1: no memory */
int klaviyo_page_end(klaviyo_page_t *page);

/* a length of 0: the page does not say, or is not over */
const klaviyo_slice_t *klaviyo_page_fact(klaviyo_page_t *page,
    klaviyo_page_fact_e fact);

/* values that were left out, as they are in a charset that is not read */
size_t klaviyo_page_unreadable(const klaviyo_page_t *page);

/* blocks of JSON-LD, or an eContext, that are no JSON, or too many or long */
unsigned klaviyo_page_broken(const klaviyo_page_t *page);


#endif /* KLAVIYO_PAGE_H */
