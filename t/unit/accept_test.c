/*
 * The Accept header of whoever asks for the figures: browsers, scrapers,
 * programs, and what no program sends.
 */


#include "status/klaviyo_accept.h"

#include "tap.h"


#define J  KLAVIYO_ACCEPT_JSON
#define H  KLAVIYO_ACCEPT_HTML
#define P  KLAVIYO_ACCEPT_PROMETHEUS


typedef struct {
    klaviyo_accept_e  form;
    const char       *header;
} case_t;


static const case_t  cases[] = {

    /* what is sent */

    { J, "" },
    { J, "*/*" },
    { J, "application/json" },
    { J, "application/json, text/plain, */*" },
    { J, "application/json, text/javascript, */*; q=0.01" },
    { H, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" },
    { H, "text/html, application/xhtml+xml, image/jxr, */*" },
    { H, "text/html, text/plain, text/sgml, text/css, */*;q=0.01" },
    { P, "application/openmetrics-text;version=1.0.0;q=0.6,"
         "text/plain;version=0.0.4;q=0.3,*/*;q=0.2" },
    { P, "application/vnd.google.protobuf;proto=io.prometheus.client."
         "MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;"
         "q=0.5,*/*;q=0.1" },
    { P, "text/plain;version=0.0.4;q=1,*/*;q=0.1" },
    { P, "text/plain" },

    /* weights, and which range is the more exact one */

    { H, "application/json;q=0.5, text/html" },
    { H, "application/json;q=0.5, text/html;q=0.501" },
    { J, "application/json;q=0.5, text/html;q=0.500" },
    { J, "application/json, text/html" },
    { J, "text/html;q=0.9, application/json" },
    { P, "*/*;q=1, application/json;q=0, text/html;q=0" },
    { H, "*/*, application/json;q=0" },
    { J, "text/html;q=0, text/plain;q=0" },
    { J, "application/json;q=0, text/html;q=0, text/plain;q=0" },
    { H, "text/*" },
    { P, "text/*, text/html;q=0.1" },
    { J, "application/*" },
    { J, "application/*, text/*" },
    { H, "*/*, text/*;q=1" },
    { P, "application/openmetrics-text" },
    { P, "application/openmetrics-text;q=0.3, text/plain;q=0.9, "
         "application/json;q=0.5" },

    /* how it is written */

    { H, "TEXT/HTML" },
    { H, "  text/html\t" },
    { H, ",,text/html,," },
    { H, "text/html ; q=1 , application/json ; Q=0.1" },
    { H, "text/html;level=1;q=0.9;ext=\"a\", application/json;q=0.8" },
    { H, "text/html;a=\"x,application/json;\\\"\";q=0.4, */*;q=0.3" },
    { J, "text/html;q=\"1\"" },

    /* not well-formed, or of something else */

    { J, "text/html;q=2" },
    { J, "text/html;q=1.1" },
    { J, "text/html;q=1.001" },
    { J, "text/html;q=0.1234" },
    { J, "text/html;q=0,5" },
    { J, "text/html;q=-1" },
    { J, "text/html;q=.5" },
    { J, "text/html;q=" },
    { J, "text/html;q=x" },
    { J, "text/html text/plain" },
    { J, "text/html \"" },
    { J, "text/htm" },
    { J, "text/html5" },
    { J, "text/" },
    { J, "text" },
    { J, "*" },
    { J, "*/html" },
    { J, "image/png" },
    { J, "a=text/html" },
    { J, "\"text/html\"" },
    { J, ";q=1" },
    { J, "=" },
    { J, ";;;;" },
    { J, "\"" },
    { J, "\"\\" },
    { J, "x;y=\"\\" },
    { P, "text/html;q=9, text/plain" }
};


static void
names(void)
{
    unsigned     i, n;
    const char  *wrong[] = { "", "JSON", "jso", "jsonx", "text", "htm" };

    is_int(klaviyo_accept_name((const uint8_t *) "json", 4), J, "json");
    is_int(klaviyo_accept_name((const uint8_t *) "html", 4), H, "html");
    is_int(klaviyo_accept_name((const uint8_t *) "prometheus", 10), P,
           "prometheus");

    n = 0;

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        n += klaviyo_accept_name((const uint8_t *) wrong[i],
                                 strlen(wrong[i])) == KLAVIYO_ACCEPT_N;
    }

    is_int(n, i, "no other name");
}


static void
several(void)
{
    klaviyo_accept_t  accept;

    memset(&accept, 0, sizeof(klaviyo_accept_t));

    is_int(klaviyo_accept_best(&accept), J, "no header: JSON");

    klaviyo_accept_read(&accept, (const uint8_t *) "text/html;q=0.5", 15);
    is_int(klaviyo_accept_best(&accept), H, "one header");

    klaviyo_accept_read(&accept, (const uint8_t *) "text/plain;q=0.6", 16);
    is_int(klaviyo_accept_best(&accept), P, "and another one");
}


int
main(void)
{
    unsigned          i;
    klaviyo_accept_t  accept;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&accept, 0, sizeof(klaviyo_accept_t));

        klaviyo_accept_read(&accept, (const uint8_t *) cases[i].header,
                            strlen(cases[i].header));

        is_int(klaviyo_accept_best(&accept), cases[i].form, "%s",
               cases[i].header);
    }

    names();
    several();

    return done_testing();
}
