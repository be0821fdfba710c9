/* Charsets of mail, read into Unicode as they stream past (RFC 2046 section 4.1.2).
 *
 * Known are UTF-8, UTF-16, and those with one octet a character: ISO-8859-1 to -16, Windows-1250 to -1258 and -874,
 * KOI8-R and -U, code pages 437, 850, 852, 855, 857, 858 and 866, Macintosh' Roman and Cyrillic.  ISO-8859-1 is read
 * as Windows-1252, which it is where it differs.  Every other name, and none, is read as UTF-8, and so is US-ASCII:
 * of what is not known (ISO-2022-JP, Shift_JIS, EUC, GB2312, Big5) only the ASCII comes out right.
 */
#ifndef TEXT_CHARSET_H
#define TEXT_CHARSET_H

#include "base/span.h"

enum { CHARSET_CHARS_MAX = 2 }; /* that one octet brings */

enum charset_kind { CHARSET_UTF8, CHARSET_TABLE, CHARSET_UTF16, CHARSET_UTF16LE };

struct charset {
    enum charset_kind kind;
    const uint16_t *upper; /* CHARSET_TABLE: what its octets from 128 on are */
};

struct charset_reader {
    struct charset charset;
    bool begun;      /* UTF-16: a mark of its order of octets can come no more */
    uint8_t n, left; /* octets of the character that were seen, and are to come */
    uint32_t value;  /* of them */
    uint32_t lead;   /* UTF-16: the first of two units; 0: there is none */
};

/* By its name, in any case and with any punctuation. */
struct charset mailsrv__charset(struct span name);

static inline bool mailsrv__charset_equal(struct charset a, struct charset b)
{
    return a.kind == b.kind && a.upper == b.upper;
}

static inline void mailsrv__charset_begin(struct charset_reader *r, struct charset charset)
{
    *r = (struct charset_reader){ .charset = charset };
}

/* Is an octet below 128, if it comes next, the character of that number, and known with it? */
static inline bool mailsrv__charset_is_ascii(const struct charset_reader *r)
{
    return r->charset.kind <= CHARSET_TABLE && r->left == 0;
}

/* The characters that are known with this octet: how many.  What is none is U+FFFD. */
unsigned mailsrv__charset_take(struct charset_reader *r, uint8_t octet, uint32_t out[CHARSET_CHARS_MAX]);

/* The text has ended, perhaps within a character. */
unsigned mailsrv__charset_end(struct charset_reader *r, uint32_t out[CHARSET_CHARS_MAX]);

#endif
