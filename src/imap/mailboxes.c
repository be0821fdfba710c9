/* What changes the account's mailboxes and subscriptions: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501
 * sections 6.3.3 to 6.3.7, RFC 6154 section 3). */
#include "imap/names.h"

#include "imap/imap.h"

struct names {
    struct span name, to; /* `to`: of RENAME */
    mailsrv_id mailbox;
    uint32_t uses;        /* of CREATE */
    bool no_use;          /* one that there is not */
};

static struct names *names_of(struct imap *p)
{
    return p->command.own;
}

/* ---- Grammar ---- */

static struct names *begin(struct imap *p, struct reader *r)
{
    return mailsrv__imap_own(p, r, sizeof(struct names));
}

/* delete = "DELETE" SP mailbox; also SUBSCRIBE, UNSUBSCRIBE */
bool mailsrv__imap_parse_name(struct imap *p, struct reader *r)
{
    struct names *names = begin(p, r);
    return names != NULL && mailsrv__parse_sp(r) && mailsrv__parse_mailbox(r, &names->name);
}

/* rename = "RENAME" SP mailbox SP mailbox */
bool mailsrv__imap_parse_rename(struct imap *p, struct reader *r)
{
    if (!mailsrv__imap_parse_name(p, r))
        return false;
    bool no_name = r->no_name;
    bool there = mailsrv__parse_sp(r) && mailsrv__parse_mailbox(r, &names_of(p)->to);
    r->no_name = r->no_name || no_name;
    return there;
}

/* use-attr = "\All" / "\Archive" / ... / use-attr-ext   RFC 6154 section 6 */
static bool parse_use(struct reader *r, struct names *names)
{
    struct span name;
    if (!mailsrv__parse_is(r, '\\'))
        return mailsrv__parse_fails(r, "a special use");
    const char *begin = r->rest.p;
    if (!mailsrv__parse_char(r, '\\') || !mailsrv__parse_atom(r, &name))
        return false;
    for (size_t i = 0; i < USES; i++) {
        if (!mailsrv__span_equal_nocase((struct span){ begin, name.n + 1 }, mailsrv__uses[i].name))
            continue;
        names->uses |= mailsrv__uses[i].bit;
        return true;
    }
    names->no_use = true;
    return true;
}

/* create-params = SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"   RFC 4466, RFC 6154 section 6 */
static bool parse_params(struct reader *r, struct names *names)
{
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '('))
        return false;
    if (!mailsrv__parse_word(r, SPAN("USE")))
        return mailsrv__parse_fails(r, "USE");
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '('))
        return false;
    if (!mailsrv__parse_is(r, ')'))
        do {
            if (!parse_use(r, names))
                return false;
        } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')') && mailsrv__parse_char(r, ')');
}

/* create = "CREATE" SP mailbox [create-params] */
bool mailsrv__imap_parse_create(struct imap *p, struct reader *r)
{
    struct names *names = begin(p, r);
    if (names == NULL || !mailsrv__parse_sp(r) || !mailsrv__parse_new_mailbox(r, &names->name))
        return false;
    bool has_params = mailsrv__parse_is(r, ' ') && mailsrv__enabled(&p->session, MAILSRV_EXT_SPECIAL_USE);
    return !has_params || parse_params(r, names);
}

/* ---- Asking ---- */

/* Room for the reply is kept before anything is changed: OK can then be said. */
static struct ask ask_change(struct imap *p, int32_t kind, size_t octets)
{
    struct ask ask = { NULL, NULL };
    if (mailsrv__reserve(&p->session, LINE_ROOM))
        ask = mailsrv__ask(&p->session, kind, octets);
    return ask;
}

void mailsrv__imap_names_fini(struct imap *p)
{
    mailsrv__unreserve(&p->session);
}

static enum step refused(struct imap *p)
{
    return mailsrv__imap_refuse(p, mailsrv__imap_status(p), mailsrv__imap_answer_text(p));
}

static enum step late(struct imap *p)
{
    return mailsrv__imap_refuse(p, MAILSRV_TEMP, (struct span){ NULL, 0 });
}

