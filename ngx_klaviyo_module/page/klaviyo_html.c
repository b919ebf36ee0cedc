/*
 * The bytes of a page.  A tag that lies in one piece is read where it is; one
 * that is cut is collected in `tag`.
 */


#include <string.h>

#include "klaviyo_html.h"
#include "klaviyo_html_element.h"
#include "klaviyo_html_item.h"
#include "klaviyo_html_private.h"
#include "klaviyo_html_text.h"


/*
 * The elements that are looked at, by the first letter and the third one of
 * their names.
 */

#define klaviyo_html_bit(ch)  (UINT32_C(1) << ((ch) & 31))

static const uint32_t  klaviyo_html_names[32] = {
    ['i' & 31] = klaviyo_html_bit('r'),        /* iframe                     */
    ['l' & 31] = klaviyo_html_bit('n'),        /* link                       */
    ['m' & 31] = klaviyo_html_bit('t'),        /* meta                       */
    ['n' & 31] = klaviyo_html_bit('e')         /* noembed                    */
                 | klaviyo_html_bit('f'),      /* noframes                   */
    ['s' & 31] = klaviyo_html_bit('r')         /* script                     */
                 | klaviyo_html_bit('y'),      /* style                      */
    ['t' & 31] = klaviyo_html_bit('m')         /* template                   */
                 | klaviyo_html_bit('t')       /* title                      */
                 | klaviyo_html_bit('x'),      /* textarea                   */
    ['x' & 31] = klaviyo_html_bit('p')         /* xmp                        */
};


