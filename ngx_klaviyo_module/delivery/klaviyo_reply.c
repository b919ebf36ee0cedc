/*
 * Answers read.  Room: delivery, plain C and jansson; it touches nothing but
 * the answer and the caller's buffers.
 *
 *     {"errors": [{"id", "status", "code", "title", "detail",
 *                  "source": {"pointer": "/data/attributes/..."}}]}
 *
 *     /data/attributes/events-bulk-create/data/<entry>[/...]
 *     /data/attributes/events-bulk-create/data/<entry>
 *         /attributes/events/data/<event>[/...]
 *     /data/attributes/profiles/data/<entry>[/...]
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "klaviyo_reply.h"


#define KLAVIYO_REPLY_DEPTH_MAX   32         /* levels of a body            */
#define KLAVIYO_REPLY_NESTED_MAX  2048       /* objects and arrays          */
#define KLAVIYO_REPLY_DIGITS_MAX  9          /* of an index                 */

#define KLAVIYO_REPLY_ENTRY   "/data/attributes/events-bulk-create/data/"
#define KLAVIYO_REPLY_PERSON  "/data/attributes/profiles/data/"
#define KLAVIYO_REPLY_EVENT   "/attributes/events/data/"


typedef struct {
    char  *pos;
    char  *last;                 /* where the NUL goes at the latest        */
} klaviyo_reply_text_t;


static int klaviyo_reply_blames_request(klaviyo_answer_t *answer);
static json_t *klaviyo_reply_errors(klaviyo_answer_t *answer);
static json_t *klaviyo_reply_parse(const klaviyo_answer_t *answer);
static int klaviyo_reply_sane(const uint8_t *p, size_t len);
static int klaviyo_reply_pointer(const json_t *error, klaviyo_blamed_t *named);
static const char *klaviyo_reply_prefix(const char *p, const char *end,
    const char *prefix);
static const char *klaviyo_reply_index(const char *p, const char *end,
    uint32_t *index);
static int klaviyo_reply_compare(const void *one, const void *two);
static void klaviyo_reply_copy(const json_t *value, char *buf, size_t size);
static void klaviyo_reply_hide(const json_t *value, char *buf, size_t size);
static int klaviyo_reply_plain(const char *p, size_t len, int first);
static void klaviyo_reply_add(klaviyo_reply_text_t *text, const char *p);
static void klaviyo_reply_quote(klaviyo_reply_text_t *text, const char *p,
    size_t len);


klaviyo_verdict_e
klaviyo_reply_verdict(klaviyo_answer_t *answer)
{
    unsigned  status;

    status = answer->status;

    if (status == 0) {
        return KLAVIYO_REPLY_NONE;
    }

    if (status >= 200 && status < 300) {
        return KLAVIYO_REPLY_ACCEPTED;
    }

    if (status == 429) {
        return KLAVIYO_REPLY_THROTTLED;
    }

    /* Cloudflare's word, not Klaviyo's: it says nothing of events or keys */

    if (answer->challenge) {
        return KLAVIYO_REPLY_PASSING;
    }

    switch (status) {

    case 400:
        if (klaviyo_reply_blames_request(answer)) {
            return KLAVIYO_REPLY_BLOCKED;
        }

        return KLAVIYO_REPLY_REFUSED;

    case 409:
    case 422:                    /* not documented; JSON:API's usual 400    */
        return KLAVIYO_REPLY_REFUSED;

    case 413:
        return KLAVIYO_REPLY_TOO_LARGE;

    case 408:
    case 425:
        return KLAVIYO_REPLY_PASSING;
    }

    /*
     * A redirect, or a 4xx that says nothing of the events (401, 402, 404,
     * 407, 415, ...): the address, the key, a proxy or the plan is at fault,
     * and every other event would meet the same.  They are kept.
     */

    if (status < 500) {
        return KLAVIYO_REPLY_BLOCKED;
    }

    return KLAVIYO_REPLY_PASSING;
}


/*
 * An error whose source is a header (`revision`) or a parameter of the URL is
 * none of the events': all others would meet it too.
 */

static int
klaviyo_reply_blames_request(klaviyo_answer_t *answer)
{
    int      found;
    size_t   i, n;
    json_t  *errors, *source;

    found = 0;

    errors = klaviyo_reply_errors(answer);
    n = json_array_size(errors);

    for (i = 0; i < n && !found; i++) {
        source = json_object_get(json_array_get(errors, i), "source");

        found = json_is_string(json_object_get(source, "header"))
                || json_is_string(json_object_get(source, "parameter"));
    }

    return found;
}


