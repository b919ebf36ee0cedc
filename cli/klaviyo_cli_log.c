/*
 * klaviyo-queue: lines of access logs; see the header.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json/klaviyo_hex.h"
#include "json/klaviyo_pointer.h"
#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "klaviyo_cli_log.h"


#define KLAVIYO_CLI_LOG_LOCAL   26       /* 06/Sep/2026:18:05:09 +0200       */
#define KLAVIYO_CLI_LOG_FIRST   662688000      /* s: the beginning of 1991   */
#define KLAVIYO_CLI_LOG_AHEAD   86400    /* s that a clock may be ahead      */
#define KLAVIYO_CLI_LOG_METHOD  32


static klaviyo_cli_log_rc_e klaviyo_cli_log_combined(klaviyo_cli_log_t *log,
    const uint8_t *p, const uint8_t *last);
static klaviyo_cli_log_rc_e klaviyo_cli_log_json(klaviyo_cli_log_t *log,
    const klaviyo_cli_log_names_t *names, const uint8_t *p, size_t len);
static int klaviyo_cli_log_request(klaviyo_cli_log_t *log,
    klaviyo_slice_t request);
static int klaviyo_cli_log_uri(klaviyo_cli_log_t *log, klaviyo_slice_t uri);
static void klaviyo_cli_log_host(klaviyo_cli_log_t *log);
static int klaviyo_cli_log_status(klaviyo_cli_log_t *log,
    const klaviyo_slice_t *value);
static int klaviyo_cli_log_moment(klaviyo_cli_log_t *log);
static int klaviyo_cli_log_local(const klaviyo_slice_t *text, int64_t *t);
static unsigned klaviyo_cli_log_digits(const uint8_t *p, unsigned n);
static const uint8_t *klaviyo_cli_log_quoted(klaviyo_cli_log_t *log,
    const uint8_t *p, const uint8_t *last, klaviyo_slice_t *value);
static void klaviyo_cli_log_value(klaviyo_cli_log_t *log,
    const klaviyo_slice_t *json, klaviyo_slice_t *value);
static void klaviyo_cli_log_add(klaviyo_cli_log_t *log,
    const klaviyo_slice_t *name, const klaviyo_slice_t *value);
static void klaviyo_cli_log_set(klaviyo_cli_log_t *log, const char *name,
    klaviyo_slice_t value);


