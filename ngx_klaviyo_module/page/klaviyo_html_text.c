/*
 * The text of a page: bytes that come in pieces are collected, and what they
 * mean is told as UTF-8.
 */


#include <string.h>

#include "klaviyo_html_text.h"
#include "klaviyo_entity.h"


static size_t klaviyo_html_collapse(uint8_t *p, size_t len);


void
klaviyo_html_append(klaviyo_html_t *html, klaviyo_html_buf_t *buf,
    const uint8_t *p, size_t len)
{
    size_t    n, size;
    uint8_t  *data;

    n = buf->max - buf->len;
    n = len < n ? len : n;

    if (len == 0 || buf->cut) {
        return;
    }

    if (n > buf->size - buf->len) {
        size = buf->size ? buf->size : 512;

        while (size < buf->len + n) {
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

    if (n) {
        memcpy(buf->data + buf->len, p, n);
        buf->len += n;
    }

    buf->cut = n < len;
}


void
klaviyo_html_reset(klaviyo_html_buf_t *buf)
{
    buf->len = 0;
    buf->cut = 0;
}


/*
 * The innermost property's text begins last: when that is long enough, so are
 * those of all around it.
 */

size_t
klaviyo_html_text_max(const klaviyo_html_t *html)
{
    size_t  i;

    for (i = html->depth; i > 0; i--) {

        if (html->open[i - 1].len) {
            return html->open[i - 1].text + KLAVIYO_HTML_TEXT_READ;
        }
    }

    return 0;
}


void
klaviyo_html_text(klaviyo_html_t *html, const uint8_t *p, size_t len)
{
    size_t  max;

    if (html->reading == 0 || html->templates) {
        return;
    }

    max = klaviyo_html_text_max(html);

    if (html->text.len < max) {
        max -= html->text.len;
        klaviyo_html_append(html, &html->text, p, len < max ? len : max);
    }
}


void
klaviyo_html_tell(klaviyo_html_t *html, klaviyo_html_found_e what,
    const uint8_t *name, size_t name_len, const uint8_t *p, size_t len)
{
    klaviyo_html_slice_t  text;

    /* what is cut ends with a whole character of UTF-8 */

    if (len > KLAVIYO_HTML_TEXT) {
        len = KLAVIYO_HTML_TEXT;

        while (len && (p[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    text.data = NULL;
    text.len = 0;

    if (len) {
        klaviyo_html_reset(&html->value);
        klaviyo_html_append(html, &html->value, p, len);

        if (html->failed) {
            return;
        }

        text = klaviyo_html_value(html);
    }

    html->found(html->data, what, name, name_len, text.data, text.len);
}


klaviyo_html_slice_t
klaviyo_html_value(klaviyo_html_t *html)
{
    size_t                len;
    klaviyo_html_slice_t  text;

    len = klaviyo_html_collapse(html->value.data, html->value.len);
    text = klaviyo_html_utf8(html, html->value.data, len);
    text.len = klaviyo_html_decode((uint8_t *) text.data, text.len);

    return text;
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


klaviyo_html_slice_t
klaviyo_html_utf8(klaviyo_html_t *html, uint8_t *p, size_t len)
{
    klaviyo_html_slice_t  text;

    text.data = p;
    text.len = len;

    if (klaviyo_charset_is_ascii(p, len)) {
        return text;
    }

    switch (klaviyo_charset_of(html->charset, p, len)) {

    case KLAVIYO_CHARSET_NONE:
    case KLAVIYO_CHARSET_UTF_8:
        return text;

    case KLAVIYO_CHARSET_WINDOWS_1252:
        break;

    case KLAVIYO_CHARSET_OTHER:
        html->unreadable++;
        text.len = 0;
        return text;
    }

    /* room for the longest, which the bytes stand in for */

    klaviyo_html_reset(&html->utf8);
    klaviyo_html_append(html, &html->utf8, p, len);
    klaviyo_html_append(html, &html->utf8, p, len);
    klaviyo_html_append(html, &html->utf8, p, len);

    text.data = html->utf8.data;
    text.len = html->failed ? 0 : klaviyo_charset_utf8(html->utf8.data, p,
                                                       len);

    return text;
}
