/*
 * UTF-8: the one place that reads and writes it.  Plain C, no allocation.
 */


#ifndef KLAVIYO_UTF8_H
#define KLAVIYO_UTF8_H


#include <stddef.h>
#include <stdint.h>


/* U+FFFD, which takes the place of what is no character */
#define KLAVIYO_UTF8_REPLACEMENT       "\xef\xbf\xbd"
#define KLAVIYO_UTF8_REPLACEMENT_CODE  0xfffd


/*
 * One character of UTF-8 at p < last: its length in bytes, 1 to 4.  Negative:
 * invalid, that many bytes (1 to 3) are the maximal subpart to replace.
 */
int klaviyo_utf8_length(const uint8_t *p, const uint8_t *last);

/* a character into `buf`, which has room for 4 bytes: its length in bytes */
size_t klaviyo_utf8_encode(uint8_t *buf, uint32_t code);


#endif /* KLAVIYO_UTF8_H */
