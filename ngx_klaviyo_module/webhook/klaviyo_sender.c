/*
 * webhook: the senders.  Plain C; OpenSSL decodes base64.
 */


#include <string.h>

#include <openssl/evp.h>

#include "json/klaviyo_pointer.h"
#include "klaviyo_sender.h"


#define KLAVIYO_SENDER_BASE64_LEN  44          /* of 32 bytes                */


static unsigned klaviyo_sender_signature(const klaviyo_sender_t *sender,
    const uint8_t *p, size_t len, uint8_t *digest);
static int klaviyo_sender_unhex(const uint8_t *p, int lower, uint8_t *digest);
static int klaviyo_sender_digit(uint8_t ch, int lower);
static int klaviyo_sender_is_base64(const uint8_t *p, size_t len);
static int klaviyo_sender_starts(const uint8_t *p, size_t len,
    const char *prefix);


static const klaviyo_sender_t  klaviyo_senders[] = {

    { .name = "klaviyo",
      .header = { "klaviyo-signature" },
      .time_header = "klaviyo-timestamp",
      .time = KLAVIYO_SENDER_HTTP_DATE,
      .after = "%t",
      .id_header = { "klaviyo-webhook-id" },
      .id_needed = 1,
      .own_body = 1 },

    { .name = "shopify",
      .header = { "x-shopify-hmac-sha256", "shopify-hmac-sha256" },
      .encoding = KLAVIYO_SENDER_BASE64,
      .id_header = { "x-shopify-webhook-id", "shopify-webhook-id" },
      .topic_header = { "x-shopify-topic", "shopify-topic" } },

    { .name = "woocommerce",
      .header = { "x-wc-webhook-signature" },
      .encoding = KLAVIYO_SENDER_BASE64,
      .id_header = { "x-wc-webhook-delivery-id" },
      .topic_header = { "x-wc-webhook-topic" },
      .pings = 1 },

    { .name = "stripe",
      .header = { "stripe-signature" },
      .prefix = "v1=",
      .time_prefix = "t=",
      .separator = ',',
      .time = KLAVIYO_SENDER_SECONDS,
      .before = "%t.",
      .id_pointer = "/id",
      .topic_pointer = "/type" },

    { .name = "zoom",
      .header = { "x-zm-signature" },
      .prefix = "v0=",
      .time_header = "x-zm-request-timestamp",
      .time = KLAVIYO_SENDER_SECONDS,
      .before = "v0:%t:",
      .topic_pointer = "/event",
      .validates = 1 },

    { .name = "typeform",
      .header = { "typeform-signature" },
      .prefix = "sha256=",
      .encoding = KLAVIYO_SENDER_BASE64,
      .id_pointer = "/event_id",
      .topic_pointer = "/event_type" },

    { .name = "shopware",
      .header = { "shopware-shop-signature" },
      .id_pointer = "/source/eventId",
      .topic_pointer = "/data/event" },

    { .name = "standard",
      .header = { "webhook-signature" },
      .prefix = "v1,",
      .separator = ' ',
      .encoding = KLAVIYO_SENDER_BASE64,
      .time_header = "webhook-timestamp",
      .time = KLAVIYO_SENDER_SECONDS,
      .before = "%i.%t.",
      .id_header = { "webhook-id" },
      .topic_pointer = "/type",
      .id_needed = 1,
      .base64_secret = 1 },

    { .name = NULL }
};


const klaviyo_sender_t *
klaviyo_sender_find(const uint8_t *name, size_t len)
{
    const klaviyo_sender_t  *sender;

    for (sender = klaviyo_senders; sender->name; sender++) {
        if (strlen(sender->name) == len
            && memcmp(sender->name, name, len) == 0)
        {
            return sender;
        }
    }

    return NULL;
}


unsigned
klaviyo_sender_signatures(const klaviyo_sender_t *sender,
    const klaviyo_slice_t *value, klaviyo_slice_t *time,
    uint8_t digests[][KLAVIYO_WEBHOOK_DIGEST])
{
    unsigned        n;
    const uint8_t  *p, *end, *last;

    n = 0;
    time->data = value->data;
    time->len = 0;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        end = sender->separator ? memchr(p, sender->separator, last - p)
                                : NULL;
        end = end ? end : last;

        while (sender->separator && p < end && *p == ' ') {
            p++;
        }

        if (sender->time_prefix
            && klaviyo_sender_starts(p, end - p, sender->time_prefix))
        {
            if (time->len) {
                return 0;
            }

            time->data = p + strlen(sender->time_prefix);
            time->len = end - time->data;

        } else if (n < KLAVIYO_WEBHOOK_SECRETS) {
            n += klaviyo_sender_signature(sender, p, end - p, digests[n]);
        }

        p = end + 1;
    }

    return n;
}


static unsigned
klaviyo_sender_signature(const klaviyo_sender_t *sender, const uint8_t *p,
    size_t len, uint8_t *digest)
{
    size_t   prefix;
    uint8_t  bytes[KLAVIYO_SENDER_BASE64_LEN];

    if (sender->prefix) {

        if (!klaviyo_sender_starts(p, len, sender->prefix)) {
            return 0;
        }

        prefix = strlen(sender->prefix);
        p += prefix;
        len -= prefix;
    }

    if (sender->encoding != KLAVIYO_SENDER_BASE64) {
        return len == 2 * KLAVIYO_WEBHOOK_DIGEST
               && klaviyo_sender_unhex(p,
                                 sender->encoding == KLAVIYO_SENDER_LOWER,
                                 digest);
    }

    /* 43 digits of 32 bytes, and one "=" */

    if (len != KLAVIYO_SENDER_BASE64_LEN
        || !klaviyo_sender_is_base64(p, len - 1) || p[len - 1] != '='
        || EVP_DecodeBlock(bytes, p, (int) len) < KLAVIYO_WEBHOOK_DIGEST)
    {
        return 0;
    }

    memcpy(digest, bytes, KLAVIYO_WEBHOOK_DIGEST);

    return 1;
}


