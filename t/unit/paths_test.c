/*
 * The small file that says where an account's files are: what is written comes
 * back, as one step, and nothing but a file of ours is believed.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "ring.h"
#include "queue/klaviyo_paths.h"


#define FILE_MAX  (4 * PATH_MAX)


static char             file[256];
static char             beside[300];
static char             text[2 * FILE_MAX];
static klaviyo_paths_t  paths;


static const char *
content(const char *name)
{
    int      fd;
    ssize_t  n;

    fd = open(name, O_RDONLY);
    n = (fd == -1) ? 0 : read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);

    return text;
}


static void
put(const char *bytes, size_t len)
{
    int  fd;

    fd = open(file, O_WRONLY|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || write(fd, bytes, len) != (ssize_t) len) {
        perror("put");
        exit(2);
    }

    close(fd);
}


static void
put_text(const char *bytes)
{
    put(bytes, strlen(bytes));
}


static int
get(void)
{
    memset(&paths, 'x', sizeof(paths));

    return klaviyo_paths_read(file, &paths, ring_error);
}


static void
test_set(void)
{
    char  to[PATH_MAX], path[PATH_MAX + 1];

    memset(path, 'a', sizeof(path));

    memset(to, 'x', sizeof(to));
    is_int(klaviyo_paths_set(to, "/a/bcd", 4), 0, "set");
    is_str(to, "/a/b", "up to its length");

    memset(to, 'x', sizeof(to));
    is_int(klaviyo_paths_set(to, NULL, 0), 0, "nothing");
    is_str(to, "", "is empty");

    is_int(klaviyo_paths_set(to, path, PATH_MAX - 1), 0, "the longest");
    is_int(strlen(to), PATH_MAX - 1, "whole");

    is_int(klaviyo_paths_set(to, path, PATH_MAX), -1, "a byte too long");
    is_str(to, "", "leaves nothing");
}


static void
test_write(void)
{
    struct stat  st;

    memset(&paths, 0, sizeof(paths));
    strcpy(paths.ring, "/r/shop.ring");
    strcpy(paths.spool, "/s/shop");
    strcpy(paths.dead_letter, "/d/dead.jsonl");

    /* what a process left that died while it wrote */

    ok(symlink("/nowhere/at/all", beside) == 0, "a left-over");

    is_int(klaviyo_paths_write(file, &paths, ring_error), 0, "written");
    is_str(content(file), "ring /r/shop.ring\nspool /s/shop\n"
           "dead_letter /d/dead.jsonl\n", "a path a line");
    ok(lstat(file, &st) == 0 && S_ISREG(st.st_mode)
       && (st.st_mode & 0777) == 0600, "for its owner only");
    is_int(access(beside, F_OK), -1, "nothing is left beside it");

    is_int(get(), 0, "read");
    is_str(paths.ring, "/r/shop.ring", "the ring");
    is_str(paths.spool, "/s/shop", "the spool");
    is_str(paths.dead_letter, "/d/dead.jsonl", "the dead letters");

    paths.spool[0] = '\0';
    strcpy(paths.dead_letter, "/d/a\nring /b");
    is_int(klaviyo_paths_write(file, &paths, ring_error), 0, "once more");
    is_str(content(file), "ring /r/shop.ring\n",
           "no line for what is off, or would be two");

    is_int(get(), 0, "read");
    is_str(paths.spool, "", "no spool");
    is_str(paths.dead_letter, "", "no dead letters");
}


/* beside a name of this length stands one that is four bytes longer */

static int
write_to(size_t len)
{
    char    name[PATH_MAX + 1];
    size_t  n;

    n = (size_t) sprintf(name, "%s", ring_dir);

    while (n + 2 < len) {
        n += (size_t) sprintf(name + n, "/.");
    }

    strcpy(name + n, "///x" + 4 - (len - n));

    return klaviyo_paths_write(name, &paths, ring_error);
}


