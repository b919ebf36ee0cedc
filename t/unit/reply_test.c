/*
 * Answers of Klaviyo's end: verdicts, named entries, texts; and bytes that
 * are not what they should be.
 */


#include <stdio.h>
#include <stdlib.h>

#include <time.h>

#include "tap.h"

#include "delivery/klaviyo_reply.h"


#define ENTRY  "/data/attributes/events-bulk-create/data/"
#define EVENT  "/attributes/events/data/"

#define ERROR(pointer)                                                       \
    "{\"id\":\"1\",\"code\":\"invalid\",\"title\":\"Invalid input\","        \
    "\"detail\":\"no\",\"source\":{\"pointer\":\"" pointer "\"}}"

#define ERRORS(list)  "{\"errors\":[" list "]}"


static klaviyo_blamed_t  named[16];

static uint64_t         seed = 362436069362436069ULL;


static uint64_t
test_random(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


static void
test_answer(klaviyo_answer_t *answer, unsigned status, const void *body,
    size_t len)
{
    memset(answer, 0, sizeof(klaviyo_answer_t));

    answer->status = status;
    answer->body = body;
    answer->body_len = len;
    answer->retry_after = -1;
    answer->rate_remaining = -1;
    answer->rate_reset = -1;
}


/* in memory of its own, so that a read too far is seen */

static size_t
test_named_n(const char *body, size_t len, uint32_t entries, size_t max)
{
    size_t             n;
    uint8_t           *copy;
    klaviyo_answer_t   answer;

    copy = malloc(len + 1);
    memcpy(copy + 1, body, len);
    memset(named, 0xff, sizeof(named));

    test_answer(&answer, 400, copy + 1, len);
    n = klaviyo_reply_named(&answer, entries, named, max);

    klaviyo_reply_free(&answer);
    free(copy);

    return n;
}


static size_t
test_named(const char *body, uint32_t entries)
{
    return test_named_n(body, strlen(body), entries, 16);
}


static void
test_verdicts(void)
{
    size_t             i;
    unsigned           status, unknown;
    klaviyo_answer_t   answer;
    klaviyo_verdict_e  verdict;

    static const struct {
        unsigned           status;
        klaviyo_verdict_e  verdict;
    } known[] = {
        { 0, KLAVIYO_REPLY_NONE },
        { 200, KLAVIYO_REPLY_ACCEPTED },
        { 201, KLAVIYO_REPLY_ACCEPTED },
        { 202, KLAVIYO_REPLY_ACCEPTED },
        { 204, KLAVIYO_REPLY_ACCEPTED },
        { 301, KLAVIYO_REPLY_BLOCKED },
        { 302, KLAVIYO_REPLY_BLOCKED },
        { 400, KLAVIYO_REPLY_REFUSED },
        { 401, KLAVIYO_REPLY_BLOCKED },
        { 402, KLAVIYO_REPLY_BLOCKED },
        { 403, KLAVIYO_REPLY_BLOCKED },
        { 404, KLAVIYO_REPLY_BLOCKED },
        { 405, KLAVIYO_REPLY_BLOCKED },
        { 406, KLAVIYO_REPLY_BLOCKED },
        { 407, KLAVIYO_REPLY_BLOCKED },
        { 408, KLAVIYO_REPLY_PASSING },
        { 409, KLAVIYO_REPLY_REFUSED },
        { 410, KLAVIYO_REPLY_BLOCKED },
        { 413, KLAVIYO_REPLY_TOO_LARGE },
        { 415, KLAVIYO_REPLY_BLOCKED },
        { 422, KLAVIYO_REPLY_REFUSED },
        { 425, KLAVIYO_REPLY_PASSING },
        { 429, KLAVIYO_REPLY_THROTTLED },
        { 500, KLAVIYO_REPLY_PASSING },
        { 502, KLAVIYO_REPLY_PASSING },
        { 503, KLAVIYO_REPLY_PASSING },
        { 504, KLAVIYO_REPLY_PASSING },
        { 524, KLAVIYO_REPLY_PASSING }
    };

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        test_answer(&answer, known[i].status, NULL, 0);
        is_int(klaviyo_reply_verdict(&answer), known[i].verdict,
               "status %u", known[i].status);
    }

    test_answer(&answer, 403, NULL, 0);
    answer.challenge = 1;
    is_int(klaviyo_reply_verdict(&answer), KLAVIYO_REPLY_PASSING,
           "status 403, a challenge");

    answer.status = 400;
    is_int(klaviyo_reply_verdict(&answer), KLAVIYO_REPLY_PASSING,
           "status 400, a challenge");

    answer.status = 202;
    is_int(klaviyo_reply_verdict(&answer), KLAVIYO_REPLY_ACCEPTED,
           "status 202 with the challenge's header");

    /* what nobody documented never ends an event */

    unknown = 0;

    for (status = 1; status < 1200; status++) {
        if ((status >= 200 && status < 300) || status == 400 || status == 409
            || status == 413 || status == 422)
        {
            continue;
        }

        test_answer(&answer, status, NULL, 0);
        verdict = klaviyo_reply_verdict(&answer);

        if (verdict != KLAVIYO_REPLY_BLOCKED
            && verdict != KLAVIYO_REPLY_PASSING
            && verdict != KLAVIYO_REPLY_THROTTLED)
        {
            unknown++;
        }
    }

    is_int(unknown, 0, "every other status keeps the events");
}


