#ifndef KLAVIYO_CLOCK_H
#define KLAVIYO_CLOCK_H


#include <stdint.h>


/*
 * Milliseconds of CLOCK_BOOTTIME: no change of the clock moves them, and all
 * processes of the machine share them until it is booted again.
 */
int64_t klaviyo_clock_boot(void);

/* until then, in whole seconds, rounded up; 0: it has passed */
uint64_t klaviyo_clock_left(int64_t until);


#endif /* KLAVIYO_CLOCK_H */
