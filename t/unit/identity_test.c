/*
 * capture/klaviyo_identity.c and what it reads with: the cookie __kla_id, the
 * arguments _kx, _ke and utm_email, and base64.
 */


#include "capture/klaviyo_decode.h"
#include "capture/klaviyo_identity.h"
#include "label.h"
#include "tap.h"

#include <stdlib.h>
#include <time.h>


#define CID  "ZjBkMzdmMzUtOTgzZC00NjU0LWJlYTUtMTQwOTU2MDFiMGUz"


typedef klaviyo_identity_rc_e (*read_pt)(klaviyo_identity_t *identity,
    const uint8_t *p, size_t len, uint8_t *buf);


static klaviyo_identity_t   found;
static uint8_t             *memory;


/* base64 with its padding */

static const char *
encode(const char *text)
{
    size_t        i, j, len;
    uint32_t      word;
    static char   buf[8192];
    static const char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    len = strlen(text);

    for (i = 0, j = 0; i < len; i += 3) {
        word = (uint32_t) (uint8_t) text[i] << 16;
        word |= i + 1 < len ? (uint32_t) (uint8_t) text[i + 1] << 8 : 0;
        word |= i + 2 < len ? (uint32_t) (uint8_t) text[i + 2] : 0;

        buf[j++] = alphabet[word >> 18];
        buf[j++] = alphabet[word >> 12 & 63];
        buf[j++] = i + 1 < len ? alphabet[word >> 6 & 63] : '=';
        buf[j++] = i + 2 < len ? alphabet[word & 63] : '=';
    }

    buf[j] = '\0';

    return buf;
}


/* memory of exactly the length that is asked for, to be seen by sanitizers */

static klaviyo_identity_rc_e
run(read_pt reader, const char *text, size_t len)
{
    uint8_t                *copy;
    klaviyo_identity_rc_e   rc;

    free(memory);

    memory = malloc(len ? len : 1);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);

    rc = reader(&found, copy, len, memory);

    free(copy);

    return rc;
}


static klaviyo_identity_rc_e
cookie(const char *json)
{
    const char  *text;

    text = encode(json);

    return run(klaviyo_identity_cookie, text, strlen(text));
}


static const char *
string(const klaviyo_identity_text_t *text)
{
    static char  buf[KLAVIYO_IDENTITY_TEXT_MAX + 1];

    memcpy(buf, text->len ? (const char *) text->data : "", text->len);
    buf[text->len] = '\0';

    return buf;
}


static const klaviyo_identity_text_t *
cid(void)
{
    static klaviyo_identity_text_t  text;

    klaviyo_identity_cid(&found, &text);

    return &text;
}