static void
test_names(void)
{
    is_int(test_named(ERRORS(ERROR(ENTRY "3/attributes/profile")), 4), 1,
           "an entry by something in it");
    is_int(named[0].entry, 3, "its number");
    is_int(named[0].event, -1, "as a whole");

    is_int(test_named(ERRORS(ERROR(ENTRY "0")), 1), 1, "an entry itself");
    is_int(named[0].entry, 0, "its number");

    is_int(test_named(ERRORS(ERROR(ENTRY "2" EVENT "17/attributes/time")),
                      4),
           1, "an event by something in it");
    is_int(named[0].entry, 2, "its entry");
    is_int(named[0].event, 17, "its number");

    is_int(test_named(ERRORS(ERROR(ENTRY "2" EVENT "0")), 4), 1,
           "an event itself");
    is_int(named[0].event, 0, "its number");

    is_int(test_named(ERRORS(ERROR(ENTRY "2/attributes/events/data")), 4), 1,
           "an entry by its list of events");
    is_int(named[0].event, -1, "as a whole");

    is_int(test_named(ERRORS(ERROR(ENTRY "5" EVENT "2") ","
                             ERROR(ENTRY "10") ","
                             ERROR(ENTRY "5") ","
                             ERROR(ENTRY "5" EVENT "2/attributes/x") ","
                             ERROR(ENTRY "0/attributes") ","
                             ERROR(ENTRY "5" EVENT "1")), 11),
           5, "several, each once");
    is_int(named[0].entry, 0, "sorted by entry");
    is_int(named[1].event, -1, "the entry before its events");
    is_int(named[2].event, 1, "sorted by event");
    is_int(named[3].event, 2, "sorted by event");
    is_int(named[4].entry, 10, "sorted as numbers");

    is_int(test_named("{\"errors\":[{\"detail\":\"a \\u0000 in it\","
                      "\"source\":{\"pointer\":\"" ENTRY "1\"}}],"
                      "\"meta\":{\"a\":[{}]}}", 4),
           1, "a detail with NUL, members beside");

    is_int(test_named_n(ERRORS(ERROR(ENTRY "1") "," ERROR(ENTRY "1")),
                        sizeof(ERRORS(ERROR(ENTRY "1") ","
                                      ERROR(ENTRY "1"))) - 1, 4, 1),
           1, "as many as there is room for");
    is_int(test_named_n(ERRORS(ERROR(ENTRY "1") "," ERROR(ENTRY "2")),
                        sizeof(ERRORS(ERROR(ENTRY "1") ","
                                      ERROR(ENTRY "2"))) - 1, 4, 1),
           0, "more than there is room for: none");
}


