/*
 * Reads the configuration ahead of nginx to know the form of each
 * klaviyo_track, see the header.
 *
 * A note is found again by the file and the line of the `;` or `{` that ends
 * it, so that text which this reader takes otherwise than nginx does costs at
 * most the notes up to the next one that fits.
 */


#include "ngx_http_klaviyo_forms.h"


#define NGX_HTTP_KLAVIYO_FORMS_DEPTH  32
#define NGX_HTTP_KLAVIYO_FORMS_FILES  10000
#define NGX_HTTP_KLAVIYO_FORMS_FILE   (16 * 1024 * 1024)


typedef struct {
    ngx_str_t    file;
    ngx_uint_t   line;
    ngx_uint_t   block;          /* 1: ends in `{`                           */
} ngx_http_klaviyo_form_t;


typedef struct {
    ngx_conf_t  *cf;
    ngx_str_t    file;
    ngx_uint_t   line;
    ngx_uint_t   depth;          /* of includes                              */
    u_char      *pos;
    u_char      *last;
} ngx_http_klaviyo_reader_t;


/* one simple directive or the head of a block */

typedef struct {
    ngx_str_t    name;
    ngx_str_t    arg;            /* the first argument, as it is written     */
    ngx_uint_t   nargs;
    u_char       end;            /* `;`, `{`, `}`, or 0: end of file         */
} ngx_http_klaviyo_words_t;


static void ngx_http_klaviyo_forms_file(ngx_conf_t *cf, ngx_str_t *file,
    ngx_uint_t depth);
static void ngx_http_klaviyo_forms_text(ngx_http_klaviyo_reader_t *reader);
static void ngx_http_klaviyo_forms_include(ngx_http_klaviyo_reader_t *reader,
    ngx_str_t *arg);
static void ngx_http_klaviyo_forms_words(ngx_http_klaviyo_reader_t *reader,
    ngx_http_klaviyo_words_t *words);
static ngx_int_t ngx_http_klaviyo_forms_word(
    ngx_http_klaviyo_reader_t *reader, ngx_str_t *word);
static ngx_uint_t ngx_http_klaviyo_forms_is_lua(ngx_str_t *name);
static void ngx_http_klaviyo_forms_skip_lua(
    ngx_http_klaviyo_reader_t *reader);
static ngx_uint_t ngx_http_klaviyo_forms_skip_long(
    ngx_http_klaviyo_reader_t *reader);
static void ngx_http_klaviyo_forms_note(ngx_http_klaviyo_reader_t *reader,
    ngx_uint_t block);
static void ngx_http_klaviyo_forms_set(ngx_command_t *cmd);


/* of the configuration that is being read; in its pool */

static ngx_array_t  *ngx_http_klaviyo_forms;
static ngx_uint_t    ngx_http_klaviyo_forms_at;
static ngx_uint_t    ngx_http_klaviyo_forms_files;


void
ngx_http_klaviyo_forms_scan(ngx_conf_t *cf, ngx_command_t *cmd)
{
    ngx_http_klaviyo_forms_at = 0;
    ngx_http_klaviyo_forms_files = 0;
    ngx_http_klaviyo_forms = ngx_array_create(cf->pool, 16,
                                             sizeof(ngx_http_klaviyo_form_t));

    if (ngx_http_klaviyo_forms) {
        ngx_http_klaviyo_forms_file(cf, &cf->cycle->conf_file, 0);
    }

    ngx_http_klaviyo_forms_set(cmd);
}


void
ngx_http_klaviyo_forms_next(ngx_conf_t *cf, ngx_command_t *cmd)
{
    ngx_str_t                *file;
    ngx_uint_t                i;
    ngx_http_klaviyo_form_t  *form;

    if (ngx_http_klaviyo_forms == NULL) {
        return;
    }

    form = ngx_http_klaviyo_forms->elts;
    file = &cf->conf_file->file.name;

    for (i = ngx_http_klaviyo_forms_at; i < ngx_http_klaviyo_forms->nelts; i++)
    {
        if (form[i].line == cf->conf_file->line
            && form[i].file.len == file->len
            && ngx_strncmp(form[i].file.data, file->data, file->len) == 0)
        {
            ngx_http_klaviyo_forms_at = i + 1;
            break;
        }
    }

    ngx_http_klaviyo_forms_set(cmd);
}


static void
ngx_http_klaviyo_forms_set(ngx_command_t *cmd)
{
    ngx_http_klaviyo_form_t  *form;

    cmd->type &= ~NGX_CONF_BLOCK;

    if (ngx_http_klaviyo_forms == NULL
        || ngx_http_klaviyo_forms_at == ngx_http_klaviyo_forms->nelts)
    {
        return;
    }

    form = ngx_http_klaviyo_forms->elts;

    if (form[ngx_http_klaviyo_forms_at].block) {
        cmd->type |= NGX_CONF_BLOCK;
    }
}


