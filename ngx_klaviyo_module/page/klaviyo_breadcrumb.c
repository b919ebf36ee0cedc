/*
 * Categories: of the way to a page, or of a product's own words.
 */


#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "klaviyo_breadcrumb.h"
#include "klaviyo_page_facts.h"


typedef struct {
    klaviyo_slice_t   name;
    klaviyo_slice_t   url;
    long              position;
} klaviyo_breadcrumb_t;


static int klaviyo_breadcrumb_is_page(klaviyo_page_t *page,
    const klaviyo_breadcrumb_t *crumb, int unlinked);
static size_t klaviyo_breadcrumb_read(klaviyo_page_t *page,
    const klaviyo_slice_t *value, klaviyo_breadcrumb_t *crumb);
static long klaviyo_breadcrumb_position(const klaviyo_slice_t *text);
static void klaviyo_breadcrumb_sort(klaviyo_breadcrumb_t *crumb, size_t n);
static int klaviyo_breadcrumb_is_home(const klaviyo_breadcrumb_t *crumb);
static size_t klaviyo_breadcrumb_split(klaviyo_page_text_t *list,
    const klaviyo_slice_t *text, size_t n);
static void klaviyo_breadcrumb_set(klaviyo_page_t *page,
    klaviyo_page_text_t *list);


klaviyo_slice_t
klaviyo_page_breadcrumb(klaviyo_page_t *page, const klaviyo_slice_t *value,
    int product)
{
    size_t                 i, n, first;
    klaviyo_slice_t        last;
    klaviyo_page_text_t    text;
    klaviyo_breadcrumb_t   crumb[KLAVIYO_PAGE_CATEGORIES_MAX];

    last.data = NULL;
    last.len = 0;

    n = klaviyo_breadcrumb_read(page, value, crumb);
    klaviyo_breadcrumb_sort(crumb, n);

    first = n && klaviyo_breadcrumb_is_home(&crumb[0]);

    if (product && n > first
        && klaviyo_breadcrumb_is_page(page, &crumb[n - 1],
                                      n > 1 && crumb[0].url.len))
    {
        n--;
    }

    if (n <= first) {
        return last;
    }

    klaviyo_page_text_init(&text, &page->pool, page->size);

    for (i = first; i < n; i++) {
        klaviyo_page_text_raw(&text, i > first ? "," : "[", 1);
        klaviyo_page_text_string(&text, crumb[i].name.data,
                                 crumb[i].name.len);
    }

    klaviyo_breadcrumb_set(page, &text);

    return klaviyo_breadcrumb_is_page(page, &crumb[n - 1], 1)
           ? crumb[n - 1].name : last;
}


/* 1: it is the page, by name or URL; `unlinked`: the answer without a URL */

static int
klaviyo_breadcrumb_is_page(klaviyo_page_t *page,
    const klaviyo_breadcrumb_t *crumb, int unlinked)
{
    klaviyo_slice_t  *name;

    name = &page->fact[KLAVIYO_PAGE_NAME];

    if (name->len && name->len == crumb->name.len
        && memcmp(name->data, crumb->name.data, name->len) == 0)
    {
        return 1;
    }

    return crumb->url.len
           ? klaviyo_page_is_url(page, &crumb->url) != KLAVIYO_PAGE_URL_OTHER
           : unlinked;
}


static size_t
klaviyo_breadcrumb_read(klaviyo_page_t *page, const klaviyo_slice_t *value,
    klaviyo_breadcrumb_t *crumb)
{
    size_t                  n;
    klaviyo_slice_t         item, text;
    klaviyo_jsonld_each_t   each, items;
    klaviyo_jsonld_node_t   list, node, inner;

    static const char  *names[] = { "name", NULL };
    static const char  *urls[] = { "@id", "url", NULL };

    n = 0;

    klaviyo_jsonld_open(&list, value);
    klaviyo_jsonld_each(&each, &list, "itemListElement");

    while (n < KLAVIYO_PAGE_CATEGORIES_MAX
           && klaviyo_jsonld_next(&each, &item))
    {

        memset(&crumb[n], 0, sizeof(klaviyo_breadcrumb_t));

        if (!klaviyo_jsonld_open(&node, &item)) {

            /* a list of names alone */

            if (klaviyo_jsonld_text(&page->pool, &item, &crumb[n].name)) {
                crumb[n].position = -1;
                n++;
            }

            continue;
        }

        /* of a string "item" is the URL */

        if (!klaviyo_jsonld_get(&page->pool, &node, "name", &crumb[n].name)) {

            klaviyo_jsonld_each(&items, &node, "item");

            if (!klaviyo_jsonld_next(&items, &item)
                || !klaviyo_page_open(page, &item, &inner)
                || !klaviyo_page_get(page, &inner, "name", names,
                                     &crumb[n].name))
            {
                continue;
            }
        }

        if (!klaviyo_page_get(page, &node, "item", urls, &crumb[n].url)) {
            (void) klaviyo_jsonld_get(&page->pool, &node, "url",
                                      &crumb[n].url);
        }

        crumb[n].position = -1;

        if (klaviyo_jsonld_get(&page->pool, &node, "position", &text)) {
            crumb[n].position = klaviyo_breadcrumb_position(&text);
        }

        n++;
    }

    return n;
}


