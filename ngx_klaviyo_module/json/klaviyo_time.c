/*
 * json: times, between text and seconds since 1970.  Plain C; the calendar is
 * reckoned here, because the C library's functions look at the time zone and
 * take a lock.
 */


#include "klaviyo_value.h"


#define KLAVIYO_TIME_MIN   INT64_C(662688000)     /* 1991-01-01T00:00:00Z   */
#define KLAVIYO_TIME_MAX   INT64_C(253402300799)  /* 9999-12-31T23:59:59Z   */
#define KLAVIYO_TIME_YEAR  (365 * 86400)

/* from 0000-03-01 to 1970-01-01: years begin in March, leap days end them */
#define KLAVIYO_TIME_DAYS  719468


static klaviyo_value_rc_e klaviyo_time_epoch(const uint8_t *p,
    const uint8_t *last, int64_t *t);
static klaviyo_value_rc_e klaviyo_time_iso8601(const uint8_t *p,
    const uint8_t *last, int64_t *t);
static klaviyo_value_rc_e klaviyo_time_zone(const uint8_t *p,
    const uint8_t *last, int *offset);
static const uint8_t *klaviyo_time_fraction(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_time_month_days(int year, int month);
static int64_t klaviyo_time_days(int year, int month, int day);
static int klaviyo_time_digits(const uint8_t *p, int n);
static uint8_t *klaviyo_time_put(uint8_t *buf, int64_t value, int n,
    uint8_t separator);


klaviyo_value_rc_e
klaviyo_value_time(const uint8_t *p, size_t len, int64_t now, int64_t *t)
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
        rc = klaviyo_time_iso8601(p, last, &value);

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

        if (value > KLAVIYO_TIME_MAX) {
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

    *t = value;

    return KLAVIYO_VALUE_OK;
}


/*
 * "2026-07-15T12:00:00", a fraction that is dropped, a zone.  A space may
 * stand for the "T", as databases print it.  The second 60 is read where it
 * can be a leap second, at the end of a day in UTC.
 */

static klaviyo_value_rc_e
klaviyo_time_iso8601(const uint8_t *p, const uint8_t *last, int64_t *t)
{
    int                 year, month, day, hour, minute, second, offset;
    int64_t             value;
    klaviyo_value_rc_e  rc;

    if (last - p < 20
        || p[4] != '-' || p[7] != '-'
        || (p[10] != 'T' && p[10] != 't' && p[10] != ' ')
        || p[13] != ':' || p[16] != ':')
    {
        return KLAVIYO_VALUE_BAD;
    }

    year = klaviyo_time_digits(p, 4);
    month = klaviyo_time_digits(p + 5, 2);
    day = klaviyo_time_digits(p + 8, 2);
    hour = klaviyo_time_digits(p + 11, 2);
    minute = klaviyo_time_digits(p + 14, 2);
    second = klaviyo_time_digits(p + 17, 2);

    if (year < 1 || month < 1 || month > 12 || day < 1
        || day > klaviyo_time_month_days(year, month)
        || hour < 0 || hour > 23 || minute < 0 || minute > 59
        || second < 0 || second > 60)
    {
        return KLAVIYO_VALUE_BAD;
    }

    p = klaviyo_time_fraction(p + 19, last);

    rc = klaviyo_time_zone(p, last, &offset);

    if (rc != KLAVIYO_VALUE_OK) {
        return rc;
    }

    value = klaviyo_time_days(year, month, day) * 86400
            + hour * 3600 + minute * 60 + second - offset;

    if (second == 60 && value % 86400 != 0) {
        return KLAVIYO_VALUE_BAD;
    }

    *t = value;

    return KLAVIYO_VALUE_OK;
}


/* "Z", "+02:00", "+0200" or "+02", and nothing behind it */

static klaviyo_value_rc_e
klaviyo_time_zone(const uint8_t *p, const uint8_t *last, int *offset)
{
    int        hours, minutes;
    ptrdiff_t  len;

    len = last - p;

    if (len == 1 && (*p == 'Z' || *p == 'z')) {
        *offset = 0;
        return KLAVIYO_VALUE_OK;
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

    *offset = hours * 3600 + minutes * 60;

    if (*p == '-') {
        *offset = -*offset;
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
