/*
 * Which headers pass the gateway, in either direction.
 *
 * Plain C.
 */


#ifndef KLAVIYO_HEADERS_H
#define KLAVIYO_HEADERS_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_HEADERS_VALUE_MAX  1024    /* bytes of a value that passes  */


typedef enum {
    KLAVIYO_HEADER_STOPS = 0,
    KLAVIYO_HEADER_PASSES,
    KLAVIYO_HEADER_ACCEPT,       /* these pass, and are known by name       */
    KLAVIYO_HEADER_CONTENT_TYPE,
    KLAVIYO_HEADER_REVISION,
    KLAVIYO_HEADER_CONTENT_LENGTH,
    KLAVIYO_HEADER_CONTENT_ENCODING,
    KLAVIYO_HEADER_CACHE_CONTROL,
    KLAVIYO_HEADER_EXPIRES,
    KLAVIYO_HEADER_ETAG,
    KLAVIYO_HEADER_RETRY_AFTER,
    KLAVIYO_HEADER_CHALLENGE     /* cf-mitigated: challenge; it stops       */
} klaviyo_header_e;


/* a header of the caller's: Accept, Content-Type, revision, X-Klaviyo-* */
klaviyo_header_e klaviyo_headers_request(const uint8_t *name, size_t len);

/*
 * a header of Klaviyo's answer: Content-Type, Content-Length,
 * Content-Encoding, Content-Language, Cache-Control, Expires, ETag, Vary,
 * Allow, RateLimit-*, Retry-After, Deprecation, Sunset, X-Klaviyo-*, CF-Ray
 */
klaviyo_header_e klaviyo_headers_answer(const uint8_t *name, size_t len,
    const uint8_t *value, size_t value_len);

/*
 * 1: a value that can stand in a line of a head: 1 to
 * KLAVIYO_HEADERS_VALUE_MAX printable ASCII characters and blanks
 */
int klaviyo_headers_value(const uint8_t *value, size_t len);

/* 1: `name` is one of the comma separated words of a Connection header */
int klaviyo_headers_listed(const uint8_t *list, size_t list_len,
    const uint8_t *name, size_t len);


#endif /* KLAVIYO_HEADERS_H */
