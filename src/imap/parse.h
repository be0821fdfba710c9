/* The grammar of commands (RFC 9051 section 9), over a command that is whole (frame/literal.h): one function for each
 * production, named after it.
 *
 * Each returns false when the text is none, and says in `expected` what was.  Text that is taken stays where it is,
 * unless it had to be written anew (a quoted string with a backslash, a mailbox name): then it is in the arena.
 */
#ifndef IMAP_PARSE_H
#define IMAP_PARSE_H

#include "base/arena.h"

#include <mailsrv/op.h>

struct reader {
    struct span rest;     /* what has not been read yet, the last CRLF included */
    const char *streamed; /* where the octets of the streamed literal would stand; NULL: there is none */
    struct arena *arena;
    const char *expected; /* of what failed: English, static */
    bool no_memory;       /* it failed for want of that */
    bool incomplete;      /* it failed for want of a literal's octets, which stand at the end */
    bool no_name;         /* nothing failed, but a mailbox was named that there cannot be */
    bool too_many;        /* it failed because there are more than is kept */
};

/* For a parse function of a command: it is bad, and this was expected. */
bool mailsrv__parse_fails(struct reader *r, const char *expected);

/* ---- Characters ---- */
bool mailsrv__parse_char(struct reader *r, char c);     /* just that one */
bool mailsrv__parse_sp(struct reader *r);               /* one space */
bool mailsrv__parse_end(struct reader *r);              /* CRLF, and nothing behind it */
bool mailsrv__parse_is(const struct reader *r, char c); /* is it the next one?  Takes nothing */

/* Takes `word` (in upper case; letters compare without case) if it stands here and no further letter, digit, "." or
 * "-" follows.  False without an error: it does not. */
bool mailsrv__parse_word(struct reader *r, struct span word);

/* ---- Words and strings ---- */
bool mailsrv__parse_tag(struct reader *r, struct span *out);
bool mailsrv__parse_atom(struct reader *r, struct span *out);
bool mailsrv__parse_astring(struct reader *r, struct span *out);
bool mailsrv__parse_string(struct reader *r, struct span *out);
bool mailsrv__parse_list_mailbox(struct reader *r, struct span *out); /* the pattern of LIST, as it was sent */

/* mailbox: in UTF-8, out of modified UTF-7; "INBOX", also as the first level, in upper case.  Empty, with `no_name`: no
 * mailbox can have that name, which is no error of grammar. */
bool mailsrv__parse_mailbox(struct reader *r, struct span *out);

/* The same, of a mailbox to be made: with "/" behind it the client says that others will lie below it, which all may
 * have (RFC 3501 section 6.3.3). */
bool mailsrv__parse_new_mailbox(struct reader *r, struct span *out);

/* Does a literal stand here whose octets are not with the command: one that is only announced, or streamed?  Takes
 * nothing. */
bool mailsrv__parse_at_body(const struct reader *r);

/* Takes it: its announcement, which says how many octets there are. */
bool mailsrv__parse_body(struct reader *r, uint64_t *octets);

/* ---- Numbers ---- */
bool mailsrv__parse_number(struct reader *r, uint32_t *out);
bool mailsrv__parse_nz_number(struct reader *r, uint32_t *out);
bool mailsrv__parse_number64(struct reader *r, uint64_t *out);

/* sequence-set: runs that ascend, do not overlap and do not touch.  "*" is `star`: the highest number there is, or
 * UID; with 0 what has a "*" in it is left out.  At most SET_RUNS_MAX ranges. */
enum { SET_RUNS_MAX = 8000 };
struct set {
    mailsrv_run *runs;
    uint32_t n;
};
bool mailsrv__parse_sequence_set(struct reader *r, uint32_t star, struct set *out);

/* ---- Dates ---- */
bool mailsrv__parse_date_time(struct reader *r, int64_t *unix_us); /* with its quotes */
bool mailsrv__parse_date(struct reader *r, int32_t *days);         /* days since 1970, with or without quotes */

/* ---- Flags ---- */
enum { FLAG_KEYWORDS_MAX = MAILSRV_KEYWORDS_MAX };
struct flags {
    uint32_t flags;          /* MAILSRV_FLAG_... */
    mailsrv_bytes *keywords; /* each once */
    uint32_t n_keywords;
};
bool mailsrv__parse_flag_list(struct reader *r, struct flags *out); /* in parentheses */
bool mailsrv__parse_flags(struct reader *r, struct flags *out);     /* STORE: in parentheses, or one or more without */

#endif
