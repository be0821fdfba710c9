/* Strings, flags and sets, on their way out. */
#include "imap/imap.h"

#include "text/mutf7.h"

bool mailsrv__imap_say(struct imap *p, struct writer *line)
{
    line->room += 2;
    mailsrv__write(line, SPAN("\r\n"));
    return mailsrv__say(&p->session, mailsrv__written(line));
}

/* ---- Names of mailboxes ---- */

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

/* A list that is being written: its opening parenthesis, or a space, comes before each. */
struct flag_list {
    struct pen *pen;
    bool first;
};

static bool write_next(struct flag_list *list, struct span text)
{
    bool written = mailsrv__pen_write(list->pen, list->first ? SPAN("(") : SPAN(" ")) &&
                   mailsrv__pen_write(list->pen, text);
    list->first = false;
    return written;
}

static bool write_system_flags(struct flag_list *list, uint32_t flags)
{
    for (unsigned i = 0; i < SYSTEM_FLAGS; i++)
        if ((flags >> i & 1) != 0 && !write_next(list, system_flags[i]))
            return false;
    return true;
}

static bool write_keywords(struct imap *p, struct flag_list *list, const uint64_t bits[2])
{
    const struct view *view = &p->view;
    if ((bits[0] | bits[1]) == 0)
        return true;
    for (uint32_t i = 0; i < mailsrv__view_names(view); i++)
        if ((bits[i / 64] >> (i % 64) & 1) != 0 && !write_next(list, mailsrv__span(mailsrv__view_name(view, i))))
            return false;
    return true;
}

static bool write_end(struct flag_list *list)
{
    return mailsrv__pen_write(list->pen, list->first ? SPAN("()") : SPAN(")"));
}

bool mailsrv__imap_write_flags(struct imap *p, struct pen *pen, const struct marks *marks, uint32_t uid)
{
    struct flag_list list = { pen, true };
    return write_system_flags(&list, marks->flags) && write_keywords(p, &list, marks->keywords) &&
           (!mailsrv__imap_is_recent(p, uid) || write_next(&list, SPAN("\\Recent"))) && write_end(&list);
}

enum { FLAGS_ROOM = 512 };

bool mailsrv__imap_say_flags(struct imap *p, const struct marks *marks, uint32_t uid)
{
    char room[FLAGS_ROOM];
    struct pen pen = mailsrv__pen(&p->session, room, sizeof room);
    return mailsrv__imap_write_flags(p, &pen, marks, uid) && mailsrv__pen_flush(&pen);
}

static const uint64_t all_keywords[2] = { UINT64_MAX, UINT64_MAX };

/* All flags that the mailbox has. */
static bool write_all_flags(struct imap *p, struct pen *pen)
{
    struct flag_list list = { pen, true };
    return write_system_flags(&list, UINT32_MAX) && write_keywords(p, &list, all_keywords) && write_end(&list);
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
static bool write_permanent(struct imap *p, struct flag_list *list)
{
    if (!p->can_write)
        return true;
    bool labels = (p->rights & MAILSRV_RIGHT_WRITE) != 0;
    bool new_ones = labels && p->keywords && mailsrv__view_names(&p->view) < MAILSRV_KEYWORDS_MAX;
    return write_system_flags(list, permanent_flags(p->rights)) &&
           (!labels || write_keywords(p, list, all_keywords)) && (!new_ones || write_next(list, SPAN("\\*")));
}

bool mailsrv__imap_say_names(struct imap *p)
{
    char room[FLAGS_ROOM];
    struct pen pen = mailsrv__pen(&p->session, room, sizeof room);
    struct flag_list permanent = { &pen, true };
    return mailsrv__pen_write(&pen, SPAN("* FLAGS ")) && write_all_flags(p, &pen) &&
           mailsrv__pen_write(&pen, SPAN("\r\n* OK [PERMANENTFLAGS ")) && write_permanent(p, &permanent) &&
           write_end(&permanent) && mailsrv__pen_write(&pen, SPAN("] flags that stay\r\n")) &&
           mailsrv__pen_flush(&pen);
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
