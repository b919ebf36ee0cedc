/*
 * Jobs, and nginx's thread pool where there is one; see the header.
 */


#include "ngx_http_klaviyo_job_private.h"


#if (NGX_THREADS)

#include <ngx_thread_pool.h>


static ngx_uint_t ngx_http_klaviyo_job_notified(ngx_conf_t *cf);
static ngx_int_t ngx_http_klaviyo_job_pool_post(ngx_http_klaviyo_job_t *job,
    ngx_thread_pool_t *pool, ngx_log_t *log);
static void ngx_http_klaviyo_job_pool_work(void *data, ngx_log_t *log);
static void ngx_http_klaviyo_job_pool_handler(ngx_event_t *ev);


static ngx_str_t  ngx_http_klaviyo_job_pool = ngx_string("default");

#endif


ngx_int_t
ngx_http_klaviyo_job_init(ngx_conf_t *cf)
{
#if (NGX_THREADS)

    if (ngx_http_klaviyo_job_notified(cf)
        && ngx_thread_pool_add(cf, NULL) == NULL)
    {
        return NGX_ERROR;
    }

#else

    (void) cf;

#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_job_post(ngx_http_klaviyo_job_t *job, ngx_log_t *log)
{
    ngx_int_t           rc;
#if (NGX_THREADS)
    ngx_thread_pool_t  *pool;
#endif

    if (job->active) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "klaviyo: job already active");
        return NGX_ERROR;
    }

#if (NGX_THREADS)

    pool = ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle,
                               &ngx_http_klaviyo_job_pool);
    if (pool) {
        rc = ngx_http_klaviyo_job_pool_post(job, pool, log);

    } else {
        rc = ngx_http_klaviyo_job_thread_post(job, log);
    }

#else

    rc = ngx_http_klaviyo_job_thread_post(job, log);

#endif

    job->active = (rc == NGX_OK);

    return rc;
}


void
ngx_http_klaviyo_job_ended(ngx_http_klaviyo_job_t *job)
{
    job->active = 0;
    job->done(job->data);
}


/*
 * nginx's own exit_process of the pool comes before ours, and returns when
 * its tasks have ended.
 */

ngx_int_t
ngx_http_klaviyo_job_exit_process(ngx_msec_t ms)
{
    return ngx_http_klaviyo_job_thread_exit_process(ms);
}


#if (NGX_THREADS)

/*
 * With an event method that threads cannot wake (select, poll) workers that
 * have a pool do not start: the thread of our own serves there.
 */

static ngx_uint_t
ngx_http_klaviyo_job_notified(ngx_conf_t *cf)
{
    void                ***events;
    ngx_uint_t             i;
    ngx_event_conf_t      *ecf;
    ngx_event_module_t    *module;

    events = (void ***) ngx_get_conf(cf->cycle->conf_ctx, ngx_events_module);

    if (events == NULL) {
        return 1;
    }

    ecf = (*events)[ngx_event_core_module.ctx_index];

    for (i = 0; cf->cycle->modules[i]; i++) {

        if (cf->cycle->modules[i]->type != NGX_EVENT_MODULE
            || cf->cycle->modules[i]->ctx_index != ecf->use)
        {
            continue;
        }

        module = cf->cycle->modules[i]->ctx;

        return module->actions.notify != NULL;
    }

    return 1;
}


static ngx_int_t
ngx_http_klaviyo_job_pool_post(ngx_http_klaviyo_job_t *job,
    ngx_thread_pool_t *pool, ngx_log_t *log)
{
    ngx_thread_task_t  *task;

    task = ngx_calloc(sizeof(ngx_thread_task_t), log);
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->ctx = job;
    task->handler = ngx_http_klaviyo_job_pool_work;
    task->event.handler = ngx_http_klaviyo_job_pool_handler;
    task->event.data = job;
    task->event.log = log;

    if (ngx_thread_task_post(pool, task) != NGX_OK) {
        ngx_free(task);
        return NGX_ERROR;
    }

    job->task = task;

    return NGX_OK;
}


static void
ngx_http_klaviyo_job_pool_work(void *data, ngx_log_t *log)
{
    ngx_http_klaviyo_job_t *job = data;

    (void) log;

    job->work(job->data);
}


static void
ngx_http_klaviyo_job_pool_handler(ngx_event_t *ev)
{
    ngx_http_klaviyo_job_t  *job;

    job = ev->data;

    /* the event is a part of the task */

    ngx_free(job->task);
    job->task = NULL;

    ngx_http_klaviyo_job_ended(job);
}

#endif
