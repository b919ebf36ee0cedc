/*
 * The directive klaviyo_pass, and what it means in its location.
 */


#include "ngx_http_klaviyo_pass_call.h"
#include "ngx_http_klaviyo_pass_handler.h"
#include "ngx_http_klaviyo_pass_private.h"
#include "ngx_http_klaviyo_pass.h"
#include "account/ngx_http_klaviyo_compile.h"


static char *ngx_http_klaviyo_pass_uri(ngx_conf_t *cf,
    ngx_http_klaviyo_pass_t *pass, ngx_str_t *value);
static char *ngx_http_klaviyo_pass_pieces(ngx_conf_t *cf,
    ngx_http_klaviyo_pass_t *pass, ngx_str_t *value);
static char *ngx_http_klaviyo_pass_piece(ngx_conf_t *cf,
    ngx_http_klaviyo_pass_t *pass, klaviyo_path_kind_e kind,
    ngx_str_t *text, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_pass_name(ngx_str_t *rest, ngx_str_t *text,
    ngx_str_t *name);
static ngx_uint_t ngx_http_klaviyo_pass_is(ngx_str_t *name,
    const char *known);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_pass_account(
    ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_pass_t *pass, ngx_str_t *name);
static char *ngx_http_klaviyo_pass_check_timeout(ngx_conf_t *cf, void *post,
    void *data);


ngx_conf_post_t  ngx_http_klaviyo_pass_timeout_post = {
    ngx_http_klaviyo_pass_check_timeout
};


ngx_conf_num_bounds_t  ngx_http_klaviyo_pass_connections_bounds = {
    ngx_conf_check_num_bounds, 1, 4096
};


char *
ngx_http_klaviyo_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_location_t *location = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_klaviyo_pass_t   *pass;
    ngx_http_core_loc_conf_t  *clcf;

    (void) cmd;

    if (location->pass) {
        return "is duplicate";
    }

    pass = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_pass_t));
    if (pass == NULL) {
        return NGX_CONF_ERROR;
    }

    pass->conf_file = cf->conf_file->file.name.data;
    pass->conf_line = cf->conf_file->line;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len > 8
            && ngx_strncmp(value[i].data, "account=", 8) == 0
            && pass->name.len == 0)
        {
            pass->name.data = value[i].data + 8;
            pass->name.len = value[i].len - 8;
            continue;
        }

        if (i == 1 && (value[i].data[0] == '/' || value[i].data[0] == '$')) {

            if (ngx_http_klaviyo_pass_uri(cf, pass, &value[i])
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected a URI that "
                           "begins with \"/\", then \"account=\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex == NULL && !clcf->exact_match && !clcf->named) {
#else
    if (!clcf->exact_match && !clcf->named) {
#endif
        pass->prefix = clcf->name.len;
    }

    clcf->handler = ngx_http_klaviyo_pass_handler;

    location->pass = pass;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_pass_uri(ngx_conf_t *cf, ngx_http_klaviyo_pass_t *pass,
    ngx_str_t *value)
{
    u_char               *target;
    ngx_uint_t            n;
    klaviyo_path_piece_t  pieces[2];

    pass->uri = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (pass->uri == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_compile(cf, value, pass->uri) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (pass->uri->lengths) {
        return ngx_http_klaviyo_pass_pieces(cf, pass, value);
    }

    target = ngx_pnalloc(cf->temp_pool, klaviyo_path_size(value->len));
    if (target == NULL) {
        return NGX_CONF_ERROR;
    }

    n = ngx_http_klaviyo_pass_split(value, pieces);

    if (klaviyo_path_target(target, pieces, n) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid uri \"%V\": expected a path of Klaviyo's "
                           "API as \"/api/profiles\"", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * A variable alone holds a URI as it is, and one at the beginning a path;
 * among text it holds a value, which stays where it stands.
 */

static char *
ngx_http_klaviyo_pass_pieces(ngx_conf_t *cf, ngx_http_klaviyo_pass_t *pass,
    ngx_str_t *value)
{
    ngx_str_t            rest, text, name;
    klaviyo_path_kind_e  behind, kind;

    rest = *value;

    if (ngx_http_klaviyo_pass_name(&rest, &text, &name) == NGX_OK
        && text.len == value->len)
    {
        return NGX_CONF_OK;
    }

    rest = *value;

    pass->pieces = ngx_array_create(cf->pool, 4,
                                    sizeof(ngx_http_klaviyo_pass_piece_t));
    if (pass->pieces == NULL) {
        return NGX_CONF_ERROR;
    }

    behind = KLAVIYO_PATH_SEGMENT;

    while (rest.len) {

        if (ngx_http_klaviyo_pass_name(&rest, &text, &name) == NGX_OK) {

            kind = text.data == value->data ? KLAVIYO_PATH_PATH : behind;

            if (ngx_http_klaviyo_pass_is(&name, "is_args")) {

                /* the "?" comes with the arguments */

                if (behind == KLAVIYO_PATH_SEGMENT) {
                    behind = KLAVIYO_PATH_VALUE;
                }

                continue;
            }

            if (kind == KLAVIYO_PATH_VALUE
                && (ngx_http_klaviyo_pass_is(&name, "args")
                    || ngx_http_klaviyo_pass_is(&name, "query_string")))
            {
                kind = KLAVIYO_PATH_ARGS;
            }

        } else {
            kind = behind == KLAVIYO_PATH_SEGMENT ? KLAVIYO_PATH_PATH
                                                  : KLAVIYO_PATH_ARGS;

            text = rest;
            text.len = 0;

            while (text.len < rest.len && text.data[text.len] != '$'
                   && (kind == KLAVIYO_PATH_ARGS
                       || text.data[text.len] != '?'))
            {
                text.len++;
            }

            rest.data += text.len;
            rest.len -= text.len;

            if (kind == KLAVIYO_PATH_PATH && rest.len && rest.data[0] == '?') {
                rest.data++;
                rest.len--;
                behind = KLAVIYO_PATH_VALUE;

            } else {
                behind = klaviyo_path_behind(behind, text.data, text.len);
            }

            ngx_str_null(&name);
        }

        if (text.len
            && ngx_http_klaviyo_pass_piece(cf, pass, kind, &text, &name)
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_pass_piece(ngx_conf_t *cf, ngx_http_klaviyo_pass_t *pass,
    klaviyo_path_kind_e kind, ngx_str_t *text, ngx_str_t *name)
{
    ngx_http_klaviyo_pass_piece_t  *piece;

    piece = ngx_array_push(pass->pieces);
    if (piece == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(piece, sizeof(ngx_http_klaviyo_pass_piece_t));

    piece->kind = kind;

    /* an argument of the request is as its client encoded it */

    piece->encoded = (kind != KLAVIYO_PATH_ARGS && name->len > 4
                      && ngx_strncmp(name->data, "arg_", 4) == 0);

    return ngx_http_klaviyo_compile(cf, text, &piece->value) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * NGX_OK: a variable stands here, as `text`, and `rest` is what follows;
 * nginx says what is wrong with its name.
 */

static ngx_int_t
ngx_http_klaviyo_pass_name(ngx_str_t *rest, ngx_str_t *text, ngx_str_t *name)
{
    u_char  *p, *last;

    if (rest->len < 2 || rest->data[0] != '$') {
        return NGX_DECLINED;
    }

    p = rest->data + 1;
    last = rest->data + rest->len;

    text->data = rest->data;

    if (*p == '{') {
        name->data = ++p;

        while (p < last && *p != '}') {
            p++;
        }

        name->len = p - name->data;
        p += (p < last);

    } else {
        name->data = p;

        if (*p >= '1' && *p <= '9') {
            p++;

        } else {
            while (p < last
                   && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
                       || (*p >= '0' && *p <= '9') || *p == '_'))
            {
                p++;
            }
        }

        name->len = p - name->data;
    }

    text->len = p - text->data;

    rest->data = p;
    rest->len = last - p;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_klaviyo_pass_is(ngx_str_t *name, const char *known)
{
    return name->len == ngx_strlen(known)
           && ngx_strncasecmp(name->data, (u_char *) known, name->len) == 0;
}


void
ngx_http_klaviyo_pass_unset(ngx_http_klaviyo_location_t *conf)
{
    conf->pass = NULL;
    conf->pass_timeout = NGX_CONF_UNSET_MSEC;
    conf->pass_connections = NGX_CONF_UNSET;
}


char *
ngx_http_klaviyo_pass_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf, ngx_str_t *account)
{
    ngx_http_klaviyo_pass_t   *pass;
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_msec_value(conf->pass_timeout, prev->pass_timeout, 10000);
    ngx_conf_merge_value(conf->pass_connections, prev->pass_connections, 32);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* an "if" of the location, or limit_except: the handler is inherited */

    if (conf->pass == NULL && (clcf->noname || clcf->lmt_excpt)
        && clcf->handler == NULL && prev->pass)
    {
        conf->pass = prev->pass;
        clcf->handler = ngx_http_klaviyo_pass_handler;
    }

    pass = conf->pass;

    if (pass == NULL || pass->account) {
        return NGX_CONF_OK;
    }

    pass->account = ngx_http_klaviyo_pass_account(cf, kmcf, pass,
                                       pass->name.len ? &pass->name : account);

    if (pass->account == NULL) {
        return NGX_CONF_ERROR;
    }

    pass->account->used = 1;

    return NGX_CONF_OK;
}


static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_pass_account(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_pass_t *pass,
    ngx_str_t *name)
{
    ngx_http_klaviyo_account_t  *found, **account;

    if (kmcf->accounts.nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account for klaviyo_pass in %s:%ui: add "
                      "\"klaviyo_account shop { api_key_file <path>; }\" to "
                      "the http block", pass->conf_file, pass->conf_line);
        return NULL;
    }

    if (name->len) {
        found = ngx_http_klaviyo_account_find(kmcf, name);

        if (found == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown account \"%V\" for klaviyo_pass in %s:%ui, "
                          "there is no klaviyo_account of this name",
                          name, pass->conf_file, pass->conf_line);
        }

        return found;
    }

    if (kmcf->accounts.nelts > 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account chosen for klaviyo_pass in %s:%ui, and "
                      "there are %ui: add \"account=<name>\" to it or "
                      "\"klaviyo_account_default <name>;\" to its level",
                      pass->conf_file, pass->conf_line, kmcf->accounts.nelts);
        return NULL;
    }

    account = kmcf->accounts.elts;

    return account[0];
}


static char *
ngx_http_klaviyo_pass_check_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *timeout = data;

    (void) cf;
    (void) post;

    return *timeout ? NGX_CONF_OK : "must not be 0";
}
