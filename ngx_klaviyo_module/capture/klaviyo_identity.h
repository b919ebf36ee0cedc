/*
 * What a visitor's browser says of who the visitor is: Klaviyo's cookie, the
 * arguments of links in mails.  Every byte is the visitor's own; what comes
 * out is checked and bounded, and, but for names of people, valid UTF-8
 * without control characters.
 *
 * The cookie __kla_id, as klaviyo.js writes it:
 *
 *     percent-encoding ( base64 ( {"cid":"ZjBk...","$exchange_id":"..."} ) )
 *
 * up to 3,000 characters, with members of old that may be nested.  Klaviyo's
 * plugin for WooCommerce writes {"email":"...","first_name":"..."} instead.
 * A cookie that has members, but none of these, is malformed.
 *
 * Plain C, no allocation: a function that takes `buf` needs `len` bytes of
 * it, KLAVIYO_IDENTITY_TEXT_MAX at most.  What it finds points in there, or
 * into the identity where it had to be brought into Klaviyo's form.
 */


#ifndef KLAVIYO_IDENTITY_H
#define KLAVIYO_IDENTITY_H


#include <stddef.h>
#include <stdint.h>

#include "json/klaviyo_idn.h"
#include "json/klaviyo_phone.h"


#define KLAVIYO_IDENTITY_TEXT_MAX  3000     /* bytes of a cookie or argument */
#define KLAVIYO_IDENTITY_MAX       512      /* bytes of one identifier      */


/*
 * Identifiers of a profile, in the order in which they are written; behind
 * them, what a cookie says beside them.
 */

typedef enum {
    KLAVIYO_IDENTITY_ID = 0,                /* __kla_id: $kid               */
    KLAVIYO_IDENTITY_KX,                    /* $exchange_id                 */
    KLAVIYO_IDENTITY_EMAIL,                 /* $email, email                */
    KLAVIYO_IDENTITY_PHONE,                 /* $phone_number, phone_number  */
    KLAVIYO_IDENTITY_EXTERNAL_ID,           /* $id                          */
    KLAVIYO_IDENTITY_ANONYMOUS_ID,          /* $anonymous                   */
    KLAVIYO_IDENTITY_N,
    KLAVIYO_IDENTITY_FIRST_NAME = KLAVIYO_IDENTITY_N,
    KLAVIYO_IDENTITY_LAST_NAME,
    KLAVIYO_IDENTITY_ALL
} klaviyo_identity_e;


typedef enum {
    KLAVIYO_IDENTITY_OK = 0,                /* readable, maybe with nothing */
    KLAVIYO_IDENTITY_TOO_LONG,
    KLAVIYO_IDENTITY_MALFORMED
} klaviyo_identity_rc_e;


typedef struct {
    const uint8_t          *data;
    size_t                  len;            /* 0: there is none             */
} klaviyo_identity_text_t;


typedef struct {
    klaviyo_identity_text_t  value[KLAVIYO_IDENTITY_ALL];
    klaviyo_identity_text_t  cid;           /* unlike all else not checked:
                                               klaviyo_identity_cid()       */
    klaviyo_identity_text_t  company;       /* the account it belongs to    */
    unsigned                 bad;           /* 1 << klaviyo_identity_e:
                                               there was one that is none   */
    uint8_t                  email[KLAVIYO_IDN_LEN];
    uint8_t                  phone[KLAVIYO_PHONE_LEN];
} klaviyo_identity_t;

/* bytes of what says something: `email` and `phone` are only room */
#define KLAVIYO_IDENTITY_HEAD  offsetof(klaviyo_identity_t, email)


/*
 * Each fills KLAVIYO_IDENTITY_HEAD bytes of *identity, which is empty unless
 * OK is returned.
 */

/* the value of the cookie __kla_id */
klaviyo_identity_rc_e klaviyo_identity_cookie(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);

/* the argument _kx, or a cookie that keeps one: an exchange id */
klaviyo_identity_rc_e klaviyo_identity_kx(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);

/* the argument _ke: base64 of {"kl_email":...} or of an email */
klaviyo_identity_rc_e klaviyo_identity_ke(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);

/* the argument utm_email */
klaviyo_identity_rc_e klaviyo_identity_email(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);

/*
 * Takes out what belongs to the account that it was given by, when that is
 * not the account of `company`: 1, or 0: nothing was taken out.  An empty
 * company is any.
 */
int klaviyo_identity_restrict(klaviyo_identity_t *identity,
    const uint8_t *company, size_t len);

/* 1: there is an identifier; the cid is none */
int klaviyo_identity_any(const klaviyo_identity_t *identity);

/* the visitor, whoever that is; a length of 0: there is none */
void klaviyo_identity_cid(const klaviyo_identity_t *identity,
    klaviyo_identity_text_t *cid);


#endif /* KLAVIYO_IDENTITY_H */
