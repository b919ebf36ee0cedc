/*
 * klaviyo-queue: logs and how far they are done with; see the header.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json/klaviyo_hex.h"
#include "klaviyo_cli.h"
#include "klaviyo_cli_input.h"


#define KLAVIYO_CLI_INPUT_BUFFER  (128 * 1024)
#define KLAVIYO_CLI_MARKS_HEAD    "klaviyo-import 1\n"


static int klaviyo_cli_input_fill(klaviyo_cli_input_t *input);
static int klaviyo_cli_marks_line(const char *line,
    klaviyo_cli_mark_t *mark);
static int klaviyo_cli_marks_hex(const char *p,
    uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST]);
static void klaviyo_cli_marks_print(FILE *out,
    const uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST]);


int
klaviyo_cli_input_open(klaviyo_cli_input_t *input, int fd, const char *name)
{
    struct stat  st;

    input->name = name;
    input->bytes = 0;
    input->number = 0;
    input->size = 0;
    input->pos = input->last = input->buf;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        input->size = (uint64_t) st.st_size;
    }

    input->md = EVP_MD_CTX_new();
    input->md_before = EVP_MD_CTX_new();
    input->gz = gzdopen(fd, "rb");

    if (input->gz == NULL || input->md == NULL || input->md_before == NULL
        || EVP_DigestInit_ex(input->md, EVP_sha256(), NULL) != 1
        || gzbuffer(input->gz, KLAVIYO_CLI_INPUT_BUFFER) == -1)
    {
        return klaviyo_cli_error("no memory");
    }

    return KLAVIYO_CLI_OK;
}


void
klaviyo_cli_input_close(klaviyo_cli_input_t *input)
{
    if (input->gz) {
        (void) gzclose(input->gz);
    }

    EVP_MD_CTX_free(input->md);
    EVP_MD_CTX_free(input->md_before);

    input->gz = NULL;
    input->md = NULL;
    input->md_before = NULL;
}


int
klaviyo_cli_input_next(klaviyo_cli_input_t *input)
{
    int             rc;
    size_t          take, keep, room;
    const uint8_t  *end;

    input->len = 0;
    input->cut = 0;
    input->whole = 0;

    if (input->pos == input->last) {
        rc = klaviyo_cli_input_fill(input);

        if (rc != 1) {
            return rc;
        }
    }

    input->before = input->bytes;

    if (EVP_MD_CTX_copy_ex(input->md_before, input->md) != 1) {
        (void) klaviyo_cli_error("no memory");
        return -1;
    }

    do {
        if (input->pos == input->last) {
            rc = klaviyo_cli_input_fill(input);

            if (rc == -1) {
                return -1;
            }

            if (rc == 0) {
                break;
            }
        }

        take = (size_t) (input->last - input->pos);
        end = memchr(input->pos, '\n', take);

        if (end) {
            take = (size_t) (end + 1 - input->pos);
            input->whole = 1;
        }

        if (EVP_DigestUpdate(input->md, input->pos, take) != 1) {
            (void) klaviyo_cli_error("no memory");
            return -1;
        }

        keep = take - (end != NULL);
        room = KLAVIYO_CLI_LOG_LINE - input->len;

        if (keep > room) {
            keep = room;
            input->cut = 1;
        }

        memcpy(input->line + input->len, input->pos, keep);

        input->len += keep;
        input->pos += take;
        input->bytes += take;

    } while (!input->whole);

    input->number++;

    if (input->len && input->line[input->len - 1] == '\r') {
        input->len--;
    }

    return 1;
}


/* 1: there is more; 0: that was all; -1: already told */

static int
klaviyo_cli_input_fill(klaviyo_cli_input_t *input)
{
    int          n, err;
    const char  *what;

    n = gzread(input->gz, input->buf, sizeof(input->buf));

    if (n > 0) {
        input->pos = input->buf;
        input->last = input->buf + n;
        return 1;
    }

    what = gzerror(input->gz, &err);

    if (n == 0 && err != Z_BUF_ERROR) {
        return 0;
    }

    (void) klaviyo_cli_error("%s, behind line %" PRIu64 ": %s", input->name,
                             input->number,
                             err == Z_ERRNO ? strerror(errno)
                             : err == Z_BUF_ERROR
                               ? "it ends amid what gzip wrote" : what);

    return -1;
}


int
klaviyo_cli_input_rewind(klaviyo_cli_input_t *input)
{
    if (gzrewind(input->gz) == -1
        || EVP_DigestInit_ex(input->md, EVP_sha256(), NULL) != 1)
    {
        return -1;
    }

    input->pos = input->last = input->buf;
    input->bytes = 0;
    input->number = 0;

    return 0;
}


int
klaviyo_cli_input_digest(const klaviyo_cli_input_t *input, uint64_t bytes,
    uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST])
{
    int          rc;
    uint8_t      whole[EVP_MAX_MD_SIZE];
    EVP_MD_CTX  *md;

    if (bytes != input->bytes && bytes != input->before) {
        return -1;
    }

    md = EVP_MD_CTX_new();

    rc = (md
          && EVP_MD_CTX_copy_ex(md, bytes == input->bytes ? input->md
                                                          : input->md_before)
             == 1
          && EVP_DigestFinal_ex(md, whole, NULL) == 1) ? 0 : -1;

    EVP_MD_CTX_free(md);

    if (rc == 0) {
        memcpy(digest, whole, KLAVIYO_CLI_INPUT_DIGEST);
    }

    return rc;
}


