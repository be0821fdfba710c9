/* The response of SEARCH, as it is found: a result of a million takes no memory. */
#include "imap/search.h"

static bool begin_line(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    if (s->begun)
        return true;
    if (s->returns == 0) {
        mailsrv__write(&line, SPAN("* SEARCH"));
    } else {
        mailsrv__write(&line, SPAN("* ESEARCH (TAG \""));
        mailsrv__write(&line, p->command.tag);
        mailsrv__write(&line, p->command.by_uid ? SPAN("\") UID") : SPAN("\")"));
    }
    s->begun = p->session.mid_reply = mailsrv__say(&p->session, mailsrv__written(&line));
    return s->begun;
}

/* What stands in the response's sequence set is said when it is known where a run of it ends. */
static bool say_run(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    char room[32];
    struct writer w = { .p = room, .room = sizeof room };
    if (s->run.first == 0)
        return true;
    mailsrv__write(&w, s->said_run ? SPAN(",") : SPAN(" ALL "));
    mailsrv__imap_write_run(&w, s->run);
    s->said_run = true;
    s->run.first = 0;
    return begin_line(p) && mailsrv__say(&p->session, mailsrv__written(&w));
}

static bool keep_hit(struct imap *p, uint32_t number)
{
    struct search *s = mailsrv__search_of(p);
    if ((s->returns & RETURN_ALL) == 0)
        return true;
    if (s->run.first != 0 && s->run.last == number - 1) {
        s->run.last = number;
        return true;
    }
    bool said = say_run(p);
    s->run = (mailsrv_run){ number, number };
    return said;
}

static bool say_number(struct imap *p, struct span name, uint64_t number)
{
    char room[48];
    struct writer w = { .p = room, .room = sizeof room };
    mailsrv__write_char(&w, ' ');
    mailsrv__write(&w, name);
    mailsrv__write_u64(&w, number);
    return begin_line(p) && mailsrv__say(&p->session, mailsrv__written(&w));
}

bool mailsrv__search_say_hit(struct imap *p, const struct candidate *c)
{
    struct search *s = mailsrv__search_of(p);
    uint32_t number = p->command.by_uid ? c->member.uid : c->member.number;
    if (s->found++ == 0) {
        s->first = number;
        s->first_modseq = c->marks.modseq;
    }
    s->last = number;
    s->last_modseq = c->marks.modseq;
    if (s->highest < c->marks.modseq)
        s->highest = c->marks.modseq;
    if (s->returns == RETURN_MIN) { /* the first one is all */
        s->ended = true;
        s->n = s->now + 1;
    }
    return s->returns == 0 ? say_number(p, (struct span){ "", 0 }, number) : keep_hit(p, number);
}

/* RFC 4731 section 3.2: of the messages that the result names. */
static uint64_t modseq_of(const struct search *s)
{
    if ((s->returns & (RETURN_ALL | RETURN_COUNT)) != 0)
        return s->highest;
    uint64_t first = (s->returns & RETURN_MIN) != 0 ? s->first_modseq : 0;
    uint64_t last = (s->returns & RETURN_MAX) != 0 ? s->last_modseq : 0;
    return first < last ? last : first;
}

/* Without a message there is neither MIN, MAX, ALL nor MODSEQ (section 3.1). */
static bool say_returns(struct imap *p)
{
    struct search *s = mailsrv__search_of(p);
    return say_run(p) &&
           ((s->returns & RETURN_MIN) == 0 || s->found == 0 || say_number(p, SPAN("MIN "), s->first)) &&
           ((s->returns & RETURN_MAX) == 0 || s->found == 0 || say_number(p, SPAN("MAX "), s->last)) &&
           ((s->returns & RETURN_COUNT) == 0 || say_number(p, SPAN("COUNT "), s->found)) &&
           (!s->program.modseq || s->found == 0 || say_number(p, SPAN("MODSEQ "), modseq_of(s)));
}

/* search-sort-mod-seq (RFC 7162 section 3.1.5) */
static bool say_modseq(struct imap *p)
{
    const struct search *s = mailsrv__search_of(p);
    if (!s->program.modseq || s->found == 0)
        return true;
    return say_number(p, SPAN("(MODSEQ "), s->highest) && mailsrv__say(&p->session, SPAN(")"));
}

static bool end_line(struct imap *p)
{
    const struct search *s = mailsrv__search_of(p);
    bool whole = s->failure.status != MAILSRV_OK || (s->returns == 0 ? say_modseq(p) : say_returns(p));
    bool said = whole && mailsrv__say(&p->session, SPAN("\r\n"));
    p->session.mid_reply = !said;
    return said;
}

bool mailsrv__search_say_end(struct imap *p)
{
    const struct search *s = mailsrv__search_of(p);
    if (s->failure.status == MAILSRV_OK && !begin_line(p))
        return false;
    return !s->begun || end_line(p);
}
