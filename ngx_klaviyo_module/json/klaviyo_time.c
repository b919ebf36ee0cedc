/*
 * json: times, between text and seconds since 1970.  Plain C; the calendar is
 * reckoned here, because the C library's functions look at the time zone and
 * take a lock.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_time.h"


#define KLAVIYO_TIME_MIN   INT64_C(662688000)     /* 1991-01-01T00:00:00Z   */
#define KLAVIYO_TIME_MAX   INT64_C(253402300799)  /* 9999-12-31T23:59:59Z   */
#define KLAVIYO_TIME_YEAR  (365 * 86400)
#define KLAVIYO_TIME_MS    INT64_C(100000000000)  /* from here on, in ms    */

/* from 0000-03-01 to 1970-01-01: years begin in March, leap days end them */
#define KLAVIYO_TIME_DAYS  719468


typedef struct {
    int  year;
    int  month;                  /* 1 to 12                                 */
    int  day;
    int  hour;
    int  minute;
    int  second;                 /* 60 at the end of a day in UTC           */
    int  zone;                   /* seconds east of UTC                     */
} klaviyo_time_t;


static const char *const  klaviyo_time_months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};


static const char *const  klaviyo_time_weekdays[] = {
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    "Sunday"
};


/* of RFC 5322; others of its kind mean nothing that is known */

