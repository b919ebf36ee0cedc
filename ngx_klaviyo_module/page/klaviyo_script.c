/*
 * Scripts are not parsed: a "/" begins a regular expression where no value
 * stands before it.
 */


#define _GNU_SOURCE

#include <string.h>

#include "klaviyo_script.h"


static const uint8_t *klaviyo_script_string(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_script_regex(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_script_member(klaviyo_script_t *script,
    const uint8_t *start, const uint8_t *p, klaviyo_slice_t *name);
static int klaviyo_script_is_value(const klaviyo_slice_t *word);


static int
klaviyo_script_is_word(uint8_t ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
           || (ch >= '0' && ch <= '9') || ch == '_' || ch == '$'
           || ch >= 0x80;
}


void
klaviyo_script_init(klaviyo_script_t *script, const uint8_t *p,
    const uint8_t *last)
{
    script->pos = p;
    script->last = last;
    script->value = 0;
    script->member = 0;
}


int
klaviyo_script_next(klaviyo_script_t *script, klaviyo_slice_t *name)
{
    const uint8_t  *p, *last, *start;

    p = script->pos;
    last = script->last;

    for ( ;; ) {
        p = klaviyo_script_blanks(p, last);

        if (p == last) {
            break;
        }

        start = p;

        if (klaviyo_script_is_word(*p)) {

            while (p < last && klaviyo_script_is_word(*p)) {
                p++;
            }

            name->data = start;
            name->len = p - start;

            script->pos = p;
            script->value = klaviyo_script_is_value(name);
            script->member = 0;

            return 1;
        }

        switch (*p) {

        case '"':
        case '\'':
        case '`':
            p = klaviyo_script_string(p, last);

            if (klaviyo_script_member(script, start, p, name)) {
                return 1;
            }

            script->value = 1;
            break;

        case '/':
            p = klaviyo_script_comment(p, last);

            if (p == NULL) {
                p = last;
                break;
            }

            if (p > start) {
                p++;
                continue;
            }

            if (script->value) {
                p++;
                script->value = 0;
                break;
            }

            p = klaviyo_script_regex(p, last);
            script->value = 1;
            break;

        default:
            script->value = *p == ')' || *p == ']' || *p == '}';
            p++;
        }

        script->member = *start == '[';
    }

    script->pos = last;

    return 0;
}


/* behind the string; one in quotes ends with its line */

static const uint8_t *
klaviyo_script_string(const uint8_t *p, const uint8_t *last)
{
    uint8_t  quote;

    quote = *p;

    for (p++; p < last; p++) {

        if (*p == quote) {
            return p + 1;
        }

        if (*p == '\n' && quote != '`') {
            return p;
        }

        p += *p == '\\' && last - p > 1;
    }

    return last;
}


static const uint8_t *
klaviyo_script_regex(const uint8_t *p, const uint8_t *last)
{
    unsigned  set;

    set = 0;

    for (p++; p < last && *p != '\n'; p++) {

        if (*p == '/' && !set) {
            return p + 1;
        }

        if (*p == '[') {
            set = 1;

        } else if (*p == ']') {
            set = 0;
        }

        p += *p == '\\' && last - p > 1;
    }

    return p;
}


/* 1: the string from start to p stands alone between "[" and "]" */

static int
klaviyo_script_member(klaviyo_script_t *script, const uint8_t *start,
    const uint8_t *p, klaviyo_slice_t *name)
{
    const uint8_t  *end;

    if (!script->member || p - start < 2 || p[-1] != *start) {
        return 0;
    }

    end = klaviyo_script_blanks(p, script->last);

    if (end == script->last || *end != ']') {
        return 0;
    }

    name->data = start + 1;
    name->len = p - start - 2;

    script->pos = end + 1;
    script->value = 1;
    script->member = 0;

    return 1;
}


/* behind these words an expression begins */

static int
klaviyo_script_is_value(const klaviyo_slice_t *word)
{
    size_t  i;

    static const char  *words[] = { "return", "typeof", "case", "in", "of",
                                    "delete", "void", "throw", "new", "do",
                                    "else" };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {

        if (strlen(words[i]) == word->len
            && memcmp(words[i], word->data, word->len) == 0)
        {
            return 0;
        }
    }

    return 1;
}


const uint8_t *
klaviyo_script_comment(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *end;

    if (last - p < 2 || (p[1] != '/' && p[1] != '*')) {
        return p;
    }

    if (p[1] == '/') {
        return memchr(p, '\n', last - p);
    }

    end = memmem(p + 2, last - p - 2, "*/", 2);

    return end ? end + 1 : NULL;
}


const uint8_t *
klaviyo_script_blanks(const uint8_t *p, const uint8_t *last)
{
    while (p < last && *p <= ' ') {
        p++;
    }

    return p;
}
