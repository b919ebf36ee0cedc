/*
 * json: pointers.  Plain C, no allocation.
 */


#include <string.h>

#include "klaviyo_pointer.h"


static int klaviyo_pointer_step(const klaviyo_slice_t *value,
    const uint8_t *token, const uint8_t *last, klaviyo_slice_t *found);
static void klaviyo_pointer_items(klaviyo_json_t *json,
    const klaviyo_slice_t *value, const uint8_t *token, const uint8_t *last);
static uint32_t klaviyo_pointer_child(klaviyo_pointer_node_t *nodes,
    uint32_t *n, uint32_t parent, const uint8_t *token, const uint8_t *last);
static void klaviyo_pointer_forget(const klaviyo_pointer_node_t *nodes,
    uint32_t node, klaviyo_slice_t *found);
static uint32_t klaviyo_pointer_member(const klaviyo_pointer_node_t *nodes,
    uint32_t child, const klaviyo_slice_t *name);
static uint32_t klaviyo_pointer_item(const klaviyo_pointer_node_t *nodes,
    uint32_t child, size_t index);
static const uint8_t *klaviyo_pointer_end(const uint8_t *token,
    const uint8_t *last);
static int klaviyo_pointer_index(const uint8_t *token, const uint8_t *last,
    size_t *index);
static int klaviyo_pointer_names(const uint8_t *token, const uint8_t *last,
    const klaviyo_slice_t *name);


#define klaviyo_pointer_is_all(token, end)                                   \
    ((end) - (token) == 1 && *(token) == '*')


int
klaviyo_pointer_valid(const uint8_t *pointer, size_t len)
{
    size_t  i;

    if (len && pointer[0] != '/') {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (pointer[i] != '~') {
            continue;
        }

        i++;

        if (i == len || (pointer[i] != '0' && pointer[i] != '1')) {
            return 0;
        }
    }

    return 1;
}


size_t
klaviyo_pointer_all(const uint8_t *pointer, size_t len)
{
    size_t          n;
    const uint8_t  *token, *end, *last;

    n = 0;
    last = pointer + len;

    for (token = pointer + 1; token <= last; token = end + 1) {

        end = klaviyo_pointer_end(token, last);

        n += klaviyo_pointer_is_all(token, end);
    }

    return n;
}


int
klaviyo_pointer_find(const klaviyo_slice_t *text, const uint8_t *pointer,
    size_t len, klaviyo_slice_t *value)
{
    const uint8_t   *token, *end, *last;
    klaviyo_slice_t  found;

    *value = *text;
    last = pointer + len;

    for (token = pointer + 1; token <= last; token = end + 1) {

        end = klaviyo_pointer_end(token, last);

        if (!klaviyo_pointer_step(value, token, end, &found)) {
            return 0;
        }

        *value = found;
    }

    return 1;
}


size_t
klaviyo_pointer_tokens(const uint8_t *pointer, size_t len)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {
        n += (pointer[i] == '/');
    }

    return n;
}


uint32_t
klaviyo_pointer_add(klaviyo_pointer_node_t *nodes, uint32_t *n,
    const uint8_t *pointer, size_t *len)
{
    uint32_t        node;
    const uint8_t  *token, *end, *last;

    if (*n == 0) {
        memset(&nodes[(*n)++], 0, sizeof(klaviyo_pointer_node_t));
    }

    node = 0;
    last = pointer + *len;

    for (token = pointer + 1; token <= last; token = end + 1) {

        end = klaviyo_pointer_end(token, last);

        if (klaviyo_pointer_is_all(token, end)) {
            *len = token - 1 - pointer;
            break;
        }

        node = klaviyo_pointer_child(nodes, n, node, token, end);
    }

    return node;
}


static uint32_t
klaviyo_pointer_child(klaviyo_pointer_node_t *nodes, uint32_t *n,
    uint32_t parent, const uint8_t *token, const uint8_t *last)
{
    uint32_t                 i;
    klaviyo_pointer_node_t  *node;

    for (i = nodes[parent].child; i; i = nodes[i].next) {

        if (nodes[i].len == (size_t) (last - token)
            && memcmp(nodes[i].token, token, nodes[i].len) == 0)
        {
            return i;
        }
    }

    node = &nodes[*n];

    node->token = token;
    node->len = last - token;
    node->child = 0;
    node->next = nodes[parent].child;

    if (!klaviyo_pointer_index(token, last, &node->index)) {
        node->index = SIZE_MAX;
    }

    nodes[parent].child = *n;

    return (*n)++;
}


void
klaviyo_pointer_read(const klaviyo_pointer_node_t *nodes, uint32_t node,
    const klaviyo_slice_t *value, klaviyo_slice_t *found)
{
    size_t           i;
    uint32_t         first, child;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, member;

    klaviyo_pointer_forget(nodes, node, found);

    found[node] = *value;
    first = nodes[node].child;

    if (first == 0) {
        return;
    }

    klaviyo_scan_enter(&scan, value);

    for (i = 0; klaviyo_scan_next(&scan, &name); i++) {

        child = scan.object ? klaviyo_pointer_member(nodes, first, &name)
                            : klaviyo_pointer_item(nodes, first, i);

        /* of members with one name, the last one holds */

        if (child) {
            klaviyo_scan_value(&scan, &member);
            klaviyo_pointer_read(nodes, child, &member, found);
        }
    }
}


