/*
 * json/klaviyo_value.c: typed values.
 */


#include <stdlib.h>

#include <jansson.h>

#include "json/klaviyo_value.h"
#include "label.h"
#include "tap.h"


#define BIG    (2 * 1024 * 1024)
#define GUARD  0xa5


static char             text[BIG];
static uint8_t          buf[BIG];
static klaviyo_json_t   json;
static int              list_cut;


static klaviyo_value_rc_e
write_value(klaviyo_value_type_e type, const char *in, size_t len)
{
    list_cut = 0;

    klaviyo_json_init(&json, buf, sizeof(buf));
    klaviyo_json_literal(&json, "#");

    return klaviyo_value_write(&json, type, (const uint8_t *) in, len,
                               &list_cut);
}


/* out: the text, "" for a value left out as empty, NULL for a bad one */

static void
check(klaviyo_value_type_e type, const char *in, const char *out)
{
    klaviyo_value_rc_e  rc, expected;

    static const char  *types[] = {
        "string", "number", "bool", "list", "json"
    };

    expected = out == NULL ? KLAVIYO_VALUE_BAD
               : *out ? KLAVIYO_VALUE_OK : KLAVIYO_VALUE_EMPTY;

    rc = write_value(type, in, strlen(in));

    ok(rc == expected && !json.overflow && !json.cut && !list_cut
       && (size_t) (json.pos - buf) == 1 + (out ? strlen(out) : 0)
       && memcmp(buf + 1, out ? out : "", json.pos - buf - 1) == 0,
       "%s %s", types[type], label(in));
}


static void
test_empty(void)
{
    int                 type;
    klaviyo_value_rc_e  rc;

    for (type = KLAVIYO_VALUE_STRING; type <= KLAVIYO_VALUE_JSON; type++) {
        check(type, "", "");
        check(type, " ", "");
        check(type, " \t\r\n ", "");

        rc = write_value(type, NULL, 0);
        is_int(rc, KLAVIYO_VALUE_EMPTY, "no address");
    }

    rc = write_value(42, "x", 1);
    is_int(rc, KLAVIYO_VALUE_BAD, "no such type");
}


static void
test_strings(void)
{
    check(KLAVIYO_VALUE_STRING, "abc", "\"abc\"");
    check(KLAVIYO_VALUE_STRING, " a b ", "\" a b \"");
    check(KLAVIYO_VALUE_STRING, "19.90", "\"19.90\"");
    check(KLAVIYO_VALUE_STRING, "null", "\"null\"");

    write_value(KLAVIYO_VALUE_STRING, "a\xff", 2);
    ok(json.repaired, "a repaired string is marked");

    memset(text, 'x', KLAVIYO_STRING_MAX + 1);

    write_value(KLAVIYO_VALUE_STRING, text, KLAVIYO_STRING_MAX);
    ok(!json.cut && json.pos - buf == KLAVIYO_STRING_MAX + 3,
       "the longest string");

    write_value(KLAVIYO_VALUE_STRING, text, KLAVIYO_STRING_MAX + 1);
    ok(json.cut && json.pos - buf == KLAVIYO_STRING_MAX + 3,
       "a longer one is cut");
}


