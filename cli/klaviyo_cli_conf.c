/*
 * klaviyo-queue: the configuration that nginx uses; see the header.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/klaviyo_readers.h"
#include "klaviyo_cli_conf.h"
#include "klaviyo_cli_words.h"


#define KLAVIYO_CLI_ENDPOINT   "https://a.klaviyo.com"
#define KLAVIYO_CLI_SPOOL_DIR  "/var/spool/nginx-klaviyo/"
#define KLAVIYO_CLI_CONF_MAX   (64 * 1024 * 1024)


typedef struct {
    char    *data;
    size_t   len;
    size_t   size;
} klaviyo_cli_text_t;


static int klaviyo_cli_conf_run(const klaviyo_cli_t *cli, const char *option,
    klaviyo_cli_text_t *out, klaviyo_cli_text_t *err);
static void klaviyo_cli_conf_worker(const klaviyo_cli_conf_t *conf,
    klaviyo_readers_t *worker);
static const char *klaviyo_cli_conf_program(const klaviyo_cli_t *cli);
static int klaviyo_cli_conf_collect(int *fd, klaviyo_cli_text_t *text);
static void klaviyo_cli_conf_built(klaviyo_cli_conf_t *conf, char *text);
static int klaviyo_cli_conf_parse(klaviyo_cli_conf_t *conf,
    const char *text);
static void klaviyo_cli_conf_setting(klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t *account, const klaviyo_cli_words_t *words);
static void klaviyo_cli_conf_init(klaviyo_cli_account_t *account);
static char *klaviyo_cli_conf_path(const char *dir, const char *path);
static long klaviyo_cli_conf_msec(const char *text);


int
klaviyo_cli_conf_read(const klaviyo_cli_t *cli, klaviyo_cli_conf_t *conf)
{
    int                 rc, status;
    unsigned            i;
    klaviyo_cli_text_t  out, err, built, none;

    memset(conf, 0, sizeof(klaviyo_cli_conf_t));

    status = klaviyo_cli_conf_run(cli, "-V", &none, &built);

    if (status != -1) {
        klaviyo_cli_conf_built(conf, built.data);
    }

    free(none.data);
    free(built.data);

    if (status == -1) {
        return KLAVIYO_CLI_CANNOT;
    }

    status = klaviyo_cli_conf_run(cli, "-T", &out, &err);

    if (status == -1) {
        free(out.data);
        free(err.data);
        return KLAVIYO_CLI_CANNOT;
    }

    conf->words = err.data;

    if (status != 0) {
        free(out.data);
        return KLAVIYO_CLI_FAULTS;
    }

    rc = klaviyo_cli_conf_parse(conf, out.data);

    if (cli->keep_text) {
        conf->text = out.data;

    } else {
        explicit_bzero(out.data, out.len);
        free(out.data);
    }

    for (i = 0; i < conf->n; i++) {
        klaviyo_cli_conf_init(&conf->account[i]);
    }

    return rc;
}


klaviyo_cli_account_t *
klaviyo_cli_conf_find(klaviyo_cli_conf_t *conf, const char *name)
{
    unsigned  i;

    for (i = 0; i < conf->n; i++) {
        if (strcmp(conf->account[i].name, name) == 0) {
            return &conf->account[i];
        }
    }

    return NULL;
}


/* who the workers are; run by another than root, nginx's are as this one */

static void
klaviyo_cli_conf_worker(const klaviyo_cli_conf_t *conf,
    klaviyo_readers_t *worker)
{
    gid_t           gid;
    struct group   *gr;
    struct passwd  *pw;

    pw = (geteuid() == 0 && conf->user) ? getpwnam(conf->user) : NULL;

    if (pw == NULL) {
        klaviyo_readers_set(worker, NULL, geteuid(), getegid());
        return;
    }

    gr = conf->group ? getgrnam(conf->group) : NULL;
    gid = gr ? gr->gr_gid : pw->pw_gid;

    klaviyo_readers_set(worker, conf->user, pw->pw_uid, gid);
}


