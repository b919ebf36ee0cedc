/*
 * Which User-Agent is a program's and no visitor's.  Plain C.
 *
 * A pattern is a piece of text that is looked for anywhere, in any case; `^`
 * before it binds it to the start, `$` behind it to the end.  A User-Agent
 * that holds an excepted pattern is no bot, whatever else it holds.
 */


#ifndef KLAVIYO_BOTS_H
#define KLAVIYO_BOTS_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_BOTS_MIN     3      /* bytes of a pattern without ^ and $    */
#define KLAVIYO_BOTS_MAX     128
#define KLAVIYO_BOTS_STATES  16384  /* bytes of all patterns, about          */


typedef struct klaviyo_bots_s  klaviyo_bots_t;


typedef struct {
    const char  *text;
    size_t       len;
    unsigned     except:1;
} klaviyo_bots_pattern_t;


/*
 * Reads a line: a pattern, or `!` and an excepted one.  NULL, or what is
 * wrong with it.  The pattern points into the line.
 */
const char *klaviyo_bots_pattern(klaviyo_bots_pattern_t *pattern,
    const char *line, size_t len);

/*
 * Makes one automaton of all patterns; alloc() gives the memory it lives in,
 * once.  NULL: no memory, or more than KLAVIYO_BOTS_STATES, of which
 * klaviyo_bots_states() tells.
 */
klaviyo_bots_t *klaviyo_bots_compile(const klaviyo_bots_pattern_t *patterns,
    size_t n, void *(*alloc)(void *data, size_t size), void *data);

/* the most states that the patterns may take */
size_t klaviyo_bots_states(const klaviyo_bots_pattern_t *patterns, size_t n);

/* 1: a bot; what was last found out is kept for the next of the same name */
int klaviyo_bots_match(klaviyo_bots_t *bots, const uint8_t *agent,
    size_t len);


#endif /* KLAVIYO_BOTS_H */
