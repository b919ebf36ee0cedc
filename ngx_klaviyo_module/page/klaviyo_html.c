/*
 * The states of the reader.  A tag that a piece of the page cuts waits in
 * `tag`; everything else goes on where it was.
 *
 *     TEXT     between tags
 *     TAG      behind "<", outside of quotes
 *     QUOTED   in a value in quotes of a tag
 *     COMMENT  behind "<!--"
 *     BOGUS    behind "<!" or "<?": up to the next ">"
 *     RAW      in an element in which "<" begins no tag: <script>, <title>
 */


#define _GNU_SOURCE

#include <string.h>

#if (__SSE2__)
#include <emmintrin.h>
#endif

#include "klaviyo_html.h"


typedef enum {
    KLAVIYO_HTML_IN_TEXT = 0,
    KLAVIYO_HTML_IN_TAG,
    KLAVIYO_HTML_IN_QUOTED,
    KLAVIYO_HTML_IN_COMMENT,
    KLAVIYO_HTML_IN_BOGUS,
    KLAVIYO_HTML_IN_RAW
} klaviyo_html_state_e;


/* a buffer that grows up to a bound; what is beyond it is passed over */

typedef struct {
    uint8_t               *data;
    size_t                 len;
    size_t                 size;
    size_t                 max;
    unsigned               cut:1;
} klaviyo_html_buf_t;


typedef struct {
    const uint8_t         *data;
    size_t                 len;
} klaviyo_html_slice_t;


/* what interests in a tag; without a `data` there is no such attribute */

typedef struct {
    klaviyo_html_slice_t   name;
    klaviyo_html_slice_t   property;
    klaviyo_html_slice_t   content;
    klaviyo_html_slice_t   rel;
    klaviyo_html_slice_t   href;
    klaviyo_html_slice_t   src;
    klaviyo_html_slice_t   type;
    klaviyo_html_slice_t   value;
    klaviyo_html_slice_t   datetime;
    klaviyo_html_slice_t   itemprop;
    klaviyo_html_slice_t   itemscope;
    klaviyo_html_slice_t   itemtype;
} klaviyo_html_attrs_t;


/* an element that waits for its end tag: an item, or a property's text */

typedef struct {
    uint64_t               name;
    size_t                 opened;      /* of its name since then, with it  */
    size_t                 text;        /* where its text begins            */
    size_t                 len;         /* of the property's name; 0: an
                                           item                             */
    uint8_t                property[32];
} klaviyo_html_open_t;


struct klaviyo_html_s {
    klaviyo_html_state_e   state;
    unsigned               want;
    uint8_t                quote;
    uint8_t                before[2];   /* the last bytes, in a comment; the
                                           last but blanks, in a tag        */
    uint64_t               raw;         /* the name of the element          */
    size_t                 matched;     /* bytes of its "</name"            */
    size_t                 skipped;     /* bytes behind "<!"                */
    int                    keep;        /* what its text is; -1: nothing    */

    klaviyo_html_buf_t     tag;
    klaviyo_html_buf_t     text;        /* of properties, one in another    */
    klaviyo_html_buf_t     value;       /* of a script, or to be decoded    */

    size_t                 depth;
    size_t                 reading;     /* how many of them read text       */
    klaviyo_html_open_t    open[KLAVIYO_HTML_DEPTH];

    unsigned               fresh:1;     /* no byte of the tag was seen      */
    unsigned               item:1;      /* it may have an itemprop          */
    unsigned               titled:1;
    unsigned               failed:1;

    klaviyo_html_found_pt  found;
    klaviyo_html_alloc_pt  alloc;
    void                  *data;
};


/*
 * A name in lower case as one number: its first eight bytes, and those that
 * follow mixed in.
 */

#define klaviyo_html_name(a, b, c, d, e, f, g, h)                            \
    ((uint64_t) (a) | (uint64_t) (b) << 8 | (uint64_t) (c) << 16             \
     | (uint64_t) (d) << 24 | (uint64_t) (e) << 32 | (uint64_t) (f) << 40    \
     | (uint64_t) (g) << 48 | (uint64_t) (h) << 56)

