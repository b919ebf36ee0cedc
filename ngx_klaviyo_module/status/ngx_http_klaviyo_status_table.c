/*
 * status: the table of figures, which all forms share, in the JSON's order.
 *
 * A figure of the ring in a group that has a row without a name is in every
 * form as soon as klaviyo_figures.h has it.  Any other figure is a row here.
 */


#include "ngx_http_klaviyo_status_table.h"


#define NGX_HTTP_KLAVIYO_STATUS_NONE  ((size_t) -1)

#define ngx_http_klaviyo_status_ring(field)                                  \
    offsetof(ngx_http_klaviyo_status_reading_t, ring.field)

#define ngx_http_klaviyo_status_outcome(constant)                            \
    ngx_http_klaviyo_status_ring(outcome[KLAVIYO_OUTCOME_##constant])

#define ngx_http_klaviyo_status_counter(constant)                            \
    ngx_http_klaviyo_status_ring(counter[KLAVIYO_COUNT_##constant])

#define ngx_http_klaviyo_status_hold(field)                                  \
    offsetof(ngx_http_klaviyo_status_reading_t, hold.field)

#define ngx_http_klaviyo_status_fleet(field)                                 \
    offsetof(ngx_http_klaviyo_status_reading_t, fleet.field)

#define ngx_http_klaviyo_status_own(field)                                   \
    offsetof(ngx_http_klaviyo_status_reading_t, field)

/* a row without a name, and the sum over a group */

#define ngx_http_klaviyo_status_each(group, family, label, help)             \
    { group, NULL, NGX_HTTP_KLAVIYO_STATUS_NONE,                             \
      NGX_HTTP_KLAVIYO_STATUS_COUNTER, family, label, help }

#define ngx_http_klaviyo_status_sum(name, help)                              \
    { "", name, NGX_HTTP_KLAVIYO_STATUS_NONE,                                \
      NGX_HTTP_KLAVIYO_STATUS_COUNTER, NULL, NULL, help }


#define ngx_http_klaviyo_status_state(constant, name, what, todo)            \
    { "state", name,                                                         \
      ngx_http_klaviyo_status_own(states[KLAVIYO_STATE_##constant]),         \
      NGX_HTTP_KLAVIYO_STATUS_STATE, "state", "state",                       \
      "How the account fares now: 1 for what is so" },


const ngx_http_klaviyo_status_row_t  ngx_http_klaviyo_status_rows[] = {

    { "", "captured",
      ngx_http_klaviyo_status_ring(captured),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "events_captured", NULL,
      "Events that requests produced" },

    { "", "delivered",
      ngx_http_klaviyo_status_outcome(DELIVERED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "events_delivered", NULL,
      "Events that Klaviyo accepted" },

    { "", "dry_run",
      ngx_http_klaviyo_status_outcome(DRY_RUN),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "events_dry_run", NULL,
      "Events that were logged instead of sent" },

    ngx_http_klaviyo_status_sum("dead", "Events that were given up"),

    ngx_http_klaviyo_status_sum("lost", "Events that were lost"),

    { "", "handed_over",
      ngx_http_klaviyo_status_outcome(HANDED_OVER),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "events_handed_over", NULL,
      "Events that the shared queue of a fleet took over and settled" },

    { "", "queued",
      ngx_http_klaviyo_status_ring(queued),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "events_queued", NULL,
      "Events that wait or are on their way, in the ring or the spool" },

    ngx_http_klaviyo_status_each("dead",
      "events_dead", "reason",
      "Events that were given up"),

    ngx_http_klaviyo_status_each("lost",
      "events_lost", "reason",
      "Events that were lost"),

    { "lost", "detached",
      ngx_http_klaviyo_status_ring(detached),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "events_lost", "reason",
      "Events that were lost" },

    ngx_http_klaviyo_status_each("skipped",
      "requests_skipped", "reason",
      "Requests that produced no event"),

    ngx_http_klaviyo_status_each("left_out",
      "values_left_out", "reason",
      "Values that were left out of their event"),

    ngx_http_klaviyo_status_each("changed",
      "values_changed", "reason",
      "Values that were repaired or cut"),

    ngx_http_klaviyo_status_each("requests",
      "delivery_requests", "type",
      "Requests to Klaviyo that carried events"),

    ngx_http_klaviyo_status_each("replies",
      "delivery_replies", "result",
      "What became of the requests to Klaviyo that carried events"),

    ngx_http_klaviyo_status_each("webhook",
      "webhook_calls", "result",
      "Calls in locations with klaviyo_webhook"),

    { "gateway", "requests",
      ngx_http_klaviyo_status_counter(GATEWAY_REQUESTS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "gateway_requests", NULL,
      "Requests by klaviyo_pass" },

    ngx_http_klaviyo_status_each("gateway",
      "gateway_ended", "result",
      "How requests by klaviyo_pass ended"),

    { "gateway", "retried",
      ngx_http_klaviyo_status_counter(GATEWAY_RETRIED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "gateway_retried", NULL,
      "Tries of requests by klaviyo_pass after the first one" },

    { "gateway", "throttled",
      ngx_http_klaviyo_status_counter(GATEWAY_THROTTLED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "gateway_throttled", NULL,
      "Answers of 429 to klaviyo_pass" },

    { "gateway", "refused_connections",
      ngx_http_klaviyo_status_counter(GATEWAY_REFUSED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "gateway_refused_connections", NULL,
      "Requests that klaviyo_pass refused beyond its connections" },

    { "enrich", "requested",
      ngx_http_klaviyo_status_counter(ENRICH_REQUESTED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "enrich_requests", NULL,
      "Subrequests of klaviyo_enrich" },

    ngx_http_klaviyo_status_each("enrich",
      "enrich_ended", "result",
      "How subrequests of klaviyo_enrich ended"),

    { "enrich", "not_asked",
      ngx_http_klaviyo_status_counter(ENRICH_CLOSE),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "enrich_not_asked", NULL,
      "Responses without a length, which klaviyo_enrich leaves alone" },

    ngx_http_klaviyo_status_each("page",
      "pages", "result",
      "Answers under klaviyo_page, and why they were not read"),

    ngx_http_klaviyo_status_each("response_body",
      "response_bodies", "result",
      "Answers under klaviyo_response_body, and why they were not read"),

    { "delivery", "events_retried",
      ngx_http_klaviyo_status_counter(DELIVERY_RETRIED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "delivery_events_retried", NULL,
      "Events that were sent again" },

    { "delivery", "elections",
      ngx_http_klaviyo_status_counter(DELIVERY_ELECTIONS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "delivery_elections", NULL,
      "Times that a worker took delivery over" },

    { "delivery", "breaker_opened",
      ngx_http_klaviyo_status_counter(BREAKER_OPENED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "delivery_breaker_opened", NULL,
      "Times that too many refusals at once were set aside" },

    { "delivery", "events_set_aside",
      ngx_http_klaviyo_status_counter(DELIVERY_ASIDE),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "delivery_events_set_aside", NULL,
      "Events that failed while others were accepted, and go by themselves" },

    { "delivery", "superseded",
      ngx_http_klaviyo_status_counter(DELIVERY_SUPERSEDED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "delivery_superseded", NULL,
      "Records that a later one for the same person took the place of" },

    { "delivery", "deliverer",
      ngx_http_klaviyo_status_own(deliverer),
      NGX_HTTP_KLAVIYO_STATUS_PROCESS,
      "delivery_deliverer", NULL,
      "The process that delivers, 0 if there is none" },

    { "delivery", "paused_for",
      ngx_http_klaviyo_status_own(paused_for),
      NGX_HTTP_KLAVIYO_STATUS_SECONDS,
      "delivery_paused", NULL,
      "How much longer Klaviyo asked to wait" },

    { "delivery", "single_waits_for",
      ngx_http_klaviyo_status_own(single_waits_for),
      NGX_HTTP_KLAVIYO_STATUS_SECONDS,
      "delivery_single_waits", NULL,
      "How much longer a request with one event waits for its rate window" },

    { "delivery", "bulk_waits_for",
      ngx_http_klaviyo_status_own(bulk_waits_for),
      NGX_HTTP_KLAVIYO_STATUS_SECONDS,
      "delivery_bulk_waits", NULL,
      "How much longer a request with several waits for its rate window" },

    { "delivery", "last_success",
      ngx_http_klaviyo_status_own(success),
      NGX_HTTP_KLAVIYO_STATUS_TIME,
      "delivery_last_success", NULL,
      "When Klaviyo accepted something last, 0 if never" },

    { "delivery", "failing_since",
      ngx_http_klaviyo_status_own(since),
      NGX_HTTP_KLAVIYO_STATUS_TIME,
      "delivery_failing_since", NULL,
      "Since when nothing was accepted, 0 if the last request was" },

    { "delivery", "oldest_waiting",
      ngx_http_klaviyo_status_own(oldest),
      NGX_HTTP_KLAVIYO_STATUS_SECONDS,
      "delivery_oldest_waiting", NULL,
      "The age of the oldest event that waits" },

    { "delivery", "captured_per_minute",
      ngx_http_klaviyo_status_own(captured),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "delivery_captured_per_minute", NULL,
      "Events captured in the last minute" },

    { "delivery", "delivered_per_minute",
      ngx_http_klaviyo_status_own(delivered),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "delivery_delivered_per_minute", NULL,
      "Events delivered in the last minute" },

    KLAVIYO_STATES(ngx_http_klaviyo_status_state)

    { "queue", "size",
      ngx_http_klaviyo_status_ring(size),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "queue_size", NULL,
      "What the ring can hold" },

    { "queue", "used",
      ngx_http_klaviyo_status_ring(used),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "queue_used", NULL,
      "What the ring holds" },

    { "queue", "attached",
      ngx_http_klaviyo_status_own(attached),
      NGX_HTTP_KLAVIYO_STATUS_STATE,
      "queue_attached", NULL,
      "Whether the ring's file is there and whole" },

    { "spool", "events_written",
      ngx_http_klaviyo_status_counter(SPOOL_EVENTS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "spool_events_written", NULL,
      "Events that were written to the spool" },

    { "spool", "segments_abandoned",
      ngx_http_klaviyo_status_counter(SPOOL_ABANDONED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "spool_segments_abandoned", NULL,
      "Files of the spool that were left after an error of the disk" },

    { "spool", "errors",
      ngx_http_klaviyo_status_counter(SPOOL_ERRORS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "spool_errors", NULL,
      "Errors of the spool's disk" },

    { "spool", "full",
      ngx_http_klaviyo_status_counter(SPOOL_FULL),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "spool_full", NULL,
      "Times that the spool was full" },

    { "spool", "bytes_used",
      ngx_http_klaviyo_status_counter(SPOOL_USED),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "spool_used", NULL,
      "What the spool takes on disk" },

    { "spool", "events",
      ngx_http_klaviyo_status_ring(spooled),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "spool_events", NULL,
      "Events of those queued that only the spool has" },

    { "spool", "size",
      ngx_http_klaviyo_status_own(spool_size),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "spool_size", NULL,
      "What the spool may take on disk" },

    { "dead_letters", "written",
      ngx_http_klaviyo_status_counter(DEAD_LETTERS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "dead_letters_written", NULL,
      "Lines that were written to the file of dead letters" },

    { "dead_letters", "dropped_by_rotation",
      ngx_http_klaviyo_status_counter(DEAD_LETTERS_DROPPED),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "dead_letters_dropped_by_rotation", NULL,
      "Dead letters whose file newer ones took the place of" },

    { "dead_letters", "errors",
      ngx_http_klaviyo_status_counter(DEAD_LETTERS_ERRORS),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "dead_letters_errors", NULL,
      "Errors of the disk of the dead letters, which the queue waits for" },

    { "fleet", "connected",
      ngx_http_klaviyo_status_fleet(connected),
      NGX_HTTP_KLAVIYO_STATUS_STATE,
      "fleet_connected", NULL,
      "Whether turns are asked for: 0, this host goes on by itself" },

    { "fleet", "hosts",
      ngx_http_klaviyo_status_fleet(hosts),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "fleet_hosts", NULL,
      "Hosts that share the limits, as this one was told last" },

    { "fleet", "silent",
      ngx_http_klaviyo_status_fleet(silent),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "fleet_hosts_silent", NULL,
      "Of these, hosts that were not heard of for three seconds" },

    { "fleet", "asked",
      ngx_http_klaviyo_status_fleet(asked),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_asked", NULL,
      "How often a turn was asked for" },

    { "fleet", "granted",
      ngx_http_klaviyo_status_fleet(granted),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_granted", NULL,
      "Requests to Klaviyo by turns that were granted" },

    { "fleet", "by_itself",
      ngx_http_klaviyo_status_fleet(by_itself),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_by_itself", NULL,
      "Requests to Klaviyo while the fleet was away" },

    { "fleet", "errors",
      ngx_http_klaviyo_status_fleet(errors),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_errors", NULL,
      "Connections to Redis that were lost, or not had" },

    { "fleet", "leads",
      ngx_http_klaviyo_status_fleet(leads),
      NGX_HTTP_KLAVIYO_STATUS_STATE,
      "fleet_leads", NULL,
      "Whether this host delivers the shared queue" },

    { "fleet", "accepted",
      ngx_http_klaviyo_status_fleet(accepted),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_events_accepted", NULL,
      "Events that the shared queue took, of all hosts" },

    { "fleet", "delivered",
      ngx_http_klaviyo_status_fleet(delivered),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_events_delivered", NULL,
      "Of these, events that Klaviyo accepted" },

    { "fleet", "dead",
      ngx_http_klaviyo_status_fleet(dead),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_events_dead", NULL,
      "Of these, events that were given up" },

    { "fleet", "queued",
      ngx_http_klaviyo_status_fleet(queued),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "fleet_events_queued", NULL,
      "Of these, events that wait or are on their way" },

    { "fleet", "bytes",
      ngx_http_klaviyo_status_fleet(bytes),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "fleet_bytes", NULL,
      "What the shared queue takes in Redis" },

    { "fleet", "given_back",
      ngx_http_klaviyo_status_fleet(given_back),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_events_given_back", NULL,
      "Events of damaged packs, which their hosts add again" },

    { "fleet", "letters_dropped",
      ngx_http_klaviyo_status_fleet(letters_dropped),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_letters_dropped", NULL,
      "Dead letters in Redis that gave way to newer ones" },

    { "fleet", "full",
      ngx_http_klaviyo_status_fleet(full),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "fleet_full", NULL,
      "Times that the shared queue had no room for a pack of this host" },

    { "hold", "held",
      ngx_http_klaviyo_status_hold(held),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "hold_held", NULL,
      "Events that had to wait for their visitor" },

    { "hold", "waiting",
      ngx_http_klaviyo_status_hold(waiting),
      NGX_HTTP_KLAVIYO_STATUS_GAUGE,
      "hold_waiting", NULL,
      "Events that wait for their visitor" },

    { "hold", "released",
      ngx_http_klaviyo_status_hold(released),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "hold_released", NULL,
      "Events whose visitor became known" },

    { "hold", "expired",
      ngx_http_klaviyo_status_hold(expired),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "hold_expired", NULL,
      "Events whose visitor stayed unknown" },

    { "hold", "lost",
      ngx_http_klaviyo_status_hold(lost),
      NGX_HTTP_KLAVIYO_STATUS_COUNTER,
      "hold_lost", NULL,
      "Events that were lost while they waited for their visitor" },

    { "hold", "size",
      ngx_http_klaviyo_status_hold(size),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "hold_size", NULL,
      "What the file of those that wait for their visitor can hold" },

    { "hold", "used",
      ngx_http_klaviyo_status_hold(used),
      NGX_HTTP_KLAVIYO_STATUS_BYTES,
      "hold_used", NULL,
      "What the file of those that wait for their visitor holds" },

    { "hold", "attached",
      ngx_http_klaviyo_status_own(hold_attached),
      NGX_HTTP_KLAVIYO_STATUS_STATE,
      "hold_attached", NULL,
      "Whether the file of those that wait is there and whole" },

    { NULL, NULL, 0, NGX_HTTP_KLAVIYO_STATUS_COUNTER, NULL, NULL, NULL }
};
