/*
 * json/klaviyo_amount.c, klaviyo_currency.c, klaviyo_phone.c, klaviyo_idn.c:
 * what people write for programs to read.
 */


#include "json/klaviyo_amount.h"
#include "json/klaviyo_idn.h"
#include "json/klaviyo_phone.h"
#include "label.h"
#include "tap.h"


#define GUARD  0xa5


/* expected NULL: it is no amount */

static void
check(const char *in, const char *currency, int minor, char decimal,
    const char *expected)
{
    size_t                 len;
    uint8_t                code[KLAVIYO_CURRENCY_LEN];
    uint8_t                out[KLAVIYO_AMOUNT_LEN + 1];
    klaviyo_value_rc_e     rc;
    klaviyo_amount_form_t  form;

    memset(&form, 0, sizeof(form));
    memset(out, GUARD, sizeof(out));

    form.decimals = currency ? klaviyo_currency((const uint8_t *) currency,
                                                strlen(currency), code)
                             : -1;
    form.currency = currency ? code : NULL;
    form.minor = minor;
    form.decimal = (uint8_t) decimal;

    len = 0;
    rc = klaviyo_amount_read(&form, tap_guarded(in, strlen(in)), strlen(in),
                             out, &len);

    is_int(rc, expected ? *expected ? KLAVIYO_VALUE_OK : KLAVIYO_VALUE_EMPTY
                        : KLAVIYO_VALUE_BAD,
           "amount %s", label(in));
    is_mem(out, len, expected ? expected : "",
           expected ? strlen(expected) : 0, "amount %s: read", label(in));
    ok(out[KLAVIYO_AMOUNT_LEN] == GUARD, "amount %s: nothing behind",
       label(in));
}


