#ifndef NGX_HTTP_KLAVIYO_ANSWER_H
#define NGX_HTTP_KLAVIYO_ANSWER_H


#include "ngx_http_klaviyo_sender_private.h"


/* the handler of a transfer, frees it */
void ngx_http_klaviyo_answer(void *data, klaviyo_answer_t *answer);

/* the sender's dead letters, as a klaviyo_dead_pt */
int ngx_http_klaviyo_answer_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error);


#endif /* NGX_HTTP_KLAVIYO_ANSWER_H */
