/*
 * json/klaviyo_scan.c and json/klaviyo_pointer.c: what is JSON within the
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


/* among other pointers it finds the same */

static void
check_tree(const klaviyo_slice_t *text, const klaviyo_slice_t *path,
    const char *pointer)
{
    int                     there;
    size_t                  i, len;
    uint32_t                n, node;
    klaviyo_slice_t         value, found[32], *at;
    klaviyo_pointer_node_t  nodes[32];

    static const char  *others[] = { "/a/b/1/c", "/0", "/foo/1", "/~01/x", "" };

    n = 0;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        len = strlen(others[i]);
        (void) klaviyo_pointer_add(nodes, &n, (const uint8_t *) others[i],
                                   &len);
    }

    if (n + klaviyo_pointer_tokens(path->data, path->len) > 32) {
        return;
    }

    len = path->len;
    node = klaviyo_pointer_add(nodes, &n, path->data, &len);

    klaviyo_pointer_read(nodes, 0, text, found);

    at = &found[node];
    there = klaviyo_pointer_find(text, path->data, len, &value);

    if (!there) {
        value.len = 0;
    }

    ok(at->len == value.len && (at->len == 0 || at->data == value.data),
       "%s among others", pointer);
}


/* what a variable of klaviyo_json would hold */

static void
check(const char *json, const char *pointer, const char *expected)
{
    size_t               len;
    uint8_t             *buf;
    klaviyo_slice_t      all, text, value, path;
    klaviyo_scan_seen_t  seen;

    all = exact(json, strlen(json));
    path = exact(pointer, strlen(pointer));
    text = all;

    if (!klaviyo_scan_check(&text, &seen)) {
        is_str(NO_JSON, expected, "%s of %s", pointer, label(json));

    } else if (!klaviyo_pointer_find(&text, path.data, path.len, &value)) {
        is_str(MISSING, expected, "%s of %s", pointer, label(json));

    } else if (klaviyo_scan_type(value.data) == KLAVIYO_SCAN_STRING) {
        buf = malloc(value.len);
        len = klaviyo_scan_string(&value, buf);
        is_mem(buf, len, expected, strlen(expected), "%s of %s", pointer,
               label(json));
        free(buf);

    } else {
        is_mem(value.data, value.len, expected, strlen(expected), "%s of %s",
               pointer, label(json));
    }

    if (strcmp(expected, NO_JSON) != 0) {
        check_tree(&text, &path, pointer);
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

    /* the last one of a name holds */

    check("{\"a\":1,\"b\":0,\"a\":2}", "/a", "2");
    check("{\"a\":1,\"\\u0061\":2}", "/a", "2");
    check("{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "/a/b", MISSING);
    check("{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "/a/c", "2");

    /* numbers of any size, a byte order mark */

    check("{\"a\":12345678901234567890}", "/a", "12345678901234567890");
    check("{\"a\":-1e999}", "/a", "-1e999");
    check("\xef\xbb\xbf {\"a\":1}", "/a", "1");
}


static void
test_strings(void)
{
    check("{\"a\":\"q\\\"b\\\\s\\/\\b\\f\\n\\r\\t.\"}", "/a",
          "q\"b\\s/\b\f\n\r\t.");
    check("{\"a\":\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"}", "/a",
          "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    check("{\"a\":\"\xf0\x9f\x98\x80\\n\"}", "/a", "\xf0\x9f\x98\x80\n");

    /* no characters */

    check("{\"a\":\"x\\ud83d\"}", "/a", "x\xef\xbf\xbd");
    check("{\"a\":\"\\ud83dx\\u0041\"}", "/a", "\xef\xbf\xbdxA");
    check("{\"a\":\"\\ud83d\\u0041\"}", "/a", "\xef\xbf\xbd" "A");
    check("{\"a\":\"\\ud83dxude00\"}", "/a", "\xef\xbf\xbdxude00");
    check("{\"a\":\"\\ud83dxxde00\"}", "/a", "\xef\xbf\xbdxxde00");
    check("{\"a\":\"\\ud83d\\nde00\"}", "/a", "\xef\xbf\xbd\nde00");
    check("{\"a\":\"\\ude00\\ud83d\"}", "/a",
          "\xef\xbf\xbd\xef\xbf\xbd");
    check("{\"a\":\"\\ud83d\\ud83d\\ude00\"}", "/a",
          "\xef\xbf\xbd\xf0\x9f\x98\x80");
    check("{\"a\":\"\\u0000\"}", "/a", "\xef\xbf\xbd");
    check("{\"\\u0000\":1}", "/\xef\xbf\xbd", "1");
    check("{\"a\":\"\xff\"}", "/a", "\xff");
    check("{\"a\":\"\xc3\\n\"}", "/a", "\xc3\n");
    check("{\"a\":\"\n\"}", "/a", "\n");

    /* no escapes */

    check("{\"a\":\"\\x\"}", "/a", NO_JSON);
    check("{\"a\":\"\\u12g4\"}", "/a", NO_JSON);
    check("{\"a\":\"\\u12\"}", "/a", NO_JSON);
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
    size_t               i;
    klaviyo_slice_t      text;
    klaviyo_scan_seen_t  seen;

    static const char  *bad[] = {
        "", " ", "{", "}", "[", "]", "{\"a\":1", "{\"a\":1}}", "{\"a\":1]",
        "{\"a\"}", "{\"a\":}", "{a:1}", "{'a':1}", "{\"a\":1,}", "[1,]",
        "[1 2]", "{\"a\":1}{\"b\":2}", "{,}", "[,1]", "{\"a\":1,,\"b\":2}",
        "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1:2}",
        "\"", "\"\\", "\"\\\"", "01", "1.", ".5", "-", "+1", "1e", "1e+",
        "--1", "0x1", "NaN", "nul", "truefalse", "true1", "// c\n1",
        "\xef\xbb\xbf", "\xef\xbb{}", "{\"a\":[}]", "[[]", "[]]"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(bad[i], "/a", NO_JSON);
    }

    text = exact("1\0", 2);
    ok(!klaviyo_scan_check(&text, &seen), "a NUL behind a number");
    free((void *) text.data);
}


static void
test_limits(void)
{
    char                 *p;
    size_t                i, n;
    klaviyo_slice_t       text, value;
    klaviyo_scan_seen_t   seen;

    static char  pointer[2 * KLAVIYO_SCAN_DEPTH_MAX + 2];

    n = KLAVIYO_SCAN_TEXT_MAX + 2;
    p = malloc(n);

    for (i = 0; i < KLAVIYO_SCAN_DEPTH_MAX + 1; i++) {
        p[i] = '[';
        p[2 * KLAVIYO_SCAN_DEPTH_MAX + 1 - i] = ']';
    }

    text.data = (uint8_t *) p;
    text.len = 2 * KLAVIYO_SCAN_DEPTH_MAX + 2;
    ok(!klaviyo_scan_check(&text, &seen), "1,025 levels");

    text.data = (uint8_t *) p + 1;
    text.len = 2 * KLAVIYO_SCAN_DEPTH_MAX;
    ok(klaviyo_scan_check(&text, &seen), "1,024 levels");

    for (i = 0; i < sizeof(pointer); i++) {
        pointer[i] = (i % 2) ? '0' : '/';
    }

    is_int(klaviyo_pointer_find(&text, (uint8_t *) pointer,
                                2 * (KLAVIYO_SCAN_DEPTH_MAX - 1), &value), 1,
           "the innermost one");
    is_mem(value.data, value.len, "[]", 2, "is that");
    is_int(klaviyo_pointer_find(&text, (uint8_t *) pointer,
                                2 * KLAVIYO_SCAN_DEPTH_MAX, &value), 0,
           "nothing in there");

    memset(p, '[', n);
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_SCAN_TEXT_MAX;
    ok(!klaviyo_scan_check(&text, &seen), "a megabyte of brackets");

    /* "[" 0,0,0 ... "]" */

    for (i = 0; i < n; i++) {
        p[i] = (i % 2) ? '0' : ',';
    }

    p[0] = '[';
    p[KLAVIYO_SCAN_TEXT_MAX - 2] = ']';
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_SCAN_TEXT_MAX - 1;
    ok(klaviyo_scan_check(&text, &seen), "half a million values");
    is_int(klaviyo_pointer_find(&text, (uint8_t *) "/524286", 7, &value), 1,
           "the last of them");
    is_int(klaviyo_pointer_find(&text, (uint8_t *) "/524287", 7, &value), 0,
           "none behind it");

    memset(p, 'x', n);
    p[0] = '"';
    p[KLAVIYO_SCAN_TEXT_MAX - 1] = '"';
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_SCAN_TEXT_MAX;
    ok(klaviyo_scan_check(&text, &seen), "a string of 1 MB");

    p[KLAVIYO_SCAN_TEXT_MAX - 1] = 'x';
    p[KLAVIYO_SCAN_TEXT_MAX] = '"';
    text.data = (uint8_t *) p;
    text.len = KLAVIYO_SCAN_TEXT_MAX + 1;
    ok(!klaviyo_scan_check(&text, &seen), "one byte more");

    free(p);
}


static void
test_seen(void)
{
    size_t               i;
    klaviyo_slice_t      text;
    klaviyo_scan_seen_t  seen;

    static const struct {
        const char  *json;
        size_t       names;
        unsigned     repair;
    } texts[] = {
        { "{\"a\":1,\"b\":[{\"c\":2},\"d:\"]}", 3, 0 },
        { "[1,\"\xc3\xa9\\u00e9\\ud83d\\ude00\\\\u0000\"]", 0, 0 },
        { "[\"\\ud83d\"]", 0, 1 },
        { "[\"\\ude00\\ud83d\"]", 0, 1 },
        { "[\"\\u0000\"]", 0, 1 },
        { "{\"\\ud83d\":1}", 1, 1 },
        { "[\"\xe9t\xe9\"]", 0, 1 },
        { "[\"\xed\xa0\x80\"]", 0, 1 },
        { "[\"\t\"]", 0, 0 }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        text = exact(texts[i].json, strlen(texts[i].json));

        is_int(klaviyo_scan_check(&text, &seen), 1, "%s",
               label(texts[i].json));
        is_int(seen.names, texts[i].names, "its members");
        is_int(seen.repair, texts[i].repair, "what is to be repaired");

        free((void *) text.data);
    }

    text = exact("[\"a\0b\"]", 7);
    is_int(klaviyo_scan_check(&text, &seen), 1, "a NUL in a string");
    is_int(seen.repair, 1, "is to be repaired");
    free((void *) text.data);
}


/* each name of each object, marked when another one takes its place */

static void
check_names(const char *json, int expected, const char *marks)
{
    int                   unique;
    char                  found[64];
    size_t                n, depth;
    klaviyo_scan_t        scan[16];
    klaviyo_slice_t       text, name, object[16];
    klaviyo_scan_seen_t   seen;

    text = exact(json, strlen(json));

    (void) klaviyo_scan_check(&text, &seen);

    unique = klaviyo_scan_names(&text, seen.names);
    is_int(unique, expected, "names of %s", label(json));

    n = 0;
    depth = 0;
    object[0] = text;
    klaviyo_scan_enter(&scan[0], &text);

    for ( ;; ) {

        if (!klaviyo_scan_next(&scan[depth], &name)) {

            if (depth == 0) {
                break;
            }

            depth--;
            scan[depth].pos = scan[depth + 1].pos;
            scan[depth].at_value = 0;
            continue;
        }

        if (scan[depth].object) {
            found[n++] = klaviyo_scan_is_last(object[depth].data, &name)
                         ? '.' : 'x';
        }

        if (klaviyo_scan_type(scan[depth].pos) <= KLAVIYO_SCAN_ARRAY) {
            depth++;
            object[depth].data = scan[depth - 1].pos;
            object[depth].len = scan[depth - 1].last - scan[depth - 1].pos;
            klaviyo_scan_enter(&scan[depth], &object[depth]);
        }
    }

    is_mem(found, n, marks, strlen(marks), "those that do not hold");

    free((void *) text.data);
}


static void
test_names(void)
{
    char                 *p;
    size_t                i, len;
    klaviyo_slice_t       text;
    klaviyo_scan_seen_t   seen;

    check_names("{}", 1, "");
    check_names("{\"a\":1}", 1, ".");
    check_names("{\"a\":1,\"b\":2}", 1, "..");
    check_names("{\"a\":1,\"a\":2}", 0, "x.");
    check_names("{\"a\":1,\"b\":0,\"a\":2,\"a\":3}", 0, "x.x.");
    check_names("{\"a\":{\"a\":1},\"b\":{\"a\":2}}", 1, "....");
    check_names("[{\"a\":1},{\"a\":2},[{\"a\":\",\"}]]", 1, "...");
    check_names("{\"a\":[\"a\",\"a\"],\"b\":\"a\"}", 1, "..");
    check_names("{\"a\":{\"b\":1,\"b\":2},\"a\":{\"b\":3}}", 0, "xx...");
    check_names("{\"a\":1,\"\\u0061\":2}", 0, "x.");
    check_names("{\"\\u00e9\":1,\"\xc3\xa9\":2}", 0, "x.");
    check_names("{\"\\u00e9\\n\":1,\"\xc3\xa9\\n\":2}", 0, "x.");
    check_names("{\"\x80\":1,\"\xef\xbf\xbd\":2}", 0, "x.");
    check_names("{\"ab\":1,\"a\":2,\"\":3,\"\":4}", 0, "..x.");

    /* 65,536 names, then one more */

    p = malloc(KLAVIYO_SCAN_TEXT_MAX);
    len = 0;

    for (i = 0; i <= KLAVIYO_SCAN_NAMES_MAX; i++) {
        len += sprintf(p + len, "%s\"%zx\":1", i ? "," : "{", i);

        if (i + 1 < KLAVIYO_SCAN_NAMES_MAX) {
            continue;
        }

        p[len] = '}';

        text.data = (uint8_t *) p;
        text.len = len + 1;

        (void) klaviyo_scan_check(&text, &seen);
        is_int(seen.names, i + 1, "%zu names", i + 1);
        is_int(klaviyo_scan_names(&text, seen.names),
               i < KLAVIYO_SCAN_NAMES_MAX ? 1 : -1, "so many");
    }

    free(p);
}


static void
check_all(const char *json, const char *pointer, const char *expected)
{
    uint8_t              *buf;
    klaviyo_json_t        out;
    klaviyo_slice_t       text, path;
    klaviyo_scan_seen_t   seen;

    text = exact(json, strlen(json));
    path = exact(pointer, strlen(pointer));
    buf = malloc(text.len + 2);

    ok(klaviyo_scan_check(&text, &seen), "%s", label(json));

    klaviyo_json_init(&out, buf, text.len + 2);
    klaviyo_pointer_write(&out, &text, path.data, path.len);

    ok(!out.overflow, "fits");
    is_mem(out.start, out.pos - out.start, expected, strlen(expected),
           "%s of %s", pointer, label(json));

    free(buf);
    free((void *) path.data);
    free((void *) text.data);
}


static void
test_all(void)
{
    static const char  order[] =
        "{\"items\":[{\"name\":\"Lamp\",\"tags\":[1,2]},{\"name\":\"Mug\","
        "\"tags\":[]},{\"price\":19.90},{\"name\":null},{\"name\":{\"*\":[ 3 ]}}"
        "],\"*\":4}";

    is_int(klaviyo_pointer_all((uint8_t *) "/a/*/b/*", 8), 2, "two of them");
    is_int(klaviyo_pointer_all((uint8_t *) "/a*/**/ *", 9), 0, "none");
    is_int(klaviyo_pointer_all((uint8_t *) "", 0), 0, "nor here");

    check_all(order, "/items/*/name", "[\"Lamp\",\"Mug\",{\"*\":[ 3 ]}]");
    check_all(order, "/items/*/tags/*", "[1,2]");
    check_all(order, "/items/*/tags", "[[1,2],[]]");
    check_all(order, "/items/*/price", "[19.90]");
    check_all(order, "/items/*/name/*/*", "[3]");
    check_all(order, "/items/*/nothing", "");
    check_all(order, "/nothing/*", "");
    check_all(order, "/*", "[4]");
    check_all(order, "/*/*", "");
    check_all("[1,2]", "/*", "[1,2]");
    check_all("[[1],[2,3]]", "/*/*", "[1,2,3]");
    check_all("[]", "/*", "");
    check_all("3", "/*", "");
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


/* objects of plain strings, the short way */

static void
test_flat(void)
{
    size_t           len;
    unsigned         i, wrong;
    klaviyo_slice_t  text, member[8];

    static const struct {
        const char  *text;
        size_t       members;
    } test[] = {
        { "{\"a\":\"b\"}", 1 },
        { "{\"a\":\"\",\"c\":\"d\"}", 2 },
        { "{\"a\":\"b\",\"c\":\"d\",\"e\":\"f\"}", 3 },
        { "{\"a\":\"b\",\"c\":\"d\",\"e\":\"f\",\"g\":\"h\"}", 0 },
        { "{}", 0 }, { "", 0 }, { "{", 0 }, { "[\"a\":\"b\"]", 0 },
        { "{\"a\":1}", 0 }, { "{1:\"a\"}", 0 }, { "{\"a\":\"b\"} ", 0 },
        { "{\"a\" :\"b\"}", 0 }, { "{\"a\":\"\\n\"}", 0 },
        { "{\"a\",\"b\"}", 0 }, { "{\"a\":\"b\":\"c\"}", 0 },
        { "{\"a\"}", 0 }, { "{\"a\":\"b\",}", 0 }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        text.len = strlen(test[i].text);
        text.data = tap_guarded(test[i].text, text.len);

        is_int(klaviyo_scan_flat(&text, member, 3), test[i].members, "%s",
               test[i].text);
    }

    text.len = strlen(test[1].text);
    text.data = tap_guarded(test[1].text, text.len);
    klaviyo_scan_flat(&text, member, 3);
    is_mem(member[0].data, member[0].len, "\"a\"", 3, "a name");
    is_mem(member[1].data, member[1].len, "\"\"", 2, "its value");
    is_mem(member[3].data, member[3].len, "\"d\"", 3, "the last");

    wrong = 0;

    for (len = 0; len < strlen(test[2].text); len++) {
        text.len = len;
        text.data = tap_guarded(test[2].text, len);
        wrong += klaviyo_scan_flat(&text, member, 3) != 0;
    }

    is_int(wrong, 0, "one that is cut is none");
}


static unsigned
walked(const klaviyo_slice_t *text)
{
    unsigned         n;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, value;

    n = 0;

    if (text->len == 0 || strchr("{[", text->data[0]) == NULL) {
        return 0;
    }

    klaviyo_scan_enter(&scan, text);

    while (klaviyo_scan_next(&scan, &name)) {
        n++;

        if (n % 2) {
            klaviyo_scan_value(&scan, &value);
            n += walked(&value);
        }
    }

    return n;
}


/* nothing was checked: wherever it ends, a walk comes to its end there */

static void
test_cut(void)
{
    size_t           len;
    unsigned         most, n, wrong;
    klaviyo_slice_t  text;

    static const char  whole[] = "{\"a\":1,\"b\":[1,[2],{\"c\" : \"d\"}],"
                                 "\"e\\\"\":\"f\",\"g\": null , \"h\":{}}";

    text.len = sizeof(whole) - 1;
    text.data = tap_guarded(whole, text.len);
    most = walked(&text);
    ok(most >= 5, "%u members", most);

    wrong = 0;

    for (len = 0; len < text.len; len++) {
        klaviyo_slice_t  cut;

        cut.len = len;
        cut.data = tap_guarded(whole, len);
        n = walked(&cut);
        wrong += n > most;
    }

    is_int(wrong, 0, "one that is cut has no more");
}


/* how much of a pointer is before its "*", and what is left of a scan */

static void
test_rest(void)
{
    size_t                  i, len;
    uint32_t                n;
    klaviyo_scan_t          scan;
    klaviyo_slice_t         text, member[6];
    klaviyo_scan_seen_t     seen;
    klaviyo_pointer_node_t  nodes[32];

    static const struct {
        const char  *pointer;
        size_t       len;
    } all[] = {
        { "/a/*", 2 }, { "/*", 0 }, { "/a/b/*/c", 4 }, { "/a/b", 4 }, { "", 0 }
    };

    static const char *const  scalars[] = { "1", "\"{\"", "true", "" };

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        n = 0;
        len = strlen(all[i].pointer);
        (void) klaviyo_pointer_add(nodes, &n, (const uint8_t *) all[i].pointer,
                                   &len);
        is_int(len, all[i].len, "\"%s\" begins with", all[i].pointer);
    }

    for (i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        text.data = (const uint8_t *) scalars[i];
        text.len = strlen(scalars[i]);
        memset(&scan, 0xff, sizeof(scan));
        klaviyo_scan_enter(&scan, &text);
        is_int(scan.object, 0, "%s is no object", scalars[i]);
    }

    /* no more members than there is room for */

    text.data = (const uint8_t *) "{\"a\":\"b\",\"c\":\"d\",\"e\":\"f\"}";
    text.len = strlen((const char *) text.data);
    member[4].len = 77;
    is_int(klaviyo_scan_flat(&text, member, 2), 0, "three are not two");
    is_int(member[4].len, 77, "and no third is told");

    /* nothing is read behind the end */

    text.data = tap_guarded("\"\xc3\xa4", 3);
    text.len = 3;
    is_int(klaviyo_scan_check(&text, &seen), 0, "cut behind a character");
    text.data = tap_guarded("\"\xc3", 2);
    text.len = 2;
    is_int(klaviyo_scan_check(&text, &seen), 0, "cut within one");
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
    test_seen();
    test_names();
    test_all();
    test_pointers();
    test_flat();
    test_cut();

    test_rest();

    return done_testing();
}
