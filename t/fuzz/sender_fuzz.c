/*
 * What senders of webhooks write: one line, the sender; another, the header
 * with the signature; then the body.  What is found stays within what was
 * given, and an answer's token within its string.
 */


#include <stdlib.h>
#include <string.h>

#include "webhook/klaviyo_sender.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(klaviyo_slice_t *body,
    const klaviyo_sender_t *sender);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                   len;
    uint8_t                  digests[KLAVIYO_WEBHOOK_SECRETS]
                                    [KLAVIYO_WEBHOOK_DIGEST], *text;
    unsigned                 n;
    const uint8_t           *line, *next;
    klaviyo_slice_t          value, time, body;
    const klaviyo_sender_t  *sender;

    line = size ? memchr(data, '\n', size) : NULL;

    if (line == NULL) {
        return 0;
    }

    sender = klaviyo_sender_find(data, line - data);

    if (sender == NULL) {
        return 0;
    }

    value.data = ++line;
    next = memchr(line, '\n', data + size - line);
    value.len = (next ? next : data + size) - line;

    n = klaviyo_sender_signatures(sender, &value, &time, digests);

    if (n > KLAVIYO_WEBHOOK_SECRETS || time.data < value.data
        || time.data + time.len > value.data + value.len)
    {
        abort();
    }

    if (klaviyo_sender_seconds(&time) < -1) {
        abort();
    }

    if (sender->before) {
        text = malloc(klaviyo_sender_text_size(sender->before, &time, &value));

        len = klaviyo_sender_text(text, sender->before, &time, &value);

        if (len > klaviyo_sender_text_size(sender->before, &time, &value)) {
            abort();
        }

        free(text);
    }

    text = malloc(value.len ? value.len : 1);
    memcpy(text, value.data, value.len);

    if (klaviyo_sender_secret(text, value.len) > value.len) {
        abort();
    }

    free(text);

    if (next) {
        body.data = next + 1;
        body.len = data + size - body.data;

        check_body(&body, sender);
    }

    return 0;
}


static void
check_body(klaviyo_slice_t *body, const klaviyo_sender_t *sender)
{
    int      i, len;
    uint8_t              token[KLAVIYO_SENDER_TOKEN_MAX];
    uint8_t              name[KLAVIYO_WEBHOOK_NAME_MAX];
    size_t               n;
    klaviyo_scan_seen_t  seen;

    if (klaviyo_sender_ping(body->data, body->len)
        && memchr(body->data, '&', body->len))
    {
        abort();
    }

    if (!klaviyo_scan_check(body, &seen)) {
        return;
    }

    if (sender->topic_pointer) {
        n = klaviyo_sender_value(body, sender->topic_pointer, name);

        if (n && !klaviyo_webhook_is_name(name, n)) {
            abort();
        }
    }

    len = klaviyo_sender_token(body, token);

    for (i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] > '~' || token[i] == '"'
            || token[i] == '\\')
        {
            abort();
        }
    }
}
