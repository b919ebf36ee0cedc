/*
 * What is kept of a page, and the facts that are read in it.
 */


#include <string.h>

#include "klaviyo_page_facts.h"
#include "json/klaviyo_amount.h"


typedef struct {
    const klaviyo_slice_t    *id;
    klaviyo_jsonld_node_t    *found;
    size_t                    n;          /* members of what refers to it    */
} klaviyo_page_resolve_t;


static klaviyo_slice_t klaviyo_page_join(klaviyo_page_t *page,
    const klaviyo_slice_t *text, const klaviyo_slice_t *currency);
static int klaviyo_page_resolve_met(void *data,
    const klaviyo_jsonld_node_t *node, const klaviyo_slice_t *value);


klaviyo_slice_t
klaviyo_page_keep(klaviyo_page_t *page, const uint8_t *p, size_t len)
{
    uint8_t          *data;
    klaviyo_slice_t   text;

    text.data = NULL;
    text.len = 0;

    if (len == 0 || len > page->size - page->kept) {
        return text;
    }

    data = page->pool.alloc(page->pool.data, len);

    if (data == NULL) {
        page->pool.failed = 1;
        return text;
    }

    memcpy(data, p, len);

    page->kept += len;

    text.data = data;
    text.len = len;

    return text;
}


void
klaviyo_page_set(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text)
{
    if (page->fact[fact].len == 0) {
        page->fact[fact] = *text;
    }
}


void
klaviyo_page_set_url(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text)
{
    size_t               len, folder;
    uint8_t             *p;
    klaviyo_slice_t      whole;
    klaviyo_page_url_t   url, *base;

    if (page->fact[fact].len || text->len == 0) {
        return;
    }

    klaviyo_page_url_parse(&url, text->data, text->len);

    if (url.scheme.len) {
        page->fact[fact] = *text;
        return;
    }

    /* "data:", "mailto:" */

    if (url.host.len == 0 && url.path.len
        && memchr(url.path.data, ':', url.path.len) != NULL
        && url.path.data[0] != '/')
    {
        return;
    }

    base = page->canonical.host.len ? &page->canonical : &page->url;

    folder = 0;

    if (url.host.len == 0 && (url.path.len == 0 || url.path.data[0] != '/')) {

        folder = page->url.path.len;

        /* "?id=1" is of the page itself */

        while (folder && url.path.len
               && page->url.path.data[folder - 1] != '/')
        {
            folder--;
        }
    }

    len = 8 + base->scheme.len + page->request.scheme.len + base->host.len
          + folder + text->len;

    p = page->pool.alloc(page->pool.data, len);

    if (p == NULL) {
        page->pool.failed = 1;
        return;
    }

    whole.data = p;

    if (base->scheme.len) {
        memcpy(p, base->scheme.data, base->scheme.len);
        p += base->scheme.len;

    } else {
        memcpy(p, page->request.scheme.data, page->request.scheme.len);
        p += page->request.scheme.len;
    }

    *p++ = ':';

    if (url.host.len == 0) {
        *p++ = '/';
        *p++ = '/';

        memcpy(p, base->host.data, base->host.len);
        p += base->host.len;

        if (folder) {
            memcpy(p, page->url.path.data, folder);
            p += folder;
        }
    }

    memcpy(p, text->data, text->len);
    p += text->len;

    whole.len = p - whole.data;

    page->fact[fact] = whole;
}


void
klaviyo_page_set_amount(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text, const klaviyo_slice_t *currency)
{
    klaviyo_slice_t  none, amount;

    if (page->fact[fact].len || text->len == 0) {
        return;
    }

    none.data = NULL;
    none.len = 0;

    if (klaviyo_page_amount(page, text, currency, &amount)) {
        page->fact[fact] = amount;

    } else if (klaviyo_page_amount(page, text, &none, &amount)) {
        page->fact[fact] = klaviyo_page_join(page, text, currency);

    } else {
        page->fact[fact] = *text;
    }
}


/* "139.980 CLP", which nobody takes for a number */

static klaviyo_slice_t
klaviyo_page_join(klaviyo_page_t *page, const klaviyo_slice_t *text,
    const klaviyo_slice_t *currency)
{
    uint8_t          *p;
    klaviyo_slice_t   whole;

    whole.data = NULL;
    whole.len = 0;

    p = page->pool.alloc(page->pool.data, text->len + 1 + currency->len);

    if (p == NULL) {
        page->pool.failed = 1;
        return whole;
    }

    whole.data = p;
    whole.len = text->len + 1 + currency->len;

    memcpy(p, text->data, text->len);
    p[text->len] = ' ';
    memcpy(p + text->len + 1, currency->data, currency->len);

    return whole;
}


