#ifndef KLAVIYO_ORDER_H
#define KLAVIYO_ORDER_H


#include "klaviyo_page_private.h"


typedef struct {
    klaviyo_page_text_t       items;
    klaviyo_page_text_t       names;
    size_t                    n;
} klaviyo_page_list_t;


typedef struct {
    klaviyo_slice_t           name;
    klaviyo_slice_t           id;
    klaviyo_slice_t           sku;
    klaviyo_slice_t           brand;
    klaviyo_slice_t           price;      /* of one                          */
    klaviyo_slice_t           quantity;
    klaviyo_slice_t           image;
    klaviyo_slice_t           url;
    klaviyo_slice_t           category[5];
} klaviyo_page_item_t;


void klaviyo_page_list_init(klaviyo_page_t *page, klaviyo_page_list_t *list);
void klaviyo_page_list_add(klaviyo_page_t *page, klaviyo_page_list_t *list,
    const klaviyo_page_item_t *item, const klaviyo_slice_t *currency);
void klaviyo_page_list_end(klaviyo_page_t *page, klaviyo_page_list_t *list);

void klaviyo_page_order(klaviyo_page_t *page, const klaviyo_slice_t *value);


#endif /* KLAVIYO_ORDER_H */
