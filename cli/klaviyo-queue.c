/*
 * klaviyo-queue: the arguments, and which command they mean.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_cli_progress.h"
#include "klaviyo_cli_rights.h"


#define KLAVIYO_CLI_JSON      0x0001
#define KLAVIYO_CLI_SPOOL     0x0002
#define KLAVIYO_CLI_BACKFILL  0x0004
#define KLAVIYO_CLI_OUTPUT    0x0008
#define KLAVIYO_CLI_FILE      0x0010
#define KLAVIYO_CLI_ALL       0x0020
#define KLAVIYO_CLI_FULL      0x0040
#define KLAVIYO_CLI_NGINX     0x0080   /* it reads the configuration         */
#define KLAVIYO_CLI_EMAIL     0x0100
#define KLAVIYO_CLI_ANY       0x0200   /* all accounts without a name        */
#define KLAVIYO_CLI_GUARDED   0x0400
#define KLAVIYO_CLI_LOGS      0x0800
#define KLAVIYO_CLI_FLEET     0x1000


/* `own`: with rights that it cares for itself */

typedef struct {
    const char  *name;
    int        (*run)(const klaviyo_cli_t *cli);
    int        (*own)(klaviyo_cli_t *cli);
    unsigned     takes;
} klaviyo_cli_command_t;


/* an option with a value */

typedef struct {
    const char  *name;
    size_t       offset;
    unsigned     takes;
} klaviyo_cli_value_t;


static int klaviyo_cli_streams(void);
static void klaviyo_cli_account(klaviyo_cli_t *cli);
static int klaviyo_cli_option(klaviyo_cli_t *cli,
    const klaviyo_cli_command_t *command, const char *arg, const char *next);
static int klaviyo_cli_flag(klaviyo_cli_t *cli,
    const klaviyo_cli_command_t *command, const char *arg);
static void klaviyo_cli_complain(const char *fmt, va_list args)
    __attribute__((format(printf, 1, 0)));
static int klaviyo_cli_usage(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));


static const klaviyo_cli_command_t  klaviyo_cli_commands[] = {

    { "stat", klaviyo_cli_stat, NULL,
      KLAVIYO_CLI_JSON|KLAVIYO_CLI_ALL|KLAVIYO_CLI_SPOOL },

    { "tail", klaviyo_cli_tail, NULL, KLAVIYO_CLI_FULL },

    { "doctor", NULL, klaviyo_cli_doctor, KLAVIYO_CLI_NGINX|KLAVIYO_CLI_ANY },

    { "send", NULL, klaviyo_cli_send, KLAVIYO_CLI_NGINX|KLAVIYO_CLI_EMAIL },

    { "check", klaviyo_cli_check, NULL, KLAVIYO_CLI_SPOOL },

    { "export", klaviyo_cli_export, NULL, KLAVIYO_CLI_SPOOL },

    { "replay", klaviyo_cli_replay, NULL,
      KLAVIYO_CLI_BACKFILL|KLAVIYO_CLI_GUARDED|KLAVIYO_CLI_FILE },

    { "import", NULL, klaviyo_cli_import,
      KLAVIYO_CLI_NGINX|KLAVIYO_CLI_LOGS },

    { "repair", klaviyo_cli_repair, NULL,
      KLAVIYO_CLI_SPOOL|KLAVIYO_CLI_OUTPUT },

    { "fleet", NULL, klaviyo_cli_fleet, KLAVIYO_CLI_JSON|KLAVIYO_CLI_FLEET },

    { NULL, NULL, NULL, 0 }
};