static void
test_unusable(void)
{
    size_t             i;
    klaviyo_answer_t   answer;

    static const char *const  bad[] = {
        "",
        "null",
        "[]",
        "<html><body>Bad request</body></html>",
        "{}",
        "{\"errors\":[]}",
        "{\"errors\":{}}",
        "{\"errors\":[null]}",
        "{\"errors\":[[]]}",
        "{\"errors\":[{}]}",
        "{\"errors\":[{\"source\":\"" ENTRY "1\"}]}",
        "{\"errors\":[{\"source\":{\"parameter\":\"x\"}}]}",
        "{\"errors\":[{\"source\":{\"pointer\":1}}]}",
        ERRORS(ERROR(ENTRY "1")) "x",
        ERRORS(ERROR(ENTRY "1") ","),
        ERRORS(ERROR("/data")),
        ERRORS(ERROR("/data/attributes/profile")),
        ERRORS(ERROR(ENTRY)),
        ERRORS(ERROR(ENTRY "/")),
        ERRORS(ERROR(ENTRY "x")),
        ERRORS(ERROR(ENTRY "-1")),
        ERRORS(ERROR(ENTRY "+1")),
        ERRORS(ERROR(ENTRY " 1")),
        ERRORS(ERROR(ENTRY "01")),
        ERRORS(ERROR(ENTRY "00")),
        ERRORS(ERROR(ENTRY "1x")),
        ERRORS(ERROR(ENTRY "1.0")),
        ERRORS(ERROR(ENTRY "1\\u0000")),
        ERRORS(ERROR(ENTRY "4")),
        ERRORS(ERROR(ENTRY "999999999")),
        ERRORS(ERROR(ENTRY "1000000000")),
        ERRORS(ERROR(ENTRY "4294967296")),
        ERRORS(ERROR(ENTRY "4294967297")),
        ERRORS(ERROR(ENTRY "18446744073709551617")),
        ERRORS(ERROR(ENTRY "1" EVENT)),
        ERRORS(ERROR(ENTRY "1" EVENT "x")),
        ERRORS(ERROR(ENTRY "1" EVENT "-1")),
        ERRORS(ERROR(ENTRY "1" EVENT "01")),
        ERRORS(ERROR(ENTRY "1" EVENT "4294967295")),
        ERRORS(ERROR(ENTRY "1" EVENT "1x")),
        ERRORS(ERROR(ENTRY "1") ",{}"),
        ERRORS(ERROR(ENTRY "1") "," ERROR(ENTRY "4")),
        ERRORS(ERROR(ENTRY "1") "," ERROR("/data"))
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(test_named(bad[i], 4), 0, "unusable: %s", bad[i]);
    }

    test_answer(&answer, 400, ERRORS(ERROR(ENTRY "1")),
                sizeof(ERRORS(ERROR(ENTRY "1"))) - 1);
    is_int(klaviyo_reply_named(&answer, 2, named, 16), 1, "the whole body");
    is_int(klaviyo_reply_named(&answer, 2, named, 16), 1, "read once");
    klaviyo_reply_free(&answer);

    answer.body_cut = 1;
    is_int(klaviyo_reply_named(&answer, 2, named, 16), 0, "a body cut off");

    test_answer(&answer, 400, NULL, 0);
    is_int(klaviyo_reply_named(&answer, 2, named, 16), 0, "no body");
}


/* what would cost a parser more than an error is worth */

static void
test_large(void)
{
    char   *body;
    size_t  len;

    static const char  head[] = "{\"errors\":[" ERROR(ENTRY "1") "],\"x\":";

    body = malloc(KLAVIYO_REPLY_BODY_MAX + 1);
    len = sizeof(head) - 1;

    memcpy(body, head, len);
    memset(body + len, ' ', KLAVIYO_REPLY_BODY_MAX + 1 - len);
    memcpy(body + KLAVIYO_REPLY_BODY_MAX - 2, "1}", 2);

    is_int(test_named_n(body, KLAVIYO_REPLY_BODY_MAX, 4, 16), 1,
           "as large as may be");
    is_int(test_named_n(body, KLAVIYO_REPLY_BODY_MAX + 1, 4, 16), 0,
           "one byte more");

    memset(body + len, '[', 31);
    memset(body + len + 31, ']', 31);
    body[len + 62] = '}';
    is_int(test_named_n(body, len + 63, 4, 16), 1, "deep as may be");

    memset(body + len, '[', 32);
    memset(body + len + 32, ']', 32);
    body[len + 64] = '}';
    is_int(test_named_n(body, len + 65, 4, 16), 0, "a level more");

    memset(body + len, '[', KLAVIYO_REPLY_BODY_MAX - len);
    is_int(test_named_n(body, KLAVIYO_REPLY_BODY_MAX, 4, 16), 0,
           "nothing but brackets");

    free(body);
}


