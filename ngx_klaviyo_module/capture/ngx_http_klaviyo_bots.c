/*
 * The directive klaviyo_bots: a file of patterns, one a line, which joins
 * the built-in list.  A line that starts with `#` is a comment, one that
 * starts with `!` names what is no bot.
 */


#include "ngx_http_klaviyo_bots.h"
#include "klaviyo_bots.h"
#include "klaviyo_bots_list.h"


#define NGX_HTTP_KLAVIYO_BOTS_FILE  65536     /* bytes                       */


static ngx_int_t ngx_http_klaviyo_bots_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_bots_parse(ngx_conf_t *cf,
    ngx_array_t *patterns, ngx_str_t *name, ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_bots_builtin(ngx_array_t *patterns);
static void *ngx_http_klaviyo_bots_alloc(void *data, size_t size);


char *
ngx_http_klaviyo_bots(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_main_conf_t *kmcf = conf;

    ngx_str_t  name, text, *value;

    (void) cmd;

    if (kmcf->bot_patterns) {
        return "is duplicate";
    }

    kmcf->bot_patterns = ngx_array_create(cf->temp_pool, 256,
                                          sizeof(klaviyo_bots_pattern_t));
    if (kmcf->bot_patterns == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    name = value[1];

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_bots_read(cf, &name, &text) != NGX_OK
        || ngx_http_klaviyo_bots_parse(cf, kmcf->bot_patterns, &name, &text)
           != NGX_OK
        || ngx_http_klaviyo_bots_builtin(kmcf->bot_patterns) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (klaviyo_bots_states(kmcf->bot_patterns->elts,
                            kmcf->bot_patterns->nelts)
        > KLAVIYO_BOTS_STATES)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many patterns in \"%V\": with the built-in "
                           "ones they may have %d characters", &name,
                           KLAVIYO_BOTS_STATES - 1);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_klaviyo_bots_init(ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_array_t  *patterns;

    /* these go away with the temporary pool */

    patterns = kmcf->bot_patterns;
    kmcf->bot_patterns = NULL;

    if (kmcf->accounts.nelts == 0) {
        return NGX_OK;
    }

    if (patterns == NULL) {
        patterns = ngx_array_create(cf->temp_pool, 256,
                                    sizeof(klaviyo_bots_pattern_t));

        if (patterns == NULL
            || ngx_http_klaviyo_bots_builtin(patterns) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    kmcf->bots = klaviyo_bots_compile(patterns->elts, patterns->nelts,
                                      ngx_http_klaviyo_bots_alloc, cf->pool);
    if (kmcf->bots == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_bots_read(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    size_t           size;
    ssize_t          n;
    ngx_int_t        rc;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    rc = NGX_ERROR;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;

    /* nothing that is no file may keep the reader waiting */

    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                            NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", name);
        goto done;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" is no file", name);
        goto done;
    }

    if (ngx_file_size(&fi) > NGX_HTTP_KLAVIYO_BOTS_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is larger than %d bytes", name,
                           NGX_HTTP_KLAVIYO_BOTS_FILE);
        goto done;
    }

    size = (size_t) ngx_file_size(&fi);

    text->data = ngx_pnalloc(cf->temp_pool, size + 1);
    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, text->data, size, 0);

    if (n == NGX_ERROR) {
        goto done;
    }

    text->len = n;
    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_bots_parse(ngx_conf_t *cf, ngx_array_t *patterns,
    ngx_str_t *name, ngx_str_t *text)
{
    u_char                  *p, *last, *start, *end, *next;
    ngx_str_t                line;
    ngx_uint_t               n;
    const char              *wrong;
    klaviyo_bots_pattern_t  *pattern;

    p = text->data;
    last = p + text->len;

    for (n = 1; p < last; n++) {

        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {
            end = last;
        }

        next = end + 1;
        start = p;

        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }

        while (end > start
               && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == CR))
        {
            end--;
        }

        p = next;

        if (start == end || *start == '#') {
            continue;
        }

        line.data = start;
        line.len = end - start;

        pattern = ngx_array_push(patterns);
        if (pattern == NULL) {
            return NGX_ERROR;
        }

        wrong = klaviyo_bots_pattern(pattern, (char *) line.data, line.len);

        if (wrong) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pattern in %V:%ui, %s: \"%*s\"",
                               name, n, wrong, ngx_min(line.len, 80),
                               line.data);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_bots_builtin(ngx_array_t *patterns)
{
    const char *const       *line;
    klaviyo_bots_pattern_t  *pattern;

    for (line = klaviyo_bots_list; *line; line++) {

        pattern = ngx_array_push(patterns);
        if (pattern == NULL) {
            return NGX_ERROR;
        }

        (void) klaviyo_bots_pattern(pattern, *line, ngx_strlen(*line));
    }

    return NGX_OK;
}


static void *
ngx_http_klaviyo_bots_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}
