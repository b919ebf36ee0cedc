/*
 * A directory of our own and the files in it: what is read and written comes
 * to its end however the system cuts it, and what to do is said.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "ring.h"
#include "queue/klaviyo_file.h"


#define STEP  3                      /* bytes that a call takes at most     */


static int  calls;                   /* of pread() and pwrite()             */
static int  interrupt;               /* the n-th, 0: none                   */
static int  end;                     /* the n-th gives 0                    */
static int  fail;                    /* the n-th fails                      */


ssize_t __real_pread(int fd, void *data, size_t len, off_t offset);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);


static ssize_t
odd(void)
{
    calls++;

    if (calls == interrupt || calls == fail) {
        errno = calls == fail ? EIO : EINTR;
        return -1;
    }

    return calls == end ? 0 : 1;
}


ssize_t
__wrap_pread(int fd, void *data, size_t len, off_t offset)
{
    ssize_t  n;

    n = odd();

    return n == 1 ? __real_pread(fd, data, len < STEP ? len : STEP, offset)
                  : n;
}


ssize_t
__wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t  n;

    n = odd();

    return n == 1 ? __real_pwrite(fd, data, len < STEP ? len : STEP, offset)
                  : n;
}


static void
oddly(int interrupts, int ends, int fails)
{
    calls = 0;
    interrupt = interrupts;
    end = ends;
    fail = fails;
}


static void
test_pieces(void)
{
    int   fd;
    char  name[256], buf[32];

    (void) snprintf(name, sizeof(name), "%s/x", ring_dir);
    fd = open(name, O_RDWR|O_CREAT, 0600);

    oddly(2, 0, 0);
    is_int(klaviyo_file_write(fd, "0123456789", 10, 5), 0, "written");
    is_int(calls, 5, "in pieces, one of them twice");

    oddly(2, 0, 0);
    memset(buf, 'x', sizeof(buf));
    is_int(klaviyo_file_read(fd, buf, 10, 5), 10, "read");
    is_mem(buf, 11, "0123456789x", 11, "to its end, and no further");
    is_int(calls, 5, "in pieces, one of them twice");

    oddly(0, 0, 0);
    is_int(klaviyo_file_read(fd, buf, sizeof(buf), 8), 7, "what there is");
    is_mem(buf, 7, "3456789", 7, "from there on");
    is_int(klaviyo_file_read(fd, buf, sizeof(buf), 15), 0, "nothing");

    oddly(0, 0, 2);
    errno = 0;
    is_int(klaviyo_file_write(fd, "abcdef", 6, 0), -1, "a write that fails");
    is_int(errno, EIO, "why");
    oddly(0, 0, 2);
    is_int(klaviyo_file_read(fd, buf, 6, 0), -1, "a read that fails");
    is_int(errno, EIO, "why");

    oddly(0, 2, 0);
    is_int(klaviyo_file_write(fd, "abcdef", 6, 0), -1, "nothing is taken");
    is_int(errno, ENOSPC, "is a full disk");
    oddly(0, 2, 0);
    is_int(klaviyo_file_read(fd, buf, 6, 0), 3, "nothing comes: the end");

    close(fd);
}


static void
test_texts(void)
{
    unsigned  i;

    static const struct {
        int          err;
        const char  *hint;
    } test[] = {
        { ENOSPC, "the disk is full" },
        { EDQUOT, "the quota is used up" },
        { EFBIG, "the limit of a file's size" },
        { EROFS, "the file system is read-only" },
        { EIO, "the disk fails" },
        { EACCES, "give it to the user" },
        { EPERM, "give it to the user" },
        { EMFILE, "too many open files" },
        { ENFILE, "too many open files" }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        ok(strstr(klaviyo_file_hint(test[i].err), test[i].hint) != NULL,
           "%d: %s", test[i].err, klaviyo_file_hint(test[i].err));
    }

    is_str(klaviyo_file_hint(ENOENT), "", "of others there is no hint");

    errno = ENOTTY;
    is_int(klaviyo_file_error(NULL, "%s", "x"), -1, "nobody asks for a text");
    is_int(errno, ENOTTY, "errno is kept");
    is_int(klaviyo_file_error(ring_error, "%s %d", "y", 5), -1, "a text");
    is_str(ring_error, "y 5", "is made");
    is_int(errno, ENOTTY, "errno is kept");
}