#define KLAVIYO_HTML_A         klaviyo_html_name('a',0,0,0,0,0,0,0)
#define KLAVIYO_HTML_AREA      klaviyo_html_name('a','r','e','a',0,0,0,0)
#define KLAVIYO_HTML_AUDIO     klaviyo_html_name('a','u','d','i','o',0,0,0)
#define KLAVIYO_HTML_BASE      klaviyo_html_name('b','a','s','e',0,0,0,0)
#define KLAVIYO_HTML_BR        klaviyo_html_name('b','r',0,0,0,0,0,0)
#define KLAVIYO_HTML_COL       klaviyo_html_name('c','o','l',0,0,0,0,0)
#define KLAVIYO_HTML_DATA      klaviyo_html_name('d','a','t','a',0,0,0,0)
#define KLAVIYO_HTML_EMBED     klaviyo_html_name('e','m','b','e','d',0,0,0)
#define KLAVIYO_HTML_HR        klaviyo_html_name('h','r',0,0,0,0,0,0)
#define KLAVIYO_HTML_IFRAME    klaviyo_html_name('i','f','r','a','m','e',0,0)
#define KLAVIYO_HTML_IMG       klaviyo_html_name('i','m','g',0,0,0,0,0)
#define KLAVIYO_HTML_INPUT     klaviyo_html_name('i','n','p','u','t',0,0,0)
#define KLAVIYO_HTML_LINK      klaviyo_html_name('l','i','n','k',0,0,0,0)
#define KLAVIYO_HTML_META_TAG  klaviyo_html_name('m','e','t','a',0,0,0,0)
#define KLAVIYO_HTML_METER     klaviyo_html_name('m','e','t','e','r',0,0,0)
#define KLAVIYO_HTML_P         klaviyo_html_name('p',0,0,0,0,0,0,0)
#define KLAVIYO_HTML_SCRIPT    klaviyo_html_name('s','c','r','i','p','t',0,0)
#define KLAVIYO_HTML_SOURCE    klaviyo_html_name('s','o','u','r','c','e',0,0)
#define KLAVIYO_HTML_STYLE     klaviyo_html_name('s','t','y','l','e',0,0,0)
#define KLAVIYO_HTML_TEXTAREA                                                \
    klaviyo_html_name('t','e','x','t','a','r','e','a')
#define KLAVIYO_HTML_TIME      klaviyo_html_name('t','i','m','e',0,0,0,0)
#define KLAVIYO_HTML_TITLE     klaviyo_html_name('t','i','t','l','e',0,0,0)
#define KLAVIYO_HTML_TRACK     klaviyo_html_name('t','r','a','c','k',0,0,0)
#define KLAVIYO_HTML_VIDEO     klaviyo_html_name('v','i','d','e','o',0,0,0)
#define KLAVIYO_HTML_WBR       klaviyo_html_name('w','b','r',0,0,0,0,0)
#define KLAVIYO_HTML_XMP       klaviyo_html_name('x','m','p',0,0,0,0,0)