#define is_field(field, expected, ...)                                       \
    is_str(string(&found.value[KLAVIYO_IDENTITY_##field]), expected,         \
           __VA_ARGS__)


static int
nothing(void)
{
    return !klaviyo_identity_any(&found) && cid()->len == 0
           && found.bad == 0;
}


static void
test_cookie(void)
{
    is_int(cookie("{\"cid\":\"" CID "\",\"$exchange_id\":\"a-B_9=.ABC123\"}"),
           KLAVIYO_IDENTITY_OK, "today's cookie");
    is_field(KX, "a-B_9=.ABC123", "its exchange id");
    is_str(string(cid()), CID, "its visitor");
    is_str(string(&found.company), "ABC123", "its company");
    ok(klaviyo_identity_any(&found), "an identity");

    is_int(cookie("{\"cid\":\"" CID "\"}"), KLAVIYO_IDENTITY_OK, "a cid");
    ok(!klaviyo_identity_any(&found), "is no identity");

    is_int(cookie(" {\n\t\"$referrer\" : {\"ts\":1,\"value\":\"x\\\"}\","
                  "\"a\":[1,-2.5e+3,true,null,{},[]]}, \"$last_referrer\":[],"
                  "\"$email\":\"Jane.Doe@Shop.com\",\"$id\":\"c-7\","
                  "\"$kid\":\"01H\",\"$phone_number\":\"+15005550006\","
                  "\"$anonymous\":\"anon\",\"x\":false} "),
           KLAVIYO_IDENTITY_OK, "a cookie of old");
    is_field(EMAIL, "Jane.Doe@Shop.com", "$email");
    is_field(EXTERNAL_ID, "c-7", "$id");
    is_field(ID, "01H", "$kid");
    is_field(PHONE, "+15005550006", "$phone_number");
    is_field(ANONYMOUS_ID, "anon", "$anonymous");
    is_field(KX, "", "no $exchange_id");
    is_int(found.bad, 0, "nothing bad");

    is_int(cookie("\"{\\\"$email\\\":\\\"jane@shop.com\\\"}\""),
           KLAVIYO_IDENTITY_OK, "JSON in a string");
    is_field(EMAIL, "jane@shop.com", "is read");

    is_int(cookie("{\"$id\":\"\\\"c-7\\\"\",\"$email\":\"\\\"a@b.co\\\"\"}"),
           KLAVIYO_IDENTITY_OK, "strings in strings");
    is_field(EXTERNAL_ID, "c-7", "are read");
    is_field(EMAIL, "a@b.co", "each");

    is_int(cookie("{\"$id\":12345,\"$kid\":true,\"$email\":null}"),
           KLAVIYO_IDENTITY_OK, "other types");
    is_field(EXTERNAL_ID, "12345", "a number is its text");
    is_field(ID, "", "a literal is nothing");
    is_int(found.bad, 0, "and not bad");

    is_int(cookie("{\"$id\":\"\\u00e9\\ud83d\\ude00\\/\xc3\xa9\"}"),
           KLAVIYO_IDENTITY_OK, "escapes");
    is_field(EXTERNAL_ID, "\xc3\xa9\xf0\x9f\x98\x80/\xc3\xa9", "are UTF-8");

    cookie("{\"$id\":\"  c-7\\t\"}");
    is_field(EXTERNAL_ID, "c-7", "blanks at the ends");

    is_int(cookie("{\"email\":\"ann.wool@shop.com\",\"first_name\":\"Ann\","
                  "\"last_name\":\"Wool\",\"phone_number\":\"+15005550006\"}"),
           KLAVIYO_IDENTITY_OK, "a cookie of WooCommerce's plugin");
    is_field(EMAIL, "ann.wool@shop.com", "its email");
    is_field(PHONE, "+15005550006", "its phone number");
    is_field(FIRST_NAME, "Ann", "its first name");
    is_field(LAST_NAME, "Wool", "its last name");
    is_int(found.bad, 0, "nothing bad");

    is_int(cookie("{\"first_name\":\"Ann\"}"), KLAVIYO_IDENTITY_OK, "a name");
    ok(!klaviyo_identity_any(&found), "is no identity");

    is_int(cookie("{\"$referrer\":{\"ts\":1}}"), KLAVIYO_IDENTITY_OK,
           "a referrer alone");
    ok(nothing(), "is nothing, but not malformed");

    is_int(cookie("{\"$email\":\"a@b.co\",\"x\":\"\\ud83d\xe9\n\\u0000\","
                  "\"\xc3\":[1e999,12345678901234567890]}"),
           KLAVIYO_IDENTITY_OK, "what nobody asks for");
    is_field(EMAIL, "a@b.co", "costs nothing");

    is_int(cookie("\xef\xbb\xbf{\"$email\":\"a@b.co\"}"),
           KLAVIYO_IDENTITY_OK, "a byte order mark");
    is_field(EMAIL, "a@b.co", "is passed over");
}


static void
test_absent(void)
{
    size_t  i;

    static const char  *plain[] = { "", "null", "undefined", "%6eull" };

    static const char  *json[] = {
        "null", "undefined", "{}", "{\"$email\":\"\"}",
        "{\"$email\":\"null\",\"$id\":\"undefined\",\"$kid\":\"  \","
        "\"$exchange_id\":\"\\\"null\\\"\",\"cid\":\"undefined\"}"
    };

    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        is_int(run(klaviyo_identity_cookie, plain[i], strlen(plain[i])),
               KLAVIYO_IDENTITY_OK, "absent: %s", label(plain[i]));
        ok(nothing(), "nothing");
    }

    for (i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
        is_int(cookie(json[i]), KLAVIYO_IDENTITY_OK, "absent: %s",
               label(json[i]));
        ok(nothing(), "nothing");
    }
}


static void
test_encodings(void)
{
    int         pads;
    size_t      i, n, len;
    char        text[256];
    const char  json[] = "{\"$email\":\"jane.doe@shop.com\",\"\":\"\xc3\xbf\"}";

    /* each length modulo 3, with padding and without, percent-encoded too */

    pads = 0;

    for (i = 0; i < 3; i++) {
        len = sizeof(json) - 1;
        memcpy(text, json, len);
        memset(text + len, ' ', i);
        text[len + i] = '\0';
        len = strlen(strcpy(text, encode(text)));

        is_int(run(klaviyo_identity_cookie, text, len), KLAVIYO_IDENTITY_OK,
               "padded: %s", label(text));
        is_field(EMAIL, "jane.doe@shop.com", "read");

        for (n = 0; text[len - 1] == '='; n++) {
            len--;
        }

        pads |= 1 << n;

        is_int(run(klaviyo_identity_cookie, text, len), KLAVIYO_IDENTITY_OK,
               "without padding");
        is_field(EMAIL, "jane.doe@shop.com", "read");

        strcpy(text + len, n == 2 ? "%3D%3d" : n == 1 ? "%3D" : "");

        is_int(run(klaviyo_identity_cookie, text, strlen(text)),
               KLAVIYO_IDENTITY_OK, "percent-encoded");
        is_field(EMAIL, "jane.doe@shop.com", "read");
    }

    is_int(pads, 7, "all paddings were there");

    is_int(cookie("{\"$id\":\"~~~\xc3\xbf\xc3\xbf>>?\"}"),
           KLAVIYO_IDENTITY_OK, "the last of the alphabet");
    is_field(EXTERNAL_ID, "~~~\xc3\xbf\xc3\xbf>>?", "read");

    strcpy(text, encode("{\"$id\":\"~~~\xc3\xbf\xc3\xbf>>?\"}"));
    ok(strchr(text, '+') && strchr(text, '/'), "both are there");

    for (i = 0; text[i]; i++) {
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    }

    is_int(run(klaviyo_identity_cookie, text, i), KLAVIYO_IDENTITY_OK,
           "the alphabet for URLs");
    is_field(EXTERNAL_ID, "~~~\xc3\xbf\xc3\xbf>>?", "read");
}


/* each identifier by itself is one */

static void
test_any(void)
{
    size_t  i;

    static const char  *const one[] = {
        "{\"$kid\":\"01H\"}", "{\"$exchange_id\":\"a.B\"}",
        "{\"$email\":\"a@b.co\"}", "{\"$phone_number\":\"+15005550006\"}",
        "{\"$id\":\"x\"}", "{\"$anonymous\":\"y\"}"
    };

    for (i = 0; i < sizeof(one) / sizeof(one[0]); i++) {
        is_int(cookie(one[i]), KLAVIYO_IDENTITY_OK, "%s", one[i]);
        ok(klaviyo_identity_any(&found), "is somebody");
    }

    cookie("{\"$phone_number\":\"(500) 555-0006\"}");
    ok(!klaviyo_identity_any(&found), "a number of no country is nobody");

    cookie("{\"$email\":\"info@b\xc3\xbc" "cher.example\","
           "\"$phone_number\":\"+1 (500) 555-0006\"}");
    is_field(EMAIL, "info@xn--bcher-kva.example", "an email's domain");
    is_field(PHONE, "+15005550006", "a phone number as people write it");

    cookie("{\"first_name\":\"Jane\"}");
    ok(!klaviyo_identity_any(&found), "a name is nobody");
}


/* many blocks, and nothing in front of them */

static void
test_blocks(void)
{
    size_t       n;
    uint8_t      out[48];
    const char  *digits;

    static const char  text[] =
        "Many a block of sixteen digits, one behind the o";

    digits = encode(text);
    n = strlen(digits);
    is_int(n, 64, "four blocks");

    is_int(klaviyo_decode_base64(out, tap_guarded_front(digits, n), &n), 1,
           "decoded");
    is_mem(out, n, text, 48, "each of them");
}


static void
test_malformed(void)
{
    size_t  i;

    static const char  *plain[] = {
        "%", "{}", "e30=e30=", "e", "e30==", "=", "====", "e3\x80w", "e3.w",
        "eyI%zz", "e30%00", "bnVsbA===", "W10", "e3", "e30K;"
    };

    static const char  *json[] = {
        "{", "}", "{}}", "{} x", "[]", "\"\"", "\"{}", "1", "true",
        "{\"$email\"}", "{\"$email\":}", "{\"$email\":\"a@b.co\"",
        "{\"$email\":\"a@b.co\",}", "{,\"a\":1}", "{\"a\":1 \"b\":2}",
        "{a:1}", "{'a':1}", "{\"a\":1,\"a\"}", "{\"a\":01}", "{\"a\":1.}",
        "{\"a\":.5}", "{\"a\":1e}", "{\"a\":-}", "{\"a\":+1}", "{\"a\":NaN}",
        "{\"a\":tru}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12g4\"}",
        "{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":{\"b\"}}", "{\"a\":{1:2}}",
        "{\"a\":1}", "{\"a\":\"b@c.co\",\"user\":7}",
        "{\"$email\":\"a@b.co\",\"$email\":\"c@d.co\"}",
        "{\"$email\":\"a@b.co\",\"email\":\"c@d.co\"}",
        "{\"$email\":\"a@b.co\"}{\"$email\":\"c@d.co\"}",
        "\"{\\\"$email\\\":\\\"a@b.co\\\"}\" x",
        "\"\\\"{}\\\"\""
    };

    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        is_int(run(klaviyo_identity_cookie, plain[i], strlen(plain[i])),
               KLAVIYO_IDENTITY_MALFORMED, "malformed: %s", label(plain[i]));
        ok(nothing(), "nothing");
    }

    for (i = 0; i < sizeof(json) / sizeof(json[0]); i++) {
        is_int(cookie(json[i]), KLAVIYO_IDENTITY_MALFORMED, "malformed: %s",
               label(json[i]));
        ok(nothing(), "nothing");
    }
}


static void
test_bad(void)
{
    char  json[KLAVIYO_IDENTITY_MAX + 64], *p;

    cookie("{\"$email\":\"jane\",\"$phone_number\":\"5550006\","
           "\"$id\":\"a\\nb\",\"$kid\":{\"a\":1},\"$exchange_id\":\"a.b.c\","
           "\"$anonymous\":\"\\\"x\",\"cid\":\"x\"}");
    ok(!klaviyo_identity_any(&found), "bad values are left out");
    is_int(found.bad, (1 << KLAVIYO_IDENTITY_N) - 1, "each is told");
    is_int(cid()->len, 0, "so is the cid, but not told");

    cookie("{\"$id\":\"{\\\"a\\\":1}\",\"$kid\":\"a\\u0000b\","
           "\"$anonymous\":\"a\\u007f\"}");
    ok(!klaviyo_identity_any(&found), "JSON, NUL and DEL as identifiers");

    p = json + sprintf(json, "{\"$id\":\"");
    memset(p, 'x', KLAVIYO_IDENTITY_MAX);
    strcpy(p + KLAVIYO_IDENTITY_MAX, "\"}");
    cookie(json);
    is_int(found.value[KLAVIYO_IDENTITY_EXTERNAL_ID].len,
           KLAVIYO_IDENTITY_MAX, "the longest");

    strcpy(p + KLAVIYO_IDENTITY_MAX, "x\"}");
    cookie(json);
    is_int(found.value[KLAVIYO_IDENTITY_EXTERNAL_ID].len, 0, "no longer one");
    is_int(found.bad, 1 << KLAVIYO_IDENTITY_EXTERNAL_ID, "told");

    cookie("{\"cid\":\"" CID "x\"}");
    is_int(cid()->len, 0, "a cid has one length");
    cookie("{\"cid\":\"ZjBkMzdmMzUtOTgzZC00NjU0LWJlYTUtMTQwOTU2MDFiMGU-\"}");
    is_int(cid()->len, 0, "and is a UUID");
}


static void
test_limit(void)
{
    size_t  n;
    char    json[4096], text[8192];

    n = KLAVIYO_IDENTITY_TEXT_MAX / 4 * 3;

    memset(json, ' ', n);
    memcpy(json, "{\"$id\":\"x\"}", 11);
    json[n] = '\0';
    strcpy(text, encode(json));

    is_int(strlen(text), KLAVIYO_IDENTITY_TEXT_MAX, "3,000 characters");
    is_int(run(klaviyo_identity_cookie, text, strlen(text)),
           KLAVIYO_IDENTITY_OK, "are read");
    is_field(EXTERNAL_ID, "x", "with what is in them");

    strcat(text, "A");

    is_int(klaviyo_identity_cookie(&found, (uint8_t *) text, strlen(text),
                                   NULL),
           KLAVIYO_IDENTITY_TOO_LONG, "3,001 are not");
    ok(nothing(), "nothing");

    is_int(klaviyo_identity_kx(&found, (uint8_t *) text, strlen(text), NULL),
           KLAVIYO_IDENTITY_TOO_LONG, "a long _kx");
    is_int(klaviyo_identity_ke(&found, (uint8_t *) text, strlen(text), NULL),
           KLAVIYO_IDENTITY_TOO_LONG, "a long _ke");
    is_int(klaviyo_identity_email(&found, (uint8_t *) text, strlen(text),
                                  NULL),
           KLAVIYO_IDENTITY_TOO_LONG, "a long utm_email");
}


static void
test_kx(void)
{
    size_t  i;

    static const char  *bad[] = {
        "a", "a.", ".a", "a.b.c", "a b.c", "a.b-c", "a.b=", "a%0d%0ab.c",
        "a;b.c", "a\"b.c", "a.\xc3\xa9", "a+b.c", "a/b.c", "a.b%00", "%"
    };

    is_int(run(klaviyo_identity_kx, "aB0-_=%3d.ABC_12", 16),
           KLAVIYO_IDENTITY_OK, "an exchange id");
    is_field(KX, "aB0-_==.ABC_12", "decoded");
    is_str(string(&found.company), "ABC_12", "its company");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        run(klaviyo_identity_kx, bad[i], strlen(bad[i]));
        is_int(found.bad, 1 << KLAVIYO_IDENTITY_KX, "none: %s",
               label(bad[i]));
        ok(!klaviyo_identity_any(&found), "nothing");
    }

    run(klaviyo_identity_kx, "undefined", 9);
    ok(nothing(), "undefined is absent");
}


