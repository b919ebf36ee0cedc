/*
 * Variables that are a part of another value: klaviyo_json, the value at the
 * first JSON pointer that has one; klaviyo_form, a field of a form;
 * klaviyo_cookie, a cookie, percent-decoded.
 *
 * A source of JSON is checked and read once for a request, for all pointers
 * into it, and remembered by its length and checksum: equal texts of the
 * configuration are one source.
 */


#include "ngx_http_klaviyo_source.h"
#include "klaviyo_decode.h"
#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_cookie.h"
#include "ngx_http_klaviyo_inflate.h"
#include "ngx_http_klaviyo_op.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_form.h"
#include "json/klaviyo_pointer.h"
#include "queue/klaviyo_crc32c.h"


typedef struct {
    ngx_http_complex_value_t   value;
    ngx_http_klaviyo_op_t      op;          /* asks for it                  */
    ngx_str_t                  text;        /* in the configuration         */
    ngx_array_t               *nodes;       /* of the pointers into it      */
    ngx_uint_t                 index;       /* of ctx->sources              */
    unsigned                   body:1;      /* the request's is in it       */
} ngx_http_klaviyo_source_t;


typedef struct {
    ngx_http_klaviyo_source_t  *source;     /* NULL: the cookies            */
    ngx_str_t                  *paths;      /* one name of a field or a
                                               cookie; of a pointer what is
                                               left from its first `*` on   */
    uint32_t                   *nodes;      /* of the pointers              */
    ngx_uint_t                  npaths;
    unsigned                    list:1;     /* all fields of the name       */
} ngx_http_klaviyo_part_t;


/* what is known of a source's value in one request */

struct ngx_http_klaviyo_source_state_s {
    size_t                      len;        /* 0: not looked at yet         */
    uint32_t                    crc;
    u_char                     *data;       /* where it was read            */
    klaviyo_slice_t            *found;      /* of each node                 */
    unsigned                    json:1;
    unsigned                    repair:1;
};


static char *ngx_http_klaviyo_part_paths(ngx_conf_t *cf,
    ngx_http_klaviyo_part_t *part);
static ngx_int_t ngx_http_klaviyo_part_nodes(ngx_conf_t *cf,
    ngx_http_klaviyo_part_t *part);
