/*
 * Memory that one batch leaves to the next.  Given back to the system and had
 * again, each of its pages costs a fault, some thousand a second.
 *
 * At most KLAVIYO_SPARE_BYTES are kept.  Of one thread, the event loop's.
 */


#ifndef KLAVIYO_SPARE_H
#define KLAVIYO_SPARE_H


#include <stddef.h>


#define KLAVIYO_SPARE_BYTES  (12 * 1024 * 1024)


/* as malloc(), realloc() and free(), for memory of these functions alone */
void *klaviyo_spare_alloc(size_t size);
void *klaviyo_spare_resize(void *p, size_t size);
void klaviyo_spare_free(void *p);

/* gives back what is kept */
void klaviyo_spare_drop(void);


#endif /* KLAVIYO_SPARE_H */
