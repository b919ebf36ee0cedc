/*
 * json: fields of a form.  Plain C, no allocation.
 */


#include <string.h>

#include "klaviyo_form.h"
#include "klaviyo_hex.h"


static int klaviyo_form_is(const uint8_t *p, const uint8_t *last,
    const uint8_t *name, size_t len);
static uint8_t klaviyo_form_char(const uint8_t **p, const uint8_t *last);


int
klaviyo_form_find(const klaviyo_slice_t *form, const uint8_t *name,
    size_t len, klaviyo_slice_t *value)
{
    const uint8_t  *p, *end, *equal, *last;

    last = form->data + form->len;

    for (p = form->data; p < last; p = end + 1) {

        end = memchr(p, '&', last - p);

        if (end == NULL) {
            end = last;
        }

        equal = memchr(p, '=', end - p);

        if (equal == NULL) {
            equal = end;
        }

        if (!klaviyo_form_is(p, equal, name, len)) {
            continue;
        }

        value->data = (equal < end) ? equal + 1 : end;
        value->len = end - value->data;

        return 1;
    }

    return 0;
}


size_t
klaviyo_form_decode(const klaviyo_slice_t *value, uint8_t *buf)
{
    uint8_t        *dst;
    const uint8_t  *p, *last;

    dst = buf;
    p = value->data;
    last = p + value->len;

    while (p < last) {
        *dst++ = klaviyo_form_char(&p, last);
    }

    return dst - buf;
}


static int
klaviyo_form_is(const uint8_t *p, const uint8_t *last, const uint8_t *name,
    size_t len)
{
    while (p < last) {

        if (len == 0 || klaviyo_form_char(&p, last) != *name) {
            return 0;
        }

        name++;
        len--;
    }

    return len == 0;
}


static uint8_t
klaviyo_form_char(const uint8_t **p, const uint8_t *last)
{
    int             high, low;
    const uint8_t  *pos;

    pos = (*p)++;

    if (*pos == '+') {
        return ' ';
    }

    if (*pos != '%' || last - pos < 3) {
        return *pos;
    }

    high = klaviyo_hex(pos[1]);
    low = klaviyo_hex(pos[2]);

    if (high == -1 || low == -1) {
        return *pos;
    }

    *p = pos + 3;

    return (uint8_t) (high << 4 | low);
}
