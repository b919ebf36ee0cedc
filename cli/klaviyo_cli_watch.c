/*
 * klaviyo-queue: events followed to their end; see the header.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "klaviyo_cli_watch.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_inspect.h"


#define KLAVIYO_CLI_WATCHED  100000      /* the oldest are forgotten then    */


static int klaviyo_cli_watch_read(klaviyo_cli_watch_t *watch);
static int klaviyo_cli_watch_came(klaviyo_cli_watch_t *watch,
    const klaviyo_record_t *record);
static void klaviyo_cli_watch_letters(klaviyo_cli_watch_t *watch);
static void klaviyo_cli_watch_open(klaviyo_cli_watch_t *watch, int whence);
static void klaviyo_cli_watch_letter(klaviyo_cli_watch_t *watch,
    const char *line, size_t len);
static void klaviyo_cli_watch_settle(klaviyo_cli_watch_t *watch,
    const klaviyo_figures_t *now);
static int klaviyo_cli_watch_only(const uint64_t *ended,
    klaviyo_outcome_e *outcome);
static int klaviyo_cli_watch_again(const klaviyo_cli_watch_t *watch,
    size_t from);


int
klaviyo_cli_watch_start(klaviyo_cli_watch_t *watch)
{
    watch->size = klaviyo_ring_record_max(watch->ring);
    watch->buf = malloc(watch->size);

    if (watch->buf == NULL) {
        return klaviyo_cli_error("no memory for %zu bytes", watch->size);
    }

    klaviyo_ring_tail(watch->ring, &watch->cursor);
    klaviyo_ring_figures(watch->ring, &watch->figures);
    klaviyo_cli_watch_open(watch, SEEK_END);

    return KLAVIYO_CLI_OK;
}


/*
 * The figures first: what they say has ended is among what is read then, and
 * its letters are on the disk.
 */

int
klaviyo_cli_watch_step(klaviyo_cli_watch_t *watch)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_figures_t  now;

    if (klaviyo_ring_verify(watch->ring, error) != KLAVIYO_RING_OK) {
        return klaviyo_cli_error("the ring was taken away");
    }

    klaviyo_ring_figures(watch->ring, &now);

    if (!now.attached) {
        return klaviyo_cli_error("the ring was taken away");
    }

    if (klaviyo_cli_watch_read(watch) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (now.done != watch->figures.done) {
        klaviyo_cli_watch_letters(watch);
        klaviyo_cli_watch_settle(watch, &now);
    }

    watch->figures = now;

    return KLAVIYO_CLI_OK;
}


void
klaviyo_cli_watch_wait(void)
{
    struct timespec  step;

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_CLI_WATCH_STEP * 1000000L;

    (void) nanosleep(&step, NULL);
}


void
klaviyo_cli_watch_stop(klaviyo_cli_watch_t *watch)
{
    if (watch->letters) {
        (void) fclose(watch->letters);
    }

    free(watch->line);
    free(watch->waits);
    free(watch->buf);
}


static int
klaviyo_cli_watch_read(klaviyo_cli_watch_t *watch)
{
    klaviyo_record_t  record;

    for ( ;; ) {

        switch (klaviyo_ring_follow(watch->ring, &watch->cursor, watch->buf,
                                    watch->size, &record))
        {

        case KLAVIYO_RING_OK:
            watch->cursor = record.next;

            if (klaviyo_cli_watch_came(watch, &record) != KLAVIYO_CLI_OK) {
                return KLAVIYO_CLI_CANNOT;
            }

            break;

        case KLAVIYO_RING_EMPTY:
            return KLAVIYO_CLI_OK;

        default:
            return klaviyo_cli_error("the ring was taken away");
        }
    }
}


