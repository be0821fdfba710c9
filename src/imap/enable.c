/* ENABLE (RFC 5161), and what a session has turned on by it or by using CONDSTORE (RFC 7162 section 3.1). */
#include "imap/imap.h"

enum { CAN_CONDSTORE = 1 << 0, CAN_QRESYNC = 1 << 1 };

struct enable {
    unsigned named; /* CAN_... */
};

/* What is not known, or cannot be enabled, is passed over (RFC 5161 section 3.1). */
static unsigned meaning(const struct imap *p, struct span name)
{
    if (mailsrv__span_equal_nocase(name, SPAN("CONDSTORE")) && mailsrv__enabled(&p->session, MAILSRV_EXT_CONDSTORE))
        return CAN_CONDSTORE;
    return mailsrv__span_equal_nocase(name, SPAN("QRESYNC")) && mailsrv__imap_has_qresync(p) ? CAN_QRESYNC : 0;
}

/* enable = "ENABLE" 1*(SP capability) */
bool mailsrv__imap_parse_enable(struct imap *p, struct reader *r)
{
    struct enable *e = mailsrv__imap_own(p, r, sizeof *e);
    struct span name;
    if (e == NULL)
        return false;
    do {
        if (!mailsrv__parse_sp(r) || !mailsrv__parse_atom(r, &name))
            return false;
        e->named |= meaning(p, name);
    } while (mailsrv__parse_is(r, ' '));
    return true;
}

/* Those that this command turns on (RFC 5161 section 3.2). */
static bool say_enabled(struct imap *p, unsigned named)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, SPAN("* ENABLED"));
    if ((named & CAN_CONDSTORE) != 0 && !p->condstore)
        mailsrv__write(&line, SPAN(" CONDSTORE"));
    if ((named & CAN_QRESYNC) != 0 && !p->qresync)
        mailsrv__write(&line, SPAN(" QRESYNC"));
    return mailsrv__imap_say(p, &line);
}

enum step mailsrv__imap_enable(struct imap *p)
{
    const struct enable *e = p->command.own;
    if (!say_enabled(p, e->named))
        return STEP_CLOSE;
    p->qresync = p->qresync || (e->named & CAN_QRESYNC) != 0;
    p->view.qresync = p->qresync;
    if (e->named != 0 && !mailsrv__imap_use_condstore(p)) /* QRESYNC turns on both (RFC 7162 section 3.2.3) */
        return STEP_CLOSE;
    return mailsrv__imap_ok(p, SPAN("enabled, as far as it is known"));
}

/* ---- */

bool mailsrv__imap_say_highest(struct imap *p)
{
    if (!p->modseqs)
        return mailsrv__say(&p->session, SPAN("* OK [NOMODSEQ] this mailbox has no mod-sequences\r\n"));
    return mailsrv__imap_say_code(p, SPAN("HIGHESTMODSEQ"), mailsrv__view_highest(&p->view));
}

bool mailsrv__imap_use_condstore(struct imap *p)
{
    if (p->condstore)
        return true;
    p->condstore = true;
    if (!mailsrv__imap_is_selected(p))
        return true;
    p->view.condstore = p->modseqs;
    return mailsrv__imap_say_highest(p);
}

enum step mailsrv__imap_no_modseqs(struct imap *p)
{
    return mailsrv__imap_bad(p, SPAN("this mailbox has no mod-sequences"));
}

bool mailsrv__parse_modseq(struct reader *r, uint64_t *out)
{
    return mailsrv__parse_number64(r, out) && (*out != 0 || mailsrv__parse_fails(r, "a mod-sequence above 0"));
}
