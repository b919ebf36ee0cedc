/*
 * The signature of a webhook, and what its body says.
 */


#include <stdlib.h>

#include "tap.h"

#include "webhook/klaviyo_sender.h"


#define literal(text)  { (const uint8_t *) (text), sizeof(text) - 1 }

#define BODY(data, id)                                                       \
    "{\"data\":" data ",\"meta\":{\"klaviyo_webhook_id\":" id "}}"


static void test_time(void);
static void test_name(void);
static void test_signature(void);
static void test_mutations(void);
static void test_body(void);
static void test_topics(void);
static void test_senders(void);
static void test_texts(void);
static void test_bodies(void);
static void test_values(void);
static void test_sign(void);
static unsigned found(const char *from, const char *value, char *time);
static int signed_with(const klaviyo_slice_t *secrets, unsigned n,
    const char *text, size_t piece, const void *signature, size_t len);
static klaviyo_webhook_rc_e read_body(const char *text, size_t size,
    const char *id, char *topics);


/* RFC 4231, test case 2, whose key is "Jefe" */

static const char  message[] = "what do ya want for nothing?";
static const char  signature[] =
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";


int
main(void)
{
    test_time();
    test_name();
    test_signature();
    test_mutations();
    test_body();
    test_topics();
    test_senders();
    test_texts();
    test_bodies();
    test_values();
    test_sign();

    return done_testing();
}


static void
test_time(void)
{
    ok(klaviyo_webhook_in_time(1000, 1000, 1), "now");
    ok(klaviyo_webhook_in_time(700, 1000, 300), "as old as it may be");
    ok(!klaviyo_webhook_in_time(699, 1000, 300), "a second older");
    ok(klaviyo_webhook_in_time(1300, 1000, 300), "as new as it may be");
    ok(!klaviyo_webhook_in_time(1301, 1000, 300), "a second newer");
    ok(!klaviyo_webhook_in_time(-1, 10, 300), "no time");
    ok(!klaviyo_webhook_in_time(INT64_MAX, 1, 300), "the end of time");
    ok(!klaviyo_webhook_in_time(INT64_MIN, 1, 300), "its beginning");
}


static void
test_name(void)
{
    int           i, good;
    uint8_t       c, name[KLAVIYO_WEBHOOK_NAME_MAX + 1];
    const char   *text;

    memset(name, 'a', sizeof(name));

    ok(!klaviyo_webhook_is_name(name, 0), "empty");
    ok(klaviyo_webhook_is_name(name, sizeof(name) - 1), "the longest");
    ok(!klaviyo_webhook_is_name(name, sizeof(name)), "a byte longer");

    text = "event:klaviyo.sent_sms";
    ok(klaviyo_webhook_is_name((const uint8_t *) text, strlen(text)),
       "a topic of Klaviyo");

    good = 0;

    for (i = 0; i < 256; i++) {
        c = (uint8_t) i;
        good += klaviyo_webhook_is_name(&c, 1);
    }

    is_int(good, 26 + 26 + 10 + 5, "letters, digits, and five others");
}


