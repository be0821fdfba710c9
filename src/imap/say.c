/* Strings, flags and sets, on their way out. */
#include "imap/imap.h"

#include "text/mutf7.h"

bool mailsrv__imap_say(struct imap *p, struct writer *line)
{
    line->room += 2;
    mailsrv__write(line, SPAN("\r\n"));
    return mailsrv__say(&p->session, mailsrv__written(line));
}

/* ---- Strings ---- */

enum { QUOTED_MAX = 512 }; /* what is longer goes out as a literal */

/* QUOTED-CHAR of IMAP4rev1 is 7 bit; no CR, LF, NUL.  Other controls go out as a literal, too: there are clients that
 * stumble over them. */
static bool can_be_quoted(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    return s.n <= QUOTED_MAX;
}

static void write_quoted(struct writer *w, struct span s)
{
    mailsrv__write_char(w, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            mailsrv__write_char(w, '\\');
        mailsrv__write_char(w, s.p[i]);
    }
    mailsrv__write_char(w, '"');
}

static bool say_literal(struct imap *p, struct span s)
{
    char room[32];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_char(&w, '{');
    mailsrv__write_u64(&w, s.n);
    mailsrv__write(&w, SPAN("}\r\n"));
    return mailsrv__say(&p->session, mailsrv__written(&w)) && mailsrv__say(&p->session, s);
}

bool mailsrv__imap_say_string(struct imap *p, struct span s)
{
    char room[2 * QUOTED_MAX + 2];
    struct writer w = { .p = room, .room = sizeof room };
    if (!can_be_quoted(s))
        return say_literal(p, s);
    write_quoted(&w, s);
    return mailsrv__say(&p->session, mailsrv__written(&w));
}

/* Names are always quoted: there are clients that take an atom for something else ("NIL"). */
void mailsrv__imap_write_mailbox(struct writer *w, struct span name)
{
    char room[MUTF7_GROWTH * MAILSRV_MBOX_NAME_MAX];
    struct writer wire = { .p = room, .room = sizeof room };
    mailsrv__mutf7_write(&wire, name);
    write_quoted(w, mailsrv__written(&wire));
}

/* ---- Flags ---- */

/* In the order of their bits. */
static const struct span system_flags[] = {
    { "\\Seen", 5 }, { "\\Answered", 9 }, { "\\Flagged", 8 }, { "\\Deleted", 8 }, { "\\Draft", 6 },
};

enum { SYSTEM_FLAGS = sizeof system_flags / sizeof *system_flags };

/* A list that is being said: its opening parenthesis, or a space, comes before each. */
static bool say_next(struct imap *p, bool *first, struct span text)
{
    bool said = mailsrv__say(&p->session, *first ? SPAN("(") : SPAN(" ")) && mailsrv__say(&p->session, text);
    *first = false;
    return said;
}

static bool say_system_flags(struct imap *p, uint32_t flags, bool *first)
{
    for (unsigned i = 0; i < SYSTEM_FLAGS; i++)
        if ((flags >> i & 1) != 0 && !say_next(p, first, system_flags[i]))
            return false;
    return true;
}

static bool say_keywords(struct imap *p, const uint64_t bits[2], bool *first)
{
    const struct view *view = &p->view;
    for (uint32_t i = 0; i < mailsrv__view_names(view); i++)
        if ((bits[i / 64] >> (i % 64) & 1) != 0 && !say_next(p, first, mailsrv__span(mailsrv__view_name(view, i))))
            return false;
    return true;
}

static bool say_end(struct imap *p, bool first)
{
    return mailsrv__say(&p->session, first ? SPAN("()") : SPAN(")"));
}

bool mailsrv__imap_say_flags(struct imap *p, const struct marks *marks, uint32_t uid)
{
    bool first = true;
    return say_system_flags(p, marks->flags, &first) && say_keywords(p, marks->keywords, &first) &&
           (!mailsrv__imap_is_recent(p, uid) || say_next(p, &first, SPAN("\\Recent"))) && say_end(p, first);
}

