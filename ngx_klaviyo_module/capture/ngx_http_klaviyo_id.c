/*
 * The unique_id of an event: the rule's own one, or a new one.
 */


#include "ngx_http_klaviyo_id.h"
#include "ngx_http_klaviyo_op.h"
#include "json/klaviyo_utf8.h"

#include <sys/random.h>


#define NGX_HTTP_KLAVIYO_RANDOM      1000    /* bytes had in one go          */
#define NGX_HTTP_KLAVIYO_ID_RANDOM   10      /* of them in one id            */


static ngx_uint_t ngx_http_klaviyo_is_id(ngx_str_t *id);


/* each process its own, from the kernel */

static u_char      ngx_http_klaviyo_random[NGX_HTTP_KLAVIYO_RANDOM];
static ngx_uint_t  ngx_http_klaviyo_random_left;


ngx_int_t
ngx_http_klaviyo_id_init_process(ngx_cycle_t *cycle)
{
    ssize_t  n;

    /* may wait, early after the machine's start, for the kernel's generator */

    do {
        n = getrandom(ngx_http_klaviyo_random, NGX_HTTP_KLAVIYO_RANDOM, 0);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    if (n == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "getrandom() failed");
        return NGX_ERROR;
    }

    ngx_http_klaviyo_random_left = n;

    return NGX_OK;
}


/*
 * Until the first event is captured, ctx->id is only set when it was told;
 * from then on it is that event's.  What the application names was not known
 * when the id was told, and a rule with a unique_id of its own was not the
 * first one then.
 */

ngx_int_t
ngx_http_klaviyo_unique_id(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_template_t *template, ngx_str_t *id, ngx_uint_t *bad)
{
    ngx_uint_t  told;

    *bad = 0;

    told = (ctx->captured == 0 && ctx->held == 0 && ctx->told);

    if (told && !template->named && !template->own_id) {
        *id = ctx->id;
        return NGX_OK;
    }

    if (ngx_http_klaviyo_own_id(r, ctx, template, id, bad) != NGX_OK) {
        return NGX_ERROR;
    }

    if (id->len) {
        return NGX_OK;
    }

    if (told) {
        *id = ctx->id;
        return NGX_OK;
    }

    /* of the first event it stays, that of another may have to as well */

    id->len = NGX_HTTP_KLAVIYO_ID_LEN;
    id->data = ctx->minted;

    if (ctx->id.data == ctx->minted) {
        id->data = ngx_pnalloc(r->pool, NGX_HTTP_KLAVIYO_ID_LEN);

        if (id->data == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_http_klaviyo_mint(id->data);
}


/* empty: the rule has none, or a bad one; unique_id may ask for itself */

ngx_int_t
ngx_http_klaviyo_own_id(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_template_t *template, ngx_str_t *id, ngx_uint_t *bad)
{
    ngx_int_t       rc;
    const uint8_t  *p;

    *bad = 0;
    id->len = 0;

    if (template->unique_id.value == NULL || ctx->asking) {
        return NGX_OK;
    }

    ctx->asking = 1;
    rc = ngx_http_klaviyo_op_value(r, &template->unique_id, id);
    ctx->asking = 0;

    if (rc != NGX_OK || id->len == 0) {
        return rc;
    }

    p = id->data;

    id->len = klaviyo_value_trim(&p, id->len);
    id->data = (u_char *) p;

    if (id->len && !ngx_http_klaviyo_is_id(id)) {
        id->len = 0;
        *bad = 1;
    }

    return NGX_OK;
}


/* the queue compares bytes, Klaviyo characters: so nothing to be repaired */

static ngx_uint_t
ngx_http_klaviyo_is_id(ngx_str_t *id)
{
    int      n;
    u_char  *p, *last;

    if (id->len > KLAVIYO_UNIQUE_ID_MAX) {
        return 0;
    }

    last = id->data + id->len;

    for (p = id->data; p < last; p += n) {

        n = klaviyo_utf8_length(p, last);

        if (n < 0 || *p < 0x20 || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* a UUID of version 7: 48 bits of milliseconds, 74 bits of chance */

ngx_int_t
ngx_http_klaviyo_mint(u_char *id)
{
    u_char       buf[16];
    ssize_t      n;
    uint64_t     ms;
    ngx_uint_t   i;
    ngx_time_t  *tp;

    static const u_char  digits[] = "0123456789abcdef";

    static u_char        hex[256][2];
    static const u_char  dashes[] = { 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4,
                                      4, 4, 4 };

    if (hex[0][0] == 0) {

        for (i = 0; i < 256; i++) {
            hex[i][0] = digits[i >> 4];
            hex[i][1] = digits[i & 0xf];
        }
    }

    if (ngx_http_klaviyo_random_left < NGX_HTTP_KLAVIYO_ID_RANDOM) {

        n = getrandom(ngx_http_klaviyo_random, NGX_HTTP_KLAVIYO_RANDOM,
                      GRND_NONBLOCK);

        if (n < NGX_HTTP_KLAVIYO_ID_RANDOM) {
            return NGX_ERROR;
        }

        ngx_http_klaviyo_random_left = n;
    }

    ngx_http_klaviyo_random_left -= NGX_HTTP_KLAVIYO_ID_RANDOM;

    tp = ngx_timeofday();
    ms = (uint64_t) tp->sec * 1000 + tp->msec;

    buf[0] = (u_char) (ms >> 40);
    buf[1] = (u_char) (ms >> 32);
    buf[2] = (u_char) (ms >> 24);
    buf[3] = (u_char) (ms >> 16);
    buf[4] = (u_char) (ms >> 8);
    buf[5] = (u_char) ms;

    ngx_memcpy(&buf[6],
               ngx_http_klaviyo_random + ngx_http_klaviyo_random_left,
               NGX_HTTP_KLAVIYO_ID_RANDOM);

    buf[6] = (buf[6] & 0x0f) | 0x70;
    buf[8] = (buf[8] & 0x3f) | 0x80;

    for (i = 0; i < 16; i++) {
        ngx_memcpy(id + 2 * i + dashes[i], hex[buf[i]], 2);
    }

    id[8] = '-';
    id[13] = '-';
    id[18] = '-';
    id[23] = '-';

    return NGX_OK;
}
