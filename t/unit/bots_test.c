/*
 * capture/klaviyo_bots.c and klaviyo_bots_list.c: User-Agents.
 */


#define _GNU_SOURCE

#include <stdlib.h>

#include "capture/klaviyo_bots.h"
#include "capture/klaviyo_bots_list.h"
#include "tap.h"


#define PATTERNS  600


/* real ones; a browser that is taken for a bot is a visitor who is not seen */

static const char  *people[] = {

    /* desktop */

    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Ubuntu Chromium/80.0.3987.87 Chrome/80.0.3987.87 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 "
        "Firefox/133.0",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 "
        "Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/128.0.0.0 Safari/537.36 Vivaldi/6.9.3447.41",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; "
        "Embedded Web Browser from: http://bsalsa.com/; .NET CLR 2.0.50727)",
    "Mozilla/5.0 (compatible; Konqueror/4.5; FreeBSD) KHTML/4.5.4 (like "
        "Gecko)",
    "Lynx/2.8.9rel.1 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.6.5",

    /* phones, tablets, televisions, consoles, cars */

    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, "
        "like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile "
        "Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
        "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.6778.73 "
        "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 14_7 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 "
        "Mobile/15E148 Safari/605.1.15",
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) GSA/277.0.555192628 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
    "Mozilla/5.0 (Linux; U; Android 13; en-us; 2201117TG "
        "Build/TKQ1.221114.001) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/"
        "MiuiBrowser/14.11.1-gn",
    "Mozilla/5.0 (Linux; Android 12; HUAWEI ELS-NX9) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/99.0.4844.88 HuaweiBrowser/14.0.5.302 "
        "Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 9; en-US; RMX1911) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Version/4.0 Chrome/78.0.3904.108 "
        "UCBrowser/13.4.0.1306 Mobile Safari/537.36",
    "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) "
        "Presto/2.12.423 Version/12.16",
    "Opera/9.70 (Linux armv7l ; U; turbotabbee/TSV2.0/1.02Q; fr) "
        "Presto/2.2",
    "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, "
        "like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 8.1.0; CUBOT_POWER Build/O11019) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.185 Mobile "
        "Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 4.4.2; de-de; S208 Build/CUBOT) "
        "AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile "
        "Safari/534.30",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.5) AppleWebKit/537.36 (KHTML, "
        "like Gecko) SamsungBrowser/3.0 Chrome/69.0.3497.106 TV "
        "Safari/537.36",
    "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager",
    "Mozilla/5.0 (PlayStation; PlayStation 5/8.00) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/15.4 Safari/605.1.15",
    "Mozilla/5.0 (X11; GNU/Linux) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chromium/109.0.5414.119 Chrome/109.0.5414.119 Safari/537.36 "
        "Tesla/2024.14.9",
    "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Silk/122.2.6 like Chrome/122.0.6261.142 Safari/537.36",

    /* browsers inside apps, and apps */

    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F79 Instagram "
        "330.0.3.29.91 (iPhone14,3; iOS 17_5; en_US@calendar=gregorian; en; "
        "scale=3.00; 1125x2436; 595324)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22A3354 "
        "[FBAN/FBIOS;FBAV/486.0.0.50.109;FBBV/653170421;FBDV/iPhone15,2;"
        "FBMD/iPhone;FBSN/iOS;FBSV/18.0;FBSS/3;FBID/phone;FBLC/en_US]",
    "Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A.230901.001; wv) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/129.0.6668.70 Mobile Safari/537.36 [FB_IAB/FB4A;"
        "FBAV/484.0.0.63.83;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
        "[Pinterest/iOS]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
        "musical_ly_35.9.0 JsSdk/2.0 NetType/WIFI Channel/App Store "
        "ByteLocale/en Region/US BytedanceWebview/d8a21c6",
    "Mozilla/5.0 (Linux; Android 13; 2201116SI Build/TKQ1.221114.001; wv) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/125.0.6422.165 Mobile Safari/537.36 "
        "CamScanner/4.5.0.2305051722",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 "
        "Mobile/15E148 Safari/604.1 (Ecosia ios@9.2.3.1367)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) "
        "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
        "Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    "Mozilla/5.0 (Linux; Android 13; I2011 Build/TP1A.220624.014; wv) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
        "Chrome/125.0.6422.54 Mobile Safari/537.36 Snapchat/12.89.0.40",
    "okhttp/4.12.0",
    "curl/8.5.0",
    "Wget/1.21.4",
    "python-requests/2.31.0",
    "Python/3.11 aiohttp/3.9.1",
    "Python-urllib/3.11",
    "Go-http-client/2.0",
    "Java/17.0.9",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
    "axios/1.6.2",
    "node-fetch",
    "Ruby",
    "libwww-perl/6.72",
    "GuzzleHttp/7",
    "PostmanRuntime/7.36.0",
    "Shop/3.2 CFNetwork/1490.0.4 Darwin/23.2.0",
    "Dart/3.3 (dart:io)"
};


