/*
 * A line of an access log, by a map, up to its event: what becomes of it is
 * JSON, whatever visitors wrote.  The first byte chooses the format.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/log_fuzz.c ngx_klaviyo_module/[jc]*\/klaviyo_*.c \
 *         -ljansson -lidn2 -lcrypto -lpcre2-8 && ./fuzz t/fuzz/seeds/log
 */


#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>

#include "is_json.h"

#include "../../cli/klaviyo_cli_words.c"
#include "../../cli/klaviyo_cli_log.c"
#include "../../cli/klaviyo_cli_rules.c"
#include "../../cli/klaviyo_cli_place.c"
#include "../../cli/klaviyo_cli_variable.c"
#include "../../cli/klaviyo_cli_member.c"
#include "../../cli/klaviyo_cli_profile.c"
#include "../../cli/klaviyo_cli_property.c"
#include "../../cli/klaviyo_cli_event.c"


#define NOW  1790000000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const char  map[] =
    "klaviyo_profile external_id $remote_user;"
    "klaviyo_profile email $cookie_email;"
    "klaviyo_profile phone_number $arg_phone;"
    "klaviyo_profile ip $remote_addr;"
    "klaviyo_profile Plan \"x${arg_plan}y\" json;"
    "klaviyo_property Agent \"$http_user_agent-$2\";"
    "klaviyo_cookie $basket basket;"
    "field http_user_agent /request/agent;"
    "field http_cookie cookies;"
    "server {"
    "  server_name shop.test *.shop.test ~^(?<sub>.+)\\.re\\.test$;"
    "  location / { klaviyo_track \"Viewed $arg_page\" view; }"
    "  location ~ ^/p/(?<handle>[^/]+)(/(.*))?$ {"
    "    klaviyo_event Product if=$arg_if status=2xx,304 {"
    "      property ProductID $handle; property N $3 number;"
    "      property L $args list; property J $basket json; } }"
    "  location = /thanks { klaviyo_event Order {"
    "      unique_id $arg_order; value $arg_total $arg_currency;"
    "      time $arg_time zone=+02:00; } }"
    "}";


int
klaviyo_cli_error(const char *fmt, ...)
{
    (void) fmt;

    return KLAVIYO_CLI_CANNOT;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned              i;
    klaviyo_slice_t       line;
    klaviyo_event_t       event;
    klaviyo_cli_scope_t  *scope;

    static klaviyo_cli_log_t    log;
    static klaviyo_cli_place_t  place;
    static klaviyo_cli_rules_t  rules;
    static klaviyo_cli_maker_t  maker;

    if (maker.rules == NULL) {

        if (klaviyo_cli_rules_read(&rules, map, "map") != KLAVIYO_CLI_OK
            || klaviyo_cli_maker_init(&maker) != KLAVIYO_CLI_OK)
        {
            abort();
        }

        maker.rules = &rules;
        maker.account = "shop";
        maker.company = "DEF123";
        maker.log = &log;
        maker.place = &place;
    }

    if (size == 0) {
        return 0;
    }

    line.data = data + 1;
    line.len = size - 1;

    if (klaviyo_cli_log_parse(&log, data[0] & 1 ? KLAVIYO_CLI_LOG_JSON
                                                : KLAVIYO_CLI_LOG_COMBINED,
                              &rules.names, line.data, line.len, NOW)
        != KLAVIYO_CLI_LOG_OK)
    {
        return 0;
    }

    if (log.time < 0 || log.time > NOW + 86400 || log.status > 999
        || log.uri.len == 0 || log.uri.data[0] != '/')
    {
        abort();
    }

    if (klaviyo_cli_rules_find(&rules, &place, &log.uri, &log.host) != 1) {
        return 0;
    }

    if (place.path.data[0] != '/'
        || memmem(place.path.data, place.path.len, "/../", 4))
    {
        abort();
    }

    scope = klaviyo_cli_rules_of(place.scope);

    for (i = 0; scope && i < scope->rules; i++) {

        if (klaviyo_cli_event(&maker, &scope->rule[i], &line, 0, &event)
            != KLAVIYO_CLI_NO)
        {
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

    return 0;
}
