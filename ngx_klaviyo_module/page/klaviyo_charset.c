/*
 * Labels and tables are those of browsers (the Encoding Standard).
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_charset.h"
#include "json/klaviyo_utf8.h"


typedef struct {
    const char         *label;
    klaviyo_charset_e   charset;
} klaviyo_charset_label_t;


static const klaviyo_charset_label_t  klaviyo_charset_labels[] = {
    { "utf-8", KLAVIYO_CHARSET_UTF_8 },
    { "utf8", KLAVIYO_CHARSET_UTF_8 },
    { "unicode-1-1-utf-8", KLAVIYO_CHARSET_UTF_8 },
    { "windows-1252", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "cp1252", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "x-cp1252", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso-8859-1", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso8859-1", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso_8859-1", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso88591", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso-8859-1:1987", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "iso_8859-1:1987", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "latin1", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "l1", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "us-ascii", KLAVIYO_CHARSET_WINDOWS_1252 },
    { "ascii", KLAVIYO_CHARSET_WINDOWS_1252 }
};


/* 0x80 to 0x9f; the five that are none stay */

static const uint16_t  klaviyo_charset_windows[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
    0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008d, 0x017d, 0x008f,
    0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178
};


klaviyo_charset_e
klaviyo_charset(const uint8_t *label, size_t len)
{
    size_t  i;

    for (i = 0;
         i < sizeof(klaviyo_charset_labels)
             / sizeof(klaviyo_charset_labels[0]);
         i++)
    {
        if (strlen(klaviyo_charset_labels[i].label) == len
            && strncasecmp(klaviyo_charset_labels[i].label,
                           (const char *) label, len)
               == 0)
        {
            return klaviyo_charset_labels[i].charset;
        }
    }

    return len ? KLAVIYO_CHARSET_OTHER : KLAVIYO_CHARSET_NONE;
}


static const uint8_t *
klaviyo_charset_blanks(const uint8_t *p, const uint8_t *last)
{
    while (p < last && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
        p++;
    }

    return p;
}


/* p < last is what follows "charset" */

static klaviyo_charset_e
klaviyo_charset_value(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *start;

    p = klaviyo_charset_blanks(p, last);

    if (p == last || *p != '=') {
        return KLAVIYO_CHARSET_NONE;
    }

    p = klaviyo_charset_blanks(p + 1, last);

    if (p < last && (*p == '"' || *p == '\'')) {
        p = klaviyo_charset_blanks(p + 1, last);
    }

    start = p;

    while (p < last && *p > ' ' && strchr("\"';/>", *p) == NULL) {
        p++;
    }

    return klaviyo_charset(start, p - start);
}


/* a byte order mark goes before what was told, and that before a <meta> */

klaviyo_charset_e
klaviyo_charset_find(const uint8_t *p, size_t len, klaviyo_charset_e told)
{
    const uint8_t      *last, *end;
    klaviyo_charset_e   charset;

    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        return KLAVIYO_CHARSET_UTF_8;
    }

    if (len >= 2 && (memcmp(p, "\xfe\xff", 2) == 0
                     || memcmp(p, "\xff\xfe", 2) == 0))
    {
        return KLAVIYO_CHARSET_OTHER;
    }

    if (told != KLAVIYO_CHARSET_NONE) {
        return told;
    }

    last = p + len;

    while ((p = memchr(p, '<', last - p)) != NULL) {

        if (last - p < 6 || strncasecmp((const char *) p, "<meta", 5) != 0) {
            p++;
            continue;
        }

        end = memchr(p, '>', last - p);
        end = end ? end : last;

        for (p += 5; end - p > 7; p++) {

            if (strncasecmp((const char *) p, "charset", 7) == 0) {
                charset = klaviyo_charset_value(p + 7, end);

                if (charset != KLAVIYO_CHARSET_NONE) {
                    return charset;
                }
            }
        }
    }

    return KLAVIYO_CHARSET_NONE;
}


int
klaviyo_charset_is_ascii(const uint8_t *p, size_t len)
{
    uint64_t  word;

    for ( /* void */ ; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);

        if (word & UINT64_C(0x8080808080808080)) {
            return 0;
        }
    }

    for ( /* void */ ; len; p++, len--) {
        if (*p & 0x80) {
            return 0;
        }
    }

    return 1;
}


klaviyo_charset_e
klaviyo_charset_of(klaviyo_charset_e charset, const uint8_t *p, size_t len)
{
    int             n;
    const uint8_t  *last;

    if (charset != KLAVIYO_CHARSET_NONE) {
        return charset;
    }

    for (last = p + len; p < last; p += n) {
        n = klaviyo_utf8_length(p, last);

        if (n < 0) {
            return KLAVIYO_CHARSET_WINDOWS_1252;
        }
    }

    return KLAVIYO_CHARSET_UTF_8;
}


uint32_t
klaviyo_charset_code(uint8_t ch)
{
    return ch >= 0x80 && ch < 0xa0 ? klaviyo_charset_windows[ch - 0x80] : ch;
}


size_t
klaviyo_charset_utf8(uint8_t *out, const uint8_t *p, size_t len)
{
    uint8_t        *start;
    const uint8_t  *last;

    start = out;

    for (last = p + len; p < last; p++) {
        if (*p < 0x80) {
            *out++ = *p;

        } else {
            out += klaviyo_utf8_encode(out, klaviyo_charset_code(*p));
        }
    }

    return out - start;
}
