/*
 * The queue room: points at which tests end the process.  In every other
 * build this file is empty.
 *
 *     "<point> <n>"         the n-th visit from now on, of whichever process
 *     "<point> <n> stop"    the process is stopped, and may go on
 *
 * The lock of the file makes visits one at a time; its content is counted
 * down in place and never longer than it was.
 *
 * Plain C.  May touch the file that KLAVIYO_CRASH names.
 */


#include <stdint.h>

#include "klaviyo_crash.h"


#ifdef KLAVIYO_CRASH_POINTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>


#define KLAVIYO_CRASH_LINE  128      /* bytes of the file that are read     */


static unsigned klaviyo_crash_read(int fd, const char *point, int *signo);
static int klaviyo_crash_count(int fd, const char *path, const char *point);


void
klaviyo_crash(const char *point)
{
    int          fd, last, signo;
    const char  *path;

    path = getenv("KLAVIYO_CRASH");
    if (path == NULL) {
        return;
    }

    fd = open(path, O_RDWR|O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    /* other points pass without waiting for the lock */

    last = klaviyo_crash_read(fd, point, &signo) != 0
           && klaviyo_crash_count(fd, path, point);

    (void) close(fd);

    if (!last) {
        return;
    }

    (void) kill(getpid(), signo);

    while (signo == SIGKILL) {
        (void) pause();
    }
}


/* visits that are left of this point, 0: the file is about none or another */

static unsigned
klaviyo_crash_read(int fd, const char *point, int *signo)
{
    char      line[KLAVIYO_CRASH_LINE], name[KLAVIYO_CRASH_LINE];
    char      stop[KLAVIYO_CRASH_LINE];
    ssize_t   len;
    unsigned  n;

    len = pread(fd, line, sizeof(line) - 1, 0);
    if (len <= 0) {
        return 0;
    }

    line[len] = '\0';

    stop[0] = '\0';

    if (sscanf(line, "%127s %u %127s", name, &n, stop) < 2
        || strcmp(name, point) != 0)
    {
        return 0;
    }

    *signo = strcmp(stop, "stop") == 0 ? SIGSTOP : SIGKILL;

    return n;
}


/* 1: this was the last visit, and the file is removed */

static int
klaviyo_crash_count(int fd, const char *path, const char *point)
{
    int          len, signo;
    char         line[KLAVIYO_CRASH_LINE];
    unsigned     n;
    struct stat  st;

    while (flock(fd, LOCK_EX) == -1) {
        if (errno != EINTR) {
            return 0;
        }
    }

    /* somebody else's visit was the last meanwhile */

    if (fstat(fd, &st) == -1 || st.st_nlink == 0) {
        return 0;
    }

    n = klaviyo_crash_read(fd, point, &signo);

    if (n == 0) {
        return 0;
    }

    if (n == 1) {
        return ftruncate(fd, 0) == 0 && unlink(path) == 0;
    }

    len = snprintf(line, sizeof(line), "%s %u%s\n", point, n - 1,
                   signo == SIGSTOP ? " stop" : "");

    (void) (pwrite(fd, line, (size_t) len, 0) == len
            && ftruncate(fd, len) == 0);

    return 0;
}

#endif
