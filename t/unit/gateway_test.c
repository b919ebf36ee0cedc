/*
 * gateway/klaviyo_path.c: targets below the endpoint; and
 * gateway/klaviyo_headers.c: which headers pass.
 */


#include <stdlib.h>
#include <string.h>

#include "gateway/klaviyo_headers.h"
#include "gateway/klaviyo_path.h"
#include "label.h"
#include "tap.h"


/* "": refused.  The bytes are copied, so that what is read beyond is noticed */

static void
target_pieces(klaviyo_path_piece_t *pieces, size_t n, const char *expected)
{
    size_t    i, len;
    uint8_t  *target, *copy;

    len = 0;

    for (i = 0; i < n; i++) {
        copy = malloc(pieces[i].len ? pieces[i].len : 1);
        memcpy(copy, pieces[i].data, pieces[i].len);

        pieces[i].data = copy;
        len += pieces[i].len;
    }

    target = malloc(klaviyo_path_size(len));

    len = klaviyo_path_target(target, pieces, n);

    if (len == 0) {
        target[0] = '\0';
    }

    ok(len == strlen((char *) target), "its length");
    is_str((char *) target, expected, "\"%s\"", label(expected));

    for (i = 0; i < n; i++) {
        free((void *) pieces[i].data);
    }

    free(target);
}


static void
target_n(const char *path, size_t path_len, const char *args, size_t args_len,
    const char *expected)
{
    klaviyo_path_piece_t  pieces[] = {
        { (const uint8_t *) path, path_len, KLAVIYO_PATH_PATH },
        { (const uint8_t *) args, args_len, KLAVIYO_PATH_ARGS }
    };

    target_pieces(pieces, 2, expected);
}


/* a value behind a text, at the place where it stands there */

static void
target_value(const char *text, const char *value, const char *expected)
{
    size_t                len;
    const char           *args;
    klaviyo_path_piece_t  pieces[3];

    len = strlen(text);
    args = strchr(text, '?');

    pieces[0].data = (const uint8_t *) text;
    pieces[0].len = args ? (size_t) (args - text) : len;
    pieces[0].kind = KLAVIYO_PATH_PATH;

    pieces[1].data = (const uint8_t *) (args ? args + 1 : text);
    pieces[1].len = args ? strlen(args + 1) : 0;
    pieces[1].kind = KLAVIYO_PATH_ARGS;

    pieces[2].data = (const uint8_t *) value;
    pieces[2].len = strlen(value);
    pieces[2].kind = klaviyo_path_behind(KLAVIYO_PATH_SEGMENT,
                                         (const uint8_t *) text, len);

    target_pieces(pieces, 3, expected);
}


static void
target(const char *path, const char *args, const char *expected)
{
    target_n(path, strlen(path), args, strlen(args), expected);
}


static void
test_path(void)
{
    target("/api/lists", "", "/api/lists");
    target("/api/lists/", "", "/api/lists/");
    target("/", "", "/");
    target("/a-._~!$&'()*+,;=:@z", "", "/a-._~!$&'()*+,;=:@z");
    target("/a b\"<>?#[]^`{|}\xc3\xa9", "",
           "/a%20b%22%3C%3E%3F%23%5B%5D%5E%60%7B%7C%7D%C3%A9");
    target("/...", "", "/...");
    target("/.a/..b/c..", "", "/.a/..b/c..");

    target("/x", "a=b", "/x?a=b");
    target("/x", "?", "/x??");
    target("/x", "f=equals(a,\"b\")&[c]=%2F%zz\\",
           "/x?f=equals(a,\"b\")&[c]=%2F%zz\\");
    target("/x", "a b#c\xff", "/x?a%20b%23c%FF");
    target("/x", "/../", "/x?/../");

    target("", "", "");
    target("api", "", "");
    target("//host", "", "");
    target("/a//b", "", "");
    target("/a//", "", "");
    target("/.", "", "");
    target("/..", "", "");
    target("/../x", "", "");
    target("/a/../b", "", "");
    target("/a/./b", "", "");
    target("/a/..;x/b", "", "");
    target("/.;", "", "");
    target("/%2e%2e/x", "", "");
    target("/a%", "", "");
    target("/a\\b", "", "");
    target("/a\rb", "", "");
    target("/a\nb", "", "");
    target("/a\tb", "", "");
    target("/a\x7f", "", "");
    target_n("/a\0b", 4, "", 0, "");
    target("/x", "a\r\nX: y", "");
    target("/x", "a\x7f", "");
    target_n("/x", 2, "a\0b", 3, "");
}


