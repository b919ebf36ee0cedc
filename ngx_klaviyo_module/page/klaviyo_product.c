/*
 * The facts of a product: of its node, of the variant that the page shows, of
 * the offer that the page makes; and of the meta tags.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_product.h"
#include "klaviyo_breadcrumb.h"
#include "klaviyo_page_facts.h"


#define KLAVIYO_PRODUCT_OFFERS  200      /* that are looked at               */
#define KLAVIYO_PRODUCT_DEPTH   1        /* of offers in offers, in variants */


/* an offer, and the price that it is compared with */

typedef struct {
    klaviyo_slice_t   price;
    klaviyo_slice_t   list;
    klaviyo_slice_t   measure;           /* of a quantity, as of 100 g       */
    klaviyo_slice_t   currency;
    klaviyo_slice_t   availability;
    klaviyo_slice_t   sku;
    int               score;             /* of its URL; -1: none             */
    unsigned          inner:1;           /* the availability is of one in it */
} klaviyo_product_offer_t;


static void klaviyo_product_urls(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, const char *name, int *score,
    int *named);
static void klaviyo_product_inner_urls(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, size_t depth, int *score, int *named);
static int klaviyo_product_variant(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_jsonld_node_t *variant);
static int klaviyo_product_group(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_jsonld_node_t *group);
static void klaviyo_product_offers(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_product_offer_t *best,
    size_t *left, int depth);
static int klaviyo_product_offer(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_product_offer_t *offer);
static int klaviyo_product_in_stock(const klaviyo_slice_t *availability);
static void klaviyo_product_specification(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_product_offer_t *offer);
static klaviyo_slice_t klaviyo_product_digits(const klaviyo_slice_t *amount);
static void klaviyo_product_price(klaviyo_page_t *page,
    const klaviyo_product_offer_t *offer);
static void klaviyo_product_text(klaviyo_page_t *page,
    klaviyo_page_fact_e fact, const klaviyo_jsonld_node_t **nodes,
    const char *name, const char *const *inner);
static void klaviyo_product_availability(klaviyo_page_t *page,
    klaviyo_slice_t *text);


static const char  *klaviyo_product_types[] = {
    "Product", "ProductGroup", "IndividualProduct", "SomeProducts",
    "ProductModel", "Vehicle", "Car"
};

static const char  *klaviyo_product_names[] = { "name", NULL };
static const char  *klaviyo_product_ids[] = { NULL };
static const char  *klaviyo_product_values[] = { "value", "name", NULL };


static int
klaviyo_product_is(const klaviyo_jsonld_node_t *node)
{
    size_t  i, n;

    n = sizeof(klaviyo_product_types) / sizeof(klaviyo_product_types[0]);

    for (i = 0; i < n; i++) {
        if (klaviyo_jsonld_is(node, klaviyo_product_types[i])) {
            return 1;
        }
    }

    return 0;
}


/* of the URLs that a product has, the best; of one that has none, 1 */

int
klaviyo_page_product_score(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, int *score, int *named)
{
    if (!klaviyo_product_is(node)) {
        return 0;
    }

    *score = KLAVIYO_PAGE_URL_OTHER;
    *named = 0;

    klaviyo_product_urls(page, node, "url", score, named);
    klaviyo_product_urls(page, node, "@id", score, named);
    klaviyo_product_urls(page, node, "mainEntityOfPage", score, named);
    klaviyo_product_inner_urls(page, node, KLAVIYO_PRODUCT_DEPTH, score,
                               named);

    if (!*named) {
        *score = 1;
    }

    return 1;
}


/* those of its offers and variants, and of the offers of these */

static void
klaviyo_product_inner_urls(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, size_t depth, int *score, int *named)
{
    size_t                  i;
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   inner;

    static const char  *lists[] = { "offers", "hasVariant" };

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {

        klaviyo_jsonld_each(&each, node, lists[i]);

        while (klaviyo_jsonld_next(&each, &value)) {

            if (!klaviyo_jsonld_open(&inner, &value)) {
                continue;
            }

            klaviyo_product_urls(page, &inner, "url", score, named);

            if (depth) {
                klaviyo_product_inner_urls(page, &inner, depth - 1, score,
                                           named);
            }
        }
    }
}


