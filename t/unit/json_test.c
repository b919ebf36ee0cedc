/*
 * json/klaviyo_json.c: escaping, repair of UTF-8, cuts, bounds.
 */


#include <stdlib.h>

#include <jansson.h>

#include "json/klaviyo_json.h"
#include "json/klaviyo_utf8.h"
#include "tap.h"


#define MAX     4096
#define NOLIMIT 1000000
#define GUARD   0xa5


typedef struct {
    const char  *name;
    const char  *in;
    size_t       in_len;
    const char  *out;
    int          repaired;
} string_case_t;


#define CASE(name, in, out, repaired)                                        \
    { name, in, sizeof(in) - 1, out, repaired }

#define FFFD  "\xef\xbf\xbd"


static const string_case_t  cases[] = {

    /* escapes */

    CASE("nothing", "", "", 0),
    CASE("plain", "abc xyz 019 ~!#", "abc xyz 019 ~!#", 0),
    CASE("quote", "a\"b", "a\\\"b", 0),
    CASE("backslash", "\\", "\\\\", 0),
    CASE("slash stays", "</script>", "</script>", 0),
    CASE("short escapes", "\b\f\n\r\t", "\\b\\f\\n\\r\\t", 0),
    CASE("NUL inside", "a\0b", "a\xef\xbf\xbd" "b", 1),
    CASE("controls", "\x01\x0b\x1f", "\\u0001\\u000b\\u001f", 0),
    CASE("DEL", "~\x7f", "~\\u007f", 0),
    CASE("eighth byte", "0123456\"89", "0123456\\\"89", 0),
    CASE("behind eight bytes", "01234567\"9", "01234567\\\"9", 0),
    CASE("below the quote", "!\"!\"!\"!\"!\"", "!\\\"!\\\"!\\\"!\\\"!\\\"", 0),

    /* valid UTF-8 */

    CASE("2 bytes", "\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf", 0),
    CASE("3 bytes", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
         "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 0),
    CASE("4 bytes", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
         "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 0),
    CASE("U+FFFD itself", FFFD, FFFD, 0),
    CASE("mixed with escapes", "\xc3\xa9\"\xe2\x82\xac\n",
         "\xc3\xa9\\\"\xe2\x82\xac\\n", 0),

    /* invalid UTF-8, one U+FFFD for each maximal subpart */

    CASE("lone continuation", "a\x80" "b", "a" FFFD "b", 1),
    CASE("two continuations", "\x80\xbf", FFFD FFFD, 1),
    CASE("C0 and C1", "\xc0\xaf\xc1\xbf", FFFD FFFD FFFD FFFD, 1),
    CASE("overlong 3", "\xe0\x80\xaf", FFFD FFFD FFFD, 1),
    CASE("overlong 3, last", "\xe0\x9f\xbf", FFFD FFFD FFFD, 1),
    CASE("overlong 4", "\xf0\x80\x80\xaf", FFFD FFFD FFFD FFFD, 1),
    CASE("overlong 4, last", "\xf0\x8f\xbf\xbf", FFFD FFFD FFFD FFFD, 1),
    CASE("overlong NUL", "\xc0\x80", FFFD FFFD, 1),
    CASE("high surrogate", "\xed\xa0\x80", FFFD FFFD FFFD, 1),
    CASE("low surrogate", "\xed\xbf\xbf", FFFD FFFD FFFD, 1),
    CASE("CESU-8 pair", "\xed\xa0\xbd\xed\xb8\x80",
         FFFD FFFD FFFD FFFD FFFD FFFD, 1),
    CASE("U+110000", "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD, 1),
    CASE("F5", "\xf5\x80\x80\x80", FFFD FFFD FFFD FFFD, 1),
    CASE("five bytes", "\xf8\x88\x80\x80\x80",
         FFFD FFFD FFFD FFFD FFFD, 1),
    CASE("FE FF", "\xfe\xff", FFFD FFFD, 1),
    CASE("2 bytes cut short", "\xc3", FFFD, 1),
    CASE("3 bytes cut short", "\xe2\x82", FFFD, 1),
    CASE("4 bytes cut short", "\xf0\x9f\x98", FFFD, 1),
    CASE("4 bytes cut to two", "\xf0\x9f", FFFD, 1),
    CASE("cut short, then ASCII", "\xe2\x82" "A", FFFD "A", 1),
    CASE("cut short, then a quote", "\xf0\x9f\"", FFFD "\\\"", 1),
    CASE("cut short, then a character", "\xe2\x82\xc3\xa9",
         FFFD "\xc3\xa9", 1),
    CASE("Unicode's table 3-8", "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82" "A",
         FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A", 1),
    CASE("Unicode's table 3-9", "\xed\xa0\x80\xed\xbf\xbf\xed\xaf" "A",
         FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD "A", 1),
    CASE("Unicode's table 3-10", "\xf4\x91\x92\x93\xff" "A\x80\xbf" "B",
         FFFD FFFD FFFD FFFD FFFD "A" FFFD FFFD "B", 1),
    CASE("Unicode's table 3-11",
         "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf" "A",
         FFFD FFFD FFFD FFFD "A", 1)
};


static uint32_t  seed = 20260715;


static uint32_t
next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;

    return seed;
}


static size_t
encode(uint8_t *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = c;
        return 1;
    }

    if (c < 0x800) {
        p[0] = 0xc0 | c >> 6;
        p[1] = 0x80 | (c & 0x3f);
        return 2;
    }

    if (c < 0x10000) {
        p[0] = 0xe0 | c >> 12;
        p[1] = 0x80 | (c >> 6 & 0x3f);
        p[2] = 0x80 | (c & 0x3f);
        return 3;
    }

    p[0] = 0xf0 | c >> 18;
    p[1] = 0x80 | (c >> 12 & 0x3f);
    p[2] = 0x80 | (c >> 6 & 0x3f);
    p[3] = 0x80 | (c & 0x3f);

    return 4;
}


static void
test_cases(void)
{
    char            expected[MAX];
    size_t          i;
    uint8_t         buf[MAX];
    klaviyo_json_t  json;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        klaviyo_json_init(&json, buf, sizeof(buf));
        klaviyo_json_string(&json, (const uint8_t *) cases[i].in,
                            cases[i].in_len, NOLIMIT);

        snprintf(expected, sizeof(expected), "\"%s\"", cases[i].out);

        is_mem(buf, (size_t) (json.pos - buf), expected, strlen(expected),
               "%s", cases[i].name);
        ok(json.repaired == (unsigned) cases[i].repaired
           && !json.cut && !json.overflow, "%s: flags", cases[i].name);
    }
}


/* a quote at each place of texts of all lengths that blocks are made of */

static void
test_blocks(void)
{
    size_t          i, n, len;
    uint8_t         in[80], buf[256], expected[256];
    unsigned        wrong;
    klaviyo_json_t  json;

    wrong = 0;

    for (n = 1; n <= sizeof(in); n++) {

        for (i = 0; i < n; i++) {
            memset(in, 'a' + (int) (n % 26), n);
            in[i] = '"';

            expected[0] = '"';
            memcpy(expected + 1, in, i);
            memcpy(expected + 1 + i, "\\\"", 2);
            memcpy(expected + 3 + i, in + i + 1, n - i - 1);
            expected[n + 2] = '"';
            len = n + 3;

            memset(buf, GUARD, sizeof(buf));
            klaviyo_json_init(&json, buf, sizeof(buf));
            klaviyo_json_string(&json, in, n, NOLIMIT);

            wrong += (size_t) (json.pos - buf) != len
                     || memcmp(buf, expected, len) != 0;
        }
    }

    is_int(wrong, 0, "a quote at each place of each length");
}


/* each byte at each place of words: the shortcut and the byte's own rule */

static void
test_places(void)
{
    int             c, i, wrong;
    size_t          len;
    uint8_t         in[24], buf[256], one[16];
    klaviyo_json_t  json, single;

    wrong = 0;

    for (c = 0; c < 256; c++) {

        klaviyo_json_init(&single, one, sizeof(one));
        in[0] = c;
        klaviyo_json_escape(&single, in, 1, NOLIMIT);
        len = single.pos - one;

        for (i = 0; i < 24; i++) {
            memset(in, 0x23 + i, sizeof(in));
            in[i] = c;

            klaviyo_json_init(&json, buf, sizeof(buf));
            klaviyo_json_escape(&json, in, sizeof(in), NOLIMIT);

            if ((size_t) (json.pos - buf) != sizeof(in) - 1 + len
                || memcmp(buf, in, i) != 0
                || memcmp(buf + i, one, len) != 0
                || memcmp(buf + i + len, in + i + 1, sizeof(in) - 1 - i))
            {
                wrong++;
            }
        }
    }

    is_int(wrong, 0, "every byte at every place");
}


static void
test_code_points(void)
{
    int       n, wrong;
    size_t    len;
    uint8_t   in[4];
    uint32_t  c;

    wrong = 0;

    for (c = 0; c < 0x140000; c++) {
        len = encode(in, c);
        n = klaviyo_utf8_length(in, in + len);

        if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff) {
            wrong += (n != -1);

        } else {
            wrong += (n != (int) len);

            while (--len) {
                wrong += (klaviyo_utf8_length(in, in + len) != -(int) len);
            }
        }
    }

    is_int(wrong, 0, "every code point, whole and cut short");
}