static const char  *programs[] = {
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; "
        "+http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.69 Mobile "
        "Safari/537.36 (compatible; Googlebot/2.1; "
        "+http://www.google.com/bot.html)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
        "bingbot/2.0; +http://www.bing.com/bingbot.htm) "
        "Chrome/116.0.1938.76 Safari/537.36",
    "Mozilla/5.0 (compatible; Yahoo! Slurp; "
        "http://help.yahoo.com/help/us/ysearch/slurp)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; "
        "+http://www.baidu.com/search/spider.html)",
    "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; "
        "+http://www.apple.com/go/applebot)",
    "facebookexternalhit/1.1 "
        "(+http://www.facebook.com/externalhit_uatext.php)",
    "facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient "
        "+http://www.linkedin.com)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "WhatsApp/2.23.20.0 A",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
        "GPTBot/1.2; +https://openai.com/gptbot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; "
        "ChatGPT-User/1.0; +https://openai.com/bot",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; "
        "ClaudeBot/1.0; +claudebot@anthropic.com)",
    "CCBot/2.0 (https://commoncrawl.org/faq/)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; "
        "+http://www.semrush.com/bot.html)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "HeadlessChrome/129.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) "
        "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile "
        "Safari/537.36 Chrome-Lighthouse",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "ELB-HealthChecker/2.0",
    "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com)",
    "Mediapartners-Google",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/125.0.0.0 Safari/537.36 (compatible; "
        "Google-InspectionTool/1.0;)",
    "Scrapy/2.11.0 (+https://scrapy.org)",
    "ia_archiver",
    "HTTrack/3.0",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)",
    "Mozilla/5.0 zgrab/0.x",
    "masscan/1.3",
    "some robot",
    "a bot"
};


static klaviyo_bots_pattern_t  pattern[PATTERNS];

static size_t                  allocated;        /* bytes, of the last one */


static void *
allocate(void *data, size_t size)
{
    (*(unsigned *) data)++;
    allocated = size;

    return malloc(size);
}


static void *
no_memory(void *data, size_t size)
{
    (void) data;
    (void) size;

    return NULL;
}


static klaviyo_bots_t *
compile(const char *const *lines)
{
    size_t           n;
    unsigned         calls;
    const char      *wrong;
    klaviyo_bots_t  *bots;

    for (n = 0; lines[n]; n++) {

        wrong = n < PATTERNS
                ? klaviyo_bots_pattern(&pattern[n], lines[n],
                                       strlen(lines[n]))
                : "too many for the test";

        if (wrong) {
            ok(0, "\"%s\": %s", lines[n], wrong);
            exit(1);
        }
    }

    calls = 0;
    bots = klaviyo_bots_compile(pattern, n, allocate, &calls);

    if (bots == NULL || calls != 1) {
        ok(0, "compiled with one allocation");
        exit(1);
    }

    return bots;
}


static int
match(klaviyo_bots_t *bots, const char *agent)
{
    return klaviyo_bots_match(bots, (const uint8_t *) agent, strlen(agent));
}


static void
test_list(void)
{
    size_t           i;
    klaviyo_bots_t  *bots;

    bots = compile(klaviyo_bots_list);

    for (i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        ok(!match(bots, people[i]), "a browser: %.60s", people[i]);
    }

    for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        ok(match(bots, programs[i]), "a bot: %.60s", programs[i]);
    }

    ok(allocated < 512 * 1024, "the list takes %zu bytes", allocated);

    free(bots);
}