static const uint8_t *klaviyo_html_in_text(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_tag(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_comment(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_bogus(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_html_in_raw(klaviyo_html_t *html,
    const uint8_t *p, const uint8_t *last);
static void klaviyo_html_tag(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last);
static int klaviyo_html_item_tag(klaviyo_html_t *html, uint64_t name,
    const uint8_t *p, const uint8_t *last);
static void klaviyo_html_close(klaviyo_html_t *html, size_t depth);


klaviyo_html_t *
klaviyo_html_init(unsigned want, size_t size, klaviyo_html_found_pt found,
    klaviyo_html_alloc_pt alloc, void *data)
{
    klaviyo_html_t  *html;

    html = alloc(data, sizeof(klaviyo_html_t));
    if (html == NULL) {
        return NULL;
    }

    memset(html, 0, sizeof(klaviyo_html_t));

    html->want = want;
    html->found = found;
    html->alloc = alloc;
    html->data = data;

    html->tag.max = KLAVIYO_HTML_TAG;
    html->text.max = KLAVIYO_HTML_TEXT;
    html->value.max = size > KLAVIYO_HTML_TAG ? size : KLAVIYO_HTML_TAG;

    return html;
}


int
klaviyo_html_feed(klaviyo_html_t *html, const uint8_t *p, size_t len)
{
    const uint8_t  *last;

    last = p + len;

    while (p < last && !html->failed) {
        switch (html->state) {

        case KLAVIYO_HTML_IN_TEXT:
            p = klaviyo_html_in_text(html, p, last);
            break;

        case KLAVIYO_HTML_IN_TAG:
        case KLAVIYO_HTML_IN_QUOTED:
            p = klaviyo_html_in_tag(html, p, last);
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

    return html->failed ? -1 : 0;
}


void
klaviyo_html_end(klaviyo_html_t *html)
{
    if (!html->failed) {
        klaviyo_html_close(html, 0);
    }
}


static void
klaviyo_html_append(klaviyo_html_t *html, klaviyo_html_buf_t *buf,
    const uint8_t *p, size_t len)
{
    size_t    size;
    uint8_t  *data;

    if (len > buf->max - buf->len) {
        len = buf->max - buf->len;
        buf->cut = 1;
    }

    if (len == 0) {
        return;
    }

    if (len > buf->size - buf->len) {
        size = buf->size ? buf->size : 512;

        while (size < buf->len + len) {
            size *= 2;
        }

        data = html->alloc(html->data, size);
        if (data == NULL) {
            html->failed = 1;
            return;
        }

        if (buf->len) {
            memcpy(data, buf->data, buf->len);
        }

        buf->data = data;
        buf->size = size;
    }

    memcpy(buf->data + buf->len, p, len);
    buf->len += len;
}


static void
klaviyo_html_reset(klaviyo_html_buf_t *buf)
{
    buf->len = 0;
    buf->cut = 0;
}


static inline int
klaviyo_html_letter(uint8_t ch)
{
    return (uint8_t) ((ch | 0x20) - 'a') < 26;
}


static inline int
klaviyo_html_space(uint8_t ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r' && ch != '\v');
}


/* `word` is in lower case */

static int
klaviyo_html_is(const uint8_t *p, size_t len, const char *word)
{
    size_t  i;

    if (len != strlen(word)) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if ((p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i])
            != (uint8_t) word[i])
        {
            return 0;
        }
    }

    return 1;
}


/*
 * The next of up to four bytes, or `last`.  Tags are short: a call of
 * memchr() for each of them costs more than the looking.
 */

static inline const uint8_t *
klaviyo_html_next(const uint8_t *p, const uint8_t *last, uint8_t a,
    uint8_t b, uint8_t c, uint8_t d)
{
#if (__SSE2__)

    int      mask;
    __m128i  bytes, one, two;

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);

        one = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char) a)),
                           _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char) b)));
        two = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char) c)),
                           _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char) d)));

        mask = _mm_movemask_epi8(_mm_or_si128(one, two));

        if (mask) {
            return p + __builtin_ctz(mask);
        }

        p += 16;
    }

#endif

    while (p < last && *p != a && *p != b && *p != c && *p != d) {
        p++;
    }

    return p;
}


/*
 * A "<" is taken for a tag, until its first byte says what it is.  An end tag
 * that nothing waits for is text.
 */

static const uint8_t *
klaviyo_html_in_text(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    const uint8_t  *tag, *end;

    tag = p;

    for ( ;; ) {
        tag = klaviyo_html_next(tag, last, '<', '<', '<', '<');

        if (html->depth || last - tag < 2 || tag[1] != '/') {
            break;
        }

        end = klaviyo_html_next(tag + 2, last, '>', '=', '>', '=');

        if (end == last || *end == '=') {
            break;
        }

        tag = end + 1;
    }

    if (html->reading) {
        klaviyo_html_append(html, &html->text, p, tag - p);
    }

    if (tag == last) {
        return last;
    }

    html->state = KLAVIYO_HTML_IN_TAG;
    html->fresh = 1;

    return tag + 1;
}


/* the last byte but blanks of a tag whose bytes in this piece are these */

static uint8_t
klaviyo_html_before(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    while (last > p) {
        last--;

        if (!klaviyo_html_space(*last)) {
            return *last;
        }
    }

    return html->before[0];
}


/*
 * 1: the name before this "=" may be "itemprop" or "itemtype", one of which
 * follows each "itemscope".
 */

static inline unsigned
klaviyo_html_is_item(const uint8_t *start, const uint8_t *p)
{
    if (p - start < 10) {
        return 0;
    }

    return ((p[-8] | 0x20) == 'i' && (p[-7] | 0x20) == 't')
           || klaviyo_html_space(p[-1]);
}


