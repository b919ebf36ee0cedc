/*
 * Private to page/: the tag of an element, between its "<" and its ">".
 *
 *     NAME ─▶ BEFORE ─▶ ATTRIBUTE ─▶ AFTER ─▶ VALUE ─▶ in quotes, or plain
 *                ▲                                        │
 *                └────────────────────────────────────────┘
 *
 * One that lies in memory as a whole is read by klaviyo_html_attr(), one that
 * comes in pieces is passed by klaviyo_html_tag_next() until it is whole.
 * Both keep to the states of HTML's standard.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_HTML_TAG_H
#define KLAVIYO_HTML_TAG_H


#include "capture/klaviyo_marks.h"


typedef enum {
    KLAVIYO_HTML_TAG_NAME = 0,
    KLAVIYO_HTML_TAG_BEFORE,
    KLAVIYO_HTML_TAG_ATTRIBUTE,
    KLAVIYO_HTML_TAG_AFTER,
    KLAVIYO_HTML_TAG_VALUE,
    KLAVIYO_HTML_TAG_DOUBLE,              /* quotes                          */
    KLAVIYO_HTML_TAG_SINGLE,
    KLAVIYO_HTML_TAG_PLAIN,
    KLAVIYO_HTML_TAG_END
} klaviyo_html_tag_e;


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
    klaviyo_html_slice_t   itemid;
} klaviyo_html_attrs_t;


/*
 * A name in lower case as one number: its first eight bytes, and those that
 * follow mixed in; the lowest byte is the first one always.
 */

#define klaviyo_html_word(a, b, c, d, e, f, g, h)                            \
    ((uint64_t) (a) | (uint64_t) (b) << 8 | (uint64_t) (c) << 16             \
     | (uint64_t) (d) << 24 | (uint64_t) (e) << 32 | (uint64_t) (f) << 40    \
     | (uint64_t) (g) << 48 | (uint64_t) (h) << 56)

#define klaviyo_html_longer(word, ch)                                        \
    (((word) ^ (uint64_t) (ch) << 8) * UINT64_C(0x9e3779b97f4a7c01))


/* four bytes, the first one lowest */

static inline uint64_t
klaviyo_html_four(const uint8_t *p)
{
    return ((uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16
            | (uint64_t) p[3] << 24)
           | 0x20202020;
}


static inline uint64_t
klaviyo_html_key(const uint8_t *p, size_t len)
{
    size_t    i;
    uint64_t  key;

    if (len >= 4) {
        i = len < 8 ? len - 4 : 4;
        key = klaviyo_html_four(p) | klaviyo_html_four(p + i) << 8 * i;

    } else {
        key = 0;

        for (i = 0; i < len; i++) {
            key |= (uint64_t) (p[i] | 0x20) << 8 * i;
        }
    }

    for (i = 8; i < len; i++) {
        key = klaviyo_html_longer(key, p[i] | 0x20);
    }

    return key;
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


/*
 * The next byte of this value, or `last`.  Texts and values are short: a call
 * of memchr() for each of them costs more than the looking.
 */

static inline const uint8_t *
klaviyo_html_find(const uint8_t *p, const uint8_t *last, uint8_t ch)
{
#ifdef __SSE2__

    int      mask;
    __m128i  wanted;

    wanted = _mm_set1_epi8((char) ch);

    while (last - p >= 16) {
        mask = _mm_movemask_epi8(_mm_cmpeq_epi8(
                              _mm_loadu_si128((const __m128i *) p), wanted));

        if (mask) {
            return p + __builtin_ctz(mask);
        }

        p += 16;
    }

#endif

    while (p < last && *p != ch) {
        p++;
    }

    return p;
}


/* where a name ends: at a blank, "/", ">" or "="; or `last` */

static inline const uint8_t *
klaviyo_html_name_end(const uint8_t *p, const uint8_t *last)
{
#ifdef __SSE2__

    int      mask;
    __m128i  bytes, one, two;

    while (last - p >= 16) {
        bytes = _mm_loadu_si128((const __m128i *) p);

        one = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('=')),
                           _mm_cmpeq_epi8(bytes, _mm_set1_epi8('>')));
        two = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')),
                           _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes,
                                                     _mm_set1_epi8(' '))));

        mask = _mm_movemask_epi8(_mm_or_si128(one, two));

        if (mask == 0) {
            p += 16;
            continue;
        }

        p += __builtin_ctz(mask);

        if (*p >= ' ' || klaviyo_html_space(*p)) {
            return p;
        }

        p++;                            /* a control character */
    }