static void
test_signature(void)
{
    size_t           i;
    char             other[65];
    klaviyo_slice_t  secrets[KLAVIYO_WEBHOOK_SECRETS];

    for (i = 0; i < KLAVIYO_WEBHOOK_SECRETS; i++) {
        secrets[i].data = (const uint8_t *) "other";
        secrets[i].len = i + 1 > 5 ? 5 : i + 1;
    }

    is_int(signed_with(secrets, KLAVIYO_WEBHOOK_SECRETS, message, 1,
                       signature, 64),
           0, "none of eight secrets");

    for (i = 0; i < KLAVIYO_WEBHOOK_SECRETS; i++) {
        klaviyo_slice_t  saved = secrets[i];

        secrets[i].data = (const uint8_t *) "Jefe";
        secrets[i].len = 4;

        is_int(signed_with(secrets, KLAVIYO_WEBHOOK_SECRETS, message, 1000,
                           signature, 64),
               (int) i + 1, "secret %zu of eight", i + 1);

        secrets[i] = saved;
    }

    secrets[0].data = (const uint8_t *) "Jefe";
    secrets[0].len = 4;

    for (i = 1; i < 30; i++) {
        is_int(signed_with(secrets, 1, message, i, signature, 64), 1,
               "in pieces of %zu bytes", i);
    }

    for (i = 0; i < 64; i++) {
        memcpy(other, signature, 65);
        other[i] ^= 1;

        is_int(signed_with(secrets, 1, message, 9, other, 64), 0,
               "digit %zu is another one", i);
    }

    memcpy(other, signature, 65);

    is_int(signed_with(secrets, 1, message, 9, other, 63), 0, "too short");
    is_int(signed_with(secrets, 1, message, 9, other, 65), 0, "too long");
    is_int(signed_with(secrets, 1, message, 9, other, 0), 0, "empty");
    is_int(signed_with(secrets, 0, message, 9, other, 64), 0, "no secret");
    is_int(signed_with(secrets, 1, "what do ya want", 9, other, 64), 0,
           "the beginning of the message");
    is_int(signed_with(secrets, 1, "what do ya want for nothing? ", 9, other,
                       64),
           0, "a byte more");

    for (i = 0; i < 64; i++) {
        if (other[i] >= 'a') {
            other[i] -= 'a' - 'A';
        }
    }

    is_int(signed_with(secrets, 1, message, 9, other, 64), 0, "capitals");
}


static void
test_mutations(void)
{
    int              i, n, passed;
    char             other[65];
    klaviyo_slice_t  secret = literal("Jefe");

    srand(7);
    passed = 0;

    for (i = 0; i < 10000; i++) {
        memcpy(other, signature, 65);

        for (n = rand() % 4; n >= 0; n--) {
            other[rand() % 64] = "0123456789abcdef"[rand() % 16];
        }

        if (memcmp(other, signature, 64) == 0) {
            continue;
        }

        passed += signed_with(&secret, 1, message, 100, other, 64) != 0;
    }

    is_int(passed, 0, "none of 10,000 mutations");
}


