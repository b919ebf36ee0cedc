/*
 * What klaviyo_enrich brought is the word of the application, but that of the
 * track's own block is of this event: where that is not empty, it stays.
 */


#include "ngx_http_klaviyo_named.h"


static ngx_int_t ngx_http_klaviyo_merge_says(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op);


/*
 * Of what is merged, all that the track's own block says as well, if only
 * who it is: two words for that may be two people.
 */

ngx_int_t
ngx_http_klaviyo_merge_fields(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_array_t *fields)
{
    ngx_int_t                  rc;
    ngx_uint_t                 i, n, section;
    ngx_http_klaviyo_op_t     *op;
    ngx_http_klaviyo_named_t  *field;

    field = fields->elts;
    section = 0;

    for (i = 0; i < base->end[NGX_HTTP_KLAVIYO_PROPERTIES]; i++) {

        while (i >= base->end[section]) {
            section++;
        }

        op = &base->ops[i];

        if (!op->own) {
            continue;
        }

        rc = ngx_http_klaviyo_merge_says(r, op);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        for (n = 0; n < fields->nelts; n++) {

            if ((field[n].section == section
                 && field[n].name.len == op->name.len
                 && ngx_memcmp(field[n].name.data, op->name.data,
                               op->name.len)
                    == 0)
                || (op->identifier == NGX_HTTP_KLAVIYO_IS_KNOWN
                    && field[n].known
                    && field[n].known->identifier == op->identifier))
            {
                field[n].section = NGX_HTTP_KLAVIYO_SECTIONS;
                field[n].known = NULL;
            }
        }
    }

    return NGX_OK;
}


/* NGX_OK, or NGX_DECLINED: it is not there, or empty */

static ngx_int_t
ngx_http_klaviyo_merge_says(ngx_http_request_t *r, ngx_http_klaviyo_op_t *op)
{
    ngx_str_t  value;

    if (op->value == NULL && op->get == NULL) {
        return op->text.len ? NGX_OK : NGX_DECLINED;
    }

    if (ngx_http_klaviyo_op_value(r, op, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return value.len ? NGX_OK : NGX_DECLINED;
}


/* an amount and its currency are one */

ngx_int_t
ngx_http_klaviyo_merge_rest(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_http_klaviyo_template_t *template)
{
    ngx_int_t  rc;

    named->left_out += (named->member[KLAVIYO_NAMED_METRIC].len != 0)
                       + (named->member[KLAVIYO_NAMED_TIME].len != 0)
                       + (named->member[KLAVIYO_NAMED_BACKFILL].len != 0);

    if (named->member[KLAVIYO_NAMED_VALUE].len) {

        rc = ngx_http_klaviyo_merge_says(r, &template->value);

        if (rc == NGX_DECLINED) {
            template->merged = 1;
            rc = ngx_http_klaviyo_named_member(r, named, template,
                                               KLAVIYO_NAMED_VALUE);

            if (rc == NGX_OK && named->member[KLAVIYO_NAMED_CURRENCY].len) {
                rc = ngx_http_klaviyo_named_member(r, named, template,
                                                   KLAVIYO_NAMED_CURRENCY);
            }
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (named->member[KLAVIYO_NAMED_UNIQUE_ID].len) {

        rc = ngx_http_klaviyo_merge_says(r, &template->unique_id);

        if (rc == NGX_DECLINED) {
            template->merged = 1;
            rc = ngx_http_klaviyo_named_member(r, named, template,
                                               KLAVIYO_NAMED_UNIQUE_ID);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
