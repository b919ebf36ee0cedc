/*
 * What pages say of themselves, as shops print it: read whole and in pieces
 * of any size, with the same result.
 */


#include <stdlib.h>

#include "page/klaviyo_page.h"

#include "tap.h"


#define ALL  (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA                     \
              |KLAVIYO_HTML_META|KLAVIYO_HTML_DATALAYER                      \
              |KLAVIYO_HTML_ECONTEXT)

#define LD(json)  "<script type=\"application/ld+json\">" json "</script>"

#define HOST  "https://shop.example"


#define name(constant, name)  name,

static const char  *names[] = { KLAVIYO_PAGE_FACTS(name) };

#undef name


static void   *taken[4096];
static size_t  taken_count;
static size_t  taken_limit;

static char    facts[65536];
static int     broken;


static void *
take(void *data, size_t size)
{
    (void) data;

    if (taken_count == taken_limit) {
        return NULL;
    }

    return taken[taken_count++] = malloc(size);
}


/* a line for each fact but the JSON-LD itself; -1: no memory */

static int
read_page(const char *uri, const char *html, size_t len, unsigned want,
    size_t size, size_t piece)
{
    int                      rc;
    size_t                   i, n, at, used;
    uint8_t                 *copy;
    klaviyo_page_t          *page;
    const klaviyo_slice_t   *fact;
    klaviyo_page_request_t   request;

    rc = 0;
    used = 0;
    facts[0] = '\0';
    taken_count = 0;

    request.scheme.data = (const uint8_t *) "https";
    request.scheme.len = 5;
    request.host.data = (const uint8_t *) "shop.example";
    request.host.len = 12;
    request.uri.data = (const uint8_t *) uri;
    request.uri.len = strlen(uri);
    request.charset = KLAVIYO_CHARSET_NONE;

    page = klaviyo_page_create(want, size, &request, take, NULL);

    if (page == NULL) {
        rc = -1;
        goto done;
    }

    for (at = 0; at < len && rc == 0; at += n) {
        n = len - at < piece ? len - at : piece;

        copy = malloc(n);
        memcpy(copy, html + at, n);
        rc = klaviyo_page_feed(page, copy, n);
        free(copy);
    }

    if (klaviyo_page_end(page) == -1) {
        rc = -1;
    }

    for (i = 0; i < KLAVIYO_PAGE_N; i++) {
        fact = klaviyo_page_fact(page, i);

        if (fact->len && i != KLAVIYO_PAGE_JSONLD
            && i != KLAVIYO_PAGE_URL)
        {
            used += snprintf(facts + used, sizeof(facts) - used, "%s=%.*s\n",
                             names[i], (int) fact->len,
                             (const char *) fact->data);
        }
    }

    broken = klaviyo_page_broken(page);

done:

    while (taken_count) {
        free(taken[--taken_count]);
    }

    return rc;
}


/* the whole page, then in pieces of every size up to 40 bytes */

static void
says(const char *label, const char *uri, const char *html,
    const char *expected)
{
    size_t  piece, len;

    len = strlen(html);
    taken_limit = sizeof(taken) / sizeof(taken[0]);

    read_page(uri, html, len, ALL, 65536, len);
    is_str(facts, expected, "%s", label);

    for (piece = 1; piece < 40; piece++) {
        read_page(uri, html, len, ALL, 65536, piece);

        if (strcmp(facts, expected) != 0) {
            ok(0, "%s: in pieces of %zu", label, piece);
            return;
        }
    }
}


static void
test_jsonld(void)
{
    says("an object", "/lamp",
         LD("{\"@context\":\"https://schema.org/\",\"@type\":\"Product\","
            "\"name\":\"Lamp &amp; shade\",\"sku\":\"L-7\","
            "\"productID\":\"7\",\"image\":\"/i/lamp.jpg\","
            "\"brand\":{\"@type\":\"Brand\",\"name\":\"Acme\"},"
            "\"aggregateRating\":{\"@type\":\"AggregateRating\","
            "\"ratingValue\":4.5,\"reviewCount\":3},"
            "\"offers\":{\"@type\":\"Offer\",\"price\":\"19.90\","
            "\"priceCurrency\":\"EUR\","
            "\"availability\":\"https://schema.org/InStock\"}}"),
         "type=product\nname=Lamp & shade\nproduct_id=7\nsku=L-7\n"
         "brand=Acme\nprice=19.90\ncurrency=EUR\n"
         "image=https://shop.example/i/lamp.jpg\navailability=InStock\n"
         "rating=4.5\n");

    says("as WooCommerce prints it", "/product/lamp/?utm_source=x",
         "<title>Lamp &#8211; Shop</title>"
         "<link rel=\"canonical\" href=\"" HOST "/product/lamp/\" />"
         LD("{\"@context\":\"https:\\/\\/schema.org\\/\",\"@graph\":["
            "{\"@context\":\"https:\\/\\/schema.org\\/\","
            "\"@type\":\"BreadcrumbList\",\"itemListElement\":["
            "{\"@type\":\"ListItem\",\"position\":1,\"item\":{"
            "\"name\":\"Home\",\"@id\":\"https:\\/\\/shop.example\"}},"
            "{\"@type\":\"ListItem\",\"position\":2,\"item\":{"
            "\"name\":\"Lamps\",\"@id\":"
            "\"https:\\/\\/shop.example\\/product-category\\/lamps\\/\"}},"
            "{\"@type\":\"ListItem\",\"position\":3,\"item\":{"
            "\"name\":\"Lamp\",\"@id\":"
            "\"https:\\/\\/shop.example\\/product\\/lamp\\/\"}}]},"
            "{\"@context\":\"https:\\/\\/schema.org\\/\","
            "\"@type\":\"Product\",\"@id\":"
            "\"https:\\/\\/shop.example\\/product\\/lamp\\/#product\","
            "\"name\":\"Lamp\",\"url\":"
            "\"https:\\/\\/shop.example\\/product\\/lamp\\/\","
            "\"description\":\"A lamp.\",\"image\":"
            "\"https:\\/\\/shop.example\\/lamp.jpg\",\"sku\":\"L-7\","
            "\"offers\":[{\"@type\":\"Offer\",\"priceSpecification\":["
            "{\"@type\":\"UnitPriceSpecification\",\"price\":\"19.90\","
            "\"priceCurrency\":\"EUR\",\"valueAddedTaxIncluded\":false},"
            "{\"@type\":\"UnitPriceSpecification\",\"price\":\"24.90\","
            "\"priceCurrency\":\"EUR\","
            "\"priceType\":\"https:\\/\\/schema.org\\/ListPrice\"}],"
            "\"availability\":\"http:\\/\\/schema.org\\/InStock\","
            "\"url\":\"https:\\/\\/shop.example\\/product\\/lamp\\/\"}]}]}"),
         "type=product\ntitle=Lamp \xe2\x80\x93 Shop\n"
         "canonical=https://shop.example/product/lamp/\n"
         "name=Lamp\nproduct_id=L-7\nsku=L-7\nprice=19.90\n"
         "list_price=24.90\ncurrency=EUR\n"
         "image=https://shop.example/lamp.jpg\navailability=InStock\n"
         "categories=[\"Lamps\"]\n");

    says("an array, @type as a list, an AggregateOffer", "/lamp",
         LD("[{\"@type\":\"WebSite\",\"url\":\"/\"},"
            "{\"@type\":[\"Thing\",\"http://schema.org/Product\"],"
            "\"name\":\"Lamp\",\"brand\":\"Acme\","
            "\"image\":[{\"@type\":\"ImageObject\",\"url\":\"//c.example/1\"}"
            "],\"offers\":{\"@type\":\"AggregateOffer\",\"lowPrice\":10,"
            "\"highPrice\":20,\"priceCurrency\":\"USD\"}}]"),
         "type=product\nname=Lamp\nbrand=Acme\nprice=10\ncurrency=USD\n"
         "image=https://c.example/1\n");

    says("offers: the one of the page's URL", "/lamp?variant=2",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"url\":\"/lamp\","
            "\"offers\":[{\"price\":1,\"priceCurrency\":\"EUR\","
            "\"url\":\"/lamp?variant=1\"},{\"price\":2,"
            "\"priceCurrency\":\"EUR\",\"url\":\"/lamp?variant=2\"}]}"),
         "type=product\nname=Lamp\nprice=2\ncurrency=EUR\n");

    says("an AggregateOffer with the offers in it", "/lamp?variant=2",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"url\":\"/lamp\","
            "\"offers\":{\"@type\":\"AggregateOffer\",\"lowPrice\":1,"
            "\"priceCurrency\":\"EUR\",\"offers\":[{\"price\":2,"
            "\"priceCurrency\":\"EUR\",\"url\":\"/lamp?variant=2\"}]}}"),
         "type=product\nname=Lamp\nprice=2\ncurrency=EUR\n");

    says("a ProductGroup: the variant of the page", "/lamp?variant=2",
         LD("{\"@type\":\"ProductGroup\",\"name\":\"Lamp\","
            "\"productGroupID\":\"70\",\"url\":\"/lamp\","
            "\"brand\":{\"name\":\"Acme\"},\"hasVariant\":["
            "{\"@type\":\"Product\",\"name\":\"Lamp, red\",\"sku\":\"R\","
            "\"offers\":{\"price\":\"1.00\",\"priceCurrency\":\"EUR\","
            "\"url\":\"/lamp?variant=1\"}},"
            "{\"@type\":\"Product\",\"name\":\"Lamp, blue\",\"sku\":\"B\","
            "\"image\":\"/b.jpg\",\"offers\":{\"price\":\"2.00\","
            "\"priceCurrency\":\"EUR\",\"url\":\"/lamp?variant=2\"}}]}"),
         "type=product\nname=Lamp, blue\nproduct_id=70\nsku=B\nbrand=Acme\n"
         "price=2.00\ncurrency=EUR\nimage=https://shop.example/b.jpg\n");

    says("a ProductGroup without one", "/lamp",
         LD("{\"@type\":\"ProductGroup\",\"name\":\"Lamp\","
            "\"url\":\"/lamp\",\"hasVariant\":["
            "{\"@type\":\"Product\",\"name\":\"Lamp, red\",\"sku\":\"R\","
            "\"offers\":{\"price\":\"1.00\",\"priceCurrency\":\"EUR\","
            "\"url\":\"/lamp?variant=1\"}}]}"),
         "type=product\nname=Lamp\nproduct_id=R\nsku=R\nprice=1.00\n"
         "currency=EUR\n");

    says("several blocks of which one is broken, comments around", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Bro")
         LD("\n<!--\n//<![CDATA[\n{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"price\":5}};\n//]]>\n-->\n"),
         "type=product\nname=Lamp\nprice=5\n");
    is_int(broken, 1, "the broken one is counted");

    says("encoded as if it were HTML", "/lamp",
         LD("{&quot;@type&quot;:&quot;Product&quot;,"
            "&quot;name&quot;:&quot;Lamp&quot;}"),
         "type=product\nname=Lamp\n");

    says("references, a page around the product", "/lamp",
         LD("{\"@graph\":[{\"@type\":\"ItemPage\",\"@id\":\"/lamp\","
            "\"mainEntity\":{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"image\":{\"@id\":\"#img\"},\"brand\":{\"@id\":\"#b\"}}},"
            "{\"@type\":\"ImageObject\",\"@id\":\"#img\","
            "\"contentUrl\":\"https://c.example/1.jpg\"},"
            "{\"@type\":\"Brand\",\"@id\":\"#b\",\"name\":\"Acme\"}]}"),
         "type=product\nname=Lamp\nbrand=Acme\n"
         "image=https://c.example/1.jpg\n");

    says("amounts as shops write them", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"offers\":{"
            "\"price\":\"1.299,00 \xe2\x82\xac\",\"priceCurrency\":\"EUR\"}}"),
         "type=product\nname=Lamp\nprice=1299.00\ncurrency=EUR\n");
}


