#ifndef NGX_HTTP_KLAVIYO_WALK_H
#define NGX_HTTP_KLAVIYO_WALK_H


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The headers of a list, in their order; NULL behind the last.  Begins with
 * *n at 0 and *part at the list's first part, or NULL: there is no list.
 */

static ngx_inline ngx_table_elt_t *
ngx_http_klaviyo_walk(ngx_list_part_t **part, ngx_uint_t *n)
{
    while (*part && *n == (*part)->nelts) {
        *part = (*part)->next;
        *n = 0;
    }

    return *part ? (ngx_table_elt_t *) (*part)->elts + (*n)++ : NULL;
}


#define ngx_http_klaviyo_is_header(header, name)                             \
    ((header)->key.len == sizeof(name) - 1                                   \
     && ngx_strncasecmp((header)->key.data, (u_char *) name,                 \
                        sizeof(name) - 1) == 0)


#endif /* NGX_HTTP_KLAVIYO_WALK_H */
