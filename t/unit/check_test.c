/*
 * json/klaviyo_check.c: emails, phone numbers, metrics.
 */


#include "json/klaviyo_check.h"
#include "json/klaviyo_value.h"
#include "label.h"
#include "tap.h"


static void
test_emails(void)
{
    size_t  i;
    char    longest[KLAVIYO_EMAIL_MAX + 2];

    static const char  *good[] = {
        "a@b.co", "jane.doe+tag@shop.example.org", "o'hara@mail.example",
        "x_y-z@sub-domain.example", "1@2.example", "a@xn--bcher-kva.example",
        "!#$%&'*+-/=?^_`{|}~@example.org", "A@B.CO", "a@1.2.org"
    };

    static const char  *bad[] = {
        "", "a", "@", "a@", "@b.co", "a@b", "a@b.", "a@.co", "a@b..co",
        "root@localhost",
        "a@@b.co", "a@b@c.co", ".a@b.co", "a.@b.co", "a..b@c.co", "a b@c.co",
        " a@b.co", "a@b.co ", "a@b.co\n", "a\t@b.co", "\"a\"@b.co",
        "a@[1.2.3.4]", "<a@b.co>", "a,b@c.co", "a;b@c.co", "a:b@c.co",
        "a(b)@c.co", "a\\@b.co", "a@-b.co", "a@b-.co", "a@b_c.co", "a@b.c",
        "a@1.2.3.4", "a@b.c0\x7f", "\xc3\xa9@b.co", "a@\xc3\xa9.co",
        "a@b.co,c@d.co", "undefined", "null", "a%40b.co"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(klaviyo_value_is_email((const uint8_t *) good[i],
                                  strlen(good[i])),
           "email %s", label(good[i]));
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!klaviyo_value_is_email((const uint8_t *) bad[i],
                                   strlen(bad[i])),
           "no email %s", label(bad[i]));
    }

    ok(!klaviyo_value_is_email((const uint8_t *) "a\0b@c.co", 8),
       "no email: NUL");
    ok(!klaviyo_value_is_email((const uint8_t *) "a@c.co\0", 7),
       "no email: NUL at the end");

    memset(longest, 'a', sizeof(longest));
    longest[50] = '@';
    memcpy(longest + sizeof(longest) - 5, ".orgg", 5);
    ok(klaviyo_value_is_email((uint8_t *) longest, KLAVIYO_EMAIL_MAX),
       "the longest email");
    ok(!klaviyo_value_is_email((uint8_t *) longest, KLAVIYO_EMAIL_MAX + 1),
       "no longer email");

    longest[50] = 'a';
    longest[64] = '@';
    ok(klaviyo_value_is_email((uint8_t *) longest, KLAVIYO_EMAIL_MAX),
       "64 bytes before the @");

    longest[64] = 'a';
    longest[65] = '@';
    ok(!klaviyo_value_is_email((uint8_t *) longest, KLAVIYO_EMAIL_MAX),
       "65 bytes before the @");

    longest[65] = 'a';
    longest[1] = '@';
    ok(!klaviyo_value_is_email((uint8_t *) longest, KLAVIYO_EMAIL_MAX),
       "a domain's label of more than 63 bytes");
}


static void
check_phone(const char *in, int expected)
{
    is_int(klaviyo_value_is_phone((const uint8_t *) in, strlen(in)), expected,
           "phone %s", label(in));
}


static void
check_metric(const char *in, size_t len, int expected, const char *name)
{
    is_int(klaviyo_value_is_metric((const uint8_t *) in, len), expected,
           "metric: %s", name);
}


static void
test_checks(void)
{
    int   i;
    char  text[3 * 128];

    check_phone("+15005550006", 1);
    check_phone("+12345678", 1);
    check_phone("+123456789012345", 1);
    check_phone("+1234567", 0);
    check_phone("+1234567890123456", 0);
    check_phone("15005550006", 0);
    check_phone("+05005550006", 0);
    check_phone("+1 5005550006", 0);
    check_phone("+1-500-555-0006", 0);
    check_phone("+15005550006 ", 0);
    check_phone("++5005550006", 0);
    check_phone("+1500555000x", 0);
    check_phone("+", 0);
    check_phone("", 0);

    check_metric("Viewed Product", 14, 1, "a name");
    check_metric("x", 1, 1, "one character");
    check_metric("", 0, 0, "empty");
    check_metric(" \t", 2, 0, "blank");
    check_metric("a\nb", 3, 0, "a control character");
    check_metric("a\0b", 3, 0, "NUL");
    check_metric("a\x7f", 2, 0, "DEL");
    check_metric("a\xff", 2, 0, "invalid UTF-8");
    check_metric("a\xe2\x82", 3, 0, "UTF-8 cut short");

    for (i = 0; i < 128; i++) {
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    }

    check_metric(text, 3 * 127, 1, "127 characters of three bytes");
    check_metric(text, 3 * 128, 0, "128 characters");
    memset(text, 'm', 128);
    check_metric(text, 127, 1, "127 letters");
    check_metric(text, 128, 0, "128 letters");
}


int
main(void)
{
    test_emails();
    test_checks();

    return done_testing();
}
