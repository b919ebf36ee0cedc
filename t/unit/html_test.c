/*
 * The reader of pages: what it finds, whatever the pieces are in which the
 * page comes.
 */


#include <stdlib.h>

#include "page/klaviyo_html.h"

#include "tap.h"


#define ALL  (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA                     \
              |KLAVIYO_HTML_META|KLAVIYO_HTML_DATALAYER                      \
              |KLAVIYO_HTML_ECONTEXT)


static char    found_text[65536];
static size_t  found_len;

static void   *taken[256];
static size_t  taken_count;
static size_t  taken_limit;

static klaviyo_charset_e  charset;


/* a line for each thing that is found: what, name and value */

static void
found(void *data, klaviyo_html_found_e what, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len)
{
    static const char  *names[] = { "meta", "canonical", "title", "jsonld",
                                    "datalayer", "econtext", "item", "end",
                                    "property" };

    (void) data;

    found_len += snprintf(found_text + found_len,
                          sizeof(found_text) - found_len, "%s %.*s=%.*s\n",
                          names[what], (int) name_len,
                          name ? (const char *) name : "", (int) value_len,
                          value ? (const char *) value : "");
}


static void *
take(void *data, size_t size)
{
    (void) data;

    if (taken_count == taken_limit) {
        return NULL;
    }

    return taken[taken_count++] = malloc(size);
}


/* every piece in memory of its own, so that a sanitizer sees its end */

static int
read_page(const char *page, size_t len, unsigned want, size_t piece)
{
    int              rc;
    size_t           n, at;
    uint8_t         *copy;
    klaviyo_html_t  *html;

    rc = -1;
    found_len = 0;
    found_text[0] = '\0';
    taken_count = 0;

    html = klaviyo_html_init(want, 65536, charset, found, take, NULL);

    for (at = 0; html != NULL && at < len; at += n) {
        n = len - at < piece ? len - at : piece;

        copy = malloc(n);
        memcpy(copy, page + at, n);
        rc = klaviyo_html_feed(html, copy, n);
        free(copy);

        if (rc != 0) {
            break;
        }
    }

    if (html) {
        klaviyo_html_end(html);
    }

    while (taken_count) {
        free(taken[--taken_count]);
    }

    return rc;
}


static void
finds(const char *page, const char *expected, const char *what)
{
    size_t    len, piece, wrong;
    char     *whole;

    len = strlen(page);
    taken_limit = 256;

    read_page(page, len, ALL, len ? len : 1);
    is_str(found_text, expected, "%s", what);

    whole = strdup(found_text);
    wrong = 0;

    for (piece = 1; piece < len; piece++) {
        read_page(page, len, ALL, piece);
        wrong += strcmp(found_text, whole) != 0;
    }

    is_int(wrong, 0, "%s: in pieces of any size", what);
    free(whole);
}


