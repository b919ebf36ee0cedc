/*
 * capture: who a browser says that its visitor is.  Plain C, no nginx, no
 * allocation.
 */


#include <string.h>

#include "klaviyo_decode.h"
#include "klaviyo_identity.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_hex.h"
#include "json/klaviyo_value.h"


#define KLAVIYO_IDENTITY_CID_LEN   48        /* base64 of a UUID             */
#define KLAVIYO_IDENTITY_UUID_LEN  36
#define KLAVIYO_IDENTITY_FLAT      8         /* members; klaviyo.js has two  */

/* members that have a place of their own, or none */

#define KLAVIYO_IDENTITY_COMPANY   (KLAVIYO_IDENTITY_ALL + 0)
#define KLAVIYO_IDENTITY_CID       (KLAVIYO_IDENTITY_ALL + 1)
#define KLAVIYO_IDENTITY_IGNORED   (KLAVIYO_IDENTITY_ALL + 2)


typedef struct {
    const char  *name;
    size_t       len;
    unsigned     field;                      /* klaviyo_identity_e, or above */
} klaviyo_identity_member_t;


static klaviyo_identity_rc_e klaviyo_identity_decode(
    klaviyo_identity_t *identity, const uint8_t *p, size_t *len,
    uint8_t *buf);
static klaviyo_identity_rc_e klaviyo_identity_object(
    klaviyo_identity_t *identity, uint8_t *p, size_t len,
    const klaviyo_identity_member_t *members);
static int klaviyo_identity_check(uint8_t *p, size_t len,
    klaviyo_slice_t *text);
static void klaviyo_identity_member(klaviyo_identity_t *identity,
    unsigned field, klaviyo_slice_t *value);
static size_t klaviyo_identity_string(klaviyo_slice_t *string);
static klaviyo_identity_rc_e klaviyo_identity_text(
    klaviyo_identity_t *identity, unsigned field, const uint8_t *p,
    size_t len, uint8_t *buf);
static void klaviyo_identity_set(klaviyo_identity_t *identity, unsigned field,
    const uint8_t *p, size_t len);
static void klaviyo_identity_refuse(klaviyo_identity_t *identity,
    unsigned field);
static int klaviyo_identity_form(klaviyo_identity_t *identity, unsigned field,
    const uint8_t **p, size_t *len);
static int klaviyo_identity_is(unsigned field, const uint8_t *p, size_t len);
static int klaviyo_identity_is_absent(const uint8_t *p, size_t len);
static int klaviyo_identity_is_kx(const uint8_t *p, size_t len);
static int klaviyo_identity_all(const uint8_t *p, const uint8_t *last,
    unsigned part);
static int klaviyo_identity_is_cid(const uint8_t *p, size_t len);


/* of an exchange id: before the dot, and behind it */

#define KLAVIYO_IDENTITY_BEFORE  2
#define KLAVIYO_IDENTITY_BEHIND  1

static const uint8_t  klaviyo_identity_kx_bytes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 2, 0, 0,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 3,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
};


