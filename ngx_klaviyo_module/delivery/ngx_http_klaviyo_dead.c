/*
 * Delivery: dead letters are collected in memory and written by a job, one at
 * a time.  The function *_work runs in a thread: it touches the writer only.
 */


#include "ngx_http_klaviyo_dead.h"

#include "queue/klaviyo_dead.h"
#include "queue/klaviyo_ring_figures.h"
#include "ngx_http_klaviyo_job.h"


#define NGX_HTTP_KLAVIYO_DEAD_RETRY  1000  /* ms after a failure             */
#define NGX_HTTP_KLAVIYO_DEAD_FULL   (256 * 1024)

/* more than the letters of a pack's events: these leave with its end */
#define NGX_HTTP_KLAVIYO_DEAD_KEPT   (1024 * 1024)


/* lives until its job has ended, even when the rest is gone */

typedef struct {
    ngx_http_klaviyo_job_t      job;
    klaviyo_dead_conf_t         conf;
    char                        path[NGX_MAX_PATH];  /* outlives the cycle   */
    klaviyo_letters_t           letters;     /* what the job writes          */
    klaviyo_ring_rc_e           rc;
    uint64_t                    dropped;
    char                        error[KLAVIYO_RING_ERROR_MAX];
    ngx_http_klaviyo_dead_t    *dead;        /* NULL: gone                   */
} ngx_http_klaviyo_dead_writer_t;


struct ngx_http_klaviyo_dead_s {
    ngx_http_klaviyo_account_t      *account;
    ngx_http_klaviyo_report_t       *report;
    ngx_event_t                     *wake;
    ngx_http_klaviyo_dead_writer_t  *writer;     /* NULL: dead_letter is off */
    klaviyo_letters_t                letters;    /* the next ones            */
    uint64_t                         added;
    uint64_t                         written;
    ngx_msec_t                       tried;
    unsigned                         failed:1;
    unsigned                         kept:1;     /* they go to the fleet      */
};


static void ngx_http_klaviyo_dead_work(void *data);
static void ngx_http_klaviyo_dead_done(void *data);
static void ngx_http_klaviyo_dead_free(
    ngx_http_klaviyo_dead_writer_t *writer);


ngx_http_klaviyo_dead_t *
ngx_http_klaviyo_dead_create(ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_report_t *report, ngx_event_t *wake)
{
    ngx_http_klaviyo_dead_t         *dead;
    ngx_http_klaviyo_dead_writer_t  *writer;

    dead = ngx_calloc(sizeof(ngx_http_klaviyo_dead_t), report->log);
    if (dead == NULL) {
        return NULL;
    }

    dead->account = account;
    dead->report = report;
    dead->wake = wake;

    dead->kept = account->fleet_host && account->fleet_host->dead_letter.len;

    if (account->dead_letter.len == 0) {
        return dead;
    }

    writer = ngx_calloc(sizeof(ngx_http_klaviyo_dead_writer_t), report->log);
    if (writer == NULL) {
        ngx_free(dead);
        return NULL;
    }

    (void) ngx_cpystrn((u_char *) writer->path, account->dead_letter.data,
                       sizeof(writer->path));

    writer->conf.path = writer->path;
    writer->conf.size = account->dead_letter_size;

    writer->job.work = ngx_http_klaviyo_dead_work;
    writer->job.done = ngx_http_klaviyo_dead_done;
    writer->job.data = writer;
    writer->dead = dead;

    dead->writer = writer;

    return dead;
}


void
ngx_http_klaviyo_dead_destroy(ngx_http_klaviyo_dead_t *dead)
{
    if (dead->writer) {
        dead->writer->dead = NULL;

        if (!dead->writer->job.active) {
            ngx_http_klaviyo_dead_free(dead->writer);
        }
    }

    klaviyo_letters_free(&dead->letters);

    ngx_free(dead);
}


