/*
 * status: what stands for a byte that must not stand there itself.  Plain C.
 */


#include "klaviyo_escape.h"
#include "json/klaviyo_utf8.h"


#define KLAVIYO_ESCAPE_REPLACED  "\xef\xbf\xbd"


typedef const char *(*klaviyo_escape_pt)(uint8_t c);


static inline void klaviyo_escape(klaviyo_json_t *out, const uint8_t *p,
    size_t len, klaviyo_escape_pt escape);
static const char *klaviyo_escape_label_byte(uint8_t c);
static const char *klaviyo_escape_html_byte(uint8_t c);


void
klaviyo_escape_label(klaviyo_json_t *out, const void *text, size_t len)
{
    klaviyo_escape(out, text, len, klaviyo_escape_label_byte);
}


void
klaviyo_escape_html(klaviyo_json_t *out, const void *text, size_t len)
{
    klaviyo_escape(out, text, len, klaviyo_escape_html_byte);
}


/* from `run` on the bytes are copied as they are */

static inline void
klaviyo_escape(klaviyo_json_t *out, const uint8_t *p, size_t len,
    klaviyo_escape_pt escape)
{
    int             n;
    const char     *instead;
    const uint8_t  *run, *last;

    if (len == 0) {
        return;
    }

    run = p;
    last = p + len;

    while (p < last) {
        n = (*p < 0x80) ? 1 : klaviyo_utf8_length(p, last);

        if (n < 0) {
            n = -n;
            instead = KLAVIYO_ESCAPE_REPLACED;

        } else {
            instead = (n == 1) ? escape(*p) : NULL;
        }

        if (instead) {
            klaviyo_json_raw(out, run, p - run);
            klaviyo_json_raw(out, instead, strlen(instead));
            run = p + n;
        }

        p += n;
    }

    klaviyo_json_raw(out, run, p - run);
}


static const char *
klaviyo_escape_label_byte(uint8_t c)
{
    switch (c) {

    case '\\':
        return "\\\\";

    case '"':
        return "\\\"";

    case '\n':
        return "\\n";
    }

    return NULL;
}


static const char *
klaviyo_escape_html_byte(uint8_t c)
{
    switch (c) {

    case '&':
        return "&amp;";

    case '<':
        return "&lt;";

    case '>':
        return "&gt;";

    case '"':
        return "&#34;";

    case '\'':
        return "&#39;";

    case '\t':
    case '\n':
        return NULL;
    }

    return (c < 0x20 || c == 0x7f) ? KLAVIYO_ESCAPE_REPLACED : NULL;
}