/* the same of a tag that came in pieces, now that it is whole */

static unsigned
klaviyo_html_has_item(const uint8_t *p, const uint8_t *last)
{
    uint8_t         before;
    const uint8_t  *start;

    start = p;
    before = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '=' && klaviyo_html_is_item(start, p)) {
            return 1;
        }

        if ((*p == '"' || *p == '\'') && before == '=') {

            p = memchr(p + 1, *p, last - p - 1);

            if (p == NULL) {
                return 0;
            }
        }

        if (!klaviyo_html_space(*p)) {
            before = *p;
        }
    }

    return 0;
}


static const uint8_t *
klaviyo_html_in_tag(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    const uint8_t  *start;

    if (html->fresh) {
        html->fresh = 0;

        if (!klaviyo_html_letter(*p) && *p != '/') {
            html->state = KLAVIYO_HTML_IN_TEXT;

            if (*p == '!' || *p == '?') {
                html->state = KLAVIYO_HTML_IN_BOGUS;
                html->skipped = 0;
                return *p == '!' ? p + 1 : p;
            }

            if (html->reading) {
                klaviyo_html_append(html, &html->text,
                                    (const uint8_t *) "<", 1);
            }

            return p;
        }

        klaviyo_html_reset(&html->tag);
        html->before[0] = 0;
        html->item = 0;
    }

    start = p;

    for ( ;; ) {

        if (html->state == KLAVIYO_HTML_IN_QUOTED) {
            p = klaviyo_html_next(p, last, html->quote, html->quote,
                                  html->quote, html->quote);

            if (p == last) {
                break;
            }

            html->state = KLAVIYO_HTML_IN_TAG;
            p++;
        }

        p = klaviyo_html_next(p, last, '>', '=', '"', '\'');

        if (p == last) {
            break;
        }

        if (*p == '>') {
            html->state = KLAVIYO_HTML_IN_TEXT;

            if (html->tag.len == 0) {
                klaviyo_html_tag(html, start, p);
                return p + 1;
            }

            klaviyo_html_append(html, &html->tag, start, p - start);

            if (!html->tag.cut && !html->failed) {
                html->item = klaviyo_html_has_item(html->tag.data,
                                              html->tag.data + html->tag.len);
                klaviyo_html_tag(html, html->tag.data,
                                 html->tag.data + html->tag.len);
            }

            return p + 1;
        }

        if (*p == '=') {
            html->item |= klaviyo_html_is_item(start, p);

            if (last - p > 1 && (p[1] == '"' || p[1] == '\'')) {
                p++;
                html->state = KLAVIYO_HTML_IN_QUOTED;
                html->quote = *p;
            }

        } else if (klaviyo_html_before(html, start, p) == '=') {
            html->state = KLAVIYO_HTML_IN_QUOTED;
            html->quote = *p;
        }

        p++;
    }

    html->before[0] = klaviyo_html_before(html, start, last);
    klaviyo_html_append(html, &html->tag, start, last - start);

    return last;
}


/* "<!-->" and "<!--->" are comments too, hence what is before at first */

static const uint8_t *
klaviyo_html_in_bogus(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    for ( /* void */ ; p < last; p++) {

        if (html->skipped < 2 && *p == '-') {
            html->skipped++;

            if (html->skipped == 2) {
                html->state = KLAVIYO_HTML_IN_COMMENT;
                html->before[0] = '-';
                html->before[1] = '-';
                return p + 1;
            }

            continue;
        }

        html->skipped = 2;

        p = memchr(p, '>', last - p);

        if (p == NULL) {
            return last;
        }

        html->state = KLAVIYO_HTML_IN_TEXT;

        return p + 1;
    }

    return last;
}


static const uint8_t *
klaviyo_html_in_comment(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    uint8_t         one, two;
    const uint8_t  *start;

    start = p;

    for ( ;; ) {
        p = memchr(p, '>', last - p);

        if (p == NULL) {
            break;
        }

        one = p - start >= 1 ? p[-1] : html->before[1];
        two = p - start >= 2 ? p[-2]
              : p - start == 1 ? html->before[1] : html->before[0];

        p++;

        if (one == '-' && two == '-') {
            html->state = KLAVIYO_HTML_IN_TEXT;
            return p;
        }
    }

    html->before[0] = last - start >= 2 ? last[-2] : html->before[1];
    html->before[1] = last[-1];

    return last;
}


