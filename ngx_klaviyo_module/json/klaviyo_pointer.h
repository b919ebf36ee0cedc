/*
 * A JSON pointer (RFC 6901) into JSON text.  In it, a token `*` takes every
 * item of an array; of an object, it is a name as any other.  Plain C.
 */


#ifndef KLAVIYO_POINTER_H
#define KLAVIYO_POINTER_H


#include "klaviyo_json.h"
#include "klaviyo_scan.h"


#define KLAVIYO_POINTER_ALL_MAX  8          /* tokens `*`                   */


/*
 * The tokens of several pointers, as a tree: one pass through a text finds
 * what all of them name.  Node 0 is the whole text.
 */

typedef struct {
    const uint8_t  *token;
    size_t          len;
    size_t          index;                  /* of an item; SIZE_MAX: none   */
    uint32_t        child;                  /* the first one; 0: none       */
    uint32_t        next;                   /* beside it; 0: none           */
} klaviyo_pointer_node_t;


/* 1: empty, or "/" before each token, and "~" only as "~0" and "~1" */
int klaviyo_pointer_valid(const uint8_t *pointer, size_t len);

/* how many tokens `*` a pointer has */
size_t klaviyo_pointer_all(const uint8_t *pointer, size_t len);

/*
 * The value at a valid pointer of text that klaviyo_scan_check() passed: 1,
 * or 0: there is none.  Items of an array are counted from 0, without
 * leading zeroes; "-" is behind the last one and never there.
 */
int klaviyo_pointer_find(const klaviyo_slice_t *text, const uint8_t *pointer,
    size_t len, klaviyo_slice_t *value);

/* how many nodes a pointer may need, beside node 0 */
size_t klaviyo_pointer_tokens(const uint8_t *pointer, size_t len);

/*
 * The node of a valid pointer, which is kept and added to the *n nodes as far
 * as it is not there.  Of one with tokens `*` it is the node of what stands
 * before them: *len becomes the length of that.
 */
uint32_t klaviyo_pointer_add(klaviyo_pointer_node_t *nodes, uint32_t *n,
    const uint8_t *pointer, size_t *len);

/*
 * The values of a node and of all below it, as klaviyo_pointer_find() finds
 * them in `value`; a length of 0: there is none.
 */
void klaviyo_pointer_read(const klaviyo_pointer_node_t *nodes, uint32_t node,
    const klaviyo_slice_t *value, klaviyo_slice_t *found);

/*
 * The values that a pointer with tokens `*` finds, as a JSON array, without
 * nulls; nothing is written when there are none.  The text's length and two
 * bytes are room enough.
 */
void klaviyo_pointer_write(klaviyo_json_t *json, const klaviyo_slice_t *text,
    const uint8_t *pointer, size_t len);


#endif /* KLAVIYO_POINTER_H */
