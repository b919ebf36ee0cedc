/*
 * Threads for jobs; see the header.  They wake the event loop by an eventfd
 * that looks like a connection to nginx.
 *
 *     post()     event loop   into `first`, wakes a thread or starts one
 *     cycle()    threads      work; into `done`, wakes the event loop
 *     handler()  event loop   what is in `done` has ended
 */


#include "ngx_http_klaviyo_job.h"
#include "ngx_http_klaviyo_signals.h"

#include <pthread.h>
#include <sys/eventfd.h>


#define NGX_HTTP_KLAVIYO_JOB_THREADS  64   /* more jobs than this wait       */
#define NGX_HTTP_KLAVIYO_JOB_STACK    (256 * 1024)
#define NGX_HTTP_KLAVIYO_JOB_STEP     5    /* ms, while an exit waits        */


/* the mutex covers all but `started` and `connection`, the event loop's own */

typedef struct {
    pthread_mutex_t           mutex;
    pthread_cond_t            posted;
    ngx_http_klaviyo_job_t   *first;
    ngx_http_klaviyo_job_t  **last;
    ngx_http_klaviyo_job_t   *done;
    ngx_uint_t                n;        /* not yet in `done`                 */
    ngx_uint_t                queued;   /* of these: taken by no thread yet  */
    ngx_uint_t                idle;     /* threads that wait for a job       */
    ngx_fd_t                  fd;       /* -1: nobody is to be woken         */
    ngx_uint_t                started;
    ngx_connection_t         *connection;  /* NULL: no job was posted        */
} ngx_http_klaviyo_jobs_t;


static ngx_int_t ngx_http_klaviyo_job_connect(ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_job_start(ngx_log_t *log);
static void *ngx_http_klaviyo_job_cycle(void *data);
static void ngx_http_klaviyo_job_handler(ngx_event_t *ev);


static ngx_http_klaviyo_jobs_t  ngx_http_klaviyo_jobs = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .posted = PTHREAD_COND_INITIALIZER,
    .last = &ngx_http_klaviyo_jobs.first,
    .fd = -1,
};


