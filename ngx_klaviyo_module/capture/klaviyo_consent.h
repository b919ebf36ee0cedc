/*
 * What the banners of consent write into cookies, as a yes or a no.  Every
 * byte is the visitor's own.
 *
 *     tcf           IAB TCF v2: purposes and a vendor that consent was given
 *                   for; a legitimate interest is none
 *     gpp           IAB GPP: its sections of the United States, where who did
 *                   not opt out agrees, and TCF's
 *     onetrust      OptanonConsent: `groups=C0001:1,C0004:0`
 *     cookiebot     CookieConsent: `{necessary:true,marketing:false}`
 *     complianz     cmplz_marketing: `allow`, `deny`
 *     usercentrics  its settings as JSON: services by id or name
 *     shopify       _tracking_consent: JSON, or `3.AMPS_DEBE_f_f_...`
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_CONSENT_H
#define KLAVIYO_CONSENT_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_CONSENT_TEXT_MAX   16384    /* bytes of a cookie's value    */
#define KLAVIYO_CONSENT_NAMES_MAX  16
#define KLAVIYO_CONSENT_VENDOR_MAX 65535


typedef enum {
    KLAVIYO_CONSENT_TCF = 0,
    KLAVIYO_CONSENT_GPP,
    KLAVIYO_CONSENT_ONETRUST,
    KLAVIYO_CONSENT_COOKIEBOT,
    KLAVIYO_CONSENT_COMPLIANZ,
    KLAVIYO_CONSENT_USERCENTRICS,
    KLAVIYO_CONSENT_SHOPIFY,
    KLAVIYO_CONSENT_N
} klaviyo_consent_format_e;


typedef enum {
    KLAVIYO_CONSENT_NONE = 0,               /* it does not say              */
    KLAVIYO_CONSENT_NO,
    KLAVIYO_CONSENT_YES
} klaviyo_consent_e;


typedef struct {
    const char  *data;
    size_t       len;
} klaviyo_consent_name_t;


/* consent to all of these is wanted */

typedef struct {
    klaviyo_consent_format_e  format;
    uint32_t                  purposes;     /* of TCF: 1 << number          */
    unsigned                  vendor;       /* of TCF's list; 0: none       */
    klaviyo_consent_name_t    name[KLAVIYO_CONSENT_NAMES_MAX];
    size_t                    names;        /* groups, categories, services */
} klaviyo_consent_want_t;


/*
 * `buf` has room for `len` bytes, KLAVIYO_CONSENT_TEXT_MAX at most: for the
 * value without its percent-encoding.
 */
klaviyo_consent_e klaviyo_consent_read(const klaviyo_consent_want_t *want,
    const uint8_t *p, size_t len, uint8_t *buf);


#endif /* KLAVIYO_CONSENT_H */
