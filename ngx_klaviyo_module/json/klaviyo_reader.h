/*
 * A strict reader of one flat JSON object, in place: strings are unescaped
 * where they stand, nested values are checked and passed over.  It costs a
 * fraction of a parser that builds a tree, and has no memory of its own.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_READER_H
#define KLAVIYO_READER_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_READER_DEPTH  16            /* levels, the object is one    */


typedef enum {
    KLAVIYO_READER_STRING = 0,   /* unescaped, valid UTF-8                  */
    KLAVIYO_READER_NUMBER,       /* as it is written                        */
    KLAVIYO_READER_LITERAL,      /* true, false, null                       */
    KLAVIYO_READER_NESTED        /* an object or an array, without a text   */
} klaviyo_reader_type_e;


typedef struct {
    uint8_t                *data;
    size_t                  len;
    klaviyo_reader_type_e   type;
} klaviyo_reader_value_t;


typedef struct {
    uint8_t                *pos;
    uint8_t                *last;
    unsigned                first:1;
} klaviyo_reader_t;


/* 1, or 0: the text does not begin as an object does */
int klaviyo_reader_init(klaviyo_reader_t *reader, uint8_t *p, size_t len);

/*
 * The next member: 1; 0 at the end of the object, behind which is nothing;
 * -1: this is no JSON, or deeper than KLAVIYO_READER_DEPTH.  What was read
 * stays good until the text goes.
 */
int klaviyo_reader_next(klaviyo_reader_t *reader,
    klaviyo_reader_value_t *name, klaviyo_reader_value_t *value);

/* 1: the text is one JSON string, with blanks around it at most; or 0 */
int klaviyo_reader_text(uint8_t *p, size_t len,
    klaviyo_reader_value_t *value);


#endif /* KLAVIYO_READER_H */