static void
test_numbers(void)
{
    size_t  i;

    static const char  *good[] = {
        "0", "-0", "1", "10", "-1", "19.90", "0.5", "-0.50", "1e3", "1E+3",
        "1e-3", "0e0", "0.0e999", "1.5e10", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808.0", "1e19", "1e308",
        "1.7976931348623157e308", "-1.7976931348623157E308",
        "0.017976931348623157e310", "17976931348623157e292", "1e-400",
        "0.00000000000000000000000000000000000000000000000000000000001"
    };

    static const char  *bad[] = {
        "a", "-", "+1", "01", "-01", "1.", ".5", "-.5", "1e", "1e+", "1.e1",
        "1,5", "1 2", "1x", "0x10", "NaN", "nan", "Infinity", "-inf",
        "$19.90", "1_000", "--1", "1.2.3", "1e1.5", "1e1e1", "\xc2\xa0-1", "\"1\"", "true",
        "00000000000000000000000000000001"
    };

    /* numbers that Klaviyo's own parser would change */

    static const char  *large[] = {
        "1e400", "-1e309", "1.8e308", "2e308", "0.18e309", "18e307",
        "1e99999999999", "9223372036854775808", "-9223372036854775809",
        "18446744073709551616", "99999999999999999999",
        "0.000000000000000000000000000000000000000000000000000000000000001"
    };

    for (i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        snprintf(text, sizeof(text), "\"%s\"", large[i]);

        check(KLAVIYO_VALUE_NUMBER, large[i], text);
        ok(json.number, "is marked");
        check(KLAVIYO_VALUE_JSON, large[i], text);
        ok(json.number, "is marked");

        is_int(klaviyo_value_is_number((const uint8_t *) large[i],
                                       strlen(large[i])), 0, "is no number");
    }

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        check(KLAVIYO_VALUE_NUMBER, good[i], good[i]);
        check(KLAVIYO_VALUE_JSON, good[i], good[i]);
        ok(!json.number, "is a number");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(KLAVIYO_VALUE_NUMBER, bad[i], NULL);
        is_int(klaviyo_value_is_number((const uint8_t *) bad[i],
                                       strlen(bad[i])), 0, "is no number");
    }

    /* as many bytes as are looked at, and one more */

    memset(text, '0', 65);
    memcpy(text, "1.", 2);
    is_int(klaviyo_value_is_number((const uint8_t *) text, 64), 1, "64 bytes");
    is_int(klaviyo_value_is_number((const uint8_t *) text, 65), 0, "65 bytes");

    check(KLAVIYO_VALUE_NUMBER, " \t19.90\r\n", "19.90");

    is_int(write_value(KLAVIYO_VALUE_NUMBER, "1\0", 2), KLAVIYO_VALUE_BAD,
           "a number with NUL");
}


static void
test_bools(void)
{
    check(KLAVIYO_VALUE_BOOL, "true", "true");
    check(KLAVIYO_VALUE_BOOL, "TRUE", "true");
    check(KLAVIYO_VALUE_BOOL, " On ", "true");
    check(KLAVIYO_VALUE_BOOL, "yEs", "true");
    check(KLAVIYO_VALUE_BOOL, "1", "true");
    check(KLAVIYO_VALUE_BOOL, "False", "false");
    check(KLAVIYO_VALUE_BOOL, "off", "false");
    check(KLAVIYO_VALUE_BOOL, "NO", "false");
    check(KLAVIYO_VALUE_BOOL, "0", "false");

    check(KLAVIYO_VALUE_BOOL, "2", NULL);
    check(KLAVIYO_VALUE_BOOL, "\x11", NULL);
    check(KLAVIYO_VALUE_BOOL, "y", NULL);
    check(KLAVIYO_VALUE_BOOL, "truee", NULL);
    check(KLAVIYO_VALUE_BOOL, "tru", NULL);
    check(KLAVIYO_VALUE_BOOL, "o n", NULL);
    check(KLAVIYO_VALUE_BOOL, "01", NULL);
}


static void
test_lists(void)
{
    int                 i;
    size_t              len;
    klaviyo_value_rc_e  rc;

    check(KLAVIYO_VALUE_LIST, "a", "[\"a\"]");
    check(KLAVIYO_VALUE_LIST, "a,b,c", "[\"a\",\"b\",\"c\"]");
    check(KLAVIYO_VALUE_LIST, " a b ,\tc ", "[\"a b\",\"c\"]");
    check(KLAVIYO_VALUE_LIST, ",,a,, ,b,", "[\"a\",\"b\"]");
    check(KLAVIYO_VALUE_LIST, "1,2", "[\"1\",\"2\"]");
    check(KLAVIYO_VALUE_LIST, "\"q\",\\", "[\"\\\"q\\\"\",\"\\\\\"]");
    check(KLAVIYO_VALUE_LIST, ",", "");
    check(KLAVIYO_VALUE_LIST, " , ,\t,", "");

    len = 0;

    for (i = 0; i < KLAVIYO_LIST_MAX; i++) {
        text[len++] = 'i';
        text[len++] = ',';
    }

    text[len] = ' ';
    text[len + 1] = ',';
    rc = write_value(KLAVIYO_VALUE_LIST, text, len + 2);
    ok(rc == KLAVIYO_VALUE_OK && !list_cut
       && json.pos - buf == 1 + 1 + 4 * KLAVIYO_LIST_MAX, "the longest list");

    text[len] = 'z';
    rc = write_value(KLAVIYO_VALUE_LIST, text, len + 2);
    ok(rc == KLAVIYO_VALUE_OK && list_cut
       && json.pos - buf == 1 + 1 + 4 * KLAVIYO_LIST_MAX
       && json.pos[-1] == ']' && json.pos[-3] == 'i', "a longer one is cut");

    memset(text, 'x', KLAVIYO_STRING_MAX + 1);
    memcpy(text + KLAVIYO_STRING_MAX + 1, ",y", 2);
    write_value(KLAVIYO_VALUE_LIST, text, KLAVIYO_STRING_MAX + 3);
    ok(json.cut && json.pos - buf == KLAVIYO_STRING_MAX + 9,
       "a long item is cut");
}


