/*
 * Objects of linked data, and what their properties say.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_jsonld.h"
#include "klaviyo_entity.h"
#include "klaviyo_html.h"


typedef struct {
    klaviyo_jsonld_meet_pt    meet;
    void                     *data;
    size_t                    left;
} klaviyo_jsonld_walk_t;


static void klaviyo_jsonld_step(klaviyo_jsonld_walk_t *walk,
    const klaviyo_slice_t *value, size_t depth);


int
klaviyo_jsonld_open(klaviyo_jsonld_node_t *node, const klaviyo_slice_t *value)
{
    klaviyo_scan_t            scan;
    klaviyo_slice_t           name;
    klaviyo_jsonld_member_t  *member;

    node->n = 0;

    if (value->len == 0
        || klaviyo_scan_type(value->data) != KLAVIYO_SCAN_OBJECT)
    {
        return 0;
    }

    klaviyo_scan_enter(&scan, value);

    while (node->n < KLAVIYO_JSONLD_MEMBERS
           && klaviyo_scan_next(&scan, &name))
    {
        member = &node->member[node->n++];

        member->name.data = name.data + 1;
        member->name.len = name.len - 2;

        if (member->name.len > 7
            && memcmp(member->name.data, "schema:", 7) == 0)
        {
            member->name.data += 7;
            member->name.len -= 7;
        }

        klaviyo_scan_value(&scan, &member->value);
    }

    return 1;
}


/* "Product", "schema:Product", "https://schema.org/Product", "product" */

int
klaviyo_jsonld_is(const klaviyo_jsonld_node_t *node, const char *type)
{
    size_t                  len;
    uint8_t                 ch;
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;

    len = strlen(type);

    klaviyo_jsonld_each(&each, node, "@type");

    while (klaviyo_jsonld_next(&each, &value)) {

        if (klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING
            || value.len < len + 2
            || strncasecmp((const char *) value.data + value.len - 1 - len,
                           type, len)
               != 0)
        {
            continue;
        }

        ch = value.data[value.len - 2 - len];

        if (value.len == len + 2 || ch == '/' || ch == ':' || ch == '#') {
            return 1;
        }
    }

    return 0;
}


void
klaviyo_jsonld_each(klaviyo_jsonld_each_t *each,
    const klaviyo_jsonld_node_t *node, const char *name)
{
    each->node = node;
    each->name = name;
    each->len = strlen(name);
    each->i = 0;
    each->in_items = 0;
}


int
klaviyo_jsonld_next(klaviyo_jsonld_each_t *each, klaviyo_slice_t *value)
{
    klaviyo_slice_t                 name;
    const klaviyo_jsonld_member_t  *member;

    for ( ;; ) {

        if (each->in_items) {

            if (klaviyo_scan_next(&each->items, &name)) {
                klaviyo_scan_value(&each->items, value);
                return 1;
            }

            each->in_items = 0;
        }

        if (each->i == each->node->n) {
            return 0;
        }

        member = &each->node->member[each->i++];

        /* shops write "pricecurrency", too */

        if (member->name.len != each->len
            || strncasecmp((const char *) member->name.data, each->name,
                           each->len)
               != 0)
        {
            continue;
        }

        *value = member->value;

        if (klaviyo_scan_type(value->data) != KLAVIYO_SCAN_ARRAY) {
            return 1;
        }

        klaviyo_scan_enter(&each->items, value);
        each->in_items = 1;
    }
}


static void
klaviyo_jsonld_trim(klaviyo_slice_t *text)
{
    while (text->len && text->data[0] <= ' ') {
        text->data++;
        text->len--;
    }

    while (text->len && text->data[text->len - 1] <= ' ') {
        text->len--;
    }
}


