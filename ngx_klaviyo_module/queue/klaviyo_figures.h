/*
 * The figures of one account: what became of its events, and why.
 *
 * Outcomes live in the acknowledgement slots of the ring and move together
 * with the acknowledged position, so that at every moment
 *
 *     captured = delivered + dry_run + dead + lost + handed_over + queued
 *
 * Counters are single atomics beside them.  Both tables are part of the
 * ring's format: entries are appended, never reordered or removed.
 */


#ifndef KLAVIYO_FIGURES_H
#define KLAVIYO_FIGURES_H


#include <stdint.h>


/* the end of an event, X(constant, group, name) */

#define KLAVIYO_OUTCOMES(X)                                                  \
    X(DELIVERED,            "delivered",    "delivered")                     \
    X(DRY_RUN,              "dry_run",      "dry_run")                       \
    X(DEAD_REFUSED,         "dead",         "refused")                       \
    X(DEAD_TOO_LARGE,       "dead",         "too_large")                     \
    X(DEAD_EXPIRED,         "dead",         "expired")                       \
    X(LOST_FULL,            "lost",         "queue_full_oldest")             \
    X(LOST_CORRUPT,         "lost",         "corrupt")                       \
    X(LOST_SPOOL_FULL,      "lost",         "spool_full_oldest")             \
    X(LOST_SPOOL,           "lost",         "spool_unreadable")              \
    X(DEAD_FAILED,          "dead",         "failed")                        \
    X(HANDED_OVER,          "handed_over",  "handed_over")


/*
 * What happened on the way, X(constant, group, name).  The group "lost" is
 * of events that never became a record; they count as captured as well.
 */

