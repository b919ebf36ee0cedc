/*
 * The parts of a URL, and whether two mean one page.
 */


#include <string.h>

#include "klaviyo_page_url.h"
#include "json/klaviyo_hex.h"


/* the bytes of one or two slices that follow each other, percent-decoded */

typedef struct {
    const uint8_t    *pos;
    const uint8_t    *last;
    const uint8_t    *next;
    const uint8_t    *next_last;
} klaviyo_page_url_bytes_t;


static int klaviyo_page_url_same_host(const klaviyo_slice_t *one,
    const klaviyo_slice_t *two);
static int klaviyo_page_url_same_path(const klaviyo_page_url_t *url,
    const klaviyo_page_url_t *page);
static int klaviyo_page_url_same_args(const klaviyo_slice_t *args,
    const klaviyo_slice_t *page, int *n);


void
klaviyo_page_url_parse(klaviyo_page_url_t *url, const uint8_t *p, size_t len)
{
    const uint8_t  *last, *end, *colon;

    memset(url, 0, sizeof(klaviyo_page_url_t));

    last = p + len;

    url->scheme.data = p;
    url->host.data = p;
    url->args.data = p;

    while (p < last && *p <= ' ') {
        p++;
    }

    while (last > p && last[-1] <= ' ') {
        last--;
    }

    end = memchr(p, '#', last - p);

    if (end) {
        url->fragment = 1;
        last = end;
    }

    colon = memchr(p, ':', last - p);

    if (colon && last - colon > 2 && colon[1] == '/' && colon[2] == '/'
        && memchr(p, '/', colon - p) == NULL
        && memchr(p, '?', colon - p) == NULL)
    {
        url->scheme.data = p;
        url->scheme.len = colon - p;
        p = colon + 1;
    }

    if (last - p >= 2 && p[0] == '/' && p[1] == '/') {
        p += 2;
        url->host.data = p;

        while (p < last && *p != '/' && *p != '?') {
            p++;
        }

        url->host.len = p - url->host.data;
    }

    end = memchr(p, '?', last - p);

    if (end) {
        url->args.data = end + 1;
        url->args.len = last - end - 1;
        last = end;
    }

    url->path.data = p;
    url->path.len = last - p;
}


int
klaviyo_page_url_is_empty(const klaviyo_page_url_t *url)
{
    return url->host.len == 0 && url->path.len == 0 && url->args.len == 0;
}


int
klaviyo_page_url_compare(const klaviyo_page_url_t *url,
    const klaviyo_page_url_t *page)
{
    int  same, n;

    if (!klaviyo_page_url_same_path(url, page)) {
        return KLAVIYO_PAGE_URL_OTHER;
    }

    same = klaviyo_page_url_same_args(&url->args, &page->args, &n);

    if (same == -1) {
        return KLAVIYO_PAGE_URL_OTHER;
    }

    if (url->host.len && !klaviyo_page_url_same_host(&url->host, &page->host))
    {
        return KLAVIYO_PAGE_URL_PATH;
    }

    return same ? KLAVIYO_PAGE_URL_SAME + n : KLAVIYO_PAGE_URL_LESS;
}


static uint8_t
klaviyo_page_url_lower(uint8_t ch)
{
    return ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch;
}


static void
klaviyo_page_url_host(klaviyo_slice_t *host)
{
    const uint8_t  *colon;

    colon = memchr(host->data, ':', host->len);

    if (colon && host->data[0] != '[') {
        host->len = colon - host->data;
    }

    if (host->len > 4
        && klaviyo_page_url_lower(host->data[0]) == 'w'
        && klaviyo_page_url_lower(host->data[1]) == 'w'
        && klaviyo_page_url_lower(host->data[2]) == 'w'
        && host->data[3] == '.')
    {
        host->data += 4;
        host->len -= 4;
    }
}


static int
klaviyo_page_url_same_host(const klaviyo_slice_t *one,
    const klaviyo_slice_t *two)
{
    size_t           i;
    klaviyo_slice_t  a, b;

    a = *one;
    b = *two;

    if (b.len == 0) {
        return 0;
    }

    klaviyo_page_url_host(&a);
    klaviyo_page_url_host(&b);

    if (a.len != b.len) {
        return 0;
    }

    for (i = 0; i < a.len; i++) {
        if (klaviyo_page_url_lower(a.data[i])
            != klaviyo_page_url_lower(b.data[i]))
        {
            return 0;
        }
    }

    return 1;
}


/* the next byte, or -1 */

