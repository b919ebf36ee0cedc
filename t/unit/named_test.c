/*
 * json/klaviyo_named.c: events in the text of a header; and
 * json/klaviyo_form.c: fields of a form.
 */


#include <stdlib.h>

#include "json/klaviyo_form.h"
#include "json/klaviyo_named.h"
#include "label.h"
#include "tap.h"


static const char  *members[] = {
    "metric", "value", "value_currency", "unique_id", "time", "backfill",
    "profile", "properties"
};


/* the members of all events: "metric=..;value=..|..", "?" for a bad one */

static void
check(const char *json, const char *expected)
{
    int                    i;
    char                   out[1024], *p;
    size_t                 len;
    uint8_t               *text;
    klaviyo_named_t        named;
    klaviyo_value_rc_e     rc;
    klaviyo_named_list_t   list;

    len = strlen(json);
    text = malloc(len ? len : 1);
    memcpy(text, json, len);

    p = out;
    *p = '\0';

    if (!klaviyo_named_open(&list, text, len)) {
        is_str("unusable", expected, "%s", label(json));
        free(text);
        return;
    }

    for ( ;; ) {
        rc = klaviyo_named_next(&list, &named);

        if (rc == KLAVIYO_VALUE_EMPTY) {
            break;
        }

        if (p != out) {
            p += sprintf(p, "|");
        }

        if (rc == KLAVIYO_VALUE_BAD) {
            p += sprintf(p, "?");
            continue;
        }

        for (i = 0; i < KLAVIYO_NAMED_N; i++) {

            if (named.member[i].len) {
                p += sprintf(p, "%s=%.*s;", members[i],
                             (int) named.member[i].len, named.member[i].data);
            }
        }

        if (named.left_out) {
            p += sprintf(p, "-%u", named.left_out);
        }
    }

    is_int(klaviyo_named_next(&list, &named), KLAVIYO_VALUE_EMPTY,
           "%s: the end stays the end", label(json));
    is_str(out, expected, "%s", label(json));

    free(text);
}


static void
test_named(void)
{
    check("{}", "");
    check("[]", "");
    check("{\"metric\":\"A\"}", "metric=\"A\";");
    check(" [ {\"metric\":\"A\"} , {\"metric\":\"B\"} ] ",
          "metric=\"A\";|metric=\"B\";");
    check("{\"properties\":{\"a\":[1,{}]},\"profile\":{},\"metric\":\"A\","
          "\"value\":19.90,\"value_currency\":\"EUR\",\"unique_id\":1001,"
          "\"time\":1790000000,\"backfill\":true}",
          "metric=\"A\";value=19.90;value_currency=\"EUR\";unique_id=1001;"
          "time=1790000000;backfill=true;profile={};"
          "properties={\"a\":[1,{}]};");
    check("{\"\\u006detric\":\"A\"}", "metric=\"A\";");
    check("{\"metric\":null,\"value\":null,\"profile\":null}", "");
    check("{\"metric\":\"A\",\"valeu\":1,\"Value\":2,\"x\":null}",
          "metric=\"A\";-3");
    check("{\"metric\":1,\"value\":true,\"value_currency\":[],"
          "\"unique_id\":{},\"time\":false,\"backfill\":{},\"profile\":\"x\","
          "\"properties\":[1]}", "-8");
    check("{\"value\":\"19.90\",\"unique_id\":\"a\",\"time\":\"b\","
          "\"backfill\":1}",
          "value=\"19.90\";unique_id=\"a\";time=\"b\";backfill=1;");
    check("[1,{\"metric\":\"A\"},\"x\",null,[{\"metric\":\"B\"}]]",
          "?|metric=\"A\";|?|?|?");

    check("", "unusable");
    check("x", "unusable");
    check("1", "unusable");
    check("\"x\"", "unusable");
    check("null", "unusable");
    check("{\"metric\":\"A\"", "unusable");
    check("{\"metric\":\"A\"},{\"metric\":\"B\"}", "unusable");
    check("{\"metric\":\"A\" \"value\":1}", "unusable");

    check("{\"metric\":\"A\",\"metric\":\"B\"}", "metric=\"B\";");
    check("{\"metric\":\"\xff\"}", "metric=\"\xff\";");
    check("{\"metric\":\"\\u0000\"}", "metric=\"\\u0000\";");

    check("{\"properties\":{\"$value\":59.9,\"$event_id\":7,"
          "\"\\u0024value_currency\":\"EUR\",\"$other\":1}}",
          "value=59.9;value_currency=\"EUR\";unique_id=7;"
          "properties={\"$value\":59.9,\"$event_id\":7,"
          "\"\\u0024value_currency\":\"EUR\",\"$other\":1};");
    check("{\"value\":1,\"properties\":{\"$value\":2}}",
          "value=1;properties={\"$value\":2};");
    check("{\"properties\":{\"$value\":[],\"$event_id\":null}}",
          "properties={\"$value\":[],\"$event_id\":null};-1");
}


