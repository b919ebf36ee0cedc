/*
 * The signature of a webhook, and what its body says.
 */


#include <stdlib.h>

#include "tap.h"

#include "webhook/klaviyo_webhook.h"


#define literal(text)  { (const uint8_t *) (text), sizeof(text) - 1 }

#define BODY(data, id)                                                       \
    "{\"data\":" data ",\"meta\":{\"klaviyo_webhook_id\":" id "}}"


static void test_time(void);
static void test_name(void);
static void test_signature(void);
static void test_mutations(void);
static void test_body(void);
static void test_topics(void);
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
               1, "secret %zu of eight", i + 1);

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
        BODY("[],\"data\":[]", "\"id\""), BODY("[]", "\"id"),
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
           KLAVIYO_WEBHOOK_BAD, "NUL in it");

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


static int
signed_with(const klaviyo_slice_t *secrets, unsigned n, const char *text,
    size_t piece, const void *signature, size_t len)
{
    size_t                  left, size;
    klaviyo_slice_t         wanted;
    klaviyo_webhook_hmac_t  hmac;

    klaviyo_webhook_begin(&hmac, secrets, n);

    for (left = strlen(text); left; left -= size) {
        size = piece < left ? piece : left;
        klaviyo_webhook_update(&hmac, text, size);
        text += size;
    }

    wanted.data = signature;
    wanted.len = len;

    return klaviyo_webhook_end(&hmac, &wanted);
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
