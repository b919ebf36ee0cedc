/*
 * klaviyo-queue: the directives in what `nginx -T` prints; see the header.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "klaviyo_cli_words.h"


#define KLAVIYO_CLI_WORDS_FILE  "# configuration file "
#define KLAVIYO_CLI_WORDS_LEN   4095     /* of a word that is kept           */


static void klaviyo_cli_words_clear(klaviyo_cli_words_t *words);
static void klaviyo_cli_words_comment(klaviyo_cli_words_t *words);
static void klaviyo_cli_words_word(klaviyo_cli_words_t *words);


klaviyo_cli_words_e
klaviyo_cli_words_next(klaviyo_cli_words_t *words)
{
    klaviyo_cli_words_clear(words);

    for ( ;; ) {

        switch (*words->pos) {

        case '\0':
            return KLAVIYO_CLI_WORDS_END;

        case '\n':
            words->line++;
            /* fall through */

        case ' ':
        case '\t':
        case '\r':
            words->pos++;
            break;

        case '#':
            klaviyo_cli_words_comment(words);
            break;

        case ';':
            words->pos++;
            return KLAVIYO_CLI_WORDS_LINE;

        case '{':
            words->pos++;
            words->depth++;
            return KLAVIYO_CLI_WORDS_BLOCK;

        case '}':
            words->pos++;
            words->depth -= (words->depth != 0);
            return KLAVIYO_CLI_WORDS_CLOSE;

        default:
            klaviyo_cli_words_word(words);
            break;
        }
    }
}


void
klaviyo_cli_words_free(klaviyo_cli_words_t *words)
{
    klaviyo_cli_words_clear(words);
    free(words->file);
    words->file = NULL;
}


int
klaviyo_cli_words_rule(const char *name)
{
    const char  *const *none;

    static const char  *const nones[] = {
        "klaviyo_status",
        "klaviyo_debug",
        "klaviyo_pass",
        "klaviyo_pass_timeout",
        "klaviyo_pass_connections",
        NULL
    };

    for (none = nones; *none; none++) {
        if (strcmp(name, *none) == 0) {
            return 0;
        }
    }

    return strncmp(name, "klaviyo_", 8) == 0;
}


static void
klaviyo_cli_words_clear(klaviyo_cli_words_t *words)
{
    unsigned  i;

    for (i = 0; i < words->n; i++) {
        explicit_bzero(words->word[i], strlen(words->word[i]));
        free(words->word[i]);
    }

    words->n = 0;
}


/* nginx writes such a line before each file, at its first line */

static void
klaviyo_cli_words_comment(klaviyo_cli_words_t *words)
{
    size_t       len;
    const char  *end;

    end = words->pos + strcspn(words->pos, "\n");
    len = sizeof(KLAVIYO_CLI_WORDS_FILE) - 1;

    if (end[0] == '\n'
        && end[-1] == ':'
        && strncmp(words->pos, KLAVIYO_CLI_WORDS_FILE, len) == 0)
    {
        free(words->file);
        words->file = strndup(words->pos + len,
                              (size_t) (end - words->pos) - len - 1);
        words->line = 0;
        words->depth = 0;
    }

    words->pos = end;
}


static void
klaviyo_cli_words_word(klaviyo_cli_words_t *words)
{
    char         quote, *word, *to;
    const char  *p;

    p = words->pos;
    quote = '\0';

    if (*p == '"' || *p == '\'') {
        quote = *p++;
    }

    word = malloc(strnlen(p, KLAVIYO_CLI_WORDS_LEN) + 1);
    to = word;

    for ( /* void */ ; *p; p++) {

        if (quote ? *p == quote
                  : strchr(" \t\r\n;{", *p) && !(*p == '{' && p[-1] == '$'))
        {
            break;
        }

        if (*p == '\n') {
            words->line++;
        }

        if (*p == '\\' && p[1]) {

            switch (p[1]) {

            case '"':
            case '\'':
            case '\\':
                p++;
                break;

            default:
                break;
            }
        }

        if (word && to - word < KLAVIYO_CLI_WORDS_LEN) {
            *to++ = *p;
        }
    }

    words->pos = (quote && *p) ? p + 1 : p;

    if (word == NULL) {
        return;
    }

    *to = '\0';

    if (words->n == KLAVIYO_CLI_WORDS_MAX) {
        free(word);
        return;
    }

    words->word[words->n++] = word;
}