static void
test_size(void)
{
    uint8_t               *p;
    klaviyo_named_list_t   list;

    p = malloc(KLAVIYO_SCAN_TEXT_MAX + 1);
    memset(p, ' ', KLAVIYO_SCAN_TEXT_MAX + 1);
    memcpy(p, "{}", 2);

    ok(klaviyo_named_open(&list, p, KLAVIYO_SCAN_TEXT_MAX), "a megabyte");
    p[KLAVIYO_SCAN_TEXT_MAX] = '1';
    ok(!klaviyo_named_open(&list, p, KLAVIYO_SCAN_TEXT_MAX + 1), "more");

    free(p);
}


static void
check_form(const char *text, const char *name, const char *expected)
{
    size_t            len, n;
    uint8_t          *copy, *buf;
    klaviyo_form_t    form;
    klaviyo_slice_t   value;

    len = strlen(text);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);

    buf = malloc(len + 16);
    n = 0;

    klaviyo_form_open(&form, copy, len);

    while (klaviyo_form_next(&form, (const uint8_t *) name, strlen(name),
                             &value))
    {
        if (n) {
            buf[n++] = '|';
        }

        n += klaviyo_form_decode(&form, &value, buf + n);

        if (value.len == 0) {
            buf[n++] = '-';
        }
    }

    if (n == 0) {
        is_str("(missing)", expected, "%s of %s", name, label(text));

    } else {
        is_mem(buf, n, expected, strlen(expected), "%s of %s", name,
               label(text));
    }

    free(buf);
    free(copy);
}


static void
test_forms(void)
{
    check_form("", "a", "(missing)");
    check_form("a", "a", "-");
    check_form("a=", "a", "-");
    check_form("a=1", "a", "1");
    check_form("b=2&a=1", "a", "1");
    check_form("a=1&a=2&b=3&a=&a=4", "a", "1|2|-|4");
    check_form("ab=1", "a", "(missing)");
    check_form("a=1", "ab", "(missing)");
    check_form("&&a=1&", "a", "1");
    check_form("=x&a=1", "a", "1");
    check_form("a=b=c", "a", "b=c");
    check_form("a=x+y%20z%2B%26%3d", "a", "x y z+&=");
    check_form("items%5B0%5D=x", "items[0]", "x");
    check_form("items[0]=x", "items[0]", "x");
    check_form("first+name=x", "first name", "x");
    check_form("%61=1", "a", "1");
    check_form("a=%", "a", "%");
    check_form("a=%4", "a", "%4");
    check_form("a=%zz%4g%g4", "a", "%zz%4g%g4");
    check_form("a=%C3%A4%ff", "a", "\xc3\xa4\xff");
    check_form("a=%2541", "a", "%41");
    check_form("A=1", "a", "(missing)");
}


#define PART(name, value)                                                    \
    "Content-Disposition: form-data; " name "\r\n\r\n" value "\r\n--x-y"

