/*
 * Dead letters as lines.  Room: delivery, plain C; it touches nothing but the
 * caller's buffer.
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "klaviyo_body.h"
#include "klaviyo_letter.h"


#define KLAVIYO_LETTER_FRAME        512      /* names, numbers, times       */
#define KLAVIYO_LETTER_ACCOUNT_MAX  255      /* bytes                       */
#define KLAVIYO_LETTER_DETAIL_MAX   1024     /* bytes                       */
#define KLAVIYO_LETTER_SIZE         65536    /* bytes of the first buffer   */

/* what klaviyo_body_one() has around the event */

#define KLAVIYO_LETTER_BODY_START   "{\"data\":"
#define KLAVIYO_LETTER_BODY_END     "}"


static uint8_t *klaviyo_letters_reserve(klaviyo_letters_t *letters,
    size_t room);
static void klaviyo_letter_time(klaviyo_json_t *json, int64_t ms);
static size_t klaviyo_letter_event(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *event);


int
klaviyo_letters_add(klaviyo_letters_t *letters,
    const klaviyo_letter_t *letter, const klaviyo_event_t *event)
{
    size_t           head, body, detail_len;
    uint8_t         *start, *p;
    const char      *reason;
    klaviyo_json_t   json;

    detail_len = letter->detail ? strlen(letter->detail) : 0;
    reason = klaviyo_outcome_names[letter->outcome].name;

    head = KLAVIYO_LETTER_FRAME
           + klaviyo_json_string_size(KLAVIYO_LETTER_ACCOUNT_MAX)
           + klaviyo_json_string_size(KLAVIYO_LETTER_DETAIL_MAX)
           + klaviyo_json_string_size(KLAVIYO_UNIQUE_ID_MAX);

    body = klaviyo_body_one(NULL, letter->lane, event);

    start = klaviyo_letters_reserve(letters, head + body + sizeof("}\n") - 1);
    if (start == NULL) {
        return -1;
    }

    klaviyo_json_init(&json, start, head);

    klaviyo_json_literal(&json, "{\"dead\":");
    klaviyo_letter_time(&json, letter->now);

    klaviyo_json_literal(&json, ",\"account\":");
    klaviyo_json_string(&json, letter->account, letter->account_len,
                        KLAVIYO_LETTER_ACCOUNT_MAX);

    klaviyo_json_literal(&json, ",\"reason\":");
    klaviyo_json_string(&json, (const uint8_t *) reason, strlen(reason),
                        KLAVIYO_LETTER_FRAME);

    if (letter->status) {
        klaviyo_json_literal(&json, ",\"status\":");
        klaviyo_json_uint(&json, letter->status);
    }

    if (letter->detail) {
        klaviyo_json_literal(&json, ",\"detail\":");
        klaviyo_json_string(&json, (const uint8_t *) letter->detail,
                            detail_len, KLAVIYO_LETTER_DETAIL_MAX);
    }

    klaviyo_json_literal(&json, ",\"attempts\":");
    klaviyo_json_uint(&json, letter->attempts);

    klaviyo_json_literal(&json, ",\"captured\":");
    klaviyo_letter_time(&json, event->time);

    klaviyo_json_literal(&json, ",\"unique_id\":");
    klaviyo_json_string(&json, event->unique_id, event->unique_id_len,
                        KLAVIYO_UNIQUE_ID_MAX);

    klaviyo_json_literal(&json, ",\"event\":");

    if (json.overflow) {
        return -1;
    }

    p = json.pos;
    p += klaviyo_letter_event(p, letter->lane, event);

    *p++ = '}';
    *p++ = '\n';

    letters->used += (size_t) (p - start);
    letters->n++;

    return 0;
}


void
klaviyo_letters_free(klaviyo_letters_t *letters)
{
    free(letters->start);
    memset(letters, 0, sizeof(klaviyo_letters_t));
}


/* room for so many bytes more, behind the last line; NULL: no memory */

static uint8_t *
klaviyo_letters_reserve(klaviyo_letters_t *letters, size_t room)
{
    size_t    size;
    uint8_t  *start;

    if (letters->size - letters->used < room) {

        if (room > SIZE_MAX / 4 - letters->used) {
            return NULL;
        }

        size = letters->size ? 2 * letters->size : KLAVIYO_LETTER_SIZE;

        if (size < letters->used + room) {
            size = letters->used + room;
        }

        start = realloc(letters->start, size);
        if (start == NULL) {
            return NULL;
        }

        letters->start = start;
        letters->size = size;
    }

    return letters->start + letters->used;
}


/* "2026-07-15T12:00:00.000Z" */

static void
klaviyo_letter_time(klaviyo_json_t *json, int64_t ms)
{
    uint8_t  buf[KLAVIYO_TIME_LEN];

    if (ms < 0) {
        ms = 0;
    }

    klaviyo_value_format_time(buf, ms / 1000);

    /* in place of the zone */

    buf[19] = '.';
    buf[20] = (uint8_t) ('0' + ms / 100 % 10);
    buf[21] = (uint8_t) ('0' + ms / 10 % 10);
    buf[22] = (uint8_t) ('0' + ms % 10);
    buf[23] = 'Z';

    klaviyo_json_literal(json, "\"");
    klaviyo_json_raw(json, buf, 24);
    klaviyo_json_literal(json, "\"");
}


/*
 * What the body of a request for it alone has as "data".  A line end can only
 * stand between its values, where a space is as good: within strings it is
 * escaped.
 */

static size_t
klaviyo_letter_event(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *event)
{
    size_t  i, len;

    len = klaviyo_body_one(p, lane, event)
          - (sizeof(KLAVIYO_LETTER_BODY_START) - 1)
          - (sizeof(KLAVIYO_LETTER_BODY_END) - 1);

    memmove(p, p + sizeof(KLAVIYO_LETTER_BODY_START) - 1, len);

    for (i = 0; i < len; i++) {
        if (p[i] == '\n' || p[i] == '\r') {
            p[i] = ' ';
        }
    }

    return len;
}