static void
test_ke(void)
{
    const char  *text;

    text = encode("{\"kl_email\":\"jane@shop.com\",\"kl_phone_number\":"
                  "\"+15005550006\",\"kl_company_id\":\"ABC123\"}");

    is_int(run(klaviyo_identity_ke, text, strlen(text)), KLAVIYO_IDENTITY_OK,
           "an object");
    is_field(EMAIL, "jane@shop.com", "its email");
    is_field(PHONE, "+15005550006", "its phone number");
    is_str(string(&found.company), "ABC123", "its company");

    text = encode("jane@shop.com");
    is_int(run(klaviyo_identity_ke, text, strlen(text)), KLAVIYO_IDENTITY_OK,
           "a bare email");
    is_field(EMAIL, "jane@shop.com", "is one");
    is_int(found.company.len, 0, "of any company");

    is_int(run(klaviyo_identity_ke, "amFu%5aUBzaG9wLmNvbQ", 20),
           KLAVIYO_IDENTITY_OK, "percent-encoded, without padding");
    is_field(EMAIL, "jane@shop.com", "the same");

    text = encode("jane");
    is_int(run(klaviyo_identity_ke, text, strlen(text)),
           KLAVIYO_IDENTITY_MALFORMED, "no email, no object");
    is_int(run(klaviyo_identity_ke, "jane@shop.com", 13),
           KLAVIYO_IDENTITY_MALFORMED, "not encoded");
    is_int(run(klaviyo_identity_ke, "", 0), KLAVIYO_IDENTITY_OK, "empty");
    ok(nothing(), "nothing");

    /* "{}>" is e30+: URLs make a blank of the last one */

    is_int(run(klaviyo_identity_ke, "e30+", 4), KLAVIYO_IDENTITY_MALFORMED,
           "a plus");
    is_int(run(klaviyo_identity_ke, "eyJrbF9lbWFpbCI6bnVsbCwgICJhIjoi4oi+In0", 39),
           KLAVIYO_IDENTITY_OK, "a plus inside");
    is_int(run(klaviyo_identity_ke, "eyJrbF9lbWFpbCI6bnVsbCwgICJhIjoi4oi%20In0", 41),
           KLAVIYO_IDENTITY_OK, "a blank in its place");
}


