/*
 * What a browser says of its visitor, as bytes of any kind: the first one
 * chooses how they are read.
 *
 * Whatever is found lies in the buffer, keeps the promises of its header and
 * makes an event's JSON that can be parsed.
 */


#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "capture/klaviyo_identity.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_json.h"
#include "json/klaviyo_utf8.h"
#include "json/klaviyo_value.h"


typedef klaviyo_identity_rc_e (*read_pt)(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const read_pt  readers[] = {
    klaviyo_identity_cookie,
    klaviyo_identity_kx,
    klaviyo_identity_ke,
    klaviyo_identity_email
};


/* a cookie's JSON, so that no base64 stands between the fuzzer and it */

static size_t
encode(uint8_t *dst, const uint8_t *p, size_t len)
{
    size_t              i;
    uint32_t            word;
    uint8_t            *start;
    static const char   alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    start = dst;

    for (i = 0; i < len; i += 3) {
        word = (uint32_t) p[i] << 16;
        word |= i + 1 < len ? (uint32_t) p[i + 1] << 8 : 0;
        word |= i + 2 < len ? (uint32_t) p[i + 2] : 0;

        *dst++ = alphabet[word >> 18];
        *dst++ = alphabet[word >> 12 & 63];
        *dst++ = i + 1 < len ? alphabet[word >> 6 & 63] : '=';
        *dst++ = i + 2 < len ? alphabet[word & 63] : '=';
    }

    return dst - start;
}


static void
check(const klaviyo_identity_t *identity,
    const klaviyo_identity_text_t *text, const uint8_t *buf, size_t len)
{
    int             n;
    json_t         *root;
    uint8_t         out[klaviyo_json_string_size(KLAVIYO_IDENTITY_MAX)];
    const uint8_t  *p, *last;
    klaviyo_json_t  json;

    if (text->len == 0) {
        return;
    }

    if (text->len > KLAVIYO_IDENTITY_MAX
        || (text->data != identity->email && text->data != identity->phone
            && (text->data < buf || text->data + text->len > buf + len)))
    {
        abort();
    }

    last = text->data + text->len;

    for (p = text->data; p < last; p += n) {
        n = klaviyo_utf8_length(p, last);

        if (n < 0 || *p < 0x20 || *p == 0x7f) {
            abort();
        }
    }

    klaviyo_json_init(&json, out, sizeof(out));
    klaviyo_json_string(&json, text->data, text->len, KLAVIYO_IDENTITY_MAX);

    if (json.overflow || json.cut) {
        abort();
    }

    root = json_loadb((char *) json.start, json.pos - json.start,
                      JSON_DECODE_ANY, NULL);
    if (root == NULL) {
        abort();
    }

    json_decref(root);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                   i, len;
    uint8_t                 *text, *buf;
    unsigned                 kind;
    klaviyo_identity_t       identity;
    klaviyo_identity_rc_e    rc;
    klaviyo_identity_text_t  cid;

    if (size == 0) {
        return 0;
    }

    kind = *data++ & 7;
    size--;

    text = malloc(size / 3 * 4 + 4);

    if (kind & 4) {
        len = encode(text, data, size);
        kind &= 2;

    } else {
        len = size;
        memcpy(text, data, len);
    }

    /* the exact lengths, for the sanitizer */

    text = realloc(text, len ? len : 1);
    buf = malloc(len && len <= KLAVIYO_IDENTITY_TEXT_MAX ? len : 1);

    rc = readers[kind](&identity, text, len, buf);

    if ((rc == KLAVIYO_IDENTITY_TOO_LONG) != (len > KLAVIYO_IDENTITY_TEXT_MAX)
        || (rc != KLAVIYO_IDENTITY_OK && klaviyo_identity_any(&identity))
        || identity.bad >> KLAVIYO_IDENTITY_ALL)
    {
        abort();
    }

    for (i = 0; i < KLAVIYO_IDENTITY_N; i++) {
        check(&identity, &identity.value[i], buf, len);
    }

    /* names of people are repaired when they are written */

    for ( /* void */ ; i < KLAVIYO_IDENTITY_ALL; i++) {
        if (identity.value[i].len > KLAVIYO_IDENTITY_MAX) {
            abort();
        }
    }

    klaviyo_identity_cid(&identity, &cid);
    check(&identity, &cid, buf, len);
    check(&identity, &identity.company, buf, len);

    if (identity.value[KLAVIYO_IDENTITY_EMAIL].len
        && !klaviyo_value_is_email(identity.value[KLAVIYO_IDENTITY_EMAIL].data,
                                  identity.value[KLAVIYO_IDENTITY_EMAIL].len))
    {
        abort();
    }

    if (identity.value[KLAVIYO_IDENTITY_PHONE].len
        && !klaviyo_value_is_phone(identity.value[KLAVIYO_IDENTITY_PHONE].data,
                                  identity.value[KLAVIYO_IDENTITY_PHONE].len))
    {
        abort();
    }

    (void) klaviyo_identity_restrict(&identity, (const uint8_t *) "ABC123", 6);

    free(buf);
    free(text);

    return 0;
}
