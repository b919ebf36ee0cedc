/*
 * Variables that are a part of another value: klaviyo_json, the value at a
 * JSON pointer, and klaviyo_form, a field of a form.
 *
 * A source is checked once for a request and remembered by its length and
 * checksum: equal texts of the configuration are one source.
 */


#include "ngx_http_klaviyo_context.h"
#include "json/klaviyo_form.h"
#include "json/klaviyo_pointer.h"
#include "queue/klaviyo_crc32c.h"


typedef struct {
    ngx_http_complex_value_t   value;
    ngx_str_t                  text;        /* in the configuration         */
    ngx_uint_t                 index;       /* of ctx->sources              */
} ngx_http_klaviyo_source_t;


typedef struct {
    ngx_http_klaviyo_source_t  *source;
    ngx_str_t                   path;       /* a pointer, a field's name    */
} ngx_http_klaviyo_part_t;


/* what is known of a source's value in one request */

struct ngx_http_klaviyo_source_state_s {
    size_t                      len;        /* 0: not looked at yet         */
    uint32_t                    crc;
    ngx_uint_t                  json;
};


static ngx_int_t ngx_http_klaviyo_json_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_form_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_source_t *ngx_http_klaviyo_source(ngx_conf_t *cf,
    ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_source_json(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, klaviyo_slice_t *text);


/* klaviyo_json $variable source pointer, klaviyo_form $variable source field */

char *
ngx_http_klaviyo_part(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_variable_t         *var;
    ngx_http_klaviyo_part_t     *part;
    ngx_http_get_variable_pt     handler;

    (void) conf;

    value = cf->args->elts;

    if (value[1].len < 2 || value[1].data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable name \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    value[1].len--;
    value[1].data++;

    handler = ngx_http_klaviyo_form_variable;

    if (cmd->name.len == sizeof("klaviyo_json") - 1
        && ngx_strncmp(cmd->name.data, "klaviyo_json", cmd->name.len) == 0)
    {
        handler = ngx_http_klaviyo_json_variable;

        if (!klaviyo_pointer_valid(value[3].data, value[3].len)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pointer \"%V\": write \"/\" before "
                               "each name, as in /order/items/0, and \"~0\" "
                               "for \"~\", \"~1\" for \"/\" in a name",
                               &value[3]);
            return NGX_CONF_ERROR;
        }

    } else if (value[3].len == 0) {
        return "has an empty name of a field";
    }

    part = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_part_t));
    if (part == NULL) {
        return NGX_CONF_ERROR;
    }

    part->path = value[3];

    part->source = ngx_http_klaviyo_source(cf, &value[2]);
    if (part->source == NULL) {
        return NGX_CONF_ERROR;
    }

    var = ngx_http_add_variable(cf, &value[1], NGX_HTTP_VAR_CHANGEABLE
                                               |NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_CONF_ERROR;
    }

    if (var->get_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the variable \"$%V\" is there already",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    var->get_handler = handler;
    var->data = (uintptr_t) part;

    return NGX_CONF_OK;
}


static ngx_http_klaviyo_source_t *
ngx_http_klaviyo_source(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_uint_t                         i;
    ngx_http_klaviyo_source_t         *source, **slot;
    ngx_http_klaviyo_main_conf_t      *kmcf;
    ngx_http_compile_complex_value_t   ccv;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    if (kmcf->sources == NULL) {
        kmcf->sources = ngx_array_create(cf->pool, 4,
                                         sizeof(ngx_http_klaviyo_source_t *));
        if (kmcf->sources == NULL) {
            return NULL;
        }
    }

    slot = kmcf->sources->elts;

    for (i = 0; i < kmcf->sources->nelts; i++) {

        if (slot[i]->text.len == text->len
            && ngx_memcmp(slot[i]->text.data, text->data, text->len) == 0)
        {
            return slot[i];
        }
    }

    slot = ngx_array_push(kmcf->sources);
    source = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_source_t));

    if (slot == NULL || source == NULL) {
        return NULL;
    }

    *slot = source;

    source->text = *text;
    source->index = kmcf->sources->nelts - 1;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = &source->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NULL;
    }

    return source;
}


static ngx_int_t
ngx_http_klaviyo_json_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_part_t *part = (ngx_http_klaviyo_part_t *) data;

    ngx_int_t        rc;
    klaviyo_slice_t  text, value;

    v->not_found = 1;

    rc = ngx_http_klaviyo_source_json(r, part->source, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED
        || !klaviyo_pointer_find(&text, part->path.data, part->path.len,
                                 &value))
    {
        return NGX_OK;
    }

    v->len = value.len;
    v->data = (u_char *) value.data;

    if (klaviyo_walk_type(value.data) == KLAVIYO_WALK_STRING) {

        if (klaviyo_walk_is_plain(&value)) {
            v->len = value.len - 2;
            v->data++;

        } else {
            v->data = ngx_pnalloc(r->pool, value.len);
            if (v->data == NULL) {
                return NGX_ERROR;
            }

            v->len = klaviyo_walk_string(&value, v->data);
        }
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_form_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_part_t *part = (ngx_http_klaviyo_part_t *) data;

    ngx_str_t        text;
    klaviyo_slice_t  form, value;

    v->not_found = 1;

    if (ngx_http_complex_value(r, &part->source->value, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    form.data = text.data;
    form.len = text.len;

    if (form.len > KLAVIYO_WALK_TEXT_MAX
        || !klaviyo_form_find(&form, part->path.data, part->path.len, &value))
    {
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, value.len + 1);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = klaviyo_form_decode(&value, v->data);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* NGX_DECLINED: the source is no JSON */

static ngx_int_t
ngx_http_klaviyo_source_json(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, klaviyo_slice_t *text)
{
    uint32_t                          crc;
    ngx_str_t                         value;
    const uint8_t                    *p;
    ngx_http_klaviyo_ctx_t           *ctx;
    ngx_http_klaviyo_main_conf_t     *kmcf;
    ngx_http_klaviyo_source_state_t  *state;

    if (ngx_http_complex_value(r, &source->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    p = value.data;

    text->len = klaviyo_value_trim(&p, value.len);
    text->data = p;

    if (text->len == 0 || text->len > KLAVIYO_WALK_TEXT_MAX) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->sources == NULL) {
        kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

        ctx->sources = ngx_pcalloc(r->pool, kmcf->sources->nelts
                                     * sizeof(ngx_http_klaviyo_source_state_t));
        if (ctx->sources == NULL) {
            return NGX_ERROR;
        }
    }

    state = &ctx->sources[source->index];

    crc = klaviyo_crc32c(0, text->data, text->len);

    if (state->len != text->len || state->crc != crc) {
        state->len = text->len;
        state->crc = crc;
        state->json = klaviyo_walk_check(text);
    }

    return state->json ? NGX_OK : NGX_DECLINED;
}