static void
check_cut(const char *in, size_t max, const char *out, int cut,
    const char *name)
{
    uint8_t         buf[MAX];
    klaviyo_json_t  json;

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_escape(&json, (const uint8_t *) in, strlen(in), max);

    is_mem(buf, (size_t) (json.pos - buf), out, strlen(out), "cut: %s", name);
    is_int(json.cut, cut, "cut: %s: flag", name);
}


static void
test_cuts(void)
{
    check_cut("abcdef", 6, "abcdef", 0, "exactly the limit");
    check_cut("abcdef", 5, "abcde", 1, "one byte less");
    check_cut("abcdef", 0, "", 1, "nothing allowed");
    check_cut("", 0, "", 0, "nothing of nothing");
    check_cut("0123456789abcdef", 9, "012345678", 1, "behind a word");
    check_cut("ab\"cd", 3, "ab\\\"", 1, "an escape counts once");
    check_cut("ab\"cd", 2, "ab", 1, "before an escape");
    check_cut("\x01\x02", 1, "\\u0001", 1, "a long escape stays whole");
    check_cut("a\xe2\x82\xac", 4, "a\xe2\x82\xac", 0, "character fits");
    check_cut("a\xe2\x82\xac", 3, "a", 1, "character does not fit");
    check_cut("a\xe2\x82\xac", 2, "a", 1, "nor by two");
    check_cut("\xf0\x9f\x98\x80", 3, "", 1, "four bytes in three");
    check_cut("\xc3\xa9z", 2, "\xc3\xa9", 1, "behind a character");
    check_cut("a\xff", 4, "a" FFFD, 0, "a repair counts three");
    check_cut("a\xff", 3, "a", 1, "a repair does not fit");
    check_cut("a\xe2\x82", 3, "a", 1, "nor for two bytes");
}


