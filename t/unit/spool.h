/*
 * What the tests of the spool share: a folder, chunks of events whose
 * content follows from their sequence, reading all back.
 */


#ifndef SPOOL_H
#define SPOOL_H


#include "chunk.h"
#include "ring.h"
#include "queue/klaviyo_spool.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_read.h"


static klaviyo_spool_state_t  spool_st;


static inline klaviyo_spool_rc_e
spool_try(klaviyo_spool_t **spool, const char *dir, uint64_t size)
{
    klaviyo_spool_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.dir = dir;
    conf.size = size;

    return klaviyo_spool_open(spool, &conf, ring_error, ring_note);
}


static inline klaviyo_spool_t *
spool_open(const char *dir, uint64_t size)
{
    klaviyo_spool_t  *spool;

    if (spool_try(&spool, dir, size) != KLAVIYO_SPOOL_OK) {
        diag("open: %s", ring_error);
        return NULL;
    }

    return spool;
}


/* the event of a sequence: its number is seq % 2^31, its writer what is */
/* left */

static inline int
spool_add(klaviyo_chunk_t *chunk, uint64_t seq, size_t size)
{
    ring_event_t  e;

    ring_event(&e, (unsigned) (seq >> 31), (unsigned) (seq & 0x7fffffff),
               size);

    return chunk_put(chunk, seq, &e.event);
}


static inline klaviyo_spool_rc_e
spool_write(klaviyo_spool_t *spool, uint64_t from, uint64_t to, size_t size)
{
    klaviyo_chunk_t     chunk;
    klaviyo_spool_rc_e  rc;

    rc = KLAVIYO_SPOOL_OK;
    memset(&chunk, 0, sizeof(chunk));

    while (from < to && rc == KLAVIYO_SPOOL_OK) {
        klaviyo_chunk_reset(&chunk);

        while (from < to && spool_add(&chunk, from, size) == 1) {
            from++;
        }

        rc = klaviyo_spool_write(spool, &chunk, chunk.to * 100, ring_error);
    }

    klaviyo_chunk_free(&chunk);

    return rc;
}


typedef struct {
    uint64_t  events;
    uint64_t  missing;               /* between them, and at the end        */
    uint64_t  wrong;
    uint64_t  first;
    uint64_t  last;
    uint64_t  reads;
} spool_taken_t;


/* `shift`: how much higher sequences are than when they were written */

static inline void
spool_take(klaviyo_spool_t *spool, uint64_t from, uint64_t shift,
    spool_taken_t *taken)
{
    unsigned            writer, n;
    uint64_t            seq;
    klaviyo_chunk_t     chunk;
    klaviyo_record_t    record;
    klaviyo_spool_rc_e  rc;

    memset(taken, 0, sizeof(spool_taken_t));
    memset(&chunk, 0, sizeof(chunk));

    klaviyo_spool_state(spool, &spool_st);

    for (seq = from; seq < spool_st.tail; /* void */) {
        rc = klaviyo_spool_read(spool, seq, &chunk, ring_error);

        if (rc != KLAVIYO_SPOOL_OK) {
            diag("read: %s", ring_error);
            taken->wrong++;
            break;
        }

        taken->reads++;

        if (chunk.from != seq || chunk.to <= seq || chunk.to > spool_st.tail) {
            diag("chunk of %" PRIu64 " to %" PRIu64 ", asked %" PRIu64,
                 chunk.from, chunk.to, seq);
            taken->wrong++;
            break;
        }

        while (klaviyo_chunk_next(&chunk, seq, &record) == KLAVIYO_RING_OK) {

            if (!ring_same(&record, &writer, &n)
                || ((uint64_t) writer << 31) + n != record.seq - shift
                || record.seq != seq + record.missing
                || record.next.seq != record.seq + 1)
            {
                taken->wrong++;
            }

            if (taken->events++ == 0) {
                taken->first = record.seq;
            }

            taken->last = record.seq;
            taken->missing += record.missing;
            seq = record.next.seq;
        }

        taken->missing += chunk.to - seq;
        seq = chunk.to;
    }

    klaviyo_chunk_free(&chunk);
}


#endif /* SPOOL_H */
