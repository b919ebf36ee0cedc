/*
 * Packs: what went in comes out, within their bounds; and whatever is changed
 * in one is noticed.
 */


#include <stdlib.h>

#include "tap.h"

#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_pack.h"


static const uint8_t  uuid[KLAVIYO_RING_UUID_LEN] = "0123456789abcde";


static void
event_make(klaviyo_event_t *event, char *text, size_t size, size_t len, int n)
{
    memset(event, 0, sizeof(klaviyo_event_t));

    (void) snprintf(text, size, "id-%d", n);

    event->unique_id = (uint8_t *) text;
    event->unique_id_len = strlen(text);
    event->profile = (uint8_t *) text + 32;
    event->profile_len = (size_t) snprintf(text + 32, size - 32,
                                           "{\"type\":\"profile\",\"n\":%d}",
                                           n);
    event->attributes = event->profile + event->profile_len;
    event->attributes_len = len;
    event->time = 1700000000000 + n;

    memset(text + 32 + event->profile_len, 'a' + n % 26, len);
}


static uint8_t *
pack_copy(klaviyo_packing_t *pack, size_t *len)
{
    uint8_t        *copy;
    const uint8_t  *p;

    p = klaviyo_pack_close(pack, uuid, len);
    copy = (p != NULL) ? malloc(*len) : NULL;

    return copy ? memcpy(copy, p, *len) : NULL;
}


static uint8_t *
pack_make(uint32_t n, size_t each, size_t *len)
{
    static char        text[8 * 1024 * 1024];
    uint32_t           i;
    uint8_t           *p;
    klaviyo_event_t    event;
    klaviyo_packing_t  pack;

    memset(&pack, 0, sizeof(klaviyo_packing_t));

    for (i = 0; i < n; i++) {
        event_make(&event, text, sizeof(text), each, (int) i);

        if (klaviyo_pack_add(&pack, &event, ((uint64_t) 1 << 48) + 3 * i)
            != 0)
        {
            klaviyo_pack_free(&pack);
            return NULL;
        }
    }

    p = pack_copy(&pack, len);

    klaviyo_pack_free(&pack);

    return p;
}


static void
test_round(uint32_t n, size_t each)
{
    size_t                len;
    uint8_t              *p;
    uint32_t              i;
    uint64_t              seq;
    klaviyo_event_t       event;
    klaviyo_unpacking_t   pack;

    p = pack_make(n, each, &len);
    ok(p != NULL, "%u events of %zu bytes: %zu bytes", n, each, len);

    if (klaviyo_unpack_open(&pack, p, len) != NULL) {
        ok(0, "they are read");
        free(p);
        return;
    }

    is_mem(pack.uuid, sizeof(pack.uuid), uuid, sizeof(uuid), "whose it is");
    is_int(pack.from, (uint64_t) 1 << 48, "from");
    is_int(pack.to, ((uint64_t) 1 << 48) + 3 * (n - 1) + 1, "to");
    is_int(pack.n, n, "how many");

    for (i = 0; klaviyo_unpack_next(&pack, &event, &seq); i++) {
        if (seq != ((uint64_t) 1 << 48) + 3 * i
            || event.time != 1700000000000 + i
            || event.attributes_len != each
            || (each && event.attributes[each - 1] != 'a' + i % 26)
            || memcmp(event.unique_id, "id-", 3) != 0)
        {
            break;
        }
    }

    is_int(i, n, "each as it was");

    klaviyo_unpack_free(&pack);
    free(p);
}


/* what is kept of the one before says nothing in the next one */

static void
test_again(void)
{
    int                   i;
    size_t                len[3];
    char                  text[4096];
    uint8_t              *p[3];
    klaviyo_event_t       event;
    klaviyo_packing_t     pack;
    klaviyo_unpacking_t   read;

    memset(&pack, 0, sizeof(klaviyo_packing_t));

    for (i = 0; i < 3; i++) {
        event_make(&event, text, sizeof(text), i == 1 ? 3000 : 100, i == 1);
        (void) klaviyo_pack_add(&pack, &event, 7);
        p[i] = pack_copy(&pack, &len[i]);
        klaviyo_pack_reset(&pack);
    }

    ok(len[0] == len[2] && memcmp(p[0], p[2], len[0]) == 0,
       "the same events, the same pack");
    ok(klaviyo_unpack_open(&read, p[1], len[1]) == NULL && read.n == 1,
       "and another one between them");

    klaviyo_unpack_free(&read);
    klaviyo_pack_free(&pack);

    for (i = 0; i < 3; i++) {
        free(p[i]);
    }
}