size_t
klaviyo_reply_named(klaviyo_answer_t *answer, uint32_t entries,
    klaviyo_blamed_t *named, size_t max)
{
    size_t            i, n, count;
    json_t           *errors;
    klaviyo_blamed_t  *all;

    count = 0;

    errors = klaviyo_reply_errors(answer);
    n = json_array_size(errors);

    if (n == 0) {
        return 0;
    }

    all = calloc(n, sizeof(klaviyo_blamed_t));
    if (all == NULL) {
        goto done;
    }

    for (i = 0; i < n; i++) {
        if (!klaviyo_reply_pointer(json_array_get(errors, i), &all[i])
            || all[i].entry >= entries)
        {
            goto done;
        }

        all[i].error = (uint32_t) i;
    }

    qsort(all, n, sizeof(klaviyo_blamed_t), klaviyo_reply_compare);

    for (i = 0; i < n; i++) {
        if (i > 0 && all[i].entry == all[i - 1].entry
            && all[i].event == all[i - 1].event)
        {
            continue;
        }

        /* a list that was cut is not the whole truth */

        if (count == max) {
            count = 0;
            goto done;
        }

        named[count++] = all[i];
    }

done:

    free(all);

    return count;
}


void
klaviyo_reply_text(klaviyo_answer_t *answer, char *buf, size_t size)
{
    char                   status[16];
    json_t                *error, *title, *detail, *pointer;
    klaviyo_reply_text_t   text;

    if (size == 0) {
        return;
    }

    text.pos = buf;
    text.last = buf + size - 1;

    *buf = '\0';

    if (answer->status == 0) {
        klaviyo_reply_add(&text, "no answer");

        if (answer->error != NULL && *answer->error != '\0') {
            klaviyo_reply_add(&text, ": ");
            klaviyo_reply_quote(&text, answer->error, strlen(answer->error));
        }

        return;
    }

    snprintf(status, sizeof(status), "%u", answer->status);
    klaviyo_reply_add(&text, status);

    if (answer->challenge) {
        klaviyo_reply_add(&text, " (challenge)");
        return;
    }

    error = json_array_get(klaviyo_reply_errors(answer), 0);
    title = json_object_get(error, "title");
    detail = json_object_get(error, "detail");

    if (json_is_string(title)) {
        klaviyo_reply_add(&text, " ");
        klaviyo_reply_quote(&text, json_string_value(title),
                           json_string_length(title));
    }

    /* what is said of an event may quote it */

    if (klaviyo_reply_verdict(answer) == KLAVIYO_REPLY_REFUSED) {

        pointer = json_object_get(json_object_get(error, "source"),
                                  "pointer");

        if (json_is_string(pointer)) {
            klaviyo_reply_add(&text, " at ");
            klaviyo_reply_quote(&text, json_string_value(pointer),
                               json_string_length(pointer));
        }

    } else if (json_is_string(detail)) {
        klaviyo_reply_add(&text, ": ");
        klaviyo_reply_quote(&text, json_string_value(detail),
                           json_string_length(detail));
    }
}


void
klaviyo_reply_free(klaviyo_answer_t *answer)
{
    json_decref(answer->errors);

    answer->errors = NULL;
    answer->read = 0;
}


