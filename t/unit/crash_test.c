/*
 * Crash points, compiled in for this test alone: which process ends, and
 * when.
 */


#define _GNU_SOURCE
#define KLAVIYO_CRASH_POINTS

#include "queue/klaviyo_crash.c"

#include <sys/mman.h>
#include <sys/wait.h>

#include "tap.h"


#define PROCESSES  4
#define VISITS     200


static char  path[] = "/tmp/klaviyo-crash-XXXXXX";


static void
test_arm(const char *line)
{
    FILE  *file;

    file = fopen(path, "w");

    if (file == NULL) {
        printf("Bail out! %s\n", path);
        exit(1);
    }

    fputs(line, file);
    fclose(file);
}


/* visits that a process survives, up to `max`; its end in *status */

static int
test_visits(const char *point, int max, int *status)
{
    int    i, *n;
    pid_t  pid;

    n = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
             0);

    pid = fork();

    if (pid == 0) {
        for (i = 0; i < max; i++) {
            klaviyo_crash(point);
            (*n)++;
        }

        _exit(0);
    }

    waitpid(pid, status, 0);

    i = *n;
    munmap(n, 4096);

    return i;
}


static void
test_one(void)
{
    int  status;

    test_arm("here 1\n");
    is_int(test_visits("there", 5, &status), 5, "another point");
    is_int(test_visits("her", 5, &status), 5, "a shorter name");
    is_int(test_visits("here", 5, &status), 0, "the first visit");
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "killed");
    ok(access(path, F_OK) == -1, "the file is gone");
    is_int(test_visits("here", 5, &status), 5, "nothing is left");

    test_arm("here 11\n");
    is_int(test_visits("here", 3, &status), 3, "three visits");
    is_int(test_visits("here", 6, &status), 6, "six of another process");
    is_int(test_visits("here", 6, &status), 1, "the eleventh is the last");
    ok(WIFSIGNALED(status), "killed");

    test_arm("here\n");
    is_int(test_visits("here", 3, &status), 3, "no number");
    test_arm("here 0\n");
    is_int(test_visits("here", 3, &status), 3, "zero");
    test_arm("");
    is_int(test_visits("here", 3, &status), 3, "an empty file");
    unlink(path);
}


static void
test_several(void)
{
    int    i, j, status, killed, *n;
    pid_t  pid[PROCESSES];

    n = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
             0);

    test_arm("here 300\n");

    for (i = 0; i < PROCESSES; i++) {
        pid[i] = fork();

        if (pid[i] == 0) {
            for (j = 0; j < VISITS; j++) {
                klaviyo_crash("here");
                __atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
            }

            _exit(0);
        }
    }

    killed = 0;

    for (i = 0; i < PROCESSES; i++) {
        waitpid(pid[i], &status, 0);
        killed += WIFSIGNALED(status);
    }

    is_int(killed, 1, "several processes: one is killed");
    ok(*n >= 299, "not before the 300th visit");
    ok(access(path, F_OK) == -1, "the file is gone");

    munmap(n, 4096);
}


int
main(void)
{
    int  fd, status;

    fd = mkstemp(path);

    if (fd == -1) {
        printf("Bail out! mkstemp() failed\n");
        return 1;
    }

    close(fd);

    test_arm("here 1\n");
    unsetenv("KLAVIYO_CRASH");
    is_int(test_visits("here", 3, &status), 3, "without the variable");

    setenv("KLAVIYO_CRASH", path, 1);

    test_one();
    test_several();

    return done_testing();
}