#define klaviyo_identity_name(name, field)                                   \
    { name, sizeof(name) - 1, KLAVIYO_IDENTITY_##field }

static const klaviyo_identity_member_t  klaviyo_identity_cookie_members[] = {
    klaviyo_identity_name("cid", CID),
    klaviyo_identity_name("$exchange_id", KX),
    klaviyo_identity_name("$email", EMAIL),
    klaviyo_identity_name("$id", EXTERNAL_ID),
    klaviyo_identity_name("$kid", ID),
    klaviyo_identity_name("$phone_number", PHONE),
    klaviyo_identity_name("$anonymous", ANONYMOUS_ID),
    klaviyo_identity_name("email", EMAIL),
    klaviyo_identity_name("phone_number", PHONE),
    klaviyo_identity_name("first_name", FIRST_NAME),
    klaviyo_identity_name("last_name", LAST_NAME),
    klaviyo_identity_name("$first_name", FIRST_NAME),
    klaviyo_identity_name("$last_name", LAST_NAME),
    klaviyo_identity_name("$referrer", IGNORED),
    klaviyo_identity_name("$last_referrer", IGNORED),
    { NULL, 0, 0 }
};

static const klaviyo_identity_member_t  klaviyo_identity_ke_members[] = {
    klaviyo_identity_name("kl_email", EMAIL),
    klaviyo_identity_name("kl_phone_number", PHONE),
    klaviyo_identity_name("kl_company_id", COMPANY),
    { NULL, 0, 0 }
};


klaviyo_identity_rc_e
klaviyo_identity_cookie(klaviyo_identity_t *identity, const uint8_t *p,
    size_t len, uint8_t *buf)
{
    klaviyo_identity_rc_e  rc;

    rc = klaviyo_identity_decode(identity, p, &len, buf);

    if (rc != KLAVIYO_IDENTITY_OK) {
        return rc;
    }

    return klaviyo_identity_object(identity, buf, len,
                                   klaviyo_identity_cookie_members);
}


klaviyo_identity_rc_e
klaviyo_identity_kx(klaviyo_identity_t *identity, const uint8_t *p,
    size_t len, uint8_t *buf)
{
    return klaviyo_identity_text(identity, KLAVIYO_IDENTITY_KX, p, len, buf);
}


klaviyo_identity_rc_e
klaviyo_identity_ke(klaviyo_identity_t *identity, const uint8_t *p,
    size_t len, uint8_t *buf)
{
    size_t                  n;
    const uint8_t          *text;
    klaviyo_identity_rc_e   rc;

    rc = klaviyo_identity_decode(identity, p, &len, buf);

    if (rc != KLAVIYO_IDENTITY_OK) {
        return rc;
    }

    text = buf;
    n = klaviyo_value_trim(&text, len);

    if (klaviyo_value_is_email(text, n)) {
        klaviyo_identity_set(identity, KLAVIYO_IDENTITY_EMAIL, buf, len);
        return KLAVIYO_IDENTITY_OK;
    }

    return klaviyo_identity_object(identity, buf, len,
                                   klaviyo_identity_ke_members);
}


klaviyo_identity_rc_e
klaviyo_identity_email(klaviyo_identity_t *identity, const uint8_t *p,
    size_t len, uint8_t *buf)
{
    return klaviyo_identity_text(identity, KLAVIYO_IDENTITY_EMAIL, p, len, buf);
}


/* percent-encoding of base64, into `buf`; *len is 0 when there is nothing */

static klaviyo_identity_rc_e
klaviyo_identity_decode(klaviyo_identity_t *identity, const uint8_t *p,
    size_t *len, uint8_t *buf)
{
    memset(identity, 0, KLAVIYO_IDENTITY_HEAD);

    if (*len > KLAVIYO_IDENTITY_TEXT_MAX) {
        return KLAVIYO_IDENTITY_TOO_LONG;
    }

    *len = klaviyo_decode_percent(buf, p, *len);

    if (klaviyo_identity_is_absent(buf, *len)) {
        *len = 0;
        return KLAVIYO_IDENTITY_OK;
    }

    if (!klaviyo_decode_base64(buf, buf, len)) {
        return KLAVIYO_IDENTITY_MALFORMED;
    }

    return KLAVIYO_IDENTITY_OK;
}


/* an argument whose decoded text is the identifier itself */

static klaviyo_identity_rc_e
klaviyo_identity_text(klaviyo_identity_t *identity, unsigned field,
    const uint8_t *p, size_t len, uint8_t *buf)
{
    memset(identity, 0, KLAVIYO_IDENTITY_HEAD);

    if (len > KLAVIYO_IDENTITY_TEXT_MAX) {
        return KLAVIYO_IDENTITY_TOO_LONG;
    }

    len = klaviyo_decode_percent(buf, p, len);

    klaviyo_identity_set(identity, field, buf, len);

    return KLAVIYO_IDENTITY_OK;
}


/*
 * An exchange id and an id of Klaviyo's are good in their account only, while
 * an email is one everywhere.  _ke names an account to be for it alone.
 */

int
klaviyo_identity_restrict(klaviyo_identity_t *identity,
    const uint8_t *company, size_t len)
{
    if (len == 0
        || identity->company.len == 0
        || (identity->company.len == len
            && memcmp(identity->company.data, company, len) == 0))
    {
        return 0;
    }

    if (identity->value[KLAVIYO_IDENTITY_KX].len == 0) {
        memset(identity->value, 0, sizeof(identity->value));
        return 1;
    }

    identity->value[KLAVIYO_IDENTITY_ID].len = 0;
    identity->value[KLAVIYO_IDENTITY_KX].len = 0;

    return 1;
}


int
klaviyo_identity_any(const klaviyo_identity_t *identity)
{
    unsigned  i;

    for (i = 0; i < KLAVIYO_IDENTITY_N; i++) {

        if (identity->value[i].len) {
            return 1;
        }
    }

    return 0;
}


void
klaviyo_identity_cid(const klaviyo_identity_t *identity,
    klaviyo_identity_text_t *cid)
{
    *cid = identity->cid;

    if (!klaviyo_identity_is_cid(cid->data, cid->len)) {
        cid->len = 0;
    }
}


/* an object, or the text of one as a JSON string */

static klaviyo_identity_rc_e
klaviyo_identity_object(klaviyo_identity_t *identity, uint8_t *p, size_t len,
    const klaviyo_identity_member_t *members)
{
    int                               plain;
    size_t                            n, nflat;
    unsigned                          known, seen;
    klaviyo_scan_t                    scan;
    klaviyo_slice_t                   text, name, value;
    klaviyo_slice_t                   flat[2 * KLAVIYO_IDENTITY_FLAT];
    const klaviyo_identity_member_t  *member;

    if (klaviyo_identity_is_absent(p, len)) {
        return KLAVIYO_IDENTITY_OK;
    }

    text.data = p;
    text.len = len;

    nflat = klaviyo_scan_flat(&text, flat, KLAVIYO_IDENTITY_FLAT);

    if (nflat == 0) {

        if (!klaviyo_identity_check(p, len, &text)) {
            return KLAVIYO_IDENTITY_MALFORMED;
        }

        klaviyo_scan_enter(&scan, &text);
    }

    known = 0;
    seen = 0;

    for (n = 0; /* void */ ; n++) {

        if (nflat) {

            if (n == nflat) {
                break;
            }

            name = flat[2 * n];
            value = flat[2 * n + 1];

        } else {

            if (!klaviyo_scan_next(&scan, &name)) {
                break;
            }

            klaviyo_scan_value(&scan, &value);
        }

        plain = (nflat || klaviyo_scan_is_plain(&name));

        for (member = members; member->name; member++) {

            if (plain ? member->len == name.len - 2
                        && memcmp(member->name, name.data + 1, member->len)
                           == 0
                      : klaviyo_scan_is(&name, member->name, member->len))
            {
                break;
            }
        }

        if (member->name == NULL) {
            continue;
        }

        known = 1;

        if (member->field == KLAVIYO_IDENTITY_IGNORED) {
            continue;
        }

        /* whoever wrote one into the other's text wants to be somebody else */

        if (seen & 1U << member->field) {
            memset(identity, 0, KLAVIYO_IDENTITY_HEAD);
            return KLAVIYO_IDENTITY_MALFORMED;
        }

        seen |= 1U << member->field;

        if (nflat) {
            klaviyo_identity_set(identity, member->field, value.data + 1,
                                 value.len - 2);
            continue;
        }

        klaviyo_identity_member(identity, member->field, &value);
    }

    return n && !known ? KLAVIYO_IDENTITY_MALFORMED : KLAVIYO_IDENTITY_OK;
}


/* 1, and the object in `text`; or 0 */

static int
klaviyo_identity_check(uint8_t *p, size_t len, klaviyo_slice_t *text)
{
    klaviyo_scan_seen_t  seen;

    text->data = p;
    text->len = len;

    if (!klaviyo_scan_check(text, &seen)) {
        return 0;
    }

    if (klaviyo_scan_type(text->data) == KLAVIYO_SCAN_STRING) {
        text->len = klaviyo_identity_string(text);

        if (!klaviyo_scan_check(text, &seen)) {
            return 0;
        }
    }

    return klaviyo_scan_type(text->data) == KLAVIYO_SCAN_OBJECT;
}


static void
klaviyo_identity_member(klaviyo_identity_t *identity, unsigned field,
    klaviyo_slice_t *value)
{
    klaviyo_scan_seen_t  seen;

    switch (klaviyo_scan_type(value->data)) {

    case KLAVIYO_SCAN_BOOL:
    case KLAVIYO_SCAN_NULL:
        return;

    case KLAVIYO_SCAN_OBJECT:
    case KLAVIYO_SCAN_ARRAY:
        klaviyo_identity_refuse(identity, field);
        return;

    case KLAVIYO_SCAN_NUMBER:
        break;

    default:
        value->len = klaviyo_identity_string(value);

        /* a string in a string; what is none is no longer what it was */

        if (value->len && value->data[0] == '"') {

            if (!klaviyo_scan_check(value, &seen)
                || klaviyo_scan_type(value->data) != KLAVIYO_SCAN_STRING)
            {
                klaviyo_identity_refuse(identity, field);
                return;
            }

            value->len = klaviyo_identity_string(value);
        }
    }

    klaviyo_identity_set(identity, field, value->data, value->len);
}


/* reads a string where it stands, in the caller's buffer */

static size_t
klaviyo_identity_string(klaviyo_slice_t *string)
{
    return klaviyo_scan_string(string, (uint8_t *) string->data);
}


static void
klaviyo_identity_set(klaviyo_identity_t *identity, unsigned field,
    const uint8_t *p, size_t len)
{
    const uint8_t            *dot;
    klaviyo_identity_text_t  *text;

    len = klaviyo_value_trim(&p, len);

    if (klaviyo_identity_is_absent(p, len)) {
        return;
    }

    if (!klaviyo_identity_is(field, p, len)
        && !klaviyo_identity_form(identity, field, &p, &len))
    {
        klaviyo_identity_refuse(identity, field);
        return;
    }

    if (field == KLAVIYO_IDENTITY_COMPANY) {
        text = &identity->company;

    } else if (field == KLAVIYO_IDENTITY_CID) {
        text = &identity->cid;

    } else {
        text = &identity->value[field];
    }

    text->data = p;
    text->len = len;

    if (field == KLAVIYO_IDENTITY_KX) {
        dot = memchr(p, '.', len);

        identity->company.data = dot + 1;
        identity->company.len = p + len - (dot + 1);
    }
}


static void
klaviyo_identity_refuse(klaviyo_identity_t *identity, unsigned field)
{
    if (field < KLAVIYO_IDENTITY_ALL) {
        identity->bad |= 1U << field;
    }
}


/* an email or a phone number as people write it, in Klaviyo's form: 1 */

static int
klaviyo_identity_form(klaviyo_identity_t *identity, unsigned field,
    const uint8_t **p, size_t *len)
{
    if (field == KLAVIYO_IDENTITY_EMAIL) {
        *len = klaviyo_idn_email(*p, *len, identity->email);
        *p = identity->email;

    } else if (field == KLAVIYO_IDENTITY_PHONE) {
        *len = klaviyo_phone(*p, *len, 0, identity->phone);
        *p = identity->phone;

    } else {
        return 0;
    }

    return *len && klaviyo_identity_is(field, *p, *len);
}


static int
klaviyo_identity_is(unsigned field, const uint8_t *p, size_t len)
{
    if (len > KLAVIYO_IDENTITY_MAX) {
        return 0;
    }

    switch (field) {

    case KLAVIYO_IDENTITY_KX:
        return klaviyo_identity_is_kx(p, len);

    case KLAVIYO_IDENTITY_EMAIL:
        return klaviyo_value_is_email(p, len);

    case KLAVIYO_IDENTITY_PHONE:
        return klaviyo_value_is_phone(p, len);

    case KLAVIYO_IDENTITY_CID:
        return len == KLAVIYO_IDENTITY_CID_LEN;

    /* repaired when they are written */

    case KLAVIYO_IDENTITY_FIRST_NAME:
    case KLAVIYO_IDENTITY_LAST_NAME:
        return p[0] != '{' && p[0] != '[';

    /* JSON as an identifier is somebody's bug */

    default:
        return p[0] != '{' && p[0] != '['
               && klaviyo_value_is_identifier(p, len);
    }
}


static int
klaviyo_identity_is_absent(const uint8_t *p, size_t len)
{
    return len == 0
           || (len == sizeof("null") - 1 && memcmp(p, "null", len) == 0)
           || (len == sizeof("undefined") - 1
               && memcmp(p, "undefined", len) == 0);
}


/* ^([\w\-_=]+)\.(\w+)$ */

static int
klaviyo_identity_is_kx(const uint8_t *p, size_t len)
{
    const uint8_t  *dot;

    dot = memchr(p, '.', len);

    return dot != NULL
           && klaviyo_identity_all(p, dot, KLAVIYO_IDENTITY_BEFORE)
           && klaviyo_identity_all(dot + 1, p + len, KLAVIYO_IDENTITY_BEHIND);
}


/* 1: there are bytes, and all may stand in this part of an exchange id */

static int
klaviyo_identity_all(const uint8_t *p, const uint8_t *last, unsigned part)
{
    unsigned  all;

    if (p == last) {
        return 0;
    }

    all = part;

    for ( /* void */ ; last - p >= 4; p += 4) {
        all &= klaviyo_identity_kx_bytes[p[0]]
               & klaviyo_identity_kx_bytes[p[1]]
               & klaviyo_identity_kx_bytes[p[2]]
               & klaviyo_identity_kx_bytes[p[3]];
    }

    for ( /* void */ ; p < last; p++) {
        all &= klaviyo_identity_kx_bytes[*p];
    }

    return all != 0;
}


static int
klaviyo_identity_is_cid(const uint8_t *p, size_t len)
{
    size_t   i;
    uint8_t  uuid[KLAVIYO_IDENTITY_CID_LEN];

    if (len != KLAVIYO_IDENTITY_CID_LEN
        || !klaviyo_decode_base64(uuid, p, &len)
        || len != KLAVIYO_IDENTITY_UUID_LEN)
    {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (i == 8 || i == 13 || i == 18 || i == 23) {

            if (uuid[i] != '-') {
                return 0;
            }

        } else if (klaviyo_hex(uuid[i]) < 0) {
            return 0;
        }
    }

    return 1;
}

