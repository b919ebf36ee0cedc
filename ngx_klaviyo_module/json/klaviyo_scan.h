/*
 * The scanner of JSON text.  No tree is built: what the text says is found in
 * its own bytes, so that `19.90` stays `19.90`, ids of 20 digits stay exact,
 * and nothing is allocated.  Slices point into the text they were found in.
 *
 *     klaviyo_slice_t  text = { data, len }, value, name;
 *
 *     if (!klaviyo_scan_check(&text, &repair)) { it is no JSON }
 *
 *     klaviyo_scan_enter(&scan, &text);           the members of an object,
 *                                                 or the items of an array
 *     while (klaviyo_scan_next(&scan, &name)) {
 *         klaviyo_scan_value(&scan, &value);
 *
 *         if (klaviyo_scan_type(value.data) == KLAVIYO_SCAN_STRING) {
 *             len = klaviyo_scan_string(&value, buf);
 *         }
 *     }
 *
 * klaviyo_pointer.h finds the value at a path.
 *
 * Reading is tolerant of what applications send.  The grammar is JSON's, but:
 *
 *   - a byte order mark in front is passed over;
 *   - half of a surrogate pair and `\u0000` are read as U+FFFD;
 *   - bytes that are no UTF-8 and control characters may stand in a string,
 *     and are found as they are: klaviyo_json_string() repairs them when the
 *     string is written;
 *   - numbers have any size;
 *   - a name may be twice in an object: both are found, the last one holds.
 *
 * Plain C.
 */


#ifndef KLAVIYO_SCAN_H
#define KLAVIYO_SCAN_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_SCAN_TEXT_MAX   (1024 * 1024)   /* bytes                    */
#define KLAVIYO_SCAN_DEPTH_MAX  1024            /* levels                   */
#define KLAVIYO_SCAN_NAMES_MAX  65536           /* klaviyo_scan_names()     */


/* JSON's blanks */
#define klaviyo_scan_blank(c)                                                \
    ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')


typedef struct {
    const uint8_t   *data;
    size_t           len;
} klaviyo_slice_t;


typedef enum {
    KLAVIYO_SCAN_OBJECT = 0,
    KLAVIYO_SCAN_ARRAY,
    KLAVIYO_SCAN_STRING,
    KLAVIYO_SCAN_NUMBER,
    KLAVIYO_SCAN_BOOL,
    KLAVIYO_SCAN_NULL
} klaviyo_scan_type_e;


typedef struct {
    const uint8_t   *pos;        /* at a value, or behind one               */
    const uint8_t   *last;
    unsigned         object:1;
    unsigned         at_value:1;
} klaviyo_scan_t;


/* what was seen in a text */

typedef struct {
    size_t           names;      /* members of all objects                  */
    unsigned         repair:1;   /* bytes or escapes that are no characters */
} klaviyo_scan_seen_t;


/*
 * Takes a byte order mark and blanks off the text.  1: it is one JSON value
 * within the limits; 0: it is not.  All functions below want text that
 * passed; of any other text they find what they like, inside of it.
 */
int klaviyo_scan_check(klaviyo_slice_t *text, klaviyo_scan_seen_t *seen);

klaviyo_scan_type_e klaviyo_scan_type(const uint8_t *value);

/* the scan stands before the first member or item; any other value has none */
void klaviyo_scan_enter(klaviyo_scan_t *scan, const klaviyo_slice_t *value);

/*
 * 1: scan->pos is at the next value, and in an object `name` is its name,
 * with quotes; 0: there is none, and scan->pos is behind the bracket.
 */
int klaviyo_scan_next(klaviyo_scan_t *scan, klaviyo_slice_t *name);

/* the value that scan->pos is at; once for each klaviyo_scan_next() */
void klaviyo_scan_value(klaviyo_scan_t *scan, klaviyo_slice_t *value);

/*
 * An object of plain strings without blanks between them, as scripts write
 * theirs: each name and behind it its value, with quotes, in `member`, which
 * has room for `max` of both.  How many there are, or 0: it is none of these,
 * or has more.  The text needs no check before.
 */
size_t klaviyo_scan_flat(const klaviyo_slice_t *text, klaviyo_slice_t *member,
    size_t max);

/* a string without escapes needs no buffer: its text is between its quotes */
int klaviyo_scan_is_plain(const klaviyo_slice_t *string);

/*
 * The text of a string given with its quotes, into a buffer of its length,
 * which may be the string's own bytes.
 */
size_t klaviyo_scan_string(const klaviyo_slice_t *string, uint8_t *buf);

/*
 * One escape, or the byte that stands there, at *p < last between the quotes
 * of a string: up to four bytes of UTF-8 in buf, their number is returned;
 * *p moves on.  *repair is set for what is no character.
 */
size_t klaviyo_scan_char(const uint8_t **p, const uint8_t *last,
    uint8_t *buf, int *repair);

/* whether a string, given with its quotes, says this */
int klaviyo_scan_is(const klaviyo_slice_t *string, const void *text,
    size_t len);

/* whether the bytes are a number of JSON's grammar, of any size */
int klaviyo_scan_is_number(const uint8_t *p, size_t len);

/*
 * Looks for names that are twice in an object, at all levels of a value of
 * `names` members.  1: there is none; 0: there are, klaviyo_scan_is_last()
 * knows which ones; -1: too many names.  A table of the process is used,
 * until the next call.
 */
int klaviyo_scan_names(const klaviyo_slice_t *value, size_t names);

/* 0: the object at `object` has another member of this name, behind it */
int klaviyo_scan_is_last(const uint8_t *object, const klaviyo_slice_t *name);


#endif /* KLAVIYO_SCAN_H */
