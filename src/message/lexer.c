#include "message/lexer.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* comment = "(" *([FWS] ccontent) [FWS] ")"   They nest, and are counted, not recursed into. */
static void skip_comment(struct lexer *lx)
{
    struct span text = lx->rest;
    size_t level = 0, i = 0;
    for (; i < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (text.p[i] == '(')
            level++;
        else if (text.p[i] == ')' && --level == 0)
            break;
    }
    size_t end = i < text.n ? i : text.n;
    lx->comment = (struct span){ text.p + 1, end - 1 };
    mailsrv__lex_skip(lx, end + 1);
}

void mailsrv__lex_blanks(struct lexer *lx)
{
    while (lx->rest.n != 0) {
        if (is_blank(lx->rest.p[0]))
            mailsrv__lex_skip(lx, 1);
        else if (lx->rest.p[0] == '(')
            skip_comment(lx);
        else
            return;
    }
}

static bool ends_line(struct span text, size_t i)
{
    return text.p[i] == '\n' || (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n');
}

bool mailsrv__lex_quoted(struct lexer *lx, struct writer *out)
{
    struct span text = lx->rest;
    size_t plain = 1; /* from there on it is written as it stands */
    for (size_t i = 1; i < text.n; i++) {
        char c = text.p[i];
        if (c != '"' && c != '\\' && c != '\r' && c != '\n')
            continue;
        mailsrv__write(out, (struct span){ text.p + plain, i - plain });
        if (c == '"') {
            mailsrv__lex_skip(lx, i + 1);
            return true;
        }
        if (c == '\\' && i + 1 < text.n)
            c = text.p[++i];
        if (!ends_line(text, i))
            mailsrv__write_char(out, c);
        plain = i + 1;
    }
    mailsrv__write(out, mailsrv__span_after(text, plain));
    mailsrv__lex_skip(lx, text.n);
    return false;
}

/* atext, and what MIME takes out of it. */
enum { ATEXT = 1, TOKEN = 2 };

/* Of each ASCII character; the others are both.  What is visible is atext but for ()<>@,;:\"[] and the dot, and of a
 * token but for those without the dot, and /?= */
static const uint8_t kinds[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 3, 0, 3, 3, 3, 3, 3, 0, 0, 3, 3, 0, 3, 2, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 1, 0, 1,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0,
};

static unsigned kind_of(char c)
{
    uint8_t u = (uint8_t)c;
    return u >= 0x80 ? ATEXT | TOKEN : kinds[u];
}

struct span mailsrv__lex_atom(struct lexer *lx, bool dots)
{
    size_t n = 0;
    while (n < lx->rest.n && ((kind_of(lx->rest.p[n]) & ATEXT) != 0 || (dots && lx->rest.p[n] == '.')))
        n++;
    struct span atom = mailsrv__span_first(lx->rest, n);
    mailsrv__lex_skip(lx, n);
    return atom;
}

struct span mailsrv__lex_token(struct lexer *lx)
{
    size_t n = 0;
    while (n < lx->rest.n && (kind_of(lx->rest.p[n]) & TOKEN) != 0)
        n++;
    struct span token = mailsrv__span_first(lx->rest, n);
    mailsrv__lex_skip(lx, n);
    return token;
}
