/*
 * Where the files of an account are, in a small file beside its ring, which
 * a worker writes at its start and klaviyo-queue reads: so that the name of
 * the account is enough.
 *
 *     /run/nginx-klaviyo/shop.account
 *
 *     ring /run/nginx-klaviyo/shop.ring
 *     spool /var/spool/nginx-klaviyo/shop
 *     dead_letter /var/spool/nginx-klaviyo/shop/dead.jsonl
 *
 * One path a line; what is off has no line, and other words are passed over.
 * No secret is in it.  It belongs to the workers' user: who reads it gives up
 * greater rights before.
 *
 * Plain C.
 */


#ifndef KLAVIYO_PATHS_H
#define KLAVIYO_PATHS_H


#include <limits.h>
#include <stddef.h>


#define KLAVIYO_PATHS_DIR     "/run/nginx-klaviyo/"
#define KLAVIYO_PATHS_SUFFIX  ".account"


/* empty: there is none */

typedef struct {
    char  ring[PATH_MAX];
    char  spool[PATH_MAX];
    char  dead_letter[PATH_MAX];
} klaviyo_paths_t;


/*
 * In place of what was there, as one step.  0; -1 with a text of
 * KLAVIYO_RING_ERROR_MAX bytes.
 */
int klaviyo_paths_write(const char *file, const klaviyo_paths_t *paths,
    char *error);

/* the same; 1: there is no such file, and no text */
int klaviyo_paths_read(const char *file, klaviyo_paths_t *paths,
    char *error);

/* the path, which a NUL does not end, into one of these; 0, or -1: too long */
int klaviyo_paths_set(char *to, const void *path, size_t len);


#endif /* KLAVIYO_PATHS_H */
