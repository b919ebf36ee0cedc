/*
 * The capture room: an Aho-Corasick automaton over User-Agents.
 *
 * Bytes are first mapped to classes, so that a row of the table has one
 * column for each byte that a pattern holds and one for all the others:
 *
 *     next[state + class] = state' << 2 | what has been found
 *
 * where a state is the offset of its row.  Nothing is compared and nothing
 * branches: a byte of a User-Agent costs two loads.
 *
 * Plain C.
 */


#include "klaviyo_bots.h"

#include <stdlib.h>
#include <string.h>


#define KLAVIYO_BOTS_FOUND   1
#define KLAVIYO_BOTS_EXCEPT  2
#define KLAVIYO_BOTS_FLAGS   3

/* classes that are no bytes */
#define KLAVIYO_BOTS_OTHER   0
#define KLAVIYO_BOTS_START   1
#define KLAVIYO_BOTS_END     2
#define KLAVIYO_BOTS_FIRST   3

#define KLAVIYO_BOTS_SEEN    64                    /* User-Agents            */
#define KLAVIYO_BOTS_AGENT   253                   /* bytes of one           */


/* a User-Agent that came before: a few browsers send most of them */

typedef struct {
    uint16_t   len;
    uint8_t    bot;
    uint8_t    agent[KLAVIYO_BOTS_AGENT];
} klaviyo_bots_seen_t;


struct klaviyo_bots_s {
    klaviyo_bots_seen_t  seen[KLAVIYO_BOTS_SEEN];  /* by its hash            */
    uint32_t             start;    /* an entry of next[], as all of them     */
    uint8_t              class[256];
    uint32_t             next[];
};


/* while it is built: states are counted, not offsets */

typedef struct {
    uint32_t   states;
    uint32_t   classes;
    uint8_t    class[256];
    uint32_t  *next;
    uint32_t  *fail;
    uint32_t  *queue;
    uint8_t   *found;
} klaviyo_bots_trie_t;


static void klaviyo_bots_classes(klaviyo_bots_trie_t *trie,
    const klaviyo_bots_pattern_t *patterns, size_t n);
static void klaviyo_bots_insert(klaviyo_bots_trie_t *trie,
    const klaviyo_bots_pattern_t *pattern);
static uint32_t klaviyo_bots_step(klaviyo_bots_trie_t *trie, uint32_t state,
    unsigned class);
static void klaviyo_bots_link(klaviyo_bots_trie_t *trie);
static int klaviyo_bots_scan(const klaviyo_bots_t *bots,
    const uint8_t *agent, size_t len);
static unsigned klaviyo_bots_hash(const uint8_t *agent, size_t len);
static uint8_t klaviyo_bots_lower(uint8_t ch);


const char *
klaviyo_bots_pattern(klaviyo_bots_pattern_t *pattern, const char *line,
    size_t len)
{
    size_t  i, n;

    pattern->except = (len && line[0] == '!');

    if (pattern->except) {
        line++;
        len--;
    }

    pattern->text = line;
    pattern->len = len;

    for (i = 0; i < len; i++) {
        if (line[i] < 0x20 || line[i] > 0x7e) {
            return "only printable ASCII is allowed";
        }
    }

    n = len;

    if (n && line[0] == '^') {
        n--;
    }

    if (n && line[len - 1] == '$') {
        n--;
    }

    if (n < KLAVIYO_BOTS_MIN) {
        return "at least 3 characters are needed";
    }

    if (n > KLAVIYO_BOTS_MAX) {
        return "at most 128 characters are allowed";
    }

    return NULL;
}


size_t
klaviyo_bots_states(const klaviyo_bots_pattern_t *patterns, size_t n)
{
    size_t  i, states;

    states = 1;

    for (i = 0; i < n; i++) {
        states += patterns[i].len;
    }

    return states;
}


klaviyo_bots_t *
klaviyo_bots_compile(const klaviyo_bots_pattern_t *patterns, size_t n,
    void *(*alloc)(void *data, size_t size), void *data)
{
    size_t               i, states;
    klaviyo_bots_t      *bots;
    klaviyo_bots_trie_t  trie;

    states = klaviyo_bots_states(patterns, n);

    if (states > KLAVIYO_BOTS_STATES) {
        return NULL;
    }

    bots = NULL;

    klaviyo_bots_classes(&trie, patterns, n);

    trie.states = 1;
    trie.next = calloc(states * trie.classes, sizeof(uint32_t));
    trie.fail = calloc(states, sizeof(uint32_t));
    trie.queue = calloc(states, sizeof(uint32_t));
    trie.found = calloc(states, 1);

    if (trie.next == NULL || trie.fail == NULL || trie.queue == NULL
        || trie.found == NULL)
    {
        goto done;
    }

    for (i = 0; i < n; i++) {
        klaviyo_bots_insert(&trie, &patterns[i]);
    }

    klaviyo_bots_link(&trie);

    states = (size_t) trie.states * trie.classes;

    bots = alloc(data, sizeof(klaviyo_bots_t) + states * sizeof(uint32_t));
    if (bots == NULL) {
        goto done;
    }

    for (i = 0; i < states; i++) {
        bots->next[i] = (trie.next[i] * trie.classes) << 2
                        | trie.found[trie.next[i]];
    }

    bots->start = bots->next[KLAVIYO_BOTS_START];
    memcpy(bots->class, trie.class, sizeof(bots->class));
    memset(bots->seen, 0, sizeof(bots->seen));

done:

    free(trie.next);
    free(trie.fail);
    free(trie.queue);
    free(trie.found);

    return bots;
}


