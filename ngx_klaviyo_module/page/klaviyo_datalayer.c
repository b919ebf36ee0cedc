/*
 * The data layer of tag managers: what inline scripts push to it, where that
 * is an object in JSON.
 *
 *     dataLayer.push({"event":"view_item","ecommerce":{"currency":"EUR",
 *       "items":[{"item_id":"7","item_name":"Lamp","price":19.90}]}});
 *     dataLayer = [{"ecommerce":{"purchase":{"actionField":{…}, …}}}];
 *
 *     gtag("event", "view_item", {"currency":"EUR", "items":[…]});
 *
 * The first form is that of GA4, the second that of the version before it, the
 * third that of its own tag.
 * The layer may be made at the same time, `(dataLayer = dataLayer || []).push`,
 * be a member, `window["dataLayer"]`, or what a plugin pushes later,
 * `dataLayer_content`.
 */


#include <string.h>

#include "klaviyo_datalayer.h"
#include "klaviyo_breadcrumb.h"
#include "klaviyo_order.h"
#include "klaviyo_page_facts.h"
#include "klaviyo_script.h"


#define KLAVIYO_DATALAYER_OPEN  8        /* literals without an end, in a
                                            script that is read on          */


static int klaviyo_datalayer_ends(const klaviyo_slice_t *name,
    const char *word);
static const uint8_t *klaviyo_datalayer_tag(const uint8_t *p,
    const uint8_t *last, klaviyo_slice_t *event);
static const uint8_t *klaviyo_datalayer_quoted(const uint8_t *p,
    const uint8_t *last, klaviyo_slice_t *word);
static const uint8_t *klaviyo_datalayer_word(const uint8_t *p,
    const uint8_t *last, const char *word);
