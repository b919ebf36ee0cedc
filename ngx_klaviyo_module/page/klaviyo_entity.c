/*
 * Character references of HTML: the numeric ones, and the names of what shops
 * print (Latin-1, quotes, dashes, signs of currencies).
 */


#include <stdlib.h>
#include <string.h>

#include "klaviyo_entity.h"
#include "json/klaviyo_utf8.h"


typedef struct {
    char      name[8];
    uint16_t  code;
} klaviyo_entity_t;


/* in the order of strcmp(); of at most 7 letters */

static const klaviyo_entity_t  klaviyo_entities[] = {
    { "AElig",  198 }, { "Aacute", 193 }, { "Acirc",  194 },
    { "Agrave", 192 }, { "Aring",  197 }, { "Atilde", 195 },
    { "Auml",   196 }, { "Ccedil", 199 }, { "ETH",    208 },
    { "Eacute", 201 }, { "Ecirc",  202 }, { "Egrave", 200 },
    { "Euml",   203 }, { "Iacute", 205 }, { "Icirc",  206 },
    { "Igrave", 204 }, { "Iuml",   207 }, { "Ntilde", 209 },
    { "OElig",  338 }, { "Oacute", 211 }, { "Ocirc",  212 },
    { "Ograve", 210 }, { "Oslash", 216 }, { "Otilde", 213 },
    { "Ouml",   214 }, { "Scaron", 352 }, { "THORN",  222 },
    { "Uacute", 218 }, { "Ucirc",  219 }, { "Ugrave", 217 },
    { "Uuml",   220 }, { "Yacute", 221 }, { "aacute", 225 },
    { "acirc",  226 }, { "acute",  180 }, { "aelig",  230 },
    { "agrave", 224 }, { "amp",     38 }, { "apos",    39 },
    { "aring",  229 }, { "atilde", 227 }, { "auml",   228 },
    { "bdquo", 8222 }, { "brvbar", 166 }, { "bull",  8226 },
    { "ccedil", 231 }, { "cedil",  184 }, { "cent",   162 },
    { "copy",   169 }, { "curren", 164 }, { "deg",    176 },
    { "divide", 247 }, { "eacute", 233 }, { "ecirc",  234 },
    { "egrave", 232 }, { "eth",    240 }, { "euml",   235 },
    { "euro",  8364 }, { "frac12", 189 }, { "frac14", 188 },
    { "frac34", 190 }, { "gt",      62 }, { "hellip", 8230 },
    { "iacute", 237 }, { "icirc",  238 }, { "iexcl",  161 },
    { "igrave", 236 }, { "iquest", 191 }, { "iuml",   239 },
    { "laquo",  171 }, { "ldquo", 8220 }, { "lsaquo", 8249 },
    { "lsquo", 8216 }, { "lt",      60 }, { "macr",   175 },
    { "mdash", 8212 }, { "micro",  181 }, { "middot", 183 },
    { "nbsp",   160 }, { "ndash", 8211 }, { "not",    172 },
    { "ntilde", 241 }, { "oacute", 243 }, { "ocirc",  244 },
    { "oelig",  339 }, { "ograve", 242 }, { "ordf",   170 },
    { "ordm",   186 }, { "oslash", 248 }, { "otilde", 245 },
    { "ouml",   246 }, { "para",   182 }, { "permil", 8240 },
    { "plusmn", 177 }, { "pound",  163 }, { "quot",    34 },
    { "raquo",  187 }, { "rdquo", 8221 }, { "reg",    174 },
    { "rsaquo", 8250 }, { "rsquo", 8217 }, { "sbquo", 8218 },
    { "scaron", 353 }, { "sect",   167 }, { "shy",    173 },
    { "sup1",   185 }, { "sup2",   178 }, { "sup3",   179 },
    { "szlig",  223 }, { "thorn",  254 }, { "times",  215 },
    { "trade", 8482 }, { "uacute", 250 }, { "ucirc",  251 },
    { "ugrave", 249 }, { "uml",    168 }, { "uuml",   252 },
    { "yacute", 253 }, { "yen",    165 }, { "yuml",   255 }
};


static int
klaviyo_entity_compare(const void *one, const void *two)
{
    return strcmp(((const klaviyo_entity_t *) one)->name,
                  ((const klaviyo_entity_t *) two)->name);
}


/* the character of a number, as HTML reads it */

static uint32_t
klaviyo_entity_number(const uint8_t *p, const uint8_t *last)
{
    int       digit, base;
    uint32_t  code;

    code = 0;
    base = 10;

    if (p < last && (*p | 0x20) == 'x') {
        base = 16;
        p++;
    }

    if (p == last) {
        return 0;
    }

    for ( /* void */ ; p < last; p++) {
        digit = *p >= '0' && *p <= '9' ? *p - '0'
              : (*p | 0x20) >= 'a' && (*p | 0x20) <= 'f' ? (*p | 0x20) - 'W'
              : base;

        if (digit >= base) {
            return 0;
        }

        code = code * base + digit;

        if (code > 0x10ffff) {
            return 0xfffd;
        }
    }

    if (code >= 0x80 && code < 0xa0) {          /* &#150; is a dash */
        return klaviyo_charset_code(code);
    }

    if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
        return 0xfffd;
    }

    return code;
}


/* p < last is what stands between "&" and ";"; 0: no such reference */

static uint32_t
klaviyo_entity_code(const uint8_t *p, const uint8_t *last)
{
    klaviyo_entity_t         key;
    const klaviyo_entity_t  *found;

    if (p < last && *p == '#') {
        return klaviyo_entity_number(p + 1, last);
    }

    if (p == last || (size_t) (last - p) >= sizeof(key.name)) {
        return 0;
    }

    memset(key.name, 0, sizeof(key.name));
    memcpy(key.name, p, last - p);

    found = bsearch(&key, klaviyo_entities,
                    sizeof(klaviyo_entities) / sizeof(klaviyo_entities[0]),
                    sizeof(klaviyo_entities[0]), klaviyo_entity_compare);

    return found ? found->code : 0;
}


/* no reference is shorter than its character: "&lt;", "&#1;", "&#x10000;" */

size_t
klaviyo_html_decode(uint8_t *p, size_t len)
{
    uint8_t   *start, *out, *last, *end;
    uint32_t   code;

    start = p;
    last = p + len;
    out = len ? memchr(p, '&', len) : NULL;

    if (out == NULL) {
        return len;
    }

    p = out;

    while (p < last) {
        if (*p == '&') {
            end = memchr(p, ';', last - p < 12 ? last - p : 12);

            code = end ? klaviyo_entity_code(p + 1, end) : 0;

            if (code) {
                out += klaviyo_utf8_encode(out, code);
                p = end + 1;
                continue;
            }
        }

        *out++ = *p++;
    }

    return out - start;
}