const char *
klaviyo_cli_conf_key(const klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t *account, char *text)
{
    int                fd;
    char               buf[KLAVIYO_CLI_KEY_MAX + 1];
    ssize_t            n;
    struct stat        st;
    klaviyo_readers_e  readers;
    klaviyo_readers_t  worker;

    if (account->key) {
        return NULL;
    }

    if (account->key_file == NULL) {
        return "there is neither \"api_key_file\" nor \"api_key\"";
    }

    fd = open(account->key_file, O_RDONLY|O_NONBLOCK|O_NOCTTY|O_CLOEXEC);

    if (fd == -1) {
        (void) snprintf(text, KLAVIYO_RING_ERROR_MAX,
                        "open() \"%s\" failed (%d: %s)%s", account->key_file,
                        errno, strerror(errno),
                        errno == EACCES ? ": run this as root, as nginx's "
                                          "master is" : "");
        return text;
    }

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        (void) close(fd);
        (void) snprintf(text, KLAVIYO_RING_ERROR_MAX,
                        "\"%s\" is not a regular file", account->key_file);
        return text;
    }

    klaviyo_cli_conf_worker(conf, &worker);
    readers = klaviyo_readers(fd, &st, &worker);

    if (readers != KLAVIYO_READERS_GOOD) {
        (void) close(fd);
        (void) snprintf(text, KLAVIYO_RING_ERROR_MAX, "\"%s\" can be %s %s\"",
                        account->key_file, klaviyo_readers_text[readers],
                        account->key_file);
        return text;
    }

    n = read(fd, buf, KLAVIYO_CLI_KEY_MAX);
    (void) close(fd);

    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r')) {
        n--;
    }

    buf[n > 0 ? n : 0] = '\0';

    if (strncmp(buf, "pk_", 3) != 0 || buf[strcspn(buf, " \t\r\n")] != '\0') {
        explicit_bzero(buf, sizeof(buf));
        (void) snprintf(text, KLAVIYO_RING_ERROR_MAX,
                        "\"%s\" does not hold one line with a private key, "
                        "which begins with \"pk_\"", account->key_file);
        return text;
    }

    account->key = strdup(buf);
    explicit_bzero(buf, sizeof(buf));

    return account->key ? NULL : "there is no memory for it";
}


static const char *
klaviyo_cli_conf_program(const klaviyo_cli_t *cli)
{
    unsigned  i;

    static const char  *const known[] = {
        "/usr/sbin/nginx", "/usr/local/sbin/nginx",
        "/usr/local/nginx/sbin/nginx", "/opt/nginx/sbin/nginx"
    };

    if (cli->nginx) {
        return cli->nginx;
    }

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (access(known[i], X_OK) == 0) {
            return known[i];
        }
    }

    return "nginx";
}


/* its exit status, and what it printed; -1, already told */

static int
klaviyo_cli_conf_run(const klaviyo_cli_t *cli, const char *option,
    klaviyo_cli_text_t *out, klaviyo_cli_text_t *err)
{
    int          o[2], e[2], n, status;
    pid_t        pid;
    const char  *program, *args[8];

    memset(out, 0, sizeof(klaviyo_cli_text_t));
    memset(err, 0, sizeof(klaviyo_cli_text_t));

    program = klaviyo_cli_conf_program(cli);

    n = 0;
    args[n++] = program;
    args[n++] = option;

    if (cli->prefix) {
        args[n++] = "-p";
        args[n++] = cli->prefix;
    }

    if (cli->conf) {
        args[n++] = "-c";
        args[n++] = cli->conf;
    }

    args[n] = NULL;

    if (pipe2(o, O_CLOEXEC) == -1 || pipe2(e, O_CLOEXEC) == -1) {
        (void) klaviyo_cli_error("pipe() failed (%d: %s)", errno,
                                 strerror(errno));
        return -1;
    }

    pid = fork();

    if (pid == 0) {
        (void) dup2(o[1], STDOUT_FILENO);
        (void) dup2(e[1], STDERR_FILENO);
        (void) execvp(program, (char *const *) args);
        _exit(127);
    }

    (void) close(o[1]);
    (void) close(e[1]);

    while (pid != -1
           && (o[0] != -1 || e[0] != -1)
           && klaviyo_cli_conf_collect(o, out) == 0
           && klaviyo_cli_conf_collect(e, err) == 0)
    {
        struct pollfd  p[2] = { { o[0], POLLIN, 0 }, { e[0], POLLIN, 0 } };

        if (o[0] != -1 || e[0] != -1) {
            (void) poll(p, 2, -1);
        }
    }

    if (o[0] != -1) {
        (void) close(o[0]);
    }

    if (e[0] != -1) {
        (void) close(e[0]);
    }

    if (pid == -1 || waitpid(pid, &status, 0) == -1 || !WIFEXITED(status)) {
        (void) klaviyo_cli_error("\"%s\" cannot be run", program);
        return -1;
    }

    if (WEXITSTATUS(status) == 127) {
        (void) klaviyo_cli_error("there is no \"%s\": name nginx with "
                                 "--nginx=", program);
        return -1;
    }

    if (out->data == NULL || err->data == NULL) {
        (void) klaviyo_cli_error("no memory");
        return -1;
    }

    return WEXITSTATUS(status);
}


