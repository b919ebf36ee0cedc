/*
 * Keeps what a page says, and sorts out what it is when the page is over.
 */


#define _GNU_SOURCE

#include <string.h>

#include "klaviyo_page.h"
#include "klaviyo_breadcrumb.h"
#include "klaviyo_datalayer.h"
#include "klaviyo_econtext.h"
#include "klaviyo_entity.h"
#include "klaviyo_order.h"
#include "klaviyo_page_facts.h"
#include "klaviyo_page_private.h"
#include "klaviyo_product.h"
#include "json/klaviyo_amount.h"


static void *klaviyo_page_alloc(void *data, size_t size);
static void klaviyo_page_found(void *data, klaviyo_html_found_e what,
    const uint8_t *name, size_t name_len, const uint8_t *value,
    size_t value_len);
static void klaviyo_page_found_meta(klaviyo_page_t *page, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len);
static void klaviyo_page_found_jsonld(klaviyo_page_t *page,
    const uint8_t *value, size_t value_len);
static int klaviyo_page_is_titled(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node);
static int klaviyo_page_met(void *data, const klaviyo_jsonld_node_t *node,
    const klaviyo_slice_t *value);
static void klaviyo_page_decide(klaviyo_page_t *page);
static klaviyo_slice_t klaviyo_page_way(klaviyo_page_t *page,
    klaviyo_page_nodes_t *jsonld, klaviyo_page_nodes_t *micro, int product);
static int klaviyo_page_decide_product(klaviyo_page_t *page,
    klaviyo_page_nodes_t *jsonld, klaviyo_page_nodes_t *micro);
static void klaviyo_page_name(klaviyo_page_t *page,
    const klaviyo_slice_t *value, const char *name);
static void klaviyo_page_jsonld(klaviyo_page_t *page);


typedef struct {
    klaviyo_page_t           *page;
    klaviyo_page_nodes_t      nodes;
} klaviyo_page_meeting_t;


#define klaviyo_page_meta_name(constant, name)  { name, sizeof(name) - 1 },

static const struct {
    const char  *name;
    size_t       len;
} klaviyo_page_metas[] = {
    KLAVIYO_PAGE_METAS(klaviyo_page_meta_name)
};

#undef klaviyo_page_meta_name


klaviyo_page_t *
klaviyo_page_create(unsigned want, size_t size,
    const klaviyo_page_request_t *request, klaviyo_html_alloc_pt alloc,
    void *data)
{
    klaviyo_page_t  *page;

    page = alloc(data, sizeof(klaviyo_page_t));
    if (page == NULL) {
        return NULL;
    }

    memset(page, 0, sizeof(klaviyo_page_t));

    page->pool.alloc = alloc;
    page->pool.data = data;
    page->want = want;
    page->size = size < KLAVIYO_PAGE_KEPT ? size : KLAVIYO_PAGE_KEPT;
    page->request = *request;

    klaviyo_page_url_parse(&page->url, request->uri.data, request->uri.len);

    page->url.scheme = request->scheme;
    page->url.host = request->host;

    klaviyo_microdata_init(&page->micro, &page->pool, page->size);

    page->html = klaviyo_html_init(want, size, request->charset,
                                   klaviyo_page_found, klaviyo_page_alloc,
                                   page);

    return page->html ? page : NULL;
}


static void *
klaviyo_page_alloc(void *data, size_t size)
{
    klaviyo_page_t  *page = data;

    void  *p;

    p = page->pool.alloc(page->pool.data, size);

    if (p == NULL) {
        page->pool.failed = 1;
    }

    return p;
}


int
klaviyo_page_feed(klaviyo_page_t *page, const uint8_t *p, size_t len)
{
    return klaviyo_html_feed(page->html, p, len) == -1 || page->pool.failed
           ? -1 : 0;
}


int
klaviyo_page_end(klaviyo_page_t *page)
{
    size_t  i;

    if (page->ended) {
        return page->pool.failed ? -1 : 0;
    }

    page->ended = 1;

    klaviyo_html_end(page->html);
    klaviyo_microdata_end(&page->micro, &page->microdata);

    klaviyo_page_decide(page);

    if (page->pool.failed) {
        for (i = 0; i < KLAVIYO_PAGE_N; i++) {
            page->fact[i].len = 0;
        }

        return -1;
    }

    return 0;
}


