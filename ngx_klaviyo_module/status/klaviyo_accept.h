/*
 * Which form of the figures a request asks for: by name, or by its Accept
 * header.
 *
 * Plain C.
 */


#ifndef KLAVIYO_ACCEPT_H
#define KLAVIYO_ACCEPT_H


#include <stddef.h>
#include <stdint.h>


typedef enum {
    KLAVIYO_ACCEPT_JSON = 0,
    KLAVIYO_ACCEPT_HTML,
    KLAVIYO_ACCEPT_PROMETHEUS,
    KLAVIYO_ACCEPT_N
} klaviyo_accept_e;


/* the form of this name; KLAVIYO_ACCEPT_N: there is none */
klaviyo_accept_e klaviyo_accept_name(const uint8_t *p, size_t len);

/*
 * The form of the first type in an Accept header's value that is one of ours:
 * browsers and scrapers name what they want first, so weights need no look.
 * KLAVIYO_ACCEPT_N: none is.
 */
klaviyo_accept_e klaviyo_accept_read(const uint8_t *p, size_t len);


#endif /* KLAVIYO_ACCEPT_H */
