/*
 * The least of TAP that the unit tests need: no plan ahead, a count at the
 * end, a non-zero exit when something failed.
 */


#ifndef TAP_H
#define TAP_H


#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>


#define TAP_GUARDED  8192            /* bytes before the end of memory      */


static int  tap_run;
static int  tap_failed;


#define ok(cond, ...)                                                        \
    tap_ok((cond) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

#define is_int(got, expected, ...)                                           \
    tap_is_int((int64_t) (got), (int64_t) (expected), __FILE__, __LINE__,    \
               __VA_ARGS__)

#define is_str(got, expected, ...)                                           \
    tap_is_mem((got), strlen(got), (expected), strlen(expected), __FILE__,   \
               __LINE__, __VA_ARGS__)

#define is_mem(got, got_len, expected, expected_len, ...)                    \
    tap_is_mem((const char *) (got), (got_len), (const char *) (expected),   \
               (expected_len), __FILE__, __LINE__, __VA_ARGS__)

#define diag(...)                                                            \
    (printf("# "), printf(__VA_ARGS__), printf("\n"))


static inline int
tap_result(int passed, const char *file, int line, const char *fmt,
    va_list args)
{
    tap_run++;

    printf("%sok %d - ", passed ? "" : "not ", tap_run);
    vprintf(fmt, args);
    printf("\n");

    if (!passed) {
        tap_failed++;
        printf("#   failed at %s:%d\n", file, line);
    }

    fflush(stdout);

    return passed;
}


__attribute__((format(printf, 4, 5))) static inline int
tap_ok(int passed, const char *file, int line, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    passed = tap_result(passed, file, line, fmt, args);
    va_end(args);

    return passed;
}


__attribute__((format(printf, 5, 6))) static inline int
tap_is_int(int64_t got, int64_t expected, const char *file, int line,
    const char *fmt, ...)
{
    int      passed;
    va_list  args;

    va_start(args, fmt);
    passed = tap_result(got == expected, file, line, fmt, args);
    va_end(args);

    if (!passed) {
        diag("     got: %" PRId64, got);
        diag("expected: %" PRId64, expected);
    }

    return passed;
}


__attribute__((format(printf, 7, 8))) static inline int
tap_is_mem(const char *got, size_t got_len, const char *expected,
    size_t expected_len, const char *file, int line, const char *fmt, ...)
{
    int      passed;
    va_list  args;

    va_start(args, fmt);
    passed = tap_result(got_len == expected_len
                        && memcmp(got, expected, got_len) == 0,
                        file, line, fmt, args);
    va_end(args);

    if (!passed) {
        diag("     got: %.*s", (int) got_len, got);
        diag("expected: %.*s", (int) expected_len, expected);
    }

    return passed;
}


/* so many times as long everything may take: under valgrind, for instance */

static inline int
tap_slow(void)
{
    const char  *value;

    value = getenv("KLAVIYO_SLOW");

    return value ? atoi(value) : 1;
}


/* descriptors that this process has open */

static inline int
tap_fds(void)
{
    int   n;
    DIR  *list;

    list = opendir("/proc/self/fd");

    for (n = 0; list && readdir(list); n++) { /* void */ }

    if (list) {
        closedir(list);
    }

    return n;
}


/* two halves of memory, of which that at `closed` may not be touched */

static inline uint8_t *
tap_guard(size_t closed)
{
    uint8_t  *map;

    map = mmap(NULL, 2 * TAP_GUARDED, PROT_READ|PROT_WRITE,
               MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED
        || mprotect(map + closed, TAP_GUARDED, PROT_NONE) == -1)
    {
        perror("mmap");
        exit(2);
    }

    return map;
}


static inline void
tap_guard_fits(size_t len)
{
    if (len > TAP_GUARDED) {
        printf("Bail out! too much to be guarded\n");
        exit(2);
    }
}


/*
 * A copy, until the next one, that ends where memory ends: a byte beyond it
 * is a fault.
 */

static inline const uint8_t *
tap_guarded(const void *bytes, size_t len)
{
    static uint8_t  *map;

    map = map ? map : tap_guard(TAP_GUARDED);

    tap_guard_fits(len);

    return memcpy(map + TAP_GUARDED - len, bytes, len);
}


/* one that begins where memory begins */

static inline const uint8_t *
tap_guarded_front(const void *bytes, size_t len)
{
    static uint8_t  *map;

    map = map ? map : tap_guard(0);

    tap_guard_fits(len);

    return memcpy(map + TAP_GUARDED, bytes, len);
}


static inline int
done_testing(void)
{
    printf("1..%d\n", tap_run);

    return tap_failed ? 1 : 0;
}


#endif /* TAP_H */
