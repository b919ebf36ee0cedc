/*
 * The directives klaviyo_track and klaviyo_event: their parameters, and the
 * block of klaviyo_event.
 */


#include "ngx_http_klaviyo_track.h"
#include "ngx_http_klaviyo_amount.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_track_page.h"
#include "ngx_http_klaviyo_view.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_check.h"


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   min;            /* words, the name is one                   */
    ngx_uint_t   max;
    char      *(*set)(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track);
} ngx_http_klaviyo_member_t;


static char *ngx_http_klaviyo_track_off(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *klcf, ngx_uint_t block);
static char *ngx_http_klaviyo_track_metric(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *metric);
static char *ngx_http_klaviyo_track_statuses(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);
static char *ngx_http_klaviyo_track_block(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_track_member(ngx_conf_t *cf,
    ngx_command_t *dummy, void *conf);
static char *ngx_http_klaviyo_track_profile(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_track_property(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_track_unique_id(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_track_backfill(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_track_include(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);


static ngx_http_klaviyo_member_t  ngx_http_klaviyo_members[] = {
    { ngx_string("profile"), 3, 5, ngx_http_klaviyo_track_profile },
    { ngx_string("property"), 3, 4, ngx_http_klaviyo_track_property },
    { ngx_string("value"), 2, 5, ngx_http_klaviyo_amount_set },
    { ngx_string("unique_id"), 2, 2, ngx_http_klaviyo_track_unique_id },
    { ngx_string("time"), 2, 3, ngx_http_klaviyo_time_set },
    { ngx_string("backfill"), 2, 2, ngx_http_klaviyo_track_backfill },
    { ngx_string("include"), 2, 2, ngx_http_klaviyo_track_include },
    { ngx_null_string, 0, 0, NULL }
};


char *
ngx_http_klaviyo_track(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i, block;
    ngx_http_klaviyo_track_t  *track;

    block = cmd->type & NGX_CONF_BLOCK;

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        return ngx_http_klaviyo_track_off(cf, klcf, block);
    }

    if (klcf->tracks == NULL) {
        return "must not stand beside \"klaviyo_track off\"";
    }

    track = ngx_http_klaviyo_track_add(cf, cmd, &klcf->tracks);
    if (track == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_klaviyo_track_metric(cf, track, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_klaviyo_track_parameter(cf, track, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (block) {
        rv = ngx_http_klaviyo_track_block(cf, track);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    track->order = (track->unique_id || track->value);

    return ngx_http_klaviyo_track_page_rest(cf, track) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* klaviyo_track_json $variable [account=] [if=] [status=], or off */

char *
ngx_http_klaviyo_track_json(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_klaviyo_track_t  *track;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {

        if (klcf->json_tracks != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        klcf->json_tracks = NULL;
        return NGX_CONF_OK;
    }

    if (klcf->json_tracks == NULL) {
        return "must not stand beside \"klaviyo_track_json off\"";
    }

    track = ngx_http_klaviyo_track_add(cf, cmd, &klcf->json_tracks);
    if (track == NULL) {
        return NGX_CONF_ERROR;
    }

    track->named = 1;

    rv = ngx_http_klaviyo_track_metric(cf, track, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (track->metric.lengths == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable \"%V\": write the variable that "
                           "holds the events, as in "
                           "\"klaviyo_track_json $request_body\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_klaviyo_track_parameter(cf, track, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


ngx_http_klaviyo_track_t *
ngx_http_klaviyo_track_add(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_array_t **tracks)
{
    ngx_http_klaviyo_track_t  *track;

    if (*tracks == NGX_CONF_UNSET_PTR) {
        *tracks = ngx_array_create(cf->pool, 2,
                                   sizeof(ngx_http_klaviyo_track_t));
        if (*tracks == NULL) {
            return NULL;
        }
    }

    track = ngx_array_push(*tracks);
    if (track == NULL) {
        return NULL;
    }

    ngx_memzero(track, sizeof(ngx_http_klaviyo_track_t));

    track->directive = cmd->name;
    track->conf_file = cf->conf_file->file.name.data;
    track->conf_line = cf->conf_file->line;

    return track;
}


static char *
ngx_http_klaviyo_track_off(ngx_conf_t *cf, ngx_http_klaviyo_loc_conf_t *klcf,
    ngx_uint_t block)
{
    ngx_str_t  *value;

    if (klcf->tracks == NULL) {
        return "is duplicate";
    }

    if (klcf->tracks != NGX_CONF_UNSET_PTR) {
        return "\"off\" must be the only one of its level";
    }

    if (block) {
        return "\"off\" takes no block: write \"klaviyo_track off;\"";
    }

    if (cf->args->nelts != 2) {
        value = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": \"off\" stands alone",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    klcf->tracks = NULL;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_track_metric(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track,
    ngx_str_t *metric)
{
    if (ngx_http_klaviyo_compile(cf, metric, &track->metric) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (track->metric.lengths == NULL
        && !klaviyo_value_is_metric(metric->data, metric->len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid metric \"%V\": it must have 1 to %d "
                           "characters of UTF-8", metric, KLAVIYO_METRIC_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_track_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word)
{
    char       *rv;
    ngx_str_t   s;

    if (word->len > 8 && ngx_strncmp(word->data, "account=", 8) == 0) {

        if (track->account.len) {
            goto duplicate;
        }

        track->account.len = word->len - 8;
        track->account.data = word->data + 8;

        if (ngx_http_script_variables_count(&track->account)
            && ngx_http_klaviyo_compile_slot(cf, &track->account,
                                             &track->choice)
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (word->len == 4 && ngx_strncmp(word->data, "view", 4) == 0) {

        if (track->view) {
            goto duplicate;
        }

        track->view = 1;

        if (track->statuses) {
            return "has both \"view\" and \"status=\"";
        }

        ngx_str_set(&s, "status=200,304");

        return ngx_http_klaviyo_track_statuses(cf, track, &s);
    }

    if (word->len > 6 && ngx_strncmp(word->data, "fetch=", 6) == 0) {

        if (track->fetch) {
            goto duplicate;
        }

        return ngx_http_klaviyo_view_fetch(cf, track, word);
    }

    if (word->len > 3 && ngx_strncmp(word->data, "if=", 3) == 0) {

        s.len = word->len - 3;
        s.data = word->data + 3;

        rv = ngx_http_klaviyo_compile_slot(cf, &s, &track->filter);
        if (rv != NGX_CONF_OK && rv != NGX_CONF_ERROR) {
            goto duplicate;
        }

        return rv;
    }

    if (word->len > 7 && ngx_strncmp(word->data, "status=", 7) == 0) {

        if (track->view) {
            return "has both \"view\" and \"status=\"";
        }

        if (track->statuses) {
            goto duplicate;
        }

        return ngx_http_klaviyo_track_statuses(cf, track, word);
    }

    if (word->len > 5 && ngx_strncmp(word->data, "page=", 5) == 0) {

        if (track->page.len) {
            goto duplicate;
        }

        return ngx_http_klaviyo_track_page(cf, track, word);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": expected \"account=\", "
                       "\"fetch=\", \"if=\", \"page=\" or \"status=\" with a "
                       "value, or \"view\"", word);

    return NGX_CONF_ERROR;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       word);

    return NGX_CONF_ERROR;
}


/* codes, and classes as their first digit */

static char *
ngx_http_klaviyo_track_statuses(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word)
{
    u_char      *p, *last, *comma;
    ngx_int_t    code;
    ngx_uint_t  *status;

    track->statuses = ngx_array_create(cf->pool, 4, sizeof(ngx_uint_t));
    if (track->statuses == NULL) {
        return NGX_CONF_ERROR;
    }

    p = word->data + 7;
    last = word->data + word->len;

    for ( ;; ) {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        if (comma - p != 3) {
            goto invalid;
        }

        if (p[0] >= '1' && p[0] <= '5' && p[1] == 'x' && p[2] == 'x') {
            code = p[0] - '0';

        } else {
            code = ngx_atoi(p, 3);

            if (code < 100 || code > 599) {
                goto invalid;
            }
        }

        status = ngx_array_push(track->statuses);
        if (status == NULL) {
            return NGX_CONF_ERROR;
        }

        *status = code;

        if (comma == last) {
            return NGX_CONF_OK;
        }

        p = comma + 1;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid \"%V\": codes from 100 to 599 and classes as "
                       "2xx, with commas between them", word);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_track_block(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    char        *rv;
    ngx_conf_t   save;

    save = *cf;

    cf->handler = ngx_http_klaviyo_track_member;
    cf->handler_conf = (void *) track;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    return rv;
}


static char *
ngx_http_klaviyo_track_member(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_http_klaviyo_track_t *track = conf;

    char                       *rv;
    ngx_str_t                  *value;
    ngx_http_klaviyo_member_t  *member;

    (void) dummy;

    value = cf->args->elts;

    for (member = ngx_http_klaviyo_members; member->name.len; member++) {

        if (member->name.len != value[0].len
            || ngx_strncmp(member->name.data, value[0].data, value[0].len)
               != 0)
        {
            continue;
        }

        if (cf->args->nelts < member->min || cf->args->nelts > member->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" "
                               "directive", &value[0]);
            return NGX_CONF_ERROR;
        }

        rv = member->set(cf, track);

        if (rv != NGX_CONF_OK && rv != NGX_CONF_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive %s",
                               &value[0], rv);
            return NGX_CONF_ERROR;
        }

        return rv;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown directive \"%V\" in \"klaviyo_event\" block",
                       &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_track_profile(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    return ngx_http_klaviyo_field_add(cf, &track->profile, 1);
}


static char *
ngx_http_klaviyo_track_property(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    return ngx_http_klaviyo_field_add(cf, &track->properties, 0);
}


static char *
ngx_http_klaviyo_track_unique_id(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    /* of events with one unique_id, Klaviyo keeps the first */

    if (ngx_http_script_variables_count(&value[1]) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid unique_id \"%V\": without a variable all "
                           "events would be one for Klaviyo", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_klaviyo_compile_slot(cf, &value[1], &track->unique_id);
}


static char *
ngx_http_klaviyo_track_backfill(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    char       *rv;
    ngx_str_t  *value;

    value = cf->args->elts;

    rv = ngx_http_klaviyo_compile_slot(cf, &value[1], &track->backfill);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (track->backfill->lengths == NULL
        && ngx_strcmp(value[1].data, "on") != 0
        && ngx_strcmp(value[1].data, "off") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"backfill\", it must be "
                           "\"on\", \"off\" or hold a variable", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_track_include(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    (void) track;

    return ngx_conf_include(cf, NULL, NULL);
}