static void
test_json(void)
{
    size_t  i;

    /* pairs of text and result */

    static const char  *good[][2] = {
        { "{}", "{}" },
        { "[]", "[]" },
        { "true", "true" },
        { "0", "0" },
        { "\"a\"", "\"a\"" },
        { "\" \"", "\" \"" },
        { "null", "" },
        { " null ", "" },
        { "\"\"", "" },
        { "[null,\"\",0]", "[null,\"\",0]" },
        { " { \"a\" :\n[ 1 ,\t19.90 , 1E2 ]\r\n} ", "{\"a\":[1,19.90,1E2]}" },
        { "{\"a b\":\" c  d \"}", "{\"a b\":\" c  d \"}" },
        { "[\"\\\" ] , \\\\\"]", "[\"\\\" ] , \\\\\"]" },
        { "[\"\\u00e9\\ud83d\\ude00\\/\\\"\\n\\u000a\\u0001\\u007f\"]",
          "[\"\xc3\xa9\xf0\x9f\x98\x80/\\\"\\n\\n\\u0001\x7f\"]" },
        { "[\"\xc3\xa9\x7f\"]", "[\"\xc3\xa9\x7f\"]" },
        { "[9223372036854775807,-9223372036854775808]",
          "[9223372036854775807,-9223372036854775808]" },
        { "[[[[[[[[[1]]]]]]]]]", "[[[[[[[[[1]]]]]]]]]" },
        { "{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":1}]}]}]}]}",
          "{\"a\":[{\"a\":[{\"a\":[{\"a\":[{\"a\":1}]}]}]}]}" },
        { "[[],[],[],[],[],[],[],[],[],[],[]]",
          "[[],[],[],[],[],[],[],[],[],[],[]]" },
        { "[\"[[[[[[[[[[[[[[\"]", "[\"[[[[[[[[[[[[[[\"]" },
        { "\xef\xbb\xbf{}", "{}" },
        { "[\"a\nb\tc\"]", "[\"a\\nb\\tc\"]" },
        { "{\"a\":1,\"a\":2}", "{\"a\":2}" },
        { "{\"a\":1,\"b\":[{\"a\":[],\"\\u0061\":3}], \"a\" : 2,\"c\":4}",
          "{\"b\":[{\"a\":3}],\"a\":2,\"c\":4}" },
        { "{\"id\":12345678901234567890,\"p\":[19.90,-1e400]}",
          "{\"id\":\"12345678901234567890\",\"p\":[19.90,\"-1e400\"]}" }
    };

    /* pairs of text and result, of which some bytes were no characters */

    static const char  *repaired[][2] = {
        { "[\"x\\ud800\"]", "[\"x\xef\xbf\xbd\"]" },
        { "[\"\\udc00y\"]", "[\"\xef\xbf\xbdy\"]" },
        { "[\"\\ud800\\u0061\"]", "[\"\xef\xbf\xbd" "a\"]" },
        { "[\"\\ud83d\\ud83d\\ude00\"]",
          "[\"\xef\xbf\xbd\xf0\x9f\x98\x80\"]" },
        { "[\"\\u0000\"]", "[\"\xef\xbf\xbd\"]" },
        { "{\"\\u0000\":1}", "{\"\xef\xbf\xbd\":1}" },
        { "[\"\xff\"]", "[\"\xef\xbf\xbd\"]" },
        { "[\"caf\xe9!\"]", "[\"caf\xef\xbf\xbd!\"]" },
        { "[\"\xc0\x80\"]", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]" },
        { "[\"\xed\xa0\x80\"]",
          "[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]" },
        { "[\"a\x01" "b\"]", "[\"a\xef\xbf\xbd" "b\"]" }
    };

    static const char  *bad[] = {
        "{", "}", "[", "]", "[}", "{]", "][", ",", ":", "\"", "\"a", "\"\\\"",
        "[\"\\", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}",
        "[1] 2", "{} {}", "1 2", "nul", "nulll", "True", "undefined", "NaN",
        "[01]", "[1.]", "[+1]", "[.5]", "[1e]",
        "[[[[[[[[[[1]]]]]]]]]]", "[[[[[[[[[{}]]]]]]]]]",
        "[\"\\x\"]", "[\"\\u12\"]",
        "\xc2\xa0{}", "[1\f]", "[1\v]", "/**/1", "<html>"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        check(KLAVIYO_VALUE_JSON, good[i][0], good[i][1]);
    }

    for (i = 0; i < sizeof(repaired) / sizeof(repaired[0]); i++) {
        check(KLAVIYO_VALUE_JSON, repaired[i][0], repaired[i][1]);
        ok(json.repaired, "is marked");
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(KLAVIYO_VALUE_JSON, bad[i], NULL);
    }

    is_int(write_value(KLAVIYO_VALUE_JSON, "[1\0]", 4), KLAVIYO_VALUE_BAD,
           "NUL between tokens");
    is_int(write_value(KLAVIYO_VALUE_JSON, "[true\0]", 7), KLAVIYO_VALUE_BAD,
           "NUL behind a word");
    is_int(write_value(KLAVIYO_VALUE_JSON, "[1]\0", 4), KLAVIYO_VALUE_BAD,
           "NUL at the end");
    is_int(write_value(KLAVIYO_VALUE_JSON, "\"a\0b\"", 5), KLAVIYO_VALUE_OK,
           "NUL in a string");
    is_mem(buf + 1, json.pos - buf - 1, "\"a\xef\xbf\xbd" "b\"", 7,
           "is no character");
}