#define KLAVIYO_COUNTERS(X)                                                  \
    X(LOST_QUEUE_FULL,      "lost",         "queue_full")                    \
    X(LOST_QUEUE_BUSY,      "lost",         "queue_busy")                    \
    X(SKIPPED_ANONYMOUS,    "skipped",      "anonymous")                     \
    X(SKIPPED_CONDITION,    "skipped",      "condition")                     \
    X(SKIPPED_STATUS,       "skipped",      "status")                        \
    X(SKIPPED_METRIC,       "skipped",      "metric")                        \
    X(SKIPPED_TOO_LARGE,    "skipped",      "too_large")                     \
    X(SKIPPED_PROPERTIES,   "skipped",      "too_many_properties")           \
    X(SKIPPED_PROFILE,      "skipped",      "profile_too_large")             \
    X(SKIPPED_MEMORY,       "skipped",      "no_memory")                     \
    X(VALUE_NUMBER,         "left_out",     "number")                        \
    X(VALUE_BOOL,           "left_out",     "bool")                          \
    X(VALUE_JSON,           "left_out",     "json")                          \
    X(VALUE_EMAIL,          "left_out",     "email")                         \
    X(VALUE_PHONE,          "left_out",     "phone_number")                  \
    X(VALUE_TIME,           "left_out",     "time")                          \
    X(VALUE_AMOUNT,         "left_out",     "value")                         \
    X(VALUE_CURRENCY,       "left_out",     "currency")                      \
    X(VALUE_UNIQUE_ID,      "left_out",     "unique_id")                     \
    X(VALUE_BACKFILL,       "left_out",     "backfill")                      \
    X(REPAIRED_UTF8,        "changed",      "utf8_repaired")                 \
    X(CUT_STRING,           "changed",      "string_cut")                    \
    X(CUT_LIST,             "changed",      "list_cut")                      \
    X(REQUESTS_SINGLE,      "requests",     "single")                        \
    X(REQUESTS_BULK,        "requests",     "bulk")                          \
    X(REPLIES_ACCEPTED,     "replies",      "accepted")                      \
    X(REPLIES_REFUSED,      "replies",      "refused")                       \
    X(REPLIES_TOO_LARGE,    "replies",      "too_large")                     \
    X(REPLIES_THROTTLED,    "replies",      "throttled")                     \
    X(REPLIES_BLOCKED,      "replies",      "blocked")                       \
    X(REPLIES_PASSING,      "replies",      "passing")                       \
    X(REPLIES_NONE,         "replies",      "none")                          \
    X(DELIVERY_RETRIED,     "delivery",     "events_retried")                \
    X(DELIVERY_ELECTIONS,   "delivery",     "elections")                     \
    X(SKIPPED_HEAD,         "skipped",      "head")                          \
    X(SKIPPED_PREFETCH,     "skipped",      "prefetch")                      \
    X(SKIPPED_SUBRESOURCE,  "skipped",      "subresource")                   \
    X(SKIPPED_BOT,          "skipped",      "bot")                           \
    X(SKIPPED_KLA_OFF,      "skipped",      "kla_off")                       \
    X(SKIPPED_GPC,          "skipped",      "gpc")                           \
    X(SKIPPED_DNT,          "skipped",      "dnt")                           \
    X(SKIPPED_CONSENT,      "skipped",      "consent")                       \
    X(VALUE_COOKIE,         "left_out",     "cookie")                        \
    X(VALUE_COOKIE_LONG,    "left_out",     "cookie_too_long")               \
    X(VALUE_KX,             "left_out",     "_kx")                           \
    X(VALUE_KE,             "left_out",     "_ke")                           \
    X(VALUE_IDENTIFIER,     "left_out",     "identifier")                    \
    X(VALUE_COMPANY,        "left_out",     "other_company")                 \
    X(SKIPPED_HEADER,       "skipped",      "header")                        \
    X(SKIPPED_CACHED,       "skipped",      "cached")                        \
    X(VALUE_HEADER,         "left_out",     "header")                        \
    X(VALUE_BODY,           "left_out",     "request_body")                  \
    X(SKIPPED_SCANNER,      "skipped",      "scanner")                       \
    X(SPOOL_EVENTS,         "spool",        "events_written")                \
    X(SPOOL_ABANDONED,      "spool",        "segments_abandoned")            \
    X(SPOOL_ERRORS,         "spool",        "errors")                        \
    X(SPOOL_FULL,           "spool",        "full")                          \
    X(SPOOL_USED,           "spool",        "bytes_used")                    \
    X(DEAD_LETTERS,         "dead_letters", "written")                       \
    X(DEAD_LETTERS_DROPPED, "dead_letters", "dropped_by_rotation")           \
    X(DEAD_LETTERS_ERRORS,  "dead_letters", "errors")                        \
    X(BREAKER_OPENED,       "delivery",     "breaker_opened")                \
    X(WEBHOOK_ACCEPTED,     "webhook",      "accepted")                      \
    X(WEBHOOK_ANSWERED,     "webhook",      "answered")                      \
    X(WEBHOOK_HEADERS,      "webhook",      "bad_headers")                   \
    X(WEBHOOK_TIMESTAMP,    "webhook",      "bad_timestamp")                 \
    X(WEBHOOK_SIGNATURE,    "webhook",      "bad_signature")                 \
    X(WEBHOOK_OTHER_ID,     "webhook",      "other_id")                      \
    X(WEBHOOK_BODY,         "webhook",      "bad_body")                      \
    X(WEBHOOK_TOO_LARGE,    "webhook",      "too_large")                     \
    X(WEBHOOK_SUBREQUEST,   "webhook",      "subrequest")                    \
    X(GATEWAY_REQUESTS,     "gateway",      "requests")                      \
    X(GATEWAY_2XX,          "gateway",      "answers_2xx")                   \
    X(GATEWAY_3XX,          "gateway",      "answers_3xx")                   \
    X(GATEWAY_4XX,          "gateway",      "answers_4xx")                   \
    X(GATEWAY_5XX,          "gateway",      "answers_5xx")                   \
    X(GATEWAY_FAILED,       "gateway",      "failed")                        \
    X(GATEWAY_CANCELED,     "gateway",      "canceled")                      \
    X(GATEWAY_RETRIED,      "gateway",      "retried")                       \
    X(GATEWAY_THROTTLED,    "gateway",      "throttled")                     \
    X(GATEWAY_REFUSED,      "gateway",      "refused_connections")           \
    X(ENRICH_REQUESTED,     "enrich",       "requested")                     \
    X(ENRICH_MERGED,        "enrich",       "merged")                        \
    X(ENRICH_EMPTY,         "enrich",       "empty")                         \
    X(ENRICH_TIMED_OUT,     "enrich",       "timed_out")                     \
    X(ENRICH_FAILED,        "enrich",       "failed")                        \
    X(ENRICH_TOO_LARGE,     "enrich",       "too_large")                     \
    X(ENRICH_NOT_JSON,      "enrich",       "not_json")                      \
    X(ENRICH_CANCELED,      "enrich",       "canceled")                      \
    X(ENRICH_CLOSE,         "enrich",       "not_asked")                     \
    X(VALUE_ENRICH,         "left_out",     "enrich")                        \
    X(VALUE_IP,             "left_out",     "ip")                            \
    X(DELIVERY_ASIDE,       "delivery",     "events_set_aside")              \
    X(SKIPPED_LOCATION,     "skipped",      "location")                      \
    X(SKIPPED_ACCOUNT,      "skipped",      "account")                       \
    X(SKIPPED_NO_HEADER,    "skipped",      "no_header")                     \
    X(VALUE_SOURCE,         "left_out",     "klaviyo_json")                  \
    X(CHANGED_NUMBER,       "changed",      "number_as_text")                \
    X(SKIPPED_JSON,         "skipped",      "klaviyo_track_json")            \
    X(PAGE_READ,            "page",         "read")                          \
    X(PAGE_ABORTED,         "page",         "aborted")                       \
    X(PAGE_NOT_HTML,        "page",         "not_html")                      \
    X(PAGE_STATUS,          "page",         "status")                        \
    X(PAGE_RANGE,           "page",         "range")                         \
    X(PAGE_TOO_LARGE,       "page",         "too_large")                     \
    X(PAGE_UNREADABLE,      "page",         "unreadable")                    \
    X(PAGE_MEMORY,          "page",         "no_memory")                     \
    X(BODY_READ,            "response_body", "read")                         \
    X(BODY_NOT_JSON,        "response_body", "not_json")                     \
    X(BODY_STATUS,          "response_body", "status")                       \
    X(BODY_RANGE,           "response_body", "range")                        \
    X(BODY_TOO_LARGE,       "response_body", "too_large")                    \
    X(BODY_UNREADABLE,      "response_body", "unreadable")                   \
    X(BODY_MEMORY,          "response_body", "no_memory")                    \
    X(VALUE_JSONLD,         "left_out",     "json_ld")                       \
    X(SKIPPED_PAGE,         "skipped",      "page")                          \
    X(SKIPPED_UNSIGNED,     "skipped",      "unsigned")                      \
    X(VALUE_CAMPAIGN,       "left_out",     "campaign")                      \
    X(ENRICH_UNUSED,        "enrich",       "unused")                        \
    X(VALUE_FORM,           "left_out",     "klaviyo_form")                  \
    X(SKIPPED_LIST,         "skipped",      "list")                          \
    X(VALUE_CHANNEL_EMAIL,  "left_out",     "email_channel")                 \
    X(VALUE_CHANNEL_SMS,    "left_out",     "sms_channel")                   \
    X(DELIVERY_SUPERSEDED,  "delivery",     "superseded")                    \
    X(VALUE_CHARSET,        "left_out",     "charset")                       \
    X(PAGE_NOT_MODIFIED,    "page",         "not_modified")                  \
    X(SKIPPED_NO_PAGE,      "skipped",      "no_page")


