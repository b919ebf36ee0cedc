#ifndef KLAVIYO_BREADCRUMB_H
#define KLAVIYO_BREADCRUMB_H


#include "klaviyo_page_private.h"


/*
 * Sets the categories, without the home page and, for a product, the product
 * itself; gives the name of the last one, which may be empty.
 */
klaviyo_slice_t klaviyo_page_breadcrumb(klaviyo_page_t *page,
    const klaviyo_slice_t *value, int product);

/* of a product's own words: "Home > Lamps", a list, an object with a name */
void klaviyo_page_category(klaviyo_page_t *page, const klaviyo_slice_t *text);


#endif /* KLAVIYO_BREADCRUMB_H */