/*
 * An id that names no page: "_:b0", "product-1", and, where it has a fragment,
 * "https://shop.example/#product"
 */

static int
klaviyo_product_is_name(const klaviyo_page_url_t *url)
{
    if (url->host.len == 0
        && (url->path.len == 0 || url->path.data[0] != '/'))
    {
        return 1;
    }

    return url->fragment && url->args.len == 0 && url->path.len < 2;
}


static void
klaviyo_product_urls(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    const char *name, int *score, int *named)
{
    int                     is;
    klaviyo_slice_t         text, value;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   inner;
    klaviyo_page_url_t      url;

    klaviyo_jsonld_each(&each, node, name);

    while (klaviyo_jsonld_next(&each, &value)) {

        if (!klaviyo_jsonld_text(&page->pool, &value, &text)
            && (!klaviyo_jsonld_open(&inner, &value)
                || !klaviyo_jsonld_get(&page->pool, &inner, "@id", &text)))
        {
            continue;
        }

        klaviyo_page_url_parse(&url, text.data, text.len);

        if (klaviyo_page_url_is_empty(&url)
            || (name[0] == '@' && klaviyo_product_is_name(&url)))
        {
            continue;
        }

        *named = 1;

        is = klaviyo_page_is_url(page, &text);

        if (is > *score) {
            *score = is;
        }
    }
}


void
klaviyo_page_product(klaviyo_page_t *page, const klaviyo_slice_t *value)
{
    int                           same;
    size_t                        i, n, left;
    klaviyo_slice_t               text;
    klaviyo_jsonld_each_t         each;
    klaviyo_jsonld_node_t         node, variant, group, rating;
    klaviyo_product_offer_t       offer;
    const klaviyo_jsonld_node_t  *nodes[4], *priced[3];

    static const char  *ids[] = { "productID", "identifier",
                                  "productGroupID", "inProductGroupWithID" };

    klaviyo_jsonld_open(&node, value);

    same = klaviyo_product_variant(page, &node, &variant);

    /* what is said of the variant that the page shows goes first */

    n = 0;

    if (same == 1) {
        nodes[n++] = &variant;
    }

    nodes[n++] = &node;

    if (same == 0) {
        nodes[n++] = &variant;
    }

    if (klaviyo_product_group(page, &node, &group)) {
        nodes[n++] = &group;
    }

    nodes[n] = NULL;

    priced[0] = same == -1 ? &node : &variant;
    priced[1] = same == -1 ? NULL : &node;
    priced[2] = NULL;

    klaviyo_product_text(page, KLAVIYO_PAGE_NAME, nodes, "name",
                         klaviyo_product_names);
    klaviyo_product_text(page, KLAVIYO_PAGE_SKU, nodes, "sku",
                         klaviyo_product_values);
    klaviyo_product_text(page, KLAVIYO_PAGE_BRAND, nodes, "brand",
                         klaviyo_product_names);

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        klaviyo_product_text(page, KLAVIYO_PAGE_PRODUCT_ID, nodes, ids[i],
                             klaviyo_product_values);
    }

    for (i = 0; nodes[i]; i++) {

        klaviyo_page_image(page, nodes[i]);

        klaviyo_jsonld_each(&each, nodes[i], "aggregateRating");

        while (klaviyo_jsonld_next(&each, &text)) {
            if (klaviyo_page_open(page, &text, &rating)
                && klaviyo_jsonld_get(&page->pool, &rating, "ratingValue",
                                      &text))
            {
                klaviyo_page_set(page, KLAVIYO_PAGE_RATING, &text);
            }
        }

        klaviyo_page_categories(page, nodes[i]);
    }

    left = KLAVIYO_PRODUCT_OFFERS;

    for (i = 0; priced[i] && page->fact[KLAVIYO_PAGE_PRICE].len == 0; i++) {

        memset(&offer, 0, sizeof(klaviyo_product_offer_t));
        offer.score = -1;

        klaviyo_product_offers(page, priced[i], &offer, &left, 0);
        klaviyo_product_price(page, &offer);
    }
}


