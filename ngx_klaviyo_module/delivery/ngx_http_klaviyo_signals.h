#ifndef NGX_HTTP_KLAVIYO_SIGNALS_H
#define NGX_HTTP_KLAVIYO_SIGNALS_H


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Around what starts a thread, which inherits the mask: a signal that it took
 * would not wake the event loop.  What a fault raises is not blocked.  The
 * caller sets `saved` again.
 */

static ngx_inline void
ngx_http_klaviyo_signals_block(sigset_t *saved)
{
    sigset_t  all;

    sigfillset(&all);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);

    (void) pthread_sigmask(SIG_BLOCK, &all, saved);
}


#endif /* NGX_HTTP_KLAVIYO_SIGNALS_H */
