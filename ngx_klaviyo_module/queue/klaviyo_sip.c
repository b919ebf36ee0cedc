/*
 * The queue room: the hash of tables.
 *
 * Plain C.
 */


#include <string.h>

#include "klaviyo_sip.h"


#define klaviyo_sip_rotate(x, n)  (((x) << (n)) | ((x) >> (64 - (n))))

#define klaviyo_sip_round(v)                                                 \
    do {                                                                     \
        v[0] += v[1];                                                        \
        v[1] = klaviyo_sip_rotate(v[1], 13) ^ v[0];                          \
        v[0] = klaviyo_sip_rotate(v[0], 32);                                 \
        v[2] += v[3];                                                        \
        v[3] = klaviyo_sip_rotate(v[3], 16) ^ v[2];                          \
        v[0] += v[3];                                                        \
        v[3] = klaviyo_sip_rotate(v[3], 21) ^ v[0];                          \
        v[2] += v[1];                                                        \
        v[1] = klaviyo_sip_rotate(v[1], 17) ^ v[2];                          \
        v[2] = klaviyo_sip_rotate(v[2], 32);                                 \
    } while (0)


uint64_t
klaviyo_sip(uint64_t k0, uint64_t k1, const uint8_t *p, size_t len)
{
    size_t    left;
    uint64_t  v[4], word;

    v[0] = k0 ^ 0x736f6d6570736575ULL;
    v[1] = k1 ^ 0x646f72616e646f6dULL;
    v[2] = k0 ^ 0x6c7967656e657261ULL;
    v[3] = k1 ^ 0x7465646279746573ULL;

    for (left = len; left >= 8; left -= 8) {
        memcpy(&word, p, 8);
        p += 8;

        v[3] ^= word;
        klaviyo_sip_round(v);
        v[0] ^= word;
    }

    word = 0;

    if (left > 0) {
        memcpy(&word, p, left);
    }

    /* at most seven bytes were left: the length does not touch them */

    word ^= (uint64_t) len << 56;

    v[3] ^= word;
    klaviyo_sip_round(v);
    v[0] ^= word;

    v[2] ^= 0xff;
    klaviyo_sip_round(v);
    klaviyo_sip_round(v);
    klaviyo_sip_round(v);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