static void
test_multipart(void)
{
    check_form("--x-y\r\n" PART("name=\"a\"", "1") "--\r\n", "a", "1");
    check_form("--x-y\r\n" PART("name=a", "1") "--\r\n", "a", "1");
    check_form("--x-y\r\n" PART("name=\"b\"", "0") "\r\n"
               PART("name=\"a\"", "x+y%20z\r\n--x") "\r\n"
               PART("name=\"a\"", "") "\r\n" PART("NAME=\"a\"", "\xc3\xa4") "--",
               "a", "x+y%20z\r\n--x|-|\xc3\xa4");
    check_form("\r\n--x-y\r\n" PART("name=a", "1") "--", "a", "1");
    check_form("\r\n\r\n--x-y\r\n" PART("name=a", "1") "--", "a", "1");
    check_form("--x-y\r\ncontent-type: text/plain\r\n"
               PART("name=\"items[]\"", "1") "--", "items[]", "1");
    check_form("--x-y\r\n" PART("name=\"a;b\"; x=1", "1") "--", "a;b", "1");
    check_form("--x-y\r\n" PART("size=a", "1") "--", "a", "(missing)");
    check_form("--x-y\r\n" PART("names=a", "1") "--", "a", "(missing)");
    check_form("--x-y\r\n" PART("name=b; names=a", "1") "--", "b", "1");
    check_form("--x-y\r\n" PART("name=b; size=a", "1") "--", "b", "1");
    check_form("--x-y\r\n" PART("name=\"a\"; filename=\"f.png\"", "1") "--",
               "a", "(missing)");
    check_form("--x-y\r\n" PART("filename*=utf-8''f; name=\"a\"", "1") "--",
               "a", "(missing)");
    check_form("--x-y\r\n" PART("filename=\"name=a\"", "1") "--", "a",
               "(missing)");

    /* no end, no headers, no name, nothing behind the end */

    check_form("--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
               "a", "(missing)");
    check_form("--x-y\r\n\r\n\r\n1\r\n--x-y--", "a", "(missing)");
    check_form("--x-y\r\n\r\n" PART("name=a", "1") "\r\n" PART("name=a", "2")
               "--", "a", "2");
    check_form("--x-y\r\n" PART("name=a", "0") "\r\n\r\n" PART("name=a", "1")
               "\r\n" PART("name=a", "2") "--", "a", "0|2");
    check_form("--x-y\r\n" PART("", "1") "--", "a", "(missing)");
    check_form("--x-y\r\n" PART("name", "1") "--", "a", "(missing)");
    check_form("--x-y\r\n" PART("name=\"a", "1") "--", "a", "1");
    check_form("--x-y\r\n" PART("name=\"a\"", "1") "--\r\n"
               PART("name=\"a\"", "2") "--", "a", "1");
    check_form("--x-y\r\n", "a", "(missing)");
    check_form("--\r\n", "a", "(missing)");
    check_form("--x", "--x", "-");
    check_form("--x=1&a=2", "a", "2");
}


/* a form that was cut is said to be bad, at its end */

static void
test_cut(void)
{
    size_t           len;
    unsigned         wrong;
    klaviyo_form_t   form;
    klaviyo_slice_t  value;

    static const char  text[] = "--x-y\r\n" PART("name=a", "1") "\r\n"
                                PART("name=b", "2") "--\r\n";

    wrong = 0;

    for (len = 7; len < sizeof(text); len++) {
        klaviyo_form_open(&form, tap_guarded(text, len), len);

        while (klaviyo_form_next(&form, (const uint8_t *) "c", 1, &value)) {
            wrong++;
        }

        /* the end is where its last boundary is whole */

        if (strstr(text, "2\r\n--x-y") + 8 - text > (long) len
            && strstr(text, "1\r\n--x-y") + 8 - text != (long) len
            && strstr(text, "1\r\n--x-y") + 9 - text != (long) len)
        {
            wrong += !form.bad;

        } else {
            wrong += form.bad;
        }
    }

    is_int(wrong, 0, "a form that was cut anywhere");
}


int
main(void)
{
    test_named();
    test_size();
    test_forms();
    test_multipart();
    test_cut();

    return done_testing();
}