static void
ngx_http_klaviyo_forms_file(ngx_conf_t *cf, ngx_str_t *file, ngx_uint_t depth)
{
    off_t                      size;
    ssize_t                    n;
    ngx_file_t                 f;
    ngx_http_klaviyo_reader_t  reader;

    if (depth > NGX_HTTP_KLAVIYO_FORMS_DEPTH
        || ++ngx_http_klaviyo_forms_files > NGX_HTTP_KLAVIYO_FORMS_FILES)
    {
        return;
    }

    ngx_memzero(&f, sizeof(ngx_file_t));

    f.name = *file;
    f.log = cf->log;
    f.fd = ngx_open_file(file->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                         NGX_FILE_OPEN, 0);

    if (f.fd == NGX_INVALID_FILE) {
        return;
    }

    ngx_memzero(&reader, sizeof(ngx_http_klaviyo_reader_t));

    if (ngx_fd_info(f.fd, &f.info) == NGX_FILE_ERROR
        || !ngx_is_file(&f.info))
    {
        goto done;
    }

    size = ngx_file_size(&f.info);

    if (size == 0 || size > NGX_HTTP_KLAVIYO_FORMS_FILE) {
        goto done;
    }

    reader.pos = ngx_palloc(cf->temp_pool, (size_t) size);
    if (reader.pos == NULL) {
        goto done;
    }

    n = ngx_read_file(&f, reader.pos, (size_t) size, 0);

    if (n > 0) {
        reader.cf = cf;
        reader.file = *file;
        reader.line = 1;
        reader.depth = depth;
        reader.last = reader.pos + n;
    }

done:

    if (ngx_close_file(f.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", file);
    }

    if (reader.last) {
        ngx_http_klaviyo_forms_text(&reader);
    }
}


static void
ngx_http_klaviyo_forms_text(ngx_http_klaviyo_reader_t *reader)
{
    ngx_http_klaviyo_words_t  words;

    for ( ;; ) {
        ngx_http_klaviyo_forms_words(reader, &words);

        if (words.end == 0) {
            return;
        }

        if (words.end == '{' && ngx_http_klaviyo_forms_is_lua(&words.name)) {
            ngx_http_klaviyo_forms_skip_lua(reader);
            continue;
        }

        if (words.name.len == sizeof("klaviyo_track") - 1
            && ngx_strncmp(words.name.data, "klaviyo_track", words.name.len)
               == 0)
        {
            ngx_http_klaviyo_forms_note(reader, words.end == '{');
            continue;
        }

        if (words.end == ';'
            && words.nargs == 1
            && words.name.len == sizeof("include") - 1
            && ngx_strncmp(words.name.data, "include", words.name.len) == 0)
        {
            ngx_http_klaviyo_forms_include(reader, &words.arg);
        }
    }
}


static void
ngx_http_klaviyo_forms_note(ngx_http_klaviyo_reader_t *reader,
    ngx_uint_t block)
{
    ngx_http_klaviyo_form_t  *form;

    form = ngx_array_push(ngx_http_klaviyo_forms);

    if (form) {
        form->file = reader->file;
        form->line = reader->line;
        form->block = block;
    }
}


static void
ngx_http_klaviyo_forms_include(ngx_http_klaviyo_reader_t *reader,
    ngx_str_t *arg)
{
    u_char      *p;
    size_t       i;
    ngx_str_t    file, name;
    ngx_glob_t   gl;
    ngx_conf_t  *cf;

    cf = reader->cf;

    file.data = ngx_pnalloc(cf->pool, arg->len + 1);
    if (file.data == NULL) {
        return;
    }

    p = file.data;

    for (i = 0; i < arg->len; i++) {
        if (arg->data[i] == '\\'
            && i + 1 < arg->len
            && ngx_strchr("\"'\\", arg->data[i + 1]))
        {
            i++;
        }

        *p++ = arg->data[i];
    }

    *p = '\0';
    file.len = p - file.data;

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return;
    }

    if (strpbrk((char *) file.data, "*?[") == NULL) {
        ngx_http_klaviyo_forms_file(cf, &file, reader->depth + 1);
        return;
    }

    ngx_memzero(&gl, sizeof(ngx_glob_t));

    gl.pattern = file.data;
    gl.log = cf->log;
    gl.test = 1;

    if (ngx_open_glob(&gl) != NGX_OK) {
        return;
    }

    while (ngx_read_glob(&gl, &name) == NGX_OK) {
        file.len = name.len++;
        file.data = ngx_pstrdup(cf->pool, &name);

        if (file.data == NULL) {
            break;
        }

        ngx_http_klaviyo_forms_file(cf, &file, reader->depth + 1);
    }

    ngx_close_glob(&gl);
}