#define klaviyo_outcome_constant(constant, group, name)                      \
    KLAVIYO_OUTCOME_##constant,

typedef enum {
    KLAVIYO_OUTCOMES(klaviyo_outcome_constant)
    KLAVIYO_OUTCOME_N
} klaviyo_outcome_e;

#undef klaviyo_outcome_constant


#define klaviyo_counter_constant(constant, group, name)                      \
    KLAVIYO_COUNT_##constant,

typedef enum {
    KLAVIYO_COUNTERS(klaviyo_counter_constant)
    KLAVIYO_COUNT_N
} klaviyo_counter_e;

#undef klaviyo_counter_constant


/* what waits for a window of Klaviyo's */

typedef enum {
    KLAVIYO_WAIT_SINGLE = 0,
    KLAVIYO_WAIT_BULK,
    KLAVIYO_WAIT_N
} klaviyo_wait_e;


typedef struct {
    const char  *group;
    const char  *name;
} klaviyo_figure_name_t;


extern const klaviyo_figure_name_t  klaviyo_outcome_names[];
extern const klaviyo_figure_name_t  klaviyo_counter_names[];

/* of a counter in the group "skipped", for people: why there was no event */
const char *klaviyo_skipped_words(const char *name);


/* one consistent reading of a ring, see klaviyo_ring_figures() */

typedef struct {
    uint64_t     captured;       /* events that capture produced            */
    uint64_t     queued;         /* of these: not yet delivered, dead, lost */
    uint64_t     spooled;        /* of these: in the spool only             */
    uint64_t     detached;       /* lost because the ring was detached      */
    uint64_t     done;           /* number of the first without an outcome  */
    uint64_t     moved;          /* to the queue's end, or another ring's   */
    uint64_t     outcome[KLAVIYO_OUTCOME_N];
    uint64_t     counter[KLAVIYO_COUNT_N];
    uint64_t     size;           /* bytes that the ring can hold            */
    uint64_t     used;           /* bytes of it in use                      */
    int64_t      paused_until;   /* CLOCK_BOOTTIME, ms; 0: not paused       */
    int64_t      waits_until[KLAVIYO_WAIT_N];  /* the same; 0: does not     */
    int64_t      deliverer;      /* pid of the lease's holder; 0: none      */
    unsigned     attached;       /* 0: detached, its figures are gone       */
} klaviyo_figures_t;


#endif /* KLAVIYO_FIGURES_H */
