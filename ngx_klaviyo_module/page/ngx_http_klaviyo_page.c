/*
 * The directives klaviyo_page and klaviyo_response_body, and the variables.
 */


#include "ngx_http_klaviyo_page.h"
#include "ngx_http_klaviyo_page_filter.h"
#include "ngx_http_klaviyo_page_private.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "capture/ngx_http_klaviyo_url.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_PAGE_SIZE      (512 * 1024)
#define NGX_HTTP_KLAVIYO_PAGE_BODY      (64 * 1024)
#define NGX_HTTP_KLAVIYO_PAGE_SIZE_MIN  1024
#define NGX_HTTP_KLAVIYO_PAGE_SIZE_MAX  (8 * 1024 * 1024)


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   want;
} ngx_http_klaviyo_page_word_t;


static char *ngx_http_klaviyo_page_size(ngx_conf_t *cf, ngx_str_t *word,
    size_t *size);
static ngx_int_t ngx_http_klaviyo_page_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_page_body_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_answer_t *ngx_http_klaviyo_page_answer(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_page_end(ngx_http_klaviyo_answer_t *answer);


static ngx_http_klaviyo_page_word_t  ngx_http_klaviyo_page_words[] = {
    { ngx_string("on"),
      KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA|KLAVIYO_HTML_META
      |KLAVIYO_HTML_ECONTEXT },
    { ngx_string("jsonld"), KLAVIYO_HTML_JSONLD },
    { ngx_string("microdata"), KLAVIYO_HTML_MICRODATA },
    { ngx_string("opengraph"), KLAVIYO_HTML_META },
    { ngx_string("datalayer"), KLAVIYO_HTML_DATALAYER },
    { ngx_string("evershop"), KLAVIYO_HTML_ECONTEXT },
    { ngx_null_string, 0 }
};


#define ngx_http_klaviyo_page_name(constant, name)                           \
    { ngx_string("klaviyo_page_" name), NULL,                                \
      ngx_http_klaviyo_page_variable, KLAVIYO_PAGE_##constant,               \
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

static ngx_http_variable_t  ngx_http_klaviyo_page_names[] = {
    KLAVIYO_PAGE_FACTS(ngx_http_klaviyo_page_name)

    { ngx_string("klaviyo_response_body"), NULL,
      ngx_http_klaviyo_page_body_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};

#undef ngx_http_klaviyo_page_name


char *
ngx_http_klaviyo_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_location_t *location = conf;

    char                          *rv;
    size_t                         size;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_klaviyo_page_t       *page;
    ngx_http_klaviyo_page_word_t  *word;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (location->page != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"off\" stands "
                               "alone", &value[2]);
            return NGX_CONF_ERROR;
        }

        location->page = NULL;

        return NGX_CONF_OK;
    }

    page = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_page_t));
    if (page == NULL) {
        return NGX_CONF_ERROR;
    }

    size = 0;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "size=", 5) == 0) {
            rv = ngx_http_klaviyo_page_size(cf, &value[i], &size);
            if (rv != NGX_CONF_OK) {
                return rv;
            }

            continue;
        }

        for (word = ngx_http_klaviyo_page_words; word->name.len; word++) {

            if (word->name.len == value[i].len
                && ngx_strncmp(word->name.data, value[i].data, value[i].len)
                   == 0)
            {
                break;
            }
        }

        if (word->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected \"on\", "
                               "\"jsonld\", \"microdata\", \"opengraph\", "
                               "\"datalayer\", \"evershop\", \"size=\", or "
                               "\"off\" alone",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if ((page->want & word->want) == word->want) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        page->want |= word->want;
    }

    if (page->want == 0) {
        return "says not what to read: write \"klaviyo_page on\"";
    }

    page->size = size ? size : NGX_HTTP_KLAVIYO_PAGE_SIZE;
    location->page = page;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->pages = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_response_body(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_location_t *location = conf;

    char                          *rv;
    size_t                         size;
    ngx_str_t                     *value;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (location->response_body != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"off\" stands "
                               "alone", &value[2]);
            return NGX_CONF_ERROR;
        }

        location->response_body = 0;

        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "json") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected \"json\" or "
                           "\"off\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    size = 0;

    if (cf->args->nelts == 3) {
        rv = ngx_http_klaviyo_page_size(cf, &value[2], &size);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    location->response_body = size ? size : NGX_HTTP_KLAVIYO_PAGE_BODY;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->pages = 1;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_page_size(ngx_conf_t *cf, ngx_str_t *word, size_t *size)
{
    ssize_t    n;
    ngx_str_t  s;

    if (*size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           word);
        return NGX_CONF_ERROR;
    }

    if (word->len < 5 || ngx_strncmp(word->data, "size=", 5) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected \"size=\"",
                           word);
        return NGX_CONF_ERROR;
    }

    s.len = word->len - 5;
    s.data = word->data + 5;

    n = ngx_parse_size(&s);

    if (n < NGX_HTTP_KLAVIYO_PAGE_SIZE_MIN
        || n > NGX_HTTP_KLAVIYO_PAGE_SIZE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": it must be 1k to 8m",
                           word);
        return NGX_CONF_ERROR;
    }

    *size = n;

    return NGX_CONF_OK;
}


