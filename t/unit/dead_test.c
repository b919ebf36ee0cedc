/*
 * The file of dead letters: what is appended, rotated, refused, mended.
 */


#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#include "queue/klaviyo_dead.h"


#define SIZE     KLAVIYO_DEAD_MIN_SIZE
#define WRITERS  4
#define LINES    250             /* of each writer                          */


static char                 dir[] = "/tmp/klaviyo-dead-XXXXXX";
static char                 path[128];
static char                 old[160];
static char                 error[KLAVIYO_RING_ERROR_MAX];
static uint64_t             dropped;
static klaviyo_dead_conf_t  conf;

static char                 buf[1024 * 1024];


static klaviyo_ring_rc_e
test_write(const char *lines)
{
    return klaviyo_dead_write(&conf, (const uint8_t *) lines, strlen(lines),
                              &dropped, error);
}


/* the file's text; its length, or -1 */

static int
test_read(const char *name)
{
    int      fd;
    ssize_t  n;

    buf[0] = '\0';

    fd = open(name, O_RDONLY);
    if (fd == -1) {
        return -1;
    }

    n = read(fd, buf, sizeof(buf) - 1);
    buf[n > 0 ? n : 0] = '\0';

    close(fd);

    return (int) n;
}


static void
test_put(const char *name, const char *text)
{
    int  fd;

    fd = open(name, O_WRONLY|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t) strlen(text)) {
        printf("Bail out! %s\n", name);
        exit(1);
    }

    close(fd);
}


/* lines of 100 bytes, numbered from `n` on */

static void
test_lines(char *p, int n, int lines)
{
    int  i;

    for (i = 0; i < lines; i++) {
        p += sprintf(p, "%08d %090d\n", n + i, 0);
    }
}


static unsigned
test_mode(const char *name)
{
    struct stat  st;

    return (stat(name, &st) == 0) ? st.st_mode & 07777 : 0;
}


static void
test_append(void)
{
    char  above[sizeof(path)];

    snprintf(path, sizeof(path), "%s/one/two/dead.jsonl", dir);
    snprintf(above, sizeof(above), "%s/one/two", dir);

    is_int(klaviyo_dead_check(&conf, 0, error), KLAVIYO_RING_OK, "asked (%s)",
           error);
    is_int(access(path, F_OK), -1, "nothing is made");

    is_int(klaviyo_dead_check(&conf, 1, error), KLAVIYO_RING_OK, "check (%s)",
           error);
    is_int(test_mode(path), 0600, "made the file");
    is_int(test_mode(above), 0700, "and its folder");
    *strrchr(above, '/') = '\0';
    is_int(test_mode(above), 0700, "and the one above");
    is_int(klaviyo_dead_check(&conf, 1, error), KLAVIYO_RING_OK, "once more");
    is_int(test_read(path), 0, "nothing in it");

    is_int(test_write("{1}\n{2}\n"), KLAVIYO_RING_OK, "two lines");
    is_int(test_write("{3}\n"), KLAVIYO_RING_OK, "a third");
    test_read(path);
    is_str(buf, "{1}\n{2}\n{3}\n", "behind each other");
    is_int(dropped, 0, "nothing dropped");

    is_int(test_write(""), KLAVIYO_RING_OK, "no line");
    is_int(test_read(path), 12, "is none");

    /* as a crash, or a full disk, leaves it */

    test_put(path, "{1}\n{\"to");
    is_int(test_write("{2}\n"), KLAVIYO_RING_OK, "behind a torn line");
    test_read(path);
    is_str(buf, "{1}\n{\"to\n{2}\n", "which is ended");

    unlink(path);
    is_int(test_write("{4}\n"), KLAVIYO_RING_OK, "taken away by somebody");
    test_read(path);
    is_str(buf, "{4}\n", "made anew");
    is_int(test_mode(path), 0600, "for its owner only");

    chmod(path, 0644);
    test_write("{5}\n");
    is_int(test_mode(path), 0600, "made readable: for its owner only");

    unlink(path);
    rmdir(strcat(above, "/two"));
    *strrchr(above, '/') = '\0';
    rmdir(above);

    snprintf(path, sizeof(path), "%s/one/two/three/dead.jsonl", dir);
    is_int(klaviyo_dead_check(&conf, 1, error), KLAVIYO_RING_ERROR,
           "three folders are missing");
    ok(strstr(error, "mkdir()") != NULL, "%s", error);

    snprintf(path, sizeof(path), "%s/dead.jsonl", dir);
    snprintf(old, sizeof(old), "%s.1", path);
}


