#include "frame/stuff.h"

void mailsrv__stuff_init(struct stuff *stuff)
{
    *stuff = (struct stuff){ .last = '\n', .crlf = true };
}

/* RFC 1939 section 3 and RFC 5321 section 4.5.2 double a dot that begins a line, and only CRLF ends a line.  A stored
 * message may hold a CR or LF that stands alone (BARE_LINE_ENDS, an import), and many readers take one for a line's
 * end: were the dot behind it left single, "\n.\r\n" would end the response for them in the middle of the message, and
 * the sender of the message would write the server's next responses.  So a dot is doubled behind any CR or LF.  A
 * strict reader then finds one dot more in a message that no mail may hold (RFC 5322 section 2.3); nobody is led
 * astray. */
static bool ends_line(char c)
{
    return c == '\r' || c == '\n';
}

/* How far it is to the next dot that needs another one, from the second octet on. */
static size_t find_cut(struct span in)
{
    for (size_t i = 1; i < in.n; i++) {
        const char *dot = memchr(in.p + i, '.', in.n - i);
        if (dot == NULL)
            return in.n;
        i = (size_t)(dot - in.p);
        if (ends_line(in.p[i - 1]))
            return i;
    }
    return in.n;
}

bool mailsrv__stuff_take(struct stuff *s, struct span *in, struct stuffed *part)
{
    if (in->n == 0)
        return false;
    size_t n = find_cut(*in);
    part->dot = in->p[0] == '.' && ends_line(s->last);
    part->octets = mailsrv__span_first(*in, n);
    char before = n > 1 ? in->p[n - 2] : s->last;
    s->last = in->p[n - 1];
    s->crlf = before == '\r' && s->last == '\n';
    *in = mailsrv__span_after(*in, n);
    return true;
}

struct span mailsrv__stuff_end(const struct stuff *s)
{
    return s->crlf ? SPAN(".\r\n") : SPAN("\r\n.\r\n");
}

enum { LINE_EMPTY, LINE_CR, LINE_TEXT };

void mailsrv__top_init(struct top *top, uint64_t lines)
{
    *top = (struct top){ .lines = lines, .line = LINE_EMPTY };
}

/* What a line holds after `octets` of it, none of which is its LF. */
static uint8_t line_after(uint8_t before, struct span octets)
{
    if (octets.n == 0)
        return before;
    return before == LINE_EMPTY && octets.n == 1 && octets.p[0] == '\r' ? LINE_CR : LINE_TEXT;
}

static void end_line(struct top *top)
{
    if (top->in_body)
        top->lines--;
    else
        top->in_body = top->line != LINE_TEXT;
    top->line = LINE_EMPTY;
}

/* Lines are counted at any LF: a message that was stored without CRs has a header, too. */
size_t mailsrv__top_take(struct top *top, struct span in)
{
    size_t taken = 0;
    while (taken < in.n && !mailsrv__top_done(top)) {
        struct span rest = mailsrv__span_after(in, taken);
        const char *lf = memchr(rest.p, '\n', rest.n);
        size_t n = lf == NULL ? rest.n : (size_t)(lf - rest.p);
        top->line = line_after(top->line, mailsrv__span_first(rest, n));
        taken += n;
        if (lf == NULL)
            break;
        end_line(top);
        taken++;
    }
    return taken;
}
