/*
 * What an answer of Klaviyo means for the events that were sent.
 *
 * Facts: the table of statuses and the error format of Klaviyo's API
 * (JSON:API errors with source.pointer).  Plain C and jansson: bytes from
 * Klaviyo's end are hostile until checked.
 */


#ifndef KLAVIYO_REPLY_H
#define KLAVIYO_REPLY_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_REPLY_BODY_MAX   (64 * 1024)    /* kept of a body, bytes    */
#define KLAVIYO_REPLY_PAUSE_MAX  3600           /* of a Retry-After, s      */


/* jansson's, and nobody else's to look into */

typedef struct json_t  klaviyo_reply_errors_t;


/*
 * An answer as the transport saw it; `body` and `error` are the transport's.
 * Its errors are read once, when they are first asked for, and stay until
 * klaviyo_reply_free().
 */

typedef struct {
    unsigned        status;      /* HTTP status; 0: no answer               */
    const char     *error;       /* without an answer: why, NUL-terminated  */
    const uint8_t  *body;
    size_t          body_len;
    int64_t         retry_after;     /* s, from a number or a date; -1: none */
    int64_t         rate_remaining;  /* RateLimit-Remaining; -1: none       */
    int64_t         rate_reset;      /* RateLimit-Reset, s; -1: none        */
    klaviyo_reply_errors_t  *errors; /* NULL: none, or not yet read         */
    unsigned        challenge:1;     /* cf-mitigated: challenge             */
    unsigned        body_cut:1;      /* the body went on past the limit     */
    unsigned        read:1;          /* `errors` is known                   */
} klaviyo_answer_t;


typedef enum {
    KLAVIYO_REPLY_ACCEPTED = 0,
    KLAVIYO_REPLY_REFUSED,       /* 400, 409, 422: see the named entries    */
    KLAVIYO_REPLY_TOO_LARGE,     /* 413                                     */
    KLAVIYO_REPLY_THROTTLED,     /* 429                                     */
    KLAVIYO_REPLY_BLOCKED,       /* 401, 403, 404, ...: configuration fault */
    KLAVIYO_REPLY_PASSING,       /* 5xx, 408, 425, a challenge              */
    KLAVIYO_REPLY_NONE           /* no answer: it may have been processed   */
} klaviyo_verdict_e;


/* an entry of a bulk request that an error's pointer names */

typedef struct {
    uint32_t  entry;
    int32_t   event;             /* within the entry, -1: the whole entry   */
    uint32_t  error;             /* which of the errors says so first       */
} klaviyo_blamed_t;


/*
 * Every status has a verdict; one that the table does not know: by class.  A
 * 400 whose source is a header or a parameter is a configuration fault.
 */
klaviyo_verdict_e klaviyo_reply_verdict(klaviyo_answer_t *answer);

/*
 * The entries that a 400's pointers name, sorted, each once.  Returns how
 * many were written to `named` (at most `max`); 0 when no pointer is usable:
 * not JSON, no errors, an index that was not sent (>= entries), or any error
 * without a usable pointer (then the list would not be the whole truth).
 */
size_t klaviyo_reply_named(klaviyo_answer_t *answer, uint32_t entries,
    klaviyo_blamed_t *named, size_t max);

/*
 * What went wrong in words, for a log: status, title and detail of the first
 * error (of a refusal the pointer in place of the detail, which may quote
 * personal data), printable ASCII only, NUL-terminated, at most `size` bytes.
 */
void klaviyo_reply_text(klaviyo_answer_t *answer, char *buf,
    size_t size);

/*
 * The same in parts, for people: title, detail and pointer of the first error,
 * each printable ASCII, NUL-terminated, the rest of its buffer zeroes; without
 * an answer the reason is the title.  Of a refusal's detail only plain words
 * are left: what is quoted, has a capital within a sentence, a digit or a sign
 * may be personal data, and becomes "...".  Returns 0: these are none of
 * Klaviyo's words, as there is no such error in the answer.
 */

#define KLAVIYO_REPLY_TITLE    64
#define KLAVIYO_REPLY_DETAIL   160
#define KLAVIYO_REPLY_POINTER  80

int klaviyo_reply_show(klaviyo_answer_t *answer,
    char title[KLAVIYO_REPLY_TITLE], char detail[KLAVIYO_REPLY_DETAIL],
    char pointer[KLAVIYO_REPLY_POINTER]);

/* forgets the errors; the answer may be asked, and is read, again */
void klaviyo_reply_free(klaviyo_answer_t *answer);

/*
 * What Klaviyo itself says is wrong, the detail of an error, as it came (it
 * may quote personal data: for dead letters, not for logs), cut at a
 * character; NUL-terminated, at most `size` bytes; empty: it says nothing.
 * It costs what `size` says, however long the detail.
 */
void klaviyo_reply_detail(klaviyo_answer_t *answer, uint32_t error,
    char *buf, size_t size);


#endif /* KLAVIYO_REPLY_H */