/* small, and many of them: each takes memory */

static void
test_many(void)
{
    char     body[KLAVIYO_REPLY_BODY_MAX];
    char    *p;
    size_t   i;

    /* with those around them 2048 objects and arrays */

    p = body + sprintf(body, "{\"errors\":[" ERROR(ENTRY "1") "],\"x\":[");

    for (i = 5; i < 2048; i++) {
        p += sprintf(p, "{},");
    }

    strcpy(p, "0]}");
    is_int(test_named(body, 4), 1, "as many as may be");

    strcpy(p, "{},0]}");
    is_int(test_named(body, 4), 0, "one more");
}


/*
 * All that is asked of an answer, which is read once: the event loop is held
 * for no more than 10 ms, in time of the processor.
 */

static void
test_time(void)
{
    char              *body, *p, text[256];
    long               us;
    size_t             n, i;
    struct timespec    from, to;
    klaviyo_answer_t   answer;

    static klaviyo_blamed_t  all[2000];

    body = malloc(KLAVIYO_REPLY_BODY_MAX + 256);
    p = body + sprintf(body, "{\"errors\":[");

    for (i = 0; p - body < KLAVIYO_REPLY_BODY_MAX - 128; i++) {
        p += sprintf(p, "%s{\"detail\":\"d\",\"source\":{\"pointer\":\"" ENTRY
                     "%u\"}}", i ? "," : "", (unsigned) i);
    }

    p += sprintf(p, "]}");

    test_answer(&answer, 400, body, (size_t) (p - body));

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);

    (void) klaviyo_reply_verdict(&answer);
    n = klaviyo_reply_named(&answer, 1000, all, 2000);
    klaviyo_reply_text(&answer, text, sizeof(text));

    for (i = 0; i < n; i++) {
        klaviyo_reply_detail(&answer, all[i].error, text, sizeof(text));
    }

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);

    klaviyo_reply_free(&answer);
    free(body);

    us = (to.tv_sec - from.tv_sec) * 1000000
         + (to.tv_nsec - from.tv_nsec) / 1000;

    ok(n > 500 && us < 10000 * tap_slow(),
       "the longest list, %u names, in %ld us", (unsigned) n, us);
}


/* every beginning of a body, and bodies with bytes changed */

static void
test_broken(void)
{
    char              body[256], text[64];
    size_t            i, n, len, usable;
    klaviyo_answer_t  answer;

    static const char  good[] = ERRORS(ERROR(ENTRY "1" EVENT "2"));

    len = sizeof(good) - 1;
    usable = 0;

    for (i = 0; i < len; i++) {
        usable += test_named_n(good, i, 4, 16);
    }

    is_int(usable, 0, "no beginning of a body is usable");

    usable = 0;

    for (i = 0; i < 50000; i++) {
        memcpy(body, good, len);

        for (n = test_random(4) + 1; n > 0; n--) {
            body[test_random(len)] = (char) test_random(256);
        }

        n = test_named_n(body, len, 4, 16);

        if (n > 1 || (n == 1 && named[0].entry >= 4)) {
            usable++;
        }

        test_answer(&answer, 400, body, len);
        n = test_random(sizeof(text) + 1);
        memset(text, 0x7f, sizeof(text));
        klaviyo_reply_text(&answer, text, n);
        klaviyo_reply_free(&answer);

        if (n > 0 && memchr(text, '\0', n) == NULL) {
            usable++;
        }

        for ( /* void */ ; n < sizeof(text); n++) {
            usable += (text[n] != 0x7f);
        }
    }

    is_int(usable, 0, "changed bytes name nothing that was not sent");
}


