#ifndef KLAVIYO_HTML_ITEM_H
#define KLAVIYO_HTML_ITEM_H


#include "klaviyo_html_private.h"


#define KLAVIYO_HTML_LI  klaviyo_html_word('l','i',0,0,0,0,0,0)
#define KLAVIYO_HTML_UL  klaviyo_html_word('u','l',0,0,0,0,0,0)
#define KLAVIYO_HTML_OL  klaviyo_html_word('o','l',0,0,0,0,0,0)


/* 1: the element waits for its end tag */
int klaviyo_html_item(klaviyo_html_t *html, uint64_t name, const uint8_t *p,
    const uint8_t *last);

/* an element of this name begins, or ends */
void klaviyo_html_item_start(klaviyo_html_t *html, uint64_t name);
void klaviyo_html_item_end(klaviyo_html_t *html, uint64_t name);

/* all that were opened beyond this depth end, the last one first */
void klaviyo_html_item_close(klaviyo_html_t *html, size_t depth);


#endif /* KLAVIYO_HTML_ITEM_H */
