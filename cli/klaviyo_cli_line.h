/*
 * An event as a line of JSON: what export and repair write, and what replay
 * reads back, dead letters among it (delivery/klaviyo_letter.h).
 *
 *     {"captured":"2026-07-15T11:59:58.123Z","unique_id":"...",
 *      "event":{"type":"event","attributes":{...,"profile":{"data":{...}}}}}
 *
 * In other lanes "event" is what their endpoint takes as "data".  Other members
 * beside these three are passed over.
 */


#ifndef KLAVIYO_CLI_LINE_H
#define KLAVIYO_CLI_LINE_H


#include <stdio.h>

#include "queue/klaviyo_ring.h"


/* bytes of a line: the largest event, and the frame of a letter */
#define KLAVIYO_CLI_LINE_MAX  (6 * 1024 * 1024)


/* the pieces of the event that was read last; zeroed, it is empty */

typedef struct {
    uint8_t  *attributes;
    size_t    size;
    uint8_t   unique_id[KLAVIYO_UNIQUE_ID_MAX];
} klaviyo_cli_pieces_t;


/* for every event: the members of an event, ready to be sent */
void klaviyo_cli_line_write(FILE *out, const klaviyo_event_t *event);

/* the same by klaviyo_cli_write() */
void klaviyo_cli_line_print(FILE *out, const klaviyo_event_t *event);

/*
 * The event of a line, checked as capture would; its pieces point into the
 * line and into `pieces`.  NULL, or what is wrong with it.
 */
const char *klaviyo_cli_line_parse(klaviyo_cli_pieces_t *pieces,
    const uint8_t *p, size_t len, unsigned backfill, klaviyo_event_t *event);


#endif /* KLAVIYO_CLI_LINE_H */
