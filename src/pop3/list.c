#include "pop3/pop3.h"
#include "text/base32.h"
#include "text/decimal.h"

/* A page of UIDL: what goes out of it may stand above the window. */
enum { UIDL_ROWS = 128, UIDL_CHARS_MAX = 70 };

struct drop_row *mailsrv__pop3_message(struct pop3 *p, struct span text, uint32_t *index)
{
    uint64_t number = 0;
    if (!mailsrv__decimal_read(text, &number) || number == 0 || number > p->drop.n)
        return NULL;
    *index = (uint32_t)(number - 1);
    struct drop_row *row = mailsrv__drop_at(&p->drop, *index);
    return row->marked ? NULL : row;
}

static enum step no_such_message(struct pop3 *p)
{
    return mailsrv__pop3_refuse(p, MAILSRV_GONE, (struct span){ 0 });
}

bool mailsrv__pop3_ask_rows(struct pop3 *p, ask_fn *how, mailsrv_run uids, uint32_t fields, uint32_t limit)
{
    struct ask ask = how(&p->session, MAILSRV_OP_ROWS, sizeof uids);
    if (ask.op == NULL)
        return false;
    mailsrv_arg_rows *arg = ask.arg;
    mailsrv_run *run = mailsrv__ask_room(&ask, sizeof uids);
    *run = uids;
    arg->mbox = p->mbox.value;
    arg->uids = run;
    arg->n_uids = 1;
    arg->fields = fields;
    arg->limit = limit;
    arg->cursor = p->cursor;
    return true;
}

/* ---- STAT ---- */

/* drop-listing: "+OK" SP messages SP octets   RFC 1939 section 5 */
enum step mailsrv__pop3_stat(struct pop3 *p, const struct args *a)
{
    (void)a;
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("+OK "));
    mailsrv__write_u64(&line, mailsrv__drop_messages(&p->drop));
    mailsrv__write(&line, SPAN(" "));
    mailsrv__write_u64(&line, mailsrv__drop_octets(&p->drop));
    return mailsrv__pop3_say(p, &line);
}

/* ---- LIST ---- */

/* scan-listing: number SP octets   RFC 1939 section 5 */
static enum step say_scan(struct pop3 *p, struct span before, uint32_t index)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, before);
    mailsrv__write_u64(&line, (uint64_t)index + 1);
    mailsrv__write(&line, SPAN(" "));
    mailsrv__write_u64(&line, mailsrv__drop_at(&p->drop, index)->octets);
    return mailsrv__pop3_say(p, &line);
}

static enum step list_more(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    for (; p->at < p->drop.n; p->at++) {
        if (!mailsrv__window_open(session))
            return mailsrv__then_window(session, list_more);
        if (!mailsrv__may_go_on(session))
            return mailsrv__then_turn(session, list_more);
        mailsrv__spend(session, 1);
        if (!mailsrv__drop_at(&p->drop, p->at)->marked && say_scan(p, (struct span){ 0 }, p->at) != STEP_NEXT)
            return STEP_CLOSE;
    }
    return mailsrv__pop3_reply(p, SPAN(".\r\n"));
}

static enum step list_all(struct pop3 *p)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, SPAN("+OK "));
    mailsrv__write_u64(&line, mailsrv__drop_messages(&p->drop));
    mailsrv__write(&line, SPAN(" messages ("));
    mailsrv__write_u64(&line, mailsrv__drop_octets(&p->drop));
    mailsrv__write(&line, SPAN(" octets)"));
    if (mailsrv__pop3_say(p, &line) != STEP_NEXT)
        return STEP_CLOSE;
    p->session.mid_reply = true;
    p->at = 0;
    return mailsrv__then_turn(&p->session, list_more);
}

enum step mailsrv__pop3_list(struct pop3 *p, const struct args *a)
{
    uint32_t index;
    if (a->n == 0)
        return list_all(p);
    if (mailsrv__pop3_message(p, a->v[0], &index) == NULL)
        return no_such_message(p);
    return say_scan(p, SPAN("+OK "), index);
}

/* ---- UIDL ---- */

/* unique-id: 1*70 of %x21-7E   RFC 1939 section 7 */
static bool is_unique_id(struct span id)
{
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < 0x21 || id.p[i] > 0x7E)
            return false;
    return id.n >= 1 && id.n <= UIDL_CHARS_MAX;
}

/* The id that came with an imported message, else one made of EMAILID, which no other message ever has. */
static enum step say_unique_id(struct pop3 *p, struct span before, uint32_t index, const mailsrv_row *row)
{
    char made[BASE32_CHARS(sizeof row->email)];
    struct span id = mailsrv__span(row->uidl);
    if (!is_unique_id(id))
        id = (struct span){ made, mailsrv__base32(row->email.b, sizeof row->email, made) };
    char room[LINE_ROOM];
    struct writer line = mailsrv__pop3_line(room);
    mailsrv__write(&line, before);
    mailsrv__write_u64(&line, (uint64_t)index + 1);
    mailsrv__write(&line, SPAN(" "));
    mailsrv__write(&line, id);
    return mailsrv__pop3_say(p, &line);
}

static enum step ids_failed(struct pop3 *p, int32_t status, struct span text)
{
    if (p->listing)
        return STEP_CLOSE; /* without the dot: the peer sees that it is not whole */
    return mailsrv__pop3_refuse(p, status == MAILSRV_GONE ? MAILSRV_CANNOT : status, text);
}

