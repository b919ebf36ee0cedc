/*
 * capture/klaviyo_consent.c and klaviyo_consent_iab.c: what banners write.
 * The strings of IAB are made by its own libraries, the others are those of
 * real cookies, with their ids changed.
 */


#include <stdlib.h>

#include "capture/klaviyo_consent.h"
#include "label.h"
#include "tap.h"


#define NO    KLAVIYO_CONSENT_NO
#define YES   KLAVIYO_CONSENT_YES
#define NONE  KLAVIYO_CONSENT_NONE

#define P(n)  (UINT32_C(1) << (n))

#define TC    "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgF9wEAAAgADAAKAAcABIACwAGgAP" \
              "AAiABMACoC8wF6gL3AXyAvsAAAAAA"


/* names: with commas between them */

static void
check(klaviyo_consent_format_e format, const char *names, uint32_t purposes,
    unsigned vendor, const char *in, klaviyo_consent_e expected)
{
    size_t                   len;
    uint8_t                 *buf;
    const uint8_t           *text;
    klaviyo_consent_want_t   want;

    memset(&want, 0, sizeof(want));

    want.format = format;
    want.purposes = purposes;
    want.vendor = vendor;

    while (*names) {
        want.name[want.names].data = names;
        want.name[want.names].len = strcspn(names, ",");
        names += want.name[want.names++].len;
        names += *names == ',';
    }

    /* a byte beyond is a fault, or what a sanitizer sees */

    len = strlen(in);
    text = tap_guarded(in, len);
    buf = malloc(len ? len : 1);

    is_int(klaviyo_consent_read(&want, text, len, buf), expected,
           "%d %s", format, label(in));

    free(buf);
}


static void
tcf(uint32_t purposes, unsigned vendor, const char *in,
    klaviyo_consent_e expected)
{
    check(KLAVIYO_CONSENT_TCF, "", purposes, vendor, in, expected);
}


