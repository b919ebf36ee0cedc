/*
 * The Accept header of whoever asks for the figures: browsers, scrapers,
 * programs, and what no program sends.
 */


#include "status/klaviyo_accept.h"

#include "tap.h"


#define J  KLAVIYO_ACCEPT_JSON
#define H  KLAVIYO_ACCEPT_HTML
#define P  KLAVIYO_ACCEPT_PROMETHEUS
#define N  KLAVIYO_ACCEPT_N


typedef struct {
    klaviyo_accept_e  form;
    const char       *header;
} case_t;


static const case_t  cases[] = {

    /* what is sent */

    { N, "" },
    { N, "*/*" },
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

    /* the first one of ours, whatever its weight */

    { J, "application/json;q=0.5, text/html" },
    { H, "text/html;q=0.9, application/json" },
    { H, "image/png, */*;q=1,text/html" },
    { P, "application/openmetrics-text" },
    { N, "text/*" },
    { N, "application/*, text/*" },

    /* how it is written */

    { H, "TEXT/HTML" },
    { H, "  text/html\t" },
    { H, ",,text/html,," },
    { H, "text/html ; q=1 , application/json ; Q=0.1" },
    { H, "text/html;a=\"x,application/json;\\\"\";q=0.4, */*;q=0.3" },

    /* not well-formed, or of something else */

    { H, "text/html text/plain" },
    { N, "text/htm" },
    { N, "text/html5" },
    { N, "text/" },
    { N, "text" },
    { N, "*" },
    { N, "*/html" },
    { N, "image/png" },
    { N, "a=text/html" },
    { N, "\"text/html\"" },
    { N, ";text/html" },
    { N, "=" },
    { N, "\"\\" },
    { N, "x;y=\"\\" },
    { P, "x;y, text/plain" }
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


int
main(void)
{
    unsigned  i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(klaviyo_accept_read((const uint8_t *) cases[i].header,
                                   strlen(cases[i].header)),
               cases[i].form, "%s", cases[i].header);
    }

    names();

    return done_testing();
}
