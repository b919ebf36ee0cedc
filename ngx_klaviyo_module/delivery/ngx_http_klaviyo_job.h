/*
 * Work that may wait for a disk, beside the event loop, in threads of our own.
 * None starts before the first job; one more starts when all are at work, so
 * that a disk that hangs holds up no account but its own.  They stay.
 *
 * nginx's thread pools are not used, though they are there in most builds:
 *
 *     a worker that exits waits in the pool's exit_process, before ours, until
 *     every task has ended: with a disk that hangs it spins there, at 100 % of
 *     a CPU, and holds the lease, for as long as the disk hangs;
 *
 *     "default" starts 32 threads in every worker, also in those that never
 *     have a job;
 *
 *     with an event method that threads cannot wake (poll, select) a worker
 *     that has a pool does not start.
 */


#ifndef NGX_HTTP_KLAVIYO_JOB_H
#define NGX_HTTP_KLAVIYO_JOB_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct ngx_http_klaviyo_job_s  ngx_http_klaviyo_job_t;


/* one job under way at a time for each of these; zeroed before its first use */

struct ngx_http_klaviyo_job_s {
    void                    (*work)(void *data);  /* in a thread: no nginx   */
    void                    (*done)(void *data);  /* in the event loop       */
    void                     *data;

    ngx_http_klaviyo_job_t   *next;      /* private                          */
    unsigned                  active:1;  /* posted, `done` not yet called    */
};


/*
 * Returns at once; `done` is called later from the event loop, or never when
 * the worker exits before.  NGX_ERROR, already logged: neither is called.
 */
ngx_int_t ngx_http_klaviyo_job_post(ngx_http_klaviyo_job_t *job,
    ngx_log_t *log);

/*
 * In exit_process: returns when no work is under way any more, or after `ms`
 * with NGX_AGAIN: then what it works on must not be touched or freed, and the
 * worker exits nevertheless.  A thread that comes back before the process is
 * gone finds the module's code where it was: only deliverers post jobs, and
 * they exist only after ngx_http_klaviyo_transport_init_process() has pinned
 * it.  A thread that the kernel does not let go of at all (state D) leaves a
 * process that cannot end; the leases were let go before.
 */
ngx_int_t ngx_http_klaviyo_job_exit_process(ngx_msec_t ms);


#endif /* NGX_HTTP_KLAVIYO_JOB_H */