static void
test_tcf(void)
{
    size_t  len;
    char    text[sizeof(TC)];

    /* made by @iabtcf/core: of all vendors, of none */

    tcf(P(1) | P(3) | P(4), 755,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAAA."
        "YAAAAAAAAAAA", YES);
    tcf(P(1), 1001,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAAA."
        "YAAAAAAAAAAA", NO);
    tcf(P(1), 755,
        "CQuf10AQuf10AEsACBENAwEgAAAAAAAAAAYgAAAAAAAA.YAAAAAAAAAAA", NO);

    /* purposes 1, 3, 4; vendors as bits, then as ranges */

    tcf(P(1) | P(3) | P(4), 755, TC ".YAAAAAAAAAAA", YES);
    tcf(P(1) | P(3) | P(4), 756, TC ".YAAAAAAAAAAA", NO);
    tcf(P(1) | P(3) | P(4), 763, TC, YES);
    tcf(P(1) | P(3) | P(4), 764, TC, NO);
    tcf(P(1) | P(3) | P(4), 0, TC, YES);
    tcf(P(1) | P(2), 755, TC, NO);
    tcf(P(24), 755, TC, NO);
    tcf(P(1), 700,
        "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgFeQAoAyAJYArwAAAAAAA."
        "YAAAAAAAAAAA", YES);
    tcf(P(1), 300,
        "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgFeQAoAyAJYArwAAAAAAA", YES);
    tcf(P(1), 301,
        "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgFeQAoAyAJYArwAAAAAAA", NO);

    /* of eleven vendors, as bits, the fifth and the last */

    tcf(P(1), 5, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgAFgggAAAAAAAAAAAAAAA", YES);
    tcf(P(1), 11, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgAFgggAAAAAAAAAAAAAAA", YES);
    tcf(P(1), 4, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgAFgggAAAAAAAAAAAAAAA", NO);
    tcf(P(1), 6, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgAFgggAAAAAAAAAAAAAAA", NO);
    tcf(P(1), 12, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgAFgggAAAAAAAAAAAAAAA", NO);

    /* a legitimate interest is no consent */

    tcf(P(2), 7,
        "CQuf10AQuf10AEsACBENAwEgAAAAAELAAAYgAAAMggAwABAyAAAA.YAAAAAAAAAAA",
        NO);

    /* the publisher forbids purpose 3 to 700, 701, 702; and wants consent
       for purpose 2 of 700 */

    tcf(P(3), 701,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAhgAMCvAK-A"
        ".YAAAAAAAAAAA", NO);
    tcf(P(3), 703,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAhgAMCvAK-A"
        ".YAAAAAAAAAAA", YES);
    tcf(P(1), 701,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAhgAMCvAK-A"
        ".YAAAAAAAAAAA", YES);
    tcf(P(2), 700,
        "CQuf10AQuf10AEsACBENAwEsAP_gAH_gAAYgH0QAYAAgfQB9EAGAAIH0AAhIAICvAAAA"
        ".YAAAAAAAAAAA", YES);

    /* none: cut at each length, of version 1, of other bytes */

    for (len = 0; len < 38; len++) {
        memcpy(text, TC, len);
        text[len] = '\0';
        tcf(P(1), 0, text, NONE);
    }

    /* ten vendors fill its last digit, eleven are not there */

    tcf(P(1), 0, "CQuf10AQuf10AEsACBENAwEgAAAAAAAAAAYgAFAA", NO);
    tcf(P(1), 0, "CQuf10AQuf10AEsACBENAwEgAAAAAAAAAAYgAFgA", NONE);

    tcf(P(1), 0, "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", NONE);
    tcf(P(1), 755, "CQuf10AQuf10AEsACBENAwEgALAAAAAAAAYgF9wE.YAAA", NONE);
    tcf(P(1), 0, "C!uf10AQuf10AEsACBENAwEgALAAAAAAAAYg", NONE);
    tcf(P(1), 0, "null", NONE);
    tcf(P(1), 0, ".", NONE);
}


static void
gpp(const char *in, klaviyo_consent_e expected)
{
    check(KLAVIYO_CONSENT_GPP, "", P(1) | P(3) | P(4), 755, in, expected);
}


static void
test_gpp(void)
{
    /* made by @iabgpp/cmpapi: the nation, with and without a browser's
       signal; states with each of the forms */

    gpp("DBABLA~CVQqAAAAAACA.QA", YES);
    gpp("DBABLA~CVQpAAAAAACA.QA", NO);
    gpp("DBABLA~CVQaAAAAAACA.QA", NO);
    gpp("DBABLA~CVQqAAAAAACA.YA", NO);
    gpp("DBABLA~CVQqQAAAAACA.QA", YES);
    gpp("DBABLA~CAAAAAAAAACA.QA", NONE);
    gpp("DBABBg~BUoAAABA.QA", YES);
    gpp("DBABBg~BUkAAABA.QA", NO);
    gpp("DBABRg~BAYAABA", NO);
    gpp("DBABFg~BAKAAAQA", YES);
    gpp("DBABFg~BAJAAAQA", NO);
    gpp("DBABCw~BAJAAAQA.QA", NO);
    gpp("DBABAYA~BAkAAAAAQA.QA", NO);
    gpp("DBABEYA~BQCQ.QA", NO);

    /* TCF alone; the specification's: TCF and the old string of California;
       TCF of Canada says nothing, the nation does */

    gpp("DBABMA~" TC, YES);
    gpp("DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", NO);
    gpp("DBACNYA~" TC "~1YNN", YES);
    gpp("DBACNYA~" TC "~1YYN", NO);
    gpp("DBACNYA~" TC "~1---", YES);
    gpp("DBACDMA~BQuf9_fQuf9_fAyAAAENAACAAAAAAAAAAAAAAAAAAA.YAAAAAAAAAA~"
        "CVQqAAAAAACA.QA", YES);

    gpp("", NONE);
    gpp("DBABMA", NONE);
    gpp("DBABMA~", NONE);
    gpp("DBABLA~CVQ", NONE);
    gpp("CBABLA~CVQqAAAAAACA", NONE);
    gpp("D~CVQqAAAAAACA", NONE);
    gpp("DBAAAA~CVQqAAAAAACA", NONE);
    gpp("D_____~CVQqAAAAAACA", NONE);
    gpp("DBABgA~CVQqAAAAAACA", NONE);
    gpp("~~~~~", NONE);
}


static void
test_cookies(void)
{
    klaviyo_consent_format_e  format;

    static const char  onetrust[] =
        "isGpcEnabled=0&datestamp=Mon+Sep+07+2026+10%3A11%3A12+GMT%2B0200+("
        "Central+European+Summer+Time)&version=202602.1.0&browserGpcFlag=0&"
        "isIABGlobal=false&hosts=&consentId=7f1f5a0e-0000-4000-8000-00000000"
        "0000&interactionCount=1&isAnonUser=1&landingPath=NotLandingPage&"
        "groups=C0001%3A1%2CC0003%3A1%2CC0002%3A1%2CC0004%3A0&AwaitingRecons"
        "ent=false&geolocation=DE%3BBE";

    static const char  cookiebot[] =
        "{stamp:%27bWFkZSB1cCBmb3IgdGhpcyB0ZXN0Cg==%27%2Cnecessary:true%2C"
        "preferences:true%2Cstatistics:true%2Cmarketing:false%2Cmethod:%27exp"
        "licit%27%2Cver:1%2Cutc:1788772272000%2Cregion:%27de%27}";

    static const char  shopify[] =
        "%7B%22con%22%3A%7B%22CMP%22%3A%7B%22a%22%3A%221%22%2C%22m%22%3A%220"
        "%22%2C%22p%22%3A%221%22%2C%22s%22%3A%22%22%7D%7D%2C%22v%22%3A%222.1"
        "%22%2C%22region%22%3A%22DEBE%22%2C%22reg%22%3A%22GDPR%22%2C%22purpos"
        "es%22%3A%7B%22p%22%3Atrue%2C%22a%22%3Atrue%2C%22m%22%3Afalse%2C%22t"
        "%22%3Atrue%7D%2C%22display_banner%22%3Afalse%7D";

    static const char  usercentrics[] =
        "{\"controllerId\":\"0\",\"id\":\"abcdefghi\",\"language\":\"de\","
        "\"services\":[{\"history\":[{\"action\":\"onAcceptAllServices\","
        "\"status\":true}],\"id\":\"H1Vl5NidjWX\",\"processorId\":\"1\","
        "\"status\":true},{\"history\":[{\"status\":true},{\"status\":false}"
        "],\"id\":\"klav1yo\",\"processorId\":\"2\",\"status\":false}],"
        "\"version\":\"3.2.1\"}";

    static const char  ucdata[] =
        "{\"gcm\":{\"adStorage\":\"denied\"},\"consent\":{\"services\":{"
        "\"H1Vl5NidjWX\":{\"name\":\"Usercentrics\",\"consent\":true},"
        "\"klav1yo\":{\"name\":\"Klaviyo\",\"consent\":false}},\"status\":"
        "\"SOME_ACCEPTED\",\"updatedAt\":1788772272000}}";

    format = KLAVIYO_CONSENT_ONETRUST;

    check(format, "C0004", 0, 0, onetrust, NO);
    check(format, "C0002", 0, 0, onetrust, YES);
    check(format, "C0002,C0003", 0, 0, onetrust, YES);
    check(format, "C0002,C0004", 0, 0, onetrust, NO);
    check(format, "C0005", 0, 0, onetrust, NONE);
    check(format, "C0002,C0005", 0, 0, onetrust, NONE);
    check(format, "C0004", 0, 0, "groups=C0004:1", YES);
    check(format, "C0004", 0, 0, "groups=C0004:0,C0004:1", NO);
    check(format, "C0004", 0, 0, "x=groups=C0004:1", NONE);
    check(format, "C0004", 0, 0, "groups=C00041:1,1C0004:1", NONE);
    check(format, "C0004", 0, 0, "groups=C0004:", NONE);
    check(format, "C0004", 0, 0, "groups=", NONE);
    check(format, "C0004", 0, 0, "groups", NONE);

    format = KLAVIYO_CONSENT_COOKIEBOT;

    check(format, "marketing", 0, 0, cookiebot, NO);
    check(format, "statistics", 0, 0, cookiebot, YES);
    check(format, "statistics,marketing", 0, 0, cookiebot, NO);
    check(format, "nothing", 0, 0, cookiebot, NONE);
    check(format, "marketing", 0, 0, "-1", YES);
    check(format, "marketing", 0, 0, "0", NONE);
    check(format, "marketing", 0, 0, "{\"marketing\": true}", YES);
    check(format, "marketing", 0, 0, "{nomarketing:true}", NONE);
    check(format, "marketing", 0, 0, "{marketing:", NONE);
    check(format, "marketing", 0, 0, "marketing", NONE);
    check(format, "marketing", 0, 0, "marketing:false", NO);
    check(format, "marketing", 0, 0, "marketing:fals", NONE);
    check(format, "marketing", 0, 0, "marketing:maybe", NONE);
    check(format, "marketing", 0, 0, "marketing:true", YES);
    check(format, "marketing", 0, 0, "marketing:tru", NONE);

    format = KLAVIYO_CONSENT_COMPLIANZ;

    check(format, "", 0, 0, "allow", YES);
    check(format, "", 0, 0, "deny", NO);
    check(format, "", 0, 0, "dismissed", NONE);

    format = KLAVIYO_CONSENT_SHOPIFY;

    check(format, "marketing", 0, 0, shopify, NO);
    check(format, "analytics", 0, 0, shopify, YES);
    check(format, "sale_of_data", 0, 0, shopify, YES);
    check(format, "marketing", 0, 0,
          "{\"con\":{\"CMP\":{\"a\":\"\",\"m\":\"\"}},\"reg\":\"\","
          "\"purposes\":{\"m\":true}}", YES);
    check(format, "marketing", 0, 0,
          "{\"con\":{\"CMP\":{\"a\":\"\",\"m\":\"\"}},\"reg\":\"GDPR\"}",
          NONE);
    check(format, "marketing", 0, 0, "3.AMPS_IDJK_f_f_bWFkZSB1cCBmb3Ig", YES);
    check(format, "marketing", 0, 0, "3.AmPS_DEBE_f_f_bWFkZSB1cCBmb3Ig", NO);
    check(format, "analytics,marketing", 0, 0, "3.AMPS", YES);
    check(format, "marketing", 0, 0, "3._DEBE_t_f_M", NONE);
    check(format, "marketing", 0, 0, "3.", NONE);
    check(format, "marketing", 0, 0, "{", NONE);
    check(format, "marketing", 0, 0, "yes", NONE);

    format = KLAVIYO_CONSENT_USERCENTRICS;

    check(format, "H1Vl5NidjWX", 0, 0, usercentrics, YES);
    check(format, "klav1yo", 0, 0, usercentrics, NO);
    check(format, "H1Vl5NidjWX,klav1yo", 0, 0, usercentrics, NO);
    check(format, "abcdefghi", 0, 0, usercentrics, NONE);
    check(format, "other", 0, 0, usercentrics, NONE);
    check(format, "klav1yo", 0, 0, ucdata, NO);
    check(format, "Klaviyo", 0, 0, ucdata, NO);
    check(format, "H1Vl5NidjWX", 0, 0, ucdata, YES);
    check(format, "Klaviyo", 0, 0, "{\"a\":[[[[[[[[[[[[[[[{\"name\":"
          "\"Klaviyo\",\"consent\":true}]]]]]]]]]]]]]]]}", NONE);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":1}", YES);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":\"1\"}", YES);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":\"true\"}", YES);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":0}", NO);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":\"0\"}", NO);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":\"false\"}", NO);
    check(format, "K", 0, 0, "{\"id\":\"K\",\"status\":\"x\"}", NONE);
    check(format, "Klaviyo", 0, 0, "true", NONE);

#define SAYS    "{\"name\":\"Klaviyo\",\"consent\":true}"
#define SIX(p)  p p p p p p

    check(format, "Klaviyo", 0, 0, SIX("{\"a\":") "{\"a\":" SAYS "}"
          SIX("}"), YES);
    check(format, "Klaviyo", 0, 0, SIX("{\"a\":") "{\"a\":{\"a\":" SAYS "}}"
          SIX("}"), NONE);
    check(format, "Klaviyo", 0, 0, SIX("{\"consent\":") "{\"consent\":" SAYS
          "}" SIX("}"), YES);
    check(format, "Klaviyo", 0, 0, SIX("{\"status\":") "{\"status\":"
          "{\"status\":" SAYS "}}" SIX("}"), NONE);
    check(format, "Klaviyo", 0, 0, SIX("[") "[" SAYS "]" SIX("]"), YES);
    check(format, "Klaviyo", 0, 0, SIX("[") "[[" SAYS "]]" SIX("]"), NONE);
    check(format, "Klaviyo", 0, 0, "{\"name\":", NONE);
}


int
main(void)
{
    test_tcf();
    test_gpp();
    test_cookies();

    return done_testing();
}