ngx_int_t
ngx_http_klaviyo_dead_add(ngx_http_klaviyo_dead_t *dead,
    klaviyo_letter_t *letter, const klaviyo_event_t *event)
{
    ngx_str_t  *name;

    if (dead->writer || dead->kept) {
        name = dead->kept ? &dead->account->fleet_host->name
                          : &dead->account->name;

        letter->account = name->data;
        letter->account_len = name->len;

        if (klaviyo_letters_add(&dead->letters, letter, event) != 0) {
            return NGX_ERROR;
        }
    }

    dead->added++;

    return NGX_OK;
}


uint64_t
ngx_http_klaviyo_dead_added(ngx_http_klaviyo_dead_t *dead)
{
    return dead->added;
}


uint64_t
ngx_http_klaviyo_dead_written(ngx_http_klaviyo_dead_t *dead)
{
    return dead->writer ? dead->written : dead->added;
}


ngx_uint_t
ngx_http_klaviyo_dead_full(ngx_http_klaviyo_dead_t *dead)
{
    return dead->letters.used >= (dead->kept ? NGX_HTTP_KLAVIYO_DEAD_KEPT
                                             : NGX_HTTP_KLAVIYO_DEAD_FULL);
}


void
ngx_http_klaviyo_dead_letters(ngx_http_klaviyo_dead_t *dead,
    ngx_str_t *letters)
{
    letters->data = dead->letters.start;
    letters->len = dead->letters.used;
}


void
ngx_http_klaviyo_dead_forget(ngx_http_klaviyo_dead_t *dead, size_t bytes)
{
    klaviyo_letters_t  *letters;

    letters = &dead->letters;
    letters->used -= bytes;

    if (bytes) {
        ngx_memmove(letters->start, letters->start + bytes, letters->used);
    }

    if (letters->used == 0) {
        klaviyo_letters_free(letters);
    }
}


void
ngx_http_klaviyo_dead_run(ngx_http_klaviyo_dead_t *dead)
{
    klaviyo_letters_t                letters;
    ngx_http_klaviyo_dead_writer_t  *writer;

    writer = dead->writer;

    if (writer == NULL || writer->job.active) {
        return;
    }

    if (dead->failed) {
        if (ngx_current_msec - dead->tried < NGX_HTTP_KLAVIYO_DEAD_RETRY) {
            return;
        }

    } else if (dead->letters.n == 0) {
        return;

    } else {
        letters = writer->letters;
        writer->letters = dead->letters;
        dead->letters = letters;
    }

    dead->tried = ngx_current_msec;
    dead->failed = 1;

    (void) ngx_http_klaviyo_job_post(&writer->job, dead->report->log);
}


static void
ngx_http_klaviyo_dead_work(void *data)
{
    ngx_http_klaviyo_dead_writer_t  *writer = data;

    writer->rc = klaviyo_dead_write(&writer->conf, writer->letters.start,
                                    writer->letters.used, &writer->dropped,
                                    writer->error);
}


static void
ngx_http_klaviyo_dead_done(void *data)
{
    ngx_http_klaviyo_dead_writer_t  *writer = data;

    klaviyo_ring_t           *ring;
    ngx_http_klaviyo_dead_t  *dead;

    dead = writer->dead;

    if (dead == NULL) {
        ngx_http_klaviyo_dead_free(writer);
        return;
    }

    ring = dead->account->ring;

    if (writer->rc != KLAVIYO_RING_OK) {
        klaviyo_ring_count(ring, KLAVIYO_COUNT_DEAD_LETTERS_ERRORS, 1);

        ngx_http_klaviyo_report(dead->report, NGX_LOG_CRIT,
                                NGX_HTTP_KLAVIYO_REPORT_DEAD_LETTER,
                                writer->error);
        return;
    }

    dead->failed = 0;
    dead->written += writer->letters.n;

    klaviyo_ring_count(ring, KLAVIYO_COUNT_DEAD_LETTERS, writer->letters.n);
    klaviyo_ring_count(ring, KLAVIYO_COUNT_DEAD_LETTERS_DROPPED,
                       writer->dropped);

    klaviyo_letters_free(&writer->letters);

    ngx_post_event(dead->wake, &ngx_posted_events);
}


static void
ngx_http_klaviyo_dead_free(ngx_http_klaviyo_dead_writer_t *writer)
{
    klaviyo_letters_free(&writer->letters);

    ngx_free(writer);
}
