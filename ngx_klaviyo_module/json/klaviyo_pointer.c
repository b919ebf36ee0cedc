/*
 * json: pointers.  Plain C, no allocation.
 */


#include <string.h>

#include "klaviyo_pointer.h"


static int klaviyo_pointer_step(klaviyo_walk_t *walk, const uint8_t *token,
    const uint8_t *last);
static int klaviyo_pointer_index(const uint8_t *token, const uint8_t *last,
    size_t *index);
static int klaviyo_pointer_names(const uint8_t *token, const uint8_t *last,
    const klaviyo_slice_t *name);


int
klaviyo_pointer_valid(const uint8_t *pointer, size_t len)
{
    size_t  i;

    if (len && pointer[0] != '/') {
        return 0;
    }

    for (i = 0; i < len; i++) {

        if (pointer[i] != '~') {
            continue;
        }

        i++;

        if (i == len || (pointer[i] != '0' && pointer[i] != '1')) {
            return 0;
        }
    }

    return 1;
}


/* the end of a value on the way is not looked for: each byte is seen once */

int
klaviyo_pointer_find(const klaviyo_slice_t *text, const uint8_t *pointer,
    size_t len, klaviyo_slice_t *value)
{
    klaviyo_walk_t   walk;
    const uint8_t   *token, *end, *last;

    if (len == 0) {
        *value = *text;
        return 1;
    }

    last = pointer + len;

    walk.pos = text->data;

    for (token = pointer + 1; ; token = end + 1) {

        end = memchr(token, '/', last - token);

        if (end == NULL) {
            end = last;
        }

        klaviyo_walk_enter(&walk, walk.pos, text->data + text->len);

        if (!klaviyo_pointer_step(&walk, token, end)) {
            return 0;
        }

        if (end == last) {
            klaviyo_walk_value(&walk, value);
            return 1;
        }
    }
}


static int
klaviyo_pointer_step(klaviyo_walk_t *walk, const uint8_t *token,
    const uint8_t *last)
{
    size_t           index;
    klaviyo_slice_t  name;

    index = 0;

    if (!walk->object && !klaviyo_pointer_index(token, last, &index)) {
        return 0;
    }

    while (klaviyo_walk_next(walk, &name)) {

        if (walk->object) {

            if (klaviyo_pointer_names(token, last, &name)) {
                return 1;
            }

        } else if (index-- == 0) {
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_pointer_index(const uint8_t *token, const uint8_t *last,
    size_t *index)
{
    size_t  n;

    if (token == last || last - token > 9
        || (*token == '0' && last - token > 1))
    {
        return 0;
    }

    n = 0;

    for ( /* void */ ; token < last; token++) {

        if (*token < '0' || *token > '9') {
            return 0;
        }

        n = n * 10 + (*token - '0');
    }

    *index = n;

    return 1;
}


static int
klaviyo_pointer_names(const uint8_t *token, const uint8_t *last,
    const klaviyo_slice_t *name)
{
    size_t          i, n;
    uint8_t         c, buf[4];
    const uint8_t  *p, *end;

    p = name->data + 1;
    end = name->data + name->len - 1;

    while (p < end) {
        n = klaviyo_walk_char(&p, end, buf);

        for (i = 0; i < n; i++) {

            if (token == last) {
                return 0;
            }

            c = *token++;

            if (c == '~') {
                c = (*token++ == '0') ? '~' : '/';
            }

            if (c != buf[i]) {
                return 0;
            }
        }
    }

    return token == last;
}