static void
test_amounts(void)
{
    size_t  i;

    static const char  *bad[] = {
        "free", "-", "$", "EUR", "1,234", "1.2.3", "1,23,4", "1,2345,678",
        "1,234.567,89", "1.234 567", "12 34", "1 2", "0x10", "1.", "1,",
        "10.00.", "1''234", "1,,234", "--1", "1-", "$$1", "$1 2$ 3", "NaN",
        "1e400", "1e999", "12abc", "0 500", "01,234,567", "1,234,56",
        "9999999999999999999999", "10USDX", "10 XXX", "\xe2\x82", "\xff" "1",
        "1_000", "12:30", "1/2", "50%", "1,2,3.4", "123456,789.00",
        "99999999999999999999999999999999999999999.99"
    };

    check("", NULL, 0, 0, "");
    check(" \xc2\xa0 ", NULL, 0, 0, "");

    /* JSON numbers are as they are */

    check("19.90", "USD", 0, 0, "19.90");
    check("-0.50", NULL, 0, 0, "-0.50");
    check("1e3", "USD", 0, 0, "1e3");
    check("4999", "USD", 0, 0, "4999");
    check("1.234", "USD", 0, 0, "1.234");
    check("139.980", "KWD", 0, 0, "139.980");
    check("1234.567", "CLP", 0, 0, "1234.567");
    check("10.00", "JPY", 0, 0, "10.00");
    check("0.123", "JPY", 0, 0, "0.123");

    /* symbols, codes, signs */

    check("\xe2\x82\xac" "49.00", "EUR", 0, 0, "49.00");
    check("49,00 \xe2\x82\xac", "EUR", 0, 0, "49.00");
    check("49,00\xc2\xa0\xe2\x82\xac", NULL, 0, 0, "49.00");
    check("$19.90", "USD", 0, 0, "19.90");
    check("US$ 19.90", "USD", 0, 0, "19.90");
    check("$19.90 USD", "USD", 0, 0, "19.90");
    check("usd 19.90", "USD", 0, 0, "19.90");
    check("10EUR", "EUR", 0, 0, "10");
    check("10EUR", NULL, 0, 0, "10");
    check("1 234,50 kr", "SEK", 0, 0, "1234.50");
    check("1 234,50 kr.", "DKK", 0, 0, "1234.50");
    check("kr 1 234,50", "NOK", 0, 0, "1234.50");
    check("Rs. 1,23,456.00", "INR", 0, 0, "123456.00");
    check("1 234,56 z\xc5\x82", "PLN", 0, 0, "1234.56");
    check("R$ 1.234,56", "BRL", 0, 0, "1234.56");
    check("\xc2\xa5" "3,350,000", "JPY", 0, 0, "3350000");
    check("-33,95", NULL, 0, 0, "-33.95");
    check("-\xe2\x82\xac" "33.95", "EUR", 0, 0, "-33.95");
    check("\xe2\x82\xac-33.95", "EUR", 0, 0, "-33.95");
    check("\xe2\x88\x92" "33,95", NULL, 0, 0, "-33.95");

    check("49,-", NULL, 0, 0, "49");
    check("49,- \xe2\x82\xac", "EUR", 0, 0, "49");
    check("-49,--", NULL, 0, 0, "-49");
    check("CHF 1'234.\xe2\x80\x93", "CHF", 0, 0, "1234");
    check("1.234,\xe2\x80\x94", NULL, 0, 0, "1234");
    check("1,234.-", NULL, 0, '.', "1234");
    check("1.234,-", NULL, 0, '.', NULL);
    check("1,234,-", NULL, 0, 0, NULL);
    check("49,---", NULL, 0, 0, NULL);
    check("49-", NULL, 0, 0, NULL);
    check(",-", NULL, 0, 0, NULL);
    check("4999,-", "EUR", 1, 0, NULL);
    check("+33,95", NULL, 0, 0, "33.95");

    /* another currency's */

    check("10EUR", "USD", 0, 0, NULL);
    check("\xe2\x82\xac" "49.00", "USD", 0, 0, NULL);
    check("USD 10", "EUR", 0, 0, NULL);

    /* separators */

    check("4,998.00", "USD", 0, 0, "4998.00");
    check("4.998,00", "EUR", 0, 0, "4998.00");
    check("1 234,56", "EUR", 0, 0, "1234.56");
    check("1\xc2\xa0" "234,56", "EUR", 0, 0, "1234.56");
    check("1\xe2\x80\xaf" "234,56", "EUR", 0, 0, "1234.56");
    check("1'234.50", "CHF", 0, 0, "1234.50");
    check("1\xe2\x80\x99" "234.50", "CHF", 0, 0, "1234.50");
    check("1 234", NULL, 0, 0, "1234");
    check("1,234,567", NULL, 0, 0, "1234567");
    check("1.234.567", NULL, 0, 0, "1234567");
    check("12,34,567", NULL, 0, 0, "1234567");
    check("1.234,567", NULL, 0, 0, "1234.567");
    check("12,5", NULL, 0, 0, "12.5");
    check("1234,567", NULL, 0, 0, "1234.567");
    check("0,500", NULL, 0, 0, "0.500");
    check(".50", NULL, 0, 0, "0.50");
    check(",50", NULL, 0, 0, "0.50");
    check("007.50", NULL, 0, 0, "7.50");
    check(" 19,90\r\n", NULL, 0, 0, "19.90");

    /* what can be two things */

    check("139.980", "CLP", 0, 0, NULL);
    check("139.980", "CLP", 0, ',', "139980");
    check("139.980", "CLP", 0, '.', "139.980");
    check("$139.980", "CLP", 0, 0, NULL);
    check("1,234", "USD", 0, ',', "1.234");
    check("1,234", "USD", 0, '.', "1234");
    check("1.234", "EUR", 0, ',', "1234");
    check("1.234", "EUR", 0, '.', "1.234");
    check("19.90", "EUR", 0, ',', "19.90");
    check("-1.234 \xe2\x82\xac", "EUR", 0, ',', "-1234");

    /* minor units */

    check("4999", "USD", 1, 0, "49.99");
    check("4999", "JPY", 1, 0, "4999");
    check("4999", "KWD", 1, 0, "4.999");
    check("4999", "CLF", 1, 0, "0.4999");
    check("5", "USD", 1, 0, "0.05");
    check("0", "USD", 1, 0, "0.00");
    check("-4999", "usd", 1, 0, "-49.99");
    check("4999.5", "USD", 1, 0, "49.995");
    check("4 999 USD", "USD", 1, 0, "49.99");
    check("4999", NULL, 1, 0, NULL);
    check("4,999", "USD", 1, 0, NULL);
    check("4.999", "USD", 1, 0, NULL);
    check("1e3", "USD", 1, 0, NULL);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check(bad[i], NULL, 0, 0, NULL);
    }
}