static const klaviyo_cli_value_t  klaviyo_cli_values[] = {
    { "--spool", offsetof(klaviyo_cli_t, spool), KLAVIYO_CLI_SPOOL },
    { "--output", offsetof(klaviyo_cli_t, output), KLAVIYO_CLI_OUTPUT },
    { "--email", offsetof(klaviyo_cli_t, email), KLAVIYO_CLI_EMAIL },
    { "--timeout", offsetof(klaviyo_cli_t, timeout), KLAVIYO_CLI_EMAIL },
    { "--nginx", offsetof(klaviyo_cli_t, nginx), KLAVIYO_CLI_NGINX },
    { "--conf", offsetof(klaviyo_cli_t, conf), KLAVIYO_CLI_NGINX },
    { "--prefix", offsetof(klaviyo_cli_t, prefix), KLAVIYO_CLI_NGINX },
    { "--format", offsetof(klaviyo_cli_t, format), KLAVIYO_CLI_LOGS },
    { "--map", offsetof(klaviyo_cli_t, map), KLAVIYO_CLI_LOGS },
    { "--host", offsetof(klaviyo_cli_t, host), KLAVIYO_CLI_LOGS },
    { "--share", offsetof(klaviyo_cli_t, share), KLAVIYO_CLI_LOGS },
    { "--since", offsetof(klaviyo_cli_t, since), KLAVIYO_CLI_LOGS },
    { "--until", offsetof(klaviyo_cli_t, until), KLAVIYO_CLI_LOGS },
    { "--user", offsetof(klaviyo_cli_t, user), KLAVIYO_CLI_FLEET },
    { "--password-file", offsetof(klaviyo_cli_t, password_file),
      KLAVIYO_CLI_FLEET },
    { "--trusted-certificate", offsetof(klaviyo_cli_t, trusted),
      KLAVIYO_CLI_FLEET },
    { NULL, 0, 0 }
};


static const char  klaviyo_cli_help[] =
    "Usage: klaviyo-queue stat [--all] [--json] <account>\n"
    "       klaviyo-queue tail [--full] <account>\n"
    "       klaviyo-queue doctor [<account>] [--conf=file] [--nginx=program]\n"
    "       klaviyo-queue send <account> --email=you@shop.com\n"
    "       klaviyo-queue check <account>\n"
    "       klaviyo-queue export <account>\n"
    "       klaviyo-queue replay [--backfill] [--subscriptions] <account>"
    " [file|-]\n"
    "       klaviyo-queue import [--dry-run] [--format=combined|json]"
    " [--map=file]\n"
    "                            [--since=date] [--until=date] [--host=name]"
    " <account>\n"
    "                            [access.log ...]\n"
    "       klaviyo-queue repair <account> [--output=file]\n"
    "       klaviyo-queue fleet stat|check|export redis://<host>"
    " [<account>]\n"
    "       klaviyo-queue --help | --version\n"
    "\n"
    "Looks into the queue of an account of nginx's klaviyo module, and puts\n"
    "events back into it.  <account> is its name, as in \"stat shop\"; with\n"
    "another directory of its \"queue\", /dir/shop; or the path of the ring\n"
    "itself, beside --spool=dir with that of its spool.  Profiles and\n"
    "subscriptions have queues of their own: \"stat shop.profiles\".\n"
    "\n"
    "  stat      what became of the events, and what is queued; --all: zeroes\n"
    "            too\n"
    "  tail      events as they come and what becomes of them, until it is\n"
    "            ended; --full: with personal data\n"
    "  doctor    whether events can be delivered, check by check, by the\n"
    "            configuration that nginx uses\n"
    "  send      one test event through the whole way, to its end\n"
    "  check     verifies every byte that is queued\n"
    "  export    what is queued, one JSON object a line\n"
    "  replay    dead letters or an export, back into the queue\n"
    "  import    old access logs, by the rules of the configuration or a map\n"
    "  repair    moves a damaged queue aside, and tells what is readable\n"
    "  fleet     the same of a queue that hosts share in a Redis\n"
    "\n"
    "All but repair are safe beside a running nginx.\n"
    "Exit status: 0 good; 1 faults were found or lines left out; 2 cannot.\n";


