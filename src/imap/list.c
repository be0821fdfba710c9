/* LIST and LSUB over the pages of MBOX_LIST (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9). */
#include "imap/imap.h"

#include "imap/names.h"

enum { PAGE = 64, LEVELS = NAME_OCTETS + 1, NAMES_A_UNIT = 8 };

struct list {
    struct span reference, sent;
    struct writer pattern;
    bool subscribed; /* LSUB */
    mailsrv_cursor cursor;
    /* The name before this one, and which of its beginnings are names that have been said, or cannot be.  Names ascend,
     * so whatever may stand above a name is a beginning of the one before it. */
    struct writer before;
    uint64_t said[LEVELS / 64];
};

/* list = "LIST" SP mailbox SP list-mailbox: the reference is no name, and may be any string. */
bool mailsrv__imap_parse_list(struct imap *p, struct reader *r)
{
    struct list *list = mailsrv__imap_own(p, r, sizeof *list);
    char *room = list == NULL ? NULL : mailsrv__imap_take(p, PATTERN_OCTETS + NAME_OCTETS);
    r->no_memory = room == NULL;
    if (r->no_memory)
        return false;
    list->pattern = (struct writer){ .p = room, .room = PATTERN_OCTETS };
    list->before = (struct writer){ .p = room + PATTERN_OCTETS, .room = NAME_OCTETS };
    return mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &list->reference) && mailsrv__parse_sp(r) &&
           mailsrv__parse_list_mailbox(r, &list->sent);
}

/* ---- One name ---- */

static bool is_said(const struct list *list, size_t n)
{
    return (list->said[n / 64] >> (n % 64) & 1) != 0;
}

static void mark_said(struct list *list, size_t n)
{
    list->said[n / 64] |= UINT64_C(1) << (n % 64);
}

/* Goes on to the next name: what is said of the beginnings that both have stays. */
static void go_to(struct list *list, struct span name)
{
    size_t same = 0;
    while (same < name.n && same < list->before.n && name.p[same] == list->before.p[same])
        same++;
    for (size_t n = same + 1; n <= list->before.n; n++)
        list->said[n / 64] &= ~(UINT64_C(1) << (n % 64));
    list->before.n = 0;
    mailsrv__write(&list->before, name);
}

static bool say_name(struct imap *p, const struct list *list, struct span attributes, struct span name)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, list->subscribed ? SPAN("* LSUB (") : SPAN("* LIST ("));
    mailsrv__write(&line, attributes);
    mailsrv__write(&line, SPAN(") \"/\" "));
    mailsrv__imap_write_mailbox(&line, name);
    return mailsrv__imap_say(p, &line);
}

/* A level that is no name itself, above one that is: it is told where the pattern ends with "%", so that a client who
 * goes down level by level finds what lies below. */
static bool say_levels_above(struct imap *p, struct list *list, struct span name)
{
    struct span pattern = mailsrv__written(&list->pattern);
    if (pattern.n == 0 || pattern.p[pattern.n - 1] != '%')
        return true;
    for (size_t n = 1; n < name.n; n++) {
        struct span level = mailsrv__span_first(name, n);
        if (name.p[n] != '/' || is_said(list, n))
            continue;
        mark_said(list, n);
        struct span attributes = list->subscribed ? SPAN("\\Noselect") : SPAN("\\Noselect \\NonExistent");
        if (mailsrv__name_matches(pattern, level) && !say_name(p, list, attributes, level))
            return false;
    }
    return true;
}

static bool is_listed(const struct list *list, const mailsrv_mbox_entry *entry)
{
    static const mailsrv_id none;
    if (list->subscribed)
        return (entry->attributes & MAILSRV_NAME_SUBSCRIBED) != 0;
    return memcmp(&entry->mailbox, &none, sizeof none) != 0;
}

static bool take_entry(struct imap *p, struct list *list, const mailsrv_mbox_entry *entry)
{
    struct span name = mailsrv__span(entry->name);
    if (!is_listed(list, entry) || name.n > NAME_OCTETS)
        return true;
    go_to(list, name);
    if (!say_levels_above(p, list, name))
        return false;
    mark_said(list, name.n);
    return !mailsrv__name_matches(mailsrv__written(&list->pattern), name) ||
           say_name(p, list, (struct span){ NULL, 0 }, name);
}

/* ---- Pages ---- */

static enum step ask_page(mailsrv_session *session);

static enum step listed(struct imap *p)
{
    const struct list *list = p->command.own;
    return mailsrv__imap_ok(p, list->subscribed ? SPAN("subscriptions listed") : SPAN("mailboxes listed"));
}

static bool goes_on(const struct list *list, const mailsrv_mbox_listed *page)
{
    return page->n != 0 || memcmp(&page->next, &list->cursor, sizeof list->cursor) != 0;
}

static enum step page_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct list *list = p->command.own;
    if (mailsrv__imap_status(p) != MAILSRV_OK)
        return mailsrv__imap_refuse(p, mailsrv__imap_status(p), mailsrv__imap_answer_text(p));
    const mailsrv_mbox_listed *page = mailsrv__answer(session, 0)->value;
    for (uint32_t i = 0; i < page->n; i++) {
        const void *entry = (const char *)page->entries + (size_t)i * page->stride;
        if (!take_entry(p, list, entry))
            return STEP_CLOSE;
    }
    mailsrv__spend(session, page->n * NAMES_A_UNIT);
    if (page->more == 0)
        return listed(p);
    if (!goes_on(list, page))
        return mailsrv__imap_refuse(p, MAILSRV_CORRUPT, (struct span){ NULL, 0 });
    list->cursor = page->next;
    return mailsrv__window_open(session) ? ask_page(session) : mailsrv__then_window(session, ask_page);
}

static enum step ask_page(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct list *list = p->command.own;
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_MBOX_LIST, 0);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_list *arg = ask.arg;
    arg->limit = PAGE;
    arg->store = p->store.value;
    arg->cursor = list->cursor;
    return mailsrv__then_answers(session, page_answered);
}

/* ---- The commands ---- */

static enum step list_names(struct imap *p)
{
    struct list *list = p->command.own;
    if (!mailsrv__pattern_read(list->reference, list->sent, &list->pattern))
        return mailsrv__imap_bad(p, SPAN("expected a pattern, in modified UTF-7"));
    return ask_page(&p->session);
}

/* An empty pattern asks for the hierarchy's separator, and the root of the reference: ours is empty. */
enum step mailsrv__imap_list(struct imap *p)
{
    struct list *list = p->command.own;
    if (list->sent.n != 0)
        return list_names(p);
    if (!say_name(p, list, SPAN("\\Noselect"), (struct span){ NULL, 0 }))
        return STEP_CLOSE;
    return listed(p);
}

enum step mailsrv__imap_lsub(struct imap *p)
{
    struct list *list = p->command.own;
    list->subscribed = true;
    return list_names(p);
}