static ngx_uint_t ngx_http_klaviyo_part_is_cookie(ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_json_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_json_all(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, klaviyo_slice_t *text, ngx_str_t *path);
static ngx_int_t ngx_http_klaviyo_json_one(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, klaviyo_slice_t *value);
static ngx_int_t ngx_http_klaviyo_form_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_form_one(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, klaviyo_form_t *form, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_form_list(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_variable_value_t *v,
    klaviyo_form_t *form, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_source_t *ngx_http_klaviyo_source(ngx_conf_t *cf,
    ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_source_json(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, ngx_str_t *value,
    ngx_http_klaviyo_source_state_t **state);
static ngx_int_t ngx_http_klaviyo_source_read(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, ngx_str_t *value,
    ngx_http_klaviyo_source_state_t *state);


/*
 * klaviyo_json $variable source pointer ...
 * klaviyo_form $variable source field [list]
 * klaviyo_cookie $variable name
 */

char *
ngx_http_klaviyo_part(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                        *rv;
    ngx_str_t                   *value, *paths;
    ngx_http_variable_t         *var;
    ngx_http_klaviyo_part_t     *part;
    ngx_http_get_variable_pt     handler;

    (void) conf;

    value = cf->args->elts;

    var = ngx_http_klaviyo_variable(cf, &value[1], NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_CONF_ERROR;
    }

    part = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_part_t));
    if (part == NULL) {
        return NGX_CONF_ERROR;
    }

    part->npaths = 1;

    if (ngx_strcmp(cmd->name.data, "klaviyo_json") == 0) {
        handler = ngx_http_klaviyo_json_variable;

        if (cf->args->nelts < 4) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in "
                               "\"klaviyo_json\": write "
                               "\"klaviyo_json $variable source pointer\"");
            return NGX_CONF_ERROR;
        }

        part->paths = &value[3];
        part->npaths = cf->args->nelts - 3;

        rv = ngx_http_klaviyo_part_paths(cf, part);
        if (rv != NGX_CONF_OK) {
            return rv;
        }

    } else if (ngx_strcmp(cmd->name.data, "klaviyo_form") == 0) {
        handler = ngx_http_klaviyo_form_variable;

        part->paths = &value[3];

        if (value[3].len == 0) {
            return "has an empty name of a field";
        }

        if (cf->args->nelts == 5) {

            if (ngx_strcmp(value[4].data, "list") != 0) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid parameter \"%V\": write \"list\" "
                                   "for all fields of the name", &value[4]);
                return NGX_CONF_ERROR;
            }

            part->list = 1;
        }

    } else {
        handler = ngx_http_klaviyo_cookie_variable;

        part->paths = &value[2];

        if (!ngx_http_klaviyo_part_is_cookie(&value[2])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\" of a cookie: names are "
                               "constant, and have no blank and none of "
                               "\"=,;\"", &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    if (handler != ngx_http_klaviyo_cookie_variable) {
        part->source = ngx_http_klaviyo_source(cf, &value[2]);
        if (part->source == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    /* the words of a directive are gone with the next one */

    paths = ngx_palloc(cf->pool, part->npaths * sizeof(ngx_str_t));
    if (paths == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(paths, part->paths, part->npaths * sizeof(ngx_str_t));

    part->paths = paths;

    if (handler == ngx_http_klaviyo_json_variable
        && ngx_http_klaviyo_part_nodes(cf, part) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    var->get_handler = handler;
    var->data = (uintptr_t) part;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_part_paths(ngx_conf_t *cf, ngx_http_klaviyo_part_t *part)
{
    ngx_str_t   *path;
    ngx_uint_t   i;

    for (i = 0; i < part->npaths; i++) {

        path = &part->paths[i];

        if (!klaviyo_pointer_valid(path->data, path->len)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pointer \"%V\": write \"/\" before "
                               "each name, as in /order/items/0, and \"~0\" "
                               "for \"~\", \"~1\" for \"/\" in a name",
                               path);
            return NGX_CONF_ERROR;
        }

        if (klaviyo_pointer_all(path->data, path->len)
            > KLAVIYO_POINTER_ALL_MAX)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid pointer \"%V\": more than %d tokens "
                               "\"*\"", path, KLAVIYO_POINTER_ALL_MAX);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_klaviyo_part_nodes(ngx_conf_t *cf, ngx_http_klaviyo_part_t *part)
{
    size_t         len;
    uint32_t       n;
    ngx_str_t     *path;
    ngx_uint_t     i;
    ngx_array_t   *nodes;

    nodes = part->source->nodes;

    if (nodes == NULL) {
        nodes = ngx_array_create(cf->pool, 8, sizeof(klaviyo_pointer_node_t));
        if (nodes == NULL) {
            return NGX_ERROR;
        }

        part->source->nodes = nodes;
    }

    part->nodes = ngx_palloc(cf->pool, part->npaths * sizeof(uint32_t));
    if (part->nodes == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < part->npaths; i++) {
        path = &part->paths[i];

        n = (uint32_t) nodes->nelts;

        if (ngx_array_push_n(nodes, klaviyo_pointer_tokens(path->data,
                                                           path->len) + 1)
            == NULL)
        {
            return NGX_ERROR;
        }

        len = path->len;

        part->nodes[i] = klaviyo_pointer_add(nodes->elts, &n, path->data,
                                             &len);
        nodes->nelts = n;

        path->data += len;
        path->len -= len;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_klaviyo_part_is_cookie(ngx_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {

        if (name->data[i] <= ' ' || ngx_strchr("=,;", name->data[i])) {
            return 0;
        }
    }

    return name->len != 0 && name->data[0] != '$';
}


static ngx_http_klaviyo_source_t *
ngx_http_klaviyo_source(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_uint_t                     i;
    ngx_http_klaviyo_source_t     *source, **slot;
    ngx_http_klaviyo_main_conf_t  *kmcf;

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
    source->nodes = NULL;
    source->index = kmcf->sources->nelts - 1;
    source->body = ngx_http_klaviyo_body_named(text);

    if (ngx_http_klaviyo_compile(cf, text, &source->value) != NGX_OK) {
        return NULL;
    }

    ngx_memzero(&source->op, sizeof(ngx_http_klaviyo_op_t));

    source->op.value = &source->value;
    source->op.index = ngx_http_klaviyo_template_variable(cf, &source->value);

    return source;
}


/* JSON's null and an empty string are no value */

static ngx_int_t
ngx_http_klaviyo_json_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_part_t *part = (ngx_http_klaviyo_part_t *) data;

    ngx_int_t                         rc;
    ngx_str_t                         text;
    ngx_uint_t                        i;
    klaviyo_slice_t                   value;
    ngx_http_klaviyo_source_state_t  *state;

    v->not_found = 1;

    rc = ngx_http_klaviyo_source_json(r, part->source, &text, &state);

    for (i = 0; rc == NGX_OK && i < part->npaths; i++) {

        value = state->found[part->nodes[i]];

        if (value.len == 0) {
            continue;
        }

        /* the same text may stand elsewhere by now */

        value.data = text.data + (value.data - state->data);

        rc = part->paths[i].len
             ? ngx_http_klaviyo_json_all(r, v, &value, &part->paths[i])
             : ngx_http_klaviyo_json_one(r, v, &value);

        if (rc != NGX_OK) {
            break;
        }

        if (v->len) {
            v->valid = 1;
            v->no_cacheable = 0;
            v->not_found = 0;
            break;
        }
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_json_all(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    klaviyo_slice_t *text, ngx_str_t *path)
{
    u_char          *p;
    klaviyo_json_t   json;

    p = ngx_pnalloc(r->pool, text->len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, p, text->len + 2);
    klaviyo_pointer_write(&json, text, path->data, path->len);

    v->len = json.pos - json.start;
    v->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_json_one(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    klaviyo_slice_t *value)
{
    klaviyo_scan_type_e  type;

    v->len = 0;

    type = klaviyo_scan_type(value->data);

    if (type == KLAVIYO_SCAN_NULL) {
        return NGX_OK;
    }

    if (type != KLAVIYO_SCAN_STRING) {
        v->len = value->len;
        v->data = (u_char *) value->data;
        return NGX_OK;
    }

    if (klaviyo_scan_is_plain(value)) {
        v->len = value->len - 2;
        v->data = (u_char *) value->data + 1;
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, value->len);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = klaviyo_scan_string(value, v->data);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_form_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_part_t *part = (ngx_http_klaviyo_part_t *) data;

    ngx_int_t                rc;
    ngx_str_t                text;
    klaviyo_form_t           form;
    ngx_http_klaviyo_ctx_t  *ctx;

    v->not_found = 1;

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL
        || ngx_http_klaviyo_op_value(r, &part->source->op, &text) != NGX_OK
        || ngx_http_klaviyo_inflate(r, ctx, &text) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (text.len == 0) {
        ctx->wanted |= part->source->body;
        return NGX_OK;
    }

    klaviyo_form_open(&form, text.data,
                      ngx_min(text.len, KLAVIYO_SCAN_TEXT_MAX));

    rc = part->list ? ngx_http_klaviyo_form_list(r, ctx, v, &form, part->paths)
                    : ngx_http_klaviyo_form_one(r, v, &form, part->paths);

    /* a list goes through all of it */

    if ((v->not_found || part->list)
        && (form.bad || text.len > KLAVIYO_SCAN_TEXT_MAX))
    {
        ctx->unread = &part->source->text;
        ctx->unread_form = 1;
    }

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_form_one(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    klaviyo_form_t *form, ngx_str_t *name)
{
    klaviyo_slice_t  value;

    if (!klaviyo_form_next(form, name->data, name->len, &value)) {
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, value.len + 1);
    if (v->data == NULL) {
        return NGX_ERROR;
    }

    v->len = klaviyo_form_decode(form, &value, v->data);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* a JSON array of the fields that are not empty */

static ngx_int_t
ngx_http_klaviyo_form_list(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_variable_value_t *v, klaviyo_form_t *form, ngx_str_t *name)
{
    size_t           len, size, longest;
    u_char          *p, *buf;
    klaviyo_form_t   again;
    klaviyo_json_t   json;
    klaviyo_slice_t  value;

    size = 2;
    longest = 0;
    again = *form;

    while (klaviyo_form_next(form, name->data, name->len, &value)) {
        size += klaviyo_json_string_size(value.len) + 1;
        longest = ngx_max(longest, value.len);
    }

    if (longest == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, size);
    buf = ngx_pnalloc(r->pool, longest);

    if (p == NULL || buf == NULL) {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, p, size);
    klaviyo_json_literal(&json, "[");

    while (klaviyo_form_next(&again, name->data, name->len, &value)) {

        len = klaviyo_form_decode(&again, &value, buf);

        if (len == 0) {
            continue;
        }

        if (json.pos - json.start > 1) {
            klaviyo_json_literal(&json, ",");
        }

        /* U+FFFD for each byte, at the worst */

        klaviyo_json_string(&json, buf, len, 3 * len);
    }

    klaviyo_json_literal(&json, "]");

    if (json.repaired) {
        ctx->repair = 1;
    }

    v->len = json.pos - json.start;
    v->data = p;

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_part_t *part = (ngx_http_klaviyo_part_t *) data;

    ngx_str_t  value;

    v->not_found = 1;

    if (ngx_http_klaviyo_cookie(r, part->paths, &value) != NGX_OK) {
        return NGX_OK;
    }

    v->data = value.data;

    if (ngx_strlchr(value.data, value.data + value.len, '%') == NULL) {
        v->len = value.len;

    } else {
        v->data = ngx_pnalloc(r->pool, value.len);
        if (v->data == NULL) {
            return NGX_ERROR;
        }

        v->len = klaviyo_decode_percent(v->data, value.data, value.len);
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* NGX_DECLINED: the source is no JSON */

static ngx_int_t
ngx_http_klaviyo_source_json(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, ngx_str_t *value,
    ngx_http_klaviyo_source_state_t **found)
{
    uint32_t                          crc;
    ngx_http_klaviyo_ctx_t           *ctx;
    ngx_http_klaviyo_main_conf_t     *kmcf;
    ngx_http_klaviyo_source_state_t  *state;

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL
        || ngx_http_klaviyo_op_value(r, &source->op, value) != NGX_OK
        || ngx_http_klaviyo_inflate(r, ctx, value) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (value->len == 0) {
        ctx->wanted |= source->body;
        return NGX_DECLINED;
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

    crc = klaviyo_crc32c(0, value->data, value->len);

    if (state->len != value->len || state->crc != crc) {

        if (ngx_http_klaviyo_source_read(r, source, value, state) != NGX_OK) {
            return NGX_ERROR;
        }

        state->len = value->len;
        state->crc = crc;
    }

    if (!state->json) {
        ctx->unread = &source->text;
        ctx->unread_form = 0;
        return NGX_DECLINED;
    }

    if (state->repair) {
        ctx->repair = 1;
    }

    *found = state;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_source_read(ngx_http_request_t *r,
    ngx_http_klaviyo_source_t *source, ngx_str_t *value,
    ngx_http_klaviyo_source_state_t *state)
{
    klaviyo_slice_t       text;
    klaviyo_scan_seen_t   seen;

    if (state->found == NULL) {
        state->found = ngx_palloc(r->pool, source->nodes->nelts
                                           * sizeof(klaviyo_slice_t));
        if (state->found == NULL) {
            return NGX_ERROR;
        }
    }

    text.len = value->len;
    text.data = value->data;

    state->data = value->data;
    state->json = klaviyo_scan_check(&text, &seen);
    state->repair = seen.repair;

    if (state->json) {
        klaviyo_pointer_read(source->nodes->elts, 0, &text, state->found);
    }

    return NGX_OK;
}