int
klaviyo_bots_match(klaviyo_bots_t *bots, const uint8_t *agent, size_t len)
{
    klaviyo_bots_seen_t  *seen;

    if (len < 8 || len > KLAVIYO_BOTS_AGENT) {
        return klaviyo_bots_scan(bots, agent, len);
    }

    seen = &bots->seen[klaviyo_bots_hash(agent, len)];

    if (seen->len != len || memcmp(seen->agent, agent, len) != 0) {
        seen->bot = (uint8_t) klaviyo_bots_scan(bots, agent, len);
        seen->len = (uint16_t) len;
        memcpy(seen->agent, agent, len);
    }

    return seen->bot;
}


/* of len >= 8 bytes */

static unsigned
klaviyo_bots_hash(const uint8_t *agent, size_t len)
{
    size_t    i;
    uint64_t  hash, word;

    hash = 0;

    for (i = 0; i + 8 < len; i += 8) {
        memcpy(&word, agent + i, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    }

    memcpy(&word, agent + len - 8, 8);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);

    return hash >> 32 & (KLAVIYO_BOTS_SEEN - 1);
}


static int
klaviyo_bots_scan(const klaviyo_bots_t *bots, const uint8_t *agent,
    size_t len)
{
    size_t    i;
    uint32_t  state, found;

    state = bots->start;
    found = 0;

    for (i = 0; i < len; i++) {
        state = bots->next[(state >> 2) + bots->class[agent[i]]];
        found |= state;
    }

    found |= bots->next[(state >> 2) + KLAVIYO_BOTS_END];

    return (found & KLAVIYO_BOTS_FLAGS) == KLAVIYO_BOTS_FOUND;
}


/* anchors get classes they do not need, which costs a column each */

static void
klaviyo_bots_classes(klaviyo_bots_trie_t *trie,
    const klaviyo_bots_pattern_t *patterns, size_t n)
{
    size_t    i, k;
    uint8_t   ch;
    unsigned  c;

    memset(trie->class, KLAVIYO_BOTS_OTHER, sizeof(trie->class));

    trie->classes = KLAVIYO_BOTS_FIRST;

    for (i = 0; i < n; i++) {
        for (k = 0; k < patterns[i].len; k++) {

            ch = klaviyo_bots_lower((uint8_t) patterns[i].text[k]);

            if (trie->class[ch] == KLAVIYO_BOTS_OTHER) {
                trie->class[ch] = (uint8_t) trie->classes++;
            }
        }
    }

    for (c = 'A'; c <= 'Z'; c++) {
        trie->class[c] = trie->class[klaviyo_bots_lower((uint8_t) c)];
    }
}


static void
klaviyo_bots_insert(klaviyo_bots_trie_t *trie,
    const klaviyo_bots_pattern_t *pattern)
{
    size_t    i;
    uint8_t   ch;
    unsigned  class;
    uint32_t  state;

    state = 0;

    for (i = 0; i < pattern->len; i++) {

        ch = klaviyo_bots_lower((uint8_t) pattern->text[i]);

        if (ch == '^' && i == 0) {
            class = KLAVIYO_BOTS_START;

        } else if (ch == '$' && i == pattern->len - 1) {
            class = KLAVIYO_BOTS_END;

        } else {
            class = trie->class[ch];
        }

        state = klaviyo_bots_step(trie, state, class);
    }

    trie->found[state] |= pattern->except ? KLAVIYO_BOTS_EXCEPT
                                          : KLAVIYO_BOTS_FOUND;
}


static uint32_t
klaviyo_bots_step(klaviyo_bots_trie_t *trie, uint32_t state, unsigned class)
{
    uint32_t  *next;

    next = &trie->next[(size_t) state * trie->classes + class];

    if (*next == 0) {
        *next = trie->states++;
    }

    return *next;
}


/*
 * By breadth: when a state is taken from the queue, the row of its failure
 * state, which is shorter, is complete.
 */

static void
klaviyo_bots_link(klaviyo_bots_trie_t *trie)
{
    uint32_t  state, child, *row, *fail;
    uint32_t  class, head, tail;

    head = 0;
    tail = 0;

    trie->queue[tail++] = 0;

    while (head < tail) {

        state = trie->queue[head++];
        row = &trie->next[(size_t) state * trie->classes];
        fail = &trie->next[(size_t) trie->fail[state] * trie->classes];

        trie->found[state] |= trie->found[trie->fail[state]];

        for (class = 0; class < trie->classes; class++) {

            child = row[class];

            if (child == 0) {
                row[class] = fail[class];
                continue;
            }

            trie->fail[child] = state ? fail[class] : 0;
            trie->queue[tail++] = child;
        }
    }
}


static uint8_t
klaviyo_bots_lower(uint8_t ch)
{
    return (ch >= 'A' && ch <= 'Z') ? ch | 0x20 : ch;
}
