/*
 * The marks of a text are those that a look at each byte finds, wherever the
 * text begins and ends; base64 in blocks is base64 byte by byte.
 */


#include <stdlib.h>

#include "tap.h"

#include "capture/klaviyo_decode.h"
#include "capture/klaviyo_marks.h"


#define TEXT_MAX  300
#define ROUNDS    200000


static const klaviyo_marks_set_t  set = { { '&', '=', '%', '#', '?' } };


static int
is_mark(uint8_t c)
{
    return c == '&' || c == '=' || c == '%' || c == '#' || c == '?';
}


/* a copy that ends where its memory does: valgrind and ASan look at the rest */

static int
same_marks(const uint8_t *text, size_t len)
{
    int               good;
    size_t            i;
    uint8_t          *copy;
    const uint8_t    *mark;
    klaviyo_marks_t   marks;

    copy = malloc(len + !len);
    memcpy(copy, text, len);

    klaviyo_marks_init(&marks, copy, copy + len);

    good = 1;

    for (i = 0; i < len; i++) {

        if (!is_mark(copy[i])) {
            continue;
        }

        mark = klaviyo_marks_next(&marks, set);

        if (mark != copy + i) {
            good = 0;
        }
    }

    if (klaviyo_marks_next(&marks, set) != copy + len
        || klaviyo_marks_next(&marks, set) != copy + len)
    {
        good = 0;
    }

    free(copy);

    return good;
}


/* from each mark on to a place behind it, or to any place */

static int
same_goes_on(const uint8_t *text, size_t len, unsigned *seed)
{
    size_t            at, wanted;
    uint8_t          *copy;
    const uint8_t    *mark;
    klaviyo_marks_t   marks;

    copy = malloc(len + !len);
    memcpy(copy, text, len);

    klaviyo_marks_init(&marks, copy, copy + len);

    for (at = rand_r(seed) % (len + 1); /* void */ ; /* void */ ) {

        klaviyo_marks_seek(&marks, copy + at);

        for ( ;; ) {
            mark = klaviyo_marks_next(&marks, set);

            for (wanted = at; wanted < len && !is_mark(copy[wanted]);
                 wanted++) { /* void */ }

            if (mark != copy + wanted) {
                free(copy);
                return 0;
            }

            if (wanted == len) {
                free(copy);
                return 1;
            }

            at = wanted + 1;

            if (rand_r(seed) % 4 == 0) {
                break;
            }

            at += rand_r(seed) % (len - at + 1) / 8;
            klaviyo_marks_skip(&marks, copy + at);
        }

        at = rand_r(seed) % (at + 1);

        if (rand_r(seed) % 16 == 0) {
            free(copy);
            return 1;
        }
    }
}


static void
test_marks(void)
{
    size_t    i, len;
    uint8_t   text[TEXT_MAX];
    unsigned  n, bad, seed, gone;

    bad = 0;
    gone = 0;
    seed = 1;

    for (n = 0; n < ROUNDS; n++) {
        len = rand_r(&seed) % TEXT_MAX;

        for (i = 0; i < len; i++) {
            text[i] = (rand_r(&seed) % 8) ? (uint8_t) rand_r(&seed)
                                          : set.byte[rand_r(&seed) % 5];
        }

        bad += !same_marks(text, len);
        gone += !same_goes_on(text, len, &seed);
    }

    is_int(bad, 0, "the marks of %d texts", ROUNDS);
    is_int(gone, 0, "from anywhere on");
}


static int
value(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') ? c - 'A'
           : (c >= 'a' && c <= 'z') ? c - 'a' + 26
           : (c >= '0' && c <= '9') ? c - '0' + 52
           : (c == '+' || c == '-' || c == ' ') ? 62
           : (c == '/' || c == '_') ? 63 : -1;
}


/* byte by byte: 1 and the bytes, or 0 */

static int
oracle(uint8_t *dst, const uint8_t *p, size_t *len)
{
    int       v, bits;
    size_t    i, n, pad;
    uint32_t  word;

    n = *len;

    for (pad = 0; pad < 2 && n && p[n - 1] == '='; pad++) {
        n--;
    }

    if (n % 4 == 1 || (pad && (n + pad) % 4)) {
        return 0;
    }

    *len = 0;
    word = 0;
    bits = 0;

    for (i = 0; i < n; i++) {
        v = value(p[i]);

        if (v < 0) {
            return 0;
        }

        word = word << 6 | (uint32_t) v;
        bits += 6;

        if (bits >= 8) {
            bits -= 8;
            dst[(*len)++] = (uint8_t) (word >> bits);
        }
    }

    return 1;
}


static void
test_base64(void)
{
    int       rc;
    size_t    i, len, n, m;
    uint8_t  *text, wanted[TEXT_MAX];
    unsigned  k, bad, good, seed;

    static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
                                    "pqrstuvwxyz0123456789+/-_ ";

    bad = 0;
    good = 0;
    seed = 2;

    for (k = 0; k < ROUNDS; k++) {
        len = rand_r(&seed) % TEXT_MAX;
        text = malloc(len + !len);

        m = (k % 3) ? 64 : sizeof(alphabet) - 1;

        for (i = 0; i < len; i++) {
            text[i] = (uint8_t) alphabet[rand_r(&seed) % m];
        }

        if (k % 5 == 0 && len) {
            text[rand_r(&seed) % len] = (uint8_t) rand_r(&seed);
        }

        if (k % 7 == 0 && len > 2) {
            text[len - 1] = '=';
        }

        n = len;
        rc = oracle(wanted, text, &n);
        good += rc;

        /* in place, as cookies are */

        i = len;

        if (klaviyo_decode_base64(text, text, &i) != rc
            || (rc && (i != n || memcmp(text, wanted, n) != 0)))
        {
            bad++;
        }

        free(text);
    }

    is_int(bad, 0, "base64 of %d texts", ROUNDS);
    ok(good > ROUNDS / 4, "%u of these were some", good);
}


/* each byte at each place of a block */

static void
test_base64_bytes(void)
{
    int       rc;
    size_t    at, n, m;
    uint8_t   text[32], bytes[32], wanted[32];
    unsigned  c, bad;

    bad = 0;

    for (at = 0; at < 32; at++) {
        for (c = 0; c < 256; c++) {
            memset(text, 'Q', sizeof(text));
            text[at] = (uint8_t) c;

            n = sizeof(text);
            m = sizeof(text);

            rc = oracle(wanted, text, &n);

            if (klaviyo_decode_base64(bytes, text, &m) != rc
                || (rc && (m != n || memcmp(bytes, wanted, n) != 0)))
            {
                bad++;
            }
        }
    }

    is_int(bad, 0, "base64: every byte at every place");
}


int
main(void)
{
    test_marks();
    test_base64();
    test_base64_bytes();

    return done_testing();
}
