#ifndef KLAVIYO_SETTLE_H
#define KLAVIYO_SETTLE_H


#include "klaviyo_batch.h"


/*
 * A taken request that failed and is suspect: its halves, or, if its failure
 * took long, its events one by one.  0, or -1 without memory: it is as it was,
 * and waits.
 */
int klaviyo_batch_split(klaviyo_batch_t *batch, klaviyo_request_t *request);

int klaviyo_batch_settle(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer,
    klaviyo_allow_pt allow, klaviyo_dead_pt dead, void *data);

/*
 * Gives up the one event of a taken request.  0; or -1 with the request back
 * in the list.
 */
int klaviyo_batch_give_up(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_outcome_e outcome, klaviyo_dead_pt dead, void *data);

/* ends every event of a request with one outcome (dry_run), frees it */
void klaviyo_batch_finish(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_outcome_e outcome);


#endif /* KLAVIYO_SETTLE_H */
