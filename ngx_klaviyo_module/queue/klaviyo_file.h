/*
 * A directory of our own and the files in it, before a byte of them is
 * believed: what the files of the queue room that work on a disk share.
 *
 * Names are looked up below one descriptor of the directory, links are not
 * followed, what belongs to strangers is refused, and all that is created is
 * readable by its owner only: us, for nothing is given away here (root does
 * that, see klaviyo_trust.h).  Errors are errno and a text that says what is
 * wrong, where, and what to do; it may be NULL, else it holds
 * KLAVIYO_RING_ERROR_MAX bytes.
 *
 * Plain C.  Everything here may wait for the disk.
 */


#ifndef KLAVIYO_FILE_H
#define KLAVIYO_FILE_H


#include <sys/stat.h>
#include <sys/types.h>


typedef struct {
    char   *path;                /* without a slash at its end              */
    int     fd;                  /* -1: not open                            */
} klaviyo_dir_t;


/* fills the text and keeps errno; -1 */
int klaviyo_file_error(char *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* what to do about an errno of a disk: ": ..." or an empty string */
const char *klaviyo_file_hint(int err);

/* 1: it is neither root's nor ours */
int klaviyo_file_stranger(const struct stat *st);

/*
 * Opens the directory; creates it, and the one it is in, if they are missing.
 * The copy of the path and the descriptor are given back by close.  0 or -1.
 */
int klaviyo_dir_open(klaviyo_dir_t *dir, const char *path, char *error);
void klaviyo_dir_close(klaviyo_dir_t *dir);

/* 0; -1: we cannot make files in there */
int klaviyo_dir_writable(const klaviyo_dir_t *dir, char *error);

/*
 * Opens a regular file in it; flags are O_RDONLY or O_RDWR, and O_CREAT and
 * O_EXCL.  A descriptor, or -1.
 */
int klaviyo_dir_file(const klaviyo_dir_t *dir, const char *name, int flags,
    char *error);

/*
 * Makes a directory "<name>-<time>-<n>" that is not there yet; fills `made`,
 * which holds 128 bytes, with its name.  0 or -1.
 */
int klaviyo_dir_make(const klaviyo_dir_t *dir, const char *name, char *made,
    char *error);

/* an OFD lock (F_RDLCK, F_WRLCK, F_UNLCK) of one byte; 0 or errno */
int klaviyo_file_lock(int fd, int type, off_t byte);

/* asked without taking it: 1: others have a lock of the byte, 0: none; -1 */
int klaviyo_file_locked(int fd, off_t byte);

/* all of it at this offset; 0 or -1 and errno, which is never EINTR */
int klaviyo_file_write(int fd, const void *data, size_t len, off_t offset);

/* what there is, up to len; the bytes, or -1 and errno */
ssize_t klaviyo_file_read(int fd, void *data, size_t len, off_t offset);


#endif /* KLAVIYO_FILE_H */
