/*
 * klaviyo-queue: with whose rights what is done; see the header.
 *
 * The command runs in a child when it writes to a file: what was made in a
 * folder of the operator's, and is not needed, only the operator can remove.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "klaviyo_cli_rights.h"
#include "queue/klaviyo_trust.h"


static int klaviyo_cli_rights_open(klaviyo_cli_t *cli);
static int klaviyo_cli_rights_file(const char *path, int flags,
    klaviyo_trust_t *owner);
static int klaviyo_cli_rights_become(const klaviyo_trust_t *owner);
static int klaviyo_cli_rights_owner(const char *path,
    klaviyo_trust_t *owner);
static int klaviyo_cli_rights_name(klaviyo_cli_t *cli);
static int klaviyo_cli_rights_lacks(const char *path);
static int klaviyo_cli_rights_leave(const char *path, const char *other);
static int klaviyo_cli_rights_child(klaviyo_cli_t *cli,
    int (*run)(const klaviyo_cli_t *cli));


static klaviyo_trust_t  klaviyo_cli_out_owner;


int
klaviyo_cli_rights_run(klaviyo_cli_t *cli,
    int (*run)(const klaviyo_cli_t *cli))
{
    int          rc;
    struct stat  st;

    rc = klaviyo_cli_rights_open(cli);

    if (rc != KLAVIYO_CLI_OK) {
        return rc;
    }

    if (cli->output) {
        rc = klaviyo_cli_rights_child(cli, run);

        if (fstat(fileno(cli->out), &st) == 0 && st.st_size == 0
            && klaviyo_cli_rights_become(&klaviyo_cli_out_owner) == 0)
        {
            (void) unlink(cli->output);
        }

        (void) fclose(cli->out);

    } else {
        rc = klaviyo_cli_rights_drop(cli);

        if (rc == KLAVIYO_CLI_OK) {
            rc = run(cli);
        }
    }

    if (cli->in != stdin) {
        (void) fclose(cli->in);
    }

    return rc;
}


/* Nothing is written over, and nobody else may read it. */

static int
klaviyo_cli_rights_open(klaviyo_cli_t *cli)
{
    int              fd;
    klaviyo_trust_t  owner;

    cli->in = stdin;
    cli->out = stdout;

    if (cli->file && strcmp(cli->file, "-") != 0) {
        fd = klaviyo_cli_rights_file(cli->file, O_RDONLY, &owner);

        if (fd == -1) {
            return KLAVIYO_CLI_CANNOT;
        }

        cli->in = fdopen(fd, "r");
    }

    if (cli->output) {
        fd = klaviyo_cli_rights_file(cli->output,
                                     O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW,
                                     &klaviyo_cli_out_owner);

        if (fd == -1) {
            return KLAVIYO_CLI_CANNOT;
        }

        cli->out = fdopen(fd, "w");
    }

    if (cli->in == NULL || cli->out == NULL) {
        return klaviyo_cli_error("no memory");
    }

    return KLAVIYO_CLI_OK;
}


int
klaviyo_cli_rights_input(const char *path)
{
    klaviyo_trust_t  owner;

    return klaviyo_cli_rights_file(path, O_RDONLY, &owner);
}


static int
klaviyo_cli_rights_file(const char *path, int flags, klaviyo_trust_t *owner)
{
    int  fd, err;

    owner->uid = 0;

    if (geteuid() == 0
        && klaviyo_cli_rights_owner(path, owner) != KLAVIYO_CLI_OK)
    {
        return -1;
    }

    if (klaviyo_cli_rights_become(owner) == -1) {
        return -1;
    }

    fd = open(path, flags|O_CLOEXEC|O_NOCTTY, 0600);
    err = errno;

    if (owner->uid != 0 && (seteuid(0) == -1 || setegid(0) == -1)) {
        (void) klaviyo_cli_error("seteuid(0) failed (%d: %s)", errno,
                                 strerror(errno));
        exit(KLAVIYO_CLI_CANNOT);
    }

    if (fd == -1) {
        (void) klaviyo_cli_error("open() \"%s\" failed (%d: %s)%s", path,
                                 err, strerror(err),
                                 (owner->uid != 0 && err == EACCES)
                                 ? ", as the user that its directory belongs "
                                   "to: use standard input or output"
                                 : "");
    }

    return fd;
}


/* for a while, if it is not root, who we are then */

static int
klaviyo_cli_rights_become(const klaviyo_trust_t *owner)
{
    if (owner->uid == 0) {
        return 0;
    }

    if (setgroups(0, NULL) == -1
        || setegid(owner->gid) == -1
        || seteuid(owner->uid) == -1)
    {
        (void) klaviyo_cli_error("seteuid(%lu) failed (%d: %s)",
                                 (unsigned long) owner->uid, errno,
                                 strerror(errno));
        return -1;
    }

    return 0;
}


static int
klaviyo_cli_rights_owner(const char *path, klaviyo_trust_t *owner)
{
    if (klaviyo_trust_owner(path, owner) == -1) {
        return klaviyo_cli_error("\"%s\" cannot be followed by root (%d: "
                                 "%s), others may change where it leads: run "
                                 "this as the user that nginx's workers run "
                                 "as", path, errno, strerror(errno));
    }

    return KLAVIYO_CLI_OK;
}


/* for good; a queue that is root's alone stays so */