static void
test_whose(void)
{
    says("another page's product", "/about",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"url\":\"/lamp\"}"),
         "");

    says("related products before the page's own", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Chair\","
            "\"url\":\"" HOST "/chair\"}")
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"url\":\"" HOST "/lamp/\"}"),
         "type=product\nname=Lamp\n");

    says("by an id among the arguments", "/index.php?id=2&a=b",
         LD("[{\"@type\":\"Product\",\"name\":\"Chair\","
            "\"url\":\"/index.php?id=1\"},{\"@type\":\"Product\","
            "\"name\":\"Lamp\",\"url\":\"/index.php?a=b&amp;id=2\"}]"),
         "type=product\nname=Lamp\n");

    says("by the canonical URL", "/sale/lamp",
         "<link rel=canonical href=https://www.shop.example/lamp>"
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"url\":\"https://www.shop.example/lamp\"}"),
         "type=product\ncanonical=https://www.shop.example/lamp\n"
         "name=Lamp\n");

    says("what a review holds is text", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"review\":{"
            "\"@type\":\"Review\",\"itemReviewed\":{\"@type\":\"Product\","
            "\"name\":\"Evil\",\"url\":\"/lamp\"},\"reviewBody\":"
            "\"&lt;script type=application/ld+json&gt;{}&lt;/script&gt;\"}}")
         "<div itemscope itemtype=\"https://schema.org/Product\">"
         "<meta itemprop=url content=/lamp><b itemprop=name>Evil</b>"
         "<b itemprop=sku>666</b></div>",
         "type=product\nname=Lamp\n");

    says("what a review holds is no part of its block", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"review\":{"
            "\"reviewBody\":\"x&quot;},&quot;name&quot;:&quot;Evil&quot;,"
            "&quot;a&quot;:{&quot;b&quot;:&quot;\\&quot;\"}}"),
         "");

    says("a list of products is no product", "/lamps",
         LD("[{\"@type\":\"CollectionPage\",\"name\":\"Lamps\"},"
            "{\"@type\":\"Product\",\"name\":\"Lamp\"}]"),
         "type=category\nname=Lamps\n");

    says("a list of products by their arguments", "/lamps",
         LD("[{\"@type\":\"Product\",\"name\":\"A\",\"url\":\"/lamps?id=7\"},"
            "{\"@type\":\"Product\",\"name\":\"B\",\"url\":\"/lamps?id=8\"}]"),
         "");

    says("variants by their arguments", "/coat",
         LD("[{\"@type\":\"Product\",\"name\":\"A\",\"url\":\"/coat?s=1\","
            "\"isVariantOf\":{\"@id\":\"#c\"}},{\"@type\":\"Product\","
            "\"name\":\"B\",\"url\":\"/coat?s=2\","
            "\"isVariantOf\":{\"@id\":\"#c\"}}]"),
         "type=product\nname=A\n");

    says("one product with more arguments", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"A\",\"url\":\"/lamp?v=7\"}"),
         "type=product\nname=A\n");

    says("a URL that is arguments alone", "/shop/lamp?id=1&x=2",
         "<link rel=canonical href=\"?id=1\">"
         LD("{\"@type\":\"Product\",\"name\":\"A\",\"image\":\"i.jpg\"}"),
         "type=product\ncanonical=https://shop.example/shop/lamp?id=1\n"
         "name=A\nimage=https://shop.example/shop/i.jpg\n");

    says("the one of the title", "/two",
         "<title>Two | Shop</title>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>One</b></div>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>Two</b></div>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>Tw</b></div>",
         "type=product\ntitle=Two | Shop\nname=Two\n");

    says("the title of several", "/two",
         "<title>Two | Shop</title>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>Two</b></div>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>Two</b></div>",
         "title=Two | Shop\n");

    says("products of a list in microdata", "/lamps",
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>One</b></div>"
         "<div itemscope itemtype=http://schema.org/Product>"
         "<b itemprop=name>Two</b></div>",
         "");
}


