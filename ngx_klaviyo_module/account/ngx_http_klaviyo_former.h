/*
 * Queues that a reload leaves behind: at a path that no account has any more.
 * One that belongs to an account still, by its key or its name, is taken over
 * by the account's queue; of any other the log says what is in there, and how
 * it is put back.
 */


#ifndef NGX_HTTP_KLAVIYO_FORMER_H
#define NGX_HTTP_KLAVIYO_FORMER_H


#include "ngx_http_klaviyo_account.h"


typedef struct {
    ngx_str_t                    path;
    ngx_uint_t                   hold;   /* of events that wait for their    */
                                         /* visitor                          */
    ngx_http_klaviyo_account_t  *was;    /* of the configuration before;     */
                                         /* NULL after the reload            */
    ngx_http_klaviyo_account_t  *now;    /* the same account, or NULL        */
} ngx_http_klaviyo_former_t;


/*
 * In the master, before the child is there: the queues of the cycle that is
 * replaced, by the configurations alone.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_former_init(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former);

/*
 * In the child, when the new queues are open: looks into each, logs, and tells
 * the master which are taken over.  NGX_ERROR is already logged.
 */
ngx_int_t ngx_http_klaviyo_former_look(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_array_t *former, int socket, ngx_log_t *log);

/* in the master; NGX_DECLINED: the child has ended */
ngx_int_t ngx_http_klaviyo_former_take(ngx_array_t *former, int socket);


#endif /* NGX_HTTP_KLAVIYO_FORMER_H */