/* what is there; fd[0] is -1 at the end; 0, or -1: no memory */

static int
klaviyo_cli_conf_collect(int *fd, klaviyo_cli_text_t *text)
{
    int      flags;
    char    *p;
    ssize_t  n;

    if (text->data == NULL) {
        text->size = 65536;
        text->data = calloc(1, text->size);

        if (text->data == NULL) {
            return -1;
        }

        flags = fcntl(fd[0], F_GETFL);
        (void) fcntl(fd[0], F_SETFL, flags|O_NONBLOCK);
    }

    while (fd[0] != -1) {

        if (text->size - text->len < 4096) {

            if (text->size >= KLAVIYO_CLI_CONF_MAX) {
                return -1;
            }

            p = realloc(text->data, 2 * text->size);

            if (p == NULL) {
                return -1;
            }

            text->data = p;
            text->size *= 2;
        }

        n = read(fd[0], text->data + text->len, text->size - text->len - 1);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1 && errno == EAGAIN) {
            return 0;
        }

        if (n <= 0) {
            (void) close(fd[0]);
            fd[0] = -1;
            break;
        }

        text->len += (size_t) n;
        text->data[text->len] = '\0';
    }

    return 0;
}


/* what it was built with */

static void
klaviyo_cli_conf_built(klaviyo_cli_conf_t *conf, char *text)
{
    char  *p, *end, **value;

    for (p = strstr(text, " --"); p; p = strstr(end, " --")) {
        p += 3;
        end = p + strcspn(p, " \n");

        value = NULL;

        if (strncmp(p, "prefix=", 7) == 0) {
            value = &conf->prefix;
            p += 7;

        } else if (strncmp(p, "user=", 5) == 0) {
            value = &conf->user;
            p += 5;

        } else if (strncmp(p, "group=", 6) == 0) {
            value = &conf->group;
            p += 6;
        }

        if (value) {
            free(*value);
            *value = strndup(p, (size_t) (end - p));
        }
    }
}