int
klaviyo_jsonld_text(klaviyo_jsonld_pool_t *pool, const klaviyo_slice_t *value,
    klaviyo_slice_t *text)
{
    uint8_t                *buf;
    klaviyo_slice_t         inner;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node;

    switch (klaviyo_scan_type(value->data)) {

    case KLAVIYO_SCAN_NUMBER:
        *text = *value;
        return 1;

    case KLAVIYO_SCAN_STRING:
        break;

    case KLAVIYO_SCAN_OBJECT:
        klaviyo_jsonld_open(&node, value);
        klaviyo_jsonld_each(&each, &node, "@value");

        return klaviyo_jsonld_next(&each, &inner)
               && klaviyo_scan_type(inner.data) != KLAVIYO_SCAN_OBJECT
               && klaviyo_jsonld_text(pool, &inner, text);

    default:
        return 0;
    }

    text->data = value->data + 1;
    text->len = value->len - 2;

    if (!klaviyo_scan_is_plain(value)
        || memchr(text->data, '&', text->len) != NULL)
    {
        buf = pool->alloc(pool->data, value->len);

        if (buf == NULL) {
            pool->failed = 1;
            return 0;
        }

        text->len = klaviyo_scan_string(value, buf);
        text->len = klaviyo_html_decode(buf, text->len);
        text->data = buf;
    }

    klaviyo_jsonld_trim(text);

    return text->len != 0;
}


int
klaviyo_jsonld_get(klaviyo_jsonld_pool_t *pool,
    const klaviyo_jsonld_node_t *node, const char *name,
    klaviyo_slice_t *text)
{
    klaviyo_slice_t         value;
    klaviyo_jsonld_each_t   each;

    klaviyo_jsonld_each(&each, node, name);

    while (klaviyo_jsonld_next(&each, &value)) {
        if (klaviyo_jsonld_text(pool, &value, text)) {
            return 1;
        }
    }

    return 0;
}


int
klaviyo_jsonld_check(klaviyo_slice_t *text)
{
    size_t               i, len;
    unsigned             again;
    klaviyo_scan_seen_t  seen;

    static const char  *around[] = { "\xef\xbb\xbf", "<!--", "-->", "//",
                                     "/*", "*/", "<![CDATA[", "]]>", "<!", ">",
                                     ";" };

    do {
        again = 0;
        klaviyo_jsonld_trim(text);

        for (i = 0; i < sizeof(around) / sizeof(around[0]) && !again; i++) {
            len = strlen(around[i]);

            if (text->len >= len && memcmp(text->data, around[i], len) == 0) {
                text->data += len;
                text->len -= len;
                again = 1;
            }

            if (text->len >= len
                && memcmp(text->data + text->len - len, around[i], len) == 0)
            {
                text->len -= len;
                again = 1;
            }
        }

    } while (again);

    return text->len != 0 && klaviyo_scan_check(text, &seen);
}


void
klaviyo_jsonld_walk(const klaviyo_slice_t *text, klaviyo_jsonld_meet_pt meet,
    void *data)
{
    klaviyo_jsonld_walk_t  walk;

    walk.meet = meet;
    walk.data = data;
    walk.left = KLAVIYO_JSONLD_NODES;

    klaviyo_jsonld_step(&walk, text, 0);
}


static void
klaviyo_jsonld_step(klaviyo_jsonld_walk_t *walk, const klaviyo_slice_t *value,
    size_t depth)
{
    size_t                  i;
    klaviyo_scan_t          scan;
    klaviyo_slice_t         name, item;
    klaviyo_jsonld_each_t   each;
    klaviyo_jsonld_node_t   node;

    static const char  *inner[] = { "@graph", "mainEntity", "breadcrumb" };

    if (depth == KLAVIYO_JSONLD_DEPTH || walk->left == 0) {
        return;
    }

    if (klaviyo_scan_type(value->data) == KLAVIYO_SCAN_ARRAY) {

        klaviyo_scan_enter(&scan, value);

        while (klaviyo_scan_next(&scan, &name)) {
            klaviyo_scan_value(&scan, &item);
            klaviyo_jsonld_step(walk, &item, depth + 1);
        }

        return;
    }

    if (!klaviyo_jsonld_open(&node, value)) {
        return;
    }

    walk->left--;

    if (!walk->meet(walk->data, &node, value)) {
        walk->left = 0;
        return;
    }

    for (i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
        klaviyo_jsonld_each(&each, &node, inner[i]);

        while (klaviyo_jsonld_next(&each, &item)) {
            klaviyo_jsonld_step(walk, &item, depth + 1);
        }
    }
}