static long
klaviyo_breadcrumb_position(const klaviyo_slice_t *text)
{
    long    n;
    size_t  i;

    n = 0;

    for (i = 0; i < text->len && i < 6; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return -1;
        }

        n = 10 * n + (text->data[i] - '0');
    }

    return n;
}


/* by their positions, if they all have one */

static void
klaviyo_breadcrumb_sort(klaviyo_breadcrumb_t *crumb, size_t n)
{
    size_t                i, k;
    klaviyo_breadcrumb_t  one;

    for (i = 0; i < n; i++) {
        if (crumb[i].position == -1) {
            return;
        }
    }

    for (i = 1; i < n; i++) {
        one = crumb[i];

        for (k = i; k > 0 && crumb[k - 1].position > one.position; k--) {
            crumb[k] = crumb[k - 1];
        }

        crumb[k] = one;
    }
}


static int
klaviyo_breadcrumb_is_letters(const uint8_t *p)
{
    return (p[0] | 0x20) >= 'a' && (p[0] | 0x20) <= 'z'
           && (p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z';
}


/*
 * "https://shop.example/", "/index.php", those of a language, "/en/",
 * "/de-AT/", but not "TV" at "/tv/"; of those without a URL "Home"
 */

static int
klaviyo_breadcrumb_is_home(const klaviyo_breadcrumb_t *crumb)
{
    size_t              len;
    klaviyo_page_url_t  url;

    if (crumb->url.len == 0) {
        return crumb->name.len == 4
               && strncasecmp((const char *) crumb->name.data, "home", 4)
                  == 0;
    }

    klaviyo_page_url_parse(&url, crumb->url.data, crumb->url.len);

    len = url.path.len;

    while (len && url.path.data[len - 1] == '/') {
        len--;
    }

    if (url.args.len || (url.host.len == 0 && url.path.len == 0)) {
        return 0;
    }

    if (len != 3 && len != 6) {
        return len == 0
               || (len == 10 && memcmp(url.path.data, "/index.php", 10) == 0);
    }

    return klaviyo_breadcrumb_is_letters(&url.path.data[1])
           && (crumb->name.len != 2
               || (crumb->name.data[0] | 0x20) != (url.path.data[1] | 0x20)
               || (crumb->name.data[1] | 0x20) != (url.path.data[2] | 0x20))
           && (len == 3
               || ((url.path.data[3] == '-' || url.path.data[3] == '_')
                   && klaviyo_breadcrumb_is_letters(&url.path.data[4])));
}


void
klaviyo_page_category(klaviyo_page_t *page, const klaviyo_slice_t *text)
{
    klaviyo_page_text_t  list;

    if (page->fact[KLAVIYO_PAGE_CATEGORIES].len) {
        return;
    }

    klaviyo_page_text_init(&list, &page->pool, page->size);
    klaviyo_breadcrumb_split(&list, text, 0);
    klaviyo_breadcrumb_set(page, &list);
}


void
klaviyo_page_categories(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node)
{
    size_t                  n;
    klaviyo_slice_t         value, text;
    klaviyo_page_text_t     list;
    klaviyo_jsonld_each_t   each;

    static const char  *names[] = { "name", NULL };

    if (page->fact[KLAVIYO_PAGE_CATEGORIES].len) {
        return;
    }

    klaviyo_page_text_init(&list, &page->pool, page->size);
    klaviyo_jsonld_each(&each, node, "category");

    for (n = 0;
         n < KLAVIYO_PAGE_CATEGORIES_MAX && klaviyo_jsonld_next(&each, &value);
         /* void */)
    {
        if (klaviyo_page_value(page, &value, names, &text)) {
            n = klaviyo_breadcrumb_split(&list, &text, n);
        }
    }

    klaviyo_breadcrumb_set(page, &list);
}


/* "Home > Lamps > Desk lamps": how many there are, with the n before them */

static size_t
klaviyo_breadcrumb_split(klaviyo_page_text_t *list,
    const klaviyo_slice_t *text, size_t n)
{
    size_t          len;
    const uint8_t  *p, *last, *end;

    p = text->data;
    last = p + text->len;

    while (p < last && n < KLAVIYO_PAGE_CATEGORIES_MAX) {
        end = memchr(p, '>', last - p);

        if (end == NULL) {
            end = last;
        }

        while (p < end && *p == ' ') {
            p++;
        }

        len = end - p;

        while (len && p[len - 1] == ' ') {
            len--;
        }

        if (len) {
            klaviyo_page_text_raw(list, list->len ? "," : "[", 1);
            klaviyo_page_text_string(list, p, len);
            n++;
        }

        p = end < last ? end + 1 : last;
    }

    return n;
}


static void
klaviyo_breadcrumb_set(klaviyo_page_t *page, klaviyo_page_text_t *list)
{
    if (list->len == 0) {
        return;
    }

    klaviyo_page_text_literal(list, "]");

    if (!list->cut) {
        page->fact[KLAVIYO_PAGE_CATEGORIES].data = list->data;
        page->fact[KLAVIYO_PAGE_CATEGORIES].len = list->len;
    }
}
