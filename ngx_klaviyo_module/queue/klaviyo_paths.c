/*
 * The queue room: where the files of an account are; see the header.
 *
 * Plain C.  What is read may be anybody's: it is a regular file of ours or of
 * root's, of bounded size, and its paths are absolute.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_paths.h"


#define KLAVIYO_PATHS_FILE  (4 * PATH_MAX)


typedef struct {
    const char  *word;
    size_t       offset;
} klaviyo_paths_word_t;


static const klaviyo_paths_word_t  klaviyo_paths_words[] = {
    { "ring", offsetof(klaviyo_paths_t, ring) },
    { "spool", offsetof(klaviyo_paths_t, spool) },
    { "dead_letter", offsetof(klaviyo_paths_t, dead_letter) },
    { NULL, 0 }
};


static int klaviyo_paths_put(const char *file, const char *text, size_t len);
static void klaviyo_paths_line(klaviyo_paths_t *paths, const char *line,
    size_t len);


int
klaviyo_paths_set(char *to, const void *path, size_t len)
{
    to[0] = '\0';

    if (len >= PATH_MAX) {
        return -1;
    }

    if (len) {
        memcpy(to, path, len);
    }

    to[len] = '\0';

    return 0;
}


int
klaviyo_paths_write(const char *file, const klaviyo_paths_t *paths,
    char *error)
{
    char                         text[KLAVIYO_PATHS_FILE];
    size_t                       len;
    const char                  *path;
    const klaviyo_paths_word_t  *word;

    len = 0;

    for (word = klaviyo_paths_words; word->word; word++) {
        path = (const char *) paths + word->offset;

        if (path[0] != '\0' && strchr(path, '\n') == NULL) {
            len += (size_t) snprintf(text + len, sizeof(text) - len,
                                     "%s %s\n", word->word, path);
        }
    }

    if (klaviyo_paths_put(file, text, len) == -1) {
        return klaviyo_file_error(error, "writing \"%s\" failed (%d: %m)%s",
                                  file, errno, klaviyo_file_hint(errno));
    }

    return 0;
}


/* beside it, and then in its place */

static int
klaviyo_paths_put(const char *file, const char *text, size_t len)
{
    int   fd, rc, err;
    char  made[PATH_MAX];

    if ((size_t) snprintf(made, sizeof(made), "%s.new", file) >= sizeof(made))
    {
        errno = ENAMETOOLONG;
        return -1;
    }

    /* of one that ended meanwhile */

    (void) unlink(made);

    fd = open(made, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == -1) {
        return -1;
    }

    rc = klaviyo_file_write(fd, text, len, 0);

    if (rc == 0) {
        rc = rename(made, file);
    }

    err = errno;

    if (rc == -1) {
        (void) unlink(made);
    }

    (void) close(fd);

    errno = err;

    return rc;
}


int
klaviyo_paths_read(const char *file, klaviyo_paths_t *paths, char *error)
{
    int          fd;
    char         text[KLAVIYO_PATHS_FILE], *line, *end;
    ssize_t      n;
    struct stat  st;

    memset(paths, 0, sizeof(klaviyo_paths_t));

    fd = open(file, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|O_CLOEXEC);

    if (fd == -1 && errno == ENOENT) {
        return 1;
    }

    if (fd == -1) {
        return klaviyo_file_error(error, "open() \"%s\" failed (%d: %m)",
                                  file, errno);
    }

    if (fstat(fd, &st) == -1
        || !S_ISREG(st.st_mode)
        || klaviyo_file_stranger(&st))
    {
        (void) close(fd);
        return klaviyo_file_error(error, "\"%s\" is not a file of ours or of "
                                  "root's", file);
    }

    n = klaviyo_file_read(fd, text, sizeof(text) - 1, 0);
    (void) close(fd);

    if (n == -1) {
        return klaviyo_file_error(error, "reading \"%s\" failed (%d: %m)",
                                  file, errno);
    }

    text[n] = '\0';

    for (line = text; ; line = end + 1) {
        end = strchr(line, '\n');

        if (end == NULL) {
            break;
        }

        klaviyo_paths_line(paths, line, (size_t) (end - line));
    }

    if (paths->ring[0] == '\0') {
        return klaviyo_file_error(error, "\"%s\" names no ring: reload nginx, "
                                  "which writes it", file);
    }

    return 0;
}


static void
klaviyo_paths_line(klaviyo_paths_t *paths, const char *line, size_t len)
{
    size_t                       n;
    const klaviyo_paths_word_t  *word;

    for (word = klaviyo_paths_words; word->word; word++) {
        n = strlen(word->word);

        if (strncmp(line, word->word, n) == 0
            && line[n] == ' '
            && line[n + 1] == '/')
        {
            (void) klaviyo_paths_set((char *) paths + word->offset,
                                     line + n + 1, len - n - 1);
        }
    }
}