static void
test_text(unsigned status, const char *error, const char *body,
    const char *expected)
{
    char              buf[256];
    size_t            size;
    klaviyo_answer_t  answer;

    test_answer(&answer, status, body, body ? strlen(body) : 0);
    answer.error = error;

    klaviyo_reply_text(&answer, buf, sizeof(buf));
    is_str(buf, expected, "text: %s", expected);

    for (size = 1; size <= strlen(expected); size++) {
        memset(buf, 'x', sizeof(buf));
        klaviyo_reply_text(&answer, buf, size);

        if (strlen(buf) != size - 1 || memcmp(buf, expected, size - 1) != 0
            || buf[size] != 'x')
        {
            ok(0, "text: %s in %u bytes", expected, (unsigned) size);
            break;
        }
    }

    klaviyo_reply_free(&answer);

    ok(1, "text: %s in every size", expected);
}


static void
test_texts(void)
{
    char              buf[4];
    klaviyo_answer_t  answer;

    test_text(0, "Connection timed out", NULL,
              "no answer: \"Connection timed out\"");
    test_text(0, NULL, NULL, "no answer");
    test_text(503, NULL, NULL, "503");
    test_text(502, NULL, "<html>\033[31m</html>", "502");
    test_text(400, NULL,
              "{\"errors\":[{\"title\":\"Invalid input\",\"detail\":"
              "\"The phone number is invalid\"},{\"title\":\"second\"}]}",
              "400 \"Invalid input\"");
    test_text(400, NULL,
              "{\"errors\":[{\"title\":\"Invalid input\",\"detail\":"
              "\"a@b.c is invalid\",\"source\":{\"pointer\":\"/data\"}}]}",
              "400 \"Invalid input\" at \"/data\"");
    test_text(401, NULL,
              "{\"errors\":[{\"title\":\"Bad key\",\"detail\":"
              "\"Missing or invalid private key.\"}]}",
              "401 \"Bad key\": \"Missing or invalid private key.\"");
    test_text(503, NULL, "{\"errors\":[{\"detail\":\"alone\"}]}",
              "503: \"alone\"");
    test_text(409, NULL, "{\"errors\":[{\"title\":\"alone\",\"detail\":1}]}",
              "409 \"alone\"");
    test_text(400, NULL, "{\"errors\":[\"a\"]}", "400");
    test_text(401, NULL,
              "{\"errors\":[{\"title\":\"a\\u0000b\\n\\u001b[0m\\u007f\","
              "\"detail\":\"\\\"\303\274\\\\\"}]}",
              "401 \"a?b??[0m?\": \"'?\?\\\"");

    test_answer(&answer, 403, "{\"errors\":[{\"title\":\"x\"}]}", 26);
    answer.challenge = 1;
    buf[0] = 'x';
    klaviyo_reply_text(&answer, buf, 0);
    is_int(buf[0], 'x', "no room, nothing written");
}


/* in memory of its own, which is gone before the details are asked for */

static void
test_errors(klaviyo_answer_t *answer, const char *body, size_t len)
{
    uint8_t  *copy;

    copy = malloc(len + 1);
    memcpy(copy, body, len);

    test_answer(answer, 400, copy, len);
    (void) klaviyo_reply_verdict(answer);

    memset(copy, '!', len);
    free(copy);
}


static void
test_no_detail(const char *body, size_t len, const char *name)
{
    char              buf[64];
    klaviyo_answer_t  answer;

    test_errors(&answer, body, len);
    klaviyo_reply_detail(&answer, 0, buf, sizeof(buf));
    is_str(buf, "", "%s", name);
    klaviyo_reply_free(&answer);
}


static void
test_detail(const char *error, const char *expected, size_t size)
{
    int                      n;
    char                     body[256], buf[64];
    klaviyo_answer_t         answer;

    n = snprintf(body, sizeof(body), "{\"errors\":[%s]}", error);
    test_errors(&answer, body, (size_t) n);

    memset(buf, 'x', sizeof(buf));
    klaviyo_reply_detail(&answer, 0, buf, size);
    is_str(buf, expected, "detail in %u bytes: %s", (unsigned) size, error);
    is_int(buf[size], 'x', "no byte more");

    klaviyo_reply_free(&answer);
}


/* each event's dead letter quotes the error that names it */

