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


/* bytes that a target takes at most, with its NUL, by those of its pieces */
#define klaviyo_path_size(len)  (6 * (len) + 3)


/* what a piece of a target is, and how it is written */

typedef enum {
    KLAVIYO_PATH_PATH = 0,       /* of a path, decoded; "/" divides segments */
    KLAVIYO_PATH_SEGMENT,        /* a value in a path: its "/" does not      */
    KLAVIYO_PATH_ARGS,           /* arguments as they came, encoded          */
    KLAVIYO_PATH_VALUE,          /* a value among the arguments              */
    KLAVIYO_PATH_WORD,           /* the same, a word of a filter: a number   */
    KLAVIYO_PATH_QUOTED,         /* the same, of a filter: between '"' ...   */
    KLAVIYO_PATH_APOSTROPHES     /* ... or between "'"                       */
} klaviyo_path_kind_e;


typedef struct {
    const uint8_t        *data;
    size_t                len;
    klaviyo_path_kind_e   kind;
} klaviyo_path_piece_t;


/*
 * Writes the target, "/api/lists?page%5Bsize%5D=10", and a NUL behind it.
 * The pieces of the path come first; the "?" is added.
 *
 * A path is decoded, as nginx's $uri; what a URL cannot hold is encoded again.
 * Arguments are as they came, as nginx's $args, without the "?"; they stay as
 * they are but for bytes that a request line cannot hold, which are encoded.
 * A value is decoded, and cannot leave the place where it stands: everything
 * is encoded that means something there, and in a filter's string the quote
 * and the backslash get a backslash.  A filter's words, numbers and dates,
 * cannot be escaped: what means something in a filter is refused.
 *
 * Returns the length; 0: refused, as
 *
 *     the path does not begin with a slash
 *     a segment is empty (but for the last one), "." or ".."
 *     a segment of values is empty, though it be the last one
 *     the path has "%" (something was encoded twice) or a backslash
 *     path or arguments have NUL, CR, LF, another control character, DEL
 */
size_t klaviyo_path_target(uint8_t *target,
    const klaviyo_path_piece_t *pieces, size_t n);

/*
 * The kind of a value that stands behind this text of a URI's template, which
 * follows what `kind` says: KLAVIYO_PATH_SEGMENT at its beginning.
 */
klaviyo_path_kind_e klaviyo_path_behind(klaviyo_path_kind_e kind,
    const uint8_t *text, size_t len);

/* decodes "%41" in place, "+" stays; returns the length */
size_t klaviyo_path_decode(uint8_t *p, size_t len);


#endif /* KLAVIYO_PATH_H */
