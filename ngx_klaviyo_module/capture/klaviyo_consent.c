/*
 * The capture room: the cookies of the banners of consent.  Plain C.
 */


#include <string.h>

#include "klaviyo_consent.h"
#include "klaviyo_consent_iab.h"
#include "klaviyo_decode.h"
#include "json/klaviyo_pointer.h"


#define KLAVIYO_CONSENT_DEPTH  8         /* levels of Usercentrics' JSON    */


static klaviyo_consent_e klaviyo_consent_all(
    const klaviyo_consent_want_t *want, const klaviyo_slice_t *text,
    klaviyo_consent_e (*one)(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name));
static klaviyo_consent_e klaviyo_consent_onetrust(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name);
static klaviyo_consent_e klaviyo_consent_cookiebot(
    const klaviyo_slice_t *text, const klaviyo_consent_name_t *name);
static klaviyo_consent_e klaviyo_consent_complianz(
    const klaviyo_slice_t *text);
static klaviyo_consent_e klaviyo_consent_service(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name);
static klaviyo_consent_e klaviyo_consent_service_at(
    const klaviyo_slice_t *value, const klaviyo_consent_name_t *name,
    int depth);
static klaviyo_consent_e klaviyo_consent_shopify(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name);
static klaviyo_consent_e klaviyo_consent_word(const klaviyo_slice_t *value);
static const uint8_t *klaviyo_consent_find(const klaviyo_slice_t *text,
    const char *word, size_t len);
static int klaviyo_consent_is(const klaviyo_slice_t *text, const char *word);


klaviyo_consent_e
klaviyo_consent_read(const klaviyo_consent_want_t *want, const uint8_t *p,
    size_t len, uint8_t *buf)
{
    klaviyo_slice_t      text;
    klaviyo_scan_seen_t  seen;

    if (len == 0 || len > KLAVIYO_CONSENT_TEXT_MAX) {
        return KLAVIYO_CONSENT_NONE;
    }

    text.data = p;
    text.len = len;

    /* cookies are encoded once, and those of a proxy's making twice */

    if (memchr(p, '%', len)) {
        text.data = buf;
        text.len = klaviyo_decode_percent(buf, p, len);

        if (memchr(buf, '%', text.len)) {
            text.len = klaviyo_decode_percent(buf, buf, text.len);
        }
    }

    switch (want->format) {

    case KLAVIYO_CONSENT_TCF:
        return klaviyo_consent_tcf(want, text.data, text.len);

    case KLAVIYO_CONSENT_GPP:
        return klaviyo_consent_gpp(want, text.data, text.len);

    case KLAVIYO_CONSENT_ONETRUST:
        return klaviyo_consent_all(want, &text, klaviyo_consent_onetrust);

    case KLAVIYO_CONSENT_COOKIEBOT:

        /* no consent is asked for where the visitor is */

        if (klaviyo_consent_is(&text, "-1")) {
            return KLAVIYO_CONSENT_YES;
        }

        return klaviyo_consent_all(want, &text, klaviyo_consent_cookiebot);

    case KLAVIYO_CONSENT_COMPLIANZ:
        return klaviyo_consent_complianz(&text);

    case KLAVIYO_CONSENT_USERCENTRICS:

        if (!klaviyo_scan_check(&text, &seen)) {
            return KLAVIYO_CONSENT_NONE;
        }

        return klaviyo_consent_all(want, &text, klaviyo_consent_service);

    case KLAVIYO_CONSENT_SHOPIFY:

        if (text.data[0] == '{' && !klaviyo_scan_check(&text, &seen)) {
            return KLAVIYO_CONSENT_NONE;
        }

        return klaviyo_consent_all(want, &text, klaviyo_consent_shopify);

    default:
        return KLAVIYO_CONSENT_NONE;
    }
}


/* a no to one is a no; what is not said of one is not said of all */

static klaviyo_consent_e
klaviyo_consent_all(const klaviyo_consent_want_t *want,
    const klaviyo_slice_t *text,
    klaviyo_consent_e (*one)(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name))
{
    size_t             i;
    klaviyo_consent_e  answer, said;

    answer = KLAVIYO_CONSENT_YES;

    for (i = 0; i < want->names; i++) {

        said = one(text, &want->name[i]);

        if (said == KLAVIYO_CONSENT_NO) {
            return KLAVIYO_CONSENT_NO;
        }

        if (said == KLAVIYO_CONSENT_NONE) {
            answer = KLAVIYO_CONSENT_NONE;
        }
    }

    return answer;
}


