/*
 * The names in a script's code: what stands in strings, comments, templates
 * and regular expressions is passed over, since visitors may have written it.
 *
 *     klaviyo_script_init(&script, p, last);
 *
 *     while (klaviyo_script_next(&script, &name)) {
 *         script.pos is behind the name, and may be moved on
 *     }
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_SCRIPT_H
#define KLAVIYO_SCRIPT_H


#include "json/klaviyo_scan.h"


typedef struct {
    const uint8_t   *pos;
    const uint8_t   *last;
    unsigned         value:1;    /* one stands before: "/" divides it       */
    unsigned         member:1;   /* "[" stands before                       */
} klaviyo_script_t;


void klaviyo_script_init(klaviyo_script_t *script, const uint8_t *p,
    const uint8_t *last);

/*
 * The next name, or word of the language, or number; and that of a member as
 * `window["name"]`, behind whose "]" script->pos is.  0: there is none.
 */
int klaviyo_script_next(klaviyo_script_t *script, klaviyo_slice_t *name);

/* the last byte of the comment at p, p itself: there is none; NULL: no end */
const uint8_t *klaviyo_script_comment(const uint8_t *p, const uint8_t *last);

const uint8_t *klaviyo_script_blanks(const uint8_t *p, const uint8_t *last);


#endif /* KLAVIYO_SCRIPT_H */
