/*
 * The target of a request to Klaviyo, made of a path and arguments that the
 * caller chose: it stays below the endpoint, whatever they are.
 *
 * Plain C.
 */


#ifndef KLAVIYO_PATH_H
#define KLAVIYO_PATH_H


#include <stddef.h>
#include <stdint.h>


/* bytes that a target takes at most, with its NUL */
#define klaviyo_path_size(path_len, args_len)                                \
    (3 * ((path_len) + (args_len)) + 3)


/*
 * Writes the target, "/api/lists?page%5Bsize%5D=10", and a NUL behind it.
 *
 * `path` is decoded, as nginx's $uri; what a URL cannot hold is encoded
 * again.  `args` are as they came, as nginx's $args, without the "?"; they
 * stay as they are but for bytes that a request line cannot hold, which are
 * encoded.  Returns the length; 0: refused, as
 *
 *     path does not begin with a slash
 *     a segment is empty (but for the last one), "." or ".."
 *     path has "%" (something was encoded twice) or a backslash
 *     path or args have NUL, CR, LF, another control character, DEL
 */
size_t klaviyo_path_target(uint8_t *target, const uint8_t *path,
    size_t path_len, const uint8_t *args, size_t args_len);


#endif /* KLAVIYO_PATH_H */
