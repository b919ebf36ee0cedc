/*
 * Private to capture/: the encodings that text from a browser comes in.  In
 * all of them `dst` may be `p`, and what is written is never longer than what
 * is read.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_DECODE_H
#define KLAVIYO_DECODE_H


#include <stddef.h>
#include <stdint.h>


/* what is no encoding stays as it is, `+` too; returns the length */
size_t klaviyo_decode_percent(uint8_t *dst, const uint8_t *p, size_t len);

/*
 * Base64 in the standard alphabet or the one for URLs, with its padding or
 * without; a blank is what became of a `+`.  1 with the new length in *len,
 * or 0: it is none.
 */
int klaviyo_decode_base64(uint8_t *dst, const uint8_t *p, size_t *len);


#endif /* KLAVIYO_DECODE_H */
