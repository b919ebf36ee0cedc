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


#define KLAVIYO_ECONTEXT_QUESTIONS  16   /* that are of interest             */
#define KLAVIYO_ECONTEXT_PATHS      8    /* that are read in one pass        */
#define KLAVIYO_ECONTEXT_NODES      24   /* of their tokens                  */

#define KLAVIYO_ECONTEXT_WAY  "pageInfo" /* has the way to the page          */


/* what a component of the page asked for */

typedef struct {
    klaviyo_slice_t   name;
    klaviyo_slice_t   alias;
    klaviyo_slice_t   answer;            /* an object; a length of 0: none   */
} klaviyo_econtext_question_t;

typedef void (*klaviyo_econtext_write_pt)(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);


static void klaviyo_econtext_read(const klaviyo_slice_t *value,
    const char *const *paths, size_t n, klaviyo_slice_t *found);
static int klaviyo_econtext_is(const klaviyo_slice_t *value,
    const char *text);
static size_t klaviyo_econtext_questions(const klaviyo_slice_t *lists,
    const char *name, klaviyo_econtext_question_t *question);
static void klaviyo_econtext_answers(const klaviyo_slice_t *answers,
    klaviyo_econtext_question_t *question, size_t n);
static size_t klaviyo_econtext_write(klaviyo_page_text_t *text,
    const klaviyo_econtext_question_t *question, size_t n, const char *name,
    klaviyo_econtext_write_pt write);
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
    size_t                       i, n;
    const char                  *name;
    klaviyo_slice_t              value;
    klaviyo_page_text_t          text;
    klaviyo_econtext_question_t  question[KLAVIYO_ECONTEXT_QUESTIONS];

    enum { ROUTE = 0, ANSWERS, QUESTIONS, N };

    klaviyo_slice_t              found[N];

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

    name = klaviyo_econtext_routes[i].name;

    n = klaviyo_econtext_questions(&found[QUESTIONS], name, question);
    klaviyo_econtext_answers(&found[ANSWERS], question, n);

    klaviyo_page_text_init(&text, &page->pool, page->size);
    klaviyo_page_text_literal(&text, "[{\"@type\":\"");
    klaviyo_page_text_raw(&text, klaviyo_econtext_routes[i].type,
                          strlen(klaviyo_econtext_routes[i].type));
    klaviyo_page_text_literal(&text, "\"");

    if (name
        && klaviyo_econtext_write(&text, question, n, name,
                                  klaviyo_econtext_routes[i].write)
           == 0)
    {
        return;
    }

    klaviyo_page_text_literal(&text, "}");
    (void) klaviyo_econtext_write(&text, question, n, KLAVIYO_ECONTEXT_WAY,
                                  klaviyo_econtext_breadcrumbs);
    klaviyo_page_text_literal(&text, "]");

    if (text.cut) {
        page->broken++;
        return;
    }

    page->econtext.data = text.data;
    page->econtext.len = text.len;
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


/* those for the name, which may be NULL, and for the way to the page */

static size_t
klaviyo_econtext_questions(const klaviyo_slice_t *lists, const char *name,
    klaviyo_econtext_question_t *question)
{
    size_t                        n;
    klaviyo_scan_t                scan, list, object;
    klaviyo_slice_t               value, member;
    klaviyo_econtext_question_t  *one;

    n = 0;

    klaviyo_scan_enter(&scan, lists);

    while (klaviyo_scan_next(&scan, &member)) {

        klaviyo_scan_value(&scan, &value);
        klaviyo_scan_enter(&list, &value);

        while (n < KLAVIYO_ECONTEXT_QUESTIONS
               && klaviyo_scan_next(&list, &member))
        {
            one = &question[n];
            memset(one, 0, sizeof(klaviyo_econtext_question_t));

            klaviyo_scan_value(&list, &value);
            klaviyo_scan_enter(&object, &value);

            while (klaviyo_scan_next(&object, &member)) {

                klaviyo_scan_value(&object, &value);

                if (klaviyo_econtext_is(&member, "origin")) {
                    one->name = value;

                } else if (klaviyo_econtext_is(&member, "alias")) {
                    one->alias = value;
                }
            }

            n += one->alias.len
                 && ((name && klaviyo_econtext_is(&one->name, name))
                     || klaviyo_econtext_is(&one->name,
                                            KLAVIYO_ECONTEXT_WAY));
        }
    }

    return n;
}


static void
klaviyo_econtext_answers(const klaviyo_slice_t *answers,
    klaviyo_econtext_question_t *question, size_t n)
{
    size_t            i;
    klaviyo_scan_t    scan;
    klaviyo_slice_t   alias, answer;

    klaviyo_scan_enter(&scan, answers);

    while (n && klaviyo_scan_next(&scan, &alias)) {

        klaviyo_scan_value(&scan, &answer);

        for (i = 0; i < n; i++) {

            if (alias.len == question[i].alias.len
                && memcmp(alias.data, question[i].alias.data, alias.len) == 0
                && klaviyo_scan_type(answer.data) == KLAVIYO_SCAN_OBJECT)
            {
                question[i].answer = answer;
            }
        }
    }
}


/* the answers to what was asked for by the name; how many there are */

static size_t
klaviyo_econtext_write(klaviyo_page_text_t *text,
    const klaviyo_econtext_question_t *question, size_t n, const char *name,
    klaviyo_econtext_write_pt write)
{
    size_t  i, written;

    written = 0;

    for (i = 0; i < n; i++) {

        if (question[i].answer.len
            && klaviyo_econtext_is(&question[i].name, name))
        {
            write(text, &question[i].answer);
            written++;
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
    uint8_t          code[KLAVIYO_CURRENCY_LEN];
    klaviyo_slice_t  said;

    if (amount->len
        && klaviyo_jsonld_text(text->pool, amount, &said)
        && klaviyo_amount_currency(said.data, said.len, code))
    {
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
    klaviyo_scan_enter(&scan, &found[ITEMS]);

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
    klaviyo_scan_enter(&scan, &crumbs);

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
