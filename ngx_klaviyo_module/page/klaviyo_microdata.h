/*
 * Microdata as JSON: items as they are found become the text that JSON-LD
 * would be, so that one reader understands both.
 *
 *     [{"@type":["https://schema.org/Product"],"name":"Lamp",
 *       "offers":{"@type":["https://schema.org/Offer"],"price":"19.90"}}]
 *
 * An item in another one that is no property of it is in its "@graph".  A
 * name may be in an object more than once.
 *
 * Plain C; memory comes from the pool.
 */


#ifndef KLAVIYO_MICRODATA_H
#define KLAVIYO_MICRODATA_H


#include "klaviyo_page_text.h"


typedef struct {
    klaviyo_page_text_t   text;
    size_t                depth;
    size_t                passed;      /* items that are not written, within
                                          each other                        */
    unsigned              full:1;
} klaviyo_microdata_t;


void klaviyo_microdata_init(klaviyo_microdata_t *micro,
    klaviyo_jsonld_pool_t *pool, size_t max);

void klaviyo_microdata_item(klaviyo_microdata_t *micro, const uint8_t *name,
    size_t name_len, const uint8_t *types, size_t types_len);
void klaviyo_microdata_item_end(klaviyo_microdata_t *micro);
void klaviyo_microdata_property(klaviyo_microdata_t *micro,
    const uint8_t *name, size_t name_len, const uint8_t *value,
    size_t value_len);

/* the text; its length is 0 when there was no item */
void klaviyo_microdata_end(klaviyo_microdata_t *micro, klaviyo_slice_t *text);


#endif /* KLAVIYO_MICRODATA_H */