static void
test_patterns(void)
{
    char             c[2];
    unsigned         i;
    klaviyo_bots_t  *bots;

    static const char *const  lines[] = {
        "abcd", "BCE", "^start", "end$", "^whole$", "a^b$c", "a b",
        "!friend", "!^good", "!kind$", "abab", "bABc", NULL
    };

    static const struct {
        const char  *agent;
        int          bot;
    } cases[] = {
        { "x", 0 }, { "abcd", 1 }, { "ABCD", 1 }, { "xaBcDx", 1 },
        { "abc", 0 }, { "abce", 1 }, { "abcabcd", 1 }, { "abcbce", 1 },
        { "start", 1 }, { "starter", 1 }, { " start", 0 }, { "star", 0 },
        { "end", 1 }, { "the END", 1 }, { "ends", 0 },
        { "whole", 1 }, { "whole ", 0 }, { "awhole", 0 },
        { "xa^b$cx", 1 }, { "^start", 0 }, { "end$", 0 },
        { "a b", 1 }, { "ab", 0 },
        { "abcd friend", 0 }, { "Friend abcd", 0 }, { "good abcd", 0 },
        { "no good abcd", 1 }, { "abcd kind", 0 }, { "abcd kinds", 1 },
        { "friend", 0 }, { "aababc", 1 }, { "ababd", 1 }, { "babd", 0 },
        { "\xc3\xa4" "abcd\xff", 1 }, { "\xe1\xe2\xe3\xe4", 0 }
    };

    bots = compile(lines);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(match(bots, cases[i].agent), cases[i].bot, "\"%s\"",
               cases[i].agent);
    }

    is_int(match(bots, ""), 0, "nothing is nobody's");
    is_int(klaviyo_bots_match(bots, (const uint8_t *) "ab\0abcd", 7), 1,
           "beyond a NUL");
    is_int(klaviyo_bots_match(bots, (const uint8_t *) "abcd", 3), 0,
           "not beyond the length");

    free(bots);

    bots = compile(&lines[12]);

    for (i = 1; i < 256; i++) {
        c[0] = (char) i;
        c[1] = '\0';

        if (match(bots, c)) {
            break;
        }
    }

    is_int(i, 256, "without a pattern nothing is found");
    is_int(match(bots, ""), 0, "nor nothing");

    free(bots);
}


