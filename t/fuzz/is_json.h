/*
 * What the tool makes of a line is JSON, by jansson's word.
 */


#ifndef IS_JSON_H
#define IS_JSON_H


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>


static void
is_json(const uint8_t *p, size_t len, const char *before, const char *after)
{
    char    *text;
    json_t  *root;

    if (asprintf(&text, "%s%.*s%s", before, (int) len, (const char *) p,
                 after)
        == -1)
    {
        abort();
    }

    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root)) {
        abort();
    }

    json_decref(root);
    free(text);
}


#endif /* IS_JSON_H */
