/*
 * json: fields of a form.  Plain C, no allocation.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_form.h"
#include "klaviyo_hex.h"


#define KLAVIYO_FORM_BOUNDARY_MAX  72       /* with its "--"                */


static int klaviyo_form_pair(klaviyo_form_t *form, const uint8_t *name,
    size_t len, klaviyo_slice_t *value);
static int klaviyo_form_part(klaviyo_form_t *form, const uint8_t *name,
    size_t len, klaviyo_slice_t *value);
static int klaviyo_form_named(const uint8_t *p, const uint8_t *last,
    const uint8_t *name, size_t len);
static int klaviyo_form_parameter(const uint8_t **p, const uint8_t *last,
    klaviyo_slice_t *name, klaviyo_slice_t *value);
static const uint8_t *klaviyo_form_find(const uint8_t *p,
    const uint8_t *last, const void *text, size_t len);
static int klaviyo_form_is(const uint8_t *p, const uint8_t *last,
    const uint8_t *name, size_t len);
static uint8_t klaviyo_form_char(const uint8_t **p, const uint8_t *last);


void
klaviyo_form_open(klaviyo_form_t *form, const uint8_t *p, size_t len)
{
    const uint8_t  *end, *last;

    last = p + len;

    form->pos = p;
    form->last = last;
    form->boundary.len = 0;
    form->bad = 0;

    while (last - p > 1 && memcmp(p, "\r\n", 2) == 0) {
        p += 2;
    }

    if (last - p < 2 || memcmp(p, "--", 2) != 0) {
        form->bad = (len && memchr(form->pos, '=', len) == NULL);
        return;
    }

    end = klaviyo_form_find(p, last, "\r\n", 2);

    if (end && end - p > 2 && end - p <= KLAVIYO_FORM_BOUNDARY_MAX) {
        form->boundary.data = p;
        form->boundary.len = end - p;
        form->pos = end;
        return;
    }

    form->bad = 1;
}


int
klaviyo_form_next(klaviyo_form_t *form, const uint8_t *name, size_t len,
    klaviyo_slice_t *value)
{
    return form->boundary.len ? klaviyo_form_part(form, name, len, value)
                              : klaviyo_form_pair(form, name, len, value);
}


size_t
klaviyo_form_decode(const klaviyo_form_t *form, const klaviyo_slice_t *value,
    uint8_t *buf)
{
    uint8_t        *dst;
    const uint8_t  *p, *last;

    if (form->boundary.len) {
        memcpy(buf, value->data, value->len);
        return value->len;
    }

    dst = buf;
    p = value->data;
    last = p + value->len;

    while (p < last) {
        *dst++ = klaviyo_form_char(&p, last);
    }

    return dst - buf;
}


static int
klaviyo_form_pair(klaviyo_form_t *form, const uint8_t *name, size_t len,
    klaviyo_slice_t *value)
{
    const uint8_t  *p, *end, *equal, *last;

    last = form->last;

    while (form->pos < last) {

        p = form->pos;
        end = memchr(p, '&', last - p);

        form->pos = end ? end + 1 : last;

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


/* form->pos is at the end of a boundary's line: before the headers of a part */

static int
klaviyo_form_part(klaviyo_form_t *form, const uint8_t *name, size_t len,
    klaviyo_slice_t *value)
{
    const uint8_t  *p, *body, *end, *last;

    last = form->last;

    while (form->pos < last) {

        p = form->pos;
        body = klaviyo_form_find(p, last, "\r\n\r\n", 4);

        if (body == NULL) {
            form->pos = last;
            form->bad = 1;
            return 0;
        }

        value->data = body + 4;

        for (end = value->data; /* void */ ; end++) {

            end = klaviyo_form_find(end, last, "\r\n--", 4);

            if (end == NULL) {
                form->pos = last;
                form->bad = 1;
                return 0;
            }

            if ((size_t) (last - end - 2) >= form->boundary.len
                && memcmp(end + 2, form->boundary.data, form->boundary.len)
                   == 0)
            {
                break;
            }
        }

        value->len = end - value->data;

        /* "--" behind the last boundary, or the end of its line */

        form->pos = end + 2 + form->boundary.len;

        if (last - form->pos < 2 || memcmp(form->pos, "\r\n", 2) != 0) {
            form->pos = last;
        }

        if (klaviyo_form_named(p, body + 2, name, len)) {
            return 1;
        }
    }

    return 0;
}


/* headers of a part, each with its end of line: 1: it is this field */

static int
klaviyo_form_named(const uint8_t *p, const uint8_t *last, const uint8_t *name,
    size_t len)
{
    int              found;
    const uint8_t   *end;
    klaviyo_slice_t  key, value;

    static const char  header[] = "content-disposition:";

    for ( /* void */ ; p < last; p = end + 2) {

        end = klaviyo_form_find(p, last, "\r\n", 2);

        if (end == NULL) {
            return 0;
        }

        if ((size_t) (end - p) < sizeof(header) - 1
            || strncasecmp((const char *) p, header, sizeof(header) - 1) != 0)
        {
            continue;
        }

        found = 0;
        p += sizeof(header) - 1;

        while (klaviyo_form_parameter(&p, end, &key, &value)) {

            if ((key.len == 8 || key.len == 9)
                && strncasecmp((const char *) key.data, "filename", 8) == 0)
            {
                return 0;
            }

            if (key.len == 4
                && strncasecmp((const char *) key.data, "name", 4) == 0)
            {
                found = value.len == len
                        && memcmp(value.data, name, len) == 0;
            }
        }

        return found;
    }

    return 0;
}


/* the next `; name=value` or `; name="value"` */

static int
klaviyo_form_parameter(const uint8_t **p, const uint8_t *last,
    klaviyo_slice_t *name, klaviyo_slice_t *value)
{
    const uint8_t  *pos, *end;

    pos = memchr(*p, ';', last - *p);

    if (pos == NULL) {
        return 0;
    }

    for (pos++; pos < last && (*pos == ' ' || *pos == '\t'); pos++) {
        /* void */
    }

    end = memchr(pos, '=', last - pos);

    if (end == NULL) {
        return 0;
    }

    name->data = pos;
    name->len = end - pos;

    pos = end + 1;

    if (pos < last && *pos == '"') {
        value->data = ++pos;

        while (pos < last && *pos != '"') {
            pos += (*pos == '\\' && last - pos > 1) ? 2 : 1;
        }

        end = pos;

    } else {
        value->data = pos;
        end = memchr(pos, ';', last - pos);

        if (end == NULL) {
            end = last;
        }
    }

    value->len = end - value->data;
    *p = end;

    return 1;
}


static const uint8_t *
klaviyo_form_find(const uint8_t *p, const uint8_t *last, const void *text,
    size_t len)
{
    const uint8_t  *first;

    first = text;

    for ( ;; ) {

        if ((size_t) (last - p) < len) {
            return NULL;
        }

        p = memchr(p, *first, last - p - len + 1);

        if (p == NULL || memcmp(p, text, len) == 0) {
            return p;
        }

        p++;
    }
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