/* blanks in a row become one, those at the ends none; in place */

static size_t
klaviyo_html_collapse(uint8_t *p, size_t len)
{
    uint8_t  *out, *last, *start;

    start = p;
    out = p;
    last = p + len;

    for ( /* void */ ; p < last; p++) {
        if (!klaviyo_html_space(*p)) {
            *out++ = *p;

        } else if (out > start && out[-1] != ' ') {
            *out++ = ' ';
        }
    }

    if (out > start && out[-1] == ' ') {
        out--;
    }

    return out - start;
}


/* a value of the page's text or of an attribute is decoded in a copy */

static void
klaviyo_html_tell(klaviyo_html_t *html, klaviyo_html_found_e what,
    const uint8_t *name, size_t name_len, const uint8_t *p, size_t len)
{
    if (len > KLAVIYO_HTML_TEXT) {
        len = KLAVIYO_HTML_TEXT;
    }

    klaviyo_html_reset(&html->value);
    klaviyo_html_append(html, &html->value, p, len);

    if (html->failed) {
        return;
    }

    len = html->value.len;

    if (len) {
        len = klaviyo_html_collapse(html->value.data, len);
        len = klaviyo_html_decode(html->value.data, len);
    }

    html->found(html->data, what, name, name_len, html->value.data, len);
}


static void
klaviyo_html_raw_end(klaviyo_html_t *html)
{
    size_t  len;

    html->state = KLAVIYO_HTML_IN_TAG;
    html->before[0] = 0;
    klaviyo_html_reset(&html->tag);

    if (html->keep == -1 || html->value.cut || html->value.len == 0) {
        return;
    }

    len = html->value.len;

    if (html->keep == KLAVIYO_HTML_FOUND_TITLE) {
        len = klaviyo_html_collapse(html->value.data, len);
        len = klaviyo_html_decode(html->value.data, len);

    } else if (html->keep == KLAVIYO_HTML_FOUND_DATALAYER
               && memmem(html->value.data, len, "dataLayer", 9) == NULL)
    {
        return;
    }

    html->found(html->data, html->keep, NULL, 0, html->value.data, len);
}


static void
klaviyo_html_raw_append(klaviyo_html_t *html, const uint8_t *p, size_t len)
{
    if (html->keep != -1) {
        klaviyo_html_append(html, &html->value, p, len);
    }
}


/* `matched` counts the bytes of "</name" that were seen, in any piece */

static const uint8_t *
klaviyo_html_in_raw(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    size_t          len;
    uint8_t         ch, end[10];
    const uint8_t  *tag;

    end[0] = '<';
    end[1] = '/';
    memcpy(&end[2], &html->raw, 8);
    len = 2 + strnlen((const char *) &end[2], 8);

    while (p < last) {

        if (html->matched == 0) {
            tag = memchr(p, '<', last - p);

            klaviyo_html_raw_append(html, p, (tag ? tag : last) - p);

            if (tag == NULL) {
                return last;
            }

            html->matched = 1;
            p = tag + 1;
            continue;
        }

        ch = klaviyo_html_letter(*p) ? *p | 0x20 : *p;

        if (html->matched == len) {
            if (klaviyo_html_space(ch) || ch == '/' || ch == '>') {
                html->matched = 0;
                klaviyo_html_raw_end(html);
                return p;
            }

        } else if (ch == end[html->matched]) {
            html->matched++;
            p++;
            continue;
        }

        klaviyo_html_raw_append(html, end, html->matched);
        html->matched = 0;
    }

    return p;
}


/* an attribute of a tag: where the next one begins, or NULL */

static const uint8_t *
klaviyo_html_attr(const uint8_t *p, const uint8_t *last,
    klaviyo_html_slice_t *name, klaviyo_html_slice_t *value)
{
    const uint8_t  *end;

    while (p < last && (klaviyo_html_space(*p) || *p == '/')) {
        p++;
    }

    if (p == last) {
        return NULL;
    }

    name->data = p;
    p++;                        /* a "=" in the first place is of the name */

    while (p < last && !klaviyo_html_space(*p) && *p != '/' && *p != '=') {
        p++;
    }

    name->len = p - name->data;
    value->data = p;
    value->len = 0;

    while (p < last && klaviyo_html_space(*p)) {
        p++;
    }

    if (p == last || *p != '=') {
        return p;
    }

    do {
        p++;
    } while (p < last && klaviyo_html_space(*p));

    if (p < last && (*p == '"' || *p == '\'')) {
        end = memchr(p + 1, *p, last - p - 1);

        if (end == NULL) {
            return NULL;
        }

        value->data = p + 1;
        value->len = end - value->data;

        return end + 1;
    }

    value->data = p;

    while (p < last && !klaviyo_html_space(*p)) {
        p++;
    }

    value->len = p - value->data;

    return p;
}


