/*
 * What EverShop's pages tell their own script: they print no structured data,
 * but the answers that the page was made of.
 *
 *     var eContext = {
 *       "graphqlResponse": {
 *         "e2a": {"name":"Lamp","sku":"L-7","price":{"regular":{…},…},…}, … },
 *       "propsMap": {"e15": [{"origin":"product","alias":"e2a"}], …},
 *       "config": {"pageMeta": {"route": {"id":"productView",…},…},…}, … }
 *
 * It becomes the JSON-LD that the page might have had, which is read as such:
 *
 *     [{"@type":"Product","name":"Lamp","sku":"L-7","offers":{…}},
 *      {"@type":"BreadcrumbList",…}]
 *
 * Up to its version 2.0 no route is told; a product that was asked for is the
 * page's then.
 */


#include <string.h>

#include "klaviyo_econtext.h"
#include "klaviyo_page_facts.h"
#include "klaviyo_page_text.h"
#include "json/klaviyo_amount.h"
#include "json/klaviyo_pointer.h"


#define KLAVIYO_ECONTEXT_ALIASES  16     /* of what is asked for by one name */
#define KLAVIYO_ECONTEXT_PATHS    8      /* that are read in one pass        */
#define KLAVIYO_ECONTEXT_NODES    24     /* of their tokens                  */


typedef struct {
    klaviyo_page_text_t       text;
    klaviyo_slice_t           answers;   /* by their aliases                 */
    klaviyo_slice_t           questions; /* lists of names and aliases       */
} klaviyo_econtext_t;

typedef void (*klaviyo_econtext_write_pt)(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);


static void klaviyo_econtext_read(const klaviyo_slice_t *value,
    const char *const *paths, size_t n, klaviyo_slice_t *found);
static int klaviyo_econtext_is(const klaviyo_slice_t *value,
    const char *text);
static size_t klaviyo_econtext_aliases(const klaviyo_econtext_t *ctx,
    const char *name, klaviyo_slice_t *aliases);
static size_t klaviyo_econtext_answers(klaviyo_econtext_t *ctx,
    const char *name, klaviyo_econtext_write_pt write);
static void klaviyo_econtext_member(klaviyo_page_text_t *text,
    const char *name, const klaviyo_slice_t *value);
static void klaviyo_econtext_currency(klaviyo_page_text_t *text,
    const klaviyo_slice_t *amount);
