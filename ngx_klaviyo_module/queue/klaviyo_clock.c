/*
 * The queue room: the clock that files and processes share.
 *
 * Plain C.
 */


#define _GNU_SOURCE
#include <time.h>

#include "klaviyo_clock.h"


int64_t
klaviyo_clock_boot(void)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_BOOTTIME, &now);

    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}


uint64_t
klaviyo_clock_left(int64_t until)
{
    int64_t  now;

    now = klaviyo_clock_boot();

    return (until > now) ? (uint64_t) (until - now + 999) / 1000 : 0;
}
