/* Days and dates of the calendar that mail is dated in: the Gregorian one, also for years before it was made. */
#ifndef TEXT_CALENDAR_H
#define TEXT_CALENDAR_H

#include <stdint.h>

struct day {
    int64_t year;
    uint32_t month, day; /* from 1 */
};

/* `days` since 1 January 1970, from year 0 on. */
struct day mailsrv__day_of(int64_t days);

/* The other way round, for a year from 0 on.  INT64_MIN: there is no such day. */
int64_t mailsrv__days_of(struct day day);

/* Whole units of `unit` up to `value`, which may be negative. */
static inline int64_t mailsrv__floor_div(int64_t value, int64_t unit)
{
    return value / unit - (value % unit < 0);
}

#endif
