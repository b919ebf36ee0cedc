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
target_n(const char *path, size_t path_len, const char *args, size_t args_len,
    const char *expected)
{
    char     *copy_path, *copy_args;
    size_t    len;
    uint8_t  *target;

    copy_path = malloc(path_len ? path_len : 1);
    copy_args = malloc(args_len ? args_len : 1);
    target = malloc(klaviyo_path_size(path_len, args_len));

    memcpy(copy_path, path, path_len);
    memcpy(copy_args, args, args_len);

    len = klaviyo_path_target(target, (uint8_t *) copy_path, path_len,
                              (uint8_t *) copy_args, args_len);

    if (len == 0) {
        target[0] = '\0';
    }

    ok(len == strlen((char *) target), "its length");
    is_str((char *) target, expected, "path \"%s\"", label(path));

    free(target);
    free(copy_args);
    free(copy_path);
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


static klaviyo_header_e
answer(const char *name, const char *value)
{
    return klaviyo_headers_answer((const uint8_t *) name, strlen(name),
                                  (const uint8_t *) value, strlen(value));
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
        "revisions", "X-Klaviyo-A_B", "X-Klaviyo-A:B"
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
    ok(answer("Set-Cookie", "a=b") == KLAVIYO_HEADER_STOPS, "Set-Cookie");
    ok(answer("X-Accel-Redirect", "/x") == KLAVIYO_HEADER_STOPS,
       "X-Accel-Redirect");
    ok(answer("Transfer-Encoding", "chunked") == KLAVIYO_HEADER_STOPS,
       "Transfer-Encoding");
    ok(answer("CF-Mitigated", "Challenge") == KLAVIYO_HEADER_CHALLENGE,
       "a challenge");
    ok(answer("cf-mitigated", "other") == KLAVIYO_HEADER_STOPS, "none");
    ok(answer("Content-Type", "") == KLAVIYO_HEADER_STOPS, "no value");
    ok(answer("Content-Type", "a\rb") == KLAVIYO_HEADER_STOPS, "CR");
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
    test_headers();

    return done_testing();
}
