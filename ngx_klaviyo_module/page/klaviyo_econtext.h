#ifndef KLAVIYO_ECONTEXT_H
#define KLAVIYO_ECONTEXT_H


#include "klaviyo_page_private.h"


/* keeps what the first script of this kind says, as JSON-LD */
void klaviyo_page_econtext(klaviyo_page_t *page, const uint8_t *p,
    size_t len);


#endif /* KLAVIYO_ECONTEXT_H */