static bool ask_ids(struct pop3 *p, ask_fn *how, uint32_t first, uint32_t n)
{
    mailsrv_run uids = { mailsrv__drop_at(&p->drop, first)->uid, mailsrv__drop_at(&p->drop, first + n - 1)->uid };
    return mailsrv__pop3_ask_rows(p, how, uids, MAILSRV_ROW_EMAILID, UIDL_ROWS);
}

/* One page of the list is that of the messages from `page` on. */
static uint32_t page_messages(const struct pop3 *p, uint32_t page)
{
    uint32_t left = p->drop.n - page;
    return left < UIDL_ROWS ? left : UIDL_ROWS;
}

/* Says what a page holds.  Messages that are not in it were expunged by somebody else.  False: no memory. */
static bool say_page(struct pop3 *p, const mailsrv_rows *rows)
{
    uint32_t end = p->page + page_messages(p, p->page);
    for (uint32_t i = 0; i < rows->n; i++) {
        const mailsrv_row *row = mailsrv__pop3_row(rows, i);
        while (p->at < end && mailsrv__drop_at(&p->drop, p->at)->uid < row->uid)
            p->at++;
        if (p->at == end)
            return true;
        const struct drop_row *kept = mailsrv__drop_at(&p->drop, p->at);
        if (kept->uid == row->uid && !kept->marked &&
            say_unique_id(p, (struct span){ 0 }, p->at, row) != STEP_NEXT)
            return false;
    }
    return true;
}

static enum step page_answered(mailsrv_session *session);

static enum step next_page(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    if (p->page == p->drop.n)
        return mailsrv__pop3_reply(p, SPAN(".\r\n"));
    if (p->asked_ahead)
        mailsrv__ask_await(session);
    else if (!ask_ids(p, mailsrv__ask, p->page, page_messages(p, p->page)))
        return ids_failed(p, MAILSRV_NOMEM, (struct span){ 0 });
    p->asked_ahead = false;
    return mailsrv__then_answers(session, page_answered);
}

/* While a page is said the store reads the next one, if there is memory to ask for it. */
static void ask_next_page(struct pop3 *p)
{
    uint32_t next = p->page + page_messages(p, p->page);
    p->cursor = (mailsrv_cursor){ 0 };
    p->asked_ahead = next < p->drop.n && ask_ids(p, mailsrv__ask_ahead, next, page_messages(p, next));
}

static void turn_page(struct pop3 *p, const mailsrv_rows *rows)
{
    p->cursor = rows->next;
    if (rows->more != 0)
        return;
    p->cursor = (mailsrv_cursor){ 0 }; /* of the next page, which has been asked for with that */
    p->page += page_messages(p, p->page);
    p->at = p->page;
}

static enum step page_answered(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK)
        return ids_failed(p, answer->status, mailsrv__span(answer->text));
    const mailsrv_rows *rows = answer->value;
    if (rows->more != 0 && !mailsrv__pop3_goes_on(p, rows))
        return ids_failed(p, MAILSRV_CORRUPT, (struct span){ 0 });
    if (!p->listing && mailsrv__pop3_reply(p, SPAN("+OK\r\n")) != STEP_NEXT)
        return STEP_CLOSE;
    p->listing = session->mid_reply = true;
    mailsrv__spend(session, rows->n);
    if (rows->more == 0)
        ask_next_page(p);
    if (!say_page(p, rows))
        return STEP_CLOSE;
    turn_page(p, rows);
    return mailsrv__window_open(session) ? next_page(session) : mailsrv__then_window(session, next_page);
}

/* The ids stand in the store alone: they are read page by page, and never kept. */
static enum step ids_of_all(struct pop3 *p)
{
    if (p->drop.n == 0)
        return mailsrv__pop3_reply(p, SPAN("+OK\r\n.\r\n"));
    p->listing = p->asked_ahead = false;
    p->page = p->at = 0;
    return next_page(&p->session);
}

static enum step id_answered(mailsrv_session *session);

static enum step ask_id(struct pop3 *p)
{
    if (!ask_ids(p, mailsrv__ask, p->at, 1))
        return mailsrv__pop3_refuse(p, MAILSRV_NOMEM, (struct span){ 0 });
    return mailsrv__then_answers(&p->session, id_answered);
}

static enum step id_answered(mailsrv_session *session)
{
    struct pop3 *p = mailsrv__pop3_of(session);
    const mailsrv_answer *answer = mailsrv__answer(session, 0);
    if (answer->status != MAILSRV_OK)
        return mailsrv__pop3_refuse(p, answer->status, mailsrv__span(answer->text));
    const mailsrv_rows *rows = answer->value;
    if (rows->n != 0)
        return say_unique_id(p, SPAN("+OK "), p->at, mailsrv__pop3_row(rows, 0));
    if (rows->more == 0)
        return no_such_message(p);
    if (!mailsrv__pop3_goes_on(p, rows))
        return mailsrv__pop3_refuse(p, MAILSRV_CORRUPT, (struct span){ 0 });
    p->cursor = rows->next;
    return ask_id(p);
}

enum step mailsrv__pop3_uidl(struct pop3 *p, const struct args *a)
{
    p->cursor = (mailsrv_cursor){ 0 };
    if (a->n == 0)
        return ids_of_all(p);
    if (mailsrv__pop3_message(p, a->v[0], &p->at) == NULL)
        return no_such_message(p);
    return ask_id(p);
}