static void
test_values(void)
{
    char  text[] = "a%2Bb+c%zz%4", digits[] = "%09%0f%f0%9%%Aa%41";
    void  *cut;

    target_value("/api/lists/", "01ABC?x", "/api/lists/01ABC%3Fx");
    target_value("/api/lists/", "a/b c", "/api/lists/a%2Fb%20c");
    target_value("/api/lists/", "../x", "");
    target_value("/api/lists/", "x/..", "");
    target_value("/api/lists/", "x/./y", "");
    target_value("/api/lists/", "x//y", "");
    target_value("/api/lists/", "/x", "");
    target_value("/api/lists/", "%2e", "");
    target_value("/api/lists/", "a\\b", "");
    target_value("/api/lists/", "a\nb", "");

    target_value("/a?q=", "ann+shop@example.com&x=1#",
                 "/a?q=ann%2Bshop%40example.com%26x%3D1%23");
    target_value("/a?q=", "a%41\r\n", "/a?q=a%2541%0D%0A");
    target_value("/a?f=equals(email,\"", "x\") or equals(id,\"1\\",
                 "/a?f=equals(email,\"x%5C%22%29%20or%20equals%28id%2C"
                 "%5C%221%5C%5C");
    target_value("/a?f=equals(email,%22", "\"'", "/a?f=equals(email,%22%5C%22"
                 "%27");
    target_value("/a?f=equals(email,'", "\"'", "/a?f=equals(email,'%22%5C%27");
    target_value("/api/lists/", "", "");
    target_value("/api/lists/x", "", "/api/lists/x");
    target_value("/api/lists?a=", "", "/api/lists?a=");

    target_value("/a?f=e(a,\"b\"),e(c,", "\"", "");
    target_value("/a?f=gt(t,", "2026-12-01T00:00:00+01:00",
                 "/a?f=gt(t,2026-12-01T00%3A00%3A00%2B01%3A00");
    target_value("/a?f=gt%28t,", "1),equals(a,2", "");
    target_value("/a?f=gt(t,1)&g=", "1),(", "/a?f=gt(t,1)&g=1%29%2C%28");
    target_value("/a?f=any(a,", "b c", "");
    target_value("/a?f=any(a,", "b\n", "");
    target_value("/a?f=any(a,", "[1]", "");
    target_value("/a?f=e(a,\"b\\\"c", "\"", "/a?f=e(a,\"b\\\"c%5C%22");
    target_value("/a?f=\"&g=", "\"", "/a?f=\"&g=%22");
    target_value("/a?f=e(t,\"b\"&g=", "1),(", "/a?f=e(t,\"b\"&g=1%29%2C%28");
    target_value("/a?f=e(t,\"\\\"\",", "1)", "");

    text[klaviyo_path_decode((uint8_t *) text, strlen(text))] = '\0';
    is_str(text, "a+b+c%zz%4", "decoded");

    digits[klaviyo_path_decode((uint8_t *) digits, strlen(digits))] = '\0';
    is_str(digits, "\t\x0f\xf0%9%\xaa" "A", "each digit");

    cut = (void *) tap_guarded("a%4", 3);
    is_int(klaviyo_path_decode(cut, 3), 3, "cut");
    is_mem(cut, 3, "a%4", 3, "as it was");
}


static klaviyo_header_e
answer(const char *name, const char *value)
{
    return klaviyo_headers_answer((const uint8_t *) name, strlen(name),
                                  tap_guarded(value, strlen(value)),
                                  strlen(value));
}


static klaviyo_header_e
request(const char *name)
{
    return klaviyo_headers_request((const uint8_t *) name, strlen(name));
}


static int
listed(const char *list, const char *name)
{
    return klaviyo_headers_listed((const uint8_t *) list, strlen(list),
                                  (const uint8_t *) name, strlen(name));
}