static int
klaviyo_sender_unhex(const uint8_t *p, int lower, uint8_t *digest)
{
    int     high, low;
    size_t  i;

    for (i = 0; i < KLAVIYO_WEBHOOK_DIGEST; i++) {
        high = klaviyo_sender_digit(p[2 * i], lower);
        low = klaviyo_sender_digit(p[2 * i + 1], lower);

        if (high < 0 || low < 0) {
            return 0;
        }

        digest[i] = (uint8_t) (high << 4 | low);
    }

    return 1;
}


static int
klaviyo_sender_digit(uint8_t ch, int lower)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    if (ch >= 'a' && ch <= 'f') {
        return ch - 'a' + 10;
    }

    return !lower && ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}


static int
klaviyo_sender_is_base64(const uint8_t *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((p[i] < 'a' || p[i] > 'z') && (p[i] < 'A' || p[i] > 'Z')
            && (p[i] < '0' || p[i] > '9') && p[i] != '+' && p[i] != '/')
        {
            return 0;
        }
    }

    return 1;
}


static int
klaviyo_sender_starts(const uint8_t *p, size_t len, const char *prefix)
{
    size_t  n;

    n = strlen(prefix);

    return len >= n && memcmp(p, prefix, n) == 0;
}


size_t
klaviyo_sender_text(uint8_t *dst, const char *text,
    const klaviyo_slice_t *time, const klaviyo_slice_t *id)
{
    uint8_t                *p;
    const klaviyo_slice_t  *value;

    for (p = dst; *text; text++) {

        if (*text != '%') {
            *p++ = (uint8_t) *text;
            continue;
        }

        value = *++text == 't' ? time : id;

        if (value->len) {
            memcpy(p, value->data, value->len);
            p += value->len;
        }
    }

    return p - dst;
}


int64_t
klaviyo_sender_seconds(const klaviyo_slice_t *text)
{
    size_t   i;
    int64_t  n;

    if (text->len == 0 || text->len > 15) {
        return -1;
    }

    for (n = 0, i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return -1;
        }

        n = n * 10 + (text->data[i] - '0');
    }

    /* as seconds the year 5138, as milliseconds 1973 */

    return n >= 100000000000 ? n / 1000 : n;
}


size_t
klaviyo_sender_secret(uint8_t *p, size_t len)
{
    int       n;
    size_t    prefix, pad;
    uint8_t  *from;

    prefix = klaviyo_sender_starts(p, len, "whsec_") ? 6 : 0;

    from = p + prefix;
    len -= prefix;

    for (pad = 0; pad < 2 && pad < len && from[len - 1 - pad] == '='; pad++) {
        /* to the last digit */
    }

    if (len == 0 || len % 4 || !klaviyo_sender_is_base64(from, len - pad)) {
        return 0;
    }

    /* what is written never passes what is read */

    n = EVP_DecodeBlock(p, from, (int) len);

    return n > (int) pad ? (size_t) n - pad : 0;
}


int
klaviyo_sender_ping(const uint8_t *p, size_t len)
{
    size_t  i;

    static const char  name[] = "webhook_id=";

    i = sizeof(name) - 1;

    if (len <= i || len > KLAVIYO_SENDER_PING_MAX
        || memcmp(p, name, i) != 0)
    {
        return 0;
    }

    for ( /* void */ ; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }
    }

    return 1;
}


size_t
klaviyo_sender_value(const klaviyo_slice_t *body, const char *pointer,
    uint8_t *dst)
{
    size_t           len;
    uint8_t          name[6 * KLAVIYO_WEBHOOK_NAME_MAX + 2];
    klaviyo_slice_t  value;

    if (!klaviyo_pointer_find(body, (const uint8_t *) pointer,
                              strlen(pointer), &value)
        || klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING
        || value.len > sizeof(name))
    {
        return 0;
    }

    len = klaviyo_scan_string(&value, name);

    if (!klaviyo_webhook_is_name(name, len)) {
        return 0;
    }

    memcpy(dst, name, len);

    return len;
}


int
klaviyo_sender_token(const klaviyo_slice_t *body,
    uint8_t token[KLAVIYO_SENDER_TOKEN_MAX])
{
    size_t           i, len;
    uint8_t          text[6 * KLAVIYO_SENDER_TOKEN_MAX + 2];
    klaviyo_slice_t  value;

    static const char  event[] = "endpoint.url_validation";

    if (!klaviyo_pointer_find(body, (const uint8_t *) "/event", 6, &value)
        || klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING
        || !klaviyo_scan_is(&value, event, sizeof(event) - 1))
    {
        return -1;
    }

    if (!klaviyo_pointer_find(body, (const uint8_t *) "/payload/plainToken",
                              sizeof("/payload/plainToken") - 1, &value)
        || klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING
        || value.len > sizeof(text))
    {
        return 0;
    }

    len = klaviyo_scan_string(&value, text);

    if (len > KLAVIYO_SENDER_TOKEN_MAX) {
        return 0;
    }

    /* it stands in the answer as it is */

    for (i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '"'
            || text[i] == '\\')
        {
            return 0;
        }
    }

    memcpy(token, text, len);

    return (int) len;
}
