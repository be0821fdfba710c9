#include "message/sent.h"

#include "message/lexer.h"
#include "text/calendar.h"

static struct span take_atom(struct lexer *lx)
{
    mailsrv__lex_blanks(lx);
    return mailsrv__lex_atom(lx, false);
}

/* 1*`most`DIGIT */
static bool read_number(struct span text, size_t most, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(text.p[i] - '0');
    }
    return text.n != 0 && text.n <= most;
}

static bool read_month(struct span text, uint32_t *out)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (uint32_t i = 0; i < 12; i++)
        if (mailsrv__span_equal_nocase(text, (struct span){ names + 3 * i, 3 })) {
            *out = i + 1;
            return true;
        }
    return false;
}

/* Section 4.3: of two digits, 00 to 49 are of this century; of three, the years are counted from 1900. */
static bool read_year(struct span text, int64_t *out)
{
    uint32_t year;
    if (text.n < 2 || !read_number(text, 4, &year))
        return false;
    *out = text.n == 4 ? year : text.n == 2 && year < 50 ? 2000 + year : 1900 + year;
    return true;
}

bool mailsrv__sent_day(struct span value, int32_t *days)
{
    struct lexer lx = { .rest = value };
    struct day day = { 0, 0, 0 };
    struct span first = take_atom(&lx);
    mailsrv__lex_blanks(&lx);
    if (mailsrv__lex_is(&lx, ',')) {
        mailsrv__lex_skip(&lx, 1);
        first = take_atom(&lx);
    }
    if (!read_number(first, 2, &day.day) || !read_month(take_atom(&lx), &day.month) ||
        !read_year(take_atom(&lx), &day.year))
        return false;
    int64_t found = mailsrv__days_of(day);
    *days = (int32_t)found;
    return found != INT64_MIN;
}
