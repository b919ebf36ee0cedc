/*
 * Who sends webhooks, and how each of them signs: a table.  All of it is
 * HMAC-SHA256 over the raw body, with something before or behind it.
 *
 * Plain C.
 */


#ifndef KLAVIYO_SENDER_H
#define KLAVIYO_SENDER_H


#include "klaviyo_webhook.h"


#define KLAVIYO_SENDER_TOKEN_MAX  256     /* bytes of Zoom's plainToken      */
#define KLAVIYO_SENDER_PING_MAX   64      /* bytes of WooCommerce's ping     */


typedef enum {
    KLAVIYO_SENDER_LOWER = 0,        /* lower-case hexadecimal               */
    KLAVIYO_SENDER_HEX,
    KLAVIYO_SENDER_BASE64
} klaviyo_sender_encoding_e;


typedef enum {
    KLAVIYO_SENDER_NO_TIME = 0,
    KLAVIYO_SENDER_HTTP_DATE,
    KLAVIYO_SENDER_SECONDS,
    KLAVIYO_SENDER_ANY_TIME          /* either, or milliseconds              */
} klaviyo_sender_time_e;


typedef struct {
    const char                 *name;

    const char                 *header[2];     /* of the signature, either   */
    const char                 *prefix;        /* before a signature there   */
    const char                 *time_prefix;   /* before the time there      */
    char                        separator;     /* of its words; '\0': one    */
    klaviyo_sender_encoding_e   encoding;

    const char                 *time_header;
    klaviyo_sender_time_e       time;

    /* what is signed besides the body; "%t" is the time, "%i" the id */
    const char                 *before;
    const char                 *after;

    const char                 *id_header[2];
    const char                 *topic_header[2];
    const char                 *id_pointer;    /* in the body                */
    const char                 *topic_pointer;

    unsigned                    id_needed:1;
    unsigned                    own_body:1;    /* klaviyo_webhook_read()     */
    unsigned                    base64_secret:1;
    unsigned                    validates:1;   /* Zoom's url_validation      */
    unsigned                    pings:1;       /* WooCommerce's ping         */
} klaviyo_sender_t;


/* NULL: nobody of this name */
const klaviyo_sender_t *klaviyo_sender_find(const uint8_t *name, size_t len);

/*
 * The signatures in the value of a header, decoded, at most
 * KLAVIYO_WEBHOOK_SECRETS; returns how many, 0: none, or it is no such value.
 * `time` is the time in it, or empty.
 */
unsigned klaviyo_sender_signatures(const klaviyo_sender_t *sender,
    const klaviyo_slice_t *value, klaviyo_slice_t *time,
    uint8_t digests[][KLAVIYO_WEBHOOK_DIGEST]);

/*
 * Writes what stands before or behind the body; returns its length.  It takes
 * klaviyo_sender_text_size() bytes at most.
 */
size_t klaviyo_sender_text(uint8_t *dst, const char *text,
    const klaviyo_slice_t *time, const klaviyo_slice_t *id);

#define klaviyo_sender_text_size(text, time, id)                             \
    (strlen(text) * ((time)->len + (id)->len + 1))

/* seconds since 1970 from decimal digits, milliseconds by their size; -1 */
int64_t klaviyo_sender_seconds(const klaviyo_slice_t *text);

/* a secret in base64, "whsec_" before it or not, in place; 0: it is none */
size_t klaviyo_sender_secret(uint8_t *p, size_t len);

/* 1: the form that WooCommerce posts, unsigned, when a webhook is saved */
int klaviyo_sender_ping(const uint8_t *p, size_t len);

/*
 * Of a body that klaviyo_scan_check() passed: the text at a pointer if it is a
 * name by klaviyo_webhook_is_name(), into KLAVIYO_WEBHOOK_NAME_MAX bytes;
 * returns its length, 0: there is none.
 */
size_t klaviyo_sender_value(const klaviyo_slice_t *body, const char *pointer,
    uint8_t *dst);

/*
 * Zoom's validation of an endpoint: -1: the body is none, 0: it has no token
 * that could be answered, else the token's length.
 */
int klaviyo_sender_token(const klaviyo_slice_t *body,
    uint8_t token[KLAVIYO_SENDER_TOKEN_MAX]);


#endif /* KLAVIYO_SENDER_H */