/* every size of the buffer: a prefix of the whole, nothing past its end */

static void
test_bounds(void)
{
    size_t          size, whole, wrong;
    uint8_t         full[MAX], buf[MAX];
    klaviyo_json_t  json;

    static const char  in[] = "plain run of bytes \"\\\n\x01\x7f"
                              "\xc3\xa9\xff\xe2\x82 and some more";

    klaviyo_json_init(&json, full, sizeof(full));
    klaviyo_json_literal(&json, "[");
    klaviyo_json_uint(&json, 18446744073709551615u);
    klaviyo_json_literal(&json, ",");
    klaviyo_json_string(&json, (const uint8_t *) in, sizeof(in) - 1, NOLIMIT);
    klaviyo_json_literal(&json, "]");
    whole = json.pos - full;

    ok(!json.overflow && whole > sizeof(in), "bounds: the whole");

    wrong = 0;

    for (size = 0; size <= whole + 8; size++) {
        memset(buf, GUARD, sizeof(buf));

        klaviyo_json_init(&json, buf, size);
        klaviyo_json_literal(&json, "[");
        klaviyo_json_uint(&json, 18446744073709551615u);
        klaviyo_json_literal(&json, ",");
        klaviyo_json_string(&json, (const uint8_t *) in, sizeof(in) - 1,
                            NOLIMIT);
        klaviyo_json_literal(&json, "]");

        wrong += (json.overflow != (size < whole));
        wrong += ((size_t) (json.pos - buf) > size);
        wrong += (size >= whole && (size_t) (json.pos - buf) != whole);
        wrong += (memcmp(buf, full, json.pos - buf) != 0);

        while (json.pos < buf + sizeof(buf)) {
            wrong += (*json.pos++ != GUARD);
        }
    }

    is_int(wrong, 0, "bounds: every size from 0 to %zu", whole + 8);

    klaviyo_json_init(&json, buf, 4);
    klaviyo_json_literal(&json, "12345");
    klaviyo_json_literal(&json, "1");
    ok(json.overflow && json.pos == buf, "bounds: nothing after an overflow");
}