const klaviyo_slice_t *
klaviyo_page_fact(klaviyo_page_t *page, klaviyo_page_fact_e fact)
{
    if (fact == KLAVIYO_PAGE_JSONLD && page->ended
        && page->fact[fact].len == 0 && !page->pool.failed)
    {
        klaviyo_page_jsonld(page);
    }

    return &page->fact[fact];
}


size_t
klaviyo_page_unreadable(const klaviyo_page_t *page)
{
    return klaviyo_html_unreadable(page->html);
}


unsigned
klaviyo_page_broken(const klaviyo_page_t *page)
{
    return page->broken + klaviyo_html_lost(page->html);
}


static void
klaviyo_page_found(void *data, klaviyo_html_found_e what, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len)
{
    klaviyo_page_t  *page = data;

    klaviyo_slice_t  text;

    switch (what) {

    case KLAVIYO_HTML_FOUND_META:
        klaviyo_page_found_meta(page, name, name_len, value, value_len);
        break;

    case KLAVIYO_HTML_FOUND_CANONICAL:
        if (page->canonical.path.data == NULL && value_len) {
            text = klaviyo_page_keep(page, value, value_len);

            if (text.len) {
                klaviyo_page_url_parse(&page->canonical, text.data, text.len);
                klaviyo_page_set_url(page, KLAVIYO_PAGE_CANONICAL, &text);
            }
        }
        break;

    case KLAVIYO_HTML_FOUND_TITLE:
        text = klaviyo_page_keep(page, value, value_len);
        klaviyo_page_set(page, KLAVIYO_PAGE_TITLE, &text);
        break;

    case KLAVIYO_HTML_FOUND_JSONLD:
        klaviyo_page_found_jsonld(page, value, value_len);
        break;

    case KLAVIYO_HTML_FOUND_DATALAYER:
        klaviyo_page_datalayer(page, value, value_len);
        break;

    case KLAVIYO_HTML_FOUND_ECONTEXT:
        klaviyo_page_econtext(page, value, value_len);
        break;

    case KLAVIYO_HTML_FOUND_ITEM:
        klaviyo_microdata_item(&page->micro, name, name_len, value,
                               value_len);
        break;

    case KLAVIYO_HTML_FOUND_ITEM_END:
        klaviyo_microdata_item_end(&page->micro);
        break;

    case KLAVIYO_HTML_FOUND_PROPERTY:
        klaviyo_microdata_property(&page->micro, name, name_len, value,
                                   value_len);
        break;
    }
}


static void
klaviyo_page_found_meta(klaviyo_page_t *page, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len)
{
    size_t  i;

    if (name_len < 7 || value_len == 0
        || (name[0] != 'o' && name[0] != 'p'))
    {
        return;
    }

    for (i = 0; i < KLAVIYO_PAGE_META_N; i++) {

        if (klaviyo_page_metas[i].len == name_len
            && memcmp(klaviyo_page_metas[i].name, name, name_len) == 0)
        {
            if (page->meta[i].len == 0) {
                page->meta[i] = klaviyo_page_keep(page, value, value_len);
            }

            return;
        }
    }
}


/*
 * A block that is encoded as HTML text would be is read as it was meant: as a
 * whole, since of one with quotes of its own only what a visitor wrote may be
 * encoded, and would become a part of the block.
 */

static void
klaviyo_page_found_jsonld(klaviyo_page_t *page, const uint8_t *value,
    size_t value_len)
{
    klaviyo_slice_t  text, copy;

    if (page->nblocks == KLAVIYO_PAGE_BLOCKS) {
        page->broken++;
        return;
    }

    text.data = value;
    text.len = value_len;

    if (klaviyo_jsonld_check(&text)) {
        copy = klaviyo_page_keep(page, text.data, text.len);

    } else {
        if (memchr(text.data, '"', text.len) != NULL
            || (memmem(value, value_len, "&quot;", 6) == NULL
                && memmem(value, value_len, "&#34;", 5) == NULL))
        {
            page->broken++;
            return;
        }

        copy = klaviyo_page_keep(page, value, value_len);
        copy.len = klaviyo_html_decode((uint8_t *) copy.data, copy.len);

        if (!klaviyo_jsonld_check(&copy)) {
            page->broken++;
            return;
        }
    }

    if (copy.len == 0) {
        page->broken++;
        return;
    }

    page->block[page->nblocks++] = copy;
}