static void
test_microdata(void)
{
    int          i;
    size_t       len;
    static char  page[32768];

    says("as Magento prints it", "/lamp.html",
         "<meta property=\"og:type\" content=\"product\" />"
         "<meta property=\"og:image\" content=\"" HOST "/m/lamp.jpg\" />"
         "<meta property=\"product:price:amount\" content=\"19.9\"/>"
         "<meta property=\"product:price:currency\" content=\"EUR\"/>"
         "<main itemscope itemtype=\"http://schema.org/Product\">"
         "<h1><span itemprop=\"name\">Lamp</span></h1>"
         "<div itemprop=\"offers\" itemscope "
         "itemtype=\"http://schema.org/Offer\"><span>&euro;19.90</span>"
         "<meta itemprop=\"price\" content=\"19.9\" />"
         "<meta itemprop=\"priceCurrency\" content=\"EUR\" />"
         "<link itemprop=\"availability\" "
         "href=\"https://schema.org/InStock\"></div>"
         "<div class=\"value\" itemprop=\"sku\">L-7</div></main>",
         "type=product\nname=Lamp\nproduct_id=L-7\nsku=L-7\nprice=19.9\n"
         "currency=EUR\nimage=https://shop.example/m/lamp.jpg\n"
         "availability=InStock\n");

    says("as Shopware prints it", "/Lamp/L-7",
         "<html itemscope=\"itemscope\" "
         "itemtype=\"https://schema.org/WebPage\">"
         "<nav><ol itemscope itemtype=\"https://schema.org/BreadcrumbList\">"
         "<li itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a href=\"/Lamps/\" "
         "itemprop=\"item\"><link itemprop=\"url\" href=\"/Lamps/\">"
         "<span itemprop=\"name\">Lamps</span></a>"
         "<meta itemprop=\"position\" content=\"1\"></li></ol></nav>"
         "<div itemscope itemtype=\"https://schema.org/Product\">"
         "<h1 itemprop=\"name\">\n  Lamp\n</h1>"
         "<div itemprop=\"brand\" itemtype=\"https://schema.org/Brand\" "
         "itemscope><meta itemprop=\"name\" content=\"Acme\"></div>"
         "<div itemprop=\"offers\" itemscope "
         "itemtype=\"https://schema.org/Offer\"><meta itemprop=\"url\" "
         "content=\"" HOST "/Lamp/L-7\"><meta itemprop=\"priceCurrency\" "
         "content=\"EUR\"><meta itemprop=\"price\" content=\"495.95\"></div>"
         "<span itemprop=\"sku\">L-7</span></div></html>",
         "type=product\nname=Lamp\nproduct_id=L-7\nsku=L-7\nbrand=Acme\n"
         "price=495.95\ncurrency=EUR\ncategories=[\"Lamps\"]\n");

    says("list items without end tags", "/lamp",
         "<div itemscope itemtype=\"https://schema.org/Product\"><h1 "
         "itemprop=name>Lamp</h1></div><ol itemscope "
         "itemtype=\"https://schema.org/BreadcrumbList\"><li "
         "itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemprop=\"item\" "
         "href=\"https://shop.example/\"><span itemprop=\"name\">Home</span>"
         "</a><meta itemprop=\"position\" content=\"1\" />\n<li "
         "itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemprop=\"item\" "
         "href=\"/books\"><span itemprop=\"name\">Lamps</span></a><meta "
         "itemprop=\"position\" content=\"2\" /></ol><p>x",
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("lists in them", "/lamp",
         "<ul itemscope itemtype=\"https://schema.org/BreadcrumbList\"><li "
         "itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemprop=item "
         "href=\"/a\"><b itemprop=name>A</b></a><ul><li>x<li>y<ul><li>z</ul>"
         "</ul><meta itemprop=position content=2><li "
         "itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemprop=item "
         "href=\"/b\"><b itemprop=name>B</b></a><ol><li>x</li></ol><meta "
         "itemprop=position content=1></li></ul><div itemscope "
         "itemtype=\"https://schema.org/Product\"><ul><li itemprop=name>"
         "Lamp<li itemprop=sku>L</ul><b itemprop=productID>7</b></div>",
         "type=product\nname=Lamp\nproduct_id=7\nsku=L\ncategories=[\"B\","
         "\"A\"]\n");

    says("one in a list item", "/lamp",
         "<div itemscope itemtype=\"https://schema.org/Product\"><ul><li "
         "itemprop=offers itemscope itemtype=\"https://schema.org/Offer\">"
         "<meta itemprop=price content=5><ul itemprop=seller itemscope "
         "itemtype=\"https://schema.org/Organization\"><li itemprop=name>"
         "Shop<li>x</ul><meta itemprop=priceCurrency content=EUR></ul><h1 "
         "itemprop=name>Lamp</h1></div>",
         "type=product\nname=Lamp\nprice=5\ncurrency=EUR\n");

    says("names in links", "/lamp",
         "<div itemscope itemtype=\"https://schema.org/Product\"><h1 "
         "itemprop=name>Lamp</h1></div><ol itemscope "
         "itemtype=\"https://schema.org/BreadcrumbList\"><li "
         "itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemscope "
         "itemtype=\"https://schema.org/WebPage\" itemprop=\"item\" "
         "itemid=\"https://shop.example/\" href=\"https://shop.example/\">"
         "<span itemprop=\"name\">Home</span></a><meta itemprop=\"position\" "
         "content=\"1\" /></li><li itemprop=\"itemListElement\" itemscope "
         "itemtype=\"https://schema.org/ListItem\"><a itemscope "
         "itemtype=\"https://schema.org/WebPage\" itemprop=\"item\" "
         "href=\"https://shop.example/lamps\"><span itemprop=\"name\">"
         "Lamps</span></a><meta itemprop=\"position\" content=\"2\" /></li>"
         "</ol>",
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("an item in an element without an end", "/lamp",
         "<div itemscope itemtype=\"http://schema.org/Product\"><meta "
         "itemtype=\"http://schema.org/Brand\" itemscope=\"itemscope\" "
         "itemprop=\"brand\" content=\"Acme\"><link itemprop=image itemscope "
         "itemtype=\"http://schema.org/ImageObject\" href=\"/i.jpg\"><img "
         "itemscope itemtype=\"http://schema.org/Thing\" src=\"/x.jpg\"><h1 "
         "itemprop=name>Lamp</h1></div>",
         "type=product\nname=Lamp\nbrand=Acme\n"
         "image=https://shop.example/i.jpg\n");

    says("in small letters", "/lamp",
         "<div itemscope itemtype=\"http://schema.org/product\"><h1 "
         "itemprop=name>Lamp</h1><div itemprop=offers itemscope itemtype=\""
         "http://schema.org/Offer\"><meta itemprop=price content=5><meta "
         "itemprop=pricecurrency content=EUR></div></div>",
         "type=product\nname=Lamp\nprice=5\ncurrency=EUR\n");

    says("products that are links", "/lamps",
         "<a itemscope itemtype=\"https://schema.org/Product\" "
         "href=\"/chair\"><b itemprop=name>Chair</b></a>",
         "");

    taken_limit = sizeof(taken) / sizeof(taken[0]);
    len = sprintf(page, "<article itemscope itemtype=http://schema.org/Creati"
                  "veWork><div itemprop=text>");

    for (i = 0; i < 3; i++) {
        len += sprintf(page + len, "%05000d<div itemprop=x><b itemprop=name>"
                       "A%d</b>%0*d</div>", i, i, 1000 * i, i);
    }

    len += sprintf(page + len, "<div itemscope itemtype=http://schema.org/Prod"
                   "uct><h1 itemprop=name>Lamp</h1><b itemprop=sku>L</b></div>"
                   "</div></article>");
    ok(len < sizeof(page), "a long text around the product");

    says("in a long text", "/lamp", page,
         "type=product\nname=Lamp\nproduct_id=L\nsku=L\n");

    taken_limit = sizeof(taken) / sizeof(taken[0]);
    len = sprintf(page, "<div itemscope itemtype=http://schema.org/Product>");

    for (i = 0; i < 100; i++) {
        len += sprintf(page + len, "<b itemprop=additionalProperty itemscope>"
                       "<i itemprop=name>%d</i></b>", i);
    }

    len += sprintf(page + len, "<b itemprop=name>Lamp</b></div>");

    read_page("/lamp", page, len, ALL, 65536, len);
    is_str(facts, "type=product\nname=Lamp\n", "a hundred properties");
}


static void
test_meta(void)
{
    says("OpenGraph alone", "/lamp",
         "<meta property=\"og:type\" content=\"product\">"
         "<meta property=\"og:title\" content=\"Lamp &quot;X&quot;\">"
         "<meta property=\"og:image\" content=\"https://c.example/1.jpg\">"
         "<meta property=\"product:original_price:amount\" content=\"30\">"
         "<meta property=\"product:price:amount\" content=\"20\">"
         "<meta property=\"product:price:currency\" content=\"USD\">"
         "<meta property=\"product:brand\" content=\"Acme\">"
         "<meta property=\"product:retailer_item_id\" content=\"7\">"
         "<meta property=\"product:availability\" content=\"in stock\">",
         "type=product\nname=Lamp \"X\"\nproduct_id=7\nbrand=Acme\nprice=20\n"
         "list_price=30\ncurrency=USD\nimage=https://c.example/1.jpg\n"
         "availability=InStock\n");

    says("what JSON-LD leaves out comes from there", "/lamp",
         "<meta property=\"og:price:amount\" content=\"99\">"
         "<meta property=\"og:price:currency\" content=\"USD\">"
         "<meta property=\"og:image\" content=\"https://c.example/1.jpg\">"
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"price\":5}}"),
         "type=product\nname=Lamp\nprice=5\ncurrency=USD\n"
         "image=https://c.example/1.jpg\n");

    says("an article", "/blog/1",
         "<meta property=\"og:type\" content=\"article\">"
         "<meta property=\"og:title\" content=\"News\">",
         "type=article\nname=News\n");

    says("nothing", "/", "<title>Hello</title><p>world</p>",
         "title=Hello\n");
}


static void
test_order(void)
{
    says("an order", "/thanks",
         LD("{\"@type\":\"Order\",\"orderNumber\":\"1001\","
            "\"priceCurrency\":\"EUR\",\"price\":\"59.80\","
            "\"customer\":{\"@type\":\"Person\",\"name\":\"Eve\"},"
            "\"acceptedOffer\":[{\"@type\":\"Offer\",\"itemOffered\":{"
            "\"@type\":\"Product\",\"name\":\"Lamp\",\"sku\":\"L-7\","
            "\"url\":\"" HOST "/lamp\"},\"price\":\"29.90\","
            "\"eligibleQuantity\":{\"@type\":\"QuantitativeValue\","
            "\"value\":\"2\"}}]}"),
         "type=order\ncurrency=EUR\norder_id=1001\ntotal=59.80\n"
         "items=[{\"ProductID\":\"L-7\",\"SKU\":\"L-7\","
         "\"ProductName\":\"Lamp\",\"Quantity\":2,\"ItemPrice\":29.90,"
         "\"ProductURL\":\"https://shop.example/lamp\"}]\n"
         "item_names=[\"Lamp\"]\n");

    says("ordered items", "/thanks",
         LD("{\"@type\":\"Order\",\"orderNumber\":7,"
            "\"totalPaymentDue\":{\"@type\":\"PriceSpecification\","
            "\"price\":10,\"priceCurrency\":\"USD\"},"
            "\"orderedItem\":[{\"@type\":\"OrderItem\",\"orderQuantity\":1,"
            "\"orderedItem\":{\"@type\":\"Product\",\"name\":\"A\","
            "\"productID\":\"1\",\"offers\":{\"price\":10}}}]}"),
         "type=order\ncurrency=USD\norder_id=7\ntotal=10\n"
         "items=[{\"ProductID\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":10}]\nitem_names=[\"A\"]\n");

    says("a purchase in the data layer", "/thanks",
         "<script>window.dataLayer = window.dataLayer || [];\n"
         "dataLayer.push({ ecommerce: null });\n"
         "dataLayer.push({\"event\":\"purchase\",\"ecommerce\":{"
         "\"transaction_id\":\"T1\",\"value\":25.42,\"currency\":\"USD\","
         "\"items\":[{\"item_id\":\"7\",\"item_name\":\"Lamp\","
         "\"item_brand\":\"Acme\",\"item_category\":\"Lamps\","
         "\"item_category2\":\"Desk\",\"price\":12.71,\"quantity\":2}]}});"
         "</script>",
         "type=order\ncurrency=USD\norder_id=T1\ntotal=25.42\n"
         "items=[{\"ProductID\":\"7\",\"ProductName\":\"Lamp\","
         "\"Quantity\":2,\"ItemPrice\":12.71,"
         "\"Categories\":[\"Lamps\",\"Desk\"],\"Brand\":\"Acme\"}]\n"
         "item_names=[\"Lamp\"]\n");

    says("the form before GA4", "/thanks",
         "<script>dataLayer = [{\"ecommerce\":{\"currencyCode\":\"EUR\","
         "\"purchase\":{\"actionField\":{\"id\":\"T2\",\"revenue\":\"5.00\"},"
         "\"products\":[{\"id\":\"9\",\"name\":\"B\",\"price\":\"5.00\","
         "\"quantity\":1}]}}}];</script>",
         "type=order\ncurrency=EUR\norder_id=T2\ntotal=5.00\n"
         "items=[{\"ProductID\":\"9\",\"ProductName\":\"B\",\"Quantity\":1,"
         "\"ItemPrice\":5.00}]\nitem_names=[\"B\"]\n");

    says("view_item and begin_checkout", "/lamp",
         "<script>dataLayer.push({\"event\":\"view_item\",\"ecommerce\":{"
         "\"currency\":\"EUR\",\"value\":3,\"items\":[{\"item_id\":\"7\","
         "\"item_name\":\"Lamp\",\"item_category\":\"Lamps\","
         "\"price\":3}]}}, {\"event\":\"begin_checkout\"});</script>",
         "type=product\nname=Lamp\nproduct_id=7\nprice=3\ncurrency=EUR\n"
         "categories=[\"Lamps\"]\n");

    says("what is no JSON is left alone", "/thanks",
         "<script>dataLayer.push({'event':'purchase'});"
         "dataLayer.push({event:\"purchase\"});"
         "dataLayer.push(x);dataLayer.push({\"event\":\"purchase\"</script>",
         "");
}


