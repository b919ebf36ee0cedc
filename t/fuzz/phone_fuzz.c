/*
 * A phone number: a byte for the country, then the text; and the same text as
 * an email of an internationalised domain.
 *
 * What is read is one that Klaviyo takes, whose digits end as those of the
 * text do, and reading it again finds the same.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/phone_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson -lidn2 && ./fuzz t/fuzz/seeds/phone
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_check.h"
#include "json/klaviyo_idn.h"
#include "json/klaviyo_phone.h"
#include "json/klaviyo_value.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int last_digit(const uint8_t *p, size_t len);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t    i, len;
    uint8_t   out[KLAVIYO_PHONE_LEN], again[KLAVIYO_PHONE_LEN];
    uint8_t   email[KLAVIYO_IDN_LEN], *text;
    unsigned  country;

    static const unsigned  countries[] = { 0, 49, 39, 44, 998, 1, 880, 212 };

    if (size == 0) {
        return 0;
    }

    country = countries[data[0] & 7];

    size--;
    text = malloc(size ? size : 1);
    memcpy(text, data + 1, size);

    len = klaviyo_phone(text, size, country, out);

    if (len) {

        if (len > sizeof(out) || !klaviyo_value_is_phone(out, len)
            || last_digit(text, size) != last_digit(out, len)
            || klaviyo_phone(out, len, country, again) != len
            || memcmp(out, again, len) != 0)
        {
            abort();
        }
    }

    len = klaviyo_idn_email(text, size, email);

    if (len > sizeof(email)) {
        abort();
    }

    /* of its domain, nothing but ASCII */

    for (i = len; i-- > 0 && email[i] != '@'; /* void */ ) {

        if (email[i] >= 0x80) {
            abort();
        }
    }

    free(text);

    return 0;
}


static int
last_digit(const uint8_t *p, size_t len)
{
    while (len-- > 0) {

        if (p[len] >= '0' && p[len] <= '9') {
            return p[len];
        }
    }

    return 0;
}
