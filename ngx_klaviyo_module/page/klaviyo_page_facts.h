#ifndef KLAVIYO_PAGE_FACTS_H
#define KLAVIYO_PAGE_FACTS_H


#include "klaviyo_page_private.h"


/* a copy; a length of 0: there is no memory, or no room */
klaviyo_slice_t klaviyo_page_keep(klaviyo_page_t *page, const uint8_t *p,
    size_t len);

/* sets a fact that is not there yet */
void klaviyo_page_set(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text);

/* the same with the whole URL of one that may be relative */
void klaviyo_page_set_url(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text);

/*
 * An amount as a JSON number where it can be read in one way, else as it is;
 * the currency, which may be empty, is told with one that would be another
 * number without it.
 */
void klaviyo_page_set_amount(klaviyo_page_t *page, klaviyo_page_fact_e fact,
    const klaviyo_slice_t *text, const klaviyo_slice_t *currency);

/* the text is an amount: 1, and as a JSON number in *amount */
int klaviyo_page_amount(klaviyo_page_t *page, const klaviyo_slice_t *text,
    const klaviyo_slice_t *currency, klaviyo_slice_t *amount);

/* which page the URL means: that of klaviyo_page_url_e */
int klaviyo_page_is_url(klaviyo_page_t *page, const klaviyo_slice_t *text);

/* the object, or the one that it refers to; 0: there is none */
int klaviyo_page_open(klaviyo_page_t *page, const klaviyo_slice_t *value,
    klaviyo_jsonld_node_t *node);

/*
 * The first value of the property that is text, or an object that has the
 * text in one of `names`, which ends in NULL.
 */
int klaviyo_page_get(klaviyo_page_t *page, const klaviyo_jsonld_node_t *node,
    const char *name, const char *const *names, klaviyo_slice_t *text);

/* the same of one value */
int klaviyo_page_value(klaviyo_page_t *page, const klaviyo_slice_t *value,
    const char *const *names, klaviyo_slice_t *text);

/* sets the image to the first of the object that has a URL */
void klaviyo_page_image(klaviyo_page_t *page,
    const klaviyo_jsonld_node_t *node);


#endif /* KLAVIYO_PAGE_FACTS_H */