static const uint8_t *klaviyo_datalayer_start(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_datalayer_end(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_datalayer_is(const klaviyo_slice_t *quoted,
    const char *word);
static void klaviyo_datalayer_keep(klaviyo_page_t *page,
    const klaviyo_slice_t *text, const klaviyo_slice_t *told);
static int klaviyo_datalayer_member(const klaviyo_jsonld_node_t *node,
    const char *name, klaviyo_slice_t *value);
static int klaviyo_datalayer_open(klaviyo_page_t *page,
    klaviyo_page_push_e push, klaviyo_jsonld_node_t *node,
    klaviyo_jsonld_node_t *action);
static void klaviyo_datalayer_item(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_page_item_t *item);


/* of a name in GA4, and the one before it */

static const struct {
    const char           *event;
    const char           *action;         /* in "ecommerce"                 */
    klaviyo_page_push_e   push;
} klaviyo_datalayer_events[] = {
    { "view_item", "detail", KLAVIYO_PAGE_PUSH_PRODUCT },
    { "purchase", "purchase", KLAVIYO_PAGE_PUSH_ORDER },
    { "begin_checkout", "checkout", KLAVIYO_PAGE_PUSH_CHECKOUT },
    { "view_item_list", "impressions", KLAVIYO_PAGE_PUSH_CATEGORY },
    { "view_search_results", NULL, KLAVIYO_PAGE_PUSH_SEARCH },
    { "search", NULL, KLAVIYO_PAGE_PUSH_SEARCH }
};

#define KLAVIYO_DATALAYER_EVENTS                                             \
    (sizeof(klaviyo_datalayer_events) / sizeof(klaviyo_datalayer_events[0]))


void
klaviyo_page_datalayer(klaviyo_page_t *page, const uint8_t *p, size_t len)
{
    size_t             open;
    const uint8_t     *last, *end;
    klaviyo_slice_t    name, text, event;
    klaviyo_script_t   script;

    open = 0;
    last = p + len;

    klaviyo_script_init(&script, p, last);

    while (klaviyo_script_next(&script, &name)) {

        event.len = 0;

        if (klaviyo_datalayer_ends(&name, "dataLayer")) {
            p = klaviyo_datalayer_start(script.pos, last);

        } else if (klaviyo_datalayer_ends(&name, "dataLayer_content")) {
            p = klaviyo_datalayer_word(script.pos, last, "=");

        } else if (klaviyo_datalayer_ends(&name, "gtag")) {
            p = klaviyo_datalayer_tag(script.pos, last, &event);

        } else {
            continue;
        }

        /* what is pushed may be several */

        while (p && p < last && *p == '{') {

            end = klaviyo_datalayer_end(p, last);

            if (end == NULL) {

                if (++open == KLAVIYO_DATALAYER_OPEN) {
                    return;
                }

                break;
            }

            text.data = p;
            text.len = end - p;

            klaviyo_datalayer_keep(page, &text, event.len ? &event : NULL);

            script.pos = end;

            p = event.len ? NULL : klaviyo_datalayer_word(end, last, ",");
        }
    }
}


static int
klaviyo_datalayer_ends(const klaviyo_slice_t *name, const char *word)
{
    size_t  len;

    len = strlen(word);

    return name->len >= len
           && memcmp(name->data + name->len - len, word, len) == 0;
}


/* what an event is told with, or NULL */

static const uint8_t *
klaviyo_datalayer_tag(const uint8_t *p, const uint8_t *last,
    klaviyo_slice_t *event)
{
    p = klaviyo_datalayer_word(p, last, "(");

    if (p) {
        p = klaviyo_datalayer_quoted(p, last, event);
    }

    if (p == NULL || !klaviyo_datalayer_is(event, "event")) {
        return NULL;
    }

    return klaviyo_datalayer_quoted(p, last, event);
}


/* behind a quoted word and a comma, or NULL; `word` includes the quotes */

static const uint8_t *
klaviyo_datalayer_quoted(const uint8_t *p, const uint8_t *last,
    klaviyo_slice_t *word)
{
    const uint8_t  *end;

    if (p == last || (*p != '"' && *p != '\'')) {
        return NULL;
    }

    end = memchr(p + 1, *p, last - p - 1);

    if (end == NULL) {
        return NULL;
    }

    word->data = p;
    word->len = end + 1 - p;

    return klaviyo_datalayer_word(end + 1, last, ",");
}


static int
klaviyo_datalayer_is(const klaviyo_slice_t *quoted, const char *word)
{
    size_t  len;

    len = strlen(word);

    return quoted->len == len + 2 && memcmp(quoted->data + 1, word, len) == 0;
}


/* behind the word, and the blanks before and behind it; NULL: it is another */

static const uint8_t *
klaviyo_datalayer_word(const uint8_t *p, const uint8_t *last,
    const char *word)
{
    size_t  len;

    len = strlen(word);
    p = klaviyo_script_blanks(p, last);

    if ((size_t) (last - p) < len || memcmp(p, word, len) != 0) {
        return NULL;
    }

    return klaviyo_script_blanks(p + len, last);
}


/* at the first argument of a push, or the first item; or NULL */

static const uint8_t *
klaviyo_datalayer_start(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *next;

    next = klaviyo_datalayer_word(p, last, "||");

    if (next) {
        next = klaviyo_datalayer_word(next, last, "[");
        p = next ? klaviyo_datalayer_word(next, last, "]") : NULL;

        if (p == NULL) {
            return next;
        }

        p = klaviyo_datalayer_word(p, last, ")");

        if (p == NULL) {
            return NULL;
        }
    }

    next = klaviyo_datalayer_word(p, last, ".push");

    if (next == NULL) {
        next = klaviyo_datalayer_word(p, last, "?.push");
    }

    if (next) {
        return klaviyo_datalayer_word(next, last, "(");
    }

    next = klaviyo_datalayer_word(p, last, "=");

    return next ? klaviyo_datalayer_word(next, last, "[") : NULL;
}


/* behind the bracket that closes the one at p, or NULL */

static const uint8_t *
klaviyo_datalayer_end(const uint8_t *p, const uint8_t *last)
{
    size_t   depth;
    uint8_t  quote;

    depth = 0;
    quote = 0;

    for ( /* void */ ; p < last; p++) {

        if (quote) {

            if (*p == '\\') {
                p++;

            } else if (*p == quote) {
                quote = 0;
            }

            continue;
        }

        switch (*p) {

        case '/':
            p = klaviyo_script_comment(p, last);

            if (p == NULL) {
                return NULL;
            }
            break;

        case '"':
        case '\'':
        case '`':
            quote = *p;
            break;

        case '{':
        case '[':
        case '(':
            depth++;
            break;

        case '}':
        case ']':
        case ')':
            if (--depth == 0) {
                return p + 1;
            }
            break;
        }
    }

    return NULL;
}


static void
klaviyo_datalayer_keep(klaviyo_page_t *page, const klaviyo_slice_t *text,
    const klaviyo_slice_t *told)
{
    size_t                 i;
    klaviyo_slice_t        copy, value, event;
    klaviyo_scan_seen_t    seen;
    klaviyo_jsonld_node_t  node, ecommerce;

    copy = *text;

    if (!klaviyo_scan_check(&copy, &seen)
        || !klaviyo_jsonld_open(&node, &copy))
    {
        return;
    }

    if (told) {
        event = *told;

    } else if (!klaviyo_datalayer_member(&node, "event", &event)
               || klaviyo_scan_type(event.data) != KLAVIYO_SCAN_STRING)
    {
        memset(&event, 0, sizeof(klaviyo_slice_t));
    }

    if (!klaviyo_datalayer_member(&node, "ecommerce", &value)
        || !klaviyo_jsonld_open(&ecommerce, &value))
    {
        ecommerce.n = 0;
    }

    for (i = 0; i < KLAVIYO_DATALAYER_EVENTS; i++) {

        if (klaviyo_datalayer_is(&event, klaviyo_datalayer_events[i].event)
            || (klaviyo_datalayer_events[i].action
                && klaviyo_datalayer_member(&ecommerce,
                                        klaviyo_datalayer_events[i].action,
                                        &value)
                && klaviyo_scan_type(value.data) <= KLAVIYO_SCAN_ARRAY))
        {
            value = page->push[klaviyo_datalayer_events[i].push];

            if (value.len == 0) {
                page->push[klaviyo_datalayer_events[i].push] =
                               klaviyo_page_keep(page, copy.data, copy.len);
            }

            return;
        }
    }
}


static int
klaviyo_datalayer_member(const klaviyo_jsonld_node_t *node, const char *name,
    klaviyo_slice_t *value)
{
    size_t  i, len;

    len = strlen(name);

    for (i = 0; i < node->n; i++) {

        if (node->member[i].name.len == len
            && memcmp(node->member[i].name.data, name, len) == 0)
        {
            *value = node->member[i].value;
            return 1;
        }
    }

    return 0;
}


/*
 * The object that says what was pushed, and, in the form before GA4, the
 * action in it, which has no members otherwise.
 */

static int
klaviyo_datalayer_open(klaviyo_page_t *page, klaviyo_page_push_e push,
    klaviyo_jsonld_node_t *node, klaviyo_jsonld_node_t *action)
{
    size_t           i;
    klaviyo_slice_t  value;

    action->n = 0;

    if (!klaviyo_jsonld_open(node, &page->push[push])) {
        return 0;
    }

    if (klaviyo_datalayer_member(node, "ecommerce", &value)
        && klaviyo_scan_type(value.data) == KLAVIYO_SCAN_OBJECT)
    {
        klaviyo_jsonld_open(node, &value);
    }

    for (i = 0; i < KLAVIYO_DATALAYER_EVENTS; i++) {

        if (klaviyo_datalayer_events[i].push == push
            && klaviyo_datalayer_events[i].action
            && klaviyo_datalayer_member(node,
                                        klaviyo_datalayer_events[i].action,
                                        &value))
        {
            klaviyo_jsonld_open(action, &value);
        }
    }

    return 1;
}


static void
klaviyo_datalayer_get(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    const char *one, const char *two, klaviyo_slice_t *text)
{
    if (!klaviyo_jsonld_get(&page->pool, node, one, text)
        && (two == NULL
            || !klaviyo_jsonld_get(&page->pool, node, two, text)))
    {
        text->len = 0;
    }
}


static void
klaviyo_datalayer_item(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    klaviyo_page_item_t *item)
{
    size_t  i;

    static const char  *categories[] = {
        "item_category", "item_category2", "item_category3",
        "item_category4", "item_category5"
    };

    memset(item, 0, sizeof(klaviyo_page_item_t));

    klaviyo_datalayer_get(page, node, "item_name", "name", &item->name);
    klaviyo_datalayer_get(page, node, "item_id", "id", &item->id);
    klaviyo_datalayer_get(page, node, "item_sku", "sku", &item->sku);
    klaviyo_datalayer_get(page, node, "item_brand", "brand", &item->brand);
    klaviyo_datalayer_get(page, node, "price", NULL, &item->price);
    klaviyo_datalayer_get(page, node, "quantity", NULL, &item->quantity);

    for (i = 0; i < sizeof(categories) / sizeof(categories[0]); i++) {
        klaviyo_datalayer_get(page, node, categories[i],
                              i ? NULL : "category", &item->category[i]);
    }
}


static void
klaviyo_datalayer_items(klaviyo_jsonld_each_t *each,
    const klaviyo_jsonld_node_t *node, const klaviyo_jsonld_node_t *action)
{
    if (action->n) {
        klaviyo_jsonld_each(each, action, "products");

    } else {
        klaviyo_jsonld_each(each, node, "items");
    }
}


static void
klaviyo_datalayer_currency(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_slice_t *currency)
{
    klaviyo_datalayer_get(page, node, "currency", "currencyCode", currency);
}


void
klaviyo_page_push_product(klaviyo_page_t *page)
{
    size_t                  i;
    klaviyo_slice_t         value, currency;
    klaviyo_page_item_t     item;
    klaviyo_page_text_t     text;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node, action, inner;

    if (!klaviyo_datalayer_open(page, KLAVIYO_PAGE_PUSH_PRODUCT, &node,
                                &action))
    {
        return;
    }

    klaviyo_datalayer_items(&each, &node, &action);

    if (!klaviyo_jsonld_next(&each, &value)
        || !klaviyo_jsonld_open(&inner, &value))
    {
        return;
    }

    klaviyo_datalayer_item(page, &inner, &item);
    klaviyo_datalayer_currency(page, &node, &currency);

    if (currency.len == 0) {
        klaviyo_datalayer_currency(page, &inner, &currency);
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_NAME, &item.name);
    klaviyo_page_set(page, KLAVIYO_PAGE_PRODUCT_ID, &item.id);
    klaviyo_page_set(page, KLAVIYO_PAGE_SKU, &item.sku);
    klaviyo_page_set(page, KLAVIYO_PAGE_BRAND, &item.brand);

    klaviyo_page_set_amount(page, KLAVIYO_PAGE_PRICE, &item.price, &currency);
    klaviyo_page_set(page, KLAVIYO_PAGE_CURRENCY, &currency);

    if (page->fact[KLAVIYO_PAGE_CATEGORIES].len || item.category[0].len == 0)
    {
        return;
    }

    if (item.category[1].len == 0) {
        klaviyo_page_category(page, &item.category[0]);
        return;
    }

    klaviyo_page_text_init(&text, &page->pool, page->size);

    for (i = 0; i < sizeof(item.category) / sizeof(item.category[0]); i++) {

        if (item.category[i].len) {
            klaviyo_page_text_raw(&text, i ? "," : "[", 1);
            klaviyo_page_text_string(&text, item.category[i].data,
                                     item.category[i].len);
        }
    }

    klaviyo_page_text_literal(&text, "]");

    if (!text.cut) {
        page->fact[KLAVIYO_PAGE_CATEGORIES].data = text.data;
        page->fact[KLAVIYO_PAGE_CATEGORIES].len = text.len;
    }
}


void
klaviyo_page_push_order(klaviyo_page_t *page, klaviyo_page_push_e push)
{
    klaviyo_slice_t         value, text, currency, *id;
    klaviyo_page_item_t     item;
    klaviyo_page_list_t     list;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node, action, field, inner;

    if (!klaviyo_datalayer_open(page, push, &node, &action)) {
        return;
    }

    field.n = 0;

    if (klaviyo_datalayer_member(&action, "actionField", &value)) {
        klaviyo_jsonld_open(&field, &value);
    }

    klaviyo_datalayer_get(page, field.n ? &field : &node,
                          field.n ? "id" : "transaction_id", NULL, &text);
    klaviyo_page_set(page, KLAVIYO_PAGE_ORDER_ID, &text);

    id = &page->fact[KLAVIYO_PAGE_ORDER_ID];

    if (text.len && (text.len != id->len
                     || memcmp(text.data, id->data, id->len) != 0))
    {
        return;
    }

    klaviyo_datalayer_currency(page, &node, &currency);
    klaviyo_datalayer_items(&each, &node, &action);

    while (currency.len == 0 && klaviyo_jsonld_next(&each, &value)) {
        if (klaviyo_jsonld_open(&inner, &value)) {
            klaviyo_datalayer_currency(page, &inner, &currency);
        }
    }

    if (page->fact[KLAVIYO_PAGE_TOTAL].len == 0 && currency.len) {
        page->fact[KLAVIYO_PAGE_CURRENCY].len = 0;
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_CURRENCY, &currency);

    klaviyo_datalayer_get(page, field.n ? &field : &node,
                          field.n ? "revenue" : "value", NULL, &text);
    klaviyo_page_set_amount(page, KLAVIYO_PAGE_TOTAL, &text, &currency);

    klaviyo_page_list_init(page, &list);

    klaviyo_datalayer_items(&each, &node, &action);

    while (klaviyo_jsonld_next(&each, &value)) {

        if (klaviyo_jsonld_open(&inner, &value)) {
            klaviyo_datalayer_item(page, &inner, &item);
            klaviyo_page_list_add(page, &list, &item, &currency);
        }
    }

    klaviyo_page_list_end(page, &list);
}