/* the first of a name counts, as for a browser */

static void
klaviyo_html_attrs(klaviyo_html_attrs_t *attrs, const uint8_t *p,
    const uint8_t *last)
{
    size_t                 i;
    klaviyo_html_slice_t   name, value, *attr;

    static const struct {
        const char  *name;
        size_t       offset;
    } names[] = {
        { "name", offsetof(klaviyo_html_attrs_t, name) },
        { "property", offsetof(klaviyo_html_attrs_t, property) },
        { "content", offsetof(klaviyo_html_attrs_t, content) },
        { "rel", offsetof(klaviyo_html_attrs_t, rel) },
        { "href", offsetof(klaviyo_html_attrs_t, href) },
        { "src", offsetof(klaviyo_html_attrs_t, src) },
        { "type", offsetof(klaviyo_html_attrs_t, type) },
        { "value", offsetof(klaviyo_html_attrs_t, value) },
        { "datetime", offsetof(klaviyo_html_attrs_t, datetime) },
        { "itemprop", offsetof(klaviyo_html_attrs_t, itemprop) },
        { "itemscope", offsetof(klaviyo_html_attrs_t, itemscope) },
        { "itemtype", offsetof(klaviyo_html_attrs_t, itemtype) }
    };

    memset(attrs, 0, sizeof(klaviyo_html_attrs_t));

    while ((p = klaviyo_html_attr(p, last, &name, &value)) != NULL) {

        for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            attr = (klaviyo_html_slice_t *)
                       ((uint8_t *) attrs + names[i].offset);

            if (attr->data == NULL
                && klaviyo_html_is(name.data, name.len, names[i].name))
            {
                *attr = value;
            }
        }
    }
}


/* 1: one of the words of the list, which blanks separate */

static int
klaviyo_html_has_word(const klaviyo_html_slice_t *list, const char *word)
{
    const uint8_t  *p, *last, *start;

    if (list->len == 0) {
        return 0;
    }

    p = list->data;
    last = p + list->len;

    while (p < last) {
        while (p < last && klaviyo_html_space(*p)) {
            p++;
        }

        start = p;

        while (p < last && !klaviyo_html_space(*p)) {
            p++;
        }

        if (klaviyo_html_is(start, p - start, word)) {
            return 1;
        }
    }

    return 0;
}


static void
klaviyo_html_meta(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_html_slice_t  *name;
    klaviyo_html_attrs_t   attrs;

    klaviyo_html_attrs(&attrs, p, last);

    name = attrs.property.len ? &attrs.property : &attrs.name;

    if (name->len && attrs.content.data) {
        klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_META, name->data,
                          name->len, attrs.content.data, attrs.content.len);
    }
}


static void
klaviyo_html_link(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_html_attrs_t  attrs;

    klaviyo_html_attrs(&attrs, p, last);

    if (attrs.href.len && klaviyo_html_has_word(&attrs.rel, "canonical")) {
        klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_CANONICAL, NULL, 0,
                          attrs.href.data, attrs.href.len);
    }
}


/* what the text of a script is; -1: nothing that was asked for */

static int
klaviyo_html_script(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    size_t                 len;
    klaviyo_html_attrs_t   attrs;

    if (!(html->want & (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_DATALAYER))) {
        return -1;
    }

    klaviyo_html_attrs(&attrs, p, last);

    for (len = 0; len < attrs.type.len; len++) {
        if (attrs.type.data[len] == ';'
            || klaviyo_html_space(attrs.type.data[len]))
        {
            break;
        }
    }

    if (klaviyo_html_is(attrs.type.data, len, "application/ld+json")) {
        return html->want & KLAVIYO_HTML_JSONLD
               ? (int) KLAVIYO_HTML_FOUND_JSONLD : -1;
    }

    if ((html->want & KLAVIYO_HTML_DATALAYER) && attrs.src.data == NULL
        && (len == 0
            || klaviyo_html_is(attrs.type.data, len, "text/javascript")
            || klaviyo_html_is(attrs.type.data, len, "module")
            || klaviyo_html_is(attrs.type.data, len,
                               "application/javascript")))
    {
        return KLAVIYO_HTML_FOUND_DATALAYER;
    }

    return -1;
}