static void
test_body(void)
{
    char     topics[KLAVIYO_WEBHOOK_TOPICS_MAX + 1], *large;
    size_t   i;

    static const char *const  bad[] = {
        "", " ", "x", "[]", "{}", "null", "\"\"", "{\"meta\":{}}",
        "{\"data\":[]}",
        BODY("[]", "1"), BODY("[]", "null"), BODY("[]", "[\"id\"]"),
        BODY("{}", "\"id\""), BODY("null", "\"id\""),
        BODY("[]", "\"id\"") "x", BODY("[1", "\"id\""),
        BODY("[],\"data\":1", "\"id\""), BODY("[]", "\"id"),
        "{\"data\":[],\"meta\":[\"klaviyo_webhook_id\",\"id\"]}",
        "{\"meta\":{\"klaviyo_webhook_id\":\"id\"}}",
        "[" BODY("[]", "\"id\"") "]",
    };

    is_int(read_body(BODY("[]", "\"id\""), 0, "id", topics),
           KLAVIYO_WEBHOOK_OK, "the least");
    is_int(read_body(" " BODY("[]", "\"id\"") "\r\n", 0, "id", topics),
           KLAVIYO_WEBHOOK_OK, "blanks around it");
    is_int(read_body(BODY("[]", "\"\\u0069d\""), 0, "id", topics),
           KLAVIYO_WEBHOOK_OK, "an escape in the id");

    is_int(read_body(BODY("[]", "\"id\""), 0, "ie", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "another id");
    is_int(read_body(BODY("[]", "\"id\""), 0, "i", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "its beginning");
    is_int(read_body(BODY("[]", "\"id\""), 0, "id1", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "more than it");
    is_int(read_body(BODY("[]", "\"\""), 0, "id", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "an empty one");
    is_int(read_body(BODY("[]", "\"id\\u0000\""), 0, "id", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "NUL in it");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(read_body(bad[i], 0, "id", topics), KLAVIYO_WEBHOOK_BAD,
               "bad: %s", bad[i]);
    }

    large = malloc(KLAVIYO_WEBHOOK_BODY_MAX + 1);

    memset(large, ' ', KLAVIYO_WEBHOOK_BODY_MAX + 1);
    memset(large, '[', KLAVIYO_WEBHOOK_BODY_MAX);
    is_int(read_body(large, KLAVIYO_WEBHOOK_BODY_MAX, "id", topics),
           KLAVIYO_WEBHOOK_BAD, "1 MB of brackets");

    memset(large, '"', KLAVIYO_WEBHOOK_BODY_MAX);
    is_int(read_body(large, KLAVIYO_WEBHOOK_BODY_MAX, "id", topics),
           KLAVIYO_WEBHOOK_BAD, "1 MB of quotes");

    free(large);
}


static void
test_topics(void)
{
    char     topics[KLAVIYO_WEBHOOK_TOPICS_MAX + 1], expected[2048];
    char     text[8192], *p, *e;
    size_t   i, j;

    (void) read_body(BODY("[{\"topic\":\"a\"},{\"topic\":\"b\"},"
                          "{\"topic\":\"a\"}]", "\"id\""), 0, "id", topics);
    is_str(topics, "a,b", "different ones");

    (void) read_body(BODY("[{\"topic\":\"a\\r\\nb\"},{\"topic\":\"a,b\"},"
                          "{\"topic\":\"\"},{\"topic\":1},{},[\"topic\"],1,"
                          "\"topic\",null,{\"topic\":{\"topic\":\"x\"}},"
                          "{\"x\":{\"topic\":\"x\"},\"topic\":\"good\"}]",
                          "\"id\""), 0, "id", topics);
    is_str(topics, "good", "what is no topic");

    /* the most that fits, each character of the last one escaped */

    p = text + sprintf(text, "{\"meta\":{\"klaviyo_webhook_id\":\"id\"},"
                             "\"data\":[0");
    e = expected;

    for (i = 0; i < KLAVIYO_WEBHOOK_TOPICS + 2; i++) {
        p += sprintf(p, ",{\"topic\":\"");

        for (j = 0; j < KLAVIYO_WEBHOOK_NAME_MAX; j++) {
            p += sprintf(p, i == KLAVIYO_WEBHOOK_TOPICS - 1
                            ? "\\u%04x" : "%c", (int) ('a' + i));
        }

        p += sprintf(p, "\"}");

        if (i < KLAVIYO_WEBHOOK_TOPICS) {
            if (i) {
                *e++ = ',';
            }

            memset(e, (int) ('a' + i), KLAVIYO_WEBHOOK_NAME_MAX);
            e += KLAVIYO_WEBHOOK_NAME_MAX;
        }
    }

    *e = '\0';
    (void) sprintf(p, "]}");

    is_int(read_body(text, 0, "id", topics), KLAVIYO_WEBHOOK_OK, "many");
    is_str(topics, expected, "as many as fit");

    is_int(read_body(BODY("[{\"topic\":\"a\"}]", "\"x\""), 0, "id", topics),
           KLAVIYO_WEBHOOK_OTHER_ID, "another id");
    is_str(topics, "", "no topics of it");
}


/*
 * A call of each sender by its own documentation: the text that is signed is
 * written by hand here, its signature came from another program.
 */

static void
test_senders(void)
{
    char                     text[256], time[64];
    size_t                   i, len;
    uint8_t                  digests[8][KLAVIYO_WEBHOOK_DIGEST], before[256];
    unsigned                 n;
    klaviyo_slice_t          secret, value, t, id;
    const klaviyo_sender_t  *sender;
    klaviyo_webhook_hmac_t   hmac;

    static const struct {
        const char  *from, *secret, *header, *time, *id, *body, *text;
    } calls[] = {
        { "shopify", "k", "rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/8=",
          "", "", "{}", "{}" },
        { "stripe", "k", "t=1700000000,v1="
          "c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146"
          ",v0=00", "1700000000", "",
          "{}", "1700000000.{}" },
        { "standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
          "1614265330", "msg_p5jXN8AQM9LWM0D4loKWxJek",
          "{\"test\": 2432232314}",
          "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}" },
    };

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {

        sender = klaviyo_sender_find((const uint8_t *) calls[i].from,
                                     strlen(calls[i].from));

        strcpy(text, calls[i].secret);
        secret.data = (uint8_t *) text;
        secret.len = sender->base64_secret
                     ? klaviyo_sender_secret((uint8_t *) text, strlen(text))
                     : strlen(text);

        value.data = (const uint8_t *) calls[i].header;
        value.len = strlen(calls[i].header);

        n = klaviyo_sender_signatures(sender, &value, &t, digests);
        is_int(n, 1, "%s: a signature", calls[i].from);

        if (sender->time_header) {
            t.data = (const uint8_t *) calls[i].time;
            t.len = strlen(calls[i].time);
        }

        id.data = (const uint8_t *) calls[i].id;
        id.len = strlen(calls[i].id);

        len = klaviyo_sender_text(before, sender->before ? sender->before
                                                         : "", &t, &id);

        ok(len + strlen(calls[i].body) == strlen(calls[i].text)
           && memcmp(before, calls[i].text, len) == 0,
           "%s: what is signed", calls[i].from);

        klaviyo_webhook_begin(&hmac, &secret, 1);
        klaviyo_webhook_update(&hmac, before, len);
        klaviyo_webhook_update(&hmac, calls[i].body, strlen(calls[i].body));

        is_int(klaviyo_webhook_end(&hmac,
                       (const uint8_t (*)[KLAVIYO_WEBHOOK_DIGEST]) digests, n),
               1, "%s: signed", calls[i].from);
    }

#define HEX  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
#define B64  "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="

    is_int(found("stripe", "t=1,v1=" HEX ",v1=" HEX, time), 2, "two");
    is_str(time, "1", "and the time");
    is_int(found("stripe", "v1=" HEX ",t=1", time), 1, "in any order");
    is_int(found("stripe", "t=1,t=2,v1=" HEX, time), 0, "two times");
    is_int(found("stripe", "t=1,v0=" HEX, time), 0, "another version");
    is_int(found("stripe", HEX, time), 0, "no version");
    is_int(found("stripe", "", time), 0, "nothing");
    is_int(found("zoom", "v0=" HEX, time), 1, "Zoom's");
    is_int(found("zoom", HEX, time), 0, "without its prefix");
    is_int(found("zoom", "v0=" HEX ",v0=" HEX, time), 0, "not a list");
    is_int(found("typeform", "sha256=" B64, time), 1, "Typeform's");
    is_int(found("typeform", "sha256=" HEX, time), 0, "in hexadecimal");
    is_int(found("shopify", B64, time), 1, "Shopify's");
    is_int(found("shopify", " " B64, time), 0, "a blank before");
    is_int(found("shopify", B64 "=", time), 0, "longer");
    is_int(found("shopify", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOE==",
                 time), 0, "shorter");
    is_int(found("shopify", "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTs-EM=",
                 time), 0, "another alphabet");
    is_int(found("standard", "v1," B64 " v1," B64 " v1a,x", time), 2,
           "a list with blanks");
    is_int(found("standard", "v1," B64 " v1," B64 " v1," B64 " v1," B64
                 " v1," B64 " v1," B64 " v1," B64 " v1," B64 " v1," B64, time),
           8, "no more than eight");
    is_int(found("shopware", HEX, time), 1, "Shopware's");
    is_int(found("shopware", "5bdcc146bf60754e6a042426089575c75a003f089d273983"
                             "9dec58b964ec384g", time), 0, "no digit");
    ok(klaviyo_sender_find((const uint8_t *) "stripes", 7) == NULL,
       "nobody of this name");
    ok(klaviyo_sender_find((const uint8_t *) "", 0) == NULL, "nor of none");
}


static unsigned
found(const char *from, const char *value, char *time)
{
    uint8_t          digests[8][KLAVIYO_WEBHOOK_DIGEST];
    unsigned         n;
    klaviyo_slice_t  text, t;

    text.len = strlen(value);
    text.data = memcpy(malloc(text.len + 1), value, text.len + 1);

    n = klaviyo_sender_signatures(klaviyo_sender_find((const uint8_t *) from,
                                                      strlen(from)),
                                  &text, &t, digests);

    memcpy(time, t.data, t.len);
    time[t.len] = '\0';

    free((void *) text.data);

    return n;
}


static void
test_texts(void)
{
    size_t   i;
    uint8_t  secret[64];

    static const struct {
        const char  *text;
        int64_t      seconds;
    } times[] = {
        { "1700000000", 1700000000 }, { "1700000000123", 1700000000 },
        { "0", 0 }, { "", -1 }, { "-1", -1 }, { "1.5", -1 }, { "x", -1 },
        { "1234567890123456", -1 }, { " 1", -1 }
    };

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        klaviyo_slice_t  text = { (const uint8_t *) times[i].text,
                                  strlen(times[i].text) };

        ok(klaviyo_sender_seconds(&text) == times[i].seconds,
           "time \"%s\"", times[i].text);
    }

    memcpy(secret, "whsec_Zm9vYg==", 14);
    is_int(klaviyo_sender_secret(secret, 14), 4, "a secret in base64");
    ok(memcmp(secret, "foob", 4) == 0, "decoded");
    memcpy(secret, "Zm9v", 4);
    is_int(klaviyo_sender_secret(secret, 4), 3, "without whsec_");
    memcpy(secret, "whsec_", 6);
    is_int(klaviyo_sender_secret(secret, 6), 0, "an empty one");
    memcpy(secret, "Zm9", 3);
    is_int(klaviyo_sender_secret(secret, 3), 0, "cut");
    memcpy(secret, "Zm9-", 4);
    is_int(klaviyo_sender_secret(secret, 4), 0, "another alphabet");

    ok(klaviyo_sender_ping((const uint8_t *) "webhook_id=12", 13), "a ping");
    ok(!klaviyo_sender_ping((const uint8_t *) "webhook_id=", 11), "no number");
    ok(!klaviyo_sender_ping((const uint8_t *) "webhook_id=1&a", 14), "more");
    ok(!klaviyo_sender_ping((const uint8_t *) "", 0), "nothing");
}


static void
test_bodies(void)
{
    int      len;
    size_t   i;
    uint8_t  token[KLAVIYO_SENDER_TOKEN_MAX];

    static const struct {
        const char  *body;
        int          len;
    } bodies[] = {
        { "{\"event\":\"endpoint.url_validation\","
          "\"payload\":{\"plainToken\":\"abc-D_9\"}}", 7 },
        { "{\"event\":\"endpoint.url_validation\",\"payload\":{}}", 0 },
        { "{\"event\":\"endpoint.url_validation\","
          "\"payload\":{\"plainToken\":\"a\\\"b\"}}", 0 },
        { "{\"event\":\"endpoint.url_validation\","
          "\"payload\":{\"plainToken\":\"a b\"}}", 0 },
        { "{\"event\":\"endpoint.url_validation\","
          "\"payload\":{\"plainToken\":12345}}", 0 },
        { "{\"event\":\"meeting.ended\","
          "\"payload\":{\"plainToken\":\"abc\"}}", -1 },
        { "[]", -1 }
    };

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        klaviyo_slice_t  body = { (const uint8_t *) bodies[i].body,
                                  strlen(bodies[i].body) };

        klaviyo_scan_seen_t  seen;

        ok(klaviyo_scan_check(&body, &seen), "JSON");
        len = klaviyo_sender_token(&body, token);
        is_int(len, bodies[i].len, "token of %s", bodies[i].body);
    }

    /* the longest one, as long as it can be written, and one byte more */

    for (i = 0; i < 2; i++) {
        char             text[128 + 6 * (KLAVIYO_SENDER_TOKEN_MAX + 1)];
        size_t           j, n;
        klaviyo_slice_t  body = { (const uint8_t *) text, 0 };

        n = (size_t) sprintf(text, "{\"event\":\"endpoint.url_validation\","
                             "\"payload\":{\"plainToken\":\"");

        for (j = 0; j < KLAVIYO_SENDER_TOKEN_MAX + i; j++) {
            n += (size_t) sprintf(text + n, "\\u0061");
        }

        body.len = n + (size_t) sprintf(text + n, "\"}}");

        is_int(klaviyo_sender_token(&body, token),
               i ? 0 : KLAVIYO_SENDER_TOKEN_MAX, "%d escapes",
               KLAVIYO_SENDER_TOKEN_MAX + (int) i);
    }
}


/* a member of the body that names the topic */

static void
test_values(void)
{
    size_t   i, j, n, len;
    char     text[64 + 6 * (KLAVIYO_WEBHOOK_NAME_MAX + 1)];
    uint8_t  name[KLAVIYO_WEBHOOK_NAME_MAX];

    static const struct {
        const char  *body;
        const char  *value;
    } bodies[] = {
        { "{\"type\":\"order.paid\"}", "order.paid" },
        { "{\"type\":\"order\\u002epaid\"}", "order.paid" },
        { "{\"type\":\"\"}", "" },
        { "{\"type\":\"a b\"}", "" },
        { "{\"type\":7}", "" },
        { "{\"type\":[\"a\"]}", "" },
        { "{\"kind\":\"order.paid\"}", "" }
    };

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        klaviyo_slice_t  body = { (const uint8_t *) bodies[i].body,
                                  strlen(bodies[i].body) };

        len = klaviyo_sender_value(&body, "/type", name);
        is_mem(name, len, bodies[i].value, strlen(bodies[i].value),
               "type of %s", bodies[i].body);
    }

    for (i = 0; i < 2; i++) {
        klaviyo_slice_t  body = { (const uint8_t *) text, 0 };

        n = (size_t) sprintf(text, "{\"type\":\"");

        for (j = 0; j < KLAVIYO_WEBHOOK_NAME_MAX + i; j++) {
            n += (size_t) sprintf(text + n, "\\u0061");
        }

        body.len = n + (size_t) sprintf(text + n, "\"}");

        is_int(klaviyo_sender_value(&body, "/type", name),
               i ? 0 : KLAVIYO_WEBHOOK_NAME_MAX, "%d escapes",
               KLAVIYO_WEBHOOK_NAME_MAX + (int) i);
    }
}


static void
test_sign(void)
{
    char             hex[2 * KLAVIYO_WEBHOOK_DIGEST + 1];
    klaviyo_slice_t  secret = literal("Jefe");

    memset(hex, 0, sizeof(hex));

    is_int(klaviyo_webhook_sign(&secret, message, sizeof(message) - 1,
                                (uint8_t *) hex), 1, "signed");
    is_str(hex, signature, "as RFC 4231 says");
}


static int
signed_with(const klaviyo_slice_t *secrets, unsigned n, const char *text,
    size_t piece, const void *signature, size_t len)
{
    size_t                  left, size;
    uint8_t                 digests[8][KLAVIYO_WEBHOOK_DIGEST];
    unsigned                found;
    klaviyo_slice_t         wanted, time;
    klaviyo_webhook_hmac_t  hmac;

    klaviyo_webhook_begin(&hmac, secrets, n);

    for (left = strlen(text); left; left -= size) {
        size = piece < left ? piece : left;
        klaviyo_webhook_update(&hmac, text, size);
        text += size;
    }

    wanted.data = signature;
    wanted.len = len;

    found = klaviyo_sender_signatures(klaviyo_sender_find((uint8_t *)
                                                          "klaviyo", 7),
                                      &wanted, &time, digests);

    return klaviyo_webhook_end(&hmac,
                       (const uint8_t (*)[KLAVIYO_WEBHOOK_DIGEST]) digests,
                       found);
}


/* a copy that ends where the text does, for a sanitizer to watch */

static klaviyo_webhook_rc_e
read_body(const char *text, size_t size, const char *id, char *topics)
{
    char                  *copy;
    size_t                 len;
    klaviyo_slice_t        body, wanted;
    klaviyo_webhook_rc_e   rc;

    size = size ? size : strlen(text);

    copy = malloc(size ? size : 1);
    memcpy(copy, text, size);

    body.data = (const uint8_t *) copy;
    body.len = size;

    wanted.data = (const uint8_t *) id;
    wanted.len = strlen(id);

    rc = klaviyo_webhook_read(&body, &wanted, (uint8_t *) topics, &len);

    topics[len] = '\0';

    free(copy);

    return rc;
}
