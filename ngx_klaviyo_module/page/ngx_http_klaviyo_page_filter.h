#ifndef NGX_HTTP_KLAVIYO_PAGE_FILTER_H
#define NGX_HTTP_KLAVIYO_PAGE_FILTER_H


#include "ngx_http_klaviyo_page_private.h"


/* the filters; in postconfiguration */
void ngx_http_klaviyo_page_filter_init(void);

/* lets go of the answer, and counts why */
void ngx_http_klaviyo_page_leave(ngx_http_klaviyo_answer_t *answer,
    klaviyo_counter_e page, klaviyo_counter_e body);


#endif /* NGX_HTTP_KLAVIYO_PAGE_FILTER_H */
