/*
 * What a tag means, and what the text of a script or a title is.
 */


#define _GNU_SOURCE

#include <string.h>

#include "klaviyo_html_element.h"
#include "klaviyo_html_item.h"
#include "klaviyo_html_text.h"


void
klaviyo_html_raw_text(klaviyo_html_t *html)
{
    klaviyo_html_slice_t  text;

    if (html->keep == -1 || html->value.len == 0) {
        return;
    }

    if (html->value.cut) {
        html->lost += html->keep == KLAVIYO_HTML_FOUND_JSONLD
                      || html->keep == KLAVIYO_HTML_FOUND_ECONTEXT;
        return;
    }

    switch (html->keep) {

    case KLAVIYO_HTML_FOUND_TITLE:
    case KLAVIYO_HTML_FOUND_PROPERTY:
        klaviyo_html_text(html, html->value.data, html->value.len);

        if (html->keep == KLAVIYO_HTML_FOUND_PROPERTY) {
            return;
        }

        text = klaviyo_html_value(html);
        break;

    case KLAVIYO_HTML_FOUND_DATALAYER:
        if (memmem(html->value.data, html->value.len, "dataLayer", 9) == NULL
            && memmem(html->value.data, html->value.len, "gtag", 4) == NULL)
        {
            return;
        }

        /* fall through */

    default:
        text = klaviyo_html_utf8(html, html->value.data, html->value.len);
    }

    if (text.len) {
        html->found(html->data, html->keep, NULL, 0, text.data, text.len);
    }
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


/*
 * What the text of a script is; -1: nothing that was asked for.  JavaScript
 * is an eContext until its first bytes say that it is none.
 */

static int
klaviyo_html_script(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last)
{
    size_t                 len;
    klaviyo_html_attrs_t   attrs;

    if (!(html->want & (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_DATALAYER
                        |KLAVIYO_HTML_ECONTEXT)))
    {
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

    if (attrs.src.data == NULL
        && (len == 0
            || klaviyo_html_is(attrs.type.data, len, "text/javascript")
            || klaviyo_html_is(attrs.type.data, len, "module")
            || klaviyo_html_is(attrs.type.data, len,
                               "application/javascript")))
    {
        return KLAVIYO_HTML_FOUND_ECONTEXT;
    }

    return -1;
}


static void
klaviyo_html_raw(klaviyo_html_t *html, uint64_t name, int keep)
{
    html->state = KLAVIYO_HTML_IN_RAW;
    html->in_raw = KLAVIYO_HTML_RAW_PLAIN;
    html->raw = name;
    html->keep = keep;
    html->dashes = 0;
    html->nheld = 0;
    klaviyo_html_reset(&html->value);
}


/* what the text of an element is that is raw; -1: it is of no interest */

static int
klaviyo_html_raw_keep(klaviyo_html_t *html, uint64_t name, const uint8_t *p,
    const uint8_t *last)
{
    if (html->templates) {
        return -1;
    }

    if (name == klaviyo_html_word('s','c','r','i','p','t',0,0)) {
        return klaviyo_html_script(html, p, last);
    }

    if (name == klaviyo_html_word('t','i','t','l','e',0,0,0)
        && !html->titled && html->drawings == 0)
    {
        html->titled = 1;
        return KLAVIYO_HTML_FOUND_TITLE;
    }

    if (html->reading
        && (name == klaviyo_html_word('t','i','t','l','e',0,0,0)
            || name == klaviyo_html_word('t','e','x','t','a','r','e','a')))
    {
        return KLAVIYO_HTML_FOUND_PROPERTY;
    }

    return -1;
}


static void
klaviyo_html_element_end(klaviyo_html_t *html, uint64_t name)
{
    if (name == klaviyo_html_word('t','e','m','p','l','a','t','e')) {
        html->templates -= html->templates != 0;
        return;
    }

    if (html->templates) {
        return;
    }

    if (name == klaviyo_html_word('s','v','g',0,0,0,0,0)) {
        html->drawings -= html->drawings != 0;
    }

    klaviyo_html_item_end(html, name);
}


/* of an element that is looked at, or while some wait for their end tags */

void
klaviyo_html_element(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last, unsigned item)
{
    uint64_t        name;
    const uint8_t  *name_end;

    name_end = klaviyo_html_tag_name(*p == '/' ? p + 1 : p, last);

    if (*p == '/') {
        klaviyo_html_element_end(html, klaviyo_html_key(p + 1,
                                                        name_end - p - 1));
        return;
    }

    item = item && (html->want & KLAVIYO_HTML_MICRODATA)
           && html->templates == 0;
    name = klaviyo_html_key(p, name_end - p);

    if ((name == klaviyo_html_word('p',0,0,0,0,0,0,0)
         || name == KLAVIYO_HTML_LI)
        && html->templates == 0)
    {
        klaviyo_html_item_end(html, name);      /* the one before */
    }

    if (!(item && klaviyo_html_item(html, name, name_end, last))
        && html->templates == 0)
    {
        klaviyo_html_item_start(html, name);
    }

    switch (name) {

    case klaviyo_html_word('m','e','t','a',0,0,0,0):
        if ((html->want & KLAVIYO_HTML_META) && html->templates == 0) {
            klaviyo_html_meta(html, name_end, last);
        }
        break;

    case klaviyo_html_word('l','i','n','k',0,0,0,0):
        if (html->templates == 0) {
            klaviyo_html_link(html, name_end, last);
        }
        break;

    case klaviyo_html_word('t','e','m','p','l','a','t','e'):
        html->templates++;
        break;

    case klaviyo_html_word('s','v','g',0,0,0,0,0):
        html->drawings += last[-1] != '/';
        break;

    case klaviyo_html_word('i','f','r','a','m','e',0,0):
    case klaviyo_html_word('n','o','e','m','b','e','d',0):
    case klaviyo_html_word('n','o','f','r','a','m','e','s'):
    case klaviyo_html_word('s','c','r','i','p','t',0,0):
    case klaviyo_html_word('s','t','y','l','e',0,0,0):
    case klaviyo_html_word('t','e','x','t','a','r','e','a'):
    case klaviyo_html_word('t','i','t','l','e',0,0,0):
    case klaviyo_html_word('x','m','p',0,0,0,0,0):
        klaviyo_html_raw(html, name,
                         klaviyo_html_raw_keep(html, name, name_end, last));
        break;
    }
}
