/*
 * Dead letters: lines that a JSON parser reads, whatever is in them.
 */


#include <stdlib.h>

#include <jansson.h>

#include "tap.h"

#include "delivery/klaviyo_body.h"
#include "delivery/klaviyo_letter.h"


static const char  profile[] =
    "{\"type\":\"profile\",\"attributes\":{\"email\":\"a@shop.example\"}}";

static const char  attributes[] =
    "\"properties\":{\"Price\":9.5},\"metric\":{\"data\":{\"type\":\"metric\","
    "\"attributes\":{\"name\":\"Viewed\"}}},\"unique_id\":\"id-1\"";


static void
test_event(klaviyo_event_t *event)
{
    memset(event, 0, sizeof(klaviyo_event_t));

    event->profile = (const uint8_t *) profile;
    event->profile_len = sizeof(profile) - 1;
    event->attributes = (const uint8_t *) attributes;
    event->attributes_len = sizeof(attributes) - 1;
    event->unique_id = (const uint8_t *) "id-1";
    event->unique_id_len = 4;
    event->time = 1784109598123;
}


static void
test_letter(klaviyo_letter_t *letter)
{
    memset(letter, 0, sizeof(klaviyo_letter_t));
    letter->lane = &klaviyo_lanes[KLAVIYO_LANE_EVENTS];

    letter->account = (const uint8_t *) "shop";
    letter->account_len = 4;
    letter->outcome = KLAVIYO_OUTCOME_DEAD_REFUSED;
    letter->status = 400;
    letter->detail = "it said \"no\"";
    letter->attempts = 2;
    letter->now = 1784116800000;
}


static void
test_lines(void)
{
    klaviyo_event_t    event;
    klaviyo_letter_t   letter;
    klaviyo_letters_t  letters;

    static const char  lines[] =
        "{\"dead\":\"2026-07-15T12:00:00.000Z\",\"account\":\"shop\","
        "\"reason\":\"refused\",\"status\":400,"
        "\"detail\":\"it said \\\"no\\\"\",\"attempts\":2,"
        "\"captured\":\"2026-07-15T09:59:58.123Z\",\"unique_id\":\"id-1\","
        "\"event\":{\"type\":\"event\",\"attributes\":{"
        "\"properties\":{\"Price\":9.5},\"metric\":{\"data\":{\"type\":"
        "\"metric\",\"attributes\":{\"name\":\"Viewed\"}}},"
        "\"unique_id\":\"id-1\",\"profile\":{\"data\":{\"type\":\"profile\","
        "\"attributes\":{\"email\":\"a@shop.example\"}}}}}}\n"

        "{\"dead\":\"2026-07-15T12:00:00.999Z\",\"account\":\"shop\","
        "\"reason\":\"expired\",\"attempts\":0,"
        "\"captured\":\"1970-01-01T00:00:00.000Z\",\"unique_id\":\"id-1\","
        "\"event\":{\"type\":\"event\",\"attributes\":{"
        "\"properties\":{\"Price\":9.5},\"metric\":{\"data\":{\"type\":"
        "\"metric\",\"attributes\":{\"name\":\"Viewed\"}}},"
        "\"unique_id\":\"id-1\",\"profile\":{\"data\":{\"type\":\"profile\","
        "\"attributes\":{\"email\":\"a@shop.example\"}}}}}}\n";

    memset(&letters, 0, sizeof(letters));
    test_event(&event);
    test_letter(&letter);

    is_int(klaviyo_letters_add(&letters, &letter, &event), 0, "a letter");

    letter.outcome = KLAVIYO_OUTCOME_DEAD_EXPIRED;
    letter.status = 0;
    letter.detail = NULL;
    letter.attempts = 0;
    letter.now += 999;
    event.time = -5;

    is_int(klaviyo_letters_add(&letters, &letter, &event), 0, "another");
    is_int(letters.n, 2, "two of them");
    is_mem(letters.start, letters.used, lines, sizeof(lines) - 1,
           "as they should be");

    klaviyo_letters_free(&letters);
    ok(letters.start == NULL && letters.used == 0 && letters.n == 0, "freed");
}


/* bytes from outside */

