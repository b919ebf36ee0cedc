/*
 * json/klaviyo_walk.c and json/klaviyo_pointer.c: what is JSON within the
 * limits, and what a pointer finds in it.
 */


#include <stdlib.h>

#include "json/klaviyo_pointer.h"
#include "label.h"
#include "tap.h"


#define MISSING  "(missing)"
#define NO_JSON  "(no JSON)"


/* a copy of exactly its length, so that a sanitizer sees each byte too far */

static klaviyo_slice_t
exact(const char *text, size_t len)
{
    uint8_t          *p;
    klaviyo_slice_t   slice;

    p = malloc(len ? len : 1);
    memcpy(p, text, len);

    slice.data = p;
    slice.len = len;

    return slice;
}


/* what a variable of klaviyo_json would hold */

static void
check(const char *json, const char *pointer, const char *expected)
{
    size_t            len;
    uint8_t          *buf;
    klaviyo_slice_t   all, text, value, path;

    all = exact(json, strlen(json));
    path = exact(pointer, strlen(pointer));
    text = all;

    if (!klaviyo_walk_check(&text)) {
        is_str(NO_JSON, expected, "%s of %s", pointer, label(json));

    } else if (!klaviyo_pointer_find(&text, path.data, path.len, &value)) {
        is_str(MISSING, expected, "%s of %s", pointer, label(json));

    } else if (klaviyo_walk_type(value.data) == KLAVIYO_WALK_STRING) {
        buf = malloc(value.len);
        len = klaviyo_walk_string(&value, buf);
        is_mem(buf, len, expected, strlen(expected), "%s of %s", pointer,
               label(json));
        free(buf);

    } else {
        is_mem(value.data, value.len, expected, strlen(expected), "%s of %s",
               pointer, label(json));
    }

    free((void *) all.data);
    free((void *) path.data);
}


/* the examples of RFC 6901 */

static void
test_rfc(void)
{
    size_t  i;

    static const char  json[] =
        "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, "
        "\"e^f\": 3, \"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, "
        "\"m~n\": 8}";

    static const char  *pairs[][2] = {
        { "", json },
        { "/foo", "[\"bar\", \"baz\"]" },
        { "/foo/0", "bar" },
        { "/", "0" },
        { "/a~1b", "1" },
        { "/c%d", "2" },
        { "/e^f", "3" },
        { "/g|h", "4" },
        { "/i\\j", "5" },
        { "/k\"l", "6" },
        { "/ ", "7" },
        { "/m~0n", "8" }
    };

    for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        check(json, pairs[i][0], pairs[i][1]);
    }
}


static void
test_values(void)
{
    check("  {\"a\" : 19.90 }\r\n", "/a", "19.90");
    check("{\"a\":-0.0e+10}", "/a", "-0.0e+10");
    check("{\"a\":true,\"b\":false,\"c\":null}", "/a", "true");
    check("{\"a\":true,\"b\":false,\"c\":null}", "/b", "false");
    check("{\"a\":true,\"b\":false,\"c\":null}", "/c", "null");
    check("{\"a\":{\"b\":[ 1,{\"c\":\"]}\"} ]} , \"d\":1}", "/a",
          "{\"b\":[ 1,{\"c\":\"]}\"} ]}");
    check("{\"a\":{\"b\":[ 1,{\"c\":\"]}\"} ]} , \"d\":1}", "/a/b/1/c", "]}");
    check("{\"a\":{\"b\":[ 1,{\"c\":\"]}\"} ]} , \"d\":1}", "/d", "1");
    check("\"text\"", "", "text");
    check("17", "", "17");
    check("17", "/0", MISSING);
    check("\"17\"", "/0", MISSING);
    check("{}", "/a", MISSING);
    check("[]", "/0", MISSING);
    check("{\"a\":\"\"}", "/a", "");
    check("{\"a\":\"\"}", "/a/", MISSING);
    check("{\"ab\":1,\"a\":2}", "/a", "2");
    check("{\"a\":1,\"ab\":2}", "/ab", "2");
    check("{\"a\":1}", "/A", MISSING);
    check("{\"\\u0061\":1}", "/a", "1");
    check("{\"\\u0061\":1}", "/\\u0061", MISSING);
    check("{\"\xc3\xa4\":1}", "/\xc3\xa4", "1");
    check("{\"\\u00e4\":1}", "/\xc3\xa4", "1");
    check("{\"a\\/b\":1}", "/a~1b", "1");
    check("{\"~1\":1}", "/~01", "1");
}


static void
test_strings(void)
{
    check("{\"a\":\"q\\\"b\\\\s\\/\\b\\f\\n\\r\\t.\"}", "/a",
          "q\"b\\s/\b\f\n\r\t.");
    check("{\"a\":\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"}", "/a",
          "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    check("{\"a\":\"\xf0\x9f\x98\x80\\n\"}", "/a", "\xf0\x9f\x98\x80\n");

    /* what the parser must not let through */

    check("{\"a\":\"\\ud83d\"}", "/a", NO_JSON);
    check("{\"a\":\"\\ude00\\ud83d\"}", "/a", NO_JSON);
    check("{\"a\":\"\\u0000\"}", "/a", NO_JSON);
    check("{\"\\u0000\":1}", "/a", NO_JSON);
    check("{\"a\":\"\xff\"}", "/a", NO_JSON);
    check("{\"a\":\"\xc3\"}", "/a", NO_JSON);
    check("{\"a\":\"\n\"}", "/a", NO_JSON);
}