/* "Lamp": the title is "Lamp | Shop" */

static int
klaviyo_page_is_titled(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node)
{
    size_t            i;
    klaviyo_slice_t   name;
    klaviyo_slice_t  *title[2];

    if (!klaviyo_jsonld_get(&page->pool, node, "name", &name)) {
        return 0;
    }

    title[0] = &page->meta[KLAVIYO_PAGE_META_OG_TITLE];
    title[1] = &page->fact[KLAVIYO_PAGE_TITLE];

    for (i = 0; i < 2; i++) {

        if (title[i]->len >= name.len
            && memcmp(title[i]->data, name.data, name.len) == 0
            && (title[i]->len == name.len || title[i]->data[name.len] <= ' '))
        {
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_page_met(void *data, const klaviyo_jsonld_node_t *node,
    const klaviyo_slice_t *value)
{
    klaviyo_page_meeting_t *meeting = data;

    int                     score, named;
    size_t                  i;
    klaviyo_slice_t         item;
    klaviyo_page_nodes_t   *nodes;
    klaviyo_jsonld_each_t   each;

    static const char  *collections[] = { "CollectionPage", "OfferCatalog",
                                          "ProductCollection" };
    static const char  *articles[] = { "Article", "NewsArticle",
                                       "BlogPosting", "TechArticle",
                                       "Report", "LiveBlogPosting" };

    nodes = &meeting->nodes;

    if (klaviyo_page_product_score(meeting->page, node, &score, &named)) {

        if (!named) {
            nodes->unnamed++;

            if (klaviyo_page_is_titled(meeting->page, node)) {
                nodes->titled = *value;
                nodes->ntitled++;
            }
        }

        klaviyo_jsonld_each(&each, node, "isVariantOf");

        nodes->less += score == KLAVIYO_PAGE_URL_LESS
                       && !klaviyo_jsonld_next(&each, &item);

        if (score > nodes->score) {
            nodes->score = score;
            nodes->product = *value;
        }

        if (score && nodes->n < KLAVIYO_PAGE_PRODUCTS) {
            nodes->others[nodes->n].value = *value;
            nodes->others[nodes->n++].score = score;
        }

        return 1;
    }

    if (klaviyo_jsonld_is(node, "BreadcrumbList")) {
        klaviyo_jsonld_each(&each, node, "itemListElement");

        if (nodes->nbreadcrumbs < KLAVIYO_PAGE_BREADCRUMBS
            && klaviyo_jsonld_next(&each, &item))
        {
            nodes->breadcrumb[nodes->nbreadcrumbs++] = *value;
        }

        return 1;
    }

    if (klaviyo_jsonld_is(node, "Order")) {
        if (nodes->order.len == 0) {
            nodes->order = *value;
        }

        return 1;
    }

    nodes->search |= klaviyo_jsonld_is(node, "SearchResultsPage");
    nodes->checkout |= klaviyo_jsonld_is(node, "CheckoutPage");
    nodes->list |= klaviyo_jsonld_is(node, "ItemList");

    for (i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {

        if (klaviyo_jsonld_is(node, collections[i])) {
            nodes->collection = 1;

            if (nodes->category.len == 0) {
                nodes->category = *value;
            }
        }
    }

    for (i = 0; i < sizeof(articles) / sizeof(articles[0]); i++) {

        if (nodes->article.len == 0 && klaviyo_jsonld_is(node, articles[i])) {
            nodes->article = *value;
        }
    }

    return 1;
}


static void
klaviyo_page_type(klaviyo_page_t *page, const char *type)
{
    page->fact[KLAVIYO_PAGE_TYPE].data = (const uint8_t *) type;
    page->fact[KLAVIYO_PAGE_TYPE].len = strlen(type);
}


static int
klaviyo_page_og_is(klaviyo_page_t *page, const char *type)
{
    klaviyo_slice_t  *text;

    text = &page->meta[KLAVIYO_PAGE_META_OG_TYPE];

    return text->len == strlen(type)
           && memcmp(text->data, type, text->len) == 0;
}


/* the first of these that the page is */

static void
klaviyo_page_decide(klaviyo_page_t *page)
{
    size_t                  i;
    klaviyo_slice_t        *value;
    klaviyo_slice_t         url, last;
    klaviyo_page_nodes_t   *jsonld, *micro;
    klaviyo_page_meeting_t  meeting[2];

    memset(meeting, 0, sizeof(meeting));

    meeting[0].page = page;
    meeting[1].page = page;

    jsonld = &meeting[0].nodes;
    micro = &meeting[1].nodes;

    for (i = 0; i < page->nblocks; i++) {
        klaviyo_jsonld_walk(&page->block[i], klaviyo_page_met, &meeting[0]);
    }

    if (page->econtext.len) {
        klaviyo_jsonld_walk(&page->econtext, klaviyo_page_met, &meeting[0]);
    }

    if (page->microdata.len) {
        klaviyo_jsonld_walk(&page->microdata, klaviyo_page_met, &meeting[1]);
    }

    /* the arguments of a request are not a page's */

    klaviyo_page_set(page, KLAVIYO_PAGE_URL,
                     &page->fact[KLAVIYO_PAGE_CANONICAL]);

    if (page->url.path.len) {
        url = page->url.path;
        klaviyo_page_set_url(page, KLAVIYO_PAGE_URL, &url);
    }

    value = jsonld->order.len ? &jsonld->order : &micro->order;

    if (value->len || page->push[KLAVIYO_PAGE_PUSH_ORDER].len) {
        klaviyo_page_type(page, "order");

        if (value->len) {
            klaviyo_page_order(page, value);
        }

        klaviyo_page_push_order(page, KLAVIYO_PAGE_PUSH_ORDER);

        return;
    }

    if (klaviyo_page_decide_product(page, jsonld, micro)) {
        klaviyo_page_type(page, "product");
        (void) klaviyo_page_way(page, jsonld, micro, 1);
        return;
    }

    last = klaviyo_page_way(page, jsonld, micro, 0);

    if (jsonld->checkout || micro->checkout
        || page->push[KLAVIYO_PAGE_PUSH_CHECKOUT].len)
    {
        klaviyo_page_type(page, "checkout");
        klaviyo_page_push_order(page, KLAVIYO_PAGE_PUSH_CHECKOUT);
        return;
    }

    if (jsonld->search || micro->search
        || page->push[KLAVIYO_PAGE_PUSH_SEARCH].len)
    {
        klaviyo_page_type(page, "search");
        return;
    }

    value = jsonld->article.len ? &jsonld->article : &micro->article;

    if (jsonld->collection || micro->collection
        || ((jsonld->list || micro->list) && value->len == 0)
        || page->push[KLAVIYO_PAGE_PUSH_CATEGORY].len
        || klaviyo_page_og_is(page, "product.group")
        || klaviyo_page_og_is(page, "product:group"))
    {
        klaviyo_page_type(page, "category");

        klaviyo_page_set(page, KLAVIYO_PAGE_NAME, &last);
        klaviyo_page_name(page, jsonld->category.len ? &jsonld->category
                                                     : &micro->category,
                          "name");
        return;
    }

    if (value->len || klaviyo_page_og_is(page, "article")) {
        klaviyo_page_type(page, "article");
        klaviyo_page_name(page, value, "headline");
        klaviyo_page_name(page, value, "name");
    }
}


/* the first of the ways to the page that has categories goes */

static klaviyo_slice_t
klaviyo_page_way(klaviyo_page_t *page, klaviyo_page_nodes_t *jsonld,
    klaviyo_page_nodes_t *micro, int product)
{
    size_t                 i;
    klaviyo_slice_t        last, own;
    klaviyo_page_nodes_t  *nodes;

    last.data = NULL;
    last.len = 0;

    nodes = jsonld->nbreadcrumbs ? jsonld : micro;
    own = page->fact[KLAVIYO_PAGE_CATEGORIES];

    for (i = 0;
         i < nodes->nbreadcrumbs
         && page->fact[KLAVIYO_PAGE_CATEGORIES].data == own.data;
         i++)
    {
        last = klaviyo_page_breadcrumb(page, &nodes->breadcrumb[i], product);
    }

    return last;
}


/*
 * A product that names no URL, or one with more arguments than the page has,
 * is this page's, unless the page is a list of products.  Of several that have
 * more arguments, and of several in microdata without a URL, nobody knows which
 * one it is, unless the page's title says so.
 */

static int
klaviyo_page_is_product(klaviyo_page_t *page,
    const klaviyo_page_nodes_t *nodes, int alone, int list)
{
    if (nodes->score > KLAVIYO_PAGE_URL_LESS) {
        return 1;
    }

    if (nodes->score == 0 || list) {
        return 0;
    }

    if (nodes->score == KLAVIYO_PAGE_URL_LESS) {
        alone = nodes->less < 2;
    }

    return alone || klaviyo_page_meta_is_product(page);
}


static int
klaviyo_page_decide_product(klaviyo_page_t *page,
    klaviyo_page_nodes_t *jsonld, klaviyo_page_nodes_t *micro)
{
    int                    product, list, alone;
    size_t                 i;
    klaviyo_page_nodes_t  *nodes;

    product = 0;

    list = jsonld->collection || micro->collection
           || jsonld->search || micro->search
           || (page->push[KLAVIYO_PAGE_PUSH_CATEGORY].len
               && page->push[KLAVIYO_PAGE_PUSH_PRODUCT].len == 0);

    nodes = jsonld->score ? jsonld : micro;

    alone = nodes == jsonld || nodes->unnamed < 2;

    if (!alone && nodes->score == 1 && nodes->ntitled == 1) {
        nodes->product = nodes->titled;
        alone = 1;
    }

    if (klaviyo_page_is_product(page, nodes, alone, list)) {
        klaviyo_page_product(page, &nodes->product);
        product = 1;

        for (i = 0; nodes == jsonld && i < nodes->n; i++) {

            if (nodes->others[i].value.data != nodes->product.data
                && klaviyo_page_product_is_same(page, &nodes->product,
                                                nodes->score,
                                                &nodes->others[i].value,
                                                nodes->others[i].score))
            {
                klaviyo_page_product(page, &nodes->others[i].value);
            }
        }

        if (nodes == jsonld && page->fact[KLAVIYO_PAGE_NAME].len == 0
            && micro->score > 1)
        {
            klaviyo_page_product(page, &micro->product);
        }
    }

    if (page->push[KLAVIYO_PAGE_PUSH_PRODUCT].len) {
        klaviyo_page_push_product(page);
        product = 1;
    }

    if (product || (!list && klaviyo_page_meta_is_product(page))) {
        klaviyo_page_meta_product(page);
        return 1;
    }

    return 0;
}


static void
klaviyo_page_name(klaviyo_page_t *page, const klaviyo_slice_t *value,
    const char *name)
{
    klaviyo_slice_t        text;
    klaviyo_jsonld_node_t  node;

    if (klaviyo_jsonld_open(&node, value)) {

        if (klaviyo_jsonld_get(&page->pool, &node, name, &text)) {
            klaviyo_page_set(page, KLAVIYO_PAGE_NAME, &text);
        }

        klaviyo_page_image(page, &node);
    }

    klaviyo_page_set(page, KLAVIYO_PAGE_NAME,
                     &page->meta[KLAVIYO_PAGE_META_OG_TITLE]);

    klaviyo_page_set_url(page, KLAVIYO_PAGE_IMAGE,
                         &page->meta[KLAVIYO_PAGE_META_OG_IMAGE]);
}


/* one block as it is, several as a list */

static void
klaviyo_page_jsonld(klaviyo_page_t *page)
{
    size_t                i;
    klaviyo_page_text_t   text;

    if (page->nblocks == 0) {
        return;
    }

    if (page->nblocks == 1) {
        page->fact[KLAVIYO_PAGE_JSONLD] = page->block[0];
        return;
    }

    klaviyo_page_text_init(&text, &page->pool,
                           page->kept + KLAVIYO_PAGE_BLOCKS + 2);

    for (i = 0; i < page->nblocks; i++) {
        klaviyo_page_text_raw(&text, i ? "," : "[", 1);
        klaviyo_page_text_raw(&text, page->block[i].data,
                              page->block[i].len);
    }

    klaviyo_page_text_literal(&text, "]");

    if (!text.cut) {
        page->fact[KLAVIYO_PAGE_JSONLD].data = text.data;
        page->fact[KLAVIYO_PAGE_JSONLD].len = text.len;
    }
}
