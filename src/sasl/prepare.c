/* Names and passwords as SASLprep has them (RFC 4013), without its normalization: that takes tables of all of Unicode.
 * What is left needs none that are large: what is mapped (section 2.1), and what is forbidden (section 2.3). */
#include "sasl/prepare.h"

#include "sasl/sasl.h"

struct range {
    uint32_t first, last;
};

/* RFC 3454 table C.1.2: becomes a space. */
static const struct range spaces[] = {
    { 0xA0, 0xA0 }, { 0x1680, 0x1680 }, { 0x2000, 0x200B }, { 0x202F, 0x202F }, { 0x205F, 0x205F }, { 0x3000, 0x3000 },
};

/* RFC 3454 table B.1: becomes nothing. */
static const struct range nothing[] = {
    { 0xAD, 0xAD },     { 0x34F, 0x34F },   { 0x1806, 0x1806 }, { 0x180B, 0x180D },
    { 0x200B, 0x200D }, { 0x2060, 0x2060 }, { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF },
};

/* RFC 3454 tables C.2.1 to C.9, but for the last two code points of each plane. */
static const struct range forbidden[] = {
    { 0, 0x1F },          { 0x7F, 0x9F },         { 0x340, 0x341 },       { 0x6DD, 0x6DD },
    { 0x70F, 0x70F },     { 0x180E, 0x180E },     { 0x200C, 0x200F },     { 0x2028, 0x202E },
    { 0x2060, 0x2063 },   { 0x206A, 0x206F },     { 0x2FF0, 0x2FFB },     { 0xD800, 0xF8FF },
    { 0xFDD0, 0xFDEF },   { 0xFEFF, 0xFEFF },     { 0xFFF9, 0xFFFD },     { 0x1D173, 0x1D17A },
    { 0xE0001, 0xE0001 }, { 0xE0020, 0xE007F },   { 0xF0000, 0x10FFFF },
};

static bool is_among(uint32_t c, const struct range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

#define IS_AMONG(c, ranges) is_among(c, ranges, sizeof(ranges) / sizeof *(ranges))

/* An octet that is no UTF-8 is read as U+FFFD, which is forbidden. */
static bool prepare_one(uint32_t c, struct writer *w)
{
    if (IS_AMONG(c, spaces)) {
        mailsrv__write_char(w, ' ');
        return true;
    }
    if (IS_AMONG(c, nothing))
        return true;
    mailsrv__write_utf8(w, c);
    return !IS_AMONG(c, forbidden) && (c & 0xFFFE) != 0xFFFE;
}

bool mailsrv__sasl_prepare(struct span text, struct writer *w)
{
    while (text.n != 0)
        if (!prepare_one(mailsrv__utf8_take(&text), w))
            return false;
    return !w->full;
}

bool mailsrv__sasl_is_name(struct span name)
{
    char room[4];
    bool is_empty = true;
    while (name.n != 0) {
        struct writer w = { .p = room, .room = sizeof room };
        if (!prepare_one(mailsrv__utf8_take(&name), &w))
            return false;
        is_empty = is_empty && w.n == 0;
    }
    return !is_empty;
}
