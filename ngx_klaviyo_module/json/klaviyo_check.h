#ifndef KLAVIYO_CHECK_H
#define KLAVIYO_CHECK_H


#include "klaviyo_value.h"


/* 1 or 0: what Klaviyo takes as an email, a phone number (E.164), a metric's
   name (1 to 127 characters of UTF-8) */
int klaviyo_value_is_email(const uint8_t *p, size_t len);
int klaviyo_value_is_phone(const uint8_t *p, size_t len);
int klaviyo_value_is_metric(const uint8_t *p, size_t len);

/*
 * 1: valid UTF-8 without control characters.  Where a byte had to be repaired
 * two people could have one identifier.
 */
int klaviyo_value_is_identifier(const uint8_t *p, size_t len);


#endif /* KLAVIYO_CHECK_H */