static void
test_headers(void)
{
    size_t       i;
    static char  value[KLAVIYO_HEADERS_VALUE_MAX + 2];

    static const char *const  stops[] = {
        "Authorization", "Cookie", "Host", "Connection", "Accept-Encoding",
        "TE", "X-Forwarded-For", "X-Klaviyo-", "X-Klaviyo", "", "Accept ",
        "revisions", "X-Klaviyo-A_B", "X-Klaviyo-_A", "X-Klaviyo-A:B"
    };

    for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        ok(request(stops[i]) == KLAVIYO_HEADER_STOPS,
           "\"%s\" of a request stops", stops[i]);
    }

    ok(request("aCCept") == KLAVIYO_HEADER_ACCEPT, "Accept");
    ok(request("REVISION") == KLAVIYO_HEADER_REVISION, "revision");
    ok(request("Content-type") == KLAVIYO_HEADER_CONTENT_TYPE,
       "Content-Type");
    ok(request("X-Klaviyo-Revision-Fall-Forward-Opt-Out")
       == KLAVIYO_HEADER_PASSES, "X-Klaviyo-*");

    ok(answer("RateLimit-Reset", "12") == KLAVIYO_HEADER_PASSES,
       "RateLimit-*");
    ok(answer("retry-after", "1") == KLAVIYO_HEADER_RETRY_AFTER,
       "Retry-After");
    ok(answer("Cache-Control", "private") == KLAVIYO_HEADER_CACHE_CONTROL,
       "Cache-Control");
    ok(answer("Vary", "Accept") == KLAVIYO_HEADER_PASSES, "Vary");
    ok(answer("Expires", "0") == KLAVIYO_HEADER_EXPIRES, "Expires");
    ok(answer("ETag", "\"x\"") == KLAVIYO_HEADER_ETAG, "ETag");
    ok(answer("Set-Cookie", "a=b") == KLAVIYO_HEADER_STOPS, "Set-Cookie");
    ok(answer("X-Accel-Redirect", "/x") == KLAVIYO_HEADER_STOPS,
       "X-Accel-Redirect");
    ok(answer("Transfer-Encoding", "chunked") == KLAVIYO_HEADER_STOPS,
       "Transfer-Encoding");
    ok(answer("CF-Mitigated", "Challenge") == KLAVIYO_HEADER_CHALLENGE,
       "a challenge");
    ok(answer("cf-mitigated", "other") == KLAVIYO_HEADER_STOPS, "none");
    ok(answer("cf-mitigated", "nine char") == KLAVIYO_HEADER_STOPS, "nor that");
    ok(answer("cf-mitigated", "challenges") == KLAVIYO_HEADER_STOPS,
       "nor more of them");
    ok(answer("Content-Type", "") == KLAVIYO_HEADER_STOPS, "no value");
    ok(answer("Content-Type", "a\rb") == KLAVIYO_HEADER_STOPS, "CR");
    ok(answer("Content-Type", "\rab") == KLAVIYO_HEADER_STOPS, "CR first");
    ok(answer("Content-Type", "ab\r") == KLAVIYO_HEADER_STOPS, "CR last");
    ok(answer("Content-Type", "a\xe9") == KLAVIYO_HEADER_STOPS,
       "not ASCII");

    memset(value, 'a', sizeof(value) - 1);
    ok(answer("Allow", value) == KLAVIYO_HEADER_STOPS, "too long");
    value[KLAVIYO_HEADERS_VALUE_MAX] = '\0';
    ok(answer("Allow", value) == KLAVIYO_HEADER_PASSES, "long");

    ok(listed("close", "close"), "listed alone");
    ok(listed("keep-alive, X-A ,\tx-b", "x-a"), "in the midst");
    ok(listed("keep-alive, X-A ,\tx-b", "X-B"), "at the end");
    ok(!listed("keep-alive, x-ab", "x-a"), "a longer one");
    ok(!listed("x-", "x-a"), "a shorter one");
    ok(!listed("", "x-a"), "nothing");
    ok(!listed(" , ,", "x-a"), "blanks");
}


int
main(void)
{
    test_path();
    test_values();
    test_headers();

    return done_testing();
}
