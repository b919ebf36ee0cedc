/*
 * A line for `klaviyo-queue replay`: what it makes of it is JSON.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/line_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/line
 */


#define _GNU_SOURCE
#include <stdlib.h>

#include "is_json.h"

#include "../../cli/klaviyo_cli.h"
#include "../../cli/klaviyo_cli_line.c"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


void
klaviyo_cli_write(FILE *out, const void *data, size_t len)
{
    fwrite(data, 1, len, out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned              backfill;
    klaviyo_event_t       event;
    klaviyo_cli_pieces_t  pieces;

    memset(&pieces, 0, sizeof(klaviyo_cli_pieces_t));

    for (backfill = 0; backfill < 2; backfill++) {

        if (klaviyo_cli_line_parse(&pieces, data, size, backfill, &event)) {
            continue;
        }

        if (event.unique_id_len == 0
            || event.unique_id_len > KLAVIYO_UNIQUE_ID_MAX)
        {
            abort();
        }

        is_json(event.profile, event.profile_len, "", "");
        is_json(event.attributes, event.attributes_len, "{", "}");
    }

    free(pieces.attributes);

    return 0;
}