static void
ngx_http_klaviyo_forms_words(ngx_http_klaviyo_reader_t *reader,
    ngx_http_klaviyo_words_t *words)
{
    u_char     ch;
    ngx_str_t  word;

    ngx_memzero(words, sizeof(ngx_http_klaviyo_words_t));

    while (reader->pos < reader->last) {

        ch = *reader->pos;

        switch (ch) {

        case LF:
            reader->line++;
            reader->pos++;
            continue;

        case ' ':
        case '\t':
        case CR:
            reader->pos++;
            continue;

        case '#':
            while (reader->pos < reader->last && *reader->pos != LF) {
                reader->pos++;
            }

            continue;

        case ';':
        case '{':
        case '}':
            reader->pos++;
            words->end = ch;
            return;
        }

        if (ngx_http_klaviyo_forms_word(reader, &word) != NGX_OK) {
            return;
        }

        if (words->name.data == NULL) {
            words->name = word;
            continue;
        }

        if (words->nargs++ == 0) {
            words->arg = word;
        }
    }
}


static ngx_int_t
ngx_http_klaviyo_forms_word(ngx_http_klaviyo_reader_t *reader,
    ngx_str_t *word)
{
    u_char      ch, quote;
    ngx_uint_t  variable;

    quote = 0;
    variable = 0;

    if (*reader->pos == '"' || *reader->pos == '\'') {
        quote = *reader->pos++;
    }

    word->data = reader->pos;

    for ( /* void */ ; reader->pos < reader->last; reader->pos++) {

        ch = *reader->pos;

        if (ch == LF) {
            if (!quote) {
                break;
            }

            reader->line++;
        }

        if (ch == '\\' && reader->pos + 1 < reader->last) {
            reader->pos++;

            if (*reader->pos == LF) {
                reader->line++;
            }

            variable = 0;
            continue;
        }

        if (quote) {
            if (ch == quote) {
                word->len = reader->pos - word->data;
                reader->pos++;
                return NGX_OK;
            }

            continue;
        }

        if (ch == ' ' || ch == '\t' || ch == CR || ch == ';'
            || (ch == '{' && !variable))
        {
            break;
        }

        variable = (ch == '$');
    }

    word->len = reader->pos - word->data;

    return quote ? NGX_ERROR : NGX_OK;
}


static ngx_uint_t
ngx_http_klaviyo_forms_is_lua(ngx_str_t *name)
{
    size_t  len;

    len = sizeof("_by_lua_block") - 1;

    return name->len > len
           && ngx_strncmp(name->data + name->len - len, "_by_lua_block", len)
              == 0;
}


/* the text of a Lua block is Lua's, up to the brace that closes it */

static void
ngx_http_klaviyo_forms_skip_lua(ngx_http_klaviyo_reader_t *reader)
{
    u_char      ch, quote;
    ngx_uint_t  depth;

    depth = 1;
    quote = 0;

    while (reader->pos < reader->last) {

        ch = *reader->pos++;

        if (ch == LF) {
            reader->line++;
        }

        if (quote) {
            if (ch == '\\' && reader->pos < reader->last) {
                reader->line += (*reader->pos++ == LF);

            } else if (ch == quote) {
                quote = 0;
            }

            continue;
        }

        switch (ch) {

        case '"':
        case '\'':
            quote = ch;
            break;

        case '[':
            (void) ngx_http_klaviyo_forms_skip_long(reader);
            break;

        case '-':
            if (reader->pos == reader->last || *reader->pos != '-') {
                break;
            }

            reader->pos++;

            if (reader->pos < reader->last && *reader->pos == '[') {
                reader->pos++;

                if (ngx_http_klaviyo_forms_skip_long(reader)) {
                    break;
                }
            }

            while (reader->pos < reader->last && *reader->pos != LF) {
                reader->pos++;
            }

            break;

        case '{':
            depth++;
            break;

        case '}':
            if (--depth == 0) {
                return;
            }

            break;
        }
    }
}


/* behind a `[`: skips Lua's [[...]] and [==[...]==], 0 if it is none */

static ngx_uint_t
ngx_http_klaviyo_forms_skip_long(ngx_http_klaviyo_reader_t *reader)
{
    u_char  *p;
    size_t   level, n;

    for (p = reader->pos; p < reader->last && *p == '='; p++) { /* void */ }

    if (p == reader->last || *p != '[') {
        return 0;
    }

    level = p - reader->pos;

    for (p++; p < reader->last; p++) {

        if (*p == LF) {
            reader->line++;
            continue;
        }

        if (*p != ']') {
            continue;
        }

        for (n = 0; n < level && p + 1 + n < reader->last; n++) {
            if (p[1 + n] != '=') {
                break;
            }
        }

        if (n == level && p + 1 + n < reader->last && p[1 + n] == ']') {
            p += n + 2;
            break;
        }
    }

    reader->pos = p;

    return 1;
}