static void
test_details(void)
{
    char                     buf[16];
    klaviyo_blamed_t          named[4];
    klaviyo_answer_t         answer;

    static const char  body[] =
        "{\"errors\":["
        "{\"detail\":\"of the third\",\"source\":{\"pointer\":"
        "\"" ENTRY "2\"}},"
        "{\"detail\":\"of the first\",\"source\":{\"pointer\":"
        "\"" ENTRY "0\"}},"
        "{\"detail\":\"once more\",\"source\":{\"pointer\":"
        "\"" ENTRY "2\"}}]}";

    test_answer(&answer, 400, body, sizeof(body) - 1);

    is_int(klaviyo_reply_named(&answer, 3, named, 4), 2, "two are named");
    is_int(named[0].error, 1, "the first one by the second error");
    is_int(named[1].error, 0, "the third one by the first error");

    klaviyo_reply_free(&answer);
    test_errors(&answer, body, sizeof(body) - 1);

    klaviyo_reply_detail(&answer, named[0].error, buf, sizeof(buf));
    is_str(buf, "of the first", "its detail");

    klaviyo_reply_detail(&answer, named[1].error, buf, sizeof(buf));
    is_str(buf, "of the third", "its detail");

    klaviyo_reply_detail(&answer, named[0].error, buf, sizeof(buf));
    is_str(buf, "of the first", "asked for again");

    klaviyo_reply_detail(&answer, 0, buf, 7);
    is_str(buf, "of the", "cut");

    klaviyo_reply_detail(&answer, 3, buf, sizeof(buf));
    is_str(buf, "", "no such error");

    klaviyo_reply_detail(&answer, UINT32_MAX, buf, sizeof(buf));
    is_str(buf, "", "nor such");

    memcpy(buf, "as it was", 10);
    klaviyo_reply_detail(&answer, 0, buf, 0);
    is_str(buf, "as it was", "no room");

    klaviyo_reply_free(&answer);

    test_answer(&answer, 400, body, sizeof(body) - 1);
    answer.body_cut = 1;
    klaviyo_reply_detail(&answer, 0, buf, sizeof(buf));
    is_str(buf, "", "a body cut off says nothing");
    klaviyo_reply_free(&answer);

    test_no_detail(body, sizeof(body) - 2, "nor does half a one");
    test_no_detail("{\"errors\":[]}", 13, "nor an empty list");
    test_no_detail("{\"errors\":{}}", 13, "nor what is no list");

    test_detail("{\"detail\":\"abc\"}", "abc", 4);
    test_detail("{\"detail\":\"abc\"}", "ab", 3);
    test_detail("{\"detail\":\"abc\"}", "", 1);
    test_detail("{\"detail\":\"a\303\274c\"}", "a\303\274", 4);
    test_detail("{\"detail\":\"a\303\274c\"}", "a", 3);
    test_detail("{\"detail\":\"a\303\274\"}", "a\303\274", 4);
    test_detail("{\"detail\":\"a\303\274\"}", "a", 3);
    test_detail("{\"detail\":\"\360\237\230\200\"}", "", 4);
    test_detail("{\"detail\":\"\360\237\230\200\"}", "\360\237\230\200", 5);
    test_detail("{\"detail\":\"a\\u0000bcdef\"}", "a", 5);
    test_detail("{\"detail\":\"a\\u0000bcdef\"}", "a", 20);
    test_detail("{\"detail\":\"a\\\"]}}]\"}", "a\"]}}]", 20);
    test_detail("{\"detail\":\"[[[[\\\\\"}", "[[[[\\", 20);
    test_detail("{\"detail\":\"\"}", "", 5);
    test_detail("{\"detail\":1}", "", 5);
    test_detail("{\"detail\":[\"a\"]}", "", 5);
    test_detail("{}", "", 5);
    test_detail("\"detail\"", "", 5);
    test_detail("null", "", 5);
}


static void
test_show(unsigned status, const char *detail, const char *expected)
{
    char              body[512], title[KLAVIYO_REPLY_TITLE];
    char              shown[KLAVIYO_REPLY_DETAIL];
    char              pointer[KLAVIYO_REPLY_POINTER];
    klaviyo_answer_t  answer;

    snprintf(body, sizeof(body), ERRORS("{\"title\":\"Invalid\\ninput\","
             "\"detail\":\"%s\",\"source\":{\"pointer\":\"/data/a\"}}"),
             detail);

    test_answer(&answer, status, body, strlen(body));

    ok(klaviyo_reply_show(&answer, title, shown, pointer) == 1
       && strcmp(title, "Invalid?input") == 0
       && strcmp(pointer, "/data/a") == 0
       && strcmp(shown, expected) == 0,
       "%u, \"%s\": shown as \"%s\"", status, detail, shown);

    klaviyo_reply_free(&answer);
}


