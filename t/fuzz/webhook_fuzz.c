/*
 * The body of a webhook: one line, the header's id, then the body.  What is
 * accepted says in jansson's own tree what it is accepted for, and its topics
 * are fit for a header.
 */


#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "webhook/klaviyo_webhook.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void accepted(const klaviyo_slice_t *body, const klaviyo_slice_t *id);
static void listed(const uint8_t *topics, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 len;
    uint8_t               *topics;
    const uint8_t         *line;
    klaviyo_slice_t        id, body;
    klaviyo_webhook_rc_e   rc;

    line = size ? memchr(data, '\n', size) : NULL;

    if (line == NULL || !klaviyo_webhook_is_name(data, line - data)) {
        return 0;
    }

    id.data = data;
    id.len = line - data;

    body.data = line + 1;
    body.len = data + size - body.data;

    topics = malloc(KLAVIYO_WEBHOOK_TOPICS_MAX);

    rc = klaviyo_webhook_read(&body, &id, topics, &len);

    if (rc == KLAVIYO_WEBHOOK_OK) {
        accepted(&body, &id);
        listed(topics, len);

    } else if (len) {
        abort();
    }

    free(topics);

    return 0;
}


static void
accepted(const klaviyo_slice_t *body, const klaviyo_slice_t *id)
{
    json_t  *root, *value;

    root = json_loadb((const char *) body->data, body->len,
                      JSON_REJECT_DUPLICATES, NULL);

    if (root == NULL) {             /* the scanner takes more than jansson */
        return;
    }

    value = json_object_get(json_object_get(root, "meta"),
                            "klaviyo_webhook_id");

    if (!json_is_array(json_object_get(root, "data"))
        || !json_is_string(value)
        || json_string_length(value) != id->len
        || memcmp(json_string_value(value), id->data, id->len) != 0)
    {
        abort();
    }

    json_decref(root);
}


static void
listed(const uint8_t *topics, size_t len)
{
    const uint8_t  *end, *last;

    last = topics + len;

    while (topics < last) {
        end = memchr(topics, ',', last - topics);

        if (end == last - 1) {
            abort();
        }

        end = end ? end : last;

        if (!klaviyo_webhook_is_name(topics, end - topics)) {
            abort();
        }

        topics = end + 1;
    }
}
