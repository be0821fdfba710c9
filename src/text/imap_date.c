#include "text/imap_date.h"

#include "text/calendar.h"

static const int64_t second_us = 1000000, day_s = 86400;
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* ---- Writing ---- */

static int64_t seconds_that_can_be_written(int64_t unix_us)
{
    static const int64_t first = -719528 * INT64_C(86400);       /* of the year 0 */
    static const int64_t last = 2932897 * INT64_C(86400) - 1; /* of the year 9999 */
    int64_t seconds = mailsrv__floor_div(unix_us, second_us);
    if (seconds < first)
        return first;
    return seconds > last ? last : seconds;
}

static void put_two(char *to, uint32_t value)
{
    to[0] = (char)('0' + value / 10);
    to[1] = (char)('0' + value % 10);
}

void mailsrv__write_imap_date_time(struct writer *w, int64_t unix_us)
{
    char text[] = "\"dd-Mon-yyyy hh:mm:ss +0000\"";
    int64_t seconds = seconds_that_can_be_written(unix_us);
    int64_t days = mailsrv__floor_div(seconds, day_s);
    uint32_t of_day = (uint32_t)(seconds - days * day_s);
    struct day d = mailsrv__day_of(days);
    put_two(text + 1, d.day);
    memcpy(text + 4, months + (d.month - 1) * 3, 3);
    put_two(text + 8, (uint32_t)d.year / 100);
    put_two(text + 10, (uint32_t)d.year % 100);
    put_two(text + 13, of_day / 3600);
    put_two(text + 16, of_day / 60 % 60);
    put_two(text + 19, of_day % 60);
    mailsrv__write(w, (struct span){ text, sizeof text - 1 });
}

/* ---- Reading ---- */

static bool take_char(struct span *text, char c)
{
    if (text->n == 0 || text->p[0] != c)
        return false;
    *text = mailsrv__span_after(*text, 1);
    return true;
}

static bool take_digits(struct span *text, size_t least, size_t most, uint32_t *value)
{
    size_t n = 0;
    *value = 0;
    for (; n < most && n < text->n && text->p[n] >= '0' && text->p[n] <= '9'; n++)
        *value = *value * 10 + (uint32_t)(text->p[n] - '0');
    *text = mailsrv__span_after(*text, n);
    return n >= least;
}

static bool take_month(struct span *text, uint32_t *month)
{
    struct span name = mailsrv__span_first(*text, 3);
    for (*month = 1; *month <= 12; ++*month) {
        if (!mailsrv__span_equal_nocase(name, (struct span){ months + (*month - 1) * 3, 3 }))
            continue;
        *text = mailsrv__span_after(*text, 3);
        return true;
    }
    return false;
}

/* date-day "-" date-month "-" date-year */
static bool take_date(struct span *text, int64_t *days)
{
    struct day d = { 0, 0, 0 };
    uint32_t year;
    if (!take_digits(text, 1, 2, &d.day) || !take_char(text, '-') || !take_month(text, &d.month) ||
        !take_char(text, '-') || !take_digits(text, 4, 4, &year))
        return false;
    d.year = year;
    *days = mailsrv__days_of(d);
    return *days != INT64_MIN;
}

/* time = 2DIGIT ":" 2DIGIT ":" 2DIGIT; a leap second is the one before it */
static bool take_time(struct span *text, int64_t *seconds)
{
    uint32_t h, m, s;
    if (!take_digits(text, 2, 2, &h) || !take_char(text, ':') || !take_digits(text, 2, 2, &m) ||
        !take_char(text, ':') || !take_digits(text, 2, 2, &s) || h > 23 || m > 59 || s > 60)
        return false;
    *seconds = (int64_t)h * 3600 + m * 60 + (s == 60 ? 59 : s);
    return true;
}

/* zone = ("+" / "-") 4DIGIT */
static bool take_zone(struct span *text, int64_t *seconds)
{
    uint32_t hours, minutes;
    bool west = take_char(text, '-');
    if ((!west && !take_char(text, '+')) || !take_digits(text, 2, 2, &hours) || !take_digits(text, 2, 2, &minutes) ||
        minutes > 59)
        return false;
    *seconds = (int64_t)hours * 3600 + minutes * 60;
    if (west)
        *seconds = -*seconds;
    return true;
}

bool mailsrv__imap_date_time_read(struct span text, int64_t *unix_us)
{
    int64_t days, seconds, zone;
    take_char(&text, ' '); /* date-day-fixed = (SP DIGIT) / 2DIGIT */
    if (!take_date(&text, &days) || !take_char(&text, ' ') || !take_time(&text, &seconds) || !take_char(&text, ' ') ||
        !take_zone(&text, &zone) || text.n != 0)
        return false;
    *unix_us = (days * day_s + seconds - zone) * second_us;
    return true;
}

bool mailsrv__imap_date_read(struct span text, int64_t *days)
{
    return take_date(&text, days) && text.n == 0;
}
