/*
 * A bounded JSON writer: bytes go into a buffer of the caller's, never past
 * its end.  What does not fit sets `overflow` and writes nothing more; the
 * caller looks once, at the end.
 *
 * Room json.  May include: nothing.  Plain C, no allocation.
 */


#ifndef KLAVIYO_JSON_H
#define KLAVIYO_JSON_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    uint8_t   *start;
    uint8_t   *pos;
    uint8_t   *end;
    unsigned   overflow:1;
    unsigned   repaired:1;       /* a string held invalid UTF-8             */
    unsigned   cut:1;            /* a string was longer than its limit      */
    unsigned   number:1;         /* a number does not fit, and went as text */
} klaviyo_json_t;


void klaviyo_json_init(klaviyo_json_t *json, uint8_t *buf, size_t size);

/* bytes that are JSON already; inline, as most are known when it is compiled */
static inline void
klaviyo_json_raw(klaviyo_json_t *json, const void *p, size_t len)
{
    if (len == 0 || json->overflow) {
        return;
    }

    if (len > (size_t) (json->end - json->pos)) {
        json->overflow = 1;
        return;
    }

    memcpy(json->pos, p, len);
    json->pos += len;
}

#define klaviyo_json_literal(json, text)                                     \
    klaviyo_json_raw(json, text, sizeof(text) - 1)

/*
 * A JSON string with its quotes from any bytes: quote, backslash and control
 * characters (DEL too) are escaped, each maximal invalid UTF-8 sequence and
 * each NUL becomes one U+FFFD, and what is longer than `max` bytes of UTF-8
 * (counted unescaped, after repair) is cut at a character boundary.
 */
void klaviyo_json_string(klaviyo_json_t *json, const uint8_t *p, size_t len,
    size_t max);

/* the same without the quotes, to write one string in several pieces */
void klaviyo_json_escape(klaviyo_json_t *json, const uint8_t *p, size_t len,
    size_t max);

/* an unsigned decimal number */
void klaviyo_json_uint(klaviyo_json_t *json, uint64_t n);

/* the most bytes that klaviyo_json_string() writes for len bytes of input */
#define klaviyo_json_string_size(len)  (6 * (len) + 2)


#endif /* KLAVIYO_JSON_H */