/*
 * 1: the variant whose URL is the page's, or fits it best; 0: another, the
 * first one; -1: there is none.
 */

static int
klaviyo_product_variant(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_jsonld_node_t *variant)
{
    int                     score, named, found, best;
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   inner;

    found = -1;
    best = KLAVIYO_PAGE_URL_SAME - 1;

    klaviyo_jsonld_each(&each, node, "hasVariant");

    while (klaviyo_jsonld_next(&each, &value)) {

        if (!klaviyo_page_open(page, &value, &inner)) {
            continue;
        }

        if (klaviyo_page_product_score(page, &inner, &score, &named)
            && named && score > best)
        {
            *variant = inner;
            best = score;
            found = 1;
        }

        if (found == -1) {
            *variant = inner;
            found = 0;
        }
    }

    return found;
}


/* 1: the product that this one is a variant of */

static int
klaviyo_product_group(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_jsonld_node_t *group)
{
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;

    klaviyo_jsonld_each(&each, node, "isVariantOf");

    while (klaviyo_jsonld_next(&each, &value)) {
        if (klaviyo_page_open(page, &value, group)) {
            return 1;
        }
    }

    return 0;
}


/* 1: both have the property, and it is the same */

static int
klaviyo_product_agree(klaviyo_page_t *page, const klaviyo_jsonld_node_t *one,
    const char *name, const klaviyo_jsonld_node_t *two, const char *other)
{
    klaviyo_slice_t  a, b;

    return klaviyo_page_get(page, one, name, klaviyo_product_ids, &a)
           && klaviyo_page_get(page, two, other, klaviyo_product_ids, &b)
           && a.len == b.len
           && memcmp(a.data, b.data, a.len) == 0;
}


int
klaviyo_page_product_is_same(klaviyo_page_t *page,
    const klaviyo_slice_t *product, int score, const klaviyo_slice_t *other,
    int other_score)
{
    klaviyo_slice_t         text;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node, more, group;

    klaviyo_jsonld_open(&node, product);
    klaviyo_jsonld_open(&more, other);

    if (klaviyo_product_agree(page, &node, "productGroupID", &more,
                              "inProductGroupWithID"))
    {
        return 1;
    }

    klaviyo_jsonld_each(&each, &more, "isVariantOf");

    if (klaviyo_jsonld_next(&each, &text)
        && klaviyo_jsonld_open(&group, &text)
        && klaviyo_product_agree(page, &node, "@id", &group, "@id"))
    {
        return 1;
    }

    /* one that is nearer to the page is not told by one that is not */

    if (score >= KLAVIYO_PAGE_URL_SAME && other_score < KLAVIYO_PAGE_URL_SAME)
    {
        return 0;
    }

    return klaviyo_product_agree(page, &node, "@id", &more, "@id")
           || klaviyo_product_agree(page, &node, "name", &more, "name")
           || (score >= KLAVIYO_PAGE_URL_SAME
               && !klaviyo_jsonld_get(&page->pool, &node, "name", &text));
}


/*
 * The first of those whose URL fits best, or that of them which is in stock;
 * what it leaves out, others say.
 */

static void
klaviyo_product_offers(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_product_offer_t *best,
    size_t *left, int depth)
{
    int                      named, priced, stock;
    klaviyo_slice_t          value;
    klaviyo_jsonld_each_t    each;
    klaviyo_jsonld_node_t    inner;
    klaviyo_product_offer_t  offer;

    klaviyo_jsonld_each(&each, node, "offers");

    while (klaviyo_jsonld_next(&each, &value) && *left) {

        (*left)--;

        if (!klaviyo_page_open(page, &value, &inner)) {
            continue;
        }

        memset(&offer, 0, sizeof(klaviyo_product_offer_t));
        named = 0;

        klaviyo_product_urls(page, &inner, "url", &offer.score, &named);

        if (offer.score < KLAVIYO_PAGE_URL_SAME) {
            offer.score = 0;
        }

        priced = klaviyo_product_offer(page, &inner, &offer);

        if (offer.currency.len == 0) {
            offer.currency = best->currency;

        } else if (best->currency.len == 0) {
            best->currency = offer.currency;
        }

        stock = klaviyo_product_in_stock(&offer.availability)
                && best->availability.len
                && !klaviyo_product_in_stock(&best->availability);

        if (priced
            && (offer.score > best->score
                || (offer.score == best->score && depth == 0 && stock)))
        {
            *best = offer;

        } else if ((best->availability.len == 0
                    && (depth || best->price.len == 0))
                   || (depth && best->inner && stock))
        {
            best->availability = offer.availability;
            best->inner = depth;
        }

        if (depth == 0) {                   /* those of an AggregateOffer */
            klaviyo_product_offers(page, &inner, best, left, 1);
        }
    }
}