int
klaviyo_page_amount(klaviyo_page_t *page, const klaviyo_slice_t *text,
    const klaviyo_slice_t *currency, klaviyo_slice_t *amount)
{
    size_t                 len;
    uint8_t                buf[KLAVIYO_AMOUNT_LEN];
    uint8_t                code[KLAVIYO_CURRENCY_LEN];
    klaviyo_amount_form_t  form;

    memset(&form, 0, sizeof(klaviyo_amount_form_t));

    form.decimals = klaviyo_currency(currency->data, currency->len, code);

    if (form.decimals >= 0) {
        form.currency = code;
    }

    if (klaviyo_amount_read(&form, text->data, text->len, buf, &len)
        != KLAVIYO_VALUE_OK)
    {
        return 0;
    }

    if (len == text->len && memcmp(buf, text->data, len) == 0) {
        *amount = *text;
        return 1;
    }

    *amount = klaviyo_page_keep(page, buf, len);

    return amount->len != 0;
}


int
klaviyo_page_is_url(klaviyo_page_t *page, const klaviyo_slice_t *text)
{
    int                  one, two;
    klaviyo_page_url_t   url;

    klaviyo_page_url_parse(&url, text->data, text->len);

    one = klaviyo_page_url_compare(&url, &page->url);

    if (page->canonical.path.data == NULL) {
        return one;
    }

    two = klaviyo_page_url_compare(&url, &page->canonical);

    return one > two ? one : two;
}


static int
klaviyo_page_is_member(const klaviyo_jsonld_member_t *member,
    const char *name)
{
    size_t  len;

    len = strlen(name);

    return member->name.len == len
           && memcmp(member->name.data, name, len) == 0;
}


/* an object that has nothing but an "@id", and a type, stands for another */

int
klaviyo_page_open(klaviyo_page_t *page, const klaviyo_slice_t *value,
    klaviyo_jsonld_node_t *node)
{
    size_t                   i;
    klaviyo_slice_t          id;
    klaviyo_page_resolve_t   resolve;

    if (!klaviyo_jsonld_open(node, value)) {
        return 0;
    }

    id.len = 0;

    for (i = 0; i < node->n; i++) {

        if (klaviyo_page_is_member(&node->member[i], "@id")) {
            id = node->member[i].value;

        } else if (!klaviyo_page_is_member(&node->member[i], "@type")) {
            return 1;
        }
    }

    if (id.len == 0) {
        return 1;
    }

    resolve.id = &id;
    resolve.found = node;
    resolve.n = node->n;

    for (i = 0;
         i < page->nblocks && resolve.id
             && page->referred < KLAVIYO_PAGE_REFERRED;
         i++)
    {
        page->referred += page->block[i].len;
        klaviyo_jsonld_walk(&page->block[i], klaviyo_page_resolve_met,
                            &resolve);
    }

    return resolve.id == NULL || node->n > 1;
}


static int
klaviyo_page_resolve_met(void *data, const klaviyo_jsonld_node_t *node,
    const klaviyo_slice_t *value)
{
    klaviyo_page_resolve_t *resolve = data;

    size_t  i;

    (void) value;

    for (i = 0; i < node->n; i++) {

        if (node->n > resolve->n
            && klaviyo_page_is_member(&node->member[i], "@id")
            && node->member[i].value.len == resolve->id->len
            && memcmp(node->member[i].value.data, resolve->id->data,
                      resolve->id->len)
               == 0)
        {
            *resolve->found = *node;
            resolve->id = NULL;
            return 0;
        }
    }

    return 1;
}


int
klaviyo_page_get(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    const char *name, const char *const *names, klaviyo_slice_t *text)
{
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;

    klaviyo_jsonld_each(&each, node, name);

    while (klaviyo_jsonld_next(&each, &value)) {
        if (klaviyo_page_value(page, &value, names, text)) {
            return 1;
        }
    }

    return 0;
}


int
klaviyo_page_value(klaviyo_page_t *page, const klaviyo_slice_t *value,
    const char *const *names, klaviyo_slice_t *text)
{
    size_t                  i;
    klaviyo_jsonld_node_t   inner;

    if (klaviyo_jsonld_text(&page->pool, value, text)) {
        return 1;
    }

    if (!klaviyo_page_open(page, value, &inner)) {
        return 0;
    }

    for (i = 0; names[i]; i++) {
        if (klaviyo_jsonld_get(&page->pool, &inner, names[i], text)) {
            return 1;
        }
    }

    return 0;
}


/* "/lamp#image" is the name of one that is not on the page */

void
klaviyo_page_image(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node)
{
    klaviyo_slice_t         value, text;
    klaviyo_page_url_t      url;
    klaviyo_jsonld_each_t   each;

    static const char  *names[] = { "url", "contentUrl", "@id", NULL };

    klaviyo_jsonld_each(&each, node, "image");

    while (page->fact[KLAVIYO_PAGE_IMAGE].len == 0
           && klaviyo_jsonld_next(&each, &value))
    {
        if (!klaviyo_page_value(page, &value, names, &text)) {
            continue;
        }

        klaviyo_page_url_parse(&url, text.data, text.len);

        if (!url.fragment
            || klaviyo_page_is_url(page, &text) == KLAVIYO_PAGE_URL_OTHER)
        {
            klaviyo_page_set_url(page, KLAVIYO_PAGE_IMAGE, &text);
        }
    }
}
