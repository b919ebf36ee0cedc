/*
 * Tags.
 */


#include <string.h>

#include "klaviyo_html_tag.h"


const uint8_t *
klaviyo_html_attr(const uint8_t *p, const uint8_t *last,
    klaviyo_html_slice_t *name, klaviyo_html_slice_t *value)
{
    uint8_t  quote;

    while (p < last && (klaviyo_html_space(*p) || *p == '/')) {
        p++;
    }

    if (p == last) {
        return NULL;
    }

    name->data = p;
    name->len = 0;

    if (*p == '>') {
        return p;
    }

    /* a "=" in the first place is of the name */

    p = klaviyo_html_name_end(p + 1, last);

    name->len = p - name->data;
    value->data = p;
    value->len = 0;

    while (p < last && klaviyo_html_space(*p)) {
        p++;
    }

    if (p == last) {
        return NULL;
    }

    if (*p != '=') {
        return p;
    }

    do {
        p++;
    } while (p < last && klaviyo_html_space(*p));

    if (p == last) {
        return NULL;
    }

    quote = *p;

    if (quote == '"' || quote == '\'') {
        value->data = p + 1;
        p = klaviyo_html_find(p + 1, last, quote);
        value->len = p - value->data;

        return p == last ? NULL : p + 1;
    }

    value->data = p;

    while (p < last && !klaviyo_html_space(*p) && *p != '>') {
        p++;
    }

    value->len = p - value->data;

    return p == last ? NULL : p;
}


const uint8_t *
klaviyo_html_tag_next(klaviyo_html_tag_e *state, const uint8_t *p,
    const uint8_t *last)
{
    uint8_t             ch;
    klaviyo_html_tag_e  in;

    in = *state;

    while (p < last && in != KLAVIYO_HTML_TAG_END) {

        ch = *p++;

        if (ch == '>' && in != KLAVIYO_HTML_TAG_DOUBLE
            && in != KLAVIYO_HTML_TAG_SINGLE)
        {
            in = KLAVIYO_HTML_TAG_END;
            break;
        }

        switch (in) {

        case KLAVIYO_HTML_TAG_NAME:
            in = klaviyo_html_space(ch) || ch == '/'
                 ? KLAVIYO_HTML_TAG_BEFORE : KLAVIYO_HTML_TAG_NAME;
            break;

        case KLAVIYO_HTML_TAG_BEFORE:
            in = klaviyo_html_space(ch) || ch == '/'
                 ? KLAVIYO_HTML_TAG_BEFORE : KLAVIYO_HTML_TAG_ATTRIBUTE;
            break;

        case KLAVIYO_HTML_TAG_ATTRIBUTE:
            in = ch == '=' ? KLAVIYO_HTML_TAG_VALUE
                 : ch == '/' ? KLAVIYO_HTML_TAG_BEFORE
                 : klaviyo_html_space(ch) ? KLAVIYO_HTML_TAG_AFTER
                 : KLAVIYO_HTML_TAG_ATTRIBUTE;
            break;

        case KLAVIYO_HTML_TAG_AFTER:
            in = ch == '=' ? KLAVIYO_HTML_TAG_VALUE
                 : ch == '/' ? KLAVIYO_HTML_TAG_BEFORE
                 : klaviyo_html_space(ch) ? KLAVIYO_HTML_TAG_AFTER
                 : KLAVIYO_HTML_TAG_ATTRIBUTE;
            break;

        case KLAVIYO_HTML_TAG_VALUE:
            in = ch == '"' ? KLAVIYO_HTML_TAG_DOUBLE
                 : ch == '\'' ? KLAVIYO_HTML_TAG_SINGLE
                 : klaviyo_html_space(ch) ? KLAVIYO_HTML_TAG_VALUE
                 : KLAVIYO_HTML_TAG_PLAIN;
            break;

        case KLAVIYO_HTML_TAG_DOUBLE:
            in = ch == '"' ? KLAVIYO_HTML_TAG_BEFORE
                           : KLAVIYO_HTML_TAG_DOUBLE;
            break;

        case KLAVIYO_HTML_TAG_SINGLE:
            in = ch == '\'' ? KLAVIYO_HTML_TAG_BEFORE
                            : KLAVIYO_HTML_TAG_SINGLE;
            break;

        case KLAVIYO_HTML_TAG_PLAIN:
            in = klaviyo_html_space(ch) ? KLAVIYO_HTML_TAG_BEFORE
                                        : KLAVIYO_HTML_TAG_PLAIN;
            break;

        case KLAVIYO_HTML_TAG_END:
            break;
        }
    }

    *state = in;

    return p;
}


static klaviyo_html_slice_t *
klaviyo_html_attrs_slot(klaviyo_html_attrs_t *attrs, uint64_t key)
{
    switch (key) {

    case klaviyo_html_word('n','a','m','e',0,0,0,0):
        return &attrs->name;

    case klaviyo_html_word('p','r','o','p','e','r','t','y'):
        return &attrs->property;

    case klaviyo_html_word('c','o','n','t','e','n','t',0):
        return &attrs->content;

    case klaviyo_html_word('r','e','l',0,0,0,0,0):
        return &attrs->rel;

    case klaviyo_html_word('h','r','e','f',0,0,0,0):
        return &attrs->href;

    case klaviyo_html_word('s','r','c',0,0,0,0,0):
        return &attrs->src;

    case klaviyo_html_word('t','y','p','e',0,0,0,0):
        return &attrs->type;

    case klaviyo_html_word('v','a','l','u','e',0,0,0):
        return &attrs->value;

    case klaviyo_html_word('d','a','t','e','t','i','m','e'):
        return &attrs->datetime;

    case klaviyo_html_word('i','t','e','m','p','r','o','p'):
        return &attrs->itemprop;

    case klaviyo_html_longer(
                        klaviyo_html_word('i','t','e','m','s','c','o','p'),
                        'e'):
        return &attrs->itemscope;

    case klaviyo_html_word('i','t','e','m','t','y','p','e'):
        return &attrs->itemtype;

    case klaviyo_html_word('i','t','e','m','i','d',0,0):
        return &attrs->itemid;
    }

    return NULL;
}


void
klaviyo_html_attrs(klaviyo_html_attrs_t *attrs, const uint8_t *p,
    const uint8_t *last)
{
    klaviyo_html_slice_t   name, value, *attr;

    memset(attrs, 0, sizeof(klaviyo_html_attrs_t));

    while ((p = klaviyo_html_attr(p, last + 1, &name, &value)) != NULL
           && name.len)
    {
        attr = klaviyo_html_attrs_slot(attrs,
                                       klaviyo_html_key(name.data, name.len));

        if (attr && attr->data == NULL) {
            *attr = value;
        }
    }
}


int
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


int
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
