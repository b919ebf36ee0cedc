/*
 * JSON text that grows up to a bound.  What does not fit is left out whole
 * and sets `cut`.
 *
 * Plain C; memory comes from the pool.
 */


#ifndef KLAVIYO_PAGE_TEXT_H
#define KLAVIYO_PAGE_TEXT_H


#include "klaviyo_jsonld.h"


typedef struct {
    klaviyo_jsonld_pool_t  *pool;
    uint8_t                *data;
    size_t                  len;
    size_t                  size;
    size_t                  max;
    unsigned                cut:1;
} klaviyo_page_text_t;


void klaviyo_page_text_init(klaviyo_page_text_t *text,
    klaviyo_jsonld_pool_t *pool, size_t max);

/* 1: there is room for so many bytes more */
int klaviyo_page_text_room(klaviyo_page_text_t *text, size_t len);

void klaviyo_page_text_raw(klaviyo_page_text_t *text, const void *p,
    size_t len);

#define klaviyo_page_text_literal(text, literal)                             \
    klaviyo_page_text_raw(text, literal, sizeof(literal) - 1)

/* a JSON string of any bytes */
void klaviyo_page_text_string(klaviyo_page_text_t *text, const uint8_t *p,
    size_t len);


#endif /* KLAVIYO_PAGE_TEXT_H */