/* 1: it has a price */

static int
klaviyo_product_offer(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    klaviyo_product_offer_t *offer)
{
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   inner;

    (void) klaviyo_jsonld_get(&page->pool, node, "price", &offer->price);
    (void) klaviyo_jsonld_get(&page->pool, node, "priceCurrency",
                              &offer->currency);
    (void) klaviyo_jsonld_get(&page->pool, node, "availability",
                              &offer->availability);
    (void) klaviyo_jsonld_get(&page->pool, node, "sku", &offer->sku);

    klaviyo_jsonld_each(&each, node, "priceSpecification");

    while (klaviyo_jsonld_next(&each, &value)) {

        if (klaviyo_page_open(page, &value, &inner)) {
            klaviyo_product_specification(page, &inner, offer);
        }
    }

    if (offer->price.len == 0) {
        offer->price = offer->measure;
    }

    if (offer->price.len == 0
        && !klaviyo_jsonld_get(&page->pool, node, "lowPrice", &offer->price))
    {
        offer->price = offer->list;
        offer->list.len = 0;
    }

    return offer->price.len != 0;
}


static int
klaviyo_product_in_stock(const klaviyo_slice_t *availability)
{
    size_t  len;

    len = availability->len;

    while (len && availability->data[len - 1] == '/') {
        len--;
    }

    return len >= 7
           && strncasecmp((const char *) availability->data + len - 7,
                          "InStock", 7)
              == 0;
}


/* what the price was before, what the maker asks: to compare with */

