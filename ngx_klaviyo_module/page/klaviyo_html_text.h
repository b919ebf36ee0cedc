#ifndef KLAVIYO_HTML_TEXT_H
#define KLAVIYO_HTML_TEXT_H


#include "klaviyo_html_private.h"


/* as much as its bound lets in */
void klaviyo_html_append(klaviyo_html_t *html, klaviyo_html_buf_t *buf,
    const uint8_t *p, size_t len);
void klaviyo_html_reset(klaviyo_html_buf_t *buf);

/* text between tags */
void klaviyo_html_text(klaviyo_html_t *html, const uint8_t *p, size_t len);

/* where the text ends that those who wait may have */
size_t klaviyo_html_text_max(const klaviyo_html_t *html);

/*
 * As UTF-8 in `utf8` or, where it is that already, as it is.  What has
 * characters that cannot be read has a length of 0, and is counted.
 */
klaviyo_html_slice_t klaviyo_html_utf8(klaviyo_html_t *html, uint8_t *p,
    size_t len);

/* text of the page in `value`, as what it means */
klaviyo_html_slice_t klaviyo_html_value(klaviyo_html_t *html);

/* a value of the page's text or of an attribute is decoded in a copy */
void klaviyo_html_tell(klaviyo_html_t *html, klaviyo_html_found_e what,
    const uint8_t *name, size_t name_len, const uint8_t *p, size_t len);


#endif /* KLAVIYO_HTML_TEXT_H */