static void
klaviyo_pointer_forget(const klaviyo_pointer_node_t *nodes, uint32_t node,
    klaviyo_slice_t *found)
{
    uint32_t  child;

    found[node].len = 0;

    for (child = nodes[node].child; child; child = nodes[child].next) {
        klaviyo_pointer_forget(nodes, child, found);
    }
}


/* most names differ in their first byte, unless it may stand for another */

static uint32_t
klaviyo_pointer_member(const klaviyo_pointer_node_t *nodes, uint32_t child,
    const klaviyo_slice_t *name)
{
    uint8_t                        first;
    const klaviyo_pointer_node_t  *node;

    first = name->data[1];

    for ( /* void */ ; child; child = node->next) {
        node = &nodes[child];

        if (node->len && node->token[0] != first && node->token[0] != '~'
            && first != '\\' && first < 0x80)
        {
            continue;
        }

        if (klaviyo_pointer_names(node->token, node->token + node->len, name))
        {
            return child;
        }
    }

    return 0;
}


static uint32_t
klaviyo_pointer_item(const klaviyo_pointer_node_t *nodes, uint32_t child,
    size_t index)
{
    while (child && nodes[child].index != index) {
        child = nodes[child].next;
    }

    return child;
}


void
klaviyo_pointer_write(klaviyo_json_t *json, const klaviyo_slice_t *text,
    const uint8_t *pointer, size_t len)
{
    uint8_t  *start;

    start = json->pos;

    klaviyo_json_literal(json, "[");
    klaviyo_pointer_items(json, text, pointer + 1, pointer + len);

    if (json->pos - start < 2) {
        json->pos = start;
        return;
    }

    klaviyo_json_literal(json, "]");
}


/* what is found below the value, each with a comma behind the one before */

static void
klaviyo_pointer_items(klaviyo_json_t *json, const klaviyo_slice_t *value,
    const uint8_t *token, const uint8_t *last)
{
    const uint8_t   *end;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  at, found, name;

    at = *value;

    for ( /* void */ ; token <= last; token = end + 1) {

        end = klaviyo_pointer_end(token, last);

        if (klaviyo_pointer_is_all(token, end)
            && klaviyo_scan_type(at.data) == KLAVIYO_SCAN_ARRAY)
        {
            klaviyo_scan_enter(&scan, &at);

            while (!json->overflow && klaviyo_scan_next(&scan, &name)) {
                klaviyo_scan_value(&scan, &found);
                klaviyo_pointer_items(json, &found, end + 1, last);
            }

            return;
        }

        if (!klaviyo_pointer_step(&at, token, end, &found)) {
            return;
        }

        at = found;
    }

    if (klaviyo_scan_type(at.data) == KLAVIYO_SCAN_NULL) {
        return;
    }

    if (json->pos > json->start && json->pos[-1] != '[') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_raw(json, at.data, at.len);
}


/* of members with one name, the last one holds */

static int
klaviyo_pointer_step(const klaviyo_slice_t *value, const uint8_t *token,
    const uint8_t *last, klaviyo_slice_t *found)
{
    size_t           index;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name;

    found->len = 0;

    klaviyo_scan_enter(&scan, value);

    if (scan.object) {

        while (klaviyo_scan_next(&scan, &name)) {

            if (klaviyo_pointer_names(token, last, &name)) {
                klaviyo_scan_value(&scan, found);
            }
        }

        return found->len != 0;
    }

    if (!klaviyo_pointer_index(token, last, &index)) {
        return 0;
    }

    while (klaviyo_scan_next(&scan, &name)) {

        if (index-- == 0) {
            klaviyo_scan_value(&scan, found);
            return found->len != 0;
        }
    }

    return 0;
}


static const uint8_t *
klaviyo_pointer_end(const uint8_t *token, const uint8_t *last)
{
    const uint8_t  *end;

    end = (token < last) ? memchr(token, '/', last - token) : NULL;

    return end ? end : last;
}


static int
klaviyo_pointer_index(const uint8_t *token, const uint8_t *last,
    size_t *index)
{
    size_t  n;

    if (token == last || last - token > 9
        || (*token == '0' && last - token > 1))
    {
        return 0;
    }

    n = 0;

    for ( /* void */ ; token < last; token++) {

        if (*token < '0' || *token > '9') {
            return 0;
        }

        n = n * 10 + (*token - '0');
    }

    *index = n;

    return 1;
}


static int
klaviyo_pointer_names(const uint8_t *token, const uint8_t *last,
    const klaviyo_slice_t *name)
{
    int             repair;
    size_t          i, n;
    uint8_t         c, buf[4];
    const uint8_t  *p, *end;

    p = name->data + 1;
    end = name->data + name->len - 1;

    while (p < end) {
        n = klaviyo_scan_char(&p, end, buf, &repair);

        for (i = 0; i < n; i++) {

            if (token == last) {
                return 0;
            }

            c = *token++;

            if (c == '~') {
                c = (*token++ == '0') ? '~' : '/';
            }

            if (c != buf[i]) {
                return 0;
            }
        }
    }

    return token == last;
}
