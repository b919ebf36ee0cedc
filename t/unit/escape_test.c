/*
 * Hostile text in the figures: no byte of it ends a label, a line, a tag or
 * an attribute.
 */


#include <stdlib.h>

#include "status/klaviyo_escape.h"

#include "tap.h"


typedef void (*escape_pt)(klaviyo_json_t *out, const void *text, size_t len);


static void
is_escaped(escape_pt escape, const char *text, size_t len,
    const char *expected, const char *what)
{
    uint8_t         buf[512];
    klaviyo_json_t  out;

    klaviyo_json_init(&out, buf, sizeof(buf));
    escape(&out, text, len);

    is_mem(buf, (size_t) (out.pos - buf), expected, strlen(expected), "%s",
           what);
}


/* every byte by itself, and before and after another one */

static void
every_byte(escape_pt escape, const char *never, const char *what)
{
    size_t          size;
    uint8_t         text[3], *buf;
    unsigned        i, j, wrong;
    klaviyo_json_t  out;

    wrong = 0;
    size = klaviyo_escape_size(sizeof(text));
    buf = malloc(size);

    for (i = 0; i < 256; i++) {
        for (j = 0; j < 256; j++) {
            text[0] = 'a';
            text[1] = (uint8_t) i;
            text[2] = (uint8_t) j;

            klaviyo_json_init(&out, buf, size);
            escape(&out, text, sizeof(text));

            wrong += out.overflow;

            while (out.pos > buf) {
                out.pos--;
                wrong += *out.pos && strchr(never, *out.pos) != NULL;
            }
        }
    }

    free(buf);

    is_int(wrong, 0, "%s", what);
}


static void
overflow(escape_pt escape)
{
    uint8_t         buf[4];
    klaviyo_json_t  out;

    klaviyo_json_init(&out, buf, sizeof(buf));
    escape(&out, "ab\"", 3);

    ok(escape == klaviyo_escape_label ? !out.overflow : out.overflow,
       "what does not fit whole");
    is_mem(buf, 2, "ab", 2, "is left out");

    escape(&out, "cdefg", 5);
    ok(out.overflow, "and told");
}


int
main(void)
{
    is_escaped(klaviyo_escape_label, "shop-1.x", 8, "shop-1.x",
               "label: plain");
    is_escaped(klaviyo_escape_label, "a\\b\"c\nd", 7, "a\\\\b\\\"c\\nd",
               "label: backslash, quote, line feed");
    is_escaped(klaviyo_escape_label, "\"} 1\nup 0", 9, "\\\"} 1\\nup 0",
               "label: no line of its own");
    is_escaped(klaviyo_escape_label, "\xc3\xa9\xff\xc3", 4,
               "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd", "label: UTF-8 repaired");
    is_escaped(klaviyo_escape_label, "", 0, "", "label: nothing");
    is_escaped(klaviyo_escape_label, NULL, 0, "", "label: from nowhere");

    is_escaped(klaviyo_escape_html, "shop-1.x", 8, "shop-1.x", "HTML: plain");
    is_escaped(klaviyo_escape_html, "<script>alert('1')</script>", 27,
               "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;",
               "HTML: a script");
    is_escaped(klaviyo_escape_html, "\" onload=\"x", 11,
               "&#34; onload=&#34;x", "HTML: an attribute");
    is_escaped(klaviyo_escape_html, "&lt;", 4, "&amp;lt;",
               "HTML: an entity");
    is_escaped(klaviyo_escape_html, "a\tb\nc\0d\x7f" "e", 9,
               "a\tb\nc\xef\xbf\xbd" "d\xef\xbf\xbd" "e",
               "HTML: control characters");
    is_escaped(klaviyo_escape_html, "\xe2\x82\xac\xe2\x82<", 6,
               "\xe2\x82\xac\xef\xbf\xbd&lt;", "HTML: UTF-8 repaired");
    is_escaped(klaviyo_escape_html, "", 0, "", "HTML: nothing");

    every_byte(klaviyo_escape_label, "\n", "label: no byte ends the line");
    every_byte(klaviyo_escape_html, "<>\"'", "HTML: no byte ends anything");

    overflow(klaviyo_escape_label);
    overflow(klaviyo_escape_html);

    return done_testing();
}
