/*
 * The facts of an order, and its items under Klaviyo's names:
 *
 *     [{"ProductID":"7","SKU":"L-7","ProductName":"Lamp","Quantity":2,
 *       "ItemPrice":19.90,"Categories":["Lamps"],"Brand":"Acme",
 *       "ProductURL":"https://…","ImageURL":"https://…"}]
 */


#include <string.h>

#include "klaviyo_order.h"
#include "klaviyo_page_facts.h"


static void klaviyo_order_items(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *order, const char *name,
    klaviyo_page_list_t *list, const klaviyo_slice_t *currency);
static void klaviyo_order_item(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, klaviyo_page_item_t *item,
    size_t depth);
static void klaviyo_order_member(klaviyo_page_text_t *text, const char *name,
    const klaviyo_slice_t *value);
static void klaviyo_order_number(klaviyo_page_t *page,
    klaviyo_page_text_t *text, const char *name, const klaviyo_slice_t *value,
    const klaviyo_slice_t *currency);


static const char  *klaviyo_order_names[] = { "name", NULL };
static const char  *klaviyo_order_values[] = { "value", "price", "name",
                                               NULL };
static const char  *klaviyo_order_urls[] = { "url", "contentUrl", "@id",
                                             NULL };


void
klaviyo_page_order(klaviyo_page_t *page, const klaviyo_slice_t *value)
{
    size_t                  i;
    klaviyo_slice_t         text, inner, currency;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node, other;
    klaviyo_page_list_t     list;

    static const char  *ids[] = { "orderNumber", "confirmationNumber",
                                  "identifier" };
    static const char  *totals[] = { "price", "totalPrice", "totalPaymentDue",
                                     "total" };
    static const char  *invoices[] = { "partOfInvoice", "priceSpecification" };

    klaviyo_jsonld_open(&node, value);

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {

        if (klaviyo_page_get(page, &node, ids[i], klaviyo_order_values,
                             &text))
        {
            klaviyo_page_set(page, KLAVIYO_PAGE_ORDER_ID, &text);
        }
    }

    currency.len = 0;
    currency.data = NULL;

    (void) klaviyo_jsonld_get(&page->pool, &node, "priceCurrency", &currency);

    text.len = 0;

    for (i = 0; i < sizeof(totals) / sizeof(totals[0]) && text.len == 0; i++)
    {
        if (!klaviyo_page_get(page, &node, totals[i], klaviyo_order_values,
                              &text))
        {
            text.len = 0;
            continue;
        }

        if (currency.len == 0) {
            klaviyo_jsonld_each(&each, &node, totals[i]);

            if (klaviyo_jsonld_next(&each, &inner)
                && klaviyo_jsonld_open(&other, &inner))
            {
                (void) (klaviyo_jsonld_get(&page->pool, &other,
                                           "priceCurrency", &currency)
                        || klaviyo_jsonld_get(&page->pool, &other,
                                              "currency", &currency));
            }
        }
    }

    for (i = 0; i < 2 && text.len == 0; i++) {

        klaviyo_jsonld_each(&each, &node, invoices[i]);

        while (klaviyo_jsonld_next(&each, &inner) && text.len == 0) {

            if (!klaviyo_jsonld_open(&other, &inner)) {
                continue;
            }

            if (!klaviyo_page_get(page, &other, "totalPaymentDue",
                                  klaviyo_order_values, &text)
                && !klaviyo_jsonld_get(&page->pool, &other, "price", &text))
            {
                text.len = 0;
            }

            if (currency.len == 0) {
                (void) klaviyo_jsonld_get(&page->pool, &other,
                                          "priceCurrency", &currency);
            }
        }
    }

    /* the first offer knows the currency, if nothing else does */

    if (currency.len == 0) {
        klaviyo_jsonld_each(&each, &node, "acceptedOffer");

        while (klaviyo_jsonld_next(&each, &inner) && currency.len == 0) {

            if (!klaviyo_jsonld_open(&other, &inner)
                || !klaviyo_jsonld_get(&page->pool, &other, "priceCurrency",
                                       &currency))
            {
                currency.len = 0;
            }
        }
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_CURRENCY, &currency);
    klaviyo_page_set_amount(page, KLAVIYO_PAGE_TOTAL, &text, &currency);

    klaviyo_page_list_init(page, &list);

    klaviyo_order_items(page, &node, "acceptedOffer", &list, &currency);

    if (list.n == 0) {
        klaviyo_order_items(page, &node, "orderedItem", &list, &currency);
    }

    klaviyo_page_list_end(page, &list);
}


static void
klaviyo_order_items(klaviyo_page_t *page, const klaviyo_jsonld_node_t *order,
    const char *name, klaviyo_page_list_t *list,
    const klaviyo_slice_t *currency)
{
    klaviyo_slice_t         value;
    klaviyo_page_item_t     item;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node;

    klaviyo_jsonld_each(&each, order, name);

    while (klaviyo_jsonld_next(&each, &value)) {

        if (klaviyo_jsonld_open(&node, &value)) {
            memset(&item, 0, sizeof(klaviyo_page_item_t));
            klaviyo_order_item(page, &node, &item, 0);
            klaviyo_page_list_add(page, list, &item, currency);
        }
    }
}


static void
klaviyo_order_get(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    const char *name, const char *const *inner, klaviyo_slice_t *text)
{
    if (text->len == 0 && !klaviyo_page_get(page, node, name, inner, text)) {
        text->len = 0;
    }
}


/*
 * An Offer or an OrderItem has a product in it; what it says itself goes
 * before.
 */