void
ngx_http_klaviyo_page_unset(ngx_http_klaviyo_location_t *location)
{
    location->page = NGX_CONF_UNSET_PTR;
    location->response_body = NGX_CONF_UNSET_SIZE;
}


void
ngx_http_klaviyo_page_merge(ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf)
{
    ngx_conf_merge_ptr_value(conf->page, prev->page, NULL);
    ngx_conf_merge_size_value(conf->response_body, prev->response_body, 0);
}


void
ngx_http_klaviyo_page_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->pages) {
        ngx_http_klaviyo_page_filter_init();
    }
}


ngx_int_t
ngx_http_klaviyo_page_variables(ngx_conf_t *cf)
{
    return ngx_http_klaviyo_add_variables(cf, ngx_http_klaviyo_page_names);
}


static ngx_int_t
ngx_http_klaviyo_page_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                   text;
    const klaviyo_slice_t      *fact;
    ngx_http_klaviyo_answer_t  *answer;

    v->not_found = 1;

    answer = ngx_http_klaviyo_page_answer(r);

    if (answer == NULL
        || answer->page == NULL
        || ngx_http_klaviyo_page_end(answer) != NGX_OK)
    {
        return NGX_OK;
    }

    fact = klaviyo_page_fact(answer->page, (klaviyo_page_fact_e) data);

    if (fact->len) {
        text.len = fact->len;
        text.data = (u_char *) fact->data;

        /* a page may print the request's URL, with who asked for it */

        if ((data == KLAVIYO_PAGE_URL || data == KLAVIYO_PAGE_CANONICAL)
            && ngx_http_klaviyo_url_kept(r->pool, &text, &text) != NGX_OK)
        {
            return NGX_ERROR;
        }

        v->len = text.len;
        v->data = text.data;
        v->valid = 1;
        v->no_cacheable = 0;
        v->not_found = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_page_body_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_answer_t  *answer;

    (void) data;

    v->not_found = 1;

    answer = ngx_http_klaviyo_page_answer(r);

    if (answer && answer->json && answer->over && answer->body.len) {
        v->len = answer->body.len;
        v->data = answer->body.data;
        v->valid = 1;
        v->no_cacheable = 0;
        v->not_found = 0;
    }

    return NGX_OK;
}


/*
 * NULL: there is none, or it is not known yet.  One that was broken off says
 * what it says when the rules are gone through.
 */

static ngx_http_klaviyo_answer_t *
ngx_http_klaviyo_page_answer(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t     *ctx;
    ngx_http_klaviyo_answer_t  *answer;

    ctx = ngx_http_klaviyo_context(r->main, 0);

    if (ctx == NULL || ctx->answer == NULL) {
        return NULL;
    }

    answer = ctx->answer;

    if (!answer->over && !ctx->conf && !ctx->logged) {
        return NULL;
    }

    return answer;
}


static ngx_int_t
ngx_http_klaviyo_page_end(ngx_http_klaviyo_answer_t *answer)
{
    size_t  n;

    if (answer->ended) {
        return NGX_OK;
    }

    answer->ended = 1;

    if (klaviyo_page_end(answer->page) == -1) {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_MEMORY,
                                    KLAVIYO_COUNT_BODY_MEMORY);
        return NGX_ERROR;
    }

    if (!answer->over) {
        klaviyo_ring_count(answer->ring, KLAVIYO_COUNT_PAGE_ABORTED, 1);
    }

    n = klaviyo_page_broken(answer->page);

    if (n) {
        klaviyo_ring_count(answer->ring, KLAVIYO_COUNT_VALUE_JSONLD, n);
    }

    n = klaviyo_page_unreadable(answer->page);

    if (n) {
        klaviyo_ring_count(answer->ring, KLAVIYO_COUNT_VALUE_CHARSET, n);
    }

    return NGX_OK;
}