int
main(void)
{
    size_t   i, len;
    char    *page;

    finds("<title>A &amp; B\n  C</title><TITLE>no</TITLE>",
          "title =A & B C\n", "the first title");
    finds("<script>'<title>no</title>'</script ><title>Yes",
          "", "an open title is none");
    finds("<meta property=\"og:title\" content='it&#8217;s \"5\" &gt; 4'>"
          "<META content=x NAME=description /><meta name=n>",
          "meta og:title=it\xe2\x80\x99s \"5\" > 4\nmeta description=x\n",
          "meta");
    finds("<link rel='x CANONICAL' href=/a?b=1&amp;c=2><link rel=icon href=i>",
          "canonical =/a?b=1&c=2\n", "canonical");
    finds("<p title=\"<meta name=a content=b>\"><!-- <meta name=c content=d>"
          " --><meta name=e content=f><textarea><meta name=g content=h>"
          "</textarea><style><meta name=i content=j></style>",
          "meta e=f\n", "no tags in values, comments and raw text");
    finds("<!--><meta name=a content=b><!---><meta name=c content=d>"
          "<!-- -- > --><!DOCTYPE html><!-x><?php ?><meta name=e content=f>",
          "meta a=b\nmeta c=d\nmeta e=f\n", "comments and what looks so");
    finds("1 < 2 <3 <- << <meta name=a content=b",
          "", "an open tag is none");
    finds("a <b<c><meta name='a>b' content=\"c'd\"><i x=it's><meta name=e "
          "content=f>", "meta a>b=c'd\nmeta e=f\n", "quotes");
    finds("<script type=\"Application/LD+JSON; charset=x\">{\"a\":\"<b>\"}"
          "</scrip></SCRIPT\n><script>x</script>",
          "jsonld ={\"a\":\"<b>\"}</scrip>\n", "JSON-LD");
    finds("<script>dataLayer.push({})</script><script>var x</script>"
          "<script src=x>dataLayer</script><script type=text/template>"
          "dataLayer</script>",
          "datalayer =dataLayer.push({})\n", "the data layer");
    finds("<script>var eContext = {\"a\":1}</script><script>var eContext=1"
          "</script><script>var eContent = {dataLayer}</script>"
          "<script>var e</script>",
          "econtext =var eContext = {\"a\":1}\n"
          "datalayer =var eContent = {dataLayer}\n"
          "econtext =var e\n", "EverShop's own script");
    finds("<body itemscope itemtype=\"http://schema.org/Product\">"
          "<h1><span itemprop=\"name\">Brass <b>Desk</b>\n Lamp &euro;</span>"
          "</h1><img itemprop=image src=/l.jpg>"
          "<div itemprop=offers itemscope itemtype=http://schema.org/Offer>"
          "<div><meta itemprop=price content=49.00></div>"
          "<link itemprop=availability href=http://schema.org/InStock></div>"
          "<p itemprop=sku>A1<p>b</body>",
          "item =http://schema.org/Product\nproperty name=Brass Desk Lamp "
          "\xe2\x82\xac\nproperty image=/l.jpg\nitem offers=http://schema.org/"
          "Offer\nproperty price=49.00\nproperty availability=http://schema."
          "org/InStock\nend =\nproperty sku=A1\nend =\n", "microdata");
    finds("<div itemscope itemtype=a><div itemprop=x>1<div>2</div>3</div>"
          "<div itemprop='y z'>4</div><br itemprop=q><time itemprop=t "
          "datetime=2026>x</time><data itemprop=d value=9>n</data></div>"
          "<i itemprop=out>o</i>",
          "item =a\nproperty x=123\nproperty y=4\nproperty z=4\nproperty "
          "t=2026\nproperty d=9\nend =\nproperty out=o\n",
          "elements of one name in one another");
    finds("<i itemprop=a>x < y &lt;</i><i itemprop=b>z",
          "property a=x < y <\nproperty b=z\n", "text with what is no tag");

    finds("<template><meta name=a content=b><title>t</title><div itemscope "
          "itemtype=x></template><svg><title>s</title></svg><svg/><title>u"
          "</title>", "title =u\n", "templates and drawings");
    finds("<script type=application/ld+json><!-- <script>1</script>2--></script"
          "><meta name=a content=b></script><script><!--></script><meta name=c "
          "content=d><script><!-- </script><meta name=e content=f>",
          "jsonld =<!-- <script>1</script>2-->\nmeta a=b\nmeta c=d\n"
          "meta e=f\n", "scripts in comments in scripts");
    finds("<a =\"x><meta name=a content=b><i a=b=\"c><meta name=d content=e>"
          "<i \"><meta name=f content=g><i a = 'b'c='>'/=\"><meta name=h "
          "content=i>",
          "meta a=b\nmeta d=e\nmeta f=g\nmeta h=i\n",
          "attributes that are none");
    finds("</ x><meta name=a content=b></><!x--><meta name=c content=d>"
          "<!-- --!><meta name=e content=f>",
          "meta a=b\nmeta c=d\nmeta e=f\n", "ends that are none");
    finds("<body itemscope itemtype=x><title itemprop=name>A &amp; b</title>",
          "item =x\ntitle =A & b\nproperty name=A & b\nend =\n",
          "a title that is a property");

    /* characters */

    finds("<svg><title>no</title></svg><title>yes</title><svg></svg>",
          "title =yes\n", "a drawing's title is not the page's");
    finds("<a b='>' c =\"<title>\" d= '>' e=f'>x<a g=\"h\"='>'>x"
          "<a=\">x<a/i='>'/>x<a j k l ='>'><meta name=a content=b>",
          "meta a=b\n", "where a tag ends");
    finds("<product-info itemprop=name>x<b>y</b></product-info>z"
          "<b data-itemprop=\"no\" j\titemprop =\"price\">1</b>"
          "<B ITEMPROP=\"sku\" content=\"2\">",
          "property name=xy\nproperty price=1\nproperty sku=2\n",
          "properties, in elements of any name");

    finds("<meta charset=ISO-8859-1><meta name=a content='Gr\xf6\xdf" "e \x80'>"
          "<script type=application/ld+json>\"\xe9\"</script>",
          "meta a=Gr\xc3\xb6\xc3\x9f" "e \xe2\x82\xac\njsonld =\"\xc3\xa9\"\n",
          "windows-1252");
    finds("\xef\xbb\xbf<meta charset=iso-8859-1><meta name=a content=\xc3\xa9>",
          "meta a=\xc3\xa9\n", "a byte order mark");
    finds("<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>"
          "<meta name=a content=\xc1><meta name=b content=c>"
          "<title>\xc1</title>",
          "meta a=\nmeta b=c\n", "another charset");
    finds("<meta name=a content=\xc3\xa9><meta name=b content=\xe9>",
          "meta a=\xc3\xa9\nmeta b=\xc3\xa9\n", "no charset");

    charset = KLAVIYO_CHARSET_WINDOWS_1252;
    finds("<meta charset=utf-8><meta name=a content=\xe9>",
          "meta a=\xc3\xa9\n", "the header's charset");
    charset = KLAVIYO_CHARSET_NONE;

    /* bounds: a tag, a text, the depth, the memory */

    len = 3 * KLAVIYO_HTML_TAG;
    page = malloc(len + 1);

    memset(page, 'x', len);
    memcpy(page, "<meta name=a content='", 22);
    memcpy(page + len - 40, "'><meta name=b content=c>", 25);
    page[len] = '\0';

    taken_limit = 256;
    read_page(page, len, ALL, 1000);
    is_str(found_text, "meta b=c\n", "a tag that is too long");

    memset(page, ' ', len);
    memcpy(page, "<i itemprop=a>", 14);
    memset(page + 14, 'y', 2 * KLAVIYO_HTML_TEXT);
    memcpy(page + len - 40, "</i><meta name=b content=c>", 27);
    read_page(page, len, ALL, len);
    is_int(found_len, strlen("property a=\nmeta b=c\n") + KLAVIYO_HTML_TEXT,
           "a text that is too long is cut");

    for (i = 0; i < 100; i++) {
        memcpy(page + 26 * i, "<div itemscope itemtype=a>", 26);
    }

    read_page(page, 2600, ALL, 2600);
    is_int(found_len, KLAVIYO_HTML_DEPTH * strlen("item =a\nend =\n"),
           "items in one another: no further than the depth");

    for (taken_limit = 0; taken_limit < 8; taken_limit++) {
        read_page("<title>a</title><i itemprop=b>c</i><meta name=d content=e>",
                  58, ALL, 3);
    }

    ok(found_len > 0, "without memory nothing is found, and nothing breaks");

    free(page);

    return done_testing();
}
