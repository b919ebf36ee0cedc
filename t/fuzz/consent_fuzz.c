/*
 * A cookie of a banner: one line, the format's number, then the value.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/consent_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         ngx_klaviyo_module/capture/klaviyo_*.c -ljansson -lidn2 \
 *         && ./fuzz t/fuzz/seeds/consent
 */


#include <stdlib.h>
#include <string.h>

#include "capture/klaviyo_consent.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t                 *buf;
    klaviyo_consent_e        answer;
    klaviyo_consent_want_t   want;

    if (size < 2) {
        return 0;
    }

    memset(&want, 0, sizeof(want));

    want.format = data[0] % KLAVIYO_CONSENT_N;
    want.purposes = UINT32_C(1) << 1 | UINT32_C(1) << 3;
    want.vendor = (data[0] >> 4) * 100;
    want.name[0].data = "marketing";
    want.name[0].len = 9;
    want.names = 1;

    data += 2;
    size -= 2;

    buf = malloc(size ? size : 1);

    answer = klaviyo_consent_read(&want, data, size, buf);

    if (answer > KLAVIYO_CONSENT_YES) {
        abort();
    }

    /* to want more never makes a yes of a no */

    want.name[1].data = "C0004";
    want.name[1].len = 5;
    want.names = 2;
    want.purposes |= UINT32_C(1) << 4;

    if (answer == KLAVIYO_CONSENT_NO
        && klaviyo_consent_read(&want, data, size, buf)
           == KLAVIYO_CONSENT_YES)
    {
        abort();
    }

    free(buf);

    return 0;
}