static void
test_rotation(void)
{
    int          i, n, wrong, most;
    uint64_t     sum;
    struct stat  st, was;

    n = 0;
    sum = 0;
    wrong = 0;
    most = 0;

    for (i = 0; i < 200; i++) {
        test_lines(buf, n, 10);
        n += 10;

        wrong += (test_write(buf) != KLAVIYO_RING_OK);
        sum += dropped;

        stat(path, &st);
        was.st_size = 0;
        (void) (stat(old, &was) == 0);

        most = (st.st_size + was.st_size > most)
               ? (int) (st.st_size + was.st_size) : most;
    }

    is_int(wrong, 0, "two thousand lines");
    ok(most <= SIZE && most > SIZE - 3000, "both files: at most %d of %d",
       most, SIZE);

    test_read(old);
    n = atoi(buf);
    is_int(n, sum, "what is before the old one was counted");
    i = (int) strlen(buf) / 100;
    test_read(path);
    is_int(atoi(buf), n + i, "what is in the new one comes after it");
    is_int(atoi(buf) + (int) strlen(buf) / 100, 2000, "up to the last");
    is_int(test_mode(path), 0600, "for its owner only");

    /* more than a file holds, in one piece */

    unlink(path);
    unlink(old);
    test_lines(buf, 0, 600);
    is_int(test_write(buf), KLAVIYO_RING_OK, "60 kB at once");
    is_int(dropped, 0, "both files have it");
    n = test_read(old);
    is_int(test_read(path), 60000 - n, "in whole lines");
    is_int(atoi(buf), n / 100, "none is missing");

    test_lines(buf, 600, 2000);
    is_int(test_write(buf), KLAVIYO_RING_OK, "200 kB at once");
    test_read(old);
    is_int(dropped, atoi(buf), "most of it is dropped, and counted");

    /* a line that is larger than a file */

    memset(buf, 'x', 100000);
    strcpy(buf + 100000, "\n{5}\n");
    is_int(test_write(buf), KLAVIYO_RING_OK, "a line of 100 kB");
    is_int(test_read(old), 100001, "has a file to itself");
    test_read(path);
    is_str(buf, "{5}\n", "the next one is in another");

    unlink(path);
    unlink(old);

    /* as far as it goes: a byte is left for the end of a torn line */

    for (i = 0; i < 2; i++) {
        memset(buf, 'x', SIZE / 2 - 100);
        strcpy(buf + SIZE / 2 - 101, "\n");
        test_put(path, buf);

        memset(buf, 'y', 100);
        strcpy(buf + 98 + i, "\n");
        is_int(test_write(buf), KLAVIYO_RING_OK, "a line of %d bytes", 99 + i);
        is_int(access(old, F_OK), i ? 0 : -1, "%s", i ? "has another file"
                                                      : "goes in");
        unlink(path);
        unlink(old);
    }

    /* what stands in the way of a rotation */

    test_lines(buf, 0, 320);
    test_write(buf);
    mkdir(old, 0700);
    is_int(test_write(buf), KLAVIYO_RING_ERROR, "a folder in the way");
    ok(strstr(error, "rename()") != NULL, "%s", error);
    rmdir(old);
    test_put(old, "{1}\n{2}\n{torn");
    is_int(test_write(buf), KLAVIYO_RING_OK, "and gone");
    is_int(dropped, 2, "lines are counted by their ends");

    unlink(old);
    unlink(path);
}


static void
test_refused(const char *what, const char *says)
{
    is_int(klaviyo_dead_check(&conf, 1, error), KLAVIYO_RING_ERROR, "%s", what);
    ok(strstr(error, says) != NULL, "%s", error);
    is_int(test_write("{}\n"), KLAVIYO_RING_ERROR, "%s: not written to",
           what);
}


static void
test_traps(void)
{
    char  other[160], folder[64];

    snprintf(other, sizeof(other), "%s/other", dir);
    test_put(other, "precious\n");

    is_int(symlink(other, path), 0, "a link");
    test_refused("a symbolic link", "is a symbolic link");
    unlink(path);

    is_int(link(other, path), 0, "a second name");
    test_refused("a second name", "more than one name");
    unlink(path);

    is_int(mkfifo(path, 0600), 0, "a pipe");
    test_refused("a pipe", "not a regular file");
    unlink(path);

    is_int(mkdir(path, 0700), 0, "a folder");
    test_refused("a folder", "is a directory");
    rmdir(path);

    test_read(other);
    is_str(buf, "precious\n", "the other file is as it was");

    chmod(dir, 0777);
    test_refused("a folder for everybody", "writable by every user");
    chmod(dir, 0700);

    if (geteuid() == 0) {
        test_put(path, "");
        is_int(chown(path, 12345, 12345), 0, "another user's file");
        test_refused("another user's", "belongs to another user");
    }

    chmod(dir, 0700);
    unlink(other);
    unlink(path);

    conf.size = KLAVIYO_DEAD_MIN_SIZE - 1;
    test_refused("a size too small", "64k");
    conf.size = SIZE;

    conf.path = "dead.jsonl";
    test_refused("half a path", "full path");
    conf.path = "/";
    test_refused("no path", "full path");

    memset(buf, 'a', 5000);
    buf[0] = '/';
    buf[5000] = '\0';
    conf.path = buf;
    test_refused("a path too long", "too long");
    buf[255] = '\0';
    is_int(klaviyo_dead_check(&conf, 1, error), KLAVIYO_RING_ERROR,
           "no room for \".1\"");

    conf.path = path;

    snprintf(folder, sizeof(folder), "%s/f", dir);
    snprintf(path, sizeof(path), "%s/f/dead.jsonl", dir);
    test_put(folder, "");
    test_refused("a file for a folder", "open()");
    unlink(folder);
    snprintf(path, sizeof(path), "%s/dead.jsonl", dir);
}


