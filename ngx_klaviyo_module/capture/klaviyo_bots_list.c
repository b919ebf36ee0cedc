/*
 * The capture room: the patterns of bots that are known from the start, in
 * the form of klaviyo_bots.h.
 *
 * A pattern belongs here when no browser of people holds it: brands of phones,
 * apps with a browser inside and addons are the traps.  So `bot` counts at the
 * end of a word alone, and there are exceptions.  Libraries and tools (okhttp,
 * axios, curl) are left out: people's apps and a shop's webhooks are made with
 * them, and a request of theirs that is nobody's is anonymous anyway.
 *
 * t/unit/bots_test.c holds User-Agents of both kinds: add to it what is added
 * here.  Plain C.
 */


#include "klaviyo_bots.h"


const char *const  klaviyo_bots_list[] = {

    /* phones and apps of people whose names look like it */

    "! cubot", "!/cubot", "!bsalsa.com", "!camscanner",

    /* programs that say what they are */

    "bot/", "bot ", "bot;", "bot)", "bot(", "bot-", "bot_", "bot,", "bot.",
    "bot@", "bot+", "bot\"", "bot$", "crawl", "spider", "slurp", "scraper",
    "scraping", "scrapy", "scanner", "fetcher", "indexer", "validator",
    "checker", "archiver", "monitoring", "uptime", "sitemap", "subscriber",
    "linkpreview", "link preview", "uripreview", "url preview",
    "web preview", "://", "^mozilla$", "^mozilla/4.0$", "^mozilla/5.0$",

    /* Google's, beside its bots */

    "googleother", "google-adwords", "google-extended", "google-inspection",
    "google-read-aloud", "google-safety", "google-site-", "google favicon",
    "google search console", "googleassociation", "apis-google",
    "appengine-google", "duplexweb-google", "feedfetcher",
    "mediapartners-google",

    /* link previews and feeds */

    "facebookexternalhit", "facebookcatalog", "facebookplatform",
    "meta-external", "^whatsapp/", "embedly", "iframely", "flipboardproxy",
    "outbrain", "quora link", "vkshare", "discourse forum onebox",
    "bluesky cardyb", "yahoo:linkexpander", "feedburner",

    /* assistants that read pages for people */

    "chatgpt-user", "openai/", "claude-", "anthropic", "perplexity-user",
    "mistralai-user", "duckassist", "cohere-", "manus-user",

    /* archives and copies */

    "archive.org", "archivebox", "heritrix", "httrack", "ia_archiver",
    "larbin", "mechanize", "nutch", "sitesucker", "webcopier",

    /* browsers without a visitor */

    "headless", "phantomjs", "playwright", "puppeteer", "selenium",
    "cypress/", "lighthouse", "pagespeed", "page speed", "gtmetrix",
    "webpagetest", "ptst/",

    /* watchers of speed and of life */

    "dareboost", "cloudflareobservatory", "catchpoint", "gomezagent",
    "thousandeyes", "synthetic", "datadog", "newrelic", "pingdom",
    "site24x7", "statuscake", "nagios", "check_http", "kube-probe",
    "healthcheck", "health-check", "healthservice",

    /* load */

    "apachebench", "joedog", "jmeter", "vegeta", "^k6/", "^wrk",

    /* security scanners */

    "acunetix", "arachni", "burpcollaborator", "censys",
    "internetmeasurement", "l9tcpid", "masscan", "nessus", "netcraft",
    "nikto", "nmap", "nuclei", "openvas", "qualys", "sqlmap", "wpscan",
    "zgrab",

    NULL
};