static int
klaviyo_cli_conf_parse(klaviyo_cli_conf_t *conf, const char *text)
{
    int                     rc;
    unsigned                inside;
    klaviyo_cli_words_t     words;
    klaviyo_cli_account_t  *account;

    memset(&words, 0, sizeof(klaviyo_cli_words_t));

    words.pos = text;
    account = NULL;
    inside = 0;

    for ( ;; ) {
        rc = klaviyo_cli_words_next(&words);

        if (rc == KLAVIYO_CLI_WORDS_END) {
            break;
        }

        if (conf->main == NULL && words.file) {
            conf->main = strdup(words.file);
        }

        if (account && words.depth < inside) {
            account = NULL;
        }

        if (rc == KLAVIYO_CLI_WORDS_CLOSE || words.n == 0) {
            continue;
        }

        if (rc == KLAVIYO_CLI_WORDS_BLOCK
            && words.n == 2
            && strcmp(words.word[0], "klaviyo_account") == 0
            && conf->n < KLAVIYO_CLI_ACCOUNTS)
        {
            account = &conf->account[conf->n++];
            inside = words.depth;

            account->name = strdup(words.word[1]);
            account->file = strdup(words.file ? words.file : "");
            account->line = words.line;

            if (account->name == NULL || account->file == NULL) {
                return klaviyo_cli_error("no memory");
            }

        } else if (account && words.n > 1) {
            klaviyo_cli_conf_setting(conf, account, &words);

        } else if (words.depth == 0
                   && words.n > 1
                   && strcmp(words.word[0], "user") == 0)
        {
            conf->user = strdup(words.word[1]);
            conf->group = (words.n > 2) ? strdup(words.word[2]) : NULL;
        }
    }

    klaviyo_cli_words_free(&words);

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_conf_setting(klaviyo_cli_conf_t *conf,
    klaviyo_cli_account_t *account, const klaviyo_cli_words_t *words)
{
    char         dir[PATH_MAX], *slash;
    unsigned     i;
    const char  *name, *value;

    /* nginx's two places for relative paths */

    (void) snprintf(dir, sizeof(dir), "%s", conf->main ? conf->main : "/");
    slash = strrchr(dir, '/');

    if (slash) {
        slash[1] = '\0';
    }

    name = words->word[0];
    value = words->word[1];

    if (strcmp(name, "api_key_file") == 0) {
        account->key_file = klaviyo_cli_conf_path(dir, value);

    } else if (strcmp(name, "api_key") == 0) {
        account->key = strdup(value);

    } else if (strcmp(name, "company") == 0) {
        account->company = strdup(value);

    } else if (strcmp(name, "endpoint") == 0) {
        account->endpoint = strdup(value);

    } else if (strcmp(name, "revision") == 0) {
        account->revision = strdup(value);
        account->strict = (words->n > 2);

    } else if (strcmp(name, "proxy") == 0) {
        account->proxy = strdup(value);

    } else if (strcmp(name, "ssl_trusted_certificate") == 0) {
        account->certificate = klaviyo_cli_conf_path(dir, value);

    } else if (strcmp(name, "ssl_verify") == 0) {
        account->unverified = (strcmp(value, "off") == 0);

    } else if (strcmp(name, "dry_run") == 0) {
        account->dry_run = (strcmp(value, "on") == 0);

    } else if (strcmp(name, "queue") == 0) {
        account->ring = klaviyo_cli_conf_path(conf->prefix, value);

    } else if (strcmp(name, "spool") == 0) {
        account->no_spool = (strcmp(value, "off") == 0);

        if (!account->no_spool && strchr(value, '=') == NULL) {
            account->spool = klaviyo_cli_conf_path(conf->prefix, value);
        }

    } else if (strcmp(name, "dead_letter") == 0) {
        account->no_dead_letter = (strcmp(value, "off") == 0);

        if (!account->no_dead_letter && strchr(value, '=') == NULL) {
            account->dead_letter = klaviyo_cli_conf_path(conf->prefix, value);
        }

    } else if (strcmp(name, "timeout") == 0) {

        for (i = 1; i < words->n; i++) {
            value = words->word[i];

            if (strncmp(value, "connect=", 8) == 0) {
                account->connect_timeout = klaviyo_cli_conf_msec(value + 8);

            } else if (strncmp(value, "total=", 6) == 0) {
                account->total_timeout = klaviyo_cli_conf_msec(value + 6);
            }
        }
    }
}


/* what is not there is as the module has it */

static void
klaviyo_cli_conf_init(klaviyo_cli_account_t *account)
{
    size_t  len;
    char   *p;

    if (account->endpoint == NULL) {
        account->endpoint = strdup(KLAVIYO_CLI_ENDPOINT);
    }

    len = account->endpoint ? strlen(account->endpoint) : 0;

    while (len > 0 && account->endpoint[len - 1] == '/') {
        account->endpoint[--len] = '\0';
    }

    if (account->revision == NULL) {
        account->revision = strdup(KLAVIYO_REVISION);
    }

    if (account->ring == NULL
        && asprintf(&account->ring, KLAVIYO_PATHS_DIR "%s.ring",
                    account->name) == -1)
    {
        account->ring = NULL;
    }

    if (account->spool == NULL && !account->no_spool
        && asprintf(&account->spool, KLAVIYO_CLI_SPOOL_DIR "%s",
                    account->name) == -1)
    {
        account->spool = NULL;
    }

    if (account->dead_letter == NULL && !account->no_dead_letter
        && account->spool)
    {
        if (asprintf(&p, "%s/dead.jsonl", account->spool) != -1) {
            account->dead_letter = p;
        }
    }

    if (account->connect_timeout == 0) {
        account->connect_timeout = 5000;
    }

    if (account->total_timeout == 0) {
        account->total_timeout = 30000;
    }
}


static char *
klaviyo_cli_conf_path(const char *dir, const char *path)
{
    char  *p;

    if (path[0] == '/' || dir == NULL) {
        return strdup(path);
    }

    if (asprintf(&p, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/",
                 path) == -1)
    {
        return NULL;
    }

    return p;
}


/* nginx has checked it */

static long
klaviyo_cli_conf_msec(const char *text)
{
    long   n;
    char  *unit;

    n = strtol(text, &unit, 10);

    if (strcmp(unit, "ms") == 0) {
        return n;
    }

    return n * 1000 * (unit[0] == 'm' ? 60 : unit[0] == 'h' ? 3600 : 1);
}
