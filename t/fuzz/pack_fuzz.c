/*
 * A pack of any bytes: refused, or all that is read of it lies in it.  The
 * first byte says whether its checksum is made good before.
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_pack.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                i, sum;
    uint8_t              *p;
    uint32_t              n, crc;
    uint64_t              seq, least;
    klaviyo_event_t       event;
    klaviyo_unpacking_t   pack;

    if (size < 1) {
        return 0;
    }

    p = malloc(size);
    if (p == NULL) {
        return 0;
    }

    memcpy(p, data + 1, size - 1);

    if ((data[0] & 1) && size - 1 >= KLAVIYO_PACK_HEAD) {
        memcpy(p, "KPK2", 4);

        crc = klaviyo_crc32c(0, p, 44);
        crc = klaviyo_crc32c(crc, p + 48, size - 1 - 48);

        for (i = 0; i < 4; i++) {
            p[44 + i] = (uint8_t) (crc >> (8 * i));
        }
    }

    if (klaviyo_unpack_open(&pack, p, size - 1) == NULL) {

        least = pack.from;
        sum = 0;

        for (n = 0; klaviyo_unpack_next(&pack, &event, &seq); n++) {

            if (seq < least || seq >= pack.to || event.unique_id_len == 0
                || event.unique_id < pack.start
                || event.attributes + event.attributes_len
                   > pack.start + pack.size)
            {
                abort();
            }

            least = seq + 1;

            for (i = 0; i < event.attributes_len; i++) {
                sum += event.attributes[i];
            }
        }

        if (n != pack.n || sum == (size_t) -1) {
            abort();
        }

        klaviyo_unpack_free(&pack);
    }

    free(p);

    return 0;
}
