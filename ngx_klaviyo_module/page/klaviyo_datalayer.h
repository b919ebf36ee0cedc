#ifndef KLAVIYO_DATALAYER_H
#define KLAVIYO_DATALAYER_H


#include "klaviyo_page_private.h"


/* keeps what the script pushes, the first of each kind */
void klaviyo_page_datalayer(klaviyo_page_t *page, const uint8_t *p,
    size_t len);

void klaviyo_page_push_product(klaviyo_page_t *page);
void klaviyo_page_push_order(klaviyo_page_t *page, klaviyo_page_push_e push);


#endif /* KLAVIYO_DATALAYER_H */
