/*
 * What reading a page costs, without nginx:
 *
 *     page FOLDER [quick]
 *
 * prints JSON: for each way of klaviyo_page, nanoseconds per KB of the pages
 * in the folder, read as they come from an upstream, in pieces of 8 KB, with
 * their facts at the end; and the longest time that one piece of 64 KB took,
 * of hostile pages (`hostile`, in us).
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "page/klaviyo_page.h"


#define PAGE_MAX     512
#define PAGE_ROUNDS  21
#define PAGE_PIECE   8192
#define PAGE_POOL    (16 << 20)

#define PAGE_ON      (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA             \
                      |KLAVIYO_HTML_META|KLAVIYO_HTML_ECONTEXT)


typedef struct {
    uint8_t        *data;
    size_t          len;
} page_text_t;


static page_text_t  pages[PAGE_MAX];
static size_t       npages;

static uint8_t     *pool;
static size_t       used;


/* the processor's time, in ns: others may run meanwhile */

static int64_t
page_clock(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static void *
page_alloc(void *data, size_t size)
{
    void  *p;

    (void) data;

    if (size > PAGE_POOL - used) {
        return NULL;
    }

    p = pool + used;
    used += (size + 15) & ~(size_t) 15;

    return p;
}


static void
page_load(const char *folder)
{
    char            path[4096];
    long            len;
    FILE           *file;
    struct dirent **names;
    int             i, n;

    n = scandir(folder, &names, NULL, alphasort);

    for (i = 0; i < n && npages < PAGE_MAX; i++) {

        if (names[i]->d_name[0] == '.') {
            continue;
        }

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        file = fopen(path, "r");

        if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
            perror(path);
            exit(1);
        }

        len = ftell(file);
        rewind(file);

        pages[npages].data = malloc(len);
        pages[npages].len = fread(pages[npages].data, 1, len, file);
        npages++;

        fclose(file);
    }

    if (npages == 0) {
        fprintf(stderr, "no pages in %s\n", folder);
        exit(1);
    }
}


/* the longest time of one piece, in ns */

static int64_t
page_read(unsigned want, const page_text_t *text, size_t piece)
{
    size_t                  at, n;
    int64_t                 begin, ns, longest;
    klaviyo_page_t         *page;
    klaviyo_page_request_t  request;

    request.scheme.data = (const uint8_t *) "https";
    request.scheme.len = 5;
    request.host.data = (const uint8_t *) "shop.example";
    request.host.len = 12;
    request.uri.data = (const uint8_t *) "/p/lamp";
    request.uri.len = 7;
    request.charset = KLAVIYO_CHARSET_UTF_8;

    used = 0;
    longest = 0;
    page = klaviyo_page_create(want, 8 << 20, &request, page_alloc, NULL);

    for (at = 0; at < text->len; at += n) {
        n = text->len - at < piece ? text->len - at : piece;

        begin = piece > PAGE_PIECE ? page_clock() : 0;

        klaviyo_page_feed(page, text->data + at, n);

        if (piece > PAGE_PIECE) {
            ns = page_clock() - begin;
            longest = ns > longest ? ns : longest;
        }
    }

    begin = piece > PAGE_PIECE ? page_clock() : 0;

    klaviyo_page_end(page);
    (void) klaviyo_page_fact(page, KLAVIYO_PAGE_NAME);

    if (piece > PAGE_PIECE) {
        ns = page_clock() - begin;
        longest = ns > longest ? ns : longest;
    }

    return longest;
}


static int
page_compare(const void *one, const void *two)
{
    const int64_t  *a = one, *b = two;

    return *a < *b ? -1 : *a > *b;
}


/*
 * ns per KB: the median, and the least, of the rounds of each page.  It is in
 * the processor's cache, as what nginx has read a moment ago.
 */

static void
page_measure(const char *name, unsigned want, int rounds)
{
    int      i;
    size_t   k, bytes;
    int64_t  begin, median, least, ns[PAGE_ROUNDS];

    bytes = 0;
    median = 0;
    least = 0;

    for (k = 0; k < npages; k++) {

        for (i = 0; i < rounds; i++) {
            begin = page_clock();

            (void) page_read(want, &pages[k], PAGE_PIECE);

            ns[i] = page_clock() - begin;
        }

        qsort(ns, rounds, sizeof(int64_t), page_compare);

        bytes += pages[k].len;
        median += ns[rounds / 2];
        least += ns[0];
    }

    printf("\"%s\": {\"median\": %.1f, \"least\": %.1f}, ", name,
           1024.0 * median / bytes, 1024.0 * least / bytes);
}


/* a page of one text over and over */

static void
page_hostile(const char *name, const char *head, const char *text,
    const char *more)
{
    size_t        len, size;
    int64_t       ns;
    page_text_t   page;

    size = 8 << 20;
    page.data = malloc(size);
    page.len = strlen(head);
    memcpy(page.data, head, page.len);

    len = strlen(text);

    while (page.len + len < size - 16) {
        memcpy(page.data + page.len, text, len);
        page.len += len;
    }

    memcpy(page.data + page.len, more, strlen(more));
    page.len += strlen(more);

    ns = page_read(PAGE_ON|KLAVIYO_HTML_DATALAYER, &page, 65536);

    printf("\"%s\": %.0f, ", name, ns / 1000.0);
    free(page.data);
}