static int
klaviyo_product_is_list(const klaviyo_slice_t *text)
{
    size_t  i, len;

    static const char  *types[] = { "ListPrice", "StrikethroughPrice", "SRP",
                                    "MSRP", "RegularPrice" };

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        len = strlen(types[i]);

        if (text->len >= len
            && memcmp(text->data + text->len - len, types[i], len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static void
klaviyo_product_specification(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_product_offer_t *offer)
{
    klaviyo_slice_t         price, type, *to;
    klaviyo_jsonld_each_t   each;

    /* what members pay, what delivery costs */

    klaviyo_jsonld_each(&each, node, "validForMemberTier");

    if (klaviyo_jsonld_next(&each, &type)
        || klaviyo_jsonld_is(node, "DeliveryChargeSpecification")
        || klaviyo_jsonld_is(node, "PaymentChargeSpecification"))
    {
        return;
    }

    if (!klaviyo_jsonld_get(&page->pool, node, "price", &price)
        && !klaviyo_jsonld_get(&page->pool, node, "minPrice", &price))
    {
        return;
    }

    if (klaviyo_jsonld_get(&page->pool, node, "priceType", &type)
        && klaviyo_product_is_list(&type))
    {
        offer->list = price;

    } else {
        klaviyo_jsonld_each(&each, node, "referenceQuantity");

        to = klaviyo_jsonld_next(&each, &type) ? &offer->measure
                                               : &offer->price;

        if (to->len == 0) {
            *to = price;
        }
    }

    if (offer->currency.len == 0) {
        (void) klaviyo_jsonld_get(&page->pool, node, "priceCurrency",
                                  &offer->currency);
    }
}


/* 20 is 20.00 */

static int
klaviyo_product_is_equal(const klaviyo_slice_t *one,
    const klaviyo_slice_t *two)
{
    klaviyo_slice_t  a, b;

    a = klaviyo_product_digits(one);
    b = klaviyo_product_digits(two);

    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static klaviyo_slice_t
klaviyo_product_digits(const klaviyo_slice_t *amount)
{
    klaviyo_slice_t  text;

    text = *amount;

    if (text.len == 0 || memchr(text.data, '.', text.len) == NULL
        || memchr(text.data, 'e', text.len) != NULL)
    {
        return text;
    }

    while (text.data[text.len - 1] == '0') {
        text.len--;
    }

    text.len -= text.data[text.len - 1] == '.';

    return text;
}


static void
klaviyo_product_price(klaviyo_page_t *page,
    const klaviyo_product_offer_t *offer)
{
    klaviyo_slice_t  text, *price, *list;

    text = offer->availability;

    if (text.len) {
        klaviyo_product_availability(page, &text);
    }

    if (offer->price.len == 0) {
        return;
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_SKU, &offer->sku);

    price = &page->fact[KLAVIYO_PAGE_PRICE];
    list = &page->fact[KLAVIYO_PAGE_LIST_PRICE];

    klaviyo_page_set_amount(page, KLAVIYO_PAGE_PRICE, &offer->price,
                            &offer->currency);
    klaviyo_page_set_amount(page, KLAVIYO_PAGE_LIST_PRICE, &offer->list,
                            &offer->currency);

    if (klaviyo_product_is_equal(list, price)) {
        list->len = 0;
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_CURRENCY, &offer->currency);
}


static void
klaviyo_product_text(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_jsonld_node_t **nodes, const char *name,
    const char *const *inner)
{
    klaviyo_slice_t  text;

    for ( /* void */ ; *nodes && page->fact[fact].len == 0; nodes++) {

        if (klaviyo_page_get(page, *nodes, name, inner, &text)) {
            klaviyo_page_set(page, fact, &text);
        }
    }
}


/* "https://schema.org/InStock", "instock", "in stock" are "InStock" */

static void
klaviyo_product_availability(klaviyo_page_t *page, klaviyo_slice_t *text)
{
    size_t           i, n;
    char             word[16];
    uint8_t          ch;
    klaviyo_slice_t  value;

    static const char  *words[] = {
        "instock", "InStock", "available", "InStock", "outofstock",
        "OutOfStock", "oos", "OutOfStock", "preorder", "PreOrder",
        "backorder", "BackOrder", "discontinued", "Discontinued"
    };

    while (text->len && text->data[text->len - 1] == '/') {
        text->len--;
    }

    for (i = text->len; i > 0; i--) {
        ch = text->data[i - 1];

        if (ch == '/' || ch == '#' || ch == ':') {
            text->data += i;
            text->len -= i;
            break;
        }
    }

    n = 0;

    for (i = 0; i < text->len && n < sizeof(word) - 1; i++) {
        ch = text->data[i];

        if (ch != ' ' && ch != '_' && ch != '-') {
            word[n++] = ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch;
        }
    }

    word[n] = '\0';

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i += 2) {

        if (strcmp(word, words[i]) == 0) {
            value.data = (const uint8_t *) words[i + 1];
            value.len = strlen(words[i + 1]);

            klaviyo_page_set(page, KLAVIYO_PAGE_AVAILABILITY, &value);
            return;
        }
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_AVAILABILITY, text);
}


static const klaviyo_slice_t *
klaviyo_product_meta(klaviyo_page_t *page, klaviyo_page_meta_e one,
    klaviyo_page_meta_e two)
{
    return page->meta[one].len ? &page->meta[one] : &page->meta[two];
}


int
klaviyo_page_meta_is_product(klaviyo_page_t *page)
{
    klaviyo_slice_t  *type;

    type = &page->meta[KLAVIYO_PAGE_META_OG_TYPE];

    if ((type->len == 7 && memcmp(type->data, "product", 7) == 0)
        || (type->len == 12 && memcmp(type->data, "product.item", 12) == 0)
        || (type->len == 10 && memcmp(type->data, "og:product", 10) == 0))
    {
        return 1;
    }

    return page->meta[KLAVIYO_PAGE_META_PRICE].len
           || page->meta[KLAVIYO_PAGE_META_OG_PRICE].len;
}


/* what a price was before, if it is this one */

static void
klaviyo_product_list(klaviyo_page_t *page,
    const klaviyo_product_offer_t *offer)
{
    klaviyo_slice_t  amount;

    if (offer->list.len
        && klaviyo_page_amount(page, &offer->price, &offer->currency, &amount)
        && klaviyo_product_is_equal(&amount, &page->fact[KLAVIYO_PAGE_PRICE])
        && klaviyo_page_amount(page, &offer->list, &offer->currency, &amount)
        && !klaviyo_product_is_equal(&amount,
                                     &page->fact[KLAVIYO_PAGE_PRICE]))
    {
        klaviyo_page_set(page, KLAVIYO_PAGE_LIST_PRICE, &amount);
    }
}


/* what is not there yet; a price and its currency are one */

void
klaviyo_page_meta_product(klaviyo_page_t *page)
{
    klaviyo_slice_t          text;
    klaviyo_slice_t         *meta;
    klaviyo_product_offer_t  offer;

    meta = page->meta;

    memset(&offer, 0, sizeof(klaviyo_product_offer_t));

    offer.price = *klaviyo_product_meta(page, KLAVIYO_PAGE_META_PRICE,
                                        KLAVIYO_PAGE_META_OG_PRICE);
    offer.currency = *klaviyo_product_meta(page,
                                           KLAVIYO_PAGE_META_PRICE_CURRENCY,
                                           KLAVIYO_PAGE_META_OG_CURRENCY);
    offer.list = meta[KLAVIYO_PAGE_META_ORIGINAL_PRICE];

    if (meta[KLAVIYO_PAGE_META_SALE_PRICE].len) {

        if (offer.list.len == 0) {
            offer.list = offer.price;
        }

        offer.price = meta[KLAVIYO_PAGE_META_SALE_PRICE];

        if (meta[KLAVIYO_PAGE_META_SALE_CURRENCY].len) {
            offer.currency = meta[KLAVIYO_PAGE_META_SALE_CURRENCY];
        }
    }

    if (page->fact[KLAVIYO_PAGE_PRICE].len == 0) {
        page->fact[KLAVIYO_PAGE_CURRENCY].len = 0;
        klaviyo_product_price(page, &offer);

    } else {
        klaviyo_page_set(page, KLAVIYO_PAGE_CURRENCY, &offer.currency);
        klaviyo_product_list(page, &offer);
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_NAME,
                     &meta[KLAVIYO_PAGE_META_OG_TITLE]);
    klaviyo_page_set(page, KLAVIYO_PAGE_BRAND,
                     klaviyo_product_meta(page, KLAVIYO_PAGE_META_BRAND,
                                          KLAVIYO_PAGE_META_OG_BRAND));
    klaviyo_page_set(page, KLAVIYO_PAGE_SKU,
                     &meta[KLAVIYO_PAGE_META_PART_NO]);

    klaviyo_page_set(page, KLAVIYO_PAGE_PRODUCT_ID,
                     &meta[KLAVIYO_PAGE_META_ITEM_ID]);
    klaviyo_page_set(page, KLAVIYO_PAGE_PRODUCT_ID,
                     &page->fact[KLAVIYO_PAGE_SKU]);

    klaviyo_page_set_url(page, KLAVIYO_PAGE_IMAGE,
                         klaviyo_product_meta(page,
                                            KLAVIYO_PAGE_META_OG_IMAGE_SECURE,
                                            KLAVIYO_PAGE_META_OG_IMAGE));
    klaviyo_page_set_url(page, KLAVIYO_PAGE_IMAGE,
                         &meta[KLAVIYO_PAGE_META_OG_IMAGE_URL]);

    if (page->fact[KLAVIYO_PAGE_AVAILABILITY].len == 0) {
        text = *klaviyo_product_meta(page, KLAVIYO_PAGE_META_AVAILABILITY,
                                     KLAVIYO_PAGE_META_OG_AVAILABILITY);

        if (text.len) {
            klaviyo_product_availability(page, &text);
        }
    }

    if (page->fact[KLAVIYO_PAGE_CATEGORIES].len == 0
        && meta[KLAVIYO_PAGE_META_CATEGORY].len)
    {
        klaviyo_page_category(page, &meta[KLAVIYO_PAGE_META_CATEGORY]);
    }
}
