/*
 * A thread of our own for jobs, one after the other.  It starts with the first
 * job of a worker, and wakes the event loop by an eventfd that looks like a
 * connection to nginx.
 *
 *     post()     event loop   into `first`, wakes the thread
 *     cycle()    thread       works; into `done`, wakes the event loop
 *     handler()  event loop   what is in `done` has ended
 */


#include "ngx_http_klaviyo_job_private.h"

#include <pthread.h>
#include <sys/eventfd.h>


#define NGX_HTTP_KLAVIYO_JOB_STEP  5   /* ms, while an exit waits */


/* the mutex covers everything but `connection`, the event loop's own */

typedef struct {
    pthread_mutex_t           mutex;
    pthread_cond_t            posted;
    ngx_http_klaviyo_job_t   *first;
    ngx_http_klaviyo_job_t  **last;
    ngx_http_klaviyo_job_t   *done;
    ngx_uint_t                n;        /* not yet in `done`                 */
    ngx_fd_t                  fd;       /* -1: nobody is to be woken         */
    ngx_connection_t         *connection;  /* NULL: no thread was started    */
} ngx_http_klaviyo_job_thread_t;


static ngx_int_t ngx_http_klaviyo_job_thread_start(ngx_log_t *log);
static ngx_connection_t *ngx_http_klaviyo_job_thread_connection(
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_job_thread_create(ngx_log_t *log);
static void *ngx_http_klaviyo_job_thread_cycle(void *data);
static void ngx_http_klaviyo_job_thread_handler(ngx_event_t *ev);


static ngx_http_klaviyo_job_thread_t  ngx_http_klaviyo_job_thread = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .posted = PTHREAD_COND_INITIALIZER,
    .last = &ngx_http_klaviyo_job_thread.first,
    .fd = -1,
};


ngx_int_t
ngx_http_klaviyo_job_thread_post(ngx_http_klaviyo_job_t *job, ngx_log_t *log)
{
    ngx_http_klaviyo_job_thread_t  *thread;

    thread = &ngx_http_klaviyo_job_thread;

    if (thread->connection == NULL
        && ngx_http_klaviyo_job_thread_start(log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    job->next = NULL;

    (void) pthread_mutex_lock(&thread->mutex);

    *thread->last = job;
    thread->last = &job->next;
    thread->n++;

    (void) pthread_cond_signal(&thread->posted);
    (void) pthread_mutex_unlock(&thread->mutex);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_job_thread_start(ngx_log_t *log)
{
    ngx_connection_t               *c;
    ngx_http_klaviyo_job_thread_t  *thread;

    thread = &ngx_http_klaviyo_job_thread;

    c = ngx_http_klaviyo_job_thread_connection(log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    thread->fd = c->fd;

    if (ngx_http_klaviyo_job_thread_create(log) != NGX_OK) {
        thread->fd = -1;
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    thread->connection = c;

    return NGX_OK;
}


static ngx_connection_t *
ngx_http_klaviyo_job_thread_connection(ngx_log_t *log)
{
    ngx_fd_t           fd;
    ngx_connection_t  *c;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "klaviyo: eventfd() failed");
        return NULL;
    }

    c = ngx_get_connection(fd, log);

    if (c == NULL) {
        (void) close(fd);
        return NULL;
    }

    /* both: worker_shutdown_timeout calls read->handler of every connection */

    c->read->handler = ngx_http_klaviyo_job_thread_handler;
    c->write->handler = ngx_http_klaviyo_job_thread_handler;
    c->read->log = c->log;
    c->write->log = c->log;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK) {
        ngx_close_connection(c);
        return NULL;
    }

    return c;
}


static ngx_int_t
ngx_http_klaviyo_job_thread_create(ngx_log_t *log)
{
    int             err;
    sigset_t        all, saved;
    pthread_t       tid;
    pthread_attr_t  attr;

    /* a signal that the thread took would not wake the event loop */

    sigfillset(&all);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);

    err = pthread_attr_init(&attr);

    if (err == 0) {
        (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        (void) pthread_sigmask(SIG_BLOCK, &all, &saved);

        err = pthread_create(&tid, &attr, ngx_http_klaviyo_job_thread_cycle,
                             &ngx_http_klaviyo_job_thread);

        (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);
        (void) pthread_attr_destroy(&attr);
    }

    if (err) {
        ngx_log_error(NGX_LOG_CRIT, log, err,
                      "klaviyo: pthread_create() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void *
ngx_http_klaviyo_job_thread_cycle(void *data)
{
    ngx_http_klaviyo_job_thread_t *thread = data;

    ngx_http_klaviyo_job_t  *job;

    (void) pthread_mutex_lock(&thread->mutex);

    for ( ;; ) {

        while (thread->first == NULL) {
            (void) pthread_cond_wait(&thread->posted, &thread->mutex);
        }

        job = thread->first;
        thread->first = job->next;

        if (thread->first == NULL) {
            thread->last = &thread->first;
        }

        (void) pthread_mutex_unlock(&thread->mutex);

        job->work(job->data);

        (void) pthread_mutex_lock(&thread->mutex);

        job->next = thread->done;
        thread->done = job;
        thread->n--;

        if (thread->fd != -1) {
            (void) eventfd_write(thread->fd, 1);
        }
    }

    return NULL;
}


static void
ngx_http_klaviyo_job_thread_handler(ngx_event_t *ev)
{
    eventfd_t                       n;
    ngx_connection_t               *c;
    ngx_http_klaviyo_job_t         *job, *next;
    ngx_http_klaviyo_job_thread_t  *thread;

    c = ev->data;
    thread = &ngx_http_klaviyo_job_thread;

    /* nothing to read: called by worker_shutdown_timeout */

    if (eventfd_read(c->fd, &n) == -1) {
        return;
    }

    (void) pthread_mutex_lock(&thread->mutex);

    job = thread->done;
    thread->done = NULL;

    (void) pthread_mutex_unlock(&thread->mutex);

    while (job) {
        next = job->next;
        ngx_http_klaviyo_job_ended(job);
        job = next;
    }
}


ngx_int_t
ngx_http_klaviyo_job_thread_exit_process(ngx_msec_t ms)
{
    ngx_uint_t                      n;
    ngx_msec_t                      waited;
    ngx_http_klaviyo_job_thread_t  *thread;

    thread = &ngx_http_klaviyo_job_thread;

    if (thread->connection == NULL) {
        return NGX_OK;
    }

    (void) pthread_mutex_lock(&thread->mutex);

    thread->fd = -1;
    n = thread->n;

    (void) pthread_mutex_unlock(&thread->mutex);

    ngx_close_connection(thread->connection);
    thread->connection = NULL;

    for (waited = 0; n && waited < ms; waited += NGX_HTTP_KLAVIYO_JOB_STEP) {

        ngx_msleep(NGX_HTTP_KLAVIYO_JOB_STEP);

        (void) pthread_mutex_lock(&thread->mutex);
        n = thread->n;
        (void) pthread_mutex_unlock(&thread->mutex);
    }

    return n ? NGX_AGAIN : NGX_OK;
}