static int
klaviyo_cli_watch_came(klaviyo_cli_watch_t *watch,
    const klaviyo_record_t *record)
{
    size_t                  room;
    klaviyo_cli_watched_t  *watched;

    if (watch->n == KLAVIYO_CLI_WATCHED) {
        watch->n -= KLAVIYO_CLI_WATCHED / 2;
        memmove(watch->waits, watch->waits + KLAVIYO_CLI_WATCHED / 2,
                watch->n * sizeof(klaviyo_cli_watched_t));
    }

    if (watch->n == watch->room) {
        room = watch->room ? 2 * watch->room : 64;
        watched = realloc(watch->waits, room * sizeof(klaviyo_cli_watched_t));

        if (watched == NULL) {
            return klaviyo_cli_error("no memory for %zu events", room);
        }

        watch->waits = watched;
        watch->room = room;
    }

    watched = &watch->waits[watch->n++];

    memset(watched, 0, sizeof(klaviyo_cli_watched_t));

    watched->seq = record->seq;
    watched->number = ++watch->number;
    watched->time = record->event.time;
    watched->unique_id_len = record->event.unique_id_len;
    memcpy(watched->unique_id, record->event.unique_id,
           record->event.unique_id_len);

    watch->came(watch, watched, &record->event);

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_watch_open(klaviyo_cli_watch_t *watch, int whence)
{
    int  fd;

    if (watch->letters) {
        (void) fclose(watch->letters);
        watch->letters = NULL;
    }

    if (watch->dead_letter == NULL) {
        return;
    }

    fd = open(watch->dead_letter,
              O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY);

    if (fd == -1) {
        return;
    }

    watch->letters = fdopen(fd, "r");

    if (watch->letters == NULL) {
        (void) close(fd);
        return;
    }

    (void) fseek(watch->letters, 0, whence);
}


/* what came since, of the old file to its end when there is another by now */

static void
klaviyo_cli_watch_letters(klaviyo_cli_watch_t *watch)
{
    int          turned;
    ssize_t      n;
    struct stat  st, open;

    if (watch->dead_letter == NULL) {
        return;
    }

    do {
        if (watch->letters == NULL) {
            klaviyo_cli_watch_open(watch, SEEK_SET);

            if (watch->letters == NULL) {
                return;
            }
        }

        turned = (stat(watch->dead_letter, &st) == 0
                  && fstat(fileno(watch->letters), &open) == 0
                  && (st.st_ino != open.st_ino || st.st_dev != open.st_dev));

        clearerr(watch->letters);

        for ( ;; ) {
            n = getline(&watch->line, &watch->line_size, watch->letters);

            if (n <= 0) {
                break;
            }

            klaviyo_cli_watch_letter(watch, watch->line, (size_t) n);
        }

        if (turned) {
            klaviyo_cli_watch_open(watch, SEEK_SET);
        }

    } while (turned && watch->letters);
}


static void
klaviyo_cli_watch_letter(klaviyo_cli_watch_t *watch, const char *line,
    size_t len)
{
    int                     i;
    size_t                  k;
    json_t                 *root, *id, *reason;
    klaviyo_cli_watched_t  *watched;

    root = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    id = json_object_get(root, "unique_id");
    reason = json_object_get(root, "reason");

    for (k = 0; json_is_string(id) && json_is_string(reason) && k < watch->n;
         k++)
    {
        watched = &watch->waits[k];

        if (watched->fate != KLAVIYO_CLI_WAITS
            || watched->unique_id_len != json_string_length(id)
            || memcmp(watched->unique_id, json_string_value(id),
                      watched->unique_id_len)
               != 0)
        {
            continue;
        }

        for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
            if (strcmp(klaviyo_outcome_names[i].group, "dead") == 0
                && strcmp(klaviyo_outcome_names[i].name,
                          json_string_value(reason)) == 0)
            {
                watched->fate = KLAVIYO_CLI_ENDED;
                watched->outcome = i;
                watched->status = (unsigned) json_integer_value(
                                      json_object_get(root, "status"));
            }
        }
    }

    json_decref(root);
}


static void
klaviyo_cli_watch_settle(klaviyo_cli_watch_t *watch,
    const klaviyo_figures_t *now)
{
    int                     i, only;
    size_t                  k, n;
    uint64_t                ended[KLAVIYO_OUTCOME_N];
    klaviyo_outcome_e       outcome;
    klaviyo_cli_watched_t  *watched;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        ended[i] = now->outcome[i] - watch->figures.outcome[i];
    }

    for (n = 0; n < watch->n && watch->waits[n].seq < now->done; n++) {
        watched = &watch->waits[n];

        if (watched->fate == KLAVIYO_CLI_ENDED) {

            if (ended[watched->outcome]) {
                ended[watched->outcome]--;
            }

        } else if (now->moved != watch->figures.moved
                   && klaviyo_cli_watch_again(watch, n))
        {
            watched->fate = KLAVIYO_CLI_AGAIN;
        }
    }

    only = klaviyo_cli_watch_only(ended, &outcome);

    for (k = 0; k < n; k++) {
        watched = &watch->waits[k];

        if (watched->fate == KLAVIYO_CLI_WAITS) {
            watched->fate = only ? KLAVIYO_CLI_ENDED : KLAVIYO_CLI_MIXED;
            watched->outcome = outcome;
        }

        watch->ended(watch, watched);
    }

    watch->n -= n;
    memmove(watch->waits, watch->waits + n,
            watch->n * sizeof(klaviyo_cli_watched_t));
}


/* 1: all that is left ended in one way */

static int
klaviyo_cli_watch_only(const uint64_t *ended, klaviyo_outcome_e *outcome)
{
    int       i;
    unsigned  n;

    n = 0;
    *outcome = KLAVIYO_OUTCOME_DELIVERED;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (ended[i]) {
            *outcome = i;
            n++;
        }
    }

    return n == 1;
}


/* the same event is in the queue once more, behind itself */

static int
klaviyo_cli_watch_again(const klaviyo_cli_watch_t *watch, size_t from)
{
    size_t                        k;
    const klaviyo_cli_watched_t  *it;

    it = &watch->waits[from];

    for (k = from + 1; k < watch->n; k++) {

        if (watch->waits[k].unique_id_len == it->unique_id_len
            && memcmp(watch->waits[k].unique_id, it->unique_id,
                      it->unique_id_len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