static void
test_email(void)
{
    run(klaviyo_identity_email, "jane%2Bnews%40shop.com", 22);
    is_field(EMAIL, "jane+news@shop.com", "an email");

    run(klaviyo_identity_email, "jane+news@shop.com", 18);
    is_field(EMAIL, "jane+news@shop.com", "a bare plus is meant as one");

    run(klaviyo_identity_email, "jane%0a@shop.com", 16);
    is_int(found.bad, 1 << KLAVIYO_IDENTITY_EMAIL, "none");
}


static void
test_restrict(void)
{
    const char  *text;

#define restricted(company)                                                  \
    klaviyo_identity_restrict(&found, (const uint8_t *) company,             \
                              strlen(company))

    run(klaviyo_identity_kx, "x.ABC123", 8);
    is_int(restricted("ABC123"), 0, "the account's own");
    is_int(restricted(""), 0, "no company is any");
    is_field(KX, "x.ABC123", "stays");
    is_int(restricted("abc123"), 1, "another");
    ok(!klaviyo_identity_any(&found), "goes");

    cookie("{\"$exchange_id\":\"x.ABC123\",\"$kid\":\"01H\",\"$email\":"
           "\"jane@shop.com\"}");
    is_int(restricted("ABC124"), 1, "a cookie of another");
    is_field(KX, "", "its exchange id goes");
    is_field(ID, "", "its id goes");
    is_field(EMAIL, "jane@shop.com", "its email stays");

    text = encode("{\"kl_email\":\"jane@shop.com\",\"kl_company_id\":"
                  "\"ABC123\"}");
    run(klaviyo_identity_ke, text, strlen(text));
    is_int(restricted("ABC123"), 0, "a _ke for the account");
    is_int(restricted("ABC12"), 1, "for another");
    ok(!klaviyo_identity_any(&found), "all of it goes");
}