static void
test_arrays(void)
{
    size_t  i;

    static const char  *none[] = {
        "/00", "/01", "/-", "/-1", "/+1", "/1.0", "/1e0", "/ 1", "/", "/3",
        "/4294967296", "/18446744073709551616", "/0/0", "/a", "/0/"
    };

    check("[10,[20,21],{\"a\":30}]", "/0", "10");
    check("[10,[20,21],{\"a\":30}]", "/1/1", "21");
    check("[10,[20,21],{\"a\":30}]", "/2/a", "30");
    check("{\"01\":1,\"-\":2}", "/01", "1");
    check("{\"01\":1,\"-\":2}", "/-", "2");

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        check("[10,[20,21],{\"a\":30}]", none[i], MISSING);
    }
}


static void
test_no_json(void)
{
    size_t           i;
    klaviyo_slice_t  text;

    static const char  *bad[] = {
        "", " ", "{", "}", "[", "]", "{\"a\":1", "{\"a\":1}}", "{\"a\":1]",
        "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "[1,]",
        "[1 2]", "{\"a\":1}{\"b\":2}", "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}", "\"", "\"\\", "\"\\\"", "01", "1e999",
        "9223372036854775808", "nul", "truefalse", "// c\n1", "\xef\xbb\xbf{}"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(bad[i], "/a", NO_JSON);
    }

    text = exact("1\0", 2);
    ok(!klaviyo_walk_check(&text), "a NUL behind a number");
    free((void *) text.data);
}


static void
test_limits(void)
{
    char             *p, pointer[2 * KLAVIYO_WALK_DEPTH_MAX + 2];
    size_t            i, n;
    klaviyo_slice_t   text, value;

    n = KLAVIYO_WALK_TEXT_MAX + 2;
    p = malloc(n);

    for (i = 0; i < KLAVIYO_WALK_DEPTH_MAX + 1; i++) {
        p[i] = '[';
        p[2 * KLAVIYO_WALK_DEPTH_MAX + 1 - i] = ']';
    }

    text.data = (uint8_t *) p;
    text.len = 2 * KLAVIYO_WALK_DEPTH_MAX + 2;
    ok(!klaviyo_walk_check(&text), "65 levels");

    text.data = (uint8_t *) p + 1;
    text.len = 2 * KLAVIYO_WALK_DEPTH_MAX;
    ok(klaviyo_walk_check(&text), "64 levels");

    for (i = 0; i < sizeof(pointer); i++) {
        pointer[i] = (i % 2) ? '0' : '/';
    }

    is_int(klaviyo_pointer_find(&text, (uint8_t *) pointer,
                                2 * (KLAVIYO_WALK_DEPTH_MAX - 1), &value), 1,
           "the innermost one");
    is_mem(value.data, value.len, "[]", 2, "is that");
    is_int(klaviyo_pointer_find(&text, (uint8_t *) pointer,
                                2 * KLAVIYO_WALK_DEPTH_MAX, &value), 0,
           "nothing in there");

    /* a level of unclosed ones must not reach the parser at all */

    memset(p, '[', n);
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_WALK_TEXT_MAX;
    ok(!klaviyo_walk_check(&text), "a megabyte of brackets");

    /* "[" 0,0,0 ... "]": one comma less than values */

    for (i = 0; i < n; i++) {
        p[i] = (i % 2) ? '0' : ',';
    }

    p[0] = '[';
    i = 2 * (KLAVIYO_WALK_VALUES_MAX - 1);
    p[i] = ']';
    text.data = (uint8_t *) p;
    text.len = i + 1;
    ok(klaviyo_walk_check(&text), "65,536 values");

    p[i] = ',';
    p[i + 2] = ']';
    text.data = (uint8_t *) p;
    text.len = i + 3;
    ok(!klaviyo_walk_check(&text), "65,537 values");

    memset(p, 'x', n);
    p[0] = '"';
    p[KLAVIYO_WALK_TEXT_MAX - 1] = '"';
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_WALK_TEXT_MAX;
    ok(klaviyo_walk_check(&text), "a string of 1 MB");

    p[KLAVIYO_WALK_TEXT_MAX - 1] = 'x';
    p[KLAVIYO_WALK_TEXT_MAX] = '"';
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_WALK_TEXT_MAX + 1;
    ok(!klaviyo_walk_check(&text), "one byte more");

    free(p);
}


static void
test_pointers(void)
{
    size_t           i;
    klaviyo_slice_t  path;

    static const char  *good[] = {
        "", "/", "//", "/a", "/a/b", "/~0", "/~1", "/a~0~1b", "/0", "/-",
        "/\xc3\xa4", "/$value"
    };

    static const char  *bad[] = {
        "a", "#/a", "a/b", "/~", "/a~", "/~2", "/~~0", "/a/~", " /a"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        path = exact(good[i], strlen(good[i]));
        ok(klaviyo_pointer_valid(path.data, path.len), "\"%s\" is a pointer",
           good[i]);
        free((void *) path.data);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        path = exact(bad[i], strlen(bad[i]));
        ok(!klaviyo_pointer_valid(path.data, path.len), "\"%s\" is none",
           bad[i]);
        free((void *) path.data);
    }
}


int
main(void)
{
    test_rfc();
    test_values();
    test_strings();
    test_arrays();
    test_no_json();
    test_limits();
    test_pointers();

    return done_testing();
}