int
klaviyo_cli_rights_drop(klaviyo_cli_t *cli)
{
    if (cli->name && klaviyo_cli_rights_name(cli) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (klaviyo_cli_rights_lacks(cli->ring)) {
        return KLAVIYO_CLI_CANNOT;
    }

    return klaviyo_cli_rights_leave(cli->ring, cli->spool);
}


/* as nginx does for its workers; without a name, whose the path is */

int
klaviyo_cli_rights_user(const char *user, const char *group, const char *path)
{
    gid_t           gid;
    struct group   *gr;
    struct passwd  *pw;

    if (geteuid() != 0) {
        return KLAVIYO_CLI_OK;
    }

    if (user == NULL) {
        return klaviyo_cli_rights_leave(path, NULL);
    }

    pw = getpwnam(user);

    if (pw == NULL) {
        return klaviyo_cli_error("there is no user \"%s\", as whom nginx's "
                                 "workers would run", user);
    }

    gid = pw->pw_gid;
    gr = group ? getgrnam(group) : NULL;

    if (gr) {
        gid = gr->gr_gid;
    }

    if (pw->pw_uid != 0
        && (initgroups(user, gid) == -1
            || setresgid(gid, gid, gid) == -1
            || setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) == -1))
    {
        return klaviyo_cli_error("setuid(%lu) failed (%d: %s)",
                                 (unsigned long) pw->pw_uid, errno,
                                 strerror(errno));
    }

    return KLAVIYO_CLI_OK;
}


/* What the workers' user wrote is read with that user's rights. */

static int
klaviyo_cli_rights_name(klaviyo_cli_t *cli)
{
    int   rc;
    char  file[PATH_MAX], error[KLAVIYO_RING_ERROR_MAX];

    if ((size_t) snprintf(file, sizeof(file), "%s%s%s",
                          strchr(cli->name, '/') ? "" : KLAVIYO_PATHS_DIR,
                          cli->name, KLAVIYO_PATHS_SUFFIX)
        >= sizeof(file))
    {
        return klaviyo_cli_error("the name of the account is too long");
    }

    if (klaviyo_cli_rights_lacks(file)
        || klaviyo_cli_rights_leave(file, NULL) != KLAVIYO_CLI_OK)
    {
        return KLAVIYO_CLI_CANNOT;
    }

    rc = klaviyo_paths_read(file, &cli->paths, error);

    if (rc == 1) {
        return klaviyo_cli_error("no account \"%s\": there is no \"%s\", which "
                                 "nginx writes beside the queue; with another "
                                 "\"queue\" name the directory, as in "
                                 "/dev/shm/klaviyo/shop", cli->name, file);
    }

    if (rc == -1) {
        return klaviyo_cli_error("%s", error);
    }

    cli->ring = cli->paths.ring;

    if (cli->spool == NULL && cli->paths.spool[0]) {
        cli->spool = cli->paths.spool;
    }

    if (cli->paths.dead_letter[0]) {
        cli->dead_letter = cli->paths.dead_letter;
    }

    return KLAVIYO_CLI_OK;
}


/* the queue is the workers': who began as neither they nor root is told so */

static int
klaviyo_cli_rights_lacks(const char *path)
{
    if (getauxval(AT_EUID) == 0
        || access(path, R_OK) == 0
        || errno != EACCES)
    {
        return 0;
    }

    (void) klaviyo_cli_error("\"%s\" may not be read (%d: %s): run this as "
                             "root, or as the user that nginx's workers run "
                             "as", path, errno, strerror(errno));
    return 1;
}


static int
klaviyo_cli_rights_leave(const char *path, const char *other)
{
    klaviyo_trust_t  owner;

    if (geteuid() != 0) {
        return KLAVIYO_CLI_OK;
    }

    if (klaviyo_cli_rights_owner(path, &owner) != KLAVIYO_CLI_OK) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (owner.uid == 0 && other
        && klaviyo_cli_rights_owner(other, &owner) != KLAVIYO_CLI_OK)
    {
        return KLAVIYO_CLI_CANNOT;
    }

    if (owner.uid != 0
        && (setgroups(0, NULL) == -1
            || setresgid(owner.gid, owner.gid, owner.gid) == -1
            || setresuid(owner.uid, owner.uid, owner.uid) == -1))
    {
        return klaviyo_cli_error("setuid(%lu) failed (%d: %s)",
                                 (unsigned long) owner.uid, errno,
                                 strerror(errno));
    }

    return KLAVIYO_CLI_OK;
}


static int
klaviyo_cli_rights_child(klaviyo_cli_t *cli,
    int (*run)(const klaviyo_cli_t *cli))
{
    int    rc, status;
    pid_t  pid;

    pid = fork();

    if (pid == -1) {
        return klaviyo_cli_error("fork() failed (%d: %s)", errno,
                                 strerror(errno));
    }

    if (pid == 0) {
        rc = klaviyo_cli_rights_drop(cli);

        if (rc == KLAVIYO_CLI_OK) {
            rc = run(cli);
        }

        _exit(rc);
    }

    while (waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR) {
            return KLAVIYO_CLI_CANNOT;
        }
    }

    if (!WIFEXITED(status)) {
        return klaviyo_cli_error("ended by signal %d", WTERMSIG(status));
    }

    return WEXITSTATUS(status);
}