ngx_int_t
ngx_http_klaviyo_job_post(ngx_http_klaviyo_job_t *job, ngx_log_t *log)
{
    ngx_uint_t                busy;
    ngx_http_klaviyo_jobs_t  *jobs;

    jobs = &ngx_http_klaviyo_jobs;

    if (job->active) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "klaviyo: job already active");
        return NGX_ERROR;
    }

    if (jobs->connection == NULL
        && ngx_http_klaviyo_job_connect(log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* only here a job is added: a thread that is idle stays so until then */

    (void) pthread_mutex_lock(&jobs->mutex);
    busy = (jobs->queued >= jobs->idle);
    (void) pthread_mutex_unlock(&jobs->mutex);

    if (busy
        && jobs->started < NGX_HTTP_KLAVIYO_JOB_THREADS
        && ngx_http_klaviyo_job_start(log) != NGX_OK
        && jobs->started == 0)
    {
        return NGX_ERROR;
    }

    job->next = NULL;
    job->active = 1;

    (void) pthread_mutex_lock(&jobs->mutex);

    *jobs->last = job;
    jobs->last = &job->next;
    jobs->n++;
    jobs->queued++;

    (void) pthread_cond_signal(&jobs->posted);
    (void) pthread_mutex_unlock(&jobs->mutex);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_job_connect(ngx_log_t *log)
{
    ngx_fd_t           fd;
    ngx_connection_t  *c;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "klaviyo: eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, log);

    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    /* both: worker_shutdown_timeout calls read->handler of every connection */

    c->read->handler = ngx_http_klaviyo_job_handler;
    c->write->handler = ngx_http_klaviyo_job_handler;
    c->read->log = c->log;
    c->write->log = c->log;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    /* no job was posted yet: no thread reads it */

    ngx_http_klaviyo_jobs.fd = fd;
    ngx_http_klaviyo_jobs.connection = c;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_job_start(ngx_log_t *log)
{
    int                       err;
    sigset_t                  saved;
    pthread_t                 tid;
    ngx_uint_t                level;
    pthread_attr_t            attr;
    ngx_http_klaviyo_jobs_t  *jobs;

    jobs = &ngx_http_klaviyo_jobs;

    err = pthread_attr_init(&attr);

    if (err == 0) {
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        (void) pthread_attr_setstacksize(&attr, NGX_HTTP_KLAVIYO_JOB_STACK);
        ngx_http_klaviyo_signals_block(&saved);

        err = pthread_create(&tid, &attr, ngx_http_klaviyo_job_cycle, jobs);

        (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);
        (void) pthread_attr_destroy(&attr);
    }

    if (err) {

        /* else those that are there do it, later */

        level = jobs->started ? NGX_LOG_INFO : NGX_LOG_CRIT;

        ngx_log_error(level, log, err, "klaviyo: pthread_create() failed");
        return NGX_ERROR;
    }

    jobs->started++;

    return NGX_OK;
}


static void *
ngx_http_klaviyo_job_cycle(void *data)
{
    ngx_http_klaviyo_jobs_t *jobs = data;

    ngx_http_klaviyo_job_t  *job;

    (void) pthread_mutex_lock(&jobs->mutex);

    for ( ;; ) {
        jobs->idle++;

        while (jobs->first == NULL) {
            (void) pthread_cond_wait(&jobs->posted, &jobs->mutex);
        }

        jobs->idle--;
        jobs->queued--;

        job = jobs->first;
        jobs->first = job->next;

        if (jobs->first == NULL) {
            jobs->last = &jobs->first;
        }

        (void) pthread_mutex_unlock(&jobs->mutex);

        job->work(job->data);

        (void) pthread_mutex_lock(&jobs->mutex);

        job->next = jobs->done;
        jobs->done = job;
        jobs->n--;

        if (jobs->fd != -1) {
            (void) eventfd_write(jobs->fd, 1);
        }
    }

    return NULL;
}


static void
ngx_http_klaviyo_job_handler(ngx_event_t *ev)
{
    eventfd_t                 n;
    ngx_connection_t         *c;
    ngx_http_klaviyo_job_t   *job, *next;
    ngx_http_klaviyo_jobs_t  *jobs;

    c = ev->data;
    jobs = &ngx_http_klaviyo_jobs;

    /* nothing to read: called by worker_shutdown_timeout */

    if (eventfd_read(c->fd, &n) == -1) {
        return;
    }

    (void) pthread_mutex_lock(&jobs->mutex);

    job = jobs->done;
    jobs->done = NULL;

    (void) pthread_mutex_unlock(&jobs->mutex);

    while (job) {
        next = job->next;

        job->active = 0;
        job->done(job->data);

        job = next;
    }
}


ngx_int_t
ngx_http_klaviyo_job_exit_process(ngx_msec_t ms)
{
    ngx_uint_t                n;
    ngx_msec_t                waited;
    ngx_http_klaviyo_jobs_t  *jobs;

    jobs = &ngx_http_klaviyo_jobs;

    if (jobs->connection == NULL) {
        return NGX_OK;
    }

    (void) pthread_mutex_lock(&jobs->mutex);

    jobs->fd = -1;
    n = jobs->n;

    (void) pthread_mutex_unlock(&jobs->mutex);

    ngx_close_connection(jobs->connection);
    jobs->connection = NULL;

    for (waited = 0; n && waited < ms; waited += NGX_HTTP_KLAVIYO_JOB_STEP) {

        ngx_msleep(NGX_HTTP_KLAVIYO_JOB_STEP);

        (void) pthread_mutex_lock(&jobs->mutex);
        n = jobs->n;
        (void) pthread_mutex_unlock(&jobs->mutex);
    }

    return n ? NGX_AGAIN : NGX_OK;
}
