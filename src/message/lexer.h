/* Tokens of structured header fields (RFC 5322 section 3.2, RFC 2045 section 5.1).
 *
 * A field is read as it may come: what is broken is taken as far as it makes sense, and nothing is read behind its end.
 * The text is unfolded or not; line ends count as blanks.
 */
#ifndef MESSAGE_LEXER_H
#define MESSAGE_LEXER_H

#include "text/writer.h"

struct lexer {
    struct span rest;
    struct span comment; /* the last one that was skipped, without its parentheses; empty: none */
};

static inline bool mailsrv__lex_is(const struct lexer *lx, char c)
{
    return lx->rest.n != 0 && lx->rest.p[0] == c;
}

static inline void mailsrv__lex_skip(struct lexer *lx, size_t n)
{
    lx->rest = mailsrv__span_after(lx->rest, n);
}

/* [CFWS]: blanks, line ends and comments.  A comment without end takes all there is. */
void mailsrv__lex_blanks(struct lexer *lx);

/* A quoted string, at its quotation mark, as it was meant: without quotes, backslashes and line ends.  False: it has no
 * end; then it takes all there is. */
bool mailsrv__lex_quoted(struct lexer *lx, struct writer *out);

/* 1*atext, and dots where `dots`: octets above 127 are atext (RFC 6532 section 3.2).  Empty: there is none. */
struct span mailsrv__lex_atom(struct lexer *lx, bool dots);

/* A token of MIME (RFC 2045 section 5.1).  Empty: there is none. */
struct span mailsrv__lex_token(struct lexer *lx);

#endif
