/*
 * Linked data as shops print it, read where it stands: an object's members
 * are found once, then its properties are asked for by their names.
 *
 * A property has any number of values: those of an array, and those of
 * members that have one name, as microdata has it.
 *
 * Plain C; memory comes from the caller, for text that is not as it stands.
 */


#ifndef KLAVIYO_JSONLD_H
#define KLAVIYO_JSONLD_H


#include "json/klaviyo_scan.h"


#define KLAVIYO_JSONLD_MEMBERS  256    /* of an object; the rest is not seen */
#define KLAVIYO_JSONLD_DEPTH    8      /* objects around one that is met     */
#define KLAVIYO_JSONLD_NODES    1000   /* that are met                       */


typedef struct {
    klaviyo_slice_t            name;   /* without quotes                     */
    klaviyo_slice_t            value;
} klaviyo_jsonld_member_t;


typedef struct {
    klaviyo_jsonld_member_t    member[KLAVIYO_JSONLD_MEMBERS];
    size_t                     n;
} klaviyo_jsonld_node_t;


/* the values of a property */

typedef struct {
    const klaviyo_jsonld_node_t  *node;
    const char                   *name;
    size_t                        len;    /* of the name                     */
    size_t                        i;
    klaviyo_scan_t                items;
    unsigned                      in_items:1;
} klaviyo_jsonld_each_t;


typedef struct {
    void                     *(*alloc)(void *data, size_t size);
    void                       *data;
    unsigned                    failed:1;       /* no memory                 */
} klaviyo_jsonld_pool_t;


/* 0: it is no object, and the node has no members */
int klaviyo_jsonld_open(klaviyo_jsonld_node_t *node,
    const klaviyo_slice_t *value);

/* 1: the object's @type is, or has, this one of schema.org */
int klaviyo_jsonld_is(const klaviyo_jsonld_node_t *node, const char *type);

void klaviyo_jsonld_each(klaviyo_jsonld_each_t *each,
    const klaviyo_jsonld_node_t *node, const char *name);
int klaviyo_jsonld_next(klaviyo_jsonld_each_t *each, klaviyo_slice_t *value);

/*
 * What a string or a number says, with the entities of HTML decoded and
 * without blanks around it; of an object its @value.  0: nothing.
 */
int klaviyo_jsonld_text(klaviyo_jsonld_pool_t *pool,
    const klaviyo_slice_t *value, klaviyo_slice_t *text);

/* the first value of the property that says something */
int klaviyo_jsonld_get(klaviyo_jsonld_pool_t *pool,
    const klaviyo_jsonld_node_t *node, const char *name,
    klaviyo_slice_t *text);

/*
 * Takes what printers put around JSON off it: blanks, comments of HTML and
 * JavaScript, CDATA, a semicolon.  1: it is JSON.
 */
int klaviyo_jsonld_check(klaviyo_slice_t *text);

/*
 * Meets the objects of a text that are described by themselves: itself, the
 * items of an array, those of "@graph", a "mainEntity" and a "breadcrumb".
 * What `meet` gives is 1 to go on.
 */
typedef int (*klaviyo_jsonld_meet_pt)(void *data,
    const klaviyo_jsonld_node_t *node, const klaviyo_slice_t *value);

void klaviyo_jsonld_walk(const klaviyo_slice_t *text,
    klaviyo_jsonld_meet_pt meet, void *data);


#endif /* KLAVIYO_JSONLD_H */
