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


#include "klaviyo_bots_list.h"


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
    "mediapartners-google", "googleimageproxy", "googlemessages/",

    /* link previews and feeds */

    "facebookexternalhit", "facebookcatalog", "facebookplatform",
    "meta-external", "^whatsapp/", "embedly", "iframely", "flipboardproxy",
    "outbrain", "quora link", "vkshare", "discourse forum onebox",
    "bluesky cardyb", "yahoo:linkexpander", "feedburner", "bingpreview",

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

    /* what goes through a shop's pages for its owner */

    "cookiehub", "onetrust", "siteimprove", "sitelock",

    /* others that would pass for the browser that they say they are */

    "appinsights", "ubermetrics", "twingly", "dataprovider", "theoldreader",
    "datanyze", "trendsmap", "evc-batch", "google-physicalweb",
    "google-ads-conv", "attracta", "collapsify", "dotcom-monitor",
    "google-agent", "googleagent-", "hardenize", "rsiteauditor", "scope3",
    "silktide", "keydrop.io", "impact.com agent", "semantic-visions",
    "sindup", "sqwatcher", "sv-watchagent", "researchagent", "webcapture",
    "adbeat", "brokenlinkcheck", "criticalcss", "foregenix",
    "ghost inspector", "sitemonitor", "linktiger", "marketgoo",
    "miniature.io", "monitorss", "montools", "netshelter", "newsnow/",
    "playstore-google", "printfriendly", "ps_daily/", "retrolistecom",
    "page-preview", "securityheaders", "splash version", "rigor)", "sucuri",
    "testlocally", "uptimia", "urlcheckr", "zoterotranslation", "ylt chrome",
    "prtg network", "geedoshop", "watchtowr", "upday/", "abuse.xmco",
    "ai/scanning", "visionheight", "newsai/", "-robots", "acquia optimize",
    "infegy", "pwabuilder", "ips-agent", "nitro-opt", "readable/",
    "autoconfig test", "tsm-turingos",

    /* research */

    "researchscan", "feeder.co", "hotjar version",

    /* load */

    "apachebench", "joedog", "jmeter", "vegeta", "^k6/", "^wrk",

    /* security scanners */

    "acunetix", "arachni", "burpcollaborator", "censys",
    "internetmeasurement", "kaspersky lab", "l9tcpid", "masscan", "nessus",
    "netcraft",
    "nikto", "nmap", "nuclei", "openvas", "qualys", "sqlmap", "wpscan",
    "zgrab",

    NULL
};