int
main(int argc, char **argv)
{
    int                           i, rc;
    unsigned                      options;
    klaviyo_cli_t                 cli;
    const klaviyo_cli_command_t  *command;

    if (klaviyo_cli_streams() == -1) {
        return KLAVIYO_CLI_CANNOT;
    }

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void) fputs(klaviyo_cli_help, stdout);
        return klaviyo_cli_flush();
    }

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void) puts("klaviyo-queue " KLAVIYO_VERSION);
        return klaviyo_cli_flush();
    }

    if (argc < 2) {
        return klaviyo_cli_usage("which command?");
    }

    for (command = klaviyo_cli_commands; command->name; command++) {
        if (strcmp(command->name, argv[1]) == 0) {
            break;
        }
    }

    if (command->name == NULL) {
        return klaviyo_cli_usage("unknown command \"%s\"", argv[1]);
    }

    memset(&cli, 0, sizeof(klaviyo_cli_t));
    cli.file_names = (const char **) argv;
    options = 1;

    for (i = 2; i < argc; i++) {

        if (options && strcmp(argv[i], "--") == 0) {
            options = 0;
            continue;
        }

        if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            rc = klaviyo_cli_option(&cli, command, argv[i], argv[i + 1]);

            if (rc < 0) {
                return KLAVIYO_CLI_CANNOT;
            }

            i += rc;

        } else if (cli.ring == NULL) {
            cli.ring = argv[i];

        } else if (command->takes & (KLAVIYO_CLI_LOGS|KLAVIYO_CLI_FLEET)) {

            /* in the place of what was read of argv */

            cli.file_names[cli.files++] = argv[i];

        } else if ((command->takes & KLAVIYO_CLI_FILE) && cli.file == NULL) {
            cli.file = argv[i];

        } else {
            return klaviyo_cli_usage("what is \"%s\" to \"%s\"?", argv[i],
                                     command->name);
        }
    }

    if (cli.ring == NULL && (command->takes & KLAVIYO_CLI_FLEET)) {
        cli.ring = "";
    }

    if (cli.ring == NULL && !(command->takes & KLAVIYO_CLI_ANY)) {
        return klaviyo_cli_usage("\"%s\" needs the name of an account, or the "
                                 "path of a ring", command->name);
    }

    if (command->own) {
        return command->own(&cli);
    }

    klaviyo_cli_account(&cli);

    return klaviyo_cli_rights_run(&cli, command->run);
}


/*
 * A stream that was closed stays so: its number is not given to a file of the
 * queue, which messages would be written into.
 */

static int
klaviyo_cli_streams(void)
{
    int  fd;

    do {
        fd = open("/", O_PATH);

        if (fd == -1) {
            (void) klaviyo_cli_error("open() \"/\" failed (%d: %s)", errno,
                                     strerror(errno));
            return -1;
        }

    } while (fd <= STDERR_FILENO);

    return close(fd);
}


/* A path has a slash; if nothing is there, it may be an account's. */

static void
klaviyo_cli_account(klaviyo_cli_t *cli)
{
    char  file[PATH_MAX];

    if (strchr(cli->ring, '/') == NULL) {
        cli->name = cli->ring;
        return;
    }

    if ((size_t) snprintf(file, sizeof(file), "%s%s", cli->ring,
                          KLAVIYO_PATHS_SUFFIX) < sizeof(file)
        && access(cli->ring, F_OK) == -1
        && access(file, F_OK) == 0)
    {
        cli->name = cli->ring;
    }
}


/* how many more arguments it took; -1: it is none, already told */

static int
klaviyo_cli_option(klaviyo_cli_t *cli, const klaviyo_cli_command_t *command,
    const char *arg, const char *next)
{
    size_t                      len;
    const char                **value;
    const klaviyo_cli_value_t  *option;

    if (klaviyo_cli_flag(cli, command, arg)) {
        return 0;
    }

    for (option = klaviyo_cli_values; option->name; option++) {
        len = strlen(option->name);

        if ((command->takes & option->takes)
            && strncmp(arg, option->name, len) == 0
            && (arg[len] == '=' || arg[len] == '\0'))
        {
            break;
        }
    }

    if (option->name == NULL) {
        (void) klaviyo_cli_usage("unknown option \"%s\" of \"%s\"", arg,
                                 command->name);
        return -1;
    }

    value = (const char **) ((char *) cli + option->offset);

    if (arg[len] == '=') {
        next = arg + len + 1;
    }

    if (next == NULL || next[0] == '\0' || *value) {
        (void) klaviyo_cli_usage("an option of \"%s\" is %s", command->name,
                                 *value ? "there twice" : "without its value");
        return -1;
    }

    *value = next;

    return arg[len] == '\0';
}