static void
test_offers(void)
{
    says("an offer without a price", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"@type\":\"Offer\",\"availability\":\"https://schem"
            "a.org/OutOfStock\"}}"),
         "type=product\nname=Lamp\navailability=OutOfStock\n");

    says("what an AggregateOffer leaves out, its offers say", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"@type\":\"AggregateOffer\",\"lowPrice\":\"10\","
            "\"highPrice\":\"20\",\"offers\":[{\"@type\":\"Offer\","
            "\"price\":\"10\",\"priceCurrency\":\"EUR\","
            "\"availability\":\"http://schema.org/InStock\"}]}}"),
         "type=product\nname=Lamp\nprice=10\ncurrency=EUR\navailability=InSto"
         "ck\n");

    says("a list price alone", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"@type\":\"Offer\",\"priceSpecification\":{\"@type"
            "\":\"UnitPriceSpecification\",\"price\":\"30.00\","
            "\"priceCurrency\":\"EUR\",\"priceType\":\"https://schema.org/Lis"
            "tPrice\"}}}"),
         "type=product\nname=Lamp\nprice=30.00\ncurrency=EUR\n");

    says("prices that are of members, or of the delivery", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"@type\":\"Offer\",\"priceSpecification\":[{\"@type"
            "\":\"DeliveryChargeSpecification\",\"price\":\"4.90\","
            "\"priceCurrency\":\"EUR\"},{\"@type\":\"UnitPriceSpecification\""
            ",\"price\":8,\"validForMemberTier\":{\"@id\":\"#gold\"},"
            "\"priceCurrency\":\"EUR\"},{\"@type\":\"UnitPriceSpecification\""
            ",\"price\":10,\"priceCurrency\":\"EUR\"}]}}"),
         "type=product\nname=Lamp\nprice=10\ncurrency=EUR\n");

    says("offers: the URL that fits best", "/lamp?variant=2",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"url\":\"https://shop.example/lamp\","
            "\"offers\":[{\"@type\":\"Offer\",\"price\":1,"
            "\"priceCurrency\":\"EUR\",\"url\":\"https://shop.example/lamp\"}"
            ",{\"@type\":\"Offer\",\"price\":2,\"priceCurrency\":\"EUR\","
            "\"url\":\"https://shop.example/lamp?variant=2\"}]}"),
         "type=product\nname=Lamp\nprice=2\ncurrency=EUR\n");

    says("one in an AggregateOffer that has the page's URL too",
         "/lamp?variant=2",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"url\":\"/lamp\","
            "\"offers\":{\"@type\":\"AggregateOffer\",\"url\":\"/lamp\","
            "\"lowPrice\":1,\"priceCurrency\":\"EUR\","
            "\"offers\":[{\"price\":1,\"url\":\"/lamp?variant=1\"},"
            "{\"price\":2,\"priceCurrency\":\"EUR\","
            "\"url\":\"/lamp?variant=2\"}]}}"),
         "type=product\nname=Lamp\nprice=2\ncurrency=EUR\n");

    says("variants: the URL that fits best", "/lamp?variant=2",
         LD("{\"@type\":\"ProductGroup\",\"name\":\"Lamp\","
            "\"productGroupID\":\"9\",\"url\":\"https://shop.example/lamp\","
            "\"hasVariant\":[{\"@type\":\"Product\",\"name\":\"Red\","
            "\"sku\":\"R\",\"offers\":{\"price\":1,\"priceCurrency\":\"EUR\","
            "\"url\":\"https://shop.example/lamp\"}},{\"@type\":\"Product\","
            "\"name\":\"Blue\",\"sku\":\"B\",\"offers\":{\"price\":2,"
            "\"priceCurrency\":\"EUR\",\"url\":\"https://shop.example/lamp?va"
            "riant=2\"}}]}"),
         "type=product\nname=Blue\nproduct_id=9\nsku=B\nprice=2\ncurrency=EUR"
         "\n");

    says("a variant apart from its group", "/coat?size=small&color=green",
         LD("[{\"@context\":\"https://schema.org/\","
            "\"@type\":\"ProductGroup\",\"@id\":\"#coat_parent\","
            "\"name\":\"Wool winter coat\",\"url\":\"https://shop.example/coa"
            "t\",\"brand\":{\"@type\":\"Brand\",\"name\":\"Good brand\"},"
            "\"productGroupID\":\"44E01\"},{\"@type\":\"Product\","
            "\"sku\":\"44E01-M11000\",\"image\":\"https://shop.example/coat_s"
            "mall_green.jpg\",\"name\":\"Small green coat\","
            "\"offers\":{\"@type\":\"Offer\",\"url\":\"https://shop.example/c"
            "oat?size=small&color=green\",\"priceCurrency\":\"USD\","
            "\"price\":39.99,\"availability\":\"https://schema.org/InStock\"}"
            ",\"isVariantOf\":{\"@id\":\"#coat_parent\"}},"
            "{\"@type\":\"Product\",\"sku\":\"44E01-K11000\","
            "\"name\":\"Small lightblue coat\","
            "\"offers\":{\"@type\":\"Offer\",\"url\":\"https://shop.example/c"
            "oat?size=small&color=lightblue\",\"priceCurrency\":\"USD\","
            "\"price\":49.99},\"isVariantOf\":{\"@id\":\"#coat_parent\"}}]"),
         "type=product\nname=Small green coat\nproduct_id=44E01\nsku=44E01-M1"
         "1000\nbrand=Good brand\nprice=39.99\ncurrency=USD\nimage=https://sh"
         "op.example/coat_small_green.jpg\navailability=InStock\n");

    says("a group apart from its variants", "/coat",
         LD("[{\"@type\":\"ProductGroup\",\"@id\":\"#coat_parent\","
            "\"name\":\"Wool winter coat\",\"url\":\"https://shop.example/coa"
            "t\",\"brand\":{\"@type\":\"Brand\",\"name\":\"Good brand\"},"
            "\"productGroupID\":\"44E01\"},{\"@type\":\"Product\","
            "\"sku\":\"44E01-M11000\",\"image\":\"https://shop.example/coat_s"
            "mall_green.jpg\",\"name\":\"Small green coat\","
            "\"offers\":{\"@type\":\"Offer\",\"url\":\"https://shop.example/c"
            "oat?size=small&color=green\",\"priceCurrency\":\"USD\","
            "\"price\":39.99,\"availability\":\"https://schema.org/InStock\"}"
            ",\"isVariantOf\":{\"@id\":\"#coat_parent\"}}]"),
         "type=product\nname=Wool winter coat\nproduct_id=44E01\nsku=44E01-M1"
         "1000\nbrand=Good brand\nprice=39.99\ncurrency=USD\nimage=https://sh"
         "op.example/coat_small_green.jpg\navailability=InStock\n");

    says("Yoast: an attribute in the arguments",
         "/product/lamp/?attribute_color=blue",
         "<link rel=\"canonical\" href=\"https://shop.example/product/lamp/\""
         " />"
         LD("{\"@context\":\"https://schema.org\","
            "\"@graph\":[{\"@type\":\"Product\","
            "\"@id\":\"https://shop.example/product/lamp/#product\","
            "\"name\":\"Lamp\",\"url\":\"https://shop.example/product/lamp/\""
            ",\"sku\":1042,\"offers\":[{\"@type\":\"AggregateOffer\","
            "\"lowPrice\":\"10.00\",\"highPrice\":\"20.00\",\"offerCount\":2,"
            "\"priceCurrency\":\"EUR\",\"availability\":\"http://schema.org/I"
            "nStock\",\"url\":\"https://shop.example/product/lamp/\","
            "\"offers\":[{\"@type\":\"Offer\",\"priceSpecification\":{\"@type"
            "\":\"PriceSpecification\",\"price\":\"10.00\","
            "\"priceCurrency\":\"EUR\"},\"url\":\"https://shop.example/produc"
            "t/lamp/?attribute_color=red\"},{\"@type\":\"Offer\","
            "\"availability\":\"http://schema.org/OutOfStock\","
            "\"priceSpecification\":{\"@type\":\"PriceSpecification\","
            "\"price\":\"20.00\",\"priceCurrency\":\"EUR\"},"
            "\"url\":\"https://shop.example/product/lamp/?attribute_color=blu"
            "e\"}]}]}]}"),
         "type=product\ncanonical=https://shop.example/product/lamp/\nname=La"
         "mp\nproduct_id=1042\nsku=1042\nprice=20.00\ncurrency=EUR\navailabil"
         "ity=OutOfStock\n");

    says("a slash behind the availability", "/a",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"price\":1,\"availability\":\"http://schema.org/InS"
            "tock/\"}}"),
         "type=product\nname=Lamp\nprice=1\navailability=InStock\n");

    says("what it cost before, of the meta tags", "/lamp",
         "<meta property=\"product:price:amount\" content=\"30.00\"><meta "
         "property=\"product:price:currency\" content=\"EUR\"><meta "
         "property=\"product:sale_price:amount\" content=\"20.00\">"
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"price\":\"20.00\",\"priceCurrency\":\"EUR\"}}"),
         "type=product\nname=Lamp\nprice=20.00\nlist_price=30.00\ncurrency=EU"
         "R\n");

    says("sizes of which the first is out of stock", "/lamp",
         LD("{\"@type\":\"product\",\"name\":\"Lamp\",\"offers\":["
            "{\"@type\":\"Offer\",\"availability\":"
            "\"http://schema.org/OutOfStock\",\"price\":\"4\","
            "\"priceCurrency\":\"EUR\",\"sku\":\"S\",\"url\":\"/lamp\"},"
            "{\"@type\":\"Offer\",\"availability\":"
            "\"http://schema.org/InStock\",\"price\":\"5\","
            "\"priceCurrency\":\"EUR\",\"sku\":\"M\",\"url\":\"/lamp\"},"
            "{\"@type\":\"Offer\",\"availability\":"
            "\"http://schema.org/InStock\",\"price\":\"6\","
            "\"priceCurrency\":\"EUR\",\"sku\":\"L\",\"url\":\"/lamp\"}]}"),
         "type=product\nname=Lamp\nproduct_id=M\nsku=M\nprice=5\n"
         "currency=EUR\navailability=InStock\n");

    says("the size of the page", "/lamp?size=s",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"offers\":["
            "{\"availability\":\"InStock\",\"price\":\"5\","
            "\"url\":\"/lamp?size=m\"},"
            "{\"availability\":\"OutOfStock\",\"price\":\"4\","
            "\"url\":\"/lamp?size=s\"}]}"),
         "type=product\nname=Lamp\nprice=4\navailability=OutOfStock\n");

    says("sizes in an AggregateOffer", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"offers\":{"
            "\"@type\":\"AggregateOffer\",\"lowPrice\":4,"
            "\"priceCurrency\":\"EUR\",\"offers\":["
            "{\"availability\":\"http://schema.org/SoldOut\",\"price\":4},"
            "{\"availability\":\"http://schema.org/InStock\",\"price\":5}]}}"),
         "type=product\nname=Lamp\nprice=4\ncurrency=EUR\n"
         "availability=InStock\n");

    says("an AggregateOffer that says so itself", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"offers\":{"
            "\"@type\":\"AggregateOffer\",\"lowPrice\":4,"
            "\"availability\":\"http://schema.org/OutOfStock\",\"offers\":["
            "{\"availability\":\"http://schema.org/InStock\",\"price\":5}]}}"),
         "type=product\nname=Lamp\nprice=4\navailability=OutOfStock\n");

    says("the price of a quantity before the product's", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Tea\","
            "\"offers\":{\"@type\":\"Offer\",\"priceSpecification\":["
            "{\"@type\":\"UnitPriceSpecification\",\"price\":\"2.00\","
            "\"priceCurrency\":\"EUR\",\"referenceQuantity\":{\"@type\":"
            "\"QuantitativeValue\",\"value\":\"100\",\"unitCode\":\"GRM\"}},"
            "{\"@type\":\"UnitPriceSpecification\",\"price\":\"20.00\","
            "\"priceCurrency\":\"EUR\"}]}}"),
         "type=product\nname=Tea\nprice=20.00\ncurrency=EUR\n");

    says("the price of a quantity alone", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Tea\","
            "\"offers\":{\"@type\":\"Offer\",\"priceSpecification\":"
            "{\"@type\":\"UnitPriceSpecification\",\"price\":81.00,"
            "\"priceCurrency\":\"EUR\",\"referenceQuantity\":{\"value\":"
            "\"4.5\",\"unitCode\":\"LTR\",\"valueReference\":{\"value\":"
            "\"1\"}}}}}"),
         "type=product\nname=Tea\nprice=81.00\ncurrency=EUR\n");

    says("the SKU of an offer", "/p/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":[{\"@type\":\"Offer\",\"sku\":\"A1\",\"price\":5,"
            "\"priceCurrency\":\"EUR\"}]}"),
         "type=product\nname=Lamp\nproduct_id=A1\nsku=A1\nprice=5\n"
         "currency=EUR\n");
}