/* The id of the mailbox that `name` has now. */
static enum step find(struct imap *p, step_fn *found)
{
    const struct names *names = names_of(p);
    struct ask ask = mailsrv__ask(&p->session, MAILSRV_OP_MBOX_STATUS, mailsrv__ask_octets(names->name.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_status *arg = ask.arg;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, names->name);
    return mailsrv__then_answers(&p->session, found);
}

static bool take_found(struct imap *p)
{
    const mailsrv_answer *answer = mailsrv__answer(&p->session, 0);
    if (answer->status != MAILSRV_OK)
        return false;
    names_of(p)->mailbox = ((const mailsrv_mbox_status *)answer->value)->mailbox;
    return true;
}

/* ---- CREATE ---- */

static enum step no_use(struct imap *p, struct span text)
{
    return mailsrv__imap_done(p, (struct reply){ END_NO, SPAN("[USEATTR]"), text });
}

static enum step created(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    int32_t status = mailsrv__imap_status(p);
    if (status == MAILSRV_OK)
        return mailsrv__imap_ok(p, SPAN("made"));
    if (status == MAILSRV_CANNOT && names_of(p)->uses != 0)
        return no_use(p, SPAN("no mailbox can be made for that use"));
    return refused(p);
}

enum step mailsrv__imap_create(struct imap *p)
{
    const struct names *names = names_of(p);
    if (names->no_use)
        return no_use(p, SPAN("there is no such use"));
    if (mailsrv__write_is_late(&p->session))
        return late(p);
    struct ask ask = ask_change(p, MAILSRV_OP_MBOX_CREATE, mailsrv__ask_octets(names->name.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_create *arg = ask.arg;
    arg->attributes = names->uses;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, names->name);
    arg->unix_us = mailsrv__unix_us(&p->session);
    return mailsrv__then_answers(&p->session, created);
}

/* ---- DELETE ---- */

static enum step closed(mailsrv_session *session)
{
    return mailsrv__imap_ok(mailsrv__imap_of(session), SPAN("removed"));
}

static bool is_selected(struct imap *p)
{
    return mailsrv__imap_is_selected(p) && memcmp(&names_of(p)->mailbox, &p->mailbox, sizeof p->mailbox) == 0;
}

/* Whoever removes what he has selected has nothing selected then, and is not shown the door as others are. */
static enum step removed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (mailsrv__imap_status(p) != MAILSRV_OK)
        return refused(p);
    if (!is_selected(p))
        return closed(session);
    if (!mailsrv__say(session, SPAN("* OK [CLOSED] the mailbox is removed\r\n")))
        return STEP_CLOSE;
    return mailsrv__imap_unselect(p, closed);
}

static enum step found_to_remove(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (!take_found(p))
        return refused(p);
    struct ask ask = ask_change(p, MAILSRV_OP_MBOX_DELETE, 0);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_delete *arg = ask.arg;
    arg->store = p->store.value;
    arg->mailbox = names_of(p)->mailbox;
    return mailsrv__then_answers(session, removed);
}

enum step mailsrv__imap_delete(struct imap *p)
{
    return mailsrv__write_is_late(&p->session) ? late(p) : find(p, found_to_remove);
}

/* ---- RENAME ---- */

/* INBOX has lost its messages, which is told with it; any other mailbox is what it was. */
static enum step renamed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    if (mailsrv__imap_status(p) != MAILSRV_OK)
        return refused(p);
    p->command.syncs = is_selected(p);
    return mailsrv__imap_ok(p, SPAN("renamed"));
}

static enum step found_to_rename(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct names *names = names_of(p);
    if (!take_found(p))
        return refused(p);
    struct ask ask = ask_change(p, MAILSRV_OP_MBOX_RENAME, mailsrv__ask_octets(names->to.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_rename *arg = ask.arg;
    arg->store = p->store.value;
    arg->mailbox = names->mailbox;
    arg->name = mailsrv__ask_copy(&ask, names->to);
    arg->unix_us = mailsrv__unix_us(session);
    return mailsrv__then_answers(session, renamed);
}

enum step mailsrv__imap_rename(struct imap *p)
{
    return mailsrv__write_is_late(&p->session) ? late(p) : find(p, found_to_rename);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static enum step subscribed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    return mailsrv__imap_status(p) == MAILSRV_OK ? mailsrv__imap_ok(p, SPAN("noted")) : refused(p);
}

static enum step subscribe(struct imap *p, bool on)
{
    const struct names *names = names_of(p);
    if (mailsrv__write_is_late(&p->session))
        return late(p);
    struct ask ask = ask_change(p, MAILSRV_OP_MBOX_SUBSCRIBE, mailsrv__ask_octets(names->name.n));
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_subscribe *arg = ask.arg;
    arg->on = on;
    arg->store = p->store.value;
    arg->name = mailsrv__ask_copy(&ask, names->name);
    return mailsrv__then_answers(&p->session, subscribed);
}

enum step mailsrv__imap_subscribe(struct imap *p)
{
    return subscribe(p, true);
}

enum step mailsrv__imap_unsubscribe(struct imap *p)
{
    return subscribe(p, false);
}
