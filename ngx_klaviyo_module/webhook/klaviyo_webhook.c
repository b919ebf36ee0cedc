/*
 * webhook: the signature of a webhook, and what its body says.  Plain C.
 *
 * The JSON of a body is only looked at when its signature is right.
 */


#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "json/klaviyo_pointer.h"
#include "klaviyo_webhook.h"


static void klaviyo_webhook_digest(klaviyo_webhook_hmac_t *hmac,
    void *context, uint8_t *digest);
static void klaviyo_webhook_topic(const klaviyo_slice_t *topic,
    uint8_t *topics, size_t *len, unsigned *n);
static int klaviyo_webhook_listed(const uint8_t *topics, size_t len,
    const uint8_t *p, size_t n);


int
klaviyo_webhook_in_time(int64_t time, int64_t now, int64_t tolerance)
{
    if (time < 0 || now < 0) {
        return 0;
    }

    return (time > now ? time - now : now - time) <= tolerance;
}


int
klaviyo_webhook_is_name(const uint8_t *p, size_t len)
{
    size_t   i;
    uint8_t  c;

    if (len == 0 || len > KLAVIYO_WEBHOOK_NAME_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        c = p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9')
            || c == '_' || c == '-' || c == '.' || c == ':' || c == '/')
        {
            continue;
        }

        return 0;
    }

    return 1;
}


void
klaviyo_webhook_begin(klaviyo_webhook_hmac_t *hmac,
    const klaviyo_slice_t *secrets, unsigned n)
{
    EVP_PKEY    *key;
    EVP_MD_CTX  *context;

    hmac->failed = 0;

    for (hmac->n = 0; hmac->n < n; hmac->n++) {

        context = EVP_MD_CTX_new();
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL,
                                           secrets[hmac->n].data,
                                           secrets[hmac->n].len);

        if (context == NULL || key == NULL
            || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1)
        {
            hmac->failed = 1;
        }

        /* the context has a reference of its own */

        EVP_PKEY_free(key);

        hmac->context[hmac->n] = context;
    }
}


void
klaviyo_webhook_update(klaviyo_webhook_hmac_t *hmac, const void *p,
    size_t len)
{
    unsigned  i;

    for (i = 0; i < hmac->n && !hmac->failed; i++) {
        if (EVP_DigestSignUpdate(hmac->context[i], p, len) != 1) {
            hmac->failed = 1;
        }
    }
}


int
klaviyo_webhook_end(klaviyo_webhook_hmac_t *hmac,
    const uint8_t signatures[][KLAVIYO_WEBHOOK_DIGEST], unsigned n)
{
    int       match, same;
    uint8_t   digest[KLAVIYO_WEBHOOK_DIGEST];
    unsigned  i, j;

    match = 0;

    for (i = 0; i < hmac->n; i++) {

        klaviyo_webhook_digest(hmac, hmac->context[i], digest);

        for (j = 0; j < n; j++) {
            same = CRYPTO_memcmp(signatures[j], digest, sizeof(digest)) == 0;
            match |= -same & (int) (i + 1) & -(match == 0);
        }

        EVP_MD_CTX_free(hmac->context[i]);
    }

    OPENSSL_cleanse(digest, sizeof(digest));

    if (hmac->failed) {
        ERR_clear_error();
        return -1;
    }

    return match;
}


int
klaviyo_webhook_sign(const klaviyo_slice_t *secret, const void *p, size_t len,
    uint8_t hex[2 * KLAVIYO_WEBHOOK_DIGEST])
{
    size_t                  i;
    uint8_t                 digest[KLAVIYO_WEBHOOK_DIGEST];
    klaviyo_webhook_hmac_t  hmac;

    static const char  digits[] = "0123456789abcdef";

    klaviyo_webhook_begin(&hmac, secret, 1);
    klaviyo_webhook_update(&hmac, p, len);
    klaviyo_webhook_digest(&hmac, hmac.context[0], digest);

    EVP_MD_CTX_free(hmac.context[0]);

    for (i = 0; i < sizeof(digest); i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 0x0f];
    }

    if (hmac.failed) {
        ERR_clear_error();
        return 0;
    }

    return 1;
}


static void
klaviyo_webhook_digest(klaviyo_webhook_hmac_t *hmac, void *context,
    uint8_t *digest)
{
    size_t  len;

    len = KLAVIYO_WEBHOOK_DIGEST;

    memset(digest, 0, len);

    if (hmac->failed
        || EVP_DigestSignFinal(context, digest, &len) != 1
        || len != KLAVIYO_WEBHOOK_DIGEST)
    {
        hmac->failed = 1;
    }
}


klaviyo_webhook_rc_e
klaviyo_webhook_read(klaviyo_slice_t *body, const klaviyo_slice_t *id,
    uint8_t *topics, size_t *len)
{
    unsigned             n;
    klaviyo_scan_t       scan;
    klaviyo_slice_t      value, item, topic, name;
    klaviyo_scan_seen_t  seen;

    *len = 0;

    if (!klaviyo_scan_check(body, &seen)
        || !klaviyo_pointer_find(body,
                                 (const uint8_t *) "/meta/klaviyo_webhook_id",
                                 sizeof("/meta/klaviyo_webhook_id") - 1,
                                 &value)
        || klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING)
    {
        return KLAVIYO_WEBHOOK_BAD;
    }

    if (!klaviyo_scan_is(&value, id->data, id->len)) {
        return KLAVIYO_WEBHOOK_OTHER_ID;
    }

    if (!klaviyo_pointer_find(body, (const uint8_t *) "/data",
                              sizeof("/data") - 1, &value)
        || klaviyo_scan_type(value.data) != KLAVIYO_SCAN_ARRAY)
    {
        return KLAVIYO_WEBHOOK_BAD;
    }

    n = 0;
    klaviyo_scan_enter(&scan, &value);

    while (klaviyo_scan_next(&scan, &name)) {

        klaviyo_scan_value(&scan, &item);

        if (klaviyo_pointer_find(&item, (const uint8_t *) "/topic",
                                 sizeof("/topic") - 1, &topic)
            && klaviyo_scan_type(topic.data) == KLAVIYO_SCAN_STRING)
        {
            klaviyo_webhook_topic(&topic, topics, len, &n);
        }
    }

    return KLAVIYO_WEBHOOK_OK;
}


static void
klaviyo_webhook_topic(const klaviyo_slice_t *topic, uint8_t *topics,
    size_t *len, unsigned *n)
{
    size_t   size;
    uint8_t  name[6 * KLAVIYO_WEBHOOK_NAME_MAX + 2];

    /* each of its characters may be written as \u0061 */

    if (topic->len > sizeof(name)) {
        return;
    }

    size = klaviyo_scan_string(topic, name);

    if (*n == KLAVIYO_WEBHOOK_TOPICS
        || !klaviyo_webhook_is_name(name, size)
        || klaviyo_webhook_listed(topics, *len, name, size))
    {
        return;
    }

    if ((*n)++) {
        topics[(*len)++] = ',';
    }

    memcpy(topics + *len, name, size);
    *len += size;
}


static int
klaviyo_webhook_listed(const uint8_t *topics, size_t len, const uint8_t *p,
    size_t n)
{
    const uint8_t  *topic, *end, *last;

    topic = topics;
    last = topics + len;

    while (topic < last) {

        end = memchr(topic, ',', last - topic);
        end = end ? end : last;

        if ((size_t) (end - topic) == n && memcmp(topic, p, n) == 0) {
            return 1;
        }

        topic = end + 1;
    }

    return 0;
}
