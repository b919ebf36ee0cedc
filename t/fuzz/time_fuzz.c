/*
 * A time as applications write it: a byte for the zone of those that name
 * none, then the text.
 *
 * What is read lies within Klaviyo's bounds, is the same when it is read from
 * what goes to Klaviyo, and only depends on the zone where none is named.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/time_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson -lidn2 && ./fuzz t/fuzz/seeds/time
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"


#define NOW   INT64_C(1790000000)
#define YEAR  (366 * 24 * 3600)
#define DAY   (24 * 3600)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int       zone, named;
    int64_t   t, utc, again;
    uint8_t   buf[KLAVIYO_TIME_LEN], *text;

    if (size == 0) {
        return 0;
    }

    zone = ((int) data[0] - 128) * 300;

    size--;
    text = malloc(size ? size : 1);
    memcpy(text, data + 1, size);

    if (klaviyo_value_zone(text, size, &named) == KLAVIYO_VALUE_OK
        && (named < -DAY || named > DAY))
    {
        abort();
    }

    if (klaviyo_value_time(text, size, NOW, zone, &t) == KLAVIYO_VALUE_OK) {

        if (t < 631152000 || t > NOW + YEAR) {
            abort();
        }

        klaviyo_value_format_time(buf, t);

        if (klaviyo_value_time(buf, KLAVIYO_TIME_LEN, NOW, 12345, &again)
            != KLAVIYO_VALUE_OK
            || again != t)
        {
            abort();
        }

        if (klaviyo_value_time(text, size, NOW, 0, &utc) == KLAVIYO_VALUE_OK
            && t != utc && t != utc - zone)
        {
            abort();
        }
    }

    free(text);

    return 0;
}
