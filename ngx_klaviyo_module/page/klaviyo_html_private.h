/*
 * Private to page/: the reader of pages.
 *
 *     klaviyo_html.c           bytes: where tags, comments and scripts end
 *     klaviyo_html_element.c   what a tag means, and a script's text
 *     klaviyo_html_item.c      microdata: elements that wait for their end tag
 *     klaviyo_html_text.c      text is collected, decoded and told
 */


#ifndef KLAVIYO_HTML_PRIVATE_H
#define KLAVIYO_HTML_PRIVATE_H


#include "klaviyo_html.h"
#include "klaviyo_html_tag.h"


/* what is read of a text: of one that is cut, a character more */

#define KLAVIYO_HTML_TEXT_READ  (KLAVIYO_HTML_TEXT + 4)


/*
 *     TEXT     between tags
 *     OPEN     behind "<"
 *     CLOSE    behind "</"
 *     TAG      in a tag that a piece of the page cuts
 *     BANG     behind "<!", with up to one "-"
 *     COMMENT  behind "<!--"
 *     BOGUS    in what is passed over up to the next ">"
 *     RAW      in an element in which "<" begins no tag: <script>, <title>
 */

typedef enum {
    KLAVIYO_HTML_IN_TEXT = 0,
    KLAVIYO_HTML_IN_OPEN,
    KLAVIYO_HTML_IN_CLOSE,
    KLAVIYO_HTML_IN_TAG,
    KLAVIYO_HTML_IN_BANG,
    KLAVIYO_HTML_IN_COMMENT,
    KLAVIYO_HTML_IN_BOGUS,
    KLAVIYO_HTML_IN_RAW
} klaviyo_html_state_e;


/*
 * A script that hides in a comment does not end in a script inside of it:
 *
 *     <script> PLAIN <!-- HIDDEN <script> INNER </script> HIDDEN --> PLAIN
 */

typedef enum {
    KLAVIYO_HTML_RAW_PLAIN = 0,
    KLAVIYO_HTML_RAW_HIDDEN,
    KLAVIYO_HTML_RAW_INNER
} klaviyo_html_raw_e;


/* a buffer that grows up to a bound; what is beyond it is passed over */

typedef struct {
    uint8_t               *data;
    size_t                 len;
    size_t                 size;
    size_t                 max;
    unsigned               cut:1;
} klaviyo_html_buf_t;


/* an element that waits for its end tag: an item, or a property's text */

typedef struct {
    uint64_t               name;
    size_t                 opened;      /* of its name since then, with it  */
    size_t                 lists;       /* that are open in an <li>         */
    size_t                 text;        /* where its text begins            */
    size_t                 len;         /* of the property's name; 0: an
                                           item                             */
    uint8_t                property[32];
} klaviyo_html_open_t;


struct klaviyo_html_s {
    klaviyo_html_state_e   state;
    unsigned               want;
    klaviyo_charset_e      charset;
    size_t                 unreadable;  /* values in another one            */
    unsigned               lost;        /* scripts that are too long        */

    klaviyo_html_tag_e     in_tag;
    uint8_t                before[3];   /* the last bytes, in a comment     */

    uint64_t               raw;         /* the name of the element          */
    klaviyo_html_raw_e     in_raw;
    int                    keep;        /* what its text is; -1: nothing    */
    size_t                 dashes;      /* the last bytes, two at most      */
    uint8_t                held[12];    /* what may be its end tag          */
    size_t                 nheld;

    klaviyo_html_buf_t     head;        /* until the charset is known       */
    klaviyo_html_buf_t     tag;
    klaviyo_html_buf_t     text;        /* of properties, one in another    */
    klaviyo_html_buf_t     value;       /* of a script, or to be decoded    */
    klaviyo_html_buf_t     utf8;

    size_t                 depth;       /* how many wait                    */
    size_t                 reading;     /* how many of them read text       */
    klaviyo_html_open_t    open[KLAVIYO_HTML_DEPTH];

    size_t                 templates;   /* that are open: nothing in them
                                           is of the page                   */
    size_t                 drawings;    /* <svg>: their titles are not its  */

    unsigned               begun:1;     /* the charset is known             */
    unsigned               titled:1;
    unsigned               failed:1;

    klaviyo_html_found_pt  found;
    klaviyo_html_alloc_pt  alloc;
    void                  *data;
};


#endif /* KLAVIYO_HTML_PRIVATE_H */
