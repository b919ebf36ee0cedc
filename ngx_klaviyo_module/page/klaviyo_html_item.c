/*
 * Microdata: items and properties, which end with their elements.
 */


#include <string.h>

#include "klaviyo_html_item.h"
#include "klaviyo_html_text.h"


/* where an element has the value of its property; NULL: in its text */

static klaviyo_html_slice_t *
klaviyo_html_item_value(uint64_t name, klaviyo_html_attrs_t *attrs)
{
    if (attrs->content.data) {
        return &attrs->content;
    }

    switch (name) {

    case klaviyo_html_word('a',0,0,0,0,0,0,0):
    case klaviyo_html_word('a','r','e','a',0,0,0,0):
    case klaviyo_html_word('l','i','n','k',0,0,0,0):
        return &attrs->href;

    case klaviyo_html_word('a','u','d','i','o',0,0,0):
    case klaviyo_html_word('e','m','b','e','d',0,0,0):
    case klaviyo_html_word('i','f','r','a','m','e',0,0):
    case klaviyo_html_word('i','m','g',0,0,0,0,0):
    case klaviyo_html_word('s','o','u','r','c','e',0,0):
    case klaviyo_html_word('t','r','a','c','k',0,0,0):
    case klaviyo_html_word('v','i','d','e','o',0,0,0):
        return &attrs->src;

    case klaviyo_html_word('d','a','t','a',0,0,0,0):
    case klaviyo_html_word('i','n','p','u','t',0,0,0):
    case klaviyo_html_word('m','e','t','e','r',0,0,0):
        return &attrs->value;

    case klaviyo_html_word('t','i','m','e',0,0,0,0):
        return attrs->datetime.data ? &attrs->datetime : NULL;

    /* without an end tag */

    case klaviyo_html_word('b','a','s','e',0,0,0,0):
    case klaviyo_html_word('b','r',0,0,0,0,0,0):
    case klaviyo_html_word('c','o','l',0,0,0,0,0):
    case klaviyo_html_word('h','r',0,0,0,0,0,0):
    case klaviyo_html_word('m','e','t','a',0,0,0,0):
    case klaviyo_html_word('w','b','r',0,0,0,0,0):
        return &attrs->value;
    }

    return NULL;
}


/* an item in an element without an end tag has nothing but a value */

static int
klaviyo_html_item_is_void(uint64_t name)
{
    switch (name) {

    case klaviyo_html_word('a','r','e','a',0,0,0,0):
    case klaviyo_html_word('b','a','s','e',0,0,0,0):
    case klaviyo_html_word('b','r',0,0,0,0,0,0):
    case klaviyo_html_word('c','o','l',0,0,0,0,0):
    case klaviyo_html_word('e','m','b','e','d',0,0,0):
    case klaviyo_html_word('h','r',0,0,0,0,0,0):
    case klaviyo_html_word('i','m','g',0,0,0,0,0):
    case klaviyo_html_word('i','n','p','u','t',0,0,0):
    case klaviyo_html_word('l','i','n','k',0,0,0,0):
    case klaviyo_html_word('m','e','t','a',0,0,0,0):
    case klaviyo_html_word('s','o','u','r','c','e',0,0):
    case klaviyo_html_word('t','r','a','c','k',0,0,0):
    case klaviyo_html_word('w','b','r',0,0,0,0,0):
        return 1;
    }

    return 0;
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

int
klaviyo_html_item(klaviyo_html_t *html, uint64_t name, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_html_open_t   *open;
    klaviyo_html_attrs_t   attrs;
    klaviyo_html_slice_t  *value;

    klaviyo_html_attrs(&attrs, p, last);

    if (attrs.itemprop.len == 0 && attrs.itemtype.len == 0) {
        return 0;
    }

    if (attrs.itemscope.data == NULL || klaviyo_html_item_is_void(name)) {
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
        klaviyo_html_item_close(html, 0);
        return 0;
    }

    open = &html->open[html->depth];

    open->name = name;
    open->opened = 1;
    open->lists = 0;
    open->len = 0;

    if (attrs.itemscope.data) {
        html->depth++;
        klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_ITEM,
                          attrs.itemprop.data, attrs.itemprop.len,
                          attrs.itemtype.data ? attrs.itemtype.data : p,
                          attrs.itemtype.len);

        value = attrs.itemid.len ? &attrs.itemid : &attrs.href;

        if (value->len) {
            klaviyo_html_tell(html, KLAVIYO_HTML_FOUND_PROPERTY,
                              (const uint8_t *) "@id", 3, value->data,
                              value->len);
        }

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

void
klaviyo_html_item_close(klaviyo_html_t *html, size_t depth)
{
    size_t                 max;
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

        /* what is beyond the one around it was its own */

        max = klaviyo_html_text_max(html);

        if (html->text.len > max) {
            html->text.len = max;
        }
    }

    if (html->reading == 0) {
        klaviyo_html_reset(&html->text);
    }
}


/*
 * An <li> ends where the next one of its list begins, or its list ends.  Gives
 * the depth of the innermost one that waits; 0: there is none, or a list in it
 * waits too.
 */

static size_t
klaviyo_html_item_li(const klaviyo_html_t *html)
{
    size_t  i;

    for (i = html->depth; i > 0; i--) {

        if (html->open[i - 1].name == KLAVIYO_HTML_LI) {
            return i;
        }

        if (html->open[i - 1].name == KLAVIYO_HTML_UL
            || html->open[i - 1].name == KLAVIYO_HTML_OL)
        {
            break;
        }
    }

    return 0;
}


/* of an <li>, and of a list's end tag; 1: nothing more is to be done */

static int
klaviyo_html_item_li_end(klaviyo_html_t *html, uint64_t name)
{
    size_t  i;

    while ((i = klaviyo_html_item_li(html)) != 0) {

        if (html->open[i - 1].lists) {
            html->open[i - 1].lists -= name != KLAVIYO_HTML_LI;
            return 1;
        }

        klaviyo_html_item_close(html, i - 1);

        if (name == KLAVIYO_HTML_LI) {
            return 1;
        }
    }

    return name == KLAVIYO_HTML_LI;
}


/* an end tag is of the innermost element of its name */

void
klaviyo_html_item_end(klaviyo_html_t *html, uint64_t name)
{
    size_t  i;

    if ((name == KLAVIYO_HTML_LI || name == KLAVIYO_HTML_UL
         || name == KLAVIYO_HTML_OL)
        && klaviyo_html_item_li_end(html, name))
    {
        return;
    }

    for (i = html->depth; i > 0; i--) {
        if (html->open[i - 1].name == name) {
            if (--html->open[i - 1].opened == 0) {
                klaviyo_html_item_close(html, i - 1);
            }

            return;
        }
    }
}


void
klaviyo_html_item_start(klaviyo_html_t *html, uint64_t name)
{
    size_t  i;

    if (name == KLAVIYO_HTML_LI) {
        return;
    }

    if (name == KLAVIYO_HTML_UL || name == KLAVIYO_HTML_OL) {
        i = klaviyo_html_item_li(html);

        if (i) {
            html->open[i - 1].lists++;
            return;
        }
    }

    for (i = html->depth; i > 0; i--) {
        if (html->open[i - 1].name == name) {
            html->open[i - 1].opened++;
            return;
        }
    }
}
