/*
 * Which form of the figures a request asks for: by name, or by what its
 * Accept header prefers.
 *
 * Plain C.
 */


#ifndef KLAVIYO_ACCEPT_H
#define KLAVIYO_ACCEPT_H


#include <stddef.h>
#include <stdint.h>


/* of two that are as welcome the earlier one is meant */

typedef enum {
    KLAVIYO_ACCEPT_JSON = 0,
    KLAVIYO_ACCEPT_HTML,
    KLAVIYO_ACCEPT_PROMETHEUS,
    KLAVIYO_ACCEPT_N
} klaviyo_accept_e;


/* all zero: no header was read yet */

typedef struct {
    uint16_t  weight[KLAVIYO_ACCEPT_N];  /* thousandths                     */
    uint8_t   depth[KLAVIYO_ACCEPT_N];   /* how exactly it was named; 0: not */
} klaviyo_accept_t;


/* the form of this name; KLAVIYO_ACCEPT_N: there is none */
klaviyo_accept_e klaviyo_accept_name(const uint8_t *p, size_t len);

/*
 * Reads the value of one Accept header; several add up.  Ranges that it does
 * not know, and those that are not well-formed, count for nothing.
 */
void klaviyo_accept_read(klaviyo_accept_t *accept, const uint8_t *p,
    size_t len);

/*
 * The form with the greatest weight, of these the one that was named most
 * exactly.  JSON if nothing was accepted.
 */
klaviyo_accept_e klaviyo_accept_best(const klaviyo_accept_t *accept);


#endif /* KLAVIYO_ACCEPT_H */
