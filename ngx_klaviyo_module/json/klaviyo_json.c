/*
 * json: the bounded writer.  Plain C, no allocation, no nginx, no jansson.
 */


#include <string.h>

#include "klaviyo_json.h"
#include "klaviyo_plain.h"
#include "klaviyo_utf8.h"


static size_t klaviyo_json_escape_char(uint8_t *buf, uint8_t c);


const uint8_t  klaviyo_plain_byte[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
};


void
klaviyo_json_init(klaviyo_json_t *json, uint8_t *buf, size_t size)
{
    json->start = buf;
    json->pos = buf;
    json->end = buf + size;
    json->overflow = 0;
    json->repaired = 0;
    json->cut = 0;
    json->number = 0;
}


void
klaviyo_json_string(klaviyo_json_t *json, const uint8_t *p, size_t len,
    size_t max)
{
    size_t          room;
    uint8_t        *dst;
    uint64_t        word, end;
    const uint8_t  *last;

    room = json->end - json->pos;

    if (len == 0 || len > max || room < 2 || len > room - 2 || json->overflow)
    {
        klaviyo_json_literal(json, "\"");
        klaviyo_json_escape(json, p, len, max);
        klaviyo_json_literal(json, "\"");
        return;
    }

    /* there is room for all of it, if it is plain, and mostly it is */

    last = p + len;
    dst = json->pos;

    *dst++ = '"';

    while (last - p >= KLAVIYO_PLAIN_BLOCK
           && klaviyo_plain_run(p) == KLAVIYO_PLAIN_BLOCK)
    {
        memcpy(dst, p, KLAVIYO_PLAIN_BLOCK);

        p += KLAVIYO_PLAIN_BLOCK;
        dst += KLAVIYO_PLAIN_BLOCK;
    }

    /* of what is left, the last block or word, some of it once more */

    if (len >= KLAVIYO_PLAIN_BLOCK && last - p < KLAVIYO_PLAIN_BLOCK) {

        if (klaviyo_plain_run(last - KLAVIYO_PLAIN_BLOCK)
            == KLAVIYO_PLAIN_BLOCK)
        {
            dst += last - p;
            p = last;

            memcpy(dst - KLAVIYO_PLAIN_BLOCK, p - KLAVIYO_PLAIN_BLOCK,
                   KLAVIYO_PLAIN_BLOCK);
        }

    } else if (len >= 8 && len < KLAVIYO_PLAIN_BLOCK) {
        memcpy(&word, p, 8);
        memcpy(&end, last - 8, 8);

        if (klaviyo_plain_mask(word) == 0 && klaviyo_plain_mask(end) == 0) {
            memcpy(dst, &word, 8);

            dst += len;
            p = last;

            memcpy(dst - 8, &end, 8);
        }
    }

    while (p < last && klaviyo_plain_byte[*p]) {
        *dst++ = *p++;
    }

    max -= dst - json->pos - 1;
    json->pos = dst;

    if (p == last) {
        *json->pos++ = '"';
        return;
    }

    klaviyo_json_escape(json, p, last - p, max);
    klaviyo_json_literal(json, "\"");
}


/*
 * `run` is where the bytes begin that are copied as they are: plain ASCII and
 * valid UTF-8.  `max` goes down with each byte of the string's UTF-8.
 */

void
klaviyo_json_escape(klaviyo_json_t *json, const uint8_t *p, size_t len,
    size_t max)
{
    int             n;
    size_t          size;
    uint8_t         buf[6];
    const uint8_t  *q, *run, *last;

    if (len == 0 || json->overflow) {
        return;
    }

    run = p;
    last = p + len;

    for ( ;; ) {

        q = klaviyo_plain(p, (size_t) (last - p) > max ? p + max : last);

        max -= q - p;
        p = q;

        if (p == last) {
            break;
        }

        if (max == 0) {
            json->cut = 1;
            break;
        }

        if (*p < 0x80 && *p) {
            klaviyo_json_raw(json, run, p - run);

            size = klaviyo_json_escape_char(buf, *p);
            klaviyo_json_raw(json, buf, size);

            max--;
            p++;
            run = p;

        } else {
            n = *p ? klaviyo_utf8_length(p, last) : -1;
            size = n > 0 ? n : 3;

            if (size > max) {
                json->cut = 1;
                break;
            }

            max -= size;

            if (n > 0) {
                p += n;
                continue;
            }

            klaviyo_json_raw(json, run, p - run);
            klaviyo_json_literal(json, KLAVIYO_UTF8_REPLACEMENT);

            json->repaired = 1;
            p -= n;
            run = p;
        }

        if (json->overflow) {
            return;
        }
    }

    klaviyo_json_raw(json, run, p - run);
}


void
klaviyo_json_uint(klaviyo_json_t *json, uint64_t n)
{
    uint8_t   buf[20];
    uint8_t  *p;

    p = buf + sizeof(buf);

    do {
        *--p = (uint8_t) ('0' + n % 10);
        n /= 10;
    } while (n);

    klaviyo_json_raw(json, p, buf + sizeof(buf) - p);
}


static size_t
klaviyo_json_escape_char(uint8_t *buf, uint8_t c)
{
    static const char  hex[] = "0123456789abcdef";

    buf[0] = '\\';

    switch (c) {

    case '"':
    case '\\':
        buf[1] = c;
        return 2;

    case '\b':
        buf[1] = 'b';
        return 2;

    case '\f':
        buf[1] = 'f';
        return 2;

    case '\n':
        buf[1] = 'n';
        return 2;

    case '\r':
        buf[1] = 'r';
        return 2;

    case '\t':
        buf[1] = 't';
        return 2;
    }

    buf[1] = 'u';
    buf[2] = '0';
    buf[3] = '0';
    buf[4] = hex[c >> 4];
    buf[5] = hex[c & 0xf];

    return 6;
}
