#ifndef NGX_HTTP_KLAVIYO_STATUS_TABLE_H
#define NGX_HTTP_KLAVIYO_STATUS_TABLE_H


#include "ngx_http_klaviyo_status_private.h"


/* the table ends in a row without a group */
extern const ngx_http_klaviyo_status_row_t  ngx_http_klaviyo_status_rows[];


#endif /* NGX_HTTP_KLAVIYO_STATUS_TABLE_H */