static void
klaviyo_html_raw(klaviyo_html_t *html, uint64_t name, int keep)
{
    html->state = KLAVIYO_HTML_IN_RAW;
    html->raw = name;
    html->keep = keep;
    html->matched = 0;
    klaviyo_html_reset(&html->value);
}


/* an end tag is of the innermost element of its name */

static void
klaviyo_html_end_tag(klaviyo_html_t *html, uint64_t name)
{
    size_t  i;

    for (i = html->depth; i > 0; i--) {
        if (html->open[i - 1].name == name) {
            if (--html->open[i - 1].opened == 0) {
                klaviyo_html_close(html, i - 1);
            }

            return;
        }
    }
}


static void
klaviyo_html_start_tag(klaviyo_html_t *html, uint64_t name)
{
    size_t  i;

    for (i = html->depth; i > 0; i--) {
        if (html->open[i - 1].name == name) {
            html->open[i - 1].opened++;
            return;
        }
    }
}


/*
 * p < last is what stands between "<" and ">".  Most tags are of no interest
 * by their first letter.
 */

static void
klaviyo_html_tag(klaviyo_html_t *html, const uint8_t *p, const uint8_t *last)
{
    uint8_t         ch;
    unsigned        shift;
    uint64_t        name;
    const uint8_t  *start;

    start = p;

    if (html->depth == 0
        && !(html->item && (html->want & KLAVIYO_HTML_MICRODATA)))
    {
        switch (*p | 0x20) {
        case 'i':
        case 'l':
        case 'm':
        case 's':
        case 't':
        case 'x':
            break;

        default:
            return;
        }
    }

    if (*p == '/') {
        p++;
    }

    name = 0;

    for (shift = 0; p < last; p++, shift += 8) {
        ch = *p;

        if (klaviyo_html_space(ch) || ch == '/') {
            break;
        }

        if (ch == '=') {                /* no element has such a name */
            return;
        }

        ch |= klaviyo_html_letter(ch) ? 0x20 : 0;

        name = shift < 64 ? name | (uint64_t) ch << shift
                          : (name ^ ch) * UINT64_C(0x100000001b3);
    }

    if (*start == '/') {
        klaviyo_html_end_tag(html, name);
        return;
    }

    if (name == KLAVIYO_HTML_P) {       /* ends the paragraph before */
        klaviyo_html_end_tag(html, name);
    }

    if (html->item && (html->want & KLAVIYO_HTML_MICRODATA)
        && klaviyo_html_item_tag(html, name, p, last))
    {
        return;
    }

    klaviyo_html_start_tag(html, name);

    switch (name) {

    case KLAVIYO_HTML_META_TAG:
        if (html->want & KLAVIYO_HTML_META) {
            klaviyo_html_meta(html, p, last);
        }
        break;

    case KLAVIYO_HTML_LINK:
        klaviyo_html_link(html, p, last);
        break;

    case KLAVIYO_HTML_TITLE:
        klaviyo_html_raw(html, name, html->titled
                                     ? -1 : (int) KLAVIYO_HTML_FOUND_TITLE);
        html->titled = 1;
        break;

    case KLAVIYO_HTML_SCRIPT:
        klaviyo_html_raw(html, name, klaviyo_html_script(html, p, last));
        break;

    case KLAVIYO_HTML_STYLE:
    case KLAVIYO_HTML_TEXTAREA:
    case KLAVIYO_HTML_IFRAME:
    case KLAVIYO_HTML_XMP:
        klaviyo_html_raw(html, name, -1);
        break;
    }
}


/* where an element has the value of its property; NULL: in its text */

