/*
 * libcurl in a process: its global state, its memory.
 *
 * A part of the transport.  Workers only: of libcurl the master asks nothing
 * but its version.
 */


#include "ngx_http_klaviyo_transport_process.h"
#include "ngx_http_klaviyo_transport_trust.h"

#if (NGX_HAVE_DLOPEN)
#include <dlfcn.h>
#endif


static ngx_int_t ngx_http_klaviyo_transport_global(void);
#if (NGX_LINUX)
static void *ngx_http_klaviyo_transport_malloc(size_t size);
static void ngx_http_klaviyo_transport_wipe(void *p);
static void *ngx_http_klaviyo_transport_realloc(void *p, size_t size);
static char *ngx_http_klaviyo_transport_strdup(const char *p);
static void *ngx_http_klaviyo_transport_calloc(size_t n, size_t size);
#endif


ngx_uint_t  ngx_http_klaviyo_transport_ready;


void
ngx_http_klaviyo_transport_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->accounts.nelts
        && curl_version_info(CURLVERSION_NOW)->version_num
           == NGX_HTTP_KLAVIYO_LIBCURL_BUSY)
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "klaviyo: libcurl 8.20.0 keeps a processor busy while "
                      "an answer is awaited, install an older or a newer one");
    }
}


ngx_int_t
ngx_http_klaviyo_transport_init_process(ngx_cycle_t *cycle)
{
#if (NGX_HAVE_DLOPEN)
    Dl_info  info;
#endif

    /* the cache manager and loader come by here too, as NGX_PROCESS_HELPER */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_transport_global() != NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "klaviyo: curl_global_init() failed");
        return NGX_ERROR;
    }

    ngx_http_klaviyo_transport_ready = 1;

    ngx_http_klaviyo_transport_trust_init(cycle);

#if (NGX_HAVE_DLOPEN)

    /*
     * nginx unloads its modules at exit, and libcurl with the last of them
     * that uses it: a thread that is still resolving would return to nowhere.
     * It fails where the module is a part of nginx, which stays anyway.
     */

    if (dladdr(&ngx_http_klaviyo_transport_ready, &info) != 0) {
        (void) dlopen(info.dli_fname, RTLD_LAZY|RTLD_NOLOAD|RTLD_NODELETE);
    }

#endif

    return NGX_OK;
}


void
ngx_http_klaviyo_transport_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_klaviyo_transport_ready) {
        ngx_http_klaviyo_transport_ready = 0;
        ngx_http_klaviyo_transport_trust_exit(cycle);
        curl_global_cleanup();
    }
}


#if (NGX_LINUX)

/*
 * libcurl writes the key into buffers of its own.  What it frees is wiped
 * first, so that the key does not stay in memory that nobody looks after.
 * Everything is malloc()'s, for others in the process may use libcurl before
 * or after.
 */

static ngx_int_t
ngx_http_klaviyo_transport_global(void)
{
    CURLcode  rc;

    rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT,
                              ngx_http_klaviyo_transport_malloc,
                              ngx_http_klaviyo_transport_wipe,
                              ngx_http_klaviyo_transport_realloc,
                              ngx_http_klaviyo_transport_strdup,
                              ngx_http_klaviyo_transport_calloc);

    return rc == CURLE_OK ? NGX_OK : NGX_ERROR;
}


static void *
ngx_http_klaviyo_transport_malloc(size_t size)
{
    return malloc(size);
}


static void
ngx_http_klaviyo_transport_wipe(void *p)
{
    if (p) {
        ngx_explicit_memzero(p, malloc_usable_size(p));
        free(p);
    }
}


static void *
ngx_http_klaviyo_transport_realloc(void *p, size_t size)
{
    void    *new;
    size_t   old;

    old = p ? malloc_usable_size(p) : 0;

    if (p && size <= old) {
        return p;
    }

    new = malloc(size);

    if (new == NULL || p == NULL) {
        return new;
    }

    ngx_memcpy(new, p, old);
    ngx_http_klaviyo_transport_wipe(p);

    return new;
}


static char *
ngx_http_klaviyo_transport_strdup(const char *p)
{
    return strdup(p);
}


static void *
ngx_http_klaviyo_transport_calloc(size_t n, size_t size)
{
    return calloc(n, size);
}

#else

static ngx_int_t
ngx_http_klaviyo_transport_global(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? NGX_OK
                                                            : NGX_ERROR;
}

#endif