/* the least of many: what the cookie costs, not what else the machine does */

static void
test_cost(void)
{
    int              i, j;
    char             text[1024];
    size_t           len;
    int64_t          ns, least;
    uint8_t          buf[1024];
    struct timespec  from, to;

    len = strlen(strcpy(text, encode(
              "{\"cid\":\"" CID "\",\"$referrer\":{\"ts\":1690000000,"
              "\"value\":\"\",\"first_page\":\"https://shop.example/\"},"
              "\"$exchange_id\":\"xXxAbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_"
              "AB.ABC123\",\"$email\":\"jane@shop.com\"}")));

    ok(len >= 300, "a cookie of %d bytes", (int) len);

    least = INT64_MAX;

    for (i = 0; i < 100; i++) {
        clock_gettime(CLOCK_MONOTONIC, &from);

        for (j = 0; j < 100; j++) {
            klaviyo_identity_cookie(&found, (uint8_t *) text, len, buf);
        }

        clock_gettime(CLOCK_MONOTONIC, &to);

        ns = (to.tv_sec - from.tv_sec) * INT64_C(1000000000)
             + to.tv_nsec - from.tv_nsec;

        least = ns / 100 < least ? ns / 100 : least;
    }

    is_field(EMAIL, "jane@shop.com", "is read");
    ok(least < 2000 * tap_slow(), "in less than 2 us");
    diag("%d ns", (int) least);
}


int
main(void)
{
    test_cookie();
    test_absent();
    test_encodings();
    test_any();
    test_blocks();
    test_malformed();
    test_bad();
    test_limit();
    test_kx();
    test_ke();
    test_email();
    test_restrict();
    test_cost();

    free(memory);

    return done_testing();
}