klaviyo_cli_log_rc_e
klaviyo_cli_log_parse(klaviyo_cli_log_t *log, klaviyo_cli_log_e format,
    const klaviyo_cli_log_names_t *names, const uint8_t *p, size_t len,
    int64_t now)
{
    klaviyo_cli_log_rc_e  rc;

    log->n = 0;
    log->used = 0;
    log->time = 0;
    log->status = 0;

    memset(&log->method, 0, sizeof(klaviyo_slice_t));
    memset(&log->uri, 0, sizeof(klaviyo_slice_t));
    memset(&log->host, 0, sizeof(klaviyo_slice_t));

    if (len > KLAVIYO_CLI_LOG_LINE) {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    rc = (format == KLAVIYO_CLI_LOG_JSON)
         ? klaviyo_cli_log_json(log, names, p, len)
         : klaviyo_cli_log_combined(log, p, p + len);

    if (rc != KLAVIYO_CLI_LOG_OK) {
        return rc;
    }

    if (log->time < KLAVIYO_CLI_LOG_FIRST
        || log->time > now + KLAVIYO_CLI_LOG_AHEAD)
    {
        return KLAVIYO_CLI_LOG_TIME;
    }

    klaviyo_cli_log_host(log);

    return KLAVIYO_CLI_LOG_OK;
}


int
klaviyo_cli_log_field(const klaviyo_cli_log_t *log, const char *name,
    size_t len, klaviyo_slice_t *value)
{
    unsigned  i;

    /* the last one holds */

    for (i = log->n; i > 0; i--) {

        if (log->field[i - 1].name.len == len
            && memcmp(log->field[i - 1].name.data, name, len) == 0)
        {
            *value = log->field[i - 1].value;
            return 1;
        }
    }

    return 0;
}


/*
 * The user's name may hold anything but a quote, as that is escaped: so the
 * first quote is that of the request, and the time stands right before it.
 */

static klaviyo_cli_log_rc_e
klaviyo_cli_log_combined(klaviyo_cli_log_t *log, const uint8_t *p,
    const uint8_t *last)
{
    size_t           user;
    unsigned         i;
    const uint8_t   *end, *quote;
    klaviyo_slice_t  value, request, local;

    static const char *const  behind[] = { "http_referer",
                                           "http_user_agent", NULL };

    quote = memchr(p, '"', (size_t) (last - p));
    end = memchr(p, ' ', (size_t) (last - p));

    if (quote == NULL || end == NULL
        || quote - p < KLAVIYO_CLI_LOG_LOCAL + 3
        || end > quote - KLAVIYO_CLI_LOG_LOCAL - 3
        || quote[-1] != ' ' || quote[-2] != ']'
        || quote[-KLAVIYO_CLI_LOG_LOCAL - 3] != '[')
    {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    value.data = p;
    value.len = (size_t) (end - p);
    klaviyo_cli_log_set(log, "remote_addr", value);

    local.data = quote - KLAVIYO_CLI_LOG_LOCAL - 2;
    local.len = KLAVIYO_CLI_LOG_LOCAL;
    klaviyo_cli_log_set(log, "time_local", local);

    /* " - USER " */

    user = (size_t) (local.data - 1 - end);

    if (user > 4 && memcmp(end, " - ", 3) == 0) {
        (void) klaviyo_cli_log_quoted(log, end + 3, end + user - 1, &value);
        klaviyo_cli_log_set(log, "remote_user", value);
    }

    p = klaviyo_cli_log_quoted(log, quote + 1, last, &request);

    if (p == NULL || last - p < 4 || p[0] != ' '
        || (last - p > 4 && p[4] != ' '))
    {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    value.data = p + 1;
    value.len = 3;

    if (!klaviyo_cli_log_status(log, &value)) {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    klaviyo_cli_log_set(log, "status", value);
    klaviyo_cli_log_set(log, "request", request);

    if (!klaviyo_cli_log_request(log, request)) {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    /* the "common" format ends here */

    p += 4;

    if (p < last) {
        p++;
        end = memchr(p, ' ', (size_t) (last - p));
        value.data = p;
        value.len = (size_t) ((end ? end : last) - p);
        klaviyo_cli_log_set(log, "body_bytes_sent", value);
        p = end ? end : last;
    }

    for (i = 0; behind[i] && last - p >= 3; i++) {

        if (p[0] != ' ' || p[1] != '"') {
            break;
        }

        p = klaviyo_cli_log_quoted(log, p + 2, last, &value);

        if (p == NULL) {
            return KLAVIYO_CLI_LOG_MALFORMED;
        }

        klaviyo_cli_log_set(log, behind[i], value);
    }

    return klaviyo_cli_log_local(&local, &log->time) ? KLAVIYO_CLI_LOG_OK
                                                     : KLAVIYO_CLI_LOG_TIME;
}


static klaviyo_cli_log_rc_e
klaviyo_cli_log_json(klaviyo_cli_log_t *log,
    const klaviyo_cli_log_names_t *names, const uint8_t *p, size_t len)
{
    unsigned             i;
    klaviyo_scan_t       scan;
    klaviyo_slice_t      text, name, value, method, uri, args, found;
    klaviyo_scan_seen_t  seen;

    text.data = p;
    text.len = len;

    if (!klaviyo_scan_check(&text, &seen)
        || klaviyo_scan_type(text.data) != KLAVIYO_SCAN_OBJECT)
    {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    klaviyo_scan_enter(&scan, &text);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        /* names without escapes are those of variables */

        if (!klaviyo_scan_is_plain(&name)) {
            continue;
        }

        name.data++;
        name.len -= 2;

        klaviyo_cli_log_value(log, &value, &found);
        klaviyo_cli_log_add(log, &name, &found);
    }

    for (i = 0; i < names->n; i++) {

        if (names->name[i].member[0] == '/') {

            if (!klaviyo_pointer_find(&text,
                                      (const uint8_t *) names->name[i].member,
                                      strlen(names->name[i].member), &value))
            {
                continue;
            }

            klaviyo_cli_log_value(log, &value, &found);

        } else if (!klaviyo_cli_log_field(log, names->name[i].member,
                                          strlen(names->name[i].member),
                                          &found))
        {
            continue;
        }

        klaviyo_cli_log_set(log, names->name[i].field, found);
    }

    if (!klaviyo_cli_log_field(log, "status", 6, &value)
        || !klaviyo_cli_log_status(log, &value))
    {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    /* the whole request, or its parts */

    if (klaviyo_cli_log_field(log, "request_method", 14, &method)
        && klaviyo_cli_log_field(log, "request_uri", 11, &uri))
    {
        if (method.len == 0 || method.len > KLAVIYO_CLI_LOG_METHOD
            || !klaviyo_cli_log_uri(log, uri))
        {
            return KLAVIYO_CLI_LOG_MALFORMED;
        }

        log->method = method;

    } else if (klaviyo_cli_log_field(log, "request", 7, &value)) {

        if (!klaviyo_cli_log_request(log, value)) {
            return KLAVIYO_CLI_LOG_MALFORMED;
        }

    } else if (klaviyo_cli_log_field(log, "request_method", 14, &method)
               && klaviyo_cli_log_field(log, "uri", 3, &uri)
               && method.len != 0 && method.len <= KLAVIYO_CLI_LOG_METHOD)
    {
        log->method = method;

        if (!klaviyo_cli_log_field(log, "args", 4, &args)) {
            args.len = 0;
        }

        if (args.len
            && uri.len + 1 + args.len <= sizeof(log->buf) - log->used)
        {
            found.data = log->buf + log->used;
            found.len = uri.len + 1 + args.len;

            memcpy(log->buf + log->used, uri.data, uri.len);
            log->buf[log->used + uri.len] = '?';
            memcpy(log->buf + log->used + uri.len + 1, args.data, args.len);
            log->used += found.len;
            uri = found;
        }

        if (!klaviyo_cli_log_uri(log, uri)) {
            return KLAVIYO_CLI_LOG_MALFORMED;
        }

    } else {
        return KLAVIYO_CLI_LOG_MALFORMED;
    }

    return klaviyo_cli_log_moment(log) ? KLAVIYO_CLI_LOG_OK
                                       : KLAVIYO_CLI_LOG_TIME;
}


/* METHOD URI HTTP/1.1; old versions of nginx let blanks through in a URI */

static int
klaviyo_cli_log_request(klaviyo_cli_log_t *log, klaviyo_slice_t request)
{
    size_t           i;
    const uint8_t   *p, *last, *blank;
    klaviyo_slice_t  uri;

    p = request.data;
    last = p + request.len;

    blank = request.len ? memchr(p, ' ', request.len) : NULL;

    if (blank == NULL || blank == p || blank - p > KLAVIYO_CLI_LOG_METHOD) {
        return 0;
    }

    for (i = 0; p + i < blank; i++) {
        if ((p[i] < 'A' || p[i] > 'Z') && p[i] != '_' && p[i] != '-') {
            return 0;
        }
    }

    log->method.data = p;
    log->method.len = (size_t) (blank - p);

    uri.data = blank + 1;

    p = memrchr(uri.data, ' ', (size_t) (last - uri.data));

    if (p == NULL || last - p < 6 || memcmp(p + 1, "HTTP/", 5) != 0) {
        return 0;
    }

    uri.len = (size_t) (p - uri.data);

    return klaviyo_cli_log_uri(log, uri);
}


/* also in its absolute form, http://host/path */

static int
klaviyo_cli_log_uri(klaviyo_cli_log_t *log, klaviyo_slice_t uri)
{
    const uint8_t  *p;

    if (uri.len > 8 && uri.data[0] != '/') {
        p = memmem(uri.data, uri.len < 10 ? uri.len : 10, "://", 3);

        if (p == NULL) {
            return 0;
        }

        p += 3;
        log->host.data = p;

        p = memchr(p, '/', (size_t) (uri.data + uri.len - p));

        if (p == NULL) {
            return 0;
        }

        log->host.len = (size_t) (p - log->host.data);
        uri.len -= (size_t) (p - uri.data);
        uri.data = p;
    }

    if (uri.len == 0 || uri.data[0] != '/') {
        return 0;
    }

    log->uri = uri;

    return 1;
}


static void
klaviyo_cli_log_host(klaviyo_cli_log_t *log)
{
    size_t   i;

    if (log->host.len == 0
        && !klaviyo_cli_log_field(log, "host", 4, &log->host)
        && !klaviyo_cli_log_field(log, "http_host", 9, &log->host))
    {
        log->host.len = 0;
        return;
    }

    for (i = 0; i < log->host.len; i++) {

        if (log->host.data[i] == ':'
            && memchr(log->host.data, ']', log->host.len) == NULL)
        {
            log->host.len = i;
            break;
        }
    }

    if (log->host.len && log->host.data[log->host.len - 1] == '.') {
        log->host.len--;
    }
}


static int
klaviyo_cli_log_status(klaviyo_cli_log_t *log, const klaviyo_slice_t *value)
{
    if (value->len != 3
        || value->data[0] < '1' || value->data[0] > '9'
        || value->data[1] < '0' || value->data[1] > '9'
        || value->data[2] < '0' || value->data[2] > '9')
    {
        return 0;
    }

    log->status = klaviyo_cli_log_digits(value->data, 3);

    return 1;
}


/* as nginx has it in variables; with a map, in any form of `time` */

static int
klaviyo_cli_log_moment(klaviyo_cli_log_t *log)
{
    unsigned         i;
    klaviyo_slice_t  value;

    static const char *const  names[] = { "msec", "time_iso8601",
                                          "time_local", NULL };

    for (i = 0; names[i]; i++) {

        if (!klaviyo_cli_log_field(log, names[i], strlen(names[i]), &value)
            || value.len == 0)
        {
            continue;
        }

        if (klaviyo_cli_log_local(&value, &log->time)) {
            return 1;
        }

        return klaviyo_value_time(value.data, value.len, (int64_t) time(NULL),
                                  0, &log->time)
               == KLAVIYO_VALUE_OK;
    }

    return 0;
}


/* 06/Sep/2026:18:05:09 +0200 */

static int
klaviyo_cli_log_local(const klaviyo_slice_t *text, int64_t *t)
{
    int              zone, day, sec;
    unsigned         i;
    struct tm        tm;
    const uint8_t   *p;

    static const char  form[] = "00/AAA/0000:00:00:00 +0000";
    static const char  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    p = text->data;

    if (text->len != KLAVIYO_CLI_LOG_LOCAL) {
        return 0;
    }

    for (i = 0; i < KLAVIYO_CLI_LOG_LOCAL; i++) {

        switch (form[i]) {

        case '0':
            if (p[i] < '0' || p[i] > '9') {
                return 0;
            }
            break;

        case 'A':
            break;

        case '+':
            if (p[i] != '+' && p[i] != '-') {
                return 0;
            }
            break;

        default:
            if (p[i] != (uint8_t) form[i]) {
                return 0;
            }
            break;
        }
    }

    memset(&tm, 0, sizeof(struct tm));

    for (i = 0; i < 12; i++) {
        if (memcmp(months + 3 * i, p + 3, 3) == 0) {
            break;
        }
    }

    tm.tm_mon = (int) i;
    tm.tm_mday = (int) klaviyo_cli_log_digits(p, 2);
    tm.tm_year = (int) klaviyo_cli_log_digits(p + 7, 4) - 1900;
    tm.tm_hour = (int) klaviyo_cli_log_digits(p + 12, 2);
    tm.tm_min = (int) klaviyo_cli_log_digits(p + 15, 2);

    day = tm.tm_mday;
    sec = (int) klaviyo_cli_log_digits(p + 18, 2);

    zone = (int) (60 * klaviyo_cli_log_digits(p + 22, 2)
                  + klaviyo_cli_log_digits(p + 24, 2));

    if (i == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23
        || tm.tm_min > 59 || sec > 60 || zone > 24 * 60)
    {
        return 0;
    }

    *t = (int64_t) timegm(&tm) + sec - 60 * (p[21] == '-' ? -zone : zone);

    /* the 30th of February is another day */

    return tm.tm_mday == day;
}


static unsigned
klaviyo_cli_log_digits(const uint8_t *p, unsigned n)
{
    unsigned  value;

    for (value = 0; n; n--) {
        value = 10 * value + (unsigned) (*p++ - '0');
    }

    return value;
}


/*
 * The text up to the quote, or all of it, with nginx's \xHH and Apache's \"
 * taken back; what is behind the quote, or NULL: there is none.
 */

static const uint8_t *
klaviyo_cli_log_quoted(klaviyo_cli_log_t *log, const uint8_t *p,
    const uint8_t *last, klaviyo_slice_t *value)
{
    int      high, low;
    uint8_t  *start, *to, *end;

    start = log->buf + log->used;
    end = log->buf + sizeof(log->buf);

    for (to = start; p < last && to < end && *p != '"'; p++) {

        if (*p == '\\' && last - p > 3 && p[1] == 'x') {
            high = klaviyo_hex(p[2]);
            low = klaviyo_hex(p[3]);

            if (high >= 0 && low >= 0) {
                *to++ = (uint8_t) (16 * high + low);
                p += 3;
                continue;
            }
        }

        if (*p == '\\' && last - p > 1 && (p[1] == '"' || p[1] == '\\')) {
            p++;
        }

        *to++ = *p;
    }

    value->data = start;
    value->len = (size_t) (to - start);
    log->used = (size_t) (to - log->buf);

    return (p < last && *p == '"') ? p + 1 : NULL;
}


/* strings bare, everything else as its text; null is empty */

static void
klaviyo_cli_log_value(klaviyo_cli_log_t *log, const klaviyo_slice_t *json,
    klaviyo_slice_t *value)
{
    *value = *json;

    switch (klaviyo_scan_type(json->data)) {

    case KLAVIYO_SCAN_NULL:
        value->len = 0;
        break;

    case KLAVIYO_SCAN_STRING:

        if (klaviyo_scan_is_plain(json)) {
            value->data = json->data + 1;
            value->len = json->len - 2;
            break;
        }

        if (json->len > sizeof(log->buf) - log->used) {
            value->len = 0;
            break;
        }

        value->data = log->buf + log->used;
        value->len = klaviyo_scan_string(json, log->buf + log->used);
        log->used += value->len;
        break;

    default:
        break;
    }
}


static void
klaviyo_cli_log_add(klaviyo_cli_log_t *log, const klaviyo_slice_t *name,
    const klaviyo_slice_t *value)
{
    if (log->n == KLAVIYO_CLI_LOG_FIELDS) {
        return;
    }

    log->field[log->n].name = *name;
    log->field[log->n].value = *value;

    if (value->len == 1 && value->data[0] == '-') {
        log->field[log->n].value.len = 0;
    }

    log->n++;
}


static void
klaviyo_cli_log_set(klaviyo_cli_log_t *log, const char *name,
    klaviyo_slice_t value)
{
    klaviyo_slice_t  text;

    text.data = (const uint8_t *) name;
    text.len = strlen(name);

    klaviyo_cli_log_add(log, &text, &value);
}