void
klaviyo_reply_detail(klaviyo_answer_t *answer, uint32_t error, char *buf,
    size_t size)
{
    size_t       len;
    json_t      *detail;
    const char  *p;

    if (size == 0) {
        return;
    }

    *buf = '\0';

    detail = json_object_get(json_array_get(klaviyo_reply_errors(answer),
                                            error), "detail");

    if (!json_is_string(detail)) {
        return;
    }

    p = json_string_value(detail);
    len = json_string_length(detail);

    len = strnlen(p, len < size ? len : size);

    if (len == size) {
        len--;

        /* not in the middle of a character */

        while (len > 0 && ((uint8_t) p[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    memcpy(buf, p, len);
    buf[len] = '\0';
}


int
klaviyo_reply_show(klaviyo_answer_t *answer, char title[KLAVIYO_REPLY_TITLE],
    char detail[KLAVIYO_REPLY_DETAIL], char pointer[KLAVIYO_REPLY_POINTER])
{
    size_t              i, len;
    json_t             *error;
    klaviyo_verdict_e   verdict;

    memset(title, 0, KLAVIYO_REPLY_TITLE);
    memset(detail, 0, KLAVIYO_REPLY_DETAIL);
    memset(pointer, 0, KLAVIYO_REPLY_POINTER);

    if (answer->status == 0) {

        if (answer->error) {
            len = strnlen(answer->error, KLAVIYO_REPLY_TITLE - 1);

            for (i = 0; i < len; i++) {
                title[i] = (answer->error[i] < 0x20 || answer->error[i] > 0x7e)
                           ? '?' : answer->error[i];
            }
        }

        return 0;
    }

    error = json_array_get(klaviyo_reply_errors(answer), 0);

    if (error == NULL) {
        return 0;
    }

    klaviyo_reply_copy(json_object_get(error, "title"), title,
                       KLAVIYO_REPLY_TITLE);
    klaviyo_reply_copy(json_object_get(json_object_get(error, "source"),
                                       "pointer"),
                       pointer, KLAVIYO_REPLY_POINTER);

    verdict = klaviyo_reply_verdict(answer);

    if (verdict == KLAVIYO_REPLY_REFUSED || verdict == KLAVIYO_REPLY_TOO_LARGE)
    {
        klaviyo_reply_hide(json_object_get(error, "detail"), detail,
                           KLAVIYO_REPLY_DETAIL);

    } else {
        klaviyo_reply_copy(json_object_get(error, "detail"), detail,
                           KLAVIYO_REPLY_DETAIL);
    }

    return 1;
}


static void
klaviyo_reply_copy(const json_t *value, char *buf, size_t size)
{
    size_t       i, len;
    const char  *p;

    if (!json_is_string(value)) {
        return;
    }

    p = json_string_value(value);
    len = json_string_length(value);

    for (i = 0; i < len && i < size - 1; i++) {
        buf[i] = (p[i] < 0x20 || p[i] > 0x7e) ? '?' : p[i];
    }
}


/* word by word; several that are hidden in a row are one "..." */

static void
klaviyo_reply_hide(const json_t *value, char *buf, size_t size)
{
    int                    first, hidden, quoted;
    char                   word[32];
    size_t                 n;
    const char            *p, *end;
    klaviyo_reply_text_t   text;

    if (!json_is_string(value)) {
        return;
    }

    p = json_string_value(value);
    end = p + json_string_length(value);

    text.pos = buf;
    text.last = buf + size - 1;

    first = 1;
    hidden = 0;
    quoted = 0;

    while (p < end && text.pos < text.last) {

        while (p < end && *p == ' ') {
            p++;
        }

        for (n = 0; p + n < end && p[n] != ' '; n++) {

            if (p[n] == '"' || p[n] == '`'
                || (p[n] == '\'' && (n == 0 || quoted || p + n + 1 == end
                                     || p[n + 1] == ' ')))
            {
                break;
            }
        }

        if (p + n < end && p[n] != ' ') {

            /* up to the end of what is quoted, and what sticks to it */

            word[0] = p[n];

            for (n++; p + n < end && p[n] != word[0]; n++) { /* void */ }
            for ( /* void */ ; p + n < end && p[n] != ' '; n++) { /* void */ }

            quoted = 1;

        } else {
            quoted = 0;
        }

        if (n == 0) {
            break;
        }

        if (!quoted && n < sizeof(word) && klaviyo_reply_plain(p, n, first)) {
            memcpy(word, p, n);
            word[n] = '\0';

            if (text.pos > buf) {
                klaviyo_reply_add(&text, " ");
            }

            klaviyo_reply_add(&text, word);
            hidden = 0;

        } else if (!hidden) {

            if (text.pos > buf) {
                klaviyo_reply_add(&text, " ");
            }

            klaviyo_reply_add(&text, "...");
            hidden = 1;
        }

        first = (p[n - 1] == '.' || p[n - 1] == ':');
        p += n;
    }
}


/* letters, a capital only at the head of a sentence, a sign at the end */

static int
klaviyo_reply_plain(const char *p, size_t len, int first)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if (p[i] >= 'a' && p[i] <= 'z') {
            continue;
        }

        if (i == 0 && first && p[i] >= 'A' && p[i] <= 'Z') {
            continue;
        }

        if (i && i == len - 1 && strchr(".,:;", p[i]) != NULL) {
            continue;
        }

        return 0;
    }

    return 1;
}


/* the answer's errors; NULL: none that can be read */

static json_t *
klaviyo_reply_errors(klaviyo_answer_t *answer)
{
    if (!answer->read) {
        answer->read = 1;
        answer->errors = klaviyo_reply_parse(answer);
    }

    return answer->errors;
}


/* the list of errors, if the body is JSON with one that is not empty */

static json_t *
klaviyo_reply_parse(const klaviyo_answer_t *answer)
{
    json_t  *root, *errors;

    if (answer->body == NULL || answer->body_cut
        || answer->body_len > KLAVIYO_REPLY_BODY_MAX
        || !klaviyo_reply_sane(answer->body, answer->body_len))
    {
        return NULL;
    }

    /* a detail may quote what was sent, NUL and all */

    root = json_loadb((const char *) answer->body, answer->body_len,
                      JSON_ALLOW_NUL, NULL);
    if (root == NULL) {
        return NULL;
    }

    errors = json_object_get(root, "errors");
    errors = json_array_size(errors) ? json_incref(errors) : NULL;

    json_decref(root);

    return errors;
}


/* before jansson spends time, memory and stack on it */

static int
klaviyo_reply_sane(const uint8_t *p, size_t len)
{
    size_t  i, depth, nested;
    int     string;

    depth = 0;
    nested = 0;
    string = 0;

    for (i = 0; i < len; i++) {

        if (string) {
            if (p[i] == '\\') {
                i++;

            } else if (p[i] == '"') {
                string = 0;
            }

            continue;
        }

        switch (p[i]) {

        case '"':
            string = 1;
            break;

        case '{':
        case '[':
            depth++;
            nested++;
            break;

        case '}':
        case ']':
            if (depth == 0) {
                return 0;
            }

            depth--;
            break;
        }

        if (depth > KLAVIYO_REPLY_DEPTH_MAX
            || nested > KLAVIYO_REPLY_NESTED_MAX)
        {
            return 0;
        }
    }

    return 1;
}


static int
klaviyo_reply_pointer(const json_t *error, klaviyo_blamed_t *named)
{
    json_t      *pointer;
    uint32_t     event;
    const char  *p, *end, *next, *text;

    pointer = json_object_get(json_object_get(error, "source"), "pointer");
    if (!json_is_string(pointer)) {
        return 0;
    }

    text = json_string_value(pointer);
    end = text + json_string_length(pointer);

    p = klaviyo_reply_prefix(text, end, KLAVIYO_REPLY_ENTRY);

    if (p == NULL) {
        p = klaviyo_reply_prefix(text, end, KLAVIYO_REPLY_PERSON);
    }

    if (p == NULL) {
        return 0;
    }

    p = klaviyo_reply_index(p, end, &named->entry);
    if (p == NULL) {
        return 0;
    }

    named->event = -1;

    next = klaviyo_reply_prefix(p, end, KLAVIYO_REPLY_EVENT);
    if (next == NULL) {
        return 1;
    }

    next = klaviyo_reply_index(next, end, &event);
    if (next == NULL) {
        return 0;
    }

    named->event = (int32_t) event;

    return 1;
}


/* behind the prefix, NULL: something else stands there */

static const char *
klaviyo_reply_prefix(const char *p, const char *end, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    if ((size_t) (end - p) < len || memcmp(p, prefix, len) != 0) {
        return NULL;
    }

    return p + len;
}


/* RFC 6901: no sign, no leading zero, up to the end or the next slash */

static const char *
klaviyo_reply_index(const char *p, const char *end, uint32_t *index)
{
    uint32_t     n;
    const char  *start;

    n = 0;

    for (start = p; p < end && *p >= '0' && *p <= '9'; p++) {
        if (p - start == KLAVIYO_REPLY_DIGITS_MAX) {
            return NULL;
        }

        n = n * 10 + (uint32_t) (*p - '0');
    }

    if (p == start || (*start == '0' && p - start > 1)) {
        return NULL;
    }

    if (p < end && *p != '/') {
        return NULL;
    }

    *index = n;

    return p;
}


static int
klaviyo_reply_compare(const void *one, const void *two)
{
    const klaviyo_blamed_t  *a = one;
    const klaviyo_blamed_t  *b = two;

    if (a->entry != b->entry) {
        return a->entry < b->entry ? -1 : 1;
    }

    if (a->event != b->event) {
        return a->event < b->event ? -1 : 1;
    }

    return a->error < b->error ? -1 : 1;
}


static void
klaviyo_reply_add(klaviyo_reply_text_t *text, const char *p)
{
    while (*p != '\0' && text->pos < text->last) {
        *text->pos++ = *p++;
    }

    *text->pos = '\0';
}


/* bytes from outside: they end no quotation and start no escape sequence */

static void
klaviyo_reply_quote(klaviyo_reply_text_t *text, const char *p, size_t len)
{
    size_t  i;

    klaviyo_reply_add(text, "\"");

    for (i = 0; i < len && text->pos < text->last; i++) {

        if (p[i] < 0x20 || p[i] > 0x7e) {
            *text->pos++ = '?';

        } else if (p[i] == '"') {
            *text->pos++ = '\'';

        } else {
            *text->pos++ = p[i];
        }
    }

    klaviyo_reply_add(text, "\"");
}