static void
test_write_refused(void)
{
    struct rlimit  limit, was;

    is_int(write_to(PATH_MAX - 5), 0, "the longest name");
    is_int(write_to(PATH_MAX - 4), -1, "a byte more");
    is_int(errno, ENAMETOOLONG, "is too long");

    strcpy(paths.ring, "/other");

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    limit = was;
    limit.rlim_cur = 3;
    setrlimit(RLIMIT_FSIZE, &limit);

    is_int(klaviyo_paths_write(file, &paths, ring_error), -1, "no room");
    ok(strstr(ring_error, "File too large") != NULL, "%s", ring_error);

    setrlimit(RLIMIT_FSIZE, &was);

    is_str(content(file), "ring /r/shop.ring\n", "the old one stands");
    is_int(access(beside, F_OK), -1, "no half of a new one");

    unlink(file);
    mkdir(file, 0700);
    is_int(klaviyo_paths_write(file, &paths, ring_error), -1,
           "a folder in its place");
    ok(strstr(ring_error, "Is a directory") != NULL, "%s", ring_error);
    is_int(access(beside, F_OK), -1, "no new one beside it");
    rmdir(file);

    mkdir(beside, 0700);
    is_int(klaviyo_paths_write(file, &paths, ring_error), -1,
           "a folder beside it");
    ok(strstr(ring_error, "File exists") != NULL, "%s", ring_error);
    is_int(access(file, F_OK), -1, "nothing is made");
    rmdir(beside);
}


static void
test_read_refused(void)
{
    strcpy(ring_error, "as it was");
    is_int(get(), 1, "no file");
    is_str(ring_error, "as it was", "is no error");
    is_str(paths.ring, "", "and no path");

    is_int(klaviyo_paths_read("/dev/null/x", &paths, ring_error), -1,
           "none can be");
    ok(strstr(ring_error, "open()") != NULL, "%s", ring_error);

    is_int(klaviyo_paths_read(ring_dir, &paths, ring_error), -1, "a folder");
    ok(strstr(ring_error, "not a file of ours") != NULL, "%s", ring_error);

    ok(mkfifo(file, 0600) == 0, "a pipe");
    is_int(get(), -1, "is not waited for");
    ok(strstr(ring_error, "not a file of ours") != NULL, "%s", ring_error);
    unlink(file);

    ok(symlink(beside, file) == 0, "a link");
    is_int(get(), -1, "is not followed");
    ok(strstr(ring_error, "open()") != NULL, "%s", ring_error);
    unlink(file);

    is_int(klaviyo_paths_read("/proc/self/mem", &paths, ring_error), -1,
           "a file that cannot be read");
    ok(strstr(ring_error, "reading") != NULL, "%s", ring_error);

    if (geteuid() == 0) {
        put_text("ring /a\n");
        ok(chown(file, 12345, 12345) == 0, "a stranger's");
        is_int(get(), -1, "is refused");
        ok(strstr(ring_error, "not a file of ours") != NULL, "%s",
           ring_error);
        unlink(file);
    }
}


static void
test_lines(void)
{
    unsigned  i;

    static const char  *none[] = {
        "", "ring /a", "ring a\n", "ring/a\n", "ring \n/a\n", "rings /a\n",
        "rin /a\n", " ring /a\n", "spool /a\n", "ring\n /a\n"
    };

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        put_text(none[i]);
        is_int(get(), -1, "no ring in text %u", i);
        ok(strstr(ring_error, "names no ring") != NULL, "%s", ring_error);
        is_str(paths.ring, "", "none is told");
    }

    put_text("word /x\n\nspool /b\nring /\ndead_letter off\nspool");
    is_int(get(), 0, "other words are passed over");
    is_str(paths.ring, "/", "the ring");
    is_str(paths.spool, "/b", "the spool");
    is_str(paths.dead_letter, "", "no dead letters");
}


static void
test_bounds(void)
{
    char  bytes[FILE_MAX];

    /* a last line that ends with the last byte that is read, and behind it */

    memset(bytes, '\n', sizeof(bytes));
    memcpy(bytes + FILE_MAX - 9, "ring /a\n", 8);
    put(bytes, FILE_MAX);
    is_int(get(), 0, "up to its bounds it is read");
    is_str(paths.ring, "/a", "to the end");

    memcpy(bytes + FILE_MAX - 9, "\nring /a\n", 9);
    put(bytes, FILE_MAX);
    is_int(get(), -1, "but no further");

    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "ring /", 6);
    bytes[5 + PATH_MAX] = '\n';
    put(bytes, 6 + PATH_MAX);
    is_int(get(), -1, "a path that is too long");
    bytes[4 + PATH_MAX] = '\n';
    put(bytes, 5 + PATH_MAX);
    is_int(get(), 0, "the longest path");
    is_int(strlen(paths.ring), PATH_MAX - 1, "whole");

    unlink(file);
}


int
main(void)
{
    int  fds;

    ring_folder();
    fds = tap_fds();

    (void) snprintf(file, sizeof(file), "%s/shop.account", ring_dir);
    (void) snprintf(beside, sizeof(beside), "%s.new", file);

    test_set();
    test_write();
    test_write_refused();
    test_read_refused();
    test_lines();
    test_bounds();

    is_int(tap_fds(), fds, "no descriptor is left open");
    ring_cleanup();

    return done_testing();
}