/* ...&groups=C0001:1,C0002:0,C0004:0&... */

static klaviyo_consent_e
klaviyo_consent_onetrust(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name)
{
    const uint8_t    *p, *last;
    klaviyo_slice_t   groups;

    p = text->data;

    if (text->len < 7 || memcmp(p, "groups=", 7) != 0) {

        p = klaviyo_consent_find(text, "&groups=", 8);

        if (p == NULL) {
            return KLAVIYO_CONSENT_NONE;
        }

        p++;
    }

    groups.data = p + 7;
    groups.len = text->data + text->len - groups.data;

    last = groups.len ? memchr(groups.data, '&', groups.len) : NULL;

    if (last) {
        groups.len = last - groups.data;
    }

    last = groups.data + groups.len;
    p = groups.data;

    while ((size_t) (last - p) >= name->len + 2) {

        if (memcmp(p, name->data, name->len) == 0 && p[name->len] == ':') {

            p += name->len + 1;

            return *p == '1' ? KLAVIYO_CONSENT_YES
                             : *p == '0' ? KLAVIYO_CONSENT_NO
                                         : KLAVIYO_CONSENT_NONE;
        }

        p = memchr(p, ',', last - p);

        if (p == NULL) {
            break;
        }

        p++;
    }

    return KLAVIYO_CONSENT_NONE;
}


/* {stamp:'...',necessary:true,marketing:false,...}, which is no JSON */

static klaviyo_consent_e
klaviyo_consent_cookiebot(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name)
{
    const uint8_t    *p, *last;
    klaviyo_slice_t   rest;

    last = text->data + text->len;
    rest = *text;

    for ( ;; ) {
        p = klaviyo_consent_find(&rest, name->data, name->len);

        if (p == NULL) {
            return KLAVIYO_CONSENT_NONE;
        }

        rest.data = p + name->len;
        rest.len = last - rest.data;

        if (p != text->data && p[-1] != '{' && p[-1] != ',' && p[-1] != '"'
            && p[-1] != ' ')
        {
            continue;
        }

        while (rest.len && (*rest.data == '"' || *rest.data == ' ')) {
            rest.data++;
            rest.len--;
        }

        if (rest.len == 0 || *rest.data != ':') {
            continue;
        }

        rest.data++;
        rest.len--;

        while (rest.len && *rest.data == ' ') {
            rest.data++;
            rest.len--;
        }

        if (rest.len >= 4 && memcmp(rest.data, "true", 4) == 0) {
            return KLAVIYO_CONSENT_YES;
        }

        if (rest.len >= 5 && memcmp(rest.data, "false", 5) == 0) {
            return KLAVIYO_CONSENT_NO;
        }
    }
}


static klaviyo_consent_e
klaviyo_consent_complianz(const klaviyo_slice_t *text)
{
    if (klaviyo_consent_is(text, "allow")) {
        return KLAVIYO_CONSENT_YES;
    }

    if (klaviyo_consent_is(text, "deny")) {
        return KLAVIYO_CONSENT_NO;
    }

    return KLAVIYO_CONSENT_NONE;
}


/*
 *     {"services":[{"id":"H1Vl5NidjWX","status":true,"history":[...]}]}
 *     {"consent":{"services":{"H1Vl5NidjWX":{"name":"...","consent":true}}}}
 */

static klaviyo_consent_e
klaviyo_consent_service(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name)
{
    return klaviyo_consent_service_at(text, name, 0);
}


