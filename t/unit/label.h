/*
 * Any text as part of a test's name: one line, valid UTF-8.
 */


#ifndef LABEL_H
#define LABEL_H


#include <string.h>

#include "json/klaviyo_json.h"


#define LABEL_MAX  60                /* bytes kept of a text                */


/* good until the next call */
static inline const char *
label(const char *text)
{
    klaviyo_json_t  json;
    static uint8_t  buf[klaviyo_json_string_size(LABEL_MAX) + 1];

    klaviyo_json_init(&json, buf, sizeof(buf) - 1);
    klaviyo_json_string(&json, (const uint8_t *) text, strlen(text),
                        LABEL_MAX);
    *json.pos = '\0';

    return (const char *) buf;
}


#endif /* LABEL_H */