static void klaviyo_html_read(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_html_in_text(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_open(klaviyo_html_t *html,
    const uint8_t *p);
static const uint8_t *klaviyo_html_in_close(klaviyo_html_t *html,
    const uint8_t *p);
static const uint8_t *klaviyo_html_in_tag(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_bang(klaviyo_html_t *html,
    const uint8_t *p);
static const uint8_t *klaviyo_html_in_comment(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_bogus(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_raw(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);


klaviyo_html_t *
klaviyo_html_init(unsigned want, size_t size, klaviyo_charset_e charset,
    klaviyo_html_found_pt found, klaviyo_html_alloc_pt alloc, void *data)
{
    klaviyo_html_t  *html;

    html = alloc(data, sizeof(klaviyo_html_t));
    if (html == NULL) {
        return NULL;
    }

    memset(html, 0, sizeof(klaviyo_html_t));

    html->want = want;
    html->charset = charset;
    html->found = found;
    html->alloc = alloc;
    html->data = data;

    html->head.max = KLAVIYO_CHARSET_HEAD;
    html->tag.max = KLAVIYO_HTML_TAG;
    html->text.max = KLAVIYO_HTML_DEPTH * KLAVIYO_HTML_TEXT_READ;
    html->value.max = size < KLAVIYO_HTML_SCRIPT ? size : KLAVIYO_HTML_SCRIPT;

    if (html->value.max < KLAVIYO_HTML_TEXT) {
        html->value.max = KLAVIYO_HTML_TEXT;
    }

    html->utf8.max = 3 * html->value.max;

    return html;
}


/* the charset is found in the head, as the same bytes come in any pieces */

static void
klaviyo_html_begin(klaviyo_html_t *html)
{
    html->begun = 1;
    html->charset = klaviyo_charset_find(html->head.data, html->head.len,
                                         html->charset);

    klaviyo_html_read(html, html->head.data, html->head.data
                                             + html->head.len);
}


int
klaviyo_html_feed(klaviyo_html_t *html, const uint8_t *p, size_t len)
{
    size_t  n;

    if (!html->begun) {
        n = html->head.max - html->head.len;
        n = len < n ? len : n;

        klaviyo_html_append(html, &html->head, p, n);

        if (html->head.len == html->head.max && !html->failed) {
            klaviyo_html_begin(html);
        }

        p += n;
        len -= n;
    }

    klaviyo_html_read(html, p, p + len);

    return html->failed ? -1 : 0;
}


void
klaviyo_html_end(klaviyo_html_t *html)
{
    if (!html->begun && html->head.len && !html->failed) {
        klaviyo_html_begin(html);
    }

    if (!html->failed) {
        klaviyo_html_item_close(html, 0);
    }
}


size_t
klaviyo_html_unreadable(const klaviyo_html_t *html)
{
    return html->unreadable;
}


unsigned
klaviyo_html_lost(const klaviyo_html_t *html)
{
    return html->lost;
}


static void
klaviyo_html_read(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    while (p < last && !html->failed) {
        switch (html->state) {

        case KLAVIYO_HTML_IN_TEXT:
            p = klaviyo_html_in_text(html, p, last);
            break;

        case KLAVIYO_HTML_IN_OPEN:
            p = klaviyo_html_in_open(html, p);
            break;

        case KLAVIYO_HTML_IN_CLOSE:
            p = klaviyo_html_in_close(html, p);
            break;

        case KLAVIYO_HTML_IN_TAG:
            p = klaviyo_html_in_tag(html, p, last);
            break;

        case KLAVIYO_HTML_IN_BANG:
            p = klaviyo_html_in_bang(html, p);
            break;

        case KLAVIYO_HTML_IN_COMMENT:
            p = klaviyo_html_in_comment(html, p, last);
            break;

        case KLAVIYO_HTML_IN_BOGUS:
            p = klaviyo_html_in_bogus(html, p, last);
            break;

        case KLAVIYO_HTML_IN_RAW:
            p = klaviyo_html_in_raw(html, p, last);
            break;
        }
    }
}


/*
 * The first letters of the names whose end tags mean something, of the lists
 * that an <li> may hold or end with; and of <svg>, as long as a title may be
 * a drawing's.
 */

static uint32_t
klaviyo_html_awaited(const klaviyo_html_t *html)
{
    size_t    i;
    uint32_t  letters;

    letters = (html->templates ? klaviyo_html_bit('t') : 0)
              | (html->titled ? 0 : klaviyo_html_bit('s'));

    for (i = 0; i < html->depth; i++) {
        letters |= klaviyo_html_bit(html->open[i].name);

        if (html->open[i].name == KLAVIYO_HTML_LI) {
            letters |= klaviyo_html_bit('u') | klaviyo_html_bit('o');
        }
    }

    return letters;
}


static const uint8_t *
klaviyo_html_in_text(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    unsigned          item;
    uint32_t          awaited;
    const uint8_t    *tag, *name, *end;
    klaviyo_marks_t   marks;

    klaviyo_marks_init(&marks, p, last);

    awaited = klaviyo_html_awaited(html);

    for ( ;; ) {
        do {
            tag = klaviyo_html_mark(&marks);
        } while (tag < last && *tag != '<');

        if (html->reading) {
            klaviyo_html_text(html, p, tag - p);
        }

        if (tag == last) {
            return last;
        }

        tag++;
        name = tag;

        if (name < last && *name == '/') {
            name++;
        }

        if (name == last || !klaviyo_html_letter(*name)) {
            break;
        }

        item = 0;
        end = klaviyo_html_tag_end(&marks, name, &item);

        if (end == NULL || end - tag > KLAVIYO_HTML_TAG) {
            break;
        }

        p = end + 1;

        /* most tags mean nothing */

        if (item
            || (awaited & klaviyo_html_bit(*name))
            || (end - tag > 2
                && (klaviyo_html_names[*tag & 31]
                    & klaviyo_html_bit(tag[2]))))
        {
            klaviyo_html_element(html, tag, end, item);

            if (html->state != KLAVIYO_HTML_IN_TEXT || html->failed) {
                return p;
            }

            awaited = klaviyo_html_awaited(html);
        }
    }

    html->state = KLAVIYO_HTML_IN_OPEN;

    return tag;
}


static const uint8_t *
klaviyo_html_in_open(klaviyo_html_t *html, const uint8_t *p)
{
    if (klaviyo_html_letter(*p)) {
        html->state = KLAVIYO_HTML_IN_TAG;
        html->in_tag = KLAVIYO_HTML_TAG_NAME;
        klaviyo_html_reset(&html->tag);
        return p;
    }

    if (*p == '/') {
        html->state = KLAVIYO_HTML_IN_CLOSE;
        return p + 1;
    }

    if (*p == '!') {
        html->state = KLAVIYO_HTML_IN_BANG;
        html->dashes = 0;
        return p + 1;
    }

    if (*p == '?') {
        html->state = KLAVIYO_HTML_IN_BOGUS;
        return p + 1;
    }

    html->state = KLAVIYO_HTML_IN_TEXT;
    klaviyo_html_text(html, (const uint8_t *) "<", 1);

    return p;
}


static const uint8_t *
klaviyo_html_in_close(klaviyo_html_t *html, const uint8_t *p)
{
    if (klaviyo_html_letter(*p)) {
        html->state = KLAVIYO_HTML_IN_TAG;
        html->in_tag = KLAVIYO_HTML_TAG_NAME;
        klaviyo_html_reset(&html->tag);
        klaviyo_html_append(html, &html->tag, (const uint8_t *) "/", 1);
        return p;
    }

    html->state = KLAVIYO_HTML_IN_BOGUS;

    return p;
}


static const uint8_t *
klaviyo_html_in_tag(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    unsigned          item;
    const uint8_t    *start;
    klaviyo_marks_t   marks;

    start = p;
    p = klaviyo_html_tag_next(&html->in_tag, p, last);

    klaviyo_html_append(html, &html->tag, start, p - start);

    if (html->in_tag != KLAVIYO_HTML_TAG_END) {
        return p;
    }

    html->state = KLAVIYO_HTML_IN_TEXT;

    if (html->tag.cut || html->failed) {
        return p;
    }

    start = html->tag.data;
    last = start + html->tag.len;
    item = 0;

    klaviyo_marks_init(&marks, start, last);

    (void) klaviyo_html_tag_end(&marks, *start == '/' ? start + 1 : start,
                                &item);

    klaviyo_html_element(html, start, last - 1, item);

    return p;
}


/* "<!-->" and "<!--->" are comments too, hence what is before at first */

static const uint8_t *
klaviyo_html_in_bang(klaviyo_html_t *html, const uint8_t *p)
{
    if (*p != '-') {
        html->state = KLAVIYO_HTML_IN_BOGUS;
        return p;
    }

    html->dashes++;

    if (html->dashes == 2) {
        html->state = KLAVIYO_HTML_IN_COMMENT;
        html->before[0] = 0;
        html->before[1] = '-';
        html->before[2] = '-';
    }

    return p + 1;
}


static const uint8_t *
klaviyo_html_in_bogus(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    p = memchr(p, '>', last - p);

    if (p == NULL) {
        return last;
    }

    html->state = KLAVIYO_HTML_IN_TEXT;

    return p + 1;
}


/* the byte `n` before p; those of the pieces before are in `before` */

static inline uint8_t
klaviyo_html_before(klaviyo_html_t *html, const uint8_t *start,
    const uint8_t *p, size_t n)
{
    return (size_t) (p - start) >= n ? *(p - n)
                                     : html->before[3 - n + (p - start)];
}


/* it ends with "-->", or "--!>" */

static const uint8_t *
klaviyo_html_in_comment(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    uint8_t         one, two, three;
    const uint8_t  *start;

    start = p;

    for ( ;; ) {
        p = memchr(p, '>', last - p);
        p = p ? p : last;

        one = klaviyo_html_before(html, start, p, 1);
        two = klaviyo_html_before(html, start, p, 2);
        three = klaviyo_html_before(html, start, p, 3);

        if (p == last) {
            html->before[0] = three;
            html->before[1] = two;
            html->before[2] = one;
            return last;
        }

        p++;

        if (two == '-' && (one == '-' || (one == '!' && three == '-'))) {
            html->state = KLAVIYO_HTML_IN_TEXT;
            return p;
        }
    }
}


/* 1: so many bytes of a script may begin an eContext that is asked for */

static int
klaviyo_html_is_econtext(const klaviyo_html_t *html, const uint8_t *p,
    size_t len)
{
    size_t  n;

    static const char  begin[] = KLAVIYO_HTML_ECONTEXT_BEGIN;

    if (!(html->want & KLAVIYO_HTML_ECONTEXT)) {
        return 0;
    }

    if (html->value.len >= sizeof(begin) - 1) {
        return 1;
    }

    n = sizeof(begin) - 1 - html->value.len;

    return memcmp(p, begin + html->value.len, len < n ? len : n) == 0;
}


static void
klaviyo_html_raw_append(klaviyo_html_t *html, const uint8_t *p, size_t len)
{
    if (html->keep == KLAVIYO_HTML_FOUND_ECONTEXT
        && !klaviyo_html_is_econtext(html, p, len))
    {
        html->keep = html->want & KLAVIYO_HTML_DATALAYER
                     ? (int) KLAVIYO_HTML_FOUND_DATALAYER : -1;
    }

    if (html->keep != -1) {
        klaviyo_html_append(html, &html->value, p, len);
    }
}


/* 1: `held` is this text; 0: it begins so; -1: it does not */

static int
klaviyo_html_raw_is(const klaviyo_html_t *html, const char *text,
    uint64_t name)
{
    size_t   i, len;
    uint8_t  ch;

    len = strlen(text);

    for (i = 0; i < html->nheld; i++) {
        ch = html->held[i];

        if (i < len) {
            if (ch != (uint8_t) text[i]) {
                return -1;
            }

        } else if (i - len < 8 && (uint8_t) (name >> 8 * (i - len))) {
            if ((ch | 0x20) != (uint8_t) (name >> 8 * (i - len))
                || !klaviyo_html_letter(ch))
            {
                return -1;
            }

        } else {
            return klaviyo_html_space(ch) || ch == '/' || ch == '>' ? 1 : -1;
        }
    }

    return 0;
}


/*
 * A byte behind a "<" of raw text: 1: the element ends before it; 0: what is
 * held may still become something; -1: it is text, as it changed the state or
 * means nothing.
 */

static int
klaviyo_html_raw_next(klaviyo_html_t *html)
{
    int       close, other;
    uint64_t  script;

    script = klaviyo_html_word('s','c','r','i','p','t',0,0);

    close = klaviyo_html_raw_is(html, "</", html->raw);
    other = -1;

    if (html->in_raw == KLAVIYO_HTML_RAW_INNER) {
        if (close == 1) {
            html->in_raw = KLAVIYO_HTML_RAW_HIDDEN;
            return -1;
        }

        return close;
    }

    if (close == 1) {
        return 1;
    }

    if (html->raw == script) {

        if (html->in_raw == KLAVIYO_HTML_RAW_HIDDEN) {
            other = klaviyo_html_raw_is(html, "<", script);

            if (other == 1) {
                html->in_raw = KLAVIYO_HTML_RAW_INNER;
                return -1;
            }

        } else {
            other = html->nheld <= 4
                    && memcmp(html->held, "<!--", html->nheld) == 0 ? 0 : -1;

            if (other == 0 && html->nheld == 4) {
                html->in_raw = KLAVIYO_HTML_RAW_HIDDEN;
                html->dashes = 2;
                return -1;
            }
        }
    }

    return close == 0 || other == 0 ? 0 : -1;
}


/* a "<" that may begin something, or `last` */

static const uint8_t *
klaviyo_html_raw_find(const klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_marks_t  marks;

    klaviyo_marks_init(&marks, p, last);

    do {
        p = klaviyo_marks_next(&marks, (klaviyo_marks_set_t)
                                       { { '<', '<', '<', '<', '<' } });

    } while (last - p > 2
             && !(p[1] == '/' && (p[2] | 0x20) == (uint8_t) html->raw)
             && !(p[1] == '!' && p[2] == '-'));

    return p;
}


/* 1: p, at a "<", is the end tag as a whole, which ends at *end */

static int
klaviyo_html_raw_closed(const klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last, const uint8_t **end)
{
    const uint8_t  *name_end;

    if (last - p < 4 || p[1] != '/') {
        return 0;
    }

    name_end = klaviyo_html_name_end(p + 2, last);

    *end = name_end;

    return name_end < last
           && *name_end == '>'
           && klaviyo_html_key(p + 2, name_end - p - 2) == html->raw;
}


/*
 * The last byte that is held is looked at again, as it may begin something,
 * but for that of "<!--".
 */

static const uint8_t *
klaviyo_html_in_raw(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    int             rc;
    const uint8_t  *start, *end;

    while (p < last) {

        if (html->nheld) {
            html->held[html->nheld++] = *p;

            rc = klaviyo_html_raw_next(html);

            if (rc == 0) {
                p++;
                continue;
            }

            if (rc == 1) {
                html->state = KLAVIYO_HTML_IN_TAG;
                html->in_tag = KLAVIYO_HTML_TAG_NAME;
                klaviyo_html_raw_text(html);
                klaviyo_html_reset(&html->tag);
                klaviyo_html_append(html, &html->tag,
                                    (const uint8_t *) "/", 1);
                klaviyo_html_append(html, &html->tag, html->held + 2,
                                    html->nheld - 3);
                return p;
            }

            html->nheld--;

            if (html->dashes == 2) {
                html->nheld++;
                p++;
            }

            klaviyo_html_raw_append(html, html->held, html->nheld);
            html->nheld = 0;
            continue;
        }

        start = p;

        if (html->in_raw == KLAVIYO_HTML_RAW_PLAIN) {
            p = klaviyo_html_raw_find(html, p, last);

        } else {
            while (p < last && *p != '<') {

                if (*p == '>' && html->dashes == 2) {
                    html->in_raw = KLAVIYO_HTML_RAW_PLAIN;
                    break;
                }

                if (*p != '-') {
                    html->dashes = 0;

                } else if (html->dashes < 2) {
                    html->dashes++;
                }

                p++;
            }
        }

        klaviyo_html_raw_append(html, start, p - start);

        if (html->in_raw != KLAVIYO_HTML_RAW_INNER && p < last
            && klaviyo_html_raw_closed(html, p, last, &end))
        {
            html->state = KLAVIYO_HTML_IN_TEXT;
            klaviyo_html_raw_text(html);
            klaviyo_html_element(html, p + 1, end, 0);
            return end + 1;
        }

        if (p < last && *p == '<') {
            html->held[0] = '<';
            html->nheld = 1;
            html->dashes = 0;
            p++;
        }
    }

    return p;
}