static void
check_uint(uint64_t n, const char *out)
{
    uint8_t         buf[32];
    klaviyo_json_t  json;

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_uint(&json, n);

    is_mem(buf, (size_t) (json.pos - buf), out, strlen(out), "uint %s", out);
}


static void
test_size(void)
{
    uint8_t         in[64], buf[klaviyo_json_string_size(64)];
    klaviyo_json_t  json;

    memset(in, 0x01, sizeof(in));
    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_string(&json, in, sizeof(in), NOLIMIT);

    ok(!json.overflow && json.pos == json.end,
       "the size of the worst string is exact");

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_escape(&json, NULL, 0, 0);
    klaviyo_json_raw(&json, NULL, 0);
    ok(json.pos == buf && !json.cut, "an empty string may have no address");

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_literal(&json, "\"");
    klaviyo_json_escape(&json, (const uint8_t *) "a\"", 2, NOLIMIT);
    klaviyo_json_escape(&json, (const uint8_t *) "\nb", 2, NOLIMIT);
    klaviyo_json_literal(&json, "\"");
    is_mem(buf, (size_t) (json.pos - buf), "\"a\\\"\\nb\"", 8,
           "a string in pieces");
}


/*
 * Random text of whole characters comes back from jansson as it was; random
 * bytes come back as something that needs no second repair.
 */

static void
test_round_trip(void)
{
    int             i, wrong;
    size_t          len, max, n, out_len;
    json_t         *value;
    uint8_t         in[512], buf[klaviyo_json_string_size(512)];
    uint8_t         again[klaviyo_json_string_size(3 * 512)];
    uint32_t        c;
    const char     *out;
    klaviyo_json_t  json;

    static const uint32_t  tops[] = { 0x20, 0x80, 0x100, 0x800, 0x110000 };

    wrong = 0;

    for (i = 0; i < 4000; i++) {

        len = 0;
        max = next_random() % (sizeof(in) - 4);

        while (len < max) {
            c = next_random() % tops[next_random() % 5];

            if (c && (c < 0xd800 || c > 0xdfff)) {
                len += encode(in + len, c);
            }
        }

        klaviyo_json_init(&json, buf, sizeof(buf));
        klaviyo_json_string(&json, in, len, NOLIMIT);

        value = json_loadb((char *) buf, json.pos - buf,
                           JSON_DECODE_ANY|JSON_ALLOW_NUL, NULL);

        wrong += (json.repaired || json.cut || json.overflow);
        wrong += (value == NULL || json_string_length(value) != len
                  || memcmp(json_string_value(value), in, len) != 0);

        json_decref(value);
    }

    is_int(wrong, 0, "round trip: characters");

    wrong = 0;

    for (i = 0; i < 4000; i++) {

        len = next_random() % sizeof(in);
        max = next_random() % (3 * sizeof(in));

        for (n = 0; n < len; n++) {
            c = next_random();
            in[n] = (c & 0x300) ? 0x80 | c : c;
        }

        klaviyo_json_init(&json, buf, sizeof(buf));
        klaviyo_json_string(&json, in, len, max);
        wrong += json.overflow;

        value = json_loadb((char *) buf, json.pos - buf,
                           JSON_DECODE_ANY|JSON_ALLOW_NUL, NULL);

        if (value == NULL) {
            wrong++;
            continue;
        }

        out = json_string_value(value);
        out_len = json_string_length(value);
        wrong += (out_len > max || (json.cut && out_len + 4 <= max));
        n = json.pos - buf;

        klaviyo_json_init(&json, again, sizeof(again));
        klaviyo_json_string(&json, (const uint8_t *) out, out_len, max);
        wrong += (json.repaired || json.cut
                  || (size_t) (json.pos - again) != n
                  || memcmp(again, buf, n) != 0);

        json_decref(value);
    }

    is_int(wrong, 0, "round trip: any bytes, any limit");
}


int
main(void)
{
    test_cases();
    test_blocks();
    test_places();
    test_code_points();
    test_cuts();
    test_bounds();
    test_size();
    test_round_trip();

    check_uint(0, "0");
    check_uint(9, "9");
    check_uint(10, "10");
    check_uint(1790000000, "1790000000");
    check_uint(UINT64_MAX, "18446744073709551615");

    return done_testing();
}
