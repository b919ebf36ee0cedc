/*
 * json/klaviyo_time.c: times in and out of text.
 */


#include <time.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "label.h"
#include "tap.h"


#define NOW    INT64_C(1784116800)           /* 2026-07-15T12:00:00Z        */
#define GUARD  0xa5


static void
check_time(const char *in, int64_t expected)
{
    int64_t             t;
    klaviyo_value_rc_e  rc;

    t = -1;
    rc = klaviyo_value_time((const uint8_t *) in, strlen(in), NOW, 0, &t);

    is_int(t, expected, "time %s", label(in));
    is_int(rc, expected == -1 ? KLAVIYO_VALUE_BAD : KLAVIYO_VALUE_OK,
           "time %s: code", label(in));
}


static void
test_times(void)
{
    size_t   i;
    int64_t  t;

    static const char  *bad[] = {
        "now", "-", "-1", "0", "662687999", "1790000000.", "1790000000.x",
        "1790000000.1.2", ".5", "1790000000 1", "+1790000000", "1e9",
        "18446744075493668416",
        "99999999999999999999999999999999", "9999-", "2026-",
        "2026-07-15", "2026-07-15T12", "2026-07-15T12:0Z",
        "2026-7-15T12:00:00Z", "20260715T120000Z", "2026-07-15_12:00:00Z",
        "2026/07/15T12:00:00Z", "2026-07-15T12-00-00Z",
        "2026-00-15T12:00:00Z", "2026-13-15T12:00:00Z",
        "2026-07-00T12:00:00Z", "2026-07-32T12:00:00Z",
        "2026-06-31T12:00:00Z", "2026-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z", "1900-02-29T12:00:00Z",
        "2026-07-15T24:00:00Z", "2026-07-15T12:60:00Z",
        "2026-07-15T12:00:60Z", "2026-07-15T12:00:61Z",
        "2016-12-31T23:59:60+01:00", "2016-12-31T23:59:61Z",
        "2026-07-15T12:00:00.Z", "2026-07-15T12:00:00 x",
        "2026-07-15T12:00:00ZZ", "2026-07-15T12:00:00 ZZ",
        "2026-07-15T12:00:00+", "2026-07-15T12:00:00+2",
        "2026-07-15T12:00:00+2:00", "2026-07-15T12:00:00+02:0",
        "2026-07-15T12:00:00+02:000", "2026-07-15T12:00:00+24:00",
        "2026-07-15T12:00:00+02:60", "2026-07-15T12:00:00*02:00",
        "2026-07-15T12:00:00+0x:00", "2026-07-15T12:00:00+02:00Z",
        "2026-07-15T1a:00:00Z", "202a-07-15T12:00:00Z",
        "1990-12-31T23:59:59Z", "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "1991-01-01T00:00:00+00:01"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_time(bad[i], -1);
    }

    check_time("1784116800", NOW);
    check_time(" 1784116800\n", NOW);
    check_time("1784116800.999", NOW);
    check_time("0001784116800", NOW);
    check_time("662688000", 662688000);
    check_time("2026-07-15T12:00:00Z", NOW);
    check_time("2026-07-15t12:00:00z", NOW);
    check_time("2026-07-15 12:00:00+00", NOW);
    check_time("2026-07-15T12:00:00.123456789Z", NOW);
    check_time("2026-07-15T12:00:00,5Z", NOW);
    check_time("2026-07-15T12:00:00-00:00", NOW);
    check_time("2026-07-15T14:00:00+02:00", NOW);
    check_time("2026-07-15T14:00:00+0200", NOW);
    check_time("2026-07-15T14:00:00.5+02", NOW);
    check_time("2026-07-15T08:30:00-03:30", NOW);
    check_time("2026-07-16T02:00:00+14:00", NOW);
    check_time("2026-07-15T00:00:00-12:00", NOW);
    check_time("1991-01-01T00:00:00Z", 662688000);
    check_time("2000-02-29T00:00:00Z", 951782400);
    check_time("2024-02-29T23:59:59Z", 1709251199);
    check_time("2024-03-01T00:00:00Z", 1709251200);
    check_time("2016-12-31T23:59:60Z", 1483228800);
    check_time("2017-01-01T00:59:60+01:00", 1483228800);

    check_time("1784116800999", NOW);
    check_time("662688000000", 662688000);
    check_time("2026-07-15T12:00:00", NOW);
    check_time("2026-07-15 12:00:00", NOW);
    check_time("2026-07-15T12:00:00.5", NOW);
    check_time("2026-07-15T12:00Z", NOW);
    check_time("2026-07-15T12:00", NOW);
    check_time("2026-07-15T12:00:00 Z", NOW);
    check_time("2026-07-15 12:00:00 UTC", NOW);
    check_time("2026-07-15 14:00:00 +0200", NOW);

    /* RFC 5322, HTTP and its forms of old */

    check_time("Wed, 15 Jul 2026 12:00:00 GMT", NOW);
    check_time("Wed, 15 Jul 2026 12:00:00 +0000", NOW);
    check_time("Wed, 15 Jul 2026 14:00:00 +0200 (CEST)", NOW);
    check_time("wed, 15 jul 2026 08:00:00 edt", NOW);
    check_time("15 Jul 2026 12:00 -0000", NOW);
    check_time("15 Jul 2026 12:00:00", NOW);
    check_time("Wednesday, 15-Jul-26 12:00:00 GMT", NOW);
    check_time("Wed Jul 15 12:00:00 2026", NOW);
    check_time("Fri Jul  3 12:00:00 2026", NOW - 12 * 86400);
    check_time("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);

    check_time("30 Apr 2026 12:00:00", NOW - 76 * 86400);
    check_time("31 Apr 2026 12:00:00", -1);
    check_time("31 Jun 2026 12:00:00", -1);
    check_time("31 Sep 2025 12:00:00", -1);
    check_time("31 Nov 2025 12:00:00", -1);
    check_time("29 Feb 2026 12:00:00", -1);
    check_time("Wed, 15 Jul 2026", -1);
    check_time("Wed, 15 Jul 2026 12", -1);
    check_time("Wed, 15 Jul 2026 12:00:00 XST", -1);
    check_time("Wed, 15 Jul 2026 12:00:00 +0200 CEST)", -1);
    check_time("Wed, 32 Jul 2026 12:00:00 GMT", -1);
    check_time("Wed, 15 Jux 2026 12:00:00 GMT", -1);
    check_time("Wed, 15 Jul 226 12:00:00 GMT", -1);
    check_time("Wed, 15 Jul 20266 12:00:00 GMT", -1);
    check_time("Foo, 15 Jul 2026 12:00:00 GMT", -1);
    check_time("Wed Jul 15 12:00:00 2026 GMT", -1);
    check_time("Wed,", -1);
    check_time("Jul", -1);
    check_time("15", -1);
    check_time("12:", -1);

    /* what names no zone */

    is_int(klaviyo_value_time((const uint8_t *) "2026-07-15 14:00:00", 19,
                              NOW, 7200, &t),
           KLAVIYO_VALUE_OK, "time: a zone of the configuration");
    is_int(t, NOW, "time: a zone of the configuration: seconds");
    is_int(klaviyo_value_time((const uint8_t *) "2026-07-15 12:00:00Z", 20,
                              NOW, 7200, &t),
           KLAVIYO_VALUE_OK, "time: a zone of its own");
    is_int(t, NOW, "time: a zone of its own: seconds");
    is_int(klaviyo_value_time((const uint8_t *) "1784116800", 10, NOW, 7200,
                              &t),
           KLAVIYO_VALUE_OK, "time: seconds have no zone");
    is_int(t, NOW, "time: seconds have no zone: seconds");

    /* at most a year ahead */

    check_time("2027-07-15T12:00:00Z", NOW + 31536000);
    check_time("2027-07-15T12:00:01Z", -1);
    check_time("1815652800", NOW + 31536000);
    check_time("1815652801", -1);

    /* a century's leap year is none */

    is_int(klaviyo_value_time((const uint8_t *) "2100-02-29T00:00:00Z", 20,
                              INT64_C(4107542400), 0, &t),
           KLAVIYO_VALUE_BAD, "time: 2100-02-29");
    is_int(klaviyo_value_time((const uint8_t *) "2100-03-01T00:00:00Z", 20,
                              INT64_C(4107542400), 0, &t),
           KLAVIYO_VALUE_OK, "time: 2100-03-01");
    is_int(t, INT64_C(4107542400), "time: 2100-03-01: seconds");

    t = 7;
    is_int(klaviyo_value_time((const uint8_t *) "", 0, NOW, 0, &t),
           KLAVIYO_VALUE_EMPTY, "time: empty");
    is_int(klaviyo_value_time((const uint8_t *) " \t", 2, NOW, 0, &t),
           KLAVIYO_VALUE_EMPTY, "time: blank");
    is_int(klaviyo_value_time((const uint8_t *) "1784116800\0", 11, NOW, 0, &t),
           KLAVIYO_VALUE_BAD, "time: NUL");
    is_int(t, 7, "time: untouched");
}


static void
check_format(int64_t t, const char *expected)
{
    uint8_t  out[KLAVIYO_TIME_LEN + 2];

    memset(out, GUARD, sizeof(out));
    klaviyo_value_format_time(out + 1, t);

    is_mem(out + 1, KLAVIYO_TIME_LEN, expected, strlen(expected),
           "format %s", expected);
    ok(out[0] == GUARD && out[KLAVIYO_TIME_LEN + 1] == GUARD,
       "format %s: nothing around", expected);
}


static void
test_formats(void)
{
    int        wrong;
    char       expected[64];
    time_t     c;
    int64_t    t, back;
    uint8_t    out[KLAVIYO_TIME_LEN];
    struct tm  tm;

    check_format(NOW, "2026-07-15T12:00:00+00:00");
    check_format(0, "1970-01-01T00:00:00+00:00");
    check_format(951782399, "2000-02-28T23:59:59+00:00");
    check_format(951782400, "2000-02-29T00:00:00+00:00");
    check_format(INT64_C(253402300799), "9999-12-31T23:59:59+00:00");
    check_format(INT64_MAX, "9999-12-31T23:59:59+00:00");
    check_format(-1, "1970-01-01T00:00:00+00:00");
    check_format(INT64_MIN, "1970-01-01T00:00:00+00:00");

    /*
     * steps of less than a day over 230 years, as the C library has it: with
     * a time_t of 32 bits until 2038
     */

    wrong = 0;

    for (t = 662688000; t < INT64_C(7920000000); t += 86399) {
        c = (time_t) t;

        if (c != t) {
            break;
        }

        gmtime_r(&c, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S+00:00", &tm);

        klaviyo_value_format_time(out, t);
        wrong += (memcmp(out, expected, KLAVIYO_TIME_LEN) != 0);

        back = 0;
        klaviyo_value_time(out, KLAVIYO_TIME_LEN, t, 0, &back);
        wrong += (back != t);
    }

    is_int(wrong, 0, "format and read of every day");
}


int
main(void)
{
    test_times();
    test_formats();

    return done_testing();
}