static int
klaviyo_page_url_byte(klaviyo_page_url_bytes_t *bytes)
{
    int  high, low;

    if (bytes->pos == bytes->last) {

        if (bytes->next == bytes->next_last) {
            return -1;
        }

        bytes->pos = bytes->next;
        bytes->last = bytes->next_last;
        bytes->next = bytes->next_last;
    }

    if (*bytes->pos == '%' && bytes->last - bytes->pos > 2) {
        high = klaviyo_hex(bytes->pos[1]);
        low = klaviyo_hex(bytes->pos[2]);

        if (high != -1 && low != -1) {
            bytes->pos += 3;
            return high << 4 | low;
        }
    }

    return *bytes->pos++;
}


static void
klaviyo_page_url_bytes(klaviyo_page_url_bytes_t *bytes, const uint8_t *p,
    size_t len)
{
    bytes->pos = p;
    bytes->last = p + len;
    bytes->next = NULL;
    bytes->next_last = NULL;
}


static size_t
klaviyo_page_url_trim(const klaviyo_slice_t *path)
{
    size_t  len;

    len = path->len;

    while (len && path->data[len - 1] == '/') {
        len--;
    }

    return len;
}


static int
klaviyo_page_url_equal(klaviyo_page_url_bytes_t *a,
    klaviyo_page_url_bytes_t *b)
{
    int  ch;

    do {
        ch = klaviyo_page_url_byte(a);

        if (ch != klaviyo_page_url_byte(b)) {
            return 0;
        }

    } while (ch != -1);

    return 1;
}


/* a path without a slash in front begins in the folder of the page */

static int
klaviyo_page_url_same_path(const klaviyo_page_url_t *url,
    const klaviyo_page_url_t *page)
{
    size_t                     len;
    klaviyo_page_url_bytes_t   a, b;

    klaviyo_page_url_bytes(&a, url->path.data,
                           klaviyo_page_url_trim(&url->path));

    if (url->host.len == 0 && url->path.len && url->path.data[0] != '/') {

        len = page->path.len;

        while (len && page->path.data[len - 1] != '/') {
            len--;
        }

        a.next = a.pos;
        a.next_last = a.last;
        a.pos = page->path.data;
        a.last = a.pos + len;

    } else if (url->host.len == 0 && url->path.len == 0) {

        /* "?id=1" */

        a.pos = page->path.data;
        a.last = a.pos + klaviyo_page_url_trim(&page->path);
    }

    klaviyo_page_url_bytes(&b, page->path.data,
                           klaviyo_page_url_trim(&page->path));

    return klaviyo_page_url_equal(&a, &b);
}


/* the next argument; 0: there is none */

static int
klaviyo_page_url_arg(klaviyo_slice_t *rest, klaviyo_slice_t *name,
    klaviyo_slice_t *value)
{
    const uint8_t  *p, *last, *end, *equal;

    p = rest->data;
    last = p + rest->len;

    while (p < last && *p == '&') {
        p++;
    }

    if (p == last) {
        return 0;
    }

    end = memchr(p, '&', last - p);

    if (end == NULL) {
        end = last;
    }

    equal = memchr(p, '=', end - p);

    name->data = p;
    name->len = (equal ? equal : end) - p;
    value->data = equal ? equal + 1 : end;
    value->len = end - value->data;

    rest->data = end;
    rest->len = last - end;

    return 1;
}


static int
klaviyo_page_url_same(const klaviyo_slice_t *one, const klaviyo_slice_t *two)
{
    klaviyo_page_url_bytes_t   a, b;

    klaviyo_page_url_bytes(&a, one->data, one->len);
    klaviyo_page_url_bytes(&b, two->data, two->len);

    return klaviyo_page_url_equal(&a, &b);
}


/*
 * 1: the page has them all, which are n; 0: not all; -1: one of them is
 * another there
 */

static int
klaviyo_page_url_same_args(const klaviyo_slice_t *args,
    const klaviyo_slice_t *page, int *n)
{
    int              all, found;
    klaviyo_slice_t  rest, others, name, value, other, with;

    all = 1;
    rest = *args;
    *n = 0;

    while (klaviyo_page_url_arg(&rest, &name, &value)) {

        found = 0;
        others = *page;

        while (klaviyo_page_url_arg(&others, &other, &with)) {

            if (!klaviyo_page_url_same(&name, &other)) {
                continue;
            }

            if (!klaviyo_page_url_same(&value, &with)) {
                return -1;
            }

            found = 1;
            break;
        }

        all &= found;
        *n += found;
    }

    return all;
}