uint64_t
klaviyo_cli_input_offset(const klaviyo_cli_input_t *input)
{
    z_off_t  offset;

    offset = gzoffset(input->gz);

    return (offset > 0) ? (uint64_t) offset : 0;
}


int
klaviyo_cli_marks_read(klaviyo_cli_marks_t *marks)
{
    int                  fd;
    char                 line[256];
    FILE                *in;
    klaviyo_cli_mark_t   mark;

    marks->n = 0;
    marks->mark = calloc(KLAVIYO_CLI_MARKS, sizeof(klaviyo_cli_mark_t));

    if (marks->mark == NULL) {
        return klaviyo_cli_error("no memory");
    }

    fd = open(marks->path, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|O_CLOEXEC);

    if (fd == -1 && errno == ENOENT) {
        return KLAVIYO_CLI_OK;
    }

    in = (fd == -1) ? NULL : fdopen(fd, "r");

    if (in == NULL) {
        return klaviyo_cli_error("open() \"%s\" failed (%d: %s)", marks->path,
                                 errno, strerror(errno));
    }

    if (fgets(line, sizeof(line), in) == NULL
        || strcmp(line, KLAVIYO_CLI_MARKS_HEAD) != 0)
    {
        (void) fclose(in);
        return klaviyo_cli_error("\"%s\" does not say how far logs were "
                                 "imported: remove it to begin anew",
                                 marks->path);
    }

    while (marks->n < KLAVIYO_CLI_MARKS && fgets(line, sizeof(line), in)) {

        if (klaviyo_cli_marks_line(line, &mark)) {
            marks->mark[marks->n++] = mark;
        }
    }

    (void) fclose(in);

    return KLAVIYO_CLI_OK;
}


/* one that is not whole says nothing */

static int
klaviyo_cli_marks_line(const char *line, klaviyo_cli_mark_t *mark)
{
    int   n;
    char  log[2 * KLAVIYO_CLI_INPUT_DIGEST + 1];
    char  text[2 * KLAVIYO_CLI_INPUT_DIGEST + 1];

    n = 0;

    return sscanf(line, "%32[0-9a-f] %" SCNu64 " %" SCNu64 " %32[0-9a-f]\n%n",
                  log, &mark->bytes, &mark->lines, text, &n)
           == 4
           && n != 0
           && klaviyo_cli_marks_hex(log, mark->log)
           && klaviyo_cli_marks_hex(text, mark->text);
}


static int
klaviyo_cli_marks_hex(const char *p,
    uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST])
{
    unsigned  i;

    if (strlen(p) != 2 * KLAVIYO_CLI_INPUT_DIGEST) {
        return 0;
    }

    for (i = 0; i < KLAVIYO_CLI_INPUT_DIGEST; i++) {
        digest[i] = (uint8_t) (16 * klaviyo_hex((uint8_t) p[2 * i])
                               + klaviyo_hex((uint8_t) p[2 * i + 1]));
    }

    return 1;
}


int
klaviyo_cli_marks_find(const klaviyo_cli_marks_t *marks,
    const uint8_t log[KLAVIYO_CLI_INPUT_DIGEST], int from)
{
    int  i;

    for (i = from + 1; i < (int) marks->n; i++) {
        if (memcmp(marks->mark[i].log, log, KLAVIYO_CLI_INPUT_DIGEST) == 0) {
            return i;
        }
    }

    return -1;
}


int
klaviyo_cli_marks_put(klaviyo_cli_marks_t *marks,
    const klaviyo_cli_mark_t *mark, int *slot)
{
    int                  fd, failed;
    char                 path[PATH_MAX + 8];
    FILE                *out;
    unsigned             i;
    klaviyo_cli_mark_t  *same;

    if (*slot == -1) {

        if (marks->n == KLAVIYO_CLI_MARKS) {
            marks->n--;
            memmove(marks->mark, marks->mark + 1,
                    marks->n * sizeof(klaviyo_cli_mark_t));
        }

        *slot = (int) marks->n++;
    }

    marks->mark[*slot] = *mark;

    (void) snprintf(path, sizeof(path), "%s.new", marks->path);
    (void) unlink(path);

    fd = open(path, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    out = (fd == -1) ? NULL : fdopen(fd, "w");

    if (out == NULL) {
        return klaviyo_cli_error("open() \"%s\" failed (%d: %s)", path, errno,
                                 strerror(errno));
    }

    (void) fputs(KLAVIYO_CLI_MARKS_HEAD, out);

    for (i = 0; i < marks->n; i++) {
        same = &marks->mark[i];

        klaviyo_cli_marks_print(out, same->log);
        (void) fprintf(out, " %" PRIu64 " %" PRIu64 " ", same->bytes,
                       same->lines);
        klaviyo_cli_marks_print(out, same->text);
        (void) fputc('\n', out);
    }

    failed = (fflush(out) != 0 || ferror(out) || fsync(fd) == -1);
    failed |= (fclose(out) != 0);

    if (failed || rename(path, marks->path) == -1) {
        return klaviyo_cli_error("writing \"%s\" failed (%d: %s)",
                                 marks->path, errno, strerror(errno));
    }

    return KLAVIYO_CLI_OK;
}


static void
klaviyo_cli_marks_print(FILE *out,
    const uint8_t digest[KLAVIYO_CLI_INPUT_DIGEST])
{
    unsigned  i;

    for (i = 0; i < KLAVIYO_CLI_INPUT_DIGEST; i++) {
        (void) fprintf(out, "%02x", digest[i]);
    }
}
