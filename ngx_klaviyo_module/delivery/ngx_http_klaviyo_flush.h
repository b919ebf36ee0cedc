/*
 * A clean exit: a ring on tmpfs does not outlive the machine that is about to
 * be switched off, the spool does.
 */


#ifndef NGX_HTTP_KLAVIYO_FLUSH_H
#define NGX_HTTP_KLAVIYO_FLUSH_H


#include "account/ngx_http_klaviyo_account.h"


/*
 * In the master that exits, when its workers are gone: every unsent event of
 * each account goes to its spool, unless another process has the ring still
 * (a binary upgrade).  They stay in the ring, too.  Waits for the disk.
 */
void ngx_http_klaviyo_flush(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_FLUSH_H */
