#ifndef KLAVIYO_ENTITY_H
#define KLAVIYO_ENTITY_H


#include "klaviyo_html.h"


/*
 * Character references such as "&amp;", "&#8217;" and "&#x2019;" become their
 * characters, in place; returns the new length.  An unknown one stays.
 */
size_t klaviyo_html_decode(uint8_t *p, size_t len);


#endif /* KLAVIYO_ENTITY_H */