static void
test_lines(void)
{
    char                     big[200];
    unsigned                 i;
    const char              *wrong;
    klaviyo_bots_pattern_t   one;

    static const struct {
        const char  *line;
        const char  *wrong;
    } cases[] = {
        { "abc", NULL }, { "!abc", NULL }, { "^abc$", NULL },
        { "!^abc$", NULL }, { "a b", NULL }, { "!!abc", NULL },
        { "", "at least 3 characters are needed" },
        { "!", "at least 3 characters are needed" },
        { "ab", "at least 3 characters are needed" },
        { "^ab$", "at least 3 characters are needed" },
        { "^", "at least 3 characters are needed" },
        { "!^$", "at least 3 characters are needed" },
        { "abc\t", "only printable ASCII is allowed" },
        { "ab\x7f" "c", "only printable ASCII is allowed" },
        { "ab\xc3\xa4", "only printable ASCII is allowed" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        wrong = klaviyo_bots_pattern(&one, cases[i].line,
                                     strlen(cases[i].line));

        is_str(wrong ? wrong : "right",
               cases[i].wrong ? cases[i].wrong : "right", "\"%s\"",
               cases[i].line);
    }

    klaviyo_bots_pattern(&one, "!abc", 4);
    ok(one.except && one.len == 3 && memcmp(one.text, "abc", 3) == 0,
       "an exception is the text behind its mark");

    memset(big, 'x', sizeof(big));

    ok(klaviyo_bots_pattern(&one, big, KLAVIYO_BOTS_MAX) == NULL
       && klaviyo_bots_pattern(&one, big, KLAVIYO_BOTS_MAX + 1) != NULL,
       "the longest");
}


static void
test_bounds(void)
{
    size_t           i, n;
    unsigned         calls;
    char            *text;
    klaviyo_bots_t  *bots;

    static klaviyo_bots_pattern_t  many[KLAVIYO_BOTS_STATES / 100 + 1];

    n = KLAVIYO_BOTS_STATES / 100;
    text = malloc(n * 100);

    for (i = 0; i < n * 100; i++) {
        text[i] = (char) (0x20 + (i * 7919 + i / 100) % 95);
    }

    for (i = 0; i < n; i++) {
        many[i].text = text + i * 100;
        many[i].len = 100;
        many[i].except = 0;
    }

    calls = 0;
    bots = klaviyo_bots_compile(many, n, allocate, &calls);

    ok(bots != NULL, "as many as there may be");
    ok(allocated < 5 * 1024 * 1024, "take %zu bytes", allocated);
    ok(klaviyo_bots_match(bots, (uint8_t *) text + (n - 1) * 100, 100)
       && !klaviyo_bots_match(bots, (uint8_t *) text + (n - 1) * 100, 99),
       "and each is found");

    free(bots);

    many[n] = many[0];
    ok(klaviyo_bots_states(many, n + 1) > KLAVIYO_BOTS_STATES
       && klaviyo_bots_compile(many, n + 1, allocate, &calls) == NULL,
       "one more is refused");
    ok(klaviyo_bots_compile(many, 3, no_memory, NULL) == NULL, "no memory");

    free(text);
}


/* random patterns over few letters, against the plain way to search */

static void
test_random(void)
{
    int              expected;
    char             lines[40][8], agent[32];
    unsigned         seed, round, i, k, n, bad, found;
    const char      *list[41];
    klaviyo_bots_t  *bots;

    seed = 1;
    bad = 0;
    found = 0;

    for (round = 0; round < 200; round++) {

        n = 1 + rand_r(&seed) % 40;

        for (i = 0; i < n; i++) {
            for (k = 0; k < 3 + (unsigned) rand_r(&seed) % 5; k++) {
                lines[i][k] = "aAbBc"[rand_r(&seed) % 5];
            }

            lines[i][k < 3 ? 3 : k] = '\0';
            lines[i][0] = (rand_r(&seed) % 8 || k < 4) ? lines[i][0] : '!';
            list[i] = lines[i];
        }

        list[n] = NULL;
        bots = compile(list);

        for (k = 0; k < 100; k++) {

            for (i = 0; i < 3 + (unsigned) rand_r(&seed) % 28; i++) {
                agent[i] = "abcCx"[rand_r(&seed) % 5];
            }

            agent[i] = '\0';
            expected = 0;

            for (i = 0; i < n; i++) {
                if (lines[i][0] == '!') {
                    if (strcasestr(agent, lines[i] + 1)) {
                        expected = 0;
                        break;
                    }

                } else if (strcasestr(agent, lines[i])) {
                    expected = 1;
                }
            }

            bad += match(bots, agent) != expected;
            found += expected;
        }

        free(bots);
    }

    is_int(bad, 0, "20000 random searches, of which %u find", found);
    ok(found > 2000 && found < 18000, "some do and some do not");
}


/* what is kept of the last ones is told apart by all of their bytes */

static void
test_again(void)
{
    int              bad, expected;
    char             agent[300];
    size_t           len;
    unsigned         seed, i;
    klaviyo_bots_t  *bots;

    static const char *const  lines[] = { "robot", "!friend", NULL };

    seed = 1;
    bad = 0;
    bots = compile(lines);

    for (i = 0; i < 20000; i++) {
        len = 5 + rand_r(&seed) % 270;
        memset(agent, 'a' + rand_r(&seed) % 2, len);
        expected = rand_r(&seed) % 2;

        if (expected) {
            memcpy(agent + rand_r(&seed) % (len - 4), "robot", 5);
        }

        bad += klaviyo_bots_match(bots, (const uint8_t *) agent, len)
               != expected;
        bad += klaviyo_bots_match(bots, (const uint8_t *) agent, len)
               != expected;
    }

    is_int(bad, 0, "asked again, in any order");

    free(bots);
}


/* of each line of the input: 1, or 0: t/bots.t asks for it */

static int
print_agents(void)
{
    char             line[4096];
    klaviyo_bots_t  *bots;

    bots = compile(klaviyo_bots_list);

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        printf("%d\n", match(bots, line));
    }

    free(bots);

    return 0;
}


int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "agents") == 0) {
        return print_agents();
    }

    test_list();
    test_patterns();
    test_lines();
    test_bounds();
    test_random();
    test_again();

    return done_testing();
}