/* many large blocks of JSON-LD, each a list of one value */

static void
page_hostile_blocks(const char *name, const char *value)
{
    char    *block, *p;
    size_t   len;

    block = malloc(500000);
    len = strlen(value);
    p = block + sprintf(block, "<script type=application/ld+json>[1");

    while (p + len < block + 400000) {
        *p++ = ',';
        memcpy(p, value, len);
        p += len;
    }

    strcpy(p, "]</script>");
    page_hostile(name, "", block, "");
    free(block);
}


/* a product of EverShop's among as many answers, or questions */

static void
page_hostile_econtext(const char *name, const char *answer,
    const char *question)
{
    size_t  len;
    char   *script, *p;

    len = strlen(answer) + strlen(question);
    script = malloc(600000);
    p = script + sprintf(script, "<script>var eContext = {\"propsMap\":{\"e\":[");

    while (*question && p + len < script + 500000) {
        p += sprintf(p, "%s", question);
    }

    p += sprintf(p, "{\"origin\":\"product\",\"alias\":\"a\"},"
                 "{\"origin\":\"pageInfo\",\"alias\":\"b\"}]},"
                 "\"graphqlResponse\":{");

    while (*answer && p + len < script + 500000) {
        p += sprintf(p, "%s", answer);
    }

    strcpy(p, "\"a\":{\"name\":\"Lamp\"}}}</script>");
    page_hostile(name, "", script, "");
    free(script);
}


int
main(int argc, char **argv)
{
    int  rounds;

    if (argc < 2) {
        fprintf(stderr, "usage: page FOLDER [quick]\n");
        return 2;
    }

    rounds = argc > 2 ? 3 : PAGE_ROUNDS;
    pool = malloc(PAGE_POOL);
    memset(pool, 0, PAGE_POOL);
    page_load(argv[1]);

    printf("{\"pages\": %zu, ", npages);
    page_measure("on", PAGE_ON, rounds);
    page_measure("jsonld", KLAVIYO_HTML_JSONLD, rounds);
    page_measure("microdata", KLAVIYO_HTML_MICRODATA, rounds);
    page_measure("opengraph", KLAVIYO_HTML_META, rounds);
    page_measure("datalayer", KLAVIYO_HTML_DATALAYER, rounds);

    printf("\"hostile\": {");

    page_hostile("items", "", "<div itemscope itemtype=x>", "");
    page_hostile("properties", "<div itemscope itemtype=x>",
                 "<b itemprop=a>", "");
    page_hostile("attributes", "<a ", "b=c ", ">");
    page_hostile("attributes without values", "<a ", "b ", "=\"c\">");
    page_hostile("names", "<div itemscope itemtype=x>",
                 "<b itemprop='a b c d e f g h i j k l m n o p q'>x</b>", "");
    page_hostile("quotes", "", "<a b='", "");
    page_hostile("tags", "", "<", "");
    page_hostile("ends", "<div itemscope itemtype=x>", "</", "");
    page_hostile("comments", "", "<!--", "");
    page_hostile("scripts", "", "<script><!--<script>", "");
    page_hostile("raw", "<script type=application/ld+json>", "</script", "");
    page_hostile("arrays", "<script type=application/ld+json>", "[", "");
    page_hostile("objects", "<script type=application/ld+json>[1",
                 ",{\"@type\":\"Product\"}", "]</script>");
    page_hostile("references", "<script type=application/ld+json>[1",
                 ",{\"@type\":\"Product\",\"offers\":{\"@id\":\"x\"}}",
                 "]</script>");
    page_hostile("blocks", "", "<script type=application/ld+json>{\"@type\":"
                 "\"Product\",\"brand\":{\"@id\":\"x\"}}</script>", "");
    page_hostile_blocks("blocks of products", "{\"@type\":\"Product\","
                        "\"url\":\"/a/b?c=d\"}");
    page_hostile_blocks("blocks of references", "{\"@type\":\"Product\","
                        "\"url\":\"/p/lamp\",\"offers\":{\"@id\":\"y\"},"
                        "\"brand\":{\"@id\":\"x\"}}");
    page_hostile_econtext("questions", "", "{\"origin\":\"product\",\"alias\":"
                          "\"x\"},");
    page_hostile_econtext("answers", "\"a\":{},", "");
    page_hostile_econtext("ways", "\"b\":{\"x\":\"y\"},", "");
    page_hostile("entities", "<title>", "&amp", "</title>");
    page_hostile("pushes", "<script>", "dataLayer.push({\"event\":"
                 "\"purchase\",", "</script>");
    page_hostile("pushes of arrays", "<script>", "dataLayer.push([", "");

    printf("\"end\": 0}}\n");

    return 0;
}
