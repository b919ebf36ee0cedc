#ifndef KLAVIYO_CONSENT_IAB_H
#define KLAVIYO_CONSENT_IAB_H


#include "klaviyo_consent.h"


/* the strings of IAB, see klaviyo_consent_iab.c */
klaviyo_consent_e klaviyo_consent_tcf(const klaviyo_consent_want_t *want,
    const uint8_t *p, size_t len);
klaviyo_consent_e klaviyo_consent_gpp(const klaviyo_consent_want_t *want,
    const uint8_t *p, size_t len);


#endif /* KLAVIYO_CONSENT_IAB_H */
