/*
 * Events followed from their place in the queue to their end, beside a
 * running nginx: nothing is locked, and nothing is changed.
 *
 * The queue says how many events ended how, and not which; they end in their
 * order.  Who was given up is known by the dead letters; of several that
 * ended in different ways in one moment the others' ends may not be known.
 */


#ifndef KLAVIYO_CLI_WATCH_H
#define KLAVIYO_CLI_WATCH_H


#include "klaviyo_cli.h"


#define KLAVIYO_CLI_WATCH_STEP  50   /* ms between two looks                 */


typedef enum {
    KLAVIYO_CLI_WAITS = 0,
    KLAVIYO_CLI_ENDED,           /* `outcome` and what follows it            */
    KLAVIYO_CLI_AGAIN,           /* set aside: it is at the queue's end now  */
    KLAVIYO_CLI_MIXED            /* ended, and it is not known how           */
} klaviyo_cli_fate_e;


typedef struct {
    uint64_t            seq;
    uint64_t            number;      /* from 1 on, of those that were seen   */
    int64_t             time;        /* of capture                           */
    size_t              unique_id_len;
    uint8_t             unique_id[KLAVIYO_UNIQUE_ID_MAX];
    klaviyo_cli_fate_e  fate;
    klaviyo_outcome_e   outcome;
    unsigned            status;      /* of Klaviyo's answer; 0: not known    */
} klaviyo_cli_watched_t;


typedef struct klaviyo_cli_watch_s  klaviyo_cli_watch_t;

struct klaviyo_cli_watch_s {
    klaviyo_ring_t         *ring;
    const char             *dead_letter;     /* NULL: not known              */

    void                  (*came)(klaviyo_cli_watch_t *watch,
                                  const klaviyo_cli_watched_t *watched,
                                  const klaviyo_event_t *event);
    void                  (*ended)(klaviyo_cli_watch_t *watch,
                                   const klaviyo_cli_watched_t *watched);
    void                   *data;

    klaviyo_figures_t       figures;         /* at the last step             */

    /* private */

    klaviyo_cursor_t        cursor;
    klaviyo_cli_watched_t  *waits;           /* in their order               */
    size_t                  n;
    size_t                  room;
    uint64_t                number;
    uint8_t                *buf;
    size_t                  size;
    FILE                   *letters;
    char                   *line;
    size_t                  line_size;
};


/*
 * Begins with what comes from now on; ring, dead_letter, came, ended and data
 * are set, the rest is zeroes.  The ring stays the caller's.
 */
int klaviyo_cli_watch_start(klaviyo_cli_watch_t *watch);

/* one look; CANNOT, already told: the ring is gone, or there is no memory */
int klaviyo_cli_watch_step(klaviyo_cli_watch_t *watch);

void klaviyo_cli_watch_wait(void);
void klaviyo_cli_watch_stop(klaviyo_cli_watch_t *watch);


#endif /* KLAVIYO_CLI_WATCH_H */