static void
klaviyo_order_item(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    klaviyo_page_item_t *item, size_t depth)
{
    size_t                  i;
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   other;

    static const char  *inner[] = { "itemOffered", "orderedItem", "offers" };

    klaviyo_order_get(page, node, "price", klaviyo_order_values,
                      &item->price);
    klaviyo_order_get(page, node, "eligibleQuantity", klaviyo_order_values,
                      &item->quantity);
    klaviyo_order_get(page, node, "orderQuantity", klaviyo_order_values,
                      &item->quantity);
    klaviyo_order_get(page, node, "sku", klaviyo_order_values, &item->sku);
    klaviyo_order_get(page, node, "productID", klaviyo_order_values,
                      &item->id);
    klaviyo_order_get(page, node, "brand", klaviyo_order_names, &item->brand);
    klaviyo_order_get(page, node, "image", klaviyo_order_urls, &item->image);

    for (i = 0; depth < 2 && i < sizeof(inner) / sizeof(inner[0]); i++) {

        klaviyo_jsonld_each(&each, node, inner[i]);

        while (klaviyo_jsonld_next(&each, &value)) {

            if (klaviyo_jsonld_open(&other, &value)) {
                klaviyo_order_item(page, &other, item, depth + 1);
            }
        }
    }

    klaviyo_order_get(page, node, "name", klaviyo_order_names, &item->name);
    klaviyo_order_get(page, node, "url", klaviyo_order_urls, &item->url);
}


void
klaviyo_page_list_init(klaviyo_page_t *page, klaviyo_page_list_t *list)
{
    klaviyo_page_text_init(&list->items, &page->pool, page->size);
    klaviyo_page_text_init(&list->names, &page->pool, page->size);

    list->n = 0;
}


void
klaviyo_page_list_add(klaviyo_page_t *page, klaviyo_page_list_t *list,
    const klaviyo_page_item_t *item, const klaviyo_slice_t *currency)
{
    size_t                 i, n;
    klaviyo_page_text_t   *text;

    if (list->n == KLAVIYO_PAGE_ITEMS_MAX
        || (item->name.len == 0 && item->id.len == 0 && item->sku.len == 0))
    {
        return;
    }

    text = &list->items;

    klaviyo_page_text_raw(text, list->n ? "," : "[", 1);
    klaviyo_page_text_literal(text, "{");

    klaviyo_order_member(text, "ProductID",
                         item->id.len ? &item->id : &item->sku);
    klaviyo_order_member(text, "SKU", &item->sku);
    klaviyo_order_member(text, "ProductName", &item->name);
    klaviyo_order_number(page, text, "Quantity", &item->quantity, NULL);
    klaviyo_order_number(page, text, "ItemPrice", &item->price, currency);

    for (i = 0, n = 0; i < sizeof(item->category) / sizeof(item->category[0]);
         i++)
    {
        if (item->category[i].len) {

            if (n++) {
                klaviyo_page_text_literal(text, ",");

            } else {
                klaviyo_page_text_literal(text, ",\"Categories\":[");
            }

            klaviyo_page_text_string(text, item->category[i].data,
                                     item->category[i].len);
        }
    }

    if (n) {
        klaviyo_page_text_literal(text, "]");
    }

    klaviyo_order_member(text, "Brand", &item->brand);
    klaviyo_order_member(text, "ProductURL", &item->url);
    klaviyo_order_member(text, "ImageURL", &item->image);

    klaviyo_page_text_literal(text, "}");

    if (item->name.len) {
        klaviyo_page_text_raw(&list->names, list->names.len ? "," : "[", 1);
        klaviyo_page_text_string(&list->names, item->name.data,
                                 item->name.len);
    }

    list->n++;
}


static void
klaviyo_order_name(klaviyo_page_text_t *text, const char *name)
{
    if (text->len && text->data[text->len - 1] != '{') {
        klaviyo_page_text_literal(text, ",");
    }

    klaviyo_page_text_literal(text, "\"");
    klaviyo_page_text_raw(text, name, strlen(name));
    klaviyo_page_text_literal(text, "\":");
}


static void
klaviyo_order_member(klaviyo_page_text_t *text, const char *name,
    const klaviyo_slice_t *value)
{
    if (value->len) {
        klaviyo_order_name(text, name);
        klaviyo_page_text_string(text, value->data, value->len);
    }
}


/* what is no number stays the text that it is */

static void
klaviyo_order_number(klaviyo_page_t *page, klaviyo_page_text_t *text,
    const char *name, const klaviyo_slice_t *value,
    const klaviyo_slice_t *currency)
{
    klaviyo_slice_t  none, amount;

    if (value->len == 0) {
        return;
    }

    none.data = NULL;
    none.len = 0;

    if (klaviyo_page_amount(page, value, currency ? currency : &none,
                            &amount))
    {
        klaviyo_order_name(text, name);
        klaviyo_page_text_raw(text, amount.data, amount.len);

    } else {
        klaviyo_order_member(text, name, value);
    }
}


void
klaviyo_page_list_end(klaviyo_page_t *page, klaviyo_page_list_t *list)
{
    if (list->items.len) {
        klaviyo_page_text_literal(&list->items, "]");

        if (!list->items.cut && page->fact[KLAVIYO_PAGE_ITEMS].len == 0) {
            page->fact[KLAVIYO_PAGE_ITEMS].data = list->items.data;
            page->fact[KLAVIYO_PAGE_ITEMS].len = list->items.len;
        }
    }

    if (list->names.len) {
        klaviyo_page_text_literal(&list->names, "]");

        if (!list->names.cut && page->fact[KLAVIYO_PAGE_ITEM_NAMES].len == 0) {
            page->fact[KLAVIYO_PAGE_ITEM_NAMES].data = list->names.data;
            page->fact[KLAVIYO_PAGE_ITEM_NAMES].len = list->names.len;
        }
    }
}
