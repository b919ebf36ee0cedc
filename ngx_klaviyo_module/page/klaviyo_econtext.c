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


#define KLAVIYO_ECONTEXT_ANSWERS  8      /* to what is asked for by one name */


typedef struct {
    klaviyo_page_text_t       text;
    klaviyo_slice_t           answers;   /* by their aliases                 */
    klaviyo_slice_t           questions; /* lists of names and aliases       */
} klaviyo_econtext_t;

typedef void (*klaviyo_econtext_write_pt)(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);


static int klaviyo_econtext_find(const klaviyo_slice_t *value,
    const char *pointer, klaviyo_slice_t *found);
static int klaviyo_econtext_is(const klaviyo_slice_t *value,
    const char *text);
static size_t klaviyo_econtext_answers(klaviyo_econtext_t *ctx,
    const char *name, klaviyo_econtext_write_pt write);
static void klaviyo_econtext_member(klaviyo_page_text_t *text,
    const char *name, const klaviyo_slice_t *value, const char *pointer);
static void klaviyo_econtext_currency(klaviyo_page_text_t *text,
    const klaviyo_slice_t *value, const char *pointer);
static void klaviyo_econtext_thing(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
static void klaviyo_econtext_product(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
static void klaviyo_econtext_order(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer);
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
    klaviyo_slice_t       value, route;
    klaviyo_econtext_t    ctx;
    klaviyo_page_text_t  *text;

    if (page->econtext.len || len < sizeof(KLAVIYO_HTML_ECONTEXT_BEGIN)) {
        return;
    }

    value.data = p + sizeof(KLAVIYO_HTML_ECONTEXT_BEGIN) - 1;
    value.len = p + len - value.data;

    if (!klaviyo_jsonld_check(&value)) {
        page->broken++;
        return;
    }

    i = 0;

    if (klaviyo_econtext_find(&value, "/config/pageMeta/route/id", &route)) {

        while (!klaviyo_econtext_is(&route, klaviyo_econtext_routes[i].route))
        {
            if (++i == KLAVIYO_ECONTEXT_ROUTES) {
                return;
            }
        }
    }

    if (!klaviyo_econtext_find(&value, "/graphqlResponse", &ctx.answers)
        || !klaviyo_econtext_find(&value, "/propsMap", &ctx.questions))
    {
        return;
    }

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


/* 0: there is none, or it is null */

static int
klaviyo_econtext_find(const klaviyo_slice_t *value, const char *pointer,
    klaviyo_slice_t *found)
{
    return klaviyo_pointer_find(value, (const uint8_t *) pointer,
                                strlen(pointer), found)
           && klaviyo_scan_type(found->data) != KLAVIYO_SCAN_NULL;
}


static int
klaviyo_econtext_is(const klaviyo_slice_t *value, const char *text)
{
    return klaviyo_scan_type(value->data) == KLAVIYO_SCAN_STRING
           && klaviyo_scan_is(value, text, strlen(text));
}


/* writes the objects that the page's components asked for by the name */

static size_t
klaviyo_econtext_answers(klaviyo_econtext_t *ctx, const char *name,
    klaviyo_econtext_write_pt write)
{
    size_t            n;
    klaviyo_scan_t    lists, list, answers;
    klaviyo_slice_t   value, question, origin, alias, member, answer;

    n = 0;

    klaviyo_scan_enter(&lists, &ctx->questions);

    while (klaviyo_scan_next(&lists, &member)) {

        klaviyo_scan_value(&lists, &value);
        klaviyo_scan_enter(&list, &value);

        while (klaviyo_scan_next(&list, &member)) {

            klaviyo_scan_value(&list, &question);

            if (n == KLAVIYO_ECONTEXT_ANSWERS
                || !klaviyo_econtext_find(&question, "/origin", &origin)
                || !klaviyo_econtext_is(&origin, name)
                || !klaviyo_econtext_find(&question, "/alias", &alias))
            {
                continue;
            }

            klaviyo_scan_enter(&answers, &ctx->answers);

            while (klaviyo_scan_next(&answers, &member)) {

                klaviyo_scan_value(&answers, &answer);

                if (member.len == alias.len
                    && memcmp(member.data, alias.data, alias.len) == 0
                    && klaviyo_scan_type(answer.data) == KLAVIYO_SCAN_OBJECT)
                {
                    write(&ctx->text, &answer);
                    n++;
                    break;
                }
            }
        }
    }

    return n;
}


static void
klaviyo_econtext_member(klaviyo_page_text_t *text, const char *name,
    const klaviyo_slice_t *value, const char *pointer)
{
    klaviyo_slice_t  found;

    if (klaviyo_econtext_find(value, pointer, &found)) {
        klaviyo_page_text_literal(text, ",\"");
        klaviyo_page_text_raw(text, name, strlen(name));
        klaviyo_page_text_literal(text, "\":");
        klaviyo_page_text_raw(text, found.data, found.len);
    }
}


/* that of an amount's text, if it has a sign that only one currency has */

static void
klaviyo_econtext_currency(klaviyo_page_text_t *text,
    const klaviyo_slice_t *value, const char *pointer)
{
    size_t           len;
    uint8_t          buf[KLAVIYO_AMOUNT_LEN], code[KLAVIYO_CURRENCY_LEN];
    klaviyo_slice_t  amount;

    if (!klaviyo_econtext_find(value, pointer, &amount)
        || klaviyo_scan_type(amount.data) != KLAVIYO_SCAN_STRING
        || amount.len > sizeof(buf))
    {
        return;
    }

    len = klaviyo_scan_string(&amount, buf);

    if (klaviyo_amount_currency(buf, len, code)) {
        klaviyo_page_text_literal(text, ",\"priceCurrency\":");
        klaviyo_page_text_string(text, code, KLAVIYO_CURRENCY_LEN);
    }
}


static void
klaviyo_econtext_thing(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_econtext_member(text, "name", answer, "/name");
    klaviyo_econtext_member(text, "image", answer, "/image");
}


static void
klaviyo_econtext_product(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_slice_t  stock;

    klaviyo_econtext_thing(text, answer);
    klaviyo_econtext_member(text, "sku", answer, "/sku");

    klaviyo_page_text_literal(text, ",\"offers\":{\"@type\":\"Offer\"");

    klaviyo_econtext_member(text, "price", answer, "/price/special/value");
    klaviyo_econtext_currency(text, answer, "/price/special/text");

    if (klaviyo_econtext_find(answer, "/inventory/isInStock", &stock)) {
        if (stock.data[0] == 't') {
            klaviyo_page_text_literal(text, ",\"availability\":\"InStock\"");

        } else {
            klaviyo_page_text_literal(text,
                                      ",\"availability\":\"OutOfStock\"");
        }
    }

    klaviyo_page_text_literal(text, ",\"priceSpecification\":{"
                                    "\"priceType\":\"ListPrice\"");
    klaviyo_econtext_member(text, "price", answer, "/price/regular/value");
    klaviyo_page_text_literal(text, "}}");
}


static void
klaviyo_econtext_order(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_scan_t   scan;
    klaviyo_slice_t  items, name, item;

    klaviyo_econtext_member(text, "orderNumber", answer, "/orderNumber");
    klaviyo_econtext_member(text, "price", answer, "/grandTotal/value");
    klaviyo_econtext_member(text, "price", answer, "/grandTotal/text");
    klaviyo_econtext_currency(text, answer, "/grandTotal/text");

    if (!klaviyo_econtext_find(answer, "/items", &items)) {
        return;
    }

    klaviyo_page_text_literal(text, ",\"acceptedOffer\":[null");
    klaviyo_scan_enter(&scan, &items);

    while (klaviyo_scan_next(&scan, &name)) {

        klaviyo_scan_value(&scan, &item);

        klaviyo_page_text_literal(text, ",{\"@type\":\"Offer\"");
        klaviyo_econtext_member(text, "name", &item, "/productName");
        klaviyo_econtext_member(text, "sku", &item, "/productSku");
        klaviyo_econtext_member(text, "url", &item, "/productUrl");
        klaviyo_econtext_member(text, "image", &item, "/thumbnail");
        klaviyo_econtext_member(text, "eligibleQuantity", &item, "/qty");
        klaviyo_econtext_member(text, "price", &item,
                                "/productPriceInclTax/text");
        klaviyo_page_text_literal(text, "}");
    }

    klaviyo_page_text_literal(text, "]");
}


static void
klaviyo_econtext_breadcrumbs(klaviyo_page_text_t *text,
    const klaviyo_slice_t *answer)
{
    klaviyo_scan_t   scan;
    klaviyo_slice_t  crumbs, name, crumb;

    if (!klaviyo_econtext_find(answer, "/breadcrumbs", &crumbs)) {
        return;
    }

    klaviyo_page_text_literal(text, ",{\"@type\":\"BreadcrumbList\","
                                    "\"itemListElement\":[null");
    klaviyo_scan_enter(&scan, &crumbs);

    while (klaviyo_scan_next(&scan, &name)) {

        klaviyo_scan_value(&scan, &crumb);

        klaviyo_page_text_literal(text, ",{\"@type\":\"ListItem\"");
        klaviyo_econtext_member(text, "name", &crumb, "/title");
        klaviyo_econtext_member(text, "url", &crumb, "/url");
        klaviyo_page_text_literal(text, "}");
    }

    klaviyo_page_text_literal(text, "]}");
}
