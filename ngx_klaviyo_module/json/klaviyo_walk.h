/*
 * Walking through JSON text without a tree: what the text says is found in
 * its own bytes, so that numbers keep their digits and nothing is allocated
 * that lasts.  jansson is asked once whether the text is JSON at all.
 *
 * Plain C.  Slices point into the text they were found in.
 */


#ifndef KLAVIYO_WALK_H
#define KLAVIYO_WALK_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_WALK_TEXT_MAX     (1024 * 1024)  /* bytes                    */
#define KLAVIYO_WALK_DEPTH_MAX    64             /* levels                   */
#define KLAVIYO_WALK_VALUES_MAX   65536          /* of one text              */


typedef struct {
    const uint8_t   *data;
    size_t           len;
} klaviyo_slice_t;


typedef enum {
    KLAVIYO_WALK_OBJECT = 0,
    KLAVIYO_WALK_ARRAY,
    KLAVIYO_WALK_STRING,
    KLAVIYO_WALK_NUMBER,
    KLAVIYO_WALK_BOOL,
    KLAVIYO_WALK_NULL
} klaviyo_walk_type_e;


typedef struct {
    const uint8_t   *pos;        /* at a value, or behind one               */
    const uint8_t   *last;
    unsigned         object:1;
    unsigned         at_value:1;
} klaviyo_walk_t;


/*
 * Takes blanks off both ends.  1: one JSON value within the limits, without
 * duplicate names and escaped NULs.  Everything below wants text that passed.
 */
int klaviyo_walk_check(klaviyo_slice_t *text);

klaviyo_walk_type_e klaviyo_walk_type(const uint8_t *value);

/* the walk stands before the first member or item; any other value has none */
void klaviyo_walk_enter(klaviyo_walk_t *walk, const uint8_t *value,
    const uint8_t *last);

/*
 * 1: walk->pos is at the next value, and in an object `name` is its name,
 * with quotes; 0: there is none.
 */
int klaviyo_walk_next(klaviyo_walk_t *walk, klaviyo_slice_t *name);

/* the value that walk->pos is at; once for each klaviyo_walk_next() */
void klaviyo_walk_value(klaviyo_walk_t *walk, klaviyo_slice_t *value);

/* the text of a string given with its quotes, into a buffer of its length */
size_t klaviyo_walk_string(const klaviyo_slice_t *string, uint8_t *buf);

/*
 * One character of a string between its quotes, at *p < last: up to four
 * bytes of UTF-8 in buf, their number is returned; *p moves on.
 */
size_t klaviyo_walk_char(const uint8_t **p, const uint8_t *last,
    uint8_t *buf);

/* whether a string, given with its quotes, says this */
int klaviyo_walk_is(const klaviyo_slice_t *string, const void *text,
    size_t len);

/* a string without escapes needs no buffer: its text is between its quotes */
int klaviyo_walk_is_plain(const klaviyo_slice_t *string);


#endif /* KLAVIYO_WALK_H */
