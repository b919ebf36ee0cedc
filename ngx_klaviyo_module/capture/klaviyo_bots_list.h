#ifndef KLAVIYO_BOTS_LIST_H
#define KLAVIYO_BOTS_LIST_H


#include "klaviyo_bots.h"


/* as the lines of a user's file, ends in NULL */
extern const char *const  klaviyo_bots_list[];


#endif /* KLAVIYO_BOTS_LIST_H */