static size_t
append(size_t len, const char *p)
{
    memcpy(text + len, p, strlen(p));

    return len + strlen(p);
}


/* an array of n items in `text` */

static size_t
make_array(const char *head, size_t n, const char *item, const char *tail)
{
    size_t  len;

    len = append(0, head);

    while (n--) {
        len = append(len, item);
        len = append(len, n ? "," : "");
    }

    return append(len, tail);
}


/* a string of n units in an object, with a member behind it */

static size_t
make_string(size_t n, const char *unit, const char *last)
{
    size_t  len;

    len = append(0, "{\"n\":1.50, \"s\":\"");

    while (n--) {
        len = append(len, unit);
    }

    len = append(len, last);

    return append(len, "\" , \"z\":[2]}");
}


static void
check_json_cut(size_t n, const char *unit, const char *last, size_t kept,
    int cut)
{
    size_t              len;
    json_t             *root, *s, *z;
    klaviyo_value_rc_e  rc;

    len = make_string(n, unit, last);
    rc = write_value(KLAVIYO_VALUE_JSON, text, len);

    root = json_loadb((char *) buf + 1, json.pos - buf - 1, 0, NULL);
    s = json_object_get(root, "s");
    z = json_object_get(root, "z");

    ok(rc == KLAVIYO_VALUE_OK && json.cut == (unsigned) cut
       && memcmp(buf + 1, "{\"n\":1.50,", 10) == 0 && json_is_array(z)
       && json_string_length(s) == kept,
       "json: %zu of %s, kept %zu bytes", n, label(unit), kept);

    json_decref(root);
}


