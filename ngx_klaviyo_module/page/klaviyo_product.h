#ifndef KLAVIYO_PRODUCT_H
#define KLAVIYO_PRODUCT_H


#include "klaviyo_page_private.h"


/* 1: the node is a product, and *score says whose; 0 of it: another page's */
int klaviyo_page_product_score(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node, int *score, int *named);

void klaviyo_page_product(klaviyo_page_t *page, const klaviyo_slice_t *value);

/*
 * 1: the other one says more of the same product, as the blocks of a theme
 * and of what shows its ratings do: it has its name or its id, or is a variant
 * of it
 */
int klaviyo_page_product_is_same(klaviyo_page_t *page,
    const klaviyo_slice_t *product, int score, const klaviyo_slice_t *other,
    int other_score);

/* of the meta tags; 1: they speak of a product */
int klaviyo_page_meta_is_product(klaviyo_page_t *page);
void klaviyo_page_meta_product(klaviyo_page_t *page);


#endif /* KLAVIYO_PRODUCT_H */
