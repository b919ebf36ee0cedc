/*
 * CRC-32C: the published check values, both ways alike at every length and
 * alignment, pieces like the whole.
 */


#include <stdlib.h>

#include "tap.h"
#include "queue/klaviyo_crc32c.h"


int
main(void)
{
    int       same, pieces;
    size_t    i, len, cut;
    uint8_t   bytes[32], buf[512];
    uint32_t  whole;

    /* RFC 3720, B.4, and the check value of the CRC catalogues */

    is_int(klaviyo_crc32c(0, "", 0), 0, "nothing");
    is_int(klaviyo_crc32c(0, "123456789", 9), 0xe3069283, "of nine digits");

    memset(bytes, 0, 32);
    is_int(klaviyo_crc32c(0, bytes, 32), 0x8a9136aa, "32 zeroes");

    memset(bytes, 0xff, 32);
    is_int(klaviyo_crc32c(0, bytes, 32), 0x62a8ab43, "32 ones");

    for (i = 0; i < 32; i++) {
        bytes[i] = (uint8_t) i;
    }

    is_int(klaviyo_crc32c(0, bytes, 32), 0x46dd794e, "32 ascending");
    is_int(klaviyo_crc32c_portable(0, bytes, 32), 0x46dd794e,
           "32 ascending by the table");

    srand(1);

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t) rand();
    }

    same = 1;
    pieces = 1;

    for (i = 0; i < 16; i++) {
        for (len = 0; len + i <= 300; len++) {
            whole = klaviyo_crc32c(7, buf + i, len);

            if (whole != klaviyo_crc32c_portable(7, buf + i, len)) {
                same = 0;
            }

            cut = len / 3;

            if (whole != klaviyo_crc32c(klaviyo_crc32c(7, buf + i, cut),
                                        buf + i + cut, len - cut))
            {
                pieces = 0;
            }
        }
    }

    ok(same, "both ways agree at every length and alignment");
    ok(pieces, "pieces give the same as the whole");

    return done_testing();
}