static void
test_json_limits(void)
{
    size_t              len;
    klaviyo_value_rc_e  rc;

    len = make_array("[", KLAVIYO_LIST_MAX, "1", "]");
    rc = write_value(KLAVIYO_VALUE_JSON, text, len);
    is_int(rc, KLAVIYO_VALUE_OK, "json: the longest array");

    len = make_array("[", KLAVIYO_LIST_MAX + 1, "1", "]");
    rc = write_value(KLAVIYO_VALUE_JSON, text, len);
    ok(rc == KLAVIYO_VALUE_OK && list_cut
       && (size_t) (json.pos - buf) == 2 + 2 * KLAVIYO_LIST_MAX,
       "json: a longer array is cut");

    len = make_array("{\"a\":[", KLAVIYO_LIST_MAX + 1, "[]", "]}");
    rc = write_value(KLAVIYO_VALUE_JSON, text, len);
    ok(rc == KLAVIYO_VALUE_OK && list_cut
       && (size_t) (json.pos - buf) == 8 + 3 * KLAVIYO_LIST_MAX,
       "json: a longer array within is cut");

    len = make_array("[", KLAVIYO_LIST_MAX, "{\"a\":1,\"b\":[1,2]}", "]");
    rc = write_value(KLAVIYO_VALUE_JSON, text, len);
    is_int(rc, KLAVIYO_VALUE_OK, "json: commas of other levels");

    memset(text, '[', 1000000);
    rc = write_value(KLAVIYO_VALUE_JSON, text, 1000000);
    is_int(rc, KLAVIYO_VALUE_BAD, "json: a million levels");

    len = make_array("[", 1000, "\"0123456789\"", "]");
    memset(text + len, ' ', KLAVIYO_JSON_TEXT_MAX);
    rc = write_value(KLAVIYO_VALUE_JSON, text, KLAVIYO_JSON_TEXT_MAX + 1);
    is_int(rc, KLAVIYO_VALUE_OK, "json: blanks at the end do not count");

    len = make_array("[", 12, "\"", "\"]");
    memset(text + 2, 'a', KLAVIYO_JSON_TEXT_MAX);
    text[KLAVIYO_JSON_TEXT_MAX - 2] = '"';
    text[KLAVIYO_JSON_TEXT_MAX - 1] = ']';
    text[KLAVIYO_JSON_TEXT_MAX] = ' ';
    rc = write_value(KLAVIYO_VALUE_JSON, text, KLAVIYO_JSON_TEXT_MAX);
    ok(rc == KLAVIYO_VALUE_OK && json.cut, "json: the longest text");

    text[KLAVIYO_JSON_TEXT_MAX - 2] = 'a';
    text[KLAVIYO_JSON_TEXT_MAX - 1] = '"';
    text[KLAVIYO_JSON_TEXT_MAX] = ']';
    rc = write_value(KLAVIYO_VALUE_JSON, text, KLAVIYO_JSON_TEXT_MAX + 1);
    is_int(rc, KLAVIYO_VALUE_BAD, "json: a longer text");

    text[0] = '{';
    memset(text + 2, 'k', KLAVIYO_STRING_MAX + 1);
    text[1] = '"';
    memcpy(text + 2 + KLAVIYO_STRING_MAX, "\" :1}", 5);
    rc = write_value(KLAVIYO_VALUE_JSON, text, KLAVIYO_STRING_MAX + 7);
    is_int(rc, KLAVIYO_VALUE_OK, "json: the longest key");

    memcpy(text + 2 + KLAVIYO_STRING_MAX, "k\" :1}", 6);
    rc = write_value(KLAVIYO_VALUE_JSON, text, KLAVIYO_STRING_MAX + 8);
    is_int(rc, KLAVIYO_VALUE_BAD, "json: a longer key");

    check_json_cut(100000, "x", "", 100000, 0);
    check_json_cut(100000, "x", "y", 100000, 1);
    check_json_cut(100000, "\\n", "", 100000, 0);
    check_json_cut(100000, "\\n", "\\\"", 100000, 1);
    check_json_cut(99999, "x", "\\u00e9", 99999, 1);
    check_json_cut(99998, "x", "\\u00e9", 100000, 0);
    check_json_cut(99998, "x", "\\u00e9z", 100000, 1);
    check_json_cut(99998, "x", "\xe2\x82\xac", 99998, 1);
    check_json_cut(99998, "x", "\\u20AC", 99998, 1);
    check_json_cut(33333, "\\u20ac", "\\u007fa", 100000, 1);
    check_json_cut(25000, "\\ud83d\\ude00", "", 100000, 0);
    check_json_cut(25000, "\\uD83D\\uDE00", "z", 100000, 1);
    check_json_cut(99997, "x", "\\ud83d\\ude00z", 99997, 1);
    check_json_cut(99999, "x", "\\\\", 100000, 0);
    check_json_cut(99999, "x", "\\\\z", 100000, 1);
}


/* every type into every size of buffer: all, or nothing and an overflow */