static void
test_locks(void)
{
    int   one, two;
    char  name[256];

    (void) snprintf(name, sizeof(name), "%s/x", ring_dir);
    one = open(name, O_RDWR|O_CREAT, 0600);
    two = open(name, O_RDWR);

    is_int(klaviyo_file_locked(two, 7), 0, "no lock");
    is_int(klaviyo_file_lock(one, F_WRLCK, 7), 0, "one byte");
    is_int(klaviyo_file_locked(two, 7), 1, "is locked");
    is_int(klaviyo_file_locked(one, 7), 0, "by others, that is");
    is_int(klaviyo_file_locked(two, 6), 0, "not the one before");
    is_int(klaviyo_file_locked(two, 8), 0, "nor the one behind");
    is_int(klaviyo_file_lock(two, F_RDLCK, 7), EAGAIN, "refused");
    is_int(klaviyo_file_lock(one, F_UNLCK, 7), 0, "let go");
    is_int(klaviyo_file_lock(two, F_RDLCK, 7), 0, "had");
    is_int(klaviyo_file_locked(one, 7), 1, "a shared one is a lock, too");

    close(one);
    close(two);

    is_int(klaviyo_file_lock(one, F_RDLCK, 7), EBADF, "no file");
    is_int(klaviyo_file_locked(one, 7), -1, "is an error");
}


static void
test_dirs(void)
{
    int            i, fd;
    char           name[256], made[2][128];
    struct stat    st;
    klaviyo_dir_t  dir;

    (void) snprintf(name, sizeof(name), "%s/a/b///", ring_dir);
    is_int(klaviyo_dir_open(&dir, name, ring_error), 0, "two are made");
    is_int(strlen(dir.path), strlen(name) - 3, "slashes at the end go");
    is_int(klaviyo_dir_writable(&dir, ring_error), 0, "files may be made");

    for (i = 0; i < 2; i++) {
        is_int(klaviyo_dir_make(&dir, "kind", made[i], ring_error), 0,
               "a folder");
        is_int(fstatat(dir.fd, made[i], &st, 0), 0, "%s", made[i]);
        is_int(st.st_mode & 07777, 0700, "ours alone");
    }

    ok(strcmp(made[0], made[1]) != 0, "another each time");
    ok(strncmp(made[0], "kind-", 5) == 0, "by its name");
    is_int(klaviyo_dir_make(&dir, "no/kind", made[0], ring_error), -1,
           "not where there is nothing");
    ok(strstr(ring_error, "mkdir()") != NULL, "%s", ring_error);

    fd = klaviyo_dir_file(&dir, "f", O_RDWR|O_CREAT|O_EXCL, ring_error);
    ok(fd != -1, "a file");
    is_int(fchmod(fd, 0644), 0, "for all to read");
    close(fd);

    fd = klaviyo_dir_file(&dir, "f", O_RDONLY, ring_error);
    ok(fd != -1 && fstat(fd, &st) == 0, "opened");
    is_int(st.st_mode & 07777, 0600, "ours alone");
    close(fd);

    is_int(klaviyo_dir_file(&dir, "none", O_RDONLY, ring_error), -1, "none");
    is_int(errno, ENOENT, "why");
    is_int(klaviyo_dir_file(&dir, "..", O_RDONLY, ring_error), -1, "a folder");
    is_int(errno, ELOOP, "is none of ours");

    klaviyo_dir_close(&dir);
    ok(dir.fd == -1 && dir.path == NULL, "closed");
    klaviyo_dir_close(&dir);

    if (geteuid() == 0) {
        (void) snprintf(name, sizeof(name), "%s/a", ring_dir);
        ok(chown(name, 12345, 12345) == 0, "a stranger's");
        is_int(klaviyo_dir_open(&dir, name, ring_error), -1, "is refused");
        is_int(errno, EPERM, "why");
        ok(strstr(ring_error, "uid 12345") != NULL, "%s", ring_error);
        klaviyo_dir_close(&dir);
    }

    is_int(klaviyo_dir_open(&dir, "/", ring_error), 0, "the root");
    is_str(dir.path, "/", "keeps its slash");
    klaviyo_dir_close(&dir);
}


int
main(void)
{
    int  fds;

    fds = tap_fds();

    ring_in_folder(test_pieces);
    ring_in_folder(test_locks);
    ring_in_folder(test_dirs);
    test_texts();

    is_int(tap_fds(), fds, "no descriptor is left open");

    return done_testing();
}
