/*
 * A pointer into JSON text: one line, the pointer, then the text.  A find in
 * valid text must agree with jansson's own tree; in any other text it must
 * stay inside.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/pointer_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/pointer
 */


#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "json/klaviyo_pointer.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void among(const uint8_t *pointer, size_t len,
    const klaviyo_slice_t *text, const klaviyo_slice_t *value);
static json_t *tree_find(json_t *node, const uint8_t *p, const uint8_t *last);
static int same(json_t *node, const klaviyo_slice_t *value);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                   found;
    json_t               *root, *node;
    uint8_t              *buf;
    const uint8_t        *line;
    klaviyo_json_t        json;
    klaviyo_slice_t       text, value;
    klaviyo_scan_seen_t   seen;

    line = size ? memchr(data, '\n', size) : NULL;

    if (line == NULL || !klaviyo_pointer_valid(data, line - data)) {
        return 0;
    }

    text.data = line + 1;
    text.len = data + size - text.data;

    if (!klaviyo_scan_check(&text, &seen)) {

        /* a caller never does this; inside it stays all the same */

        if (text.len
            && klaviyo_pointer_find(&text, data, line - data, &value)
            && value.len)
        {
            buf = malloc(value.len);

            if (*value.data == '"'
                && klaviyo_scan_string(&value, buf) > value.len)
            {
                abort();
            }

            free(buf);
        }

        return 0;
    }

    found = klaviyo_pointer_find(&text, data, line - data, &value);

    if (klaviyo_pointer_all(data, line - data) == 0) {
        among(data, line - data, &text, found ? &value : NULL);
    }

    if (klaviyo_pointer_all(data, line - data)) {
        buf = malloc(text.len + 2);

        klaviyo_json_init(&json, buf, text.len + 2);
        klaviyo_pointer_write(&json, &text, data, line - data);

        value.data = json.start;
        value.len = json.pos - json.start;

        if (json.overflow
            || (value.len && !klaviyo_scan_check(&value, &seen)))
        {
            abort();
        }

        free(buf);
    }

    /* jansson's half: what the scanner tolerates it may refuse */

    root = json_loadb((const char *) text.data, text.len, JSON_DECODE_ANY,
                      NULL);

    if (root == NULL || seen.repair || memchr(text.data, '\0', text.len)) {
        json_decref(root);
        return 0;
    }

    node = tree_find(root, data, line);

    if (found != (node != NULL) || (found && !same(node, &value))) {
        abort();
    }

    json_decref(root);

    return 0;
}


/* a tree of pointers finds the same */

static void
among(const uint8_t *pointer, size_t len, const klaviyo_slice_t *text,
    const klaviyo_slice_t *value)
{
    size_t                   max;
    uint32_t                 n, node;
    klaviyo_slice_t         *found;
    klaviyo_pointer_node_t  *nodes;

    max = klaviyo_pointer_tokens(pointer, len) + 1;

    nodes = malloc(max * sizeof(klaviyo_pointer_node_t));
    found = malloc(max * sizeof(klaviyo_slice_t));

    n = 0;
    node = klaviyo_pointer_add(nodes, &n, pointer, &len);

    klaviyo_pointer_read(nodes, 0, text, found);

    if (found[node].len != (value ? value->len : 0)
        || (value && found[node].data != value->data))
    {
        abort();
    }

    free(nodes);
    free(found);
}


static json_t *
tree_find(json_t *node, const uint8_t *p, const uint8_t *last)
{
    char            *token;
    size_t           len, i;
    json_t          *next;
    const uint8_t   *end;

    while (p < last && node) {

        end = memchr(p + 1, '/', last - p - 1);
        end = end ? end : last;

        token = malloc(end - p);
        len = 0;

        for (p++; p < end; p++) {
            token[len++] = (*p != '~') ? *p : (*++p == '0') ? '~' : '/';
        }

        token[len] = '\0';
        next = NULL;

        if (json_is_object(node) && strlen(token) == len) {
            next = json_object_get(node, token);

        } else if (json_is_array(node) && len && len < 10
                   && strspn(token, "0123456789") == len
                   && (len == 1 || token[0] != '0'))
        {
            i = strtoul(token, NULL, 10);
            next = json_array_get(node, i);
        }

        free(token);
        node = next;
    }

    return node;
}


static int
same(json_t *node, const klaviyo_slice_t *value)
{
    int       rc;
    json_t   *again;
    size_t    len;
    uint8_t  *buf;

    again = json_loadb((const char *) value->data, value->len,
                       JSON_DECODE_ANY, NULL);

    rc = again && json_equal(node, again);

    json_decref(again);

    if (rc && json_is_string(node)) {
        buf = malloc(value->len);
        len = klaviyo_scan_string(value, buf);

        rc = len == json_string_length(node)
             && memcmp(buf, json_string_value(node), len) == 0
             && klaviyo_scan_is(value, json_string_value(node), len);

        free(buf);
    }

    return rc;
}