static void klaviyo_econtext_thing(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
static void klaviyo_econtext_product(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
static void klaviyo_econtext_order(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
static void klaviyo_econtext_order_item(klaviyo_page_text_t *text,
    const klaviyo_slice_t *item);
static void klaviyo_econtext_breadcrumbs(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);


static const struct {
    const char                 *route;
    const char                 *type;    /* of schema.org                    */
    const char                 *name;    /* of what the page is about        */
    klaviyo_econtext_write_pt   write;
} klaviyo_econtext_routes[] = {
    { "productView", "Product", "product", klaviyo_econtext_product },
    { "categoryView", "CollectionPage", "category", klaviyo_econtext_thing },
    { "catalogSearch", "SearchResultsPage", NULL, NULL },
    { "checkout", "CheckoutPage", NULL, NULL },
    { "checkoutSuccess", "Order", "order", klaviyo_econtext_order },
    { "blogPostView", "BlogPosting", "post", klaviyo_econtext_thing }
};

#define KLAVIYO_ECONTEXT_ROUTES                                              \
    (sizeof(klaviyo_econtext_routes) / sizeof(klaviyo_econtext_routes[0]))


void
klaviyo_page_econtext(klaviyo_page_t *page, const uint8_t *p, size_t len)
{
    size_t                i;
    klaviyo_slice_t       value;
    klaviyo_econtext_t    ctx;
    klaviyo_page_text_t  *text;

    enum { ROUTE = 0, ANSWERS, QUESTIONS, N };

    klaviyo_slice_t       found[N];

    static const char *const  paths[] = {
        [ROUTE] = "/config/pageMeta/route/id",
        [ANSWERS] = "/graphqlResponse",
        [QUESTIONS] = "/propsMap"
    };

    if (page->econtext.len || len < sizeof(KLAVIYO_HTML_ECONTEXT_BEGIN)) {
        return;
    }

    value.data = p + sizeof(KLAVIYO_HTML_ECONTEXT_BEGIN) - 1;
    value.len = p + len - value.data;

    if (!klaviyo_jsonld_check(&value)) {
        page->broken++;
        return;
    }

    klaviyo_econtext_read(&value, paths, N, found);

    i = 0;

    while (found[ROUTE].len
           && !klaviyo_econtext_is(&found[ROUTE],
                                   klaviyo_econtext_routes[i].route))
    {
        if (++i == KLAVIYO_ECONTEXT_ROUTES) {
            return;
        }
    }

    ctx.answers = found[ANSWERS];
    ctx.questions = found[QUESTIONS];
    text = &ctx.text;

    klaviyo_page_text_init(text, &page->pool, page->size);
    klaviyo_page_text_literal(text, "[{\"@type\":\"");
    klaviyo_page_text_raw(text, klaviyo_econtext_routes[i].type,
                          strlen(klaviyo_econtext_routes[i].type));
    klaviyo_page_text_literal(text, "\"");

    if (klaviyo_econtext_routes[i].name
        && klaviyo_econtext_answers(&ctx, klaviyo_econtext_routes[i].name,
                                    klaviyo_econtext_routes[i].write) == 0)
    {
        return;
    }

    klaviyo_page_text_literal(text, "}");
    (void) klaviyo_econtext_answers(&ctx, "pageInfo",
                                    klaviyo_econtext_breadcrumbs);
    klaviyo_page_text_literal(text, "]");

    if (!text->cut) {
        page->econtext.data = text->data;
        page->econtext.len = text->len;
    }
}


/* a length of 0: there is none, or it is null */

static void
klaviyo_econtext_read(const klaviyo_slice_t *value, const char *const *paths,
    size_t n, klaviyo_slice_t *found)
{
    size_t                   i, len;
    uint32_t                 used, node[KLAVIYO_ECONTEXT_PATHS];
    klaviyo_slice_t          at[KLAVIYO_ECONTEXT_NODES];
    klaviyo_pointer_node_t   nodes[KLAVIYO_ECONTEXT_NODES];

    used = 0;

    for (i = 0; i < n; i++) {
        len = strlen(paths[i]);
        node[i] = klaviyo_pointer_add(nodes, &used, (const uint8_t *) paths[i],
                                      &len);
    }

    memset(at, 0, sizeof(at));

    if (value->len) {
        klaviyo_pointer_read(nodes, 0, value, at);
    }

    for (i = 0; i < n; i++) {
        found[i] = at[node[i]];

        if (found[i].len
            && klaviyo_scan_type(found[i].data) == KLAVIYO_SCAN_NULL)
        {
            found[i].len = 0;
        }
    }
}


static int
klaviyo_econtext_is(const klaviyo_slice_t *value, const char *text)
{
    return value->len
           && klaviyo_scan_type(value->data) == KLAVIYO_SCAN_STRING
           && klaviyo_scan_is(value, text, strlen(text));
}


static void
klaviyo_econtext_enter(klaviyo_scan_t *scan, const klaviyo_slice_t *value)
{
    static const klaviyo_slice_t  none = { (const uint8_t *) "null", 4 };

    klaviyo_scan_enter(scan, value->len ? value : &none);
}


/* of what the page's components asked for by the name */

static size_t
klaviyo_econtext_aliases(const klaviyo_econtext_t *ctx, const char *name,
    klaviyo_slice_t *aliases)
{
    size_t            n;
    klaviyo_scan_t    lists, list;
    klaviyo_slice_t   value, member;

    enum { ORIGIN = 0, ALIAS, N };

    klaviyo_slice_t   found[N];

    static const char *const  paths[] = {
        [ORIGIN] = "/origin",
        [ALIAS] = "/alias"
    };

    n = 0;

    klaviyo_econtext_enter(&lists, &ctx->questions);

    while (klaviyo_scan_next(&lists, &member)) {

        klaviyo_scan_value(&lists, &value);
        klaviyo_scan_enter(&list, &value);

        while (n < KLAVIYO_ECONTEXT_ALIASES
               && klaviyo_scan_next(&list, &member))
        {
            klaviyo_scan_value(&list, &value);
            klaviyo_econtext_read(&value, paths, N, found);

            if (klaviyo_econtext_is(&found[ORIGIN], name)
                && found[ALIAS].len)
            {
                aliases[n++] = found[ALIAS];
            }
        }
    }

    return n;
}


/* writes the objects that answer to the name; how many there are */

static size_t
klaviyo_econtext_answers(klaviyo_econtext_t *ctx, const char *name,
    klaviyo_econtext_write_pt write)
{
    size_t            i, n, written;
    klaviyo_scan_t    scan;
    klaviyo_slice_t   member, answer, aliases[KLAVIYO_ECONTEXT_ALIASES];

    n = klaviyo_econtext_aliases(ctx, name, aliases);
    written = 0;

    klaviyo_econtext_enter(&scan, &ctx->answers);

    while (written < KLAVIYO_ECONTEXT_ALIASES
           && klaviyo_scan_next(&scan, &member))
    {
        klaviyo_scan_value(&scan, &answer);

        for (i = 0; i < n; i++) {

            if (member.len == aliases[i].len
                && memcmp(member.data, aliases[i].data, member.len) == 0
                && klaviyo_scan_type(answer.data) == KLAVIYO_SCAN_OBJECT)
            {
                write(&ctx->text, &answer);
                written++;
                break;
            }
        }
    }

    return written;
}


static void
klaviyo_econtext_member(klaviyo_page_text_t *text, const char *name,
    const klaviyo_slice_t *value)
{
    if (value->len) {
        klaviyo_page_text_literal(text, ",\"");
        klaviyo_page_text_raw(text, name, strlen(name));
        klaviyo_page_text_literal(text, "\":");
        klaviyo_page_text_raw(text, value->data, value->len);
    }
}


/* that of an amount's text, if it has a symbol that only one currency has */

static void
klaviyo_econtext_currency(klaviyo_page_text_t *text,
    const klaviyo_slice_t *amount)
{
    size_t   len;
    uint8_t  buf[KLAVIYO_AMOUNT_LEN], code[KLAVIYO_CURRENCY_LEN];

    if (amount->len == 0 || amount->len > sizeof(buf)
        || klaviyo_scan_type(amount->data) != KLAVIYO_SCAN_STRING)
    {
        return;
    }

    len = klaviyo_scan_string(amount, buf);

    if (klaviyo_amount_currency(buf, len, code)) {
        klaviyo_page_text_literal(text, ",\"priceCurrency\":");
        klaviyo_page_text_string(text, code, KLAVIYO_CURRENCY_LEN);
    }
}


static void
klaviyo_econtext_thing(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    enum { NAME = 0, IMAGE, N };

    klaviyo_slice_t  found[N];

    static const char *const  paths[] = {
        [NAME] = "/name",
        [IMAGE] = "/image"
    };

    klaviyo_econtext_read(answer, paths, N, found);

    klaviyo_econtext_member(text, "name", &found[NAME]);
    klaviyo_econtext_member(text, "image", &found[IMAGE]);
}


static void
klaviyo_econtext_product(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    enum { SKU = 0, PRICE, PRICE_TEXT, LIST_PRICE, IN_STOCK, N };

    klaviyo_slice_t  found[N], *stock;

    static const char *const  paths[] = {
        [SKU] = "/sku",
        [PRICE] = "/price/special/value",
        [PRICE_TEXT] = "/price/special/text",
        [LIST_PRICE] = "/price/regular/value",
        [IN_STOCK] = "/inventory/isInStock"
    };

    klaviyo_econtext_thing(text, answer);
    klaviyo_econtext_read(answer, paths, N, found);

    klaviyo_econtext_member(text, "sku", &found[SKU]);
    klaviyo_page_text_literal(text, ",\"offers\":{\"@type\":\"Offer\"");
    klaviyo_econtext_member(text, "price", &found[PRICE]);
    klaviyo_econtext_currency(text, &found[PRICE_TEXT]);

    stock = &found[IN_STOCK];

    if (stock->len && klaviyo_scan_type(stock->data) == KLAVIYO_SCAN_BOOL) {
        klaviyo_page_text_literal(text, ",\"availability\":");

        if (stock->data[0] == 't') {
            klaviyo_page_text_literal(text, "\"InStock\"");

        } else {
            klaviyo_page_text_literal(text, "\"OutOfStock\"");
        }
    }

    klaviyo_page_text_literal(text, ",\"priceSpecification\":{"
                                    "\"priceType\":\"ListPrice\"");
    klaviyo_econtext_member(text, "price", &found[LIST_PRICE]);
    klaviyo_page_text_literal(text, "}}");
}


static void
klaviyo_econtext_order(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, item;

    enum { NUMBER = 0, TOTAL, TOTAL_TEXT, ITEMS, N };

    klaviyo_slice_t  found[N];

    static const char *const  paths[] = {
        [NUMBER] = "/orderNumber",
        [TOTAL] = "/grandTotal/value",
        [TOTAL_TEXT] = "/grandTotal/text",
        [ITEMS] = "/items"
    };

    klaviyo_econtext_read(answer, paths, N, found);

    klaviyo_econtext_member(text, "orderNumber", &found[NUMBER]);
    klaviyo_econtext_member(text, "price", &found[TOTAL]);
    klaviyo_econtext_member(text, "price", &found[TOTAL_TEXT]);
    klaviyo_econtext_currency(text, &found[TOTAL_TEXT]);

    klaviyo_page_text_literal(text, ",\"acceptedOffer\":[null");
    klaviyo_econtext_enter(&scan, &found[ITEMS]);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &item);
        klaviyo_econtext_order_item(text, &item);
    }

    klaviyo_page_text_literal(text, "]");
}


static void
klaviyo_econtext_order_item(klaviyo_page_text_t *text,
    const klaviyo_slice_t *item)
{
    size_t           i;
    klaviyo_slice_t  found[KLAVIYO_ECONTEXT_PATHS];

    static const char *const  paths[] = {
        "/productName", "/productSku", "/productUrl", "/thumbnail", "/qty",
        "/productPriceInclTax/text"
    };

    static const char *const  names[] = {
        "name", "sku", "url", "image", "eligibleQuantity", "price"
    };

    klaviyo_econtext_read(item, paths, sizeof(paths) / sizeof(paths[0]),
                          found);

    klaviyo_page_text_literal(text, ",{\"@type\":\"Offer\"");

    for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        klaviyo_econtext_member(text, names[i], &found[i]);
    }

    klaviyo_page_text_literal(text, "}");
}


static void
klaviyo_econtext_breadcrumbs(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, crumbs, crumb;

    enum { TITLE = 0, URL, N };

    klaviyo_slice_t  found[N];

    static const char *const  path = "/breadcrumbs";

    static const char *const  paths[] = {
        [TITLE] = "/title",
        [URL] = "/url"
    };

    klaviyo_econtext_read(answer, &path, 1, &crumbs);

    klaviyo_page_text_literal(text, ",{\"@type\":\"BreadcrumbList\","
                                    "\"itemListElement\":[null");
    klaviyo_econtext_enter(&scan, &crumbs);

    while (klaviyo_scan_next(&scan, &name)) {

        klaviyo_scan_value(&scan, &crumb);
        klaviyo_econtext_read(&crumb, paths, N, found);

        klaviyo_page_text_literal(text, ",{\"@type\":\"ListItem\"");
        klaviyo_econtext_member(text, "name", &found[TITLE]);
        klaviyo_econtext_member(text, "url", &found[URL]);
        klaviyo_page_text_literal(text, "}");
    }

    klaviyo_page_text_literal(text, "]}");
}
