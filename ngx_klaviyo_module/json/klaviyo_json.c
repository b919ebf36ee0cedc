/*
 * json: the bounded writer.  Plain C, no allocation, no nginx, no jansson.
 */


#include <string.h>

#include "klaviyo_json.h"
#include "klaviyo_plain.h"
#include "klaviyo_utf8.h"


static size_t klaviyo_json_plain(uint8_t *dst, const uint8_t *p, size_t len);
static size_t klaviyo_json_escape_char(uint8_t *buf, uint8_t c);


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
    size_t    room, n;
    uint8_t  *dst;

    room = json->end - json->pos;

    if (len == 0 || len > max || room < 2 || len > room - 2 || json->overflow)
    {
        klaviyo_json_literal(json, "\"");
        klaviyo_json_escape(json, p, len, max);
        klaviyo_json_literal(json, "\"");
        return;
    }

    /* there is room for all of it, if it is plain, and mostly it is */

    dst = json->pos;

    *dst++ = '"';

    n = klaviyo_json_plain(dst, p, len);

    if (n == len) {
        dst[n] = '"';
        json->pos = dst + n + 1;
        return;
    }

    json->pos = dst + n;

    klaviyo_json_escape(json, p + n, len - n, max - n);
    klaviyo_json_literal(json, "\"");
}


/*
 * Copies what is plain, as far as it is, and says how much that was; behind
 * it dst may be written to up to `len`.
 */

static size_t
klaviyo_json_plain(uint8_t *dst, const uint8_t *p, size_t len)
{
    size_t                 i;
    uint32_t               half[2];
    uint64_t               word[2];
    klaviyo_plain_block_t  block;

    for (i = 0; len - i >= KLAVIYO_PLAIN_BLOCK; i += KLAVIYO_PLAIN_BLOCK) {
        block = klaviyo_plain_load(p + i);

        if (!klaviyo_plain_is(block)) {
            break;
        }

        klaviyo_plain_store(dst + i, block);
    }

    /* of what is left, the last block or word, some of it once more */

    if (len - i >= KLAVIYO_PLAIN_BLOCK) {
        /* void */

    } else if (len >= KLAVIYO_PLAIN_BLOCK) {
        block = klaviyo_plain_load(p + len - KLAVIYO_PLAIN_BLOCK);

        if (klaviyo_plain_is(block)) {
            klaviyo_plain_store(dst + len - KLAVIYO_PLAIN_BLOCK, block);
            return len;
        }

    } else if (len >= 8) {
        memcpy(&word[0], p, 8);
        memcpy(&word[1], p + len - 8, 8);

        if ((klaviyo_plain_mask(word[0]) | klaviyo_plain_mask(word[1])) == 0) {
            memcpy(dst, &word[0], 8);
            memcpy(dst + len - 8, &word[1], 8);
            return len;
        }

    } else if (len >= 4) {
        memcpy(&half[0], p, 4);
        memcpy(&half[1], p + len - 4, 4);

        if (klaviyo_plain_mask((uint64_t) half[0] << 32 | half[1]) == 0) {
            memcpy(dst, &half[0], 4);
            memcpy(dst + len - 4, &half[1], 4);
            return len;
        }
    }

    for ( /* void */ ; i < len && klaviyo_plain_byte[p[i]]; i++) {
        dst[i] = p[i];
    }

    return i;
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
