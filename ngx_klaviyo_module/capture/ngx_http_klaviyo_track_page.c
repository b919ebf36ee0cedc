/*
 * `page=` of klaviyo_track: the rule fires where the page says that it is
 * one of this kind, and has what Klaviyo's events of this kind usually have,
 * unless a property, value or unique_id says otherwise.
 *
 * All of it comes from the variables of klaviyo_page.
 */


#include "ngx_http_klaviyo_track_page.h"
#include "account/ngx_http_klaviyo_compile.h"


typedef struct {
    ngx_str_t                         name;
    ngx_str_t                         value;
    ngx_uint_t                        type;    /* klaviyo_value_type_e      */
} ngx_http_klaviyo_page_field_t;


typedef struct {
    ngx_str_t                         name;
    ngx_http_klaviyo_page_field_t    *fields;
    ngx_str_t                         value;
    ngx_str_t                         unique_id;
} ngx_http_klaviyo_page_kind_t;


static ngx_http_klaviyo_page_kind_t *ngx_http_klaviyo_page_kind(
    ngx_str_t *name);


static ngx_http_klaviyo_page_field_t  ngx_http_klaviyo_page_product[] = {
    { ngx_string("ProductName"), ngx_string("$klaviyo_page_name"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("ProductID"), ngx_string("$klaviyo_page_product_id"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("SKU"), ngx_string("$klaviyo_page_sku"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("Categories"), ngx_string("$klaviyo_page_categories"),
      KLAVIYO_VALUE_JSON },
    { ngx_string("ImageURL"), ngx_string("$klaviyo_page_image"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("URL"), ngx_string("$klaviyo_page_url"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("Brand"), ngx_string("$klaviyo_page_brand"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("Price"), ngx_string("$klaviyo_page_price"),
      KLAVIYO_VALUE_NUMBER },
    { ngx_string("CompareAtPrice"), ngx_string("$klaviyo_page_list_price"),
      KLAVIYO_VALUE_NUMBER },
    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_http_klaviyo_page_field_t  ngx_http_klaviyo_page_category[] = {
    { ngx_string("CategoryName"), ngx_string("$klaviyo_page_name"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("Categories"), ngx_string("$klaviyo_page_categories"),
      KLAVIYO_VALUE_JSON },
    { ngx_string("ImageURL"), ngx_string("$klaviyo_page_image"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("URL"), ngx_string("$klaviyo_page_url"),
      KLAVIYO_VALUE_STRING },
    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_http_klaviyo_page_field_t  ngx_http_klaviyo_page_order[] = {
    { ngx_string("OrderId"), ngx_string("$klaviyo_page_order_id"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("ItemNames"), ngx_string("$klaviyo_page_item_names"),
      KLAVIYO_VALUE_JSON },
    { ngx_string("Items"), ngx_string("$klaviyo_page_items"),
      KLAVIYO_VALUE_JSON },
    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_http_klaviyo_page_field_t  ngx_http_klaviyo_page_article[] = {
    { ngx_string("Title"), ngx_string("$klaviyo_page_name"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("ImageURL"), ngx_string("$klaviyo_page_image"),
      KLAVIYO_VALUE_STRING },
    { ngx_string("URL"), ngx_string("$klaviyo_page_url"),
      KLAVIYO_VALUE_STRING },
    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_http_klaviyo_page_field_t  ngx_http_klaviyo_page_search[] = {
    { ngx_string("Title"), ngx_string("$klaviyo_page_title"),
      KLAVIYO_VALUE_STRING },
    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_http_klaviyo_page_kind_t  ngx_http_klaviyo_page_kinds[] = {
    { ngx_string("product"), ngx_http_klaviyo_page_product,
      ngx_string("$klaviyo_page_price"), ngx_null_string },
    { ngx_string("category"), ngx_http_klaviyo_page_category,
      ngx_null_string, ngx_null_string },
    { ngx_string("order"), ngx_http_klaviyo_page_order,
      ngx_string("$klaviyo_page_total"),
      ngx_string("$klaviyo_page_order_id") },
    { ngx_string("checkout"), ngx_http_klaviyo_page_order,
      ngx_string("$klaviyo_page_total"), ngx_null_string },
    { ngx_string("search"), ngx_http_klaviyo_page_search,
      ngx_null_string, ngx_null_string },
    { ngx_string("article"), ngx_http_klaviyo_page_article,
      ngx_null_string, ngx_null_string },
    { ngx_null_string, NULL, ngx_null_string, ngx_null_string }
};


static ngx_str_t  ngx_http_klaviyo_page_type =
                                            ngx_string("klaviyo_page_type");
static ngx_str_t  ngx_http_klaviyo_page_currency =
                                       ngx_string("$klaviyo_page_currency");


char *
ngx_http_klaviyo_track_page(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track,
    ngx_str_t *word)
{
    track->page.len = word->len - 5;
    track->page.data = word->data + 5;

    if (ngx_http_klaviyo_page_kind(&track->page) == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\": expected product, category, "
                           "order, checkout, search or article", word);
        return NGX_CONF_ERROR;
    }

    track->page_type = ngx_http_get_variable_index(cf,
                                                 &ngx_http_klaviyo_page_type);
    if (track->page_type == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_klaviyo_page_kind_t *
ngx_http_klaviyo_page_kind(ngx_str_t *name)
{
    ngx_http_klaviyo_page_kind_t  *kind;

    for (kind = ngx_http_klaviyo_page_kinds; kind->name.len; kind++) {

        if (kind->name.len == name->len
            && ngx_strncmp(kind->name.data, name->data, name->len) == 0)
        {
            return kind;
        }
    }

    return NULL;
}


/* a value of the configuration stands for both, the amount and its currency */

ngx_int_t
ngx_http_klaviyo_track_page_rest(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    ngx_http_klaviyo_page_kind_t  *kind;

    if (track->page.len == 0) {
        return NGX_OK;
    }

    kind = ngx_http_klaviyo_page_kind(&track->page);

    if (track->value == NULL && kind->value.len) {

        track->form.decimals = -1;

        if (ngx_http_klaviyo_compile_slot(cf, &kind->value, &track->value)
            != NGX_CONF_OK
            || ngx_http_klaviyo_compile_slot(cf,
                                             &ngx_http_klaviyo_page_currency,
                                             &track->currency)
               != NGX_CONF_OK)
        {
            return NGX_ERROR;
        }
    }

    if (track->unique_id == NULL && kind->unique_id.len
        && ngx_http_klaviyo_compile_slot(cf, &kind->unique_id,
                                         &track->unique_id)
           != NGX_CONF_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_array_t *
ngx_http_klaviyo_track_page_fields(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    ngx_array_t                    *fields;
    ngx_http_klaviyo_field_t       *field;
    ngx_http_klaviyo_page_field_t  *of;

    if (track->page.len == 0) {
        return NULL;
    }

    fields = ngx_array_create(cf->pool, 9, sizeof(ngx_http_klaviyo_field_t));
    if (fields == NULL) {
        return NGX_CONF_ERROR;
    }

    of = ngx_http_klaviyo_page_kind(&track->page)->fields;

    for ( /* void */ ; of->name.len; of++) {

        field = ngx_array_push(fields);
        if (field == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(field, sizeof(ngx_http_klaviyo_field_t));

        field->name = of->name;
        field->type = of->type;

        if (ngx_http_klaviyo_compile(cf, &of->value, &field->value)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return fields;
}


ngx_uint_t
ngx_http_klaviyo_track_page_is(ngx_http_request_t *r,
    ngx_http_klaviyo_track_t *track)
{
    ngx_http_variable_value_t  *type;

    if (track->page.len == 0) {
        return 1;
    }

    type = ngx_http_get_flushed_variable(r, track->page_type);

    return type
           && !type->not_found
           && type->len == track->page.len
           && ngx_memcmp(type->data, track->page.data, type->len) == 0;
}


/* a rule of a server is read by the locations that inherit it, or by none */

ngx_int_t
ngx_http_klaviyo_track_page_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                  i;
    ngx_http_klaviyo_track_t   *track, **paged;

    if (conf->tracks == NULL) {
        return NGX_OK;
    }

    track = conf->tracks->elts;

    for (i = 0; i < conf->tracks->nelts; i++) {

        if (track[i].page.len == 0) {
            continue;
        }

        track[i].page_read |= conf->location.page != NULL;

        if (!conf->own_tracks) {
            continue;
        }

        if (kmcf->page_tracks == NULL) {
            kmcf->page_tracks = ngx_array_create(cf->temp_pool, 4,
                                         sizeof(ngx_http_klaviyo_track_t *));
            if (kmcf->page_tracks == NULL) {
                return NGX_ERROR;
            }
        }

        paged = ngx_array_push(kmcf->page_tracks);
        if (paged == NULL) {
            return NGX_ERROR;
        }

        *paged = &track[i];
    }

    return NGX_OK;
}


void
ngx_http_klaviyo_track_page_warn(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                  i;
    ngx_http_klaviyo_track_t  **track;

    if (kmcf->page_tracks == NULL) {
        return;
    }

    track = kmcf->page_tracks->elts;

    for (i = 0; i < kmcf->page_tracks->nelts; i++) {

        if (track[i]->page_read) {
            continue;
        }

        track[i]->page_read = 1;

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%V \"%V\" in %s:%ui can never fire: it has "
                      "\"page=%V\", and no page is read there, add "
                      "\"klaviyo_page on;\" to its level",
                      &track[i]->directive, &track[i]->metric.value,
                      track[i]->conf_file, track[i]->conf_line,
                      &track[i]->page);
    }

    kmcf->page_tracks = NULL;
}