/* as much of it as there is room for, and nothing behind that */

static void
test_long(void)
{
    char              body[1024], title[KLAVIYO_REPLY_TITLE + 8];
    char              shown[KLAVIYO_REPLY_DETAIL + 8];
    char              pointer[KLAVIYO_REPLY_POINTER];
    size_t            len;
    unsigned          i, n, wrong;
    klaviyo_answer_t  answer;

    wrong = 0;

    for (n = 0; n < 200; n++) {
        len = (size_t) sprintf(body, "{\"errors\":[{\"detail\":\"");

        for (i = 0; i < n; i++) {
            body[len++] = "it is so "[i % 9];
        }

        (void) strcpy(body + len, " and Jane is not shown, nor is Joe\"}]}");

        memset(shown, 'x', sizeof(shown));
        test_answer(&answer, 400, body, strlen(body));
        wrong += klaviyo_reply_show(&answer, title, shown, pointer) != 1
                 || memchr(shown, '\0', KLAVIYO_REPLY_DETAIL) == NULL
                 || (n > KLAVIYO_REPLY_DETAIL
                     && strlen(shown) != KLAVIYO_REPLY_DETAIL - 1)
                 || shown[KLAVIYO_REPLY_DETAIL] != 'x'
                 || shown[KLAVIYO_REPLY_DETAIL + 1] != 'x';
        klaviyo_reply_free(&answer);
    }

    is_int(wrong, 0, "details of all lengths are cut");

    memset(body, '~', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    memset(title, 'x', sizeof(title));
    test_answer(&answer, 0, NULL, 0);
    answer.error = body;
    (void) klaviyo_reply_show(&answer, title, shown, pointer);
    is_mem(title, strnlen(title, KLAVIYO_REPLY_TITLE), body,
           KLAVIYO_REPLY_TITLE - 1, "as much of an error");
    is_int(title[KLAVIYO_REPLY_TITLE], 'x', "and nothing behind it");
    klaviyo_reply_free(&answer);
}


/* of a refusal, nothing that may be somebody's */

static void
test_shows(void)
{
    char              title[KLAVIYO_REPLY_TITLE];
    char              detail[KLAVIYO_REPLY_DETAIL];
    char              pointer[KLAVIYO_REPLY_POINTER];
    klaviyo_answer_t  answer;

    test_show(400, "Invalid email address.", "Invalid email address.");
    test_show(400, "Invalid email jane@shop.test given",
              "Invalid email ... given");
    test_show(400, "'Jane Doe' is not a valid name", "... is not a valid name");
    test_show(400, "The value \\\"jane\\\" is wrong", "The value ... is wrong");
    test_show(400, "Name Jane Mary Doe is too long", "Name ... is too long");
    test_show(400, "it's 'it is jane's' own", "... own");
    test_show(400, "Number +49 151 23456 is no phone",
              "Number ... is no phone");
    test_show(400, "'jane", "...");
    test_show(400, "", "");
    test_show(400, "   ", "");
    test_show(413, "jane@shop.test", "...");
    test_show(403, "Scope events:write is missing", "Scope events:write is "
              "missing");

    test_answer(&answer, 403, "<html>", 6);
    ok(klaviyo_reply_show(&answer, title, detail, pointer) == 0
       && title[0] == '\0' && detail[0] == '\0', "none of Klaviyo's words");
    klaviyo_reply_free(&answer);

    test_answer(&answer, 0, NULL, 0);
    answer.error = "Couldn't connect\033";
    ok(klaviyo_reply_show(&answer, title, detail, pointer) == 0
       && strcmp(title, "Couldn't connect?") == 0, "why there is no answer");
}


int
main(void)
{
    test_verdicts();
    test_shows();
    test_show(400, "of joes' own words' end", "of ... end");
    test_long();
    test_details();
    test_names();
    test_unusable();
    test_large();
    test_many();
    test_time();
    test_broken();
    test_texts();

    return done_testing();
}