static void
check_currency(const char *in, int decimals, const char *code)
{
    uint8_t  out[KLAVIYO_CURRENCY_LEN] = { '-', '-', '-' };

    is_int(klaviyo_currency((const uint8_t *) in, strlen(in), out), decimals,
           "currency %s", label(in));
    is_mem(out, sizeof(out), code ? code : "---", 3, "currency %s: code",
           label(in));
}


static void
test_currencies(void)
{
    check_currency("USD", 2, "USD");
    check_currency(" vnd\n", 0, "VND");
    check_currency("eUr", 2, "EUR");
    check_currency("AED", 2, "AED");
    check_currency("ZWL", 2, "ZWL");
    check_currency("BHD", 3, "BHD");
    check_currency("CLF", 4, "CLF");
    check_currency("US", -1, NULL);
    check_currency("USDT", -1, NULL);
    check_currency("U$D", -1, NULL);
    check_currency("$", -1, NULL);
    check_currency("euro", -1, NULL);
    check_currency("XXX", -1, NULL);
    check_currency("", -1, NULL);
}


static void
check_symbol(const char *in, const char *expected)
{
    int      is;
    uint8_t  code[KLAVIYO_CURRENCY_LEN + 1];

    memset(code, 0, sizeof(code));
    is = klaviyo_amount_currency((const uint8_t *) in, strlen(in), code);

    is_int(is, expected != NULL, "%s has a currency of its own", label(in));
    is_mem(code, strlen((char *) code), expected ? expected : "",
           expected ? 3 : 0, "that of %s", label(in));
}


static void
test_symbols(void)
{
    check_symbol("\xe2\x82\xac" "49.00", "EUR");
    check_symbol("49,00\xc2\xa0\xe2\x82\xac", "EUR");
    check_symbol("-\xe2\x82\xac" "3", "EUR");
    check_symbol(" 1'234.50 chf ", "CHF");
    check_symbol("CA$49.00", "CAD");
    check_symbol("$49.00", NULL);
    check_symbol("49 kr", NULL);
    check_symbol("49.00", NULL);
    check_symbol("\xe2\x82\xac", NULL);
    check_symbol("", NULL);
}


static void
check_phone(const char *in, unsigned country, const char *expected)
{
    size_t   len;
    uint8_t  out[KLAVIYO_PHONE_LEN + 1];

    memset(out, GUARD, sizeof(out));

    len = klaviyo_phone((const uint8_t *) in, strlen(in), country, out);

    is_mem(out, len, expected ? expected : "",
           expected ? strlen(expected) : 0, "phone %s", label(in));
    ok(out[KLAVIYO_PHONE_LEN] == GUARD, "phone %s: nothing behind",
       label(in));
}