#endif

    while (p < last && !klaviyo_html_space(*p) && *p != '/' && *p != '='
           && *p != '>')
    {
        p++;
    }

    return p;
}


/*
 * The next attribute of a tag, and where what follows it begins.  Its name is
 * empty: it is the ">".  NULL: the tag goes on behind `last`.
 */

const uint8_t *klaviyo_html_attr(const uint8_t *p, const uint8_t *last,
    klaviyo_html_slice_t *name, klaviyo_html_slice_t *value);


/* what means something between tags, and in them */

klaviyo_marks_inline const uint8_t *
klaviyo_html_mark(klaviyo_marks_t *marks)
{
    return klaviyo_marks_next(marks, (klaviyo_marks_set_t)
                                     { { '<', '=', '>', '>', '>' } });
}


/* behind the name of a tag; "=" is of it */

static inline const uint8_t *
klaviyo_html_tag_name(const uint8_t *p, const uint8_t *last)
{
    do {
        p = klaviyo_html_name_end(p + 1, last);
    } while (p < last && *p == '=');

    return p;
}


/*
 * The ">" of a tag whose name is at p, or NULL; the marks are those behind p.
 * Sets *item where it may have one of "itemprop" and "itemtype", one of which
 * every item has.
 *
 * Nearly all attributes are a name, "=" and a value in quotes; and what stands
 * between two of them, without a "=", is of names.  Others are read by
 * klaviyo_html_attr(), from `start` on.
 */

klaviyo_marks_inline const uint8_t *
klaviyo_html_tag_end(klaviyo_marks_t *marks, const uint8_t *p,
    unsigned *item)
{
    uint8_t                quote;
    const uint8_t         *start, *mark, *last;
    klaviyo_html_slice_t   name, value;

    last = marks->last;
    start = NULL;

    for ( ;; ) {
        mark = klaviyo_html_mark(marks);

        if (mark == last) {
            return NULL;
        }

        if (*mark == '>') {
            return mark;
        }

        if (*mark != '=') {
            continue;
        }

        if (start == NULL) {
            start = klaviyo_html_tag_name(p, last);

            if (start > mark) {
                klaviyo_marks_seek(marks, start);
                continue;
            }
        }

        /* behind a letter or a digit, or another byte that is of a name */

        if (mark[-1] > '/' && last - mark > 1
            && (mark[1] == '"' || mark[1] == '\''))
        {
            quote = mark[1];

            if ((mark[-2] | 0x20) == 'o' || (mark[-2] | 0x20) == 'p') {
                *item |= mark - start > 8
                         && (mark[-8] | 0x20) == 'i'
                         && (mark[-7] | 0x20) == 't';
            }

            mark = quote == '"' ? klaviyo_html_find(mark + 2, last, '"')
                                : klaviyo_html_find(mark + 2, last, '\'');

            if (mark == last) {
                return NULL;
            }

            start = mark + 1;

            klaviyo_marks_skip(marks, start);

        } else {
            do {
                start = klaviyo_html_attr(start, last, &name, &value);

                if (start == NULL || name.len == 0) {
                    return start;
                }

                *item |= name.len == 8 && (name.data[0] | 0x20) == 'i';

            } while (start <= mark);

            klaviyo_marks_seek(marks, start);
        }
    }
}


/*
 * Goes through a piece of a tag, from its name on: where it ends, behind the
 * ">", or `last`.
 */
const uint8_t *klaviyo_html_tag_next(klaviyo_html_tag_e *state,
    const uint8_t *p, const uint8_t *last);

/* `last` is the ">"; the first of a name counts, as for a browser */
void klaviyo_html_attrs(klaviyo_html_attrs_t *attrs, const uint8_t *p,
    const uint8_t *last);

/* 1: `word`, in lower case, is in the list, which blanks separate */
int klaviyo_html_has_word(const klaviyo_html_slice_t *list, const char *word);

/* `word` is in lower case */
int klaviyo_html_is(const uint8_t *p, size_t len, const char *word);


#endif /* KLAVIYO_HTML_TAG_H */