static klaviyo_consent_e
klaviyo_consent_service_at(const klaviyo_slice_t *value,
    const klaviyo_consent_name_t *name, int depth)
{
    int                matched;
    klaviyo_scan_t     scan;
    klaviyo_slice_t    member, key;
    klaviyo_consent_e  said, found;

    static const uint8_t  consent[] = "/consent";

    if (depth == KLAVIYO_CONSENT_DEPTH) {
        return KLAVIYO_CONSENT_NONE;
    }

    matched = 0;
    said = KLAVIYO_CONSENT_NONE;
    key.len = 0;

    klaviyo_scan_enter(&scan, value);

    while (klaviyo_scan_next(&scan, &key)) {

        klaviyo_scan_value(&scan, &member);

        if (!scan.object) {
            found = klaviyo_consent_service_at(&member, name, depth + 1);

        } else if (klaviyo_scan_is(&key, "status", 6)
                   || klaviyo_scan_is(&key, "consent", 7))
        {
            found = klaviyo_consent_word(&member);

            if (found != KLAVIYO_CONSENT_NONE) {
                said = found;
            }

            found = klaviyo_consent_service_at(&member, name, depth + 1);

        } else if (klaviyo_scan_is(&key, "id", 2)
                   || klaviyo_scan_is(&key, "name", 4))
        {
            matched |= klaviyo_scan_type(member.data) == KLAVIYO_SCAN_STRING
                       && klaviyo_scan_is(&member, name->data, name->len);
            continue;

        } else if (klaviyo_scan_is(&key, name->data, name->len)) {
            found = KLAVIYO_CONSENT_NONE;

            if (klaviyo_scan_type(member.data) == KLAVIYO_SCAN_OBJECT
                && klaviyo_pointer_find(&member, consent,
                                        sizeof(consent) - 1, &key))
            {
                found = klaviyo_consent_word(&key);
            }

        } else {
            found = klaviyo_consent_service_at(&member, name, depth + 1);
        }

        if (found != KLAVIYO_CONSENT_NONE) {
            return found;
        }
    }

    return matched ? said : KLAVIYO_CONSENT_NONE;
}


/*
 *     {"con":{"CMP":{"a":"1","m":"0","p":"","s":""}},
 *      "purposes":{"a":true,"m":true,"p":true,"t":true}}
 *     3.AMPS_DEBE_f_f_...
 *
 * What was answered; else what is allowed without an answer.
 */

static klaviyo_consent_e
klaviyo_consent_shopify(const klaviyo_slice_t *text,
    const klaviyo_consent_name_t *name)
{
    size_t             i;
    char               letter;
    uint8_t            path[16];
    klaviyo_slice_t    value;
    klaviyo_consent_e  said;

    letter = name->data[0];

    if (text->data[0] == '{') {

        memcpy(path, "/con/CMP/?", 10);
        path[9] = (uint8_t) letter;

        if (klaviyo_pointer_find(text, path, 10, &value)) {
            said = klaviyo_consent_word(&value);

            if (said != KLAVIYO_CONSENT_NONE) {
                return said;
            }
        }

        memcpy(path, "/purposes/?", 11);
        path[10] = (uint8_t) (letter == 's' ? 't' : letter);

        if (klaviyo_pointer_find(text, path, 11, &value)) {
            return klaviyo_consent_word(&value);
        }

        return KLAVIYO_CONSENT_NONE;
    }

    if (text->len < 2 || memcmp(text->data, "3.", 2) != 0) {
        return KLAVIYO_CONSENT_NONE;
    }

    for (i = 2; i < text->len && text->data[i] != '_'; i++) {

        if (text->data[i] == (uint8_t) (letter & ~0x20)) {
            return KLAVIYO_CONSENT_YES;
        }

        if (text->data[i] == (uint8_t) letter) {
            return KLAVIYO_CONSENT_NO;
        }
    }

    return KLAVIYO_CONSENT_NONE;
}


/* true, "1", 1; false, "0", 0 */

static klaviyo_consent_e
klaviyo_consent_word(const klaviyo_slice_t *value)
{
    if (klaviyo_consent_is(value, "true") || klaviyo_consent_is(value, "1")
        || klaviyo_consent_is(value, "\"1\"")
        || klaviyo_consent_is(value, "\"true\""))
    {
        return KLAVIYO_CONSENT_YES;
    }

    if (klaviyo_consent_is(value, "false") || klaviyo_consent_is(value, "0")
        || klaviyo_consent_is(value, "\"0\"")
        || klaviyo_consent_is(value, "\"false\""))
    {
        return KLAVIYO_CONSENT_NO;
    }

    return KLAVIYO_CONSENT_NONE;
}


static const uint8_t *
klaviyo_consent_find(const klaviyo_slice_t *text, const char *word,
    size_t len)
{
    size_t  i;

    for (i = 0; i + len <= text->len; i++) {

        if (text->data[i] == (uint8_t) word[0]
            && memcmp(text->data + i, word, len) == 0)
        {
            return text->data + i;
        }
    }

    return NULL;
}


static int
klaviyo_consent_is(const klaviyo_slice_t *text, const char *word)
{
    return strlen(word) == text->len
           && memcmp(text->data, word, text->len) == 0;
}
