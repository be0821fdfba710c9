/* STATUS (RFC 3501 section 6.3.10, RFC 8438). */
#include "imap/status.h"

#include <mailsrv/store.h>

/* ---- Items ---- */

enum item { MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, OCTETS, HIGHESTMODSEQ, ITEMS };

static const struct {
    struct span name;
    int32_t extension; /* where that is off it is not known; 0: none */
} items[ITEMS] = {
    [MESSAGES] = { { "MESSAGES", 8 }, 0 },
    [RECENT] = { { "RECENT", 6 }, 0 },
    [UIDNEXT] = { { "UIDNEXT", 7 }, 0 },
    [UIDVALIDITY] = { { "UIDVALIDITY", 11 }, 0 },
    [UNSEEN] = { { "UNSEEN", 6 }, 0 },
    [OCTETS] = { { "SIZE", 4 }, MAILSRV_EXT_STATUS_SIZE },
    [HIGHESTMODSEQ] = { { "HIGHESTMODSEQ", 13 }, MAILSRV_EXT_CONDSTORE },
};

static bool parse_item(struct imap *p, struct reader *r, uint32_t *out)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        if ((items[i].extension != 0 && !mailsrv__enabled(&p->session, items[i].extension)) ||
            !mailsrv__parse_word(r, items[i].name))
            continue;
        *out |= UINT32_C(1) << i;
        return true;
    }
    return mailsrv__parse_fails(r, "an item of STATUS");
}

bool mailsrv__imap_parse_status_items(struct imap *p, struct reader *r, uint32_t *out)
{
    *out = 0;
    if (!mailsrv__parse_char(r, '('))
        return false;
    do {
        if (!parse_item(p, r, out))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')');
}

static bool wants(const struct statuses *s, enum item item)
{
    return (s->items >> item & 1) != 0;
}

/* RFC 7162 section 3.1.7: 0 where there are none.  Of the selected mailbox it is what has been told, as everywhere. */
static uint64_t highest(const struct imap *p, const mailsrv_mbox_status *found)
{
    if (mailsrv__imap_is_selected(p) && memcmp(&found->mailbox, &p->mailbox, sizeof p->mailbox) == 0)
        return p->modseqs ? mailsrv__view_highest(&p->view) : 0;
    return (found->features & MAILSRV_MBOX_NOMODSEQ) != 0 ? 0 : found->modseq;
}

static uint64_t value_of(const struct imap *p, const struct statuses *s, const mailsrv_mbox_status *found,
                         enum item item)
{
    switch (item) {
    case MESSAGES:
        return found->exists;
    case RECENT:
        return s->recent;
    case UIDNEXT:
        return found->uidnext;
    case UIDVALIDITY:
        return found->uidvalidity;
    case UNSEEN:
        return found->unseen;
    case HIGHESTMODSEQ:
        return highest(p, found);
    default:
        return found->octets;
    }
}

/* ---- One mailbox ---- */

static struct statuses *of(struct imap *p)
{
    return p->command.statuses;
}

static struct span next_name(const struct statuses *s, size_t at)
{
    const char *end = memchr(s->due.p + at, '\n', s->due.n - at);
    return (struct span){ s->due.p + at, (size_t)(end - (s->due.p + at)) };
}

/* status = "STATUS" SP mailbox SP "(" [status-att-list] ")" */
static bool say_status(struct imap *p, struct statuses *s, const mailsrv_mbox_status *found, struct span name)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    bool first = true;
    if (wants(s, HIGHESTMODSEQ) && !mailsrv__imap_use_condstore(p)) /* RFC 7162 section 3.1 */
        return false;
    mailsrv__write(&line, SPAN("* STATUS "));
    mailsrv__imap_write_mailbox(&line, name);
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (!wants(s, i))
            continue;
        mailsrv__write(&line, first ? SPAN(" (") : SPAN(" "));
        mailsrv__write(&line, items[i].name);
        mailsrv__write_char(&line, ' ');
        mailsrv__write_u64(&line, value_of(p, s, found, i));
        first = false;
    }
    mailsrv__write_char(&line, ')');
    return mailsrv__imap_say(p, &line);
}

static void fails(struct imap *p, struct statuses *s, int32_t status, struct span text)
{
    if (!s->failed)
        s->reply = mailsrv__imap_status_reply(p, status, text);
    s->failed = true;
}

static enum step ask_more(mailsrv_session *session);
static enum step show(mailsrv_session *session);

static enum step said(struct imap *p, struct statuses *s, bool tells)
{
    struct span name = next_name(s, s->at);
    const mailsrv_mbox_status *found = &s->found[s->shown++];
    s->at += name.n + 1;
    if (tells && !say_status(p, s, found, name))
        return STEP_CLOSE;
    s->recent = 0;
    mailsrv__spend(&p->session, 1);
    return mailsrv__window_open(&p->session) ? show(&p->session) : mailsrv__then_window(&p->session, show);
}

/* ---- RECENT: the messages above the mark.  It is no number of the store's, so they are counted. ---- */

enum { PAGE = 256, ROWS_A_UNIT = 16 };

static enum step ask_rows(mailsrv_session *session);

