#include "smtp/client_reply.h"

enum { CODE_OCTETS = 3 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "." 1*3digit */
static size_t dotted_number(struct span text)
{
    size_t n = 1;
    if (text.n == 0 || text.p[0] != '.')
        return 0;
    while (n < text.n && n < 4 && is_digit(text.p[n]))
        n++;
    return n == 1 ? 0 : n;
}

/* status-code = class "." subject "." detail   RFC 3463 section 2 */
size_t mailsrv__enhanced_octets(struct span text)
{
    if (text.n == 0 || memchr("245", text.p[0], 3) == NULL)
        return 0;
    size_t subject = dotted_number(mailsrv__span_after(text, 1));
    size_t detail = subject == 0 ? 0 : dotted_number(mailsrv__span_after(text, 1 + subject));
    size_t all = 1 + subject + detail;
    if (detail == 0)
        return 0;
    if (all == text.n)
        return all;
    return text.p[all] == ' ' ? all + 1 : 0;
}

/* Reply-code = %x32-35 %x30-35 %x30-39   RFC 5321 section 4.2; a second digit above 5 says no less.
 * 0: it is none. */
static uint16_t read_code(struct span line)
{
    if (line.n < CODE_OCTETS || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]))
        return 0;
    return (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
}

/* Text for a log and a notice: what cannot be printed is not passed on. */
static void keep(struct reply_reader *r, struct span text)
{
    for (size_t i = 0; i < text.n && r->n < r->room; i++) {
        char c = text.p[i] == '\t' ? ' ' : text.p[i];
        r->text[r->n++] = c < ' ' || c > '~' ? '?' : c;
    }
}

/* RFC 2034 section 4: each line begins with the same enhanced code; it is kept once. */
static struct span without_code(const struct reply_reader *r, struct span text)
{
    size_t n = mailsrv__enhanced_octets(text);
    bool again = r->lines != 0 && n != 0 && n == r->enhanced && memcmp(text.p, r->text, n) == 0;
    return again ? mailsrv__span_after(text, n) : text;
}

static void add_text(struct reply_reader *r, struct span text)
{
    if (r->text == NULL)
        return;
    text = without_code(r, text);
    if (r->n != 0 && text.n != 0)
        keep(r, SPAN(" "));
    keep(r, text);
    if (r->lines == 0)
        r->enhanced = (uint16_t)mailsrv__enhanced_octets((struct span){ r->text, r->n });
}

enum reply_line mailsrv__reply_read(struct reply_reader *r, struct span line, struct span *rest)
{
    uint16_t code = read_code(line);
    char mark = line.n > CODE_OCTETS ? line.p[CODE_OCTETS] : ' '; /* RFC 5321 section 4.2: "250" alone is a reply */
    bool is_same = r->lines == 0 || code == r->code; /* section 4.2.1: MUST be the same in all lines */
    if (code == 0 || !is_same || (mark != ' ' && mark != '-') || r->lines == REPLY_LINES_MAX)
        return REPLY_BAD;
    *rest = mailsrv__span_after(line, CODE_OCTETS + 1);
    r->code = code;
    add_text(r, *rest);
    r->lines++;
    return mark == '-' ? REPLY_MORE : REPLY_WHOLE;
}
