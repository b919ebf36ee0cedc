/*
 * Private to page/: what was kept of a page, for those that read facts in it.
 */


#ifndef KLAVIYO_PAGE_PRIVATE_H
#define KLAVIYO_PAGE_PRIVATE_H


#include "klaviyo_microdata.h"
#include "klaviyo_page.h"
#include "klaviyo_page_url.h"


#define KLAVIYO_PAGE_BLOCKS          32   /* of JSON-LD                      */
#define KLAVIYO_PAGE_KEPT      1048576   /* bytes of a page, at most         */
#define KLAVIYO_PAGE_REFERRED  1048576   /* bytes gone through for what is
                                            referred to                      */
#define KLAVIYO_PAGE_CATEGORIES_MAX  32   /* of one list                     */
#define KLAVIYO_PAGE_PRODUCTS        8    /* that may be one                 */
#define KLAVIYO_PAGE_BREADCRUMBS     4    /* ways to the page                */
#define KLAVIYO_PAGE_ITEMS_MAX       1000 /* of an order                     */


/* meta tags: the first of a name counts; X(constant, name) */

#define KLAVIYO_PAGE_METAS(X)                                                \
    X(OG_TYPE,            "og:type")                                         \
    X(OG_TITLE,           "og:title")                                        \
    X(OG_IMAGE,           "og:image")                                        \
    X(OG_IMAGE_URL,       "og:image:url")                                    \
    X(OG_IMAGE_SECURE,    "og:image:secure_url")                             \
    X(OG_PRICE,           "og:price:amount")                                 \
    X(OG_CURRENCY,        "og:price:currency")                               \
    X(OG_BRAND,           "og:brand")                                        \
    X(OG_AVAILABILITY,    "og:availability")                                 \
    X(PRICE,              "product:price:amount")                            \
    X(PRICE_CURRENCY,     "product:price:currency")                          \
    X(SALE_PRICE,         "product:sale_price:amount")                       \
    X(SALE_CURRENCY,      "product:sale_price:currency")                     \
    X(ORIGINAL_PRICE,     "product:original_price:amount")                   \
    X(BRAND,              "product:brand")                                   \
    X(AVAILABILITY,       "product:availability")                            \
    X(CATEGORY,           "product:category")                                \
    X(ITEM_ID,            "product:retailer_item_id")                        \
    X(PART_NO,            "product:retailer_part_no")


#define klaviyo_page_meta_constant(constant, name)                           \
    KLAVIYO_PAGE_META_##constant,

typedef enum {
    KLAVIYO_PAGE_METAS(klaviyo_page_meta_constant)
    KLAVIYO_PAGE_META_N
} klaviyo_page_meta_e;

#undef klaviyo_page_meta_constant


/* what a push to the data layer tells of */

typedef enum {
    KLAVIYO_PAGE_PUSH_PRODUCT = 0,
    KLAVIYO_PAGE_PUSH_ORDER,
    KLAVIYO_PAGE_PUSH_CHECKOUT,
    KLAVIYO_PAGE_PUSH_CATEGORY,
    KLAVIYO_PAGE_PUSH_SEARCH,
    KLAVIYO_PAGE_PUSH_N
} klaviyo_page_push_e;


/* one that may be this page's */

typedef struct {
    klaviyo_slice_t           value;
    int                       score;      /* of its URLs                     */
} klaviyo_page_product_t;


/* nodes of linked data, the first of each kind; a length of 0: none */

typedef struct {
    klaviyo_slice_t           product;    /* the one that fits best          */
    int                       score;      /* of the product                  */
    unsigned                  unnamed;    /* products without a URL          */
    klaviyo_slice_t           titled;     /* one of them that has the page's
                                             title for a name                */
    unsigned                  ntitled;
    unsigned                  less;       /* whose URL has more arguments
                                             than the page's, no variants    */
    klaviyo_page_product_t    others[KLAVIYO_PAGE_PRODUCTS];
    size_t                    n;          /* of them, the product with them  */
    klaviyo_slice_t           order;
    klaviyo_slice_t           breadcrumb[KLAVIYO_PAGE_BREADCRUMBS];
    size_t                    nbreadcrumbs;
    klaviyo_slice_t           category;
    klaviyo_slice_t           article;
    unsigned                  list:1;     /* an ItemList, at least           */
    unsigned                  collection:1;
    unsigned                  search:1;
    unsigned                  checkout:1;
} klaviyo_page_nodes_t;


struct klaviyo_page_s {
    klaviyo_jsonld_pool_t     pool;
    klaviyo_html_t           *html;
    unsigned                  want;
    size_t                    size;
    size_t                    kept;       /* bytes of blocks and pushes      */

    klaviyo_page_request_t    request;
    klaviyo_page_url_t        url;        /* the request's                   */
    klaviyo_page_url_t        canonical;

    klaviyo_microdata_t       micro;
    klaviyo_slice_t           microdata;  /* as JSON                         */
    klaviyo_slice_t           econtext;   /* as JSON-LD                      */
    klaviyo_slice_t           block[KLAVIYO_PAGE_BLOCKS];
    size_t                    nblocks;
    klaviyo_slice_t           meta[KLAVIYO_PAGE_META_N];
    klaviyo_slice_t           push[KLAVIYO_PAGE_PUSH_N];

    klaviyo_slice_t           fact[KLAVIYO_PAGE_N];

    size_t                    referred;   /* bytes gone through for that     */
    unsigned                  broken;
    unsigned                  ended:1;
};


#endif /* KLAVIYO_PAGE_PRIVATE_H */