static int
klaviyo_cli_flag(klaviyo_cli_t *cli, const klaviyo_cli_command_t *command,
    const char *arg)
{
    if ((command->takes & KLAVIYO_CLI_JSON) && strcmp(arg, "--json") == 0) {
        cli->json = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_ALL) && strcmp(arg, "--all") == 0) {
        cli->all = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_FULL) && strcmp(arg, "--full") == 0) {
        cli->full = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_BACKFILL)
        && strcmp(arg, "--backfill") == 0)
    {
        cli->backfill = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_GUARDED)
        && strcmp(arg, "--subscriptions") == 0)
    {
        cli->subscriptions = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_LOGS) && strcmp(arg, "--dry-run") == 0) {
        cli->dry_run = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_LOGS)
        && strcmp(arg, "--print-map") == 0)
    {
        cli->print_map = 1;
        return 1;
    }

    if ((command->takes & KLAVIYO_CLI_LOGS) && strcmp(arg, "--again") == 0) {
        cli->again = 1;
        return 1;
    }

    return 0;
}


/* a line on standard error */

static void
klaviyo_cli_complain(const char *fmt, va_list args)
{
    int    len;
    char  *text;

    len = vasprintf(&text, fmt, args);

    (void) fflush(stdout);
    klaviyo_cli_progress_clear();
    (void) fputs("klaviyo-queue: ", stderr);

    if (len != -1) {
        klaviyo_cli_write(stderr, text, (size_t) len);
        free(text);
    }

    (void) fputc('\n', stderr);
}


static int
klaviyo_cli_usage(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    klaviyo_cli_complain(fmt, args);
    va_end(args);

    (void) fputs("Try \"klaviyo-queue --help\".\n", stderr);

    return KLAVIYO_CLI_CANNOT;
}


int
klaviyo_cli_error(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    klaviyo_cli_complain(fmt, args);
    va_end(args);

    return KLAVIYO_CLI_CANNOT;
}


void
klaviyo_cli_write(FILE *out, const void *data, size_t len)
{
    size_t          i;
    unsigned        control;
    const uint8_t  *p;

    if (!isatty(fileno(out))) {
        (void) fwrite(data, 1, len, out);
        return;
    }

    p = data;

    for (i = 0; i < len; i++) {

        /* U+0080 to U+009F, which begin with 0xc2, and the same bare */

        if (p[i] == 0xc2 && i + 1 < len && p[i + 1] >= 0x80
            && p[i + 1] < 0xa0)
        {
            i++;
            control = 1;

        } else if (p[i] >= 0x80 && p[i] < 0xa0) {
            control = (i == 0 || p[i - 1] < 0x80);

        } else {
            control = (p[i] < 0x20 && p[i] != '\n') || p[i] == 0x7f;
        }

        if (control) {
            (void) fprintf(out, "\\u%04x", p[i]);

        } else {
            (void) fputc(p[i], out);
        }
    }
}


void
klaviyo_cli_print(const char *fmt, ...)
{
    int      len;
    char    *text;
    va_list  args;

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);

    if (len != -1) {
        klaviyo_cli_write(stdout, text, (size_t) len);
        free(text);
    }
}


int64_t
klaviyo_cli_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_REALTIME, &now);

    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}


int
klaviyo_cli_flush(void)
{
    klaviyo_cli_progress_clear();

    if (fflush(stdout) != 0 || ferror(stdout)) {
        return klaviyo_cli_error("standard output: %s", strerror(errno));
    }

    return KLAVIYO_CLI_OK;
}
