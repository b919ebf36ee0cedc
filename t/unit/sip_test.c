/*
 * The hash of tables: SipHash with one round a word and three at its end, of
 * bytes 0, 1, 2 and so on under the key of bytes 0 to 15.
 */


#include "tap.h"

#include "queue/klaviyo_sip.h"


int
main(void)
{
    uint8_t   bytes[64];
    uint64_t  hash;
    unsigned  i;

    static const struct {
        size_t    len;
        uint64_t  hash;
    } test[] = {
        { 0, UINT64_C(0xabac0158050fc4dc) },
        { 1, UINT64_C(0xc9f49bf37d57ca93) },
        { 7, UINT64_C(0xd3927d989bb11140) },
        { 8, UINT64_C(0x369095118d299a8e) },
        { 9, UINT64_C(0x25a48eb36c063de4) },
        { 15, UINT64_C(0xd320d86d2a519956) },
        { 16, UINT64_C(0xcc4fdd1a7d908b66) },
        { 63, UINT64_C(0x9d199062b7bbb3a8) }
    };

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t) i;
    }

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        hash = klaviyo_sip(UINT64_C(0x0706050403020100),
                           UINT64_C(0x0f0e0d0c0b0a0908), bytes, test[i].len);

        ok(hash == test[i].hash, "%zu bytes: %016" PRIx64, test[i].len, hash);
    }

    return done_testing();
}