static void
test_phones(void)
{
    check_phone("+44 7911 123456", 0, "+447911123456");
    check_phone("+1-555-123-4567", 0, "+15551234567");
    check_phone("+1 (555) 123.4567", 0, "+15551234567");
    check_phone("0044 7911 123456", 0, "+447911123456");
    check_phone("00 44 7911 123456", 0, "+447911123456");
    check_phone("+44 (0)20 7946 0018", 0, "+442079460018");
    check_phone("0044(0)2079460018", 0, "+442079460018");
    check_phone("+49\xc2\xa0" "151\xe2\x80\x93" "12345678", 0,
                "+4915112345678");
    check_phone("+4915112345678\xe2\x80\x93", 0, "+4915112345678");
    check_phone("+49151\xe3\x80\x90" "12345678", 0, NULL);
    check_phone("+49151\xe2\x81\x90" "12345678", 0, NULL);
    check_phone("+123456789012345", 0, "+123456789012345");
    check_phone("+1234567890123456", 0, NULL);
    check_phone("(312) 345-6789", 0, NULL);
    check_phone("(312) 345-6789", 49, NULL);
    check_phone("15551234567", 0, NULL);
    check_phone("030 1234567", 0, NULL);
    check_phone("030/1234567", 49, "+49301234567");
    check_phone("(0) 20 7946 0018", 44, "+442079460018");
    check_phone("0151 12345678", 49, "+4915112345678");
    check_phone("06 69812345", 39, "+390669812345");
    check_phone("0123 456 7890 123", 49, "+491234567890123");
    check_phone("0123 456 7890 1234", 49, NULL);
    check_phone("0912 345 678", 598, "+598912345678");
    check_phone("06 20 123 4567", 36, NULL);
    check_phone("0555 12", 49, NULL);
    check_phone("+1 555 CALL NOW", 0, NULL);
    check_phone("+1+5551234567", 0, NULL);
    check_phone("+", 0, NULL);
    check_phone("0", 49, NULL);
    check_phone("00", 49, NULL);
    check_phone("", 49, NULL);
    check_phone("()", 0, NULL);

    ok(klaviyo_phone_country(49) && klaviyo_phone_country(39),
       "countries with a zero");
    ok(!klaviyo_phone_country(1) && !klaviyo_phone_country(36)
       && !klaviyo_phone_country(0), "others");
}


static void
check_email(const char *in, const char *expected)
{
    size_t   len;
    uint8_t  out[KLAVIYO_IDN_LEN + 1];

    memset(out, GUARD, sizeof(out));

    len = klaviyo_idn_email((const uint8_t *) in, strlen(in), out);

    is_mem(out, len, expected ? expected : "",
           expected ? strlen(expected) : 0, "email %s", label(in));
    ok(out[KLAVIYO_IDN_LEN] == GUARD, "email %s: nothing behind", label(in));
}


static void
test_emails(void)
{
    int      i;
    char     text[300], longest[KLAVIYO_IDN_LEN + 1];
    uint8_t  out[KLAVIYO_IDN_LEN];

    check_email("info@b\xc3\xbc" "cher.example",
                "info@xn--bcher-kva.example");
    check_email("info@B\xc3\x9c" "CHER.example",
                "info@xn--bcher-kva.example");
    check_email("a@stra\xc3\x9f" "e.example", "a@xn--strae-oqa.example");
    check_email("a@bu\xcc\x88" "cher.example", "a@xn--bcher-kva.example");
    check_email("a@b.example", NULL);
    check_email("a", NULL);
    check_email("", NULL);
    check_email("a@", NULL);
    check_email("\xc3\xbc@", NULL);
    check_email("a@\xff.example", NULL);
    check_email("a@\xc3\xbc", "a@xn--tda");

    memset(text, 'a', 92);
    strcpy(text + 92, "@xn--tda");
    strcpy(longest, text);
    strcpy(text + 92, "@\xc3\xbc");
    check_email(text, longest);
    strcpy(text + 92, "a@\xc3\xbc");
    check_email(text, NULL);

    is_int(klaviyo_idn_email((const uint8_t *) "a@\xc3\xbc\0b", 6, out), 0,
           "email with NUL");
    is_int(klaviyo_idn_email((const uint8_t *) "a@\0\xc3\xbc" "b", 6, out), 0,
           "at the beginning of its domain");

    for (i = 0; i < 130; i++) {
        memcpy(text + 2 + 2 * i, "\xc3\xbc", 2);
    }

    memcpy(text, "a@", 2);
    text[262] = '\0';
    check_email(text, NULL);
    text[122] = '\0';
    check_email(text, NULL);
}


int
main(void)
{
    test_amounts();
    test_currencies();
    test_symbols();
    test_phones();
    test_emails();

    return done_testing();
}
