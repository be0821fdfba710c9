#include "text/calendar.h"

enum { DAYS_TO_1970 = 719468, ERA_DAYS = 146097 };

/* Days are counted from 1 March of year 0, so that the leap day ends a year: then the months' beginnings are a line
 * (153 days for each five months), and 400 years always have 146,097 days. */
struct day mailsrv__day_of(int64_t days_since_1970)
{
    int64_t days = days_since_1970 + DAYS_TO_1970;
    int64_t era = mailsrv__floor_div(days, ERA_DAYS);
    uint32_t of_era = (uint32_t)(days - era * ERA_DAYS);
    uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint32_t march_month = (5 * of_year + 2) / 153;
    struct day d = { era * 400 + year, march_month < 10 ? march_month + 3 : march_month - 9,
                     of_year - (153 * march_month + 2) / 5 + 1 };
    if (d.month <= 2)
        d.year++;
    return d;
}

static int64_t count(struct day d)
{
    int64_t year = d.month <= 2 ? d.year - 1 : d.year;
    int64_t era = mailsrv__floor_div(year, 400);
    uint32_t of_era = (uint32_t)(year - era * 400);
    uint32_t march_month = d.month > 2 ? d.month - 3 : d.month + 9;
    uint32_t of_year = (153 * march_month + 2) / 5 + d.day - 1;
    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

/* A day that is none becomes another one: 31 April is 1 May. */
int64_t mailsrv__days_of(struct day d)
{
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31)
        return INT64_MIN;
    int64_t days = count(d);
    struct day back = mailsrv__day_of(days);
    return back.day == d.day && back.month == d.month ? days : INT64_MIN;
}
