/*
 * Whether a webhook is signed, and what Klaviyo's own, its system webhooks,
 * say of themselves; what is another sender's is in klaviyo_sender.h.
 *
 *     Klaviyo-Webhook-Id: 01HXYZ
 *     Klaviyo-Timestamp:  Sun, 22 Nov 2026 07:40:37 GMT
 *     Klaviyo-Signature:  hex(HMAC-SHA256(secret, body + timestamp))
 *
 *     {"data": [{"external_id": "...", "payload": {...}, "topic": "..."}],
 *      "meta": {"klaviyo_webhook_id": "01HXYZ", ...}}
 *
 * Plain C, with OpenSSL for the signature.
 */


#ifndef KLAVIYO_WEBHOOK_H
#define KLAVIYO_WEBHOOK_H


#include "json/klaviyo_scan.h"


#define KLAVIYO_WEBHOOK_SECRETS     8       /* tried for one signature      */
#define KLAVIYO_WEBHOOK_DIGEST      32      /* bytes of a signature         */
#define KLAVIYO_WEBHOOK_BODY_MAX    KLAVIYO_SCAN_TEXT_MAX
#define KLAVIYO_WEBHOOK_NAME_MAX    128     /* bytes of an id, of a topic   */
#define KLAVIYO_WEBHOOK_TOPICS      8       /* different ones of a body     */

/* bytes that the topics of a body take, commas between them */
#define KLAVIYO_WEBHOOK_TOPICS_MAX                                           \
    (KLAVIYO_WEBHOOK_TOPICS * (KLAVIYO_WEBHOOK_NAME_MAX + 1))


typedef struct {
    void      *context[KLAVIYO_WEBHOOK_SECRETS];
    unsigned   n;
    unsigned   failed:1;         /* OpenSSL had no memory                   */
} klaviyo_webhook_hmac_t;


typedef enum {
    KLAVIYO_WEBHOOK_OK = 0,
    KLAVIYO_WEBHOOK_OTHER_ID,    /* the body's id is not the header's       */
    KLAVIYO_WEBHOOK_BAD          /* no such JSON                            */
} klaviyo_webhook_rc_e;


/* 1: at most `tolerance` seconds before or after `now` */
int klaviyo_webhook_in_time(int64_t time, int64_t now, int64_t tolerance);

/*
 * 1: an id or a topic that can stand in a header, a log line and a comma
 * separated list: 1 to KLAVIYO_WEBHOOK_NAME_MAX letters, digits and "_-.:/"
 */
int klaviyo_webhook_is_name(const uint8_t *p, size_t len);

/*
 * The signature over pieces: begin, update for each, end, which frees what
 * begin took.  The number of the secret, from 1, with which one of the `n`
 * signatures was made; 0: none was; -1: OpenSSL failed.  How long it takes
 * does not tell how much of a signature is right, nor with which secret.
 */
void klaviyo_webhook_begin(klaviyo_webhook_hmac_t *hmac,
    const klaviyo_slice_t *secrets, unsigned n);
void klaviyo_webhook_update(klaviyo_webhook_hmac_t *hmac, const void *p,
    size_t len);
int klaviyo_webhook_end(klaviyo_webhook_hmac_t *hmac,
    const uint8_t signatures[][KLAVIYO_WEBHOOK_DIGEST], unsigned n);

/* the signature of a text in lower-case hexadecimal; 0: OpenSSL failed */
int klaviyo_webhook_sign(const klaviyo_slice_t *secret, const void *p,
    size_t len, uint8_t hex[2 * KLAVIYO_WEBHOOK_DIGEST]);

/*
 * Reads a body.  OK: the different topics of its data, in their order, with
 * commas between them, stand in a buffer of KLAVIYO_WEBHOOK_TOPICS_MAX bytes;
 * what is no name by klaviyo_webhook_is_name() is left out.
 */
klaviyo_webhook_rc_e klaviyo_webhook_read(klaviyo_slice_t *body,
    const klaviyo_slice_t *id, uint8_t *topics, size_t *len);


#endif /* KLAVIYO_WEBHOOK_H */