static void
test_bounds(void)
{
    int                n;
    size_t             head;
    static char        text[KLAVIYO_PACK_BYTES * 2];
    klaviyo_event_t    event;
    klaviyo_packing_t  pack;

    memset(&pack, 0, sizeof(klaviyo_packing_t));

    event_make(&event, text, sizeof(text), KLAVIYO_PACK_BYTES, 1);
    ok(klaviyo_pack_fits(&pack, &event), "a large one fits by itself");
    is_int(klaviyo_pack_add(&pack, &event, 7), 0, "and is taken");
    event_make(&event, text, sizeof(text), 1, 2);
    ok(!klaviyo_pack_fits(&pack, &event), "nothing else does");

    klaviyo_pack_reset(&pack);

    for (n = 0; klaviyo_pack_fits(&pack, &event); n++) {
        (void) klaviyo_pack_add(&pack, &event, (uint64_t) n);
    }

    is_int(n, KLAVIYO_PACK_EVENTS, "so many small ones");

    klaviyo_pack_reset(&pack);
    event_make(&event, text, sizeof(text), 10000, 2);

    for (n = 0; klaviyo_pack_fits(&pack, &event); n++) {
        (void) klaviyo_pack_add(&pack, &event, (uint64_t) n);
    }

    is_int(n, 13, "within 128 KB");

    /* to the last byte, whichever of the texts has it */

    klaviyo_pack_reset(&pack);
    (void) klaviyo_pack_add(&pack, &event, 1);
    head = pack.used - event.unique_id_len - event.profile_len
           - event.attributes_len;

    event.unique_id_len = 200;
    event.profile_len = 1000;
    event.attributes_len = KLAVIYO_PACK_BYTES - pack.used - head - 1200;
    ok(klaviyo_pack_fits(&pack, &event), "what fills it fits");
    event.unique_id_len++;
    ok(!klaviyo_pack_fits(&pack, &event), "a byte more of its id does not");
    event.unique_id_len--;
    event.profile_len++;
    ok(!klaviyo_pack_fits(&pack, &event), "nor of its profile");
    event.profile_len--;
    event.attributes_len++;
    ok(!klaviyo_pack_fits(&pack, &event), "nor of its attributes");
    event.attributes_len--;
    is_int(klaviyo_pack_add(&pack, &event, 2), 0, "taken");
    is_int(pack.used, KLAVIYO_PACK_BYTES, "it is full");

    event.attributes_len = KLAVIYO_PACK_MAX;
    is_int(klaviyo_pack_add(&pack, &event, 100), -1,
           "larger than any ring takes");

    klaviyo_pack_free(&pack);
}


/* each byte changed, each length */

static void
test_damage(void)
{
    size_t                len, i, bad;
    uint8_t              *p;
    klaviyo_unpacking_t   pack;

    p = pack_make(20, 30, &len);
    bad = 0;

    for (i = 0; i < len; i++) {
        p[i] ^= 0x20;

        if (klaviyo_unpack_open(&pack, p, len) == NULL) {
            klaviyo_unpack_free(&pack);
            bad++;
        }

        p[i] ^= 0x20;

        if (klaviyo_unpack_open(&pack, p, i) == NULL) {
            klaviyo_unpack_free(&pack);
            bad++;
        }
    }

    is_int(bad, 0, "no change and no cut passes");

    p[3] = '3';
    is_str(klaviyo_unpack_open(&pack, p, len),
           "it is a pack of another version", "a newer one says so");

    p[3] = '1';
    is_str(klaviyo_unpack_open(&pack, p, len),
           "it is older than what is read here", "an older one, too");

    free(p);
}


/* a good checksum of numbers that lie */

static void
test_lies(void)
{
    size_t                len, i;
    uint8_t              *p;
    uint32_t              crc;
    klaviyo_unpacking_t   pack;

    static const struct {
        size_t      at;
        uint8_t     byte;
        const char *what;
    } lie[] = {
        { 36, 19, "fewer events" },
        { 36, 21, "more events" },
        { 36, 0, "none" },
        { 37, 1, "more than a pack has" },
        { 40, 0, "another size" },
        { 43, 0x7f, "a size beyond the bound" },
        { 27, 0x80, "from behind to" },
        { 28, 0, "another end" },
        { 20, 1, "another beginning" }
    };

    for (i = 0; i < sizeof(lie) / sizeof(lie[0]); i++) {
        p = pack_make(20, 30, &len);

        p[lie[i].at] = lie[i].byte;

        crc = klaviyo_crc32c(0, p, 44);
        crc = klaviyo_crc32c(crc, p + 48, len - 48);
        p[44] = (uint8_t) crc;
        p[45] = (uint8_t) (crc >> 8);
        p[46] = (uint8_t) (crc >> 16);
        p[47] = (uint8_t) (crc >> 24);

        ok(klaviyo_unpack_open(&pack, p, len) != NULL, "%s", lie[i].what);

        free(p);
    }
}


int
main(void)
{
    test_round(1, 0);
    test_round(1, 100);
    test_round(KLAVIYO_PACK_EVENTS, 400);
    test_round(1, 4600 * 1024);
    test_bounds();
    test_again();
    test_damage();
    test_lies();

    return done_testing();
}