static void
test_hostile(void)
{
    int                i, bad;
    char               detail[5000];
    json_t            *root, *event_json, *body, *value;
    uint8_t            id[KLAVIYO_UNIQUE_ID_MAX], account[600], buf[4096];
    const char        *line, *end;
    klaviyo_event_t    event;
    klaviyo_letter_t   letter;
    klaviyo_letters_t  letters;

    static const char  blanks[] =
        "\"properties\":{\"n\":\r\n[1,\n2]},\"unique_id\":\"x\"";

    memset(&letters, 0, sizeof(letters));
    test_event(&event);
    test_letter(&letter);

    for (i = 0; i < (int) sizeof(id); i++) {
        id[i] = (uint8_t) (i + 1);
    }

    event.attributes = (const uint8_t *) blanks;
    event.attributes_len = sizeof(blanks) - 1;
    event.unique_id = id;
    event.unique_id_len = sizeof(id);

    memset(account, 0x01, sizeof(account));
    letter.account = account;
    letter.account_len = sizeof(account);

    memset(detail, 0x7f, sizeof(detail) - 1);
    detail[0] = '\n';
    detail[1] = '"';
    detail[2] = (char) 0xff;
    detail[sizeof(detail) - 1] = '\0';
    letter.detail = detail;

    letter.status = UINT32_MAX;
    letter.attempts = UINT32_MAX;
    letter.now = INT64_MAX;
    event.time = INT64_MIN;

    is_int(klaviyo_letters_add(&letters, &letter, &event), 0,
           "as hostile as can be");

    /* as the network would have it: all bytes, for an identifier */

    for (i = 0; i < 100; i++) {
        memset(id, i + 156, sizeof(id));
        klaviyo_letters_add(&letters, &letter, &event);
    }

    is_int(letters.n, 101, "and a hundred more");

    bad = 0;
    line = (const char *) letters.start;

    for (i = 0; i < 101; i++) {
        end = memchr(line, '\n',
                     letters.used
                     - (size_t) (line - (const char *) letters.start));
        if (end == NULL) {
            bad++;
            break;
        }

        root = json_loadb(line, (size_t) (end - line),
                          JSON_REJECT_DUPLICATES|JSON_ALLOW_NUL, NULL);

        value = json_object_get(root, "detail");
        bad += json_string_length(value) > 1024
               || json_string_length(value) < 1000;

        bad += !json_is_string(json_object_get(root, "unique_id"));

        /* what /api/events would get, apart from blanks */

        event_json = json_object_get(root, "event");
        body = json_loadb((const char *) buf,
                          klaviyo_body_single(buf, &event), 0, NULL);
        bad += !json_equal(json_object_get(body, "data"), event_json);

        json_decref(body);
        json_decref(root);

        line = end + 1;
    }

    is_int(bad, 0, "each is one line of JSON, with the event in it");
    ok(line == (const char *) letters.start + letters.used,
       "nothing behind the last");

    klaviyo_letters_free(&letters);
}


static void
test_large(void)
{
    int                i, added;
    uint8_t           *fill;
    klaviyo_event_t    event;
    klaviyo_letter_t   letter;
    klaviyo_letters_t  letters;

    memset(&letters, 0, sizeof(letters));
    test_event(&event);
    test_letter(&letter);

    fill = malloc(4500000);
    memset(fill, ' ', 4500000);
    memcpy(fill, "\"properties\":{}", 15);

    event.attributes = fill;
    event.attributes_len = 4500000;

    added = 0;

    for (i = 0; i < 5; i++) {
        added += (klaviyo_letters_add(&letters, &letter, &event) == 0);
    }

    is_int(added, 5, "five events of 4.5 MB");
    ok(letters.used > 5 * 4500000 && letters.used < 5 * 4501000,
       "and little else");
    ok(letters.start[letters.used - 1] == '\n'
       && letters.start[letters.used - 2] == '}', "to the end");

    /* an event that no memory has room for changes nothing */

    event.attributes_len = SIZE_MAX / 2;
    is_int(klaviyo_letters_add(&letters, &letter, &event), -1, "no memory");
    ok(letters.n == 5 && letters.start[letters.used - 1] == '\n',
       "nothing was appended");

    free(fill);
    klaviyo_letters_free(&letters);
}


int
main(void)
{
    test_lines();
    test_hostile();
    test_large();

    return done_testing();
}