static klaviyo_html_slice_t *
klaviyo_html_item_value(uint64_t name, klaviyo_html_attrs_t *attrs)
{
    if (attrs->content.data) {
        return &attrs->content;
    }

    switch (name) {

    case KLAVIYO_HTML_A:
    case KLAVIYO_HTML_AREA:
    case KLAVIYO_HTML_LINK:
        return &attrs->href;

    case KLAVIYO_HTML_AUDIO:
    case KLAVIYO_HTML_EMBED:
    case KLAVIYO_HTML_IFRAME:
    case KLAVIYO_HTML_IMG:
    case KLAVIYO_HTML_SOURCE:
    case KLAVIYO_HTML_TRACK:
    case KLAVIYO_HTML_VIDEO:
        return &attrs->src;

    case KLAVIYO_HTML_DATA:
    case KLAVIYO_HTML_INPUT:
    case KLAVIYO_HTML_METER:
        return &attrs->value;

    case KLAVIYO_HTML_TIME:
        return attrs->datetime.data ? &attrs->datetime : NULL;

    case KLAVIYO_HTML_BASE:
    case KLAVIYO_HTML_BR:
    case KLAVIYO_HTML_COL:
    case KLAVIYO_HTML_HR:
    case KLAVIYO_HTML_META_TAG:
    case KLAVIYO_HTML_WBR:
        return &attrs->value;           /* without an end tag */
    }

    return NULL;
}


/* a property may have several names */

static void
klaviyo_html_property(klaviyo_html_t *html,
    const klaviyo_html_slice_t *names, const uint8_t *p, size_t len)
{
    const uint8_t  *name, *start, *last;

    name = names->data;
    last = name + names->len;

    while (name < last) {
        start = name;

        while (name < last && !klaviyo_html_space(*name)) {
            name++;
        }

        if (name > start) {
            klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_PROPERTY, start,
                              name - start, p, len);
        }

        name++;
    }
}


/*
 * 1: the element waits for its end tag.  One that is too deep ends the
 * reading of items.
 */

static int
klaviyo_html_item_tag(klaviyo_html_t *html, uint64_t name, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_html_open_t   *open;
    klaviyo_html_attrs_t   attrs;
    klaviyo_html_slice_t  *value;

    klaviyo_html_attrs(&attrs, p, last);

    if (attrs.itemprop.len == 0 && attrs.itemtype.len == 0) {
        return 0;
    }

    if (attrs.itemscope.data == NULL) {
        if (attrs.itemprop.len == 0) {
            return 0;
        }

        value = klaviyo_html_item_value(name, &attrs);

        if (value) {
            if (value->data) {
                klaviyo_html_property(html, &attrs.itemprop, value->data,
                                      value->len);
            }

            return 0;
        }
    }

    if (html->depth == KLAVIYO_HTML_DEPTH) {
        html->want &= ~KLAVIYO_HTML_MICRODATA;
        klaviyo_html_close(html, 0);
        return 0;
    }

    open = &html->open[html->depth];

    open->name = name;
    open->opened = 1;
    open->len = 0;

    if (attrs.itemscope.data) {
        html->depth++;
        klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_ITEM,
                          attrs.itemprop.data, attrs.itemprop.len,
                          attrs.itemtype.data ? attrs.itemtype.data : p,
                          attrs.itemtype.len);
        return 1;
    }

    if (attrs.itemprop.len > sizeof(open->property)) {
        return 0;
    }

    html->depth++;
    html->reading++;

    open->len = attrs.itemprop.len;
    open->text = html->text.len;
    memcpy(open->property, attrs.itemprop.data, attrs.itemprop.len);

    return 1;
}


/* all that were opened since then end, the last one first */

static void
klaviyo_html_close(klaviyo_html_t *html, size_t depth)
{
    const uint8_t         *text;
    klaviyo_html_open_t   *open;
    klaviyo_html_slice_t   names;

    while (html->depth > depth) {
        open = &html->open[--html->depth];

        if (open->len == 0) {
            html->found(html->data, KLAVIYO_HTML_FOUND_ITEM_END, NULL, 0,
                        NULL, 0);
            continue;
        }

        html->reading--;

        names.data = open->property;
        names.len = open->len;

        text = html->text.data ? html->text.data + open->text : NULL;

        klaviyo_html_property(html, &names, text,
                              html->text.len - open->text);
    }

    if (html->reading == 0) {
        klaviyo_html_reset(&html->text);
    }
}
