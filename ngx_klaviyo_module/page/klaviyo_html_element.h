#ifndef KLAVIYO_HTML_ELEMENT_H
#define KLAVIYO_HTML_ELEMENT_H


#include "klaviyo_html_private.h"


/*
 * p < last is a tag between "<" and ">"; `item`: it may have an attribute of
 * microdata.
 */
void klaviyo_html_element(klaviyo_html_t *html, const uint8_t *p,
    const uint8_t *last, unsigned item);

/* the raw text of an element is in `value` */
void klaviyo_html_raw_text(klaviyo_html_t *html);


#endif /* KLAVIYO_HTML_ELEMENT_H */