static void
test_bounds(void)
{
    int                 type, wrong;
    size_t              size, whole;
    uint8_t             small[256];
    klaviyo_value_rc_e  rc;

    static const char  *in[] = {
        "a string\n", "19.90", "off", "one, two,\"", "[ 1, {\"a\":\"b\"} ]"
    };

    for (type = KLAVIYO_VALUE_STRING; type <= KLAVIYO_VALUE_JSON; type++) {

        write_value(type, in[type], strlen(in[type]));
        whole = json.pos - buf - 1;
        wrong = 0;

        for (size = 0; size <= whole + 4; size++) {
            memset(small, GUARD, sizeof(small));
            klaviyo_json_init(&json, small, size);

            rc = klaviyo_value_write(&json, type, (const uint8_t *) in[type],
                                     strlen(in[type]), &list_cut);

            wrong += (rc != KLAVIYO_VALUE_OK);
            wrong += (json.overflow != (size < whole));
            wrong += ((size_t) (json.pos - small)
                      != (size < whole ? 0 : whole));

            for (json.pos = json.end; json.pos < small + 256; json.pos++) {
                wrong += (*json.pos != GUARD);
            }
        }

        is_int(wrong, 0, "bounds of type %d, 0 to %zu", type, whole + 4);
    }
}


/* what is OK parses, and the same way as before if that did */

static void
test_random_json(void)
{
    int                 i, good, wrong;
    size_t              len, n;
    json_t             *before, *after;
    uint32_t            seed;
    klaviyo_value_rc_e  rc;

    static const char  *tokens[] = {
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\\\"\"", "\"\\u00e9\"",
        "1", "-0.50", "2e3", "true", "null", " ", "\n", "\"", "\\", "\xff",
        "[]", "{\"k\":1}", "[1,\"x y\"]", ",1", ",\"c\":[2 , 3]"
    };

    good = 0;
    wrong = 0;
    seed = 19700101;

    for (i = 0; i < 60000; i++) {
        len = 0;

        for (n = 1 + i % 6; n; n--) {
            seed = seed * 1664525 + 1013904223;
            len = append(len, tokens[(seed >> 16) % 24]);
        }

        rc = write_value(KLAVIYO_VALUE_JSON, text, len);
        before = json_loadb(text, len, JSON_DECODE_ANY|JSON_REJECT_DUPLICATES,
                            NULL);

        if (rc == KLAVIYO_VALUE_OK) {
            good++;
            after = json_loadb((char *) buf + 1, json.pos - buf - 1,
                               JSON_DECODE_ANY|JSON_REJECT_DUPLICATES, NULL);
            wrong += (after == NULL || (before && !json_equal(before, after)));
            json_decref(after);

        } else {
            wrong += (rc == KLAVIYO_VALUE_BAD && before != NULL);
            wrong += (json.pos != buf + 1);
        }

        json_decref(before);
    }

    is_int(wrong, 0, "random json");
    ok(good > 1000, "random json: enough of it was good (%d)", good);
}


/* no value becomes longer than is said before */

static void
test_size(void)
{
    unsigned  i;

    static const struct {
        klaviyo_value_type_e  type;
        size_t                len;
        size_t                size;
    } test[] = {
        { KLAVIYO_VALUE_STRING, 0, 2 },
        { KLAVIYO_VALUE_STRING, 10, 62 },
        { KLAVIYO_VALUE_STRING, KLAVIYO_STRING_MAX,
          6 * KLAVIYO_STRING_MAX + 2 },
        { KLAVIYO_VALUE_STRING, KLAVIYO_STRING_MAX + 1,
          6 * KLAVIYO_STRING_MAX + 2 },
        { KLAVIYO_VALUE_LIST, 10, 88 },
        { KLAVIYO_VALUE_JSON, 10, 38 },
        { KLAVIYO_VALUE_NUMBER, 10, 16 },
        { KLAVIYO_VALUE_BOOL, 1, 7 }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        is_int(klaviyo_value_size(test[i].type, test[i].len), test[i].size,
               "%zu bytes of type %d", test[i].len, (int) test[i].type);
    }
}


static void
test_no(void)
{
    unsigned  i;

    static const struct {
        const char  *text;
        int          no;
    } test[] = {
        { "", 1 }, { " \t ", 1 }, { "0", 1 }, { "false", 1 }, { " no ", 1 },
        { "off", 1 }, { "1", 0 }, { "true", 0 }, { "x", 0 }, { "00", 0 }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        is_int(klaviyo_value_is_no((const uint8_t *) test[i].text,
                                   strlen(test[i].text)),
               test[i].no, "\"%s\"", test[i].text);
    }
}


int
main(void)
{
    test_size();
    test_no();
    test_empty();
    test_strings();
    test_numbers();
    test_bools();
    test_lists();
    test_json();
    test_json_limits();
    test_bounds();
    test_random_json();

    return done_testing();
}
