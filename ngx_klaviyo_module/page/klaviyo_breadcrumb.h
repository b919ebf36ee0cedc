#ifndef KLAVIYO_BREADCRUMB_H
#define KLAVIYO_BREADCRUMB_H


#include "klaviyo_page_private.h"


/*
 * Sets the categories, without the home page and, for a product, the product
 * itself, if any are left; gives the name of the last one, if that may be
 * this page, or an empty one.
 */
klaviyo_slice_t klaviyo_page_breadcrumb(klaviyo_page_t *page,
    const klaviyo_slice_t *value, int product);

/* of a product's own words, if there are none yet: "Home > Lamps" */
void klaviyo_page_category(klaviyo_page_t *page, const klaviyo_slice_t *text);

/* the same of its property: text, an object with a name, a list of these */
void klaviyo_page_categories(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node);


#endif /* KLAVIYO_BREADCRUMB_H */
