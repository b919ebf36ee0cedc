#ifndef KLAVIYO_TIME_H
#define KLAVIYO_TIME_H


#include "klaviyo_value.h"


/*
 * A time as applications write it: seconds since 1970 ("1790000000",
 * "1790000000.123"), milliseconds by their size, ISO 8601 with a date and a
 * time, the dates of HTTP and of RFC 5322.  What names no zone is `zone`
 * seconds east of UTC.  Seconds since 1970 in *t.  Bad when it does not
 * parse, lies before 1991, or more than one year after `now`.
 */
klaviyo_value_rc_e klaviyo_value_time(const uint8_t *p, size_t len,
    int64_t now, int zone, int64_t *t);

/* "+02:00", "+0200", "+02", "Z", "GMT", "EST": seconds east of UTC */
klaviyo_value_rc_e klaviyo_value_zone(const uint8_t *p, size_t len,
    int *zone);

/* "2026-07-15T12:00:00+00:00", always 25 bytes without NUL */
#define KLAVIYO_TIME_LEN  25
void klaviyo_value_format_time(uint8_t *buf, int64_t t);


#endif /* KLAVIYO_TIME_H */
