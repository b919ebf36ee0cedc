/*
 * What an HTML page says of itself, read while it passes: the bytes come in
 * pieces of any size, nothing of the page is kept but what was asked for.
 *
 *     text ─ "<name" ─▶ tag ─ ">" ─▶ text, or raw behind <script>, <style>…
 *
 * It is a tokenizer, no parser of trees: an element that was asked for ends
 * at the end tag that closes as many of its name as were opened in it, <p> and
 * <li> at the next one too.
 *
 * Plain C; memory comes from the caller, and is bounded by KLAVIYO_HTML_… and
 * the `size` of klaviyo_html_init().
 */


#ifndef KLAVIYO_HTML_H
#define KLAVIYO_HTML_H


#include "klaviyo_charset.h"


#define KLAVIYO_HTML_JSONLD     0x01      /* <script type=…/ld+json>         */
#define KLAVIYO_HTML_MICRODATA  0x02      /* itemscope, itemprop             */
#define KLAVIYO_HTML_META       0x04      /* <meta property|name content>    */
#define KLAVIYO_HTML_DATALAYER  0x08      /* scripts with dataLayer or gtag  */
#define KLAVIYO_HTML_ECONTEXT   0x10      /* the script that begins with
                                             KLAVIYO_HTML_ECONTEXT_BEGIN     */

#define KLAVIYO_HTML_ECONTEXT_BEGIN  "var eContext = "

#define KLAVIYO_HTML_TAG      16384       /* bytes of a tag; a longer one is
                                             passed over                     */
#define KLAVIYO_HTML_TEXT      4096       /* bytes of an element's text; the
                                             rest of it is passed over       */
#define KLAVIYO_HTML_DEPTH       16       /* elements that wait for their end
                                             tag                             */
#define KLAVIYO_HTML_SCRIPT  (512 * 1024) /* bytes of a script               */


typedef enum {
    KLAVIYO_HTML_FOUND_META = 0,          /* name, content                   */
    KLAVIYO_HTML_FOUND_CANONICAL,         /* the URL of <link>               */
    KLAVIYO_HTML_FOUND_TITLE,
    KLAVIYO_HTML_FOUND_JSONLD,            /* the script's text, as it is     */
    KLAVIYO_HTML_FOUND_DATALAYER,         /* the same                        */
    KLAVIYO_HTML_FOUND_ECONTEXT,          /* the same                        */
    KLAVIYO_HTML_FOUND_ITEM,              /* an item begins: the property
                                             that it is of the item around
                                             it, or none, and its type       */
    KLAVIYO_HTML_FOUND_ITEM_END,
    KLAVIYO_HTML_FOUND_PROPERTY           /* of the innermost item; "@id" is
                                             what its element links to      */
} klaviyo_html_found_e;


/*
 * What was found.  Names and values have their entities decoded, are UTF-8,
 * and are good until the function returns.
 */
typedef void (*klaviyo_html_found_pt)(void *data, klaviyo_html_found_e what,
    const uint8_t *name, size_t name_len, const uint8_t *value,
    size_t value_len);

/* memory that lives as long as the reading; NULL: there is none */
typedef void *(*klaviyo_html_alloc_pt)(void *data, size_t size);


typedef struct klaviyo_html_s  klaviyo_html_t;


/*
 * `want` is of KLAVIYO_HTML_…; the canonical URL and the title are always
 * read.  `size` bounds the text of one script, `charset` is what the page's
 * header says.  NULL: no memory.
 */
klaviyo_html_t *klaviyo_html_init(unsigned want, size_t size,
    klaviyo_charset_e charset, klaviyo_html_found_pt found,
    klaviyo_html_alloc_pt alloc, void *data);

/* the next bytes: 0; -1: no memory, and nothing more will be found */
int klaviyo_html_feed(klaviyo_html_t *html, const uint8_t *p, size_t len);

/* the page is over: what is still open ends */
void klaviyo_html_end(klaviyo_html_t *html);

/* values that were left out, as they are in a charset that is not read */
size_t klaviyo_html_unreadable(const klaviyo_html_t *html);

/* blocks of JSON-LD, or an eContext, that are longer than a script may be */
unsigned klaviyo_html_lost(const klaviyo_html_t *html);


#endif /* KLAVIYO_HTML_H */