static void
test_categories(void)
{
    says("a way to the page without categories", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"category\":\"Lamps > "
            "Desk\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":1,\"name\":\"Home\","
            "\"item\":\"https://shop.example/\"},{\"@type\":\"ListItem\","
            "\"position\":2,\"name\":\"Lamp\",\"item\":\"https://shop.example"
            "/lamp\"}]}"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\",\"Desk\"]\n");

    says("categories as a list", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"category\":[\"Lamps\",\"Desk\"]}"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\",\"Desk\"]\n");

    says("breadcrumbs of a WebPage", "/lamp",
         LD("{\"@type\":\"WebPage\",\"breadcrumb\":{\"@type\":\"BreadcrumbLis"
            "t\",\"itemListElement\":[{\"@type\":\"ListItem\",\"position\":1,"
            "\"name\":\"Home\",\"item\":\"https://shop.example/\"},"
            "{\"@type\":\"ListItem\",\"position\":2,\"name\":\"Lamps\","
            "\"item\":\"https://shop.example/lamps\"}]},"
            "\"mainEntity\":{\"@type\":\"Product\",\"name\":\"Lamp\"}}"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("the page at the end of the breadcrumbs, in other words", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":1,\"name\":\"Home\","
            "\"item\":\"https://shop.example/\"},{\"@type\":\"ListItem\","
            "\"position\":2,\"name\":\"Lamps\","
            "\"item\":\"https://shop.example/lamps\"},"
            "{\"@type\":\"ListItem\",\"position\":3,\"name\":\"The Lamp\"}]}"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("a category of two letters", "/tv/sony",
         LD("{\"@type\":\"Product\",\"name\":\"Sony\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":1,\"name\":\"TV\","
            "\"item\":\"https://shop.example/tv/\"},{\"@type\":\"ListItem\","
            "\"position\":2,\"name\":\"OLED\",\"item\":\"https://shop.example"
            "/tv/oled\"}]}"),
         "type=product\nname=Sony\ncategories=[\"TV\",\"OLED\"]\n");

    says("breadcrumbs that end before the category", "/lighting/lamps",
         LD("{\"@type\":\"CollectionPage\",\"name\":\"Lamps\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":1,\"name\":\"Home\","
            "\"item\":\"https://shop.example/\"},{\"@type\":\"ListItem\","
            "\"position\":2,\"name\":\"Lighting\","
            "\"item\":\"https://shop.example/lighting\"}]}"),
         "type=category\nname=Lamps\ncategories=[\"Lighting\"]\n");

    says("several ways to the page", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"category\":\"Own\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":1,\"name\":\"Home\","
            "\"item\":\"https://shop.example/\"},{\"@type\":\"ListItem\","
            "\"position\":2,\"name\":\"Lamp\"}]}")
         LD("[{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":2,\"name\":\"Lamps\","
            "\"item\":\"https://shop.example/lamps\"}]},"
            "{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":2,\"name\":\"Sale\","
            "\"item\":\"https://shop.example/sale\"}]}]"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("breadcrumbs that are empty", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\"}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[]}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":[{\"@type\":\""
            "ListItem\",\"position\":2,\"name\":\"Lamps\","
            "\"item\":\"https://shop.example/lamps\"}]}"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");
}


static void
test_home(void)
{
    says("a home page without a URL", "/lamp",
         LD("[{\"@type\":\"Product\",\"name\":\"Lamp\"},"
            "{\"@type\":\"BreadcrumbList\",\"itemListElement\":["
            "{\"name\":\"Home\"},{\"name\":\"Lamps\"},"
            "{\"name\":\"Lamp\"}]}]"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");

    says("one at /index.php", "/lamp",
         LD("[{\"@type\":\"Product\",\"name\":\"Lamp\"},"
            "{\"@type\":\"BreadcrumbList\",\"itemListElement\":["
            "{\"name\":\"Start\",\"item\":\"/index.php\"},"
            "{\"name\":\"Lamps\",\"item\":\"/lamps\"}]}]"),
         "type=product\nname=Lamp\ncategories=[\"Lamps\"]\n");
}


static void
test_several(void)
{
    says("an image that is a reference with a type", "/lamp",
         LD("{\"@graph\":[{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"image\":{\"@type\":\"ImageObject\","
            "\"@id\":\"https://shop.example/lamp#primaryimage\"}},"
            "{\"@type\":\"ImageObject\",\"@id\":\"https://shop.example/lamp#p"
            "rimaryimage\",\"url\":\"https://shop.example/i.jpg\"}]}"),
         "type=product\nname=Lamp\nimage=https://shop.example/i.jpg\n");

    says("an image that is no URL", "/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"image\":[\"data:image/gif;base64,R0\","
            "\"https://shop.example/i.jpg\"]}"),
         "type=product\nname=Lamp\nimage=https://shop.example/i.jpg\n");

    says("the ratings of a product apart", "/products/lamp",
         LD("{\"@type\":\"Product\",\"@id\":\"https://shop.example/products/l"
            "amp\",\"aggregateRating\":{\"ratingValue\":\"4.5\"}}")
         LD("{\"@type\":\"Product\",\"url\":\"https://shop.example/products/l"
            "amp\",\"name\":\"Lamp\",\"sku\":\"L\",\"offers\":{\"price\":5,"
            "\"priceCurrency\":\"EUR\"}}"),
         "type=product\nname=Lamp\nproduct_id=L\nsku=L\nprice=5\ncurrency=EUR"
         "\nrating=4.5\n");

    says("the same without URLs", "/products/lamp",
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"aggregateRating\":{\"ratingValue\":\"4.5\"}}")
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"sku\":\"L\","
            "\"offers\":{\"price\":5,\"priceCurrency\":\"EUR\"}}"),
         "type=product\nname=Lamp\nproduct_id=L\nsku=L\nprice=5\ncurrency=EUR"
         "\nrating=4.5\n");

    says("comments and CDATA as Drupal has them", "/lamp",
         LD("<!--//--><![CDATA[//><!--\n{\"@type\":\"Product\","
            "\"name\":\"Lamp\"}\n//--><!]]>"),
         "type=product\nname=Lamp\n");

    says("an id that names no page", "/lamp",
         LD("{\"@type\":\"Product\",\"@id\":\"https://shop.example/#product\""
            ",\"name\":\"Lamp\"}"),
         "type=product\nname=Lamp\n");
}


#define ECONTEXT(route, answers, questions)                                  \
    "<script>var eContext = {\"graphqlResponse\":{" answers "},"             \
    "\"propsMap\":{\"e1\":[{\"origin\":\"shop\",\"alias\":\"a0\"}],"           \
    "\"e2\":[" questions "]},\"config\":{\"pageMeta\":{" route "}}};</script>"

#define ROUTE(id)  "\"route\":{\"id\":\"" id "\",\"isAdmin\":false}"


static void
test_evershop(void)
{
    int     i;
    size_t  len;

    static char        html[16384];
    static const char  lamp[] =
        ECONTEXT(ROUTE("productView"),
                 "\"a0\":null,\"a1\":{\"name\":\"La\\u006dp\",\"sku\":\"L-7\","
                 "\"price\":{\"regular\":{\"value\":59,\"text\":\"59 \\u20AC\"},"
                 "\"special\":{\"value\":49.50,\"text\":\"\\u20AC49.50\"}},"
                 "\"inventory\":{\"isInStock\":false},"
                 "\"image\":{\"alt\":\"x\",\"url\":\"/l.jpg\"}},"
                 "\"a2\":{\"breadcrumbs\":[{\"title\":\"Home\",\"url\":\"/\"},"
                 "{\"title\":\"Lamps\",\"url\":\"/lamps\"},"
                 "{\"title\":\"Lamp\",\"url\":\"https://shop.example/lamp\"}]},"
                 "\"a3\":{\"name\":\"Related\",\"sku\":\"R\"}",
                 "{\"origin\":\"product\",\"alias\":\"a1\"},"
                 "{\"origin\":\"pageInfo\",\"alias\":\"a2\"},"
                 "{\"origin\":\"shelf\",\"alias\":\"a3\"}");

    says("EverShop's product", "/lamp", lamp,
         "type=product\nname=Lamp\nproduct_id=L-7\nsku=L-7\nprice=49.50\n"
         "list_price=59\ncurrency=EUR\nimage=https://shop.example/l.jpg\n"
         "availability=OutOfStock\ncategories=[\"Lamps\"]\n");

    says("in dollars, which are many", "/lamp",
         ECONTEXT(ROUTE("productView"),
                  "\"a1\":{\"name\":\"Lamp\",\"sku\":\"L-7\",\"price\":{"
                  "\"regular\":{\"value\":49,\"text\":\"$49.00\"},"
                  "\"special\":{\"value\":49,\"text\":\"$49.00\"}},"
                  "\"image\":null}",
                  "{\"origin\":\"product\",\"alias\":\"a1\"}"),
         "type=product\nname=Lamp\nproduct_id=L-7\nsku=L-7\nprice=49\n");

    says("its earlier version asks in parts and tells no route", "/lamp",
         ECONTEXT("", "\"a1\":{\"name\":\"Lamp\"},"
                  "\"a2\":{\"name\":\"Lamp\",\"sku\":\"L-7\",\"price\":{"
                  "\"regular\":{\"value\":59},\"special\":{\"value\":49}}},"
                  "\"a3\":{\"image\":{\"url\":\"/l.jpg\"}}",
                  "{\"origin\":\"product\",\"alias\":\"a1\"},"
                  "{\"origin\":\"product\",\"alias\":\"a2\"},"
                  "{\"origin\":\"product\",\"alias\":\"a3\"}"),
         "type=product\nname=Lamp\nproduct_id=L-7\nsku=L-7\nprice=49\n"
         "list_price=59\nimage=https://shop.example/l.jpg\n");

    says("a page without a product", "/",
         ECONTEXT("", "\"a0\":{\"name\":\"Shop\",\"sku\":\"S\"}", ""), "");

    says("a product on a page of another kind", "/account",
         ECONTEXT(ROUTE("account"), "\"a1\":{\"name\":\"Lamp\"}",
                  "{\"origin\":\"product\",\"alias\":\"a1\"}"), "");

    says("its category", "/lamps",
         ECONTEXT(ROUTE("categoryView"), "\"a1\":{\"name\":\"Lamps\","
                  "\"image\":{\"url\":\"/c.jpg\"},\"products\":{\"items\":["
                  "{\"name\":\"Lamp\",\"sku\":\"L-7\"}]}}",
                  "{\"origin\":\"category\",\"alias\":\"a1\"}"),
         "type=category\nname=Lamps\nimage=https://shop.example/c.jpg\n");

    says("its search", "/search?keyword=lamp",
         ECONTEXT(ROUTE("catalogSearch"), "\"a1\":{\"keyword\":\"lamp\"}",
                  "{\"origin\":\"search\",\"alias\":\"a1\"}"),
         "type=search\n");

    says("its checkout", "/checkout",
         ECONTEXT(ROUTE("checkout"), "\"a1\":{\"uuid\":\"x\"}", ""),
         "type=checkout\n");

    says("its order", "/checkout/success/1",
         ECONTEXT(ROUTE("checkoutSuccess"),
                  "\"a1\":{\"orderNumber\":\"10001\","
                  "\"customerEmail\":\"ann@example.com\"},"
                  "\"a2\":{\"orderNumber\":\"10001\",\"grandTotal\":"
                  "{\"text\":\"\\u20AC1,054.00\"},\"items\":[{\"uuid\":\"i\","
                  "\"productName\":\"Lamp\",\"productSku\":\"L-7\",\"qty\":2,"
                  "\"thumbnail\":\"/t.jpg\",\"productUrl\":\"/lamp\","
                  "\"productPrice\":{\"text\":\"\\u20AC500.00\"},"
                  "\"productPriceInclTax\":{\"text\":\"\\u20AC527.00\"}}]}",
                  "{\"origin\":\"order\",\"alias\":\"a1\"},"
                  "{\"origin\":\"order\",\"alias\":\"a2\"}"),
         "type=order\ncurrency=EUR\norder_id=10001\ntotal=1054.00\n"
         "items=[{\"ProductID\":\"L-7\",\"SKU\":\"L-7\","
         "\"ProductName\":\"Lamp\",\"Quantity\":2,"
         "\"ItemPrice\":527.00,\"ProductURL\":\"/lamp\",\"ImageURL\":\"/t.jpg\"}]"
         "\nitem_names=[\"Lamp\"]\n");

    says("an order that is looked at later", "/account/order/1",
         ECONTEXT(ROUTE("orderView"), "\"a1\":{\"orderNumber\":\"10001\"}",
                  "{\"origin\":\"order\",\"alias\":\"a1\"}"), "");

    says("its article", "/post",
         ECONTEXT(ROUTE("blogPostView"), "\"a1\":{\"name\":\"Post\"}",
                  "{\"origin\":\"post\",\"alias\":\"a1\"}"),
         "type=article\nname=Post\n");

    says("the first one counts", "/",
         ECONTEXT(ROUTE("checkout"), "", "")
         ECONTEXT(ROUTE("catalogSearch"), "", ""), "type=checkout\n");

    is_int(broken, 0, "each can be read");

    says("what is no JSON", "/", "<script>var eContext = {a: 1}</script>", "");
    is_int(broken, 1, "is counted");

    says("nor anything that is known", "/",
         "<script>var eContext = [1]</script>"
         "<script>var eContext = {\"config\":{\"pageMeta\":{\"route\":"
         "{\"id\":7}}},\"graphqlResponse\":[],\"propsMap\":7}</script>"
         "<script>var eContext = {\"graphqlResponse\":{\"a\":{}},\"propsMap\":"
         "{\"e\":{\"origin\":\"product\"},\"f\":[7,{\"origin\":\"product\"},"
         "{\"origin\":\"product\",\"alias\":7},{\"alias\":\"a\"}]}}</script>",
         "");

    len = (size_t) snprintf(html, sizeof(html), "<script>var eContext = {"
                            "\"graphqlResponse\":{\"a\":{\"name\":\"%05000d\"}},"
                            "\"propsMap\":{\"e\":[", 7);

    for (i = 0; i < 16; i++) {
        len += (size_t) snprintf(html + len, sizeof(html) - len, "%s{"
                                 "\"origin\":\"product\",\"alias\":\"a\"}",
                                 i ? "," : "");
    }

    snprintf(html + len, sizeof(html) - len, "]}}</script>");

    says("what is asked for many times and large", "/", html, "");
    is_int(broken, 1, "is counted, too");
}


static void
test_datalayer(void)
{
    says("a layer that is made at the same time", "/thanks",
         "<script>(window.dataLayer = window.dataLayer || "
         "[]).push({\"event\":\"purchase\",\"ecommerce\":{\"transaction_id\":"
         "\"T1\",\"value\":5,\"currency\":\"EUR\","
         "\"items\":[{\"item_id\":\"1\",\"item_name\":\"A\",\"price\":5,"
         "\"quantity\":1}]}});</script>",
         "type=order\ncurrency=EUR\norder_id=T1\ntotal=5\nitems=[{\"ProductID"
         "\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":5}]\nitem_names=[\"A\"]\n");

    says("a member of window", "/thanks",
         "<script>window['dataLayer'].push({\"event\":\"purchase\","
         "\"ecommerce\":{\"transaction_id\":\"T1\",\"value\":5,"
         "\"currency\":\"EUR\",\"items\":[{\"item_id\":\"1\","
         "\"item_name\":\"A\"}]}});</script>",
         "type=order\ncurrency=EUR\norder_id=T1\ntotal=5\nitems=[{\"ProductID"
         "\":\"1\",\"ProductName\":\"A\"}]\nitem_names=[\"A\"]\n");

    says("a comment with a quote", "/thanks",
         "<script>dataLayer.push({ // the visitor's\n 'a': 1 "
         "});\ndataLayer.push({\"event\":\"purchase\","
         "\"ecommerce\":{\"transaction_id\":\"T1\",\"value\":5,"
         "\"currency\":\"EUR\"}});</script>",
         "type=order\ncurrency=EUR\norder_id=T1\ntotal=5\n");

    says("a layer that may not be there", "/lamp",
         "<script>window.dataLayer?.push({\"event\":\"view_item\","
         "\"ecommerce\":{\"items\":[{\"item_name\":\"Lamp\"}]}})</script>",
         "type=product\nname=Lamp\n");

    says("what a plugin pushes later", "/thanks",
         "<script data-cfasync=\"false\" data-pagespeed-no-defer>\n	var "
         "dataLayer_content = {\"pagePostType\":\"page\","
         "\"event\":\"purchase\",\"ecommerce\":{\"currency\":\"EUR\","
         "\"transaction_id\":\"77\",\"value\":5,"
         "\"items\":[{\"item_id\":\"1\",\"item_name\":\"A\",\"price\":5,"
         "\"quantity\":1}]}};\n	dataLayer.push( dataLayer_content "
         ");\n</script>",
         "type=order\ncurrency=EUR\norder_id=77\ntotal=5\nitems=[{\"ProductID"
         "\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":5}]\nitem_names=[\"A\"]\n");

    says("a list beside the product", "/lamp",
         "<script>dataLayer.push({\"event\":\"view_item_list\","
         "\"ecommerce\":{\"items\":[{\"item_id\":\"9\","
         "\"item_name\":\"Rel\"}]}});dataLayer.push({\"event\":\"view_item\","
         "\"ecommerce\":{\"currency\":\"EUR\",\"items\":[{\"item_id\":\"7\","
         "\"item_name\":\"Lamp DL\",\"price\":3}]}});</script>\n"
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\",\"image\":\"/i.jpg\","
            "\"offers\":{\"price\":4,\"priceCurrency\":\"USD\"}}"),
         "type=product\nname=Lamp\nproduct_id=7\nprice=4\ncurrency=USD\nimage"
         "=https://shop.example/i.jpg\n");

    says("a price in one place, its currency in another", "/lamp",
         "<script>dataLayer.push({\"event\":\"view_item\","
         "\"ecommerce\":{\"currency\":\"EUR\",\"items\":[{\"item_id\":\"7\","
         "\"item_name\":\"Lamp DL\",\"price\":3}]}});</script>\n"
         LD("{\"@type\":\"Product\",\"name\":\"Lamp\","
            "\"offers\":{\"price\":\"3.00\"}}"),
         "type=product\nname=Lamp\nproduct_id=7\nprice=3.00\ncurrency=EUR\n");

    says("an order in two places", "/thanks",
         LD("{\"@type\":\"Order\",\"orderNumber\":\"T1\","
            "\"customer\":{\"name\":\"Ann\",\"email\":\"ann@example.com\"}}")
         "<script>dataLayer.push({\"event\":\"purchase\","
         "\"ecommerce\":{\"transaction_id\":\"T1\",\"value\":5,"
         "\"currency\":\"EUR\",\"items\":[{\"item_id\":\"1\","
         "\"item_name\":\"A\",\"price\":5,\"quantity\":1}]}});</script>",
         "type=order\ncurrency=EUR\norder_id=T1\ntotal=5\nitems=[{\"ProductID"
         "\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":5}]\nitem_names=[\"A\"]\n");

    says("the currency of the items", "/thanks",
         "<script>dataLayer.push({\"event\":\"purchase\","
         "\"ecommerce\":{\"transaction_id\":\"T1\",\"value\":5,"
         "\"items\":[{\"item_id\":\"1\",\"item_name\":\"A\",\"price\":5,"
         "\"currency\":\"EUR\",\"quantity\":1}]}});</script>",
         "type=order\ncurrency=EUR\norder_id=T1\ntotal=5\nitems=[{\"ProductID"
         "\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":5}]\nitem_names=[\"A\"]\n");

    says("an event that Google's tag is told", "/thanks",
         "<script>function gtag(){x.push(arguments)} gtag('js', new Date()); "
         "gtag( 'event', \"purchase\", {\"transaction_id\":\"T9\","
         "\"value\":5,\"currency\":\"EUR\",\"items\":[{\"id\":\"1\","
         "\"name\":\"A\",\"price\":5,\"quantity\":1}]} );</script>",
         "type=order\ncurrency=EUR\norder_id=T9\ntotal=5\n"
         "items=[{\"ProductID\":\"1\",\"ProductName\":\"A\",\"Quantity\":1,"
         "\"ItemPrice\":5}]\nitem_names=[\"A\"]\n");

    says("what a visitor wrote into a script", "/lamp",
         "<script>var state = {\"review\":\"gtag('event','purchase',{}) "
         "\\\"\"};\n// dataLayer.push({\"event\":\"purchase\"});\n"
         "/* gtag('event','purchase',{}) */ var a = 'dataLayer.push({"
         "\"event\":\"purchase\"})', b = `gtag('event','purchase',{})`,"
         "c = /gtag('event','purchase',{})[/\"]/g, d = 1 / 2 / 3;\n"
         "x[\"dataLayer\", 1].push({\"event\":\"purchase\"});"
         "dataLayer.push({\"event\":\"view_item\",\"a\":\"it's\","
         "\"ecommerce\":{\"items\":[{\"item_name\":\"Lamp\"}]}});</script>",
         "type=product\nname=Lamp\n");

    says("a quote without an end", "/lamp",
         "<script>// the visitor's\nvar r = return /'/, s = 'x\n"
         "window [ \"dataLayer\" ] .push({\"event\":\"view_item\","
         "\"ecommerce\":{\"items\":[{\"item_name\":\"Lamp\"}]}});</script>",
         "type=product\nname=Lamp\n");

    says("what else it is told", "/thanks",
         "<script>gtag(\"event\"); gtag(\"event\",\"purchase\",x); "
         "gtag(\"event\",'purchase',{a:1}); gtag(\"config\",\"G-1\","
         "{\"a\":1}); gtag('event','add_to_cart',{\"value\":1}); "
         "gtag(\"event\",\"purch</script>",
         "");
}


static void
test_bounds(void)
{
    int          rc;
    size_t       limit, len;
    static char  large[300000];

    static const char  page[] =
         "<link rel=canonical href=/lamp>"
         LD("{\"@type\":\"Product\",\"name\":\"L\\u00e4mp\",\"url\":\"/lamp\","
            "\"image\":\"1.jpg\",\"offers\":{\"price\":\"1.299,00\","
            "\"priceCurrency\":\"EUR\"}}")
         LD("{\"@type\":\"BreadcrumbList\",\"itemListElement\":["
            "{\"name\":\"A\",\"item\":\"/a\"}]}")
         "<div itemscope itemtype=http://schema.org/Thing>"
         "<b itemprop=name>x</b></div>";

    len = sizeof(page) - 1;

    for (limit = 0; limit < 100; limit++) {
        taken_limit = limit;
        rc = read_page("/x/lamp", page, len, ALL, 65536, 64);

        if (rc == 0) {
            break;
        }

        if (facts[0]) {
            ok(0, "facts although memory ended after %zu", limit);
        }
    }

    ok(limit > 4 && limit < 100, "memory may end at any time");

    taken_limit = sizeof(taken) / sizeof(taken[0]);

    read_page("/lamp", page, len, ALL, 64, len);
    ok(strlen(facts) < sizeof(page), "little is kept of a page");

    len = 0;

    for (rc = 0; rc < 40; rc++) {
        len += sprintf(large + len, LD("{\"@type\":\"Product\","
                                       "\"name\":\"%d\"}"), rc);
    }

    read_page("/lamp", large, len, ALL, 65536, len);
    is_str(facts, "type=product\nname=0\n", "forty blocks");
    is_int(broken, 8, "those that are too many are counted");

    memset(large, ' ', sizeof(large));
    memcpy(large, "<script type=application/ld+json>[\"", 35);
    memcpy(large + 70000, "\"]</script>", 11);
    read_page("/lamp", large, 80000, ALL, 65536, 4096);
    is_int(broken, 1, "one that is too long is counted");

    memset(large, '[', sizeof(large) - 1);
    memcpy(large, "<script type=application/ld+json>", 33);
    read_page("/lamp", large, sizeof(large) - 1, ALL, 524288, 4096);
    is_str(facts, "", "brackets without an end");

    memset(large, ' ', sizeof(large));

    for (len = 0; len < sizeof(large) - 100; len += 23) {
        memcpy(large + len, "<b itemscope itemprop=a>", 23);
    }

    read_page("/lamp", large, sizeof(large) - 1, ALL, 524288, 4096);
    is_str(facts, "", "items without an end");
}


int
main(void)
{
    test_jsonld();
    test_whose();
    test_microdata();
    test_meta();
    test_order();
    test_offers();
    test_categories();
    test_home();
    test_several();
    test_evershop();
    test_datalayer();
    test_bounds();

    return done_testing();
}
