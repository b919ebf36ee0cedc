/*
 * Text of anybody's in the forms of the figures that are not JSON.  Invalid
 * UTF-8 becomes U+FFFD, as in JSON.
 *
 * Plain C, over the bounded writer.
 */


#ifndef KLAVIYO_ESCAPE_H
#define KLAVIYO_ESCAPE_H


#include "json/klaviyo_json.h"


/* the most bytes that either of them writes for len bytes of text */
#define klaviyo_escape_size(len)  (6 * (len))


/* between the quotes of a label's value in Prometheus' text format */
void klaviyo_escape_label(klaviyo_json_t *out, const void *text, size_t len);

/*
 * Between tags of HTML and in quoted attributes; control characters but tab
 * and line feed become U+FFFD.
 */
void klaviyo_escape_html(klaviyo_json_t *out, const void *text, size_t len);


#endif /* KLAVIYO_ESCAPE_H */