static const uint64_t all_keywords[2] = { UINT64_MAX, UINT64_MAX };

/* All flags that the mailbox has. */
static bool say_all_flags(struct imap *p, bool *first)
{
    return say_system_flags(p, UINT32_MAX, first) && say_keywords(p, all_keywords, first);
}

/* RFC 4314 section 5.1.1: what the account may change. */
static uint32_t permanent_flags(uint32_t rights)
{
    uint32_t flags = 0;
    if ((rights & MAILSRV_RIGHT_SEEN) != 0)
        flags |= MAILSRV_FLAG_SEEN;
    if ((rights & MAILSRV_RIGHT_DELETE) != 0)
        flags |= MAILSRV_FLAG_DELETED;
    if ((rights & MAILSRV_RIGHT_WRITE) != 0)
        flags |= MAILSRV_FLAG_ANSWERED | MAILSRV_FLAG_FLAGGED | MAILSRV_FLAG_DRAFT;
    return flags;
}

/* RFC 9051 section 7.1: "\*" says that new keywords can be made. */
static bool say_permanent(struct imap *p, bool *first)
{
    if (!p->can_write)
        return true;
    bool labels = (p->rights & MAILSRV_RIGHT_WRITE) != 0;
    bool new_ones = labels && p->keywords && mailsrv__view_names(&p->view) < MAILSRV_KEYWORDS_MAX;
    return say_system_flags(p, permanent_flags(p->rights), first) &&
           (!labels || say_keywords(p, all_keywords, first)) && (!new_ones || say_next(p, first, SPAN("\\*")));
}

bool mailsrv__imap_say_names(struct imap *p)
{
    bool first = true, permanent = true;
    return mailsrv__say(&p->session, SPAN("* FLAGS ")) && say_all_flags(p, &first) && say_end(p, first) &&
           mailsrv__say(&p->session, SPAN("\r\n* OK [PERMANENTFLAGS ")) && say_permanent(p, &permanent) &&
           say_end(p, permanent) && mailsrv__say(&p->session, SPAN("] flags that stay\r\n"));
}

/* ---- Numbers ---- */

bool mailsrv__imap_say_number(struct imap *p, uint64_t number, struct span what)
{
    char room[64];
    struct writer line = { .p = room, .room = sizeof room - 2 };
    mailsrv__write(&line, SPAN("* "));
    mailsrv__write_u64(&line, number);
    mailsrv__write(&line, what);
    return mailsrv__imap_say(p, &line);
}

bool mailsrv__imap_say_code(struct imap *p, struct span code, uint64_t number)
{
    char room[64];
    struct writer line = { .p = room, .room = sizeof room - 2 };
    mailsrv__write(&line, SPAN("* OK ["));
    mailsrv__write(&line, code);
    mailsrv__write_char(&line, ' ');
    mailsrv__write_u64(&line, number);
    mailsrv__write(&line, SPAN("] so it is"));
    return mailsrv__imap_say(p, &line);
}

void mailsrv__imap_write_modseq(struct writer *w, uint64_t modseq)
{
    mailsrv__write(w, SPAN("MODSEQ ("));
    mailsrv__write_u64(w, modseq);
    mailsrv__write_char(w, ')');
}

/* Messages above the mark: those of the image, and those that have gone without having been told. */
bool mailsrv__imap_say_recent(struct imap *p)
{
    const struct view *view = &p->view;
    uint32_t mark = p->recent < view->max_uid ? p->recent : view->max_uid;
    uint32_t before = mailsrv__runs_rank(&view->image->uids, mark) + mailsrv__runs_rank(&view->gone, mark);
    return mailsrv__imap_say_number(p, mailsrv__view_exists(view) - before, SPAN(" RECENT"));
}

void mailsrv__imap_write_run(struct writer *w, mailsrv_run run)
{
    mailsrv__write_u64(w, run.first);
    if (run.last == run.first)
        return;
    mailsrv__write_char(w, ':');
    mailsrv__write_u64(w, run.last);
}
