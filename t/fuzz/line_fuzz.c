/*
 * A line for `klaviyo-queue replay`: what it makes of it is JSON.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/line_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/line
 */


#define _GNU_SOURCE
#include <stdlib.h>

#include <jansson.h>

#include "../../cli/klaviyo_cli.h"
#include "../../cli/klaviyo_cli_line.c"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


void
klaviyo_cli_write(FILE *out, const void *data, size_t len)
{
    fwrite(data, 1, len, out);
}


static void
is_json(const uint8_t *p, size_t len, const char *before, const char *after)
{
    char    *text;
    json_t  *root;

    if (asprintf(&text, "%s%.*s%s", before, (int) len, (const char *) p,
                 after)
        == -1)
    {
        abort();
    }

    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(root)) {
        abort();
    }

    json_decref(root);
    free(text);
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
