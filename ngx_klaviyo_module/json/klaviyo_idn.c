/*
 * json: internationalised domains of emails.  Plain C.
 */


#include <string.h>

#include <idn2.h>

#include "klaviyo_idn.h"


#define KLAVIYO_IDN_DOMAIN_MAX  255  /* bytes of UTF-8                      */


size_t
klaviyo_idn_email(const uint8_t *p, size_t len, uint8_t out[KLAVIYO_IDN_LEN])
{
    int             rc;
    char           *ascii;
    size_t          i, n, local;
    uint8_t         domain[KLAVIYO_IDN_DOMAIN_MAX + 1], high;
    const uint8_t  *at;

    at = len ? memchr(p, '@', len) : NULL;

    if (at == NULL) {
        return 0;
    }

    at++;
    local = at - p;
    n = len - local;

    if (n == 0 || n > KLAVIYO_IDN_DOMAIN_MAX || local >= KLAVIYO_IDN_LEN) {
        return 0;
    }

    high = 0;

    for (i = 0; i < n; i++) {

        if (at[i] == '\0') {
            return 0;
        }

        high |= at[i];
    }

    if (!(high & 0x80)) {
        return 0;
    }

    memcpy(domain, at, n);
    domain[n] = '\0';

    rc = idn2_to_ascii_8z((const char *) domain, &ascii,
                          IDN2_NFC_INPUT|IDN2_NONTRANSITIONAL);

    if (rc != IDN2_OK) {
        return 0;
    }

    n = strlen(ascii);

    if (local + n > KLAVIYO_IDN_LEN) {
        n = 0;

    } else {
        memcpy(out, p, local);
        memcpy(out + local, ascii, n);
        n += local;
    }

    idn2_free(ascii);

    return n;
}
