/*
 * What `nginx -T` prints, directive by directive, with nginx's quotes,
 * escapes and comments.  The text has passed nginx's own parser.
 */


#ifndef KLAVIYO_CLI_WORDS_H
#define KLAVIYO_CLI_WORDS_H


#define KLAVIYO_CLI_WORDS_MAX  16


typedef enum {
    KLAVIYO_CLI_WORDS_LINE = 0,  /* words up to a ";"                       */
    KLAVIYO_CLI_WORDS_BLOCK,     /* words up to a "{"                       */
    KLAVIYO_CLI_WORDS_CLOSE,     /* "}"                                     */
    KLAVIYO_CLI_WORDS_END
} klaviyo_cli_words_e;


/* zeroed but for `pos`, it is at the beginning */

typedef struct {
    const char  *pos;
    char        *file;           /* that it stands in; NULL: not known      */
    unsigned     line;
    unsigned     depth;          /* of blocks; of "{" and "}": inside       */
                                 /* and outside                             */
    unsigned     n;              /* words, those beyond MAX are not kept    */
    char        *word[KLAVIYO_CLI_WORDS_MAX];
} klaviyo_cli_words_t;


/* the words are there until the next call */
klaviyo_cli_words_e klaviyo_cli_words_next(klaviyo_cli_words_t *words);

void klaviyo_cli_words_free(klaviyo_cli_words_t *words);

/* whether a directive of ours has a say in events */
int klaviyo_cli_words_rule(const char *name);


#endif /* KLAVIYO_CLI_WORDS_H */