/* the limit of a file's size stands for a disk that is full */

static void
test_full(void)
{
    struct rlimit  limit, was;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);

    test_lines(buf, 0, 10);
    test_write(buf);
    test_put(old, "{}\n");

    limit = was;
    limit.rlim_cur = 1550;
    setrlimit(RLIMIT_FSIZE, &limit);

    test_lines(buf, 10, 10);
    is_int(test_write(buf), KLAVIYO_RING_ERROR, "a disk that is full");
    ok(strstr(error, "write()") != NULL, "%s", error);
    is_int(test_read(path), 1000, "the half that was written is gone again");

    setrlimit(RLIMIT_FSIZE, &was);

    test_lines(buf, 10, 10);
    is_int(test_write(buf), KLAVIYO_RING_OK, "room again");
    is_int(test_read(path), 2000, "each line once");

    unlink(path);
    unlink(old);
}


/* another process is writing */

static void
test_locked(void)
{
    int              fd, status;
    pid_t            pid;
    struct flock     fl;
    struct timespec  moment;

    test_write("{1}\n");

    fd = open(path, O_RDWR|O_CLOEXEC);

    memset(&fl, 0, sizeof(fl));
    fl.l_type = F_WRLCK;
    fl.l_len = 1;
    is_int(fcntl(fd, F_OFD_SETLK, &fl), 0, "locked");

    pid = fork();

    if (pid == 0) {
        close(fd);
        _exit(test_write("{2}\n") == KLAVIYO_RING_OK ? 0 : 1);
    }

    moment.tv_sec = 0;
    moment.tv_nsec = 100000000L;
    nanosleep(&moment, NULL);
    is_int(waitpid(pid, &status, WNOHANG), 0, "another one waits");

    /* rotated meanwhile: it follows the path, not the file */

    is_int(rename(path, old), 0, "rotated");
    close(fd);

    waitpid(pid, &status, 0);
    is_int(status, 0, "then it writes");
    test_read(path);
    is_str(buf, "{2}\n", "to the new file");

    unlink(path);
    unlink(old);
}


/* several processes write and rotate: no line is torn, each is accounted for */

static void
test_writers(void)
{
    int        i, j, n, status, bad;
    char       line[128], *p;
    pid_t      pid[WRITERS];
    uint64_t  *sum;

    static char  seen[WRITERS * LINES];

    sum = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
               -1, 0);

    for (i = 0; i < WRITERS; i++) {
        pid[i] = fork();

        if (pid[i] == 0) {

            for (j = 0; j < LINES; j++) {
                test_lines(line, i * LINES + j, 1);

                if (test_write(line) != KLAVIYO_RING_OK) {
                    _exit(1);
                }

                __atomic_fetch_add(sum, dropped, __ATOMIC_RELAXED);
            }

            _exit(0);
        }
    }

    bad = 0;

    for (i = 0; i < WRITERS; i++) {
        waitpid(pid[i], &status, 0);
        bad += (status != 0);
    }

    is_int(bad, 0, "writers at a time");

    n = 0;

    for (i = 0; i < 2; i++) {
        test_read(i ? path : old);

        for (p = buf; *p; p += 100) {

            if (strlen(p) < 100 || p[99] != '\n'
                || atoi(p) >= WRITERS * LINES || seen[atoi(p)]++)
            {
                bad++;
                break;
            }

            n++;
        }
    }

    is_int(bad, 0, "whole lines, each once");
    is_int(n + (int) *sum, WRITERS * LINES, "the others were dropped: %d",
           (int) *sum);
    ok(*sum > 0, "by rotation");

    munmap(sum, 4096);
    unlink(path);
    unlink(old);
}


int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! mkdtemp() failed\n");
        return 1;
    }

    conf.path = path;
    conf.size = SIZE;

    test_append();
    test_rotation();
    test_traps();
    test_full();
    test_locked();
    test_writers();

    ok(rmdir(dir) == 0, "nothing else is left");

    return done_testing();
}