static enum step rows_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    const mailsrv_rows *page = answer->value;
    bool ok = answer->status == MAILSRV_OK;
    if (ok && page->more != 0 && (page->n != 0 || memcmp(&page->next, &s->cursor, sizeof s->cursor) != 0)) {
        s->recent += page->n;
        s->cursor = page->next;
        mailsrv__spend(session, page->n / ROWS_A_UNIT);
        return ask_rows(session);
    }
    if (ok)
        s->recent += page->n;
    else
        fails(p, s, answer->status, mailsrv__span(answer->text));
    mailsrv__handle_close(session, &s->mbox);
    p->command.n_handles = 0;
    return said(p, s, ok);
}

static enum step ask_rows(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    const mailsrv_mbox_status *found = &s->found[s->shown];
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_ROWS, sizeof(mailsrv_run));
    if (ask.op != NULL) {
        mailsrv_arg_rows *arg = ask.arg;
        mailsrv_run *run = mailsrv__ask_room(&ask, sizeof *run);
        *run = (mailsrv_run){ found->recent + 1, found->uidnext - 1 };
        arg->mbox = s->mbox.value;
        arg->uids = run;
        arg->n_uids = 1;
        arg->limit = PAGE;
        arg->cursor = s->cursor;
    }
    return mailsrv__then_answers(session, rows_answered);
}

static enum step opened(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK) {
        fails(p, s, answer->status, mailsrv__span(answer->text));
        return said(p, s, false);
    }
    const mailsrv_mbox_opened *value = answer->value;
    mailsrv__handle_take(session, 0, value->mbox, &s->mbox);
    p->command.handles = &s->mbox;
    p->command.n_handles = 1;
    s->cursor = (mailsrv_cursor){ { 0 } };
    return ask_rows(session);
}

/* To look only: the mark stays where it is. */
static enum step count_recent(struct imap *p, struct statuses *s)
{
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_OPEN, 0);
    if (ask.op != NULL) {
        mailsrv_arg_mbox_open *arg = ask.arg;
        arg->store = p->store.value;
        arg->mailbox = s->found[s->shown].mailbox;
    }
    return mailsrv__then_answers(&p->session, opened);
}

/* ---- All of them ---- */

static enum step show(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    if (s->shown == s->n_found)
        return ask_more(session);
    if (!mailsrv__may_go_on(session))
        return mailsrv__then_turn(session, show);
    const mailsrv_mbox_status *found = &s->found[s->shown];
    if (found->size == 0)
        return said(p, s, false);
    bool none = found->exists == 0 || found->recent + UINT64_C(1) >= found->uidnext;
    if (found->recent == 0)
        s->recent = found->exists;
    return !wants(s, RECENT) || none || found->recent == 0 ? said(p, s, true) : count_recent(p, s);
}

static enum step answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    for (uint32_t i = 0; i < s->n_found; i++) {
        const mailsrv_answer *answer = mailsrv__answer(session, i);
        s->found[i] = (mailsrv_mbox_status){ .size = 0 };
        if (answer->status == MAILSRV_OK) {
            s->found[i] = *(const mailsrv_mbox_status *)answer->value;
            s->found[i].size = sizeof s->found[i];
        } else {
            fails(p, s, answer->status, mailsrv__span(answer->text));
        }
    }
    return show(session);
}

static void ask_status(struct imap *p, struct span name)
{
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_STATUS, mailsrv__ask_octets(name.n));
    if (ask.op == NULL)
        return;
    mailsrv_arg_mbox_status *arg = ask.arg;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, name);
}

/* Some at a time, or the latency of a database adds up. */
static enum step ask_more(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct statuses *s = of(p);
    size_t at = s->at;
    s->shown = s->n_found = 0;
    for (; at < s->due.n && s->n_found < ASKED_MAX; s->n_found++) {
        struct span name = next_name(s, at);
        ask_status(p, name);
        at += name.n + 1;
    }
    if (s->n_found != 0)
        return mailsrv__then_answers(session, answered);
    s->due.n = s->at = 0;
    return s->then(session);
}

enum step mailsrv__imap_status_tell(struct imap *p, struct statuses *s, step_fn *then)
{
    p->command.statuses = s;
    s->then = then;
    return ask_more(&p->session);
}

/* ---- The command ---- */

struct status {
    struct span name;
    struct statuses all;
};

/* status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")" */
bool mailsrv__imap_parse_status(struct imap *p, struct reader *r)
{
    struct status *status = mailsrv__imap_own(p, r, sizeof *status);
    return status != NULL && mailsrv__parse_sp(r) && mailsrv__parse_mailbox(r, &status->name) &&
           mailsrv__parse_sp(r) && mailsrv__imap_parse_status_items(p, r, &status->all.items);
}

static enum step told(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct statuses *s = of(p);
    return s->failed ? mailsrv__imap_done(p, s->reply) : mailsrv__imap_ok(p, SPAN("so it is"));
}

enum step mailsrv__imap_status_command(struct imap *p)
{
    struct status *status = p->command.own;
    struct statuses *s = &status->all;
    s->due = (struct writer){ .p = mailsrv__imap_take(p, status->name.n + 1), .room = status->name.n + 1 };
    if (s->due.p == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv__write(&s->due, status->name);
    mailsrv__write_char(&s->due, '\n');
    return mailsrv__imap_status_tell(p, s, told);
}