static const struct {
    const char  *name;
    int          hours;
} klaviyo_time_zones[] = {
    { "UTC", 0 }, { "GMT", 0 }, { "UT", 0 }, { "Z", 0 },
    { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
    { "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 }
};


static klaviyo_value_rc_e klaviyo_time_epoch(const uint8_t *p,
    const uint8_t *last, int64_t *t);
static klaviyo_value_rc_e klaviyo_time_iso8601(const uint8_t *p,
    const uint8_t *last, int zone, int64_t *t);
static klaviyo_value_rc_e klaviyo_time_date(const uint8_t *p,
    const uint8_t *last, int zone, int64_t *t);
static const uint8_t *klaviyo_time_weekday(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_time_day(const uint8_t *p, const uint8_t *last,
    int *day);
static const uint8_t *klaviyo_time_month(const uint8_t *p,
    const uint8_t *last, int *month);
static const uint8_t *klaviyo_time_year(const uint8_t *p, const uint8_t *last,
    int *year);
static const uint8_t *klaviyo_time_clock(const uint8_t *p,
    const uint8_t *last, klaviyo_time_t *time);
static const uint8_t *klaviyo_time_blanks(const uint8_t *p,
    const uint8_t *last);
static klaviyo_value_rc_e klaviyo_time_reckon(const klaviyo_time_t *time,
    int64_t *t);
static const uint8_t *klaviyo_time_fraction(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_time_month_days(int year, int month);
static int64_t klaviyo_time_days(int year, int month, int day);
static int klaviyo_time_digits(const uint8_t *p, int n);
static uint8_t *klaviyo_time_put(uint8_t *buf, int64_t value, int n,
    uint8_t separator);


klaviyo_value_rc_e
klaviyo_value_time(const uint8_t *p, size_t len, int64_t now, int zone,
    int64_t *t)
{
    int64_t             value;
    const uint8_t      *last;
    klaviyo_value_rc_e  rc;

    len = klaviyo_value_trim(&p, len);

    if (len == 0) {
        return KLAVIYO_VALUE_EMPTY;
    }

    last = p + len;

    if (len > 4 && p[4] == '-') {
        rc = klaviyo_time_iso8601(p, last, zone, &value);

    } else if (*p < '0' || *p > '9' || memchr(p, ':', len)) {
        rc = klaviyo_time_date(p, last, zone, &value);

    } else {
        rc = klaviyo_time_epoch(p, last, &value);
    }

    if (rc != KLAVIYO_VALUE_OK) {
        return rc;
    }

    if (value < KLAVIYO_TIME_MIN || value - KLAVIYO_TIME_YEAR > now) {
        return KLAVIYO_VALUE_BAD;
    }

    *t = value;

    return KLAVIYO_VALUE_OK;
}


void
klaviyo_value_format_time(uint8_t *buf, int64_t t)
{
    int64_t  days, cycle, year, month, day;

    if (t < 0) {
        t = 0;
    }

    if (t > KLAVIYO_TIME_MAX) {
        t = KLAVIYO_TIME_MAX;
    }

    /* the calendar repeats after 400 years of 146097 days */

    days = t / 86400 + KLAVIYO_TIME_DAYS;
    cycle = days / 146097;
    days %= 146097;

    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    days -= 365 * year + year / 4 - year / 100;

    /* from March on, five months have 153 days */

    month = (5 * days + 2) / 153;
    day = days - (153 * month + 2) / 5 + 1;

    year += 400 * cycle;
    month += 3;

    if (month > 12) {
        month -= 12;
        year++;
    }

    t %= 86400;

    buf = klaviyo_time_put(buf, year, 4, '-');
    buf = klaviyo_time_put(buf, month, 2, '-');
    buf = klaviyo_time_put(buf, day, 2, 'T');
    buf = klaviyo_time_put(buf, t / 3600, 2, ':');
    buf = klaviyo_time_put(buf, t / 60 % 60, 2, ':');
    buf = klaviyo_time_put(buf, t % 60, 2, '+');
    buf = klaviyo_time_put(buf, 0, 2, ':');

    buf[0] = '0';
    buf[1] = '0';
}


static klaviyo_value_rc_e
klaviyo_time_epoch(const uint8_t *p, const uint8_t *last, int64_t *t)
{
    int64_t         value;
    const uint8_t  *start;

    value = 0;
    start = p;

    while (p < last && *p >= '0' && *p <= '9') {

        if (value > KLAVIYO_TIME_MAX * 1000) {
            return KLAVIYO_VALUE_BAD;
        }

        value = value * 10 + (*p++ - '0');
    }

    if (p == start) {
        return KLAVIYO_VALUE_BAD;
    }

    p = klaviyo_time_fraction(p, last);

    if (p != last) {
        return KLAVIYO_VALUE_BAD;
    }

    *t = value < KLAVIYO_TIME_MS ? value : value / 1000;

    return KLAVIYO_VALUE_OK;
}


/*
 * "2026-07-15T12:00:00", a fraction that is dropped, a zone.  A space may
 * stand for the "T", as databases print it, and the seconds may be missing.
 */

static klaviyo_value_rc_e
klaviyo_time_iso8601(const uint8_t *p, const uint8_t *last, int zone,
    int64_t *t)
{
    klaviyo_time_t  time;

    if (last - p < 16
        || p[4] != '-' || p[7] != '-'
        || (p[10] != 'T' && p[10] != 't' && p[10] != ' '))
    {
        return KLAVIYO_VALUE_BAD;
    }

    time.year = klaviyo_time_digits(p, 4);
    time.month = klaviyo_time_digits(p + 5, 2);
    time.day = klaviyo_time_digits(p + 8, 2);

    p = klaviyo_time_clock(p + 11, last, &time);

    if (p == NULL) {
        return KLAVIYO_VALUE_BAD;
    }

    p = klaviyo_time_fraction(p, last);

    time.zone = zone;

    if (klaviyo_value_zone(p, last - p, &time.zone) == KLAVIYO_VALUE_BAD) {
        return KLAVIYO_VALUE_BAD;
    }

    return klaviyo_time_reckon(&time, t);
}


/*
 * "Sun, 06 Sep 2026 18:05:09 +0000" of RFC 5322 and HTTP, whose weekday,
 * seconds and zone may be missing; "Sunday, 06-Sep-26 18:05:09 GMT" and
 * "Sun Sep  6 18:05:09 2026", HTTP's forms of old.  The weekday is not looked
 * at: the date says which one it is.
 */

static klaviyo_value_rc_e
klaviyo_time_date(const uint8_t *p, const uint8_t *last, int zone, int64_t *t)
{
    klaviyo_time_t  time;
    const uint8_t  *q;

    time.zone = zone;

    p = klaviyo_time_weekday(p, last);

    q = klaviyo_time_month(p, last, &time.month);

    if (q) {

        q = klaviyo_time_day(q, last, &time.day);
        q = q ? klaviyo_time_clock(q, last, &time) : NULL;
        q = q ? klaviyo_time_year(q, last, &time.year) : NULL;

        return q == last ? klaviyo_time_reckon(&time, t) : KLAVIYO_VALUE_BAD;
    }

    p = klaviyo_time_day(p, last, &time.day);
    p = p ? klaviyo_time_month(p, last, &time.month) : NULL;
    p = p ? klaviyo_time_year(p, last, &time.year) : NULL;
    p = p ? klaviyo_time_clock(p, last, &time) : NULL;

    if (p == NULL
        || klaviyo_value_zone(p, last - p, &time.zone) == KLAVIYO_VALUE_BAD)
    {
        return KLAVIYO_VALUE_BAD;
    }

    return klaviyo_time_reckon(&time, t);
}


/* behind it, or where it stood when there is none */

static const uint8_t *
klaviyo_time_weekday(const uint8_t *p, const uint8_t *last)
{
    size_t  i, len, full;

    for (len = 0; p + len < last; len++) {

        if ((p[len] | 0x20) < 'a' || (p[len] | 0x20) > 'z') {
            break;
        }
    }

    if (p + len == last || (p[len] != ',' && p[len] != ' ')) {
        return p;
    }

    for (i = 0; i < 7; i++) {

        full = strlen(klaviyo_time_weekdays[i]);

        if ((len == 3 || len == full)
            && strncasecmp((const char *) p, klaviyo_time_weekdays[i], len)
               == 0)
        {
            p += len + (p[len] == ',');

            return klaviyo_time_blanks(p, last);
        }
    }

    return p;
}


static const uint8_t *
klaviyo_time_day(const uint8_t *p, const uint8_t *last, int *day)
{
    int  n;

    n = (last - p > 1 && p[1] >= '0' && p[1] <= '9') ? 2 : 1;

    if (last - p < n) {
        return NULL;
    }

    *day = klaviyo_time_digits(p, n);

    if (*day < 0) {
        return NULL;
    }

    p += n;

    return (p < last && *p == '-') ? p + 1 : klaviyo_time_blanks(p, last);
}


static const uint8_t *
klaviyo_time_month(const uint8_t *p, const uint8_t *last, int *month)
{
    int  i;

    if (last - p < 4) {
        return NULL;
    }

    for (i = 0; i < 12; i++) {

        if (strncasecmp((const char *) p, klaviyo_time_months[i], 3) == 0) {

            if (p[3] != ' ' && p[3] != '-') {
                return NULL;
            }

            *month = i + 1;
            p += 3;

            return *p == '-' ? p + 1 : klaviyo_time_blanks(p, last);
        }
    }

    return NULL;
}


/* two digits are of RFC 850: at most 50 are of this century */

static const uint8_t *
klaviyo_time_year(const uint8_t *p, const uint8_t *last, int *year)
{
    int  n;

    for (n = 0; p + n < last && p[n] >= '0' && p[n] <= '9'; n++) {

        if (n == 4) {
            return NULL;
        }
    }

    if (n != 2 && n != 4) {
        return NULL;
    }

    *year = klaviyo_time_digits(p, n);

    if (n == 2) {
        *year += *year < 50 ? 2000 : 1900;
    }

    return klaviyo_time_blanks(p + n, last);
}


/* "18:05" or "18:05:09"; behind it, and behind the blanks that follow */

static const uint8_t *
klaviyo_time_clock(const uint8_t *p, const uint8_t *last,
    klaviyo_time_t *time)
{
    if (last - p < 5 || p[2] != ':') {
        return NULL;
    }

    time->hour = klaviyo_time_digits(p, 2);
    time->minute = klaviyo_time_digits(p + 3, 2);
    time->second = 0;

    p += 5;

    if (p < last && *p == ':') {

        if (last - p < 3) {
            return NULL;
        }

        time->second = klaviyo_time_digits(p + 1, 2);
        p += 3;
    }

    return klaviyo_time_blanks(p, last);
}


static const uint8_t *
klaviyo_time_blanks(const uint8_t *p, const uint8_t *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


/* the second 60 is read where it can be a leap second */

static klaviyo_value_rc_e
klaviyo_time_reckon(const klaviyo_time_t *time, int64_t *t)
{
    int64_t  value;

    if (time->year < 1 || time->month < 1 || time->month > 12
        || time->day < 1
        || time->day > klaviyo_time_month_days(time->year, time->month)
        || time->hour < 0 || time->hour > 23
        || time->minute < 0 || time->minute > 59
        || time->second < 0 || time->second > 60)
    {
        return KLAVIYO_VALUE_BAD;
    }

    value = klaviyo_time_days(time->year, time->month, time->day) * 86400
            + time->hour * 3600 + time->minute * 60 + time->second
            - time->zone;

    if (time->second == 60 && value % 86400 != 0) {
        return KLAVIYO_VALUE_BAD;
    }

    *t = value;

    return KLAVIYO_VALUE_OK;
}


klaviyo_value_rc_e
klaviyo_value_zone(const uint8_t *p, size_t len, int *zone)
{
    int             hours, minutes;
    size_t          i;
    const uint8_t  *comment;

    /* "+0200 (CEST)" */

    if (len && p[len - 1] == ')') {

        comment = memchr(p, '(', len);

        if (comment == NULL) {
            return KLAVIYO_VALUE_BAD;
        }

        len = comment - p;
    }

    len = klaviyo_value_trim(&p, len);

    if (len == 0) {
        return KLAVIYO_VALUE_EMPTY;
    }

    for (i = 0;
         i < sizeof(klaviyo_time_zones) / sizeof(klaviyo_time_zones[0]);
         i++)
    {
        if (strlen(klaviyo_time_zones[i].name) == len
            && strncasecmp(klaviyo_time_zones[i].name, (const char *) p, len)
               == 0)
        {
            *zone = klaviyo_time_zones[i].hours * 3600;
            return KLAVIYO_VALUE_OK;
        }
    }

    if (len < 3 || (*p != '+' && *p != '-')) {
        return KLAVIYO_VALUE_BAD;
    }

    hours = klaviyo_time_digits(p + 1, 2);

    if (len == 3) {
        minutes = 0;

    } else if (len == 5) {
        minutes = klaviyo_time_digits(p + 3, 2);

    } else if (len == 6 && p[3] == ':') {
        minutes = klaviyo_time_digits(p + 4, 2);

    } else {
        return KLAVIYO_VALUE_BAD;
    }

    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return KLAVIYO_VALUE_BAD;
    }

    *zone = hours * 3600 + minutes * 60;

    if (*p == '-') {
        *zone = -*zone;
    }

    return KLAVIYO_VALUE_OK;
}


/* behind ".123"; where it stood when there is no such thing */

static const uint8_t *
klaviyo_time_fraction(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *q;

    if (p == last || (*p != '.' && *p != ',')) {
        return p;
    }

    for (q = p + 1; q < last && *q >= '0' && *q <= '9'; q++) { /* void */ }

    return q == p + 1 ? p : q;
}


static int
klaviyo_time_month_days(int year, int month)
{
    static const uint8_t  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (month == 2
        && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
    {
        return 29;
    }

    return days[month - 1];
}


static int64_t
klaviyo_time_days(int year, int month, int day)
{
    if (month < 3) {
        year--;
        month += 12;
    }

    return (int64_t) 365 * year + year / 4 - year / 100 + year / 400
           + (153 * (month - 3) + 2) / 5 + day - 1 - KLAVIYO_TIME_DAYS;
}


/* n decimal digits; -1 when one of them is none */

static int
klaviyo_time_digits(const uint8_t *p, int n)
{
    int  i, value;

    value = 0;

    for (i = 0; i < n; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        value = value * 10 + (p[i] - '0');
    }

    return value;
}


static uint8_t *
klaviyo_time_put(uint8_t *buf, int64_t value, int n, uint8_t separator)
{
    int  i;

    for (i = n - 1; i >= 0; i--) {
        buf[i] = (uint8_t) ('0' + value % 10);
        value /= 10;
    }

    buf[n] = separator;

    return buf + n + 1;
}
