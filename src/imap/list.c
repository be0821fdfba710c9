/* LIST and LSUB over the pages of MBOX_LIST (RFC 9051 section 6.3.9, RFC 3501 section 6.3.9, RFC 5258). */
#include "imap/list.h"

enum { PAGE = 64, PAGE_WITH_STATUS = 16, NAMES_A_UNIT = 8 };

/* Of a level: the attributes that the store has of it, and these. */
enum {
    LEVEL_EXISTS = 1 << 8,          /* there is a mailbox */
    LEVEL_PARENT = 1 << 9,          /* below it, too */
    LEVEL_SELECTS = 1 << 10,        /* something below it is selected */
    LEVEL_SELECTS_UNSAID = 1 << 11, /* ... that no pattern matches */
    LEVEL_MATCHES = 1 << 12,        /* a pattern does */
    LEVEL_MATCHES_LAST = 1 << 13,   /* ... that ends with "%" */
    LEVEL_KNOWN = 1 << 14,          /* the others mean something */
    LEVEL_SAID = 1 << 15,
    LEVEL_USES = MAILSRV_NAME_ALL | MAILSRV_NAME_ARCHIVE | MAILSRV_NAME_DRAFTS | MAILSRV_NAME_FLAGGED |
                 MAILSRV_NAME_JUNK | MAILSRV_NAME_SENT | MAILSRV_NAME_TRASH
};

/* ---- Saying a name ---- */

static void write_attribute(struct writer *w, bool *first, struct span name)
{
    if (!*first)
        mailsrv__write_char(w, ' ');
    *first = false;
    mailsrv__write(w, name);
}

static void write_uses(struct writer *w, bool *first, uint32_t level)
{
    for (size_t i = 0; i < USES; i++)
        if ((level & mailsrv__uses[i].bit) != 0)
            write_attribute(w, first, mailsrv__uses[i].name);
}

/* A level without a mailbox bears \Noselect for clients that do not know \NonExistent. */
static void write_attributes(struct writer *w, const struct list *list, uint32_t level)
{
    bool first = true;
    if ((list->options & RETURN_SUBSCRIBED) != 0 && (level & MAILSRV_NAME_SUBSCRIBED) != 0)
        write_attribute(w, &first, SPAN("\\Subscribed"));
    if ((level & LEVEL_EXISTS) == 0)
        write_attribute(w, &first, SPAN("\\Noselect \\NonExistent"));
    if ((list->options & RETURN_CHILDREN) != 0)
        write_attribute(w, &first, (level & LEVEL_PARENT) != 0 ? SPAN("\\HasChildren") : SPAN("\\HasNoChildren"));
    if ((list->options & RETURN_SPECIAL_USE) != 0)
        write_uses(w, &first, level);
}

static bool say_name(struct imap *p, const struct list *list, uint32_t level, struct span name)
{
    char room[LINE_ROOM];
    struct writer line = mailsrv__imap_line(room);
    mailsrv__write(&line, list->lsub ? SPAN("* LSUB (") : SPAN("* LIST ("));
    if (!list->lsub)
        write_attributes(&line, list, level);
    else if ((level & MAILSRV_NAME_SUBSCRIBED) == 0)
        mailsrv__write(&line, SPAN("\\Noselect"));
    mailsrv__write(&line, SPAN(") \"/\" "));
    mailsrv__imap_write_mailbox(&line, name);
    if ((list->options & SELECT_RECURSIVE) != 0 && (level & LEVEL_SELECTS) != 0)
        mailsrv__write(&line, SPAN(" (\"CHILDINFO\" (\"SUBSCRIBED\"))"));
    return mailsrv__imap_say(p, &line);
}

/* ---- What is listed ---- */

static bool is_selected(const struct list *list, uint32_t level)
{
    bool used = (level & LEVEL_USES) != 0 && (level & LEVEL_EXISTS) != 0;
    bool uses = used || (list->options & SELECT_SPECIAL_USE) == 0;
    bool subscribed = (list->options & SELECT_SUBSCRIBED) != 0;
    return uses && (level & (subscribed ? MAILSRV_NAME_SUBSCRIBED : LEVEL_EXISTS)) != 0;
}

/* A level that is not selected, above one that is.  It is told where the pattern ends with "%", so that a client who
 * goes down level by level finds what lies below; or where RECURSIVEMATCH asks for it. */
static bool is_above(const struct list *list, uint32_t level)
{
    if ((list->options & SELECT_RECURSIVE) != 0)
        return (level & LEVEL_SELECTS_UNSAID) != 0 && (level & LEVEL_MATCHES) != 0;
    bool may = list->lsub || (level & LEVEL_EXISTS) == 0;
    bool plain = list->lsub || (list->options & (SELECT_SUBSCRIBED | SELECT_SPECIAL_USE)) == 0;
    return may && plain && (level & LEVEL_SELECTS) != 0 && (level & LEVEL_MATCHES_LAST) != 0;
}

/* Could what is below it, and still to come, change what is said of it? */
static bool waits(const struct list *list, uint32_t level)
{
    return ((list->options & RETURN_CHILDREN) != 0 && (level & LEVEL_PARENT) == 0) ||
           ((list->options & SELECT_RECURSIVE) != 0 && (level & LEVEL_SELECTS) == 0);
}

static void match(const struct list *list, struct span name, uint16_t *level)
{
    for (uint32_t i = 0; i < list->n; i++) {
        struct span pattern = list->sent[i];
        if (pattern.n == 0 || !mailsrv__name_matches(pattern, name))
            continue;
        *level |= LEVEL_MATCHES;
        if (pattern.p[pattern.n - 1] == '%')
            *level |= LEVEL_MATCHES_LAST;
    }
}

/* ---- Levels ---- */

static bool say_level(struct imap *p, struct list *list, size_t n, bool complete)
{
    uint16_t *level = &list->levels[n];
    struct span name = { list->before.p, n };
    bool selected = is_selected(list, *level) && (*level & LEVEL_MATCHES) != 0;
    if ((*level & LEVEL_SAID) != 0 || (!selected && !is_above(list, *level)) || (!complete && waits(list, *level)))
        return true;
    *level |= LEVEL_SAID;
    if ((list->options & RETURN_STATUS) != 0 && (*level & LEVEL_EXISTS) != 0) {
        mailsrv__write(&list->statuses.due, name);
        mailsrv__write_char(&list->statuses.due, '\n');
    }
    return say_name(p, list, *level, name);
}

/* No name that lies below those of more than `same` octets is still to come. */
static bool leave_levels(struct imap *p, struct list *list, size_t same)
{
    for (size_t n = same + 1; n <= list->before.n; n++) {
        if ((list->levels[n] & LEVEL_KNOWN) != 0 && !say_level(p, list, n, true))
            return false;
        list->levels[n] = 0;
    }
    return true;
}

/* `level` is that of a name below. */
static bool mark_above(struct imap *p, struct list *list, size_t n, uint32_t level)
{
    uint16_t *above = &list->levels[n];
    if ((*above & LEVEL_KNOWN) == 0) {
        *above = LEVEL_KNOWN;
        match(list, (struct span){ list->before.p, n }, above);
    }
    if ((level & LEVEL_EXISTS) != 0)
        *above |= LEVEL_PARENT;
    if (is_selected(list, level)) {
        *above |= LEVEL_SELECTS;
        if ((level & LEVEL_MATCHES) == 0)
            *above |= LEVEL_SELECTS_UNSAID;
    }
    return say_level(p, list, n, false);
}

static bool go_to(struct imap *p, struct list *list, struct span name)
{
    size_t same = 0;
    while (same < name.n && same < list->before.n && name.p[same] == list->before.p[same])
        same++;
    if (!leave_levels(p, list, same))
        return false;
    list->before.n = 0;
    mailsrv__write(&list->before, name);
    return true;
}

static bool take_entry(struct imap *p, struct list *list, const mailsrv_mbox_entry *entry)
{
    static const mailsrv_id none;
    struct span name = mailsrv__span(entry->name);
    if (name.n > NAME_OCTETS || name.n == 0)
        return true;
    if (!go_to(p, list, name))
        return false;
    uint16_t level = LEVEL_KNOWN | (uint16_t)(entry->attributes & (LEVEL_USES | MAILSRV_NAME_SUBSCRIBED));
    if (memcmp(&entry->mailbox, &none, sizeof none) != 0)
        level |= LEVEL_EXISTS;
    match(list, name, &level);
    for (size_t n = 1; n < name.n; n++)
        if (name.p[n] == '/' && !mark_above(p, list, n, level))
            return false;
    list->levels[name.n] = level;
    return say_level(p, list, name.n, false);
}

/* ---- Pages ---- */

static enum step ask_page(mailsrv_session *session);

static enum step listed(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    const struct list *list = p->command.own;
    return mailsrv__imap_ok(p, list->lsub ? SPAN("subscriptions listed") : SPAN("mailboxes listed"));
}

/* Statuses are told after so many names, wherever the store's pages end.  One that fails is left out (RFC 5819
 * section 2). */
static enum step end_page(struct imap *p, struct list *list, step_fn *then)
{
    bool tells = then == listed || list->taken >= PAGE_WITH_STATUS;
    if (tells)
        list->taken = 0;
    if (tells && list->statuses.due.n != 0)
        return mailsrv__imap_status_tell(p, &list->statuses, then);
    return mailsrv__window_open(&p->session) ? then(&p->session) : mailsrv__then_window(&p->session, then);
}

static bool goes_on(const struct list *list, const mailsrv_mbox_listed *page)
{
    return page->n != 0 || memcmp(&page->next, &list->cursor, sizeof list->cursor) != 0;
}

static bool take_page(struct imap *p, struct list *list, const mailsrv_mbox_listed *page)
{
    for (uint32_t i = 0; i < page->n; i++) {
        const void *entry = (const char *)page->entries + (size_t)i * page->stride;
        if (!take_entry(p, list, entry))
            return false;
    }
    list->taken += page->n;
    mailsrv__spend(&p->session, page->n * NAMES_A_UNIT);
    return page->more != 0 || leave_levels(p, list, 0);
}

static enum step page_answered(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct list *list = p->command.own;
    if (mailsrv__imap_status(p) != MAILSRV_OK)
        return mailsrv__imap_refuse(p, mailsrv__imap_status(p), mailsrv__imap_answer_text(p));
    const mailsrv_mbox_listed *page = mailsrv__answer(session, 0)->value;
    if (!take_page(p, list, page))
        return STEP_CLOSE;
    if (page->more == 0)
        return end_page(p, list, listed);
    if (!goes_on(list, page))
        return mailsrv__imap_refuse(p, MAILSRV_CORRUPT, (struct span){ NULL, 0 });
    list->cursor = page->next;
    return end_page(p, list, ask_page);
}

static enum step ask_page(mailsrv_session *session)
{
    struct imap *p = mailsrv__imap_of(session);
    struct list *list = p->command.own;
    struct ask ask = mailsrv__ask(session, MAILSRV_OP_MBOX_LIST, 0);
    if (ask.op == NULL)
        return mailsrv__imap_no_memory(p);
    mailsrv_arg_mbox_list *arg = ask.arg;
    arg->limit = (list->options & RETURN_STATUS) != 0 ? PAGE_WITH_STATUS - list->taken : PAGE;
    arg->store = p->store.value;
    arg->cursor = list->cursor;
    return mailsrv__then_answers(session, page_answered);
}

/* ---- The commands ---- */

/* RFC 5258 section 3: in an extended LIST an empty pattern matches nothing. */
static bool read_patterns(struct list *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        size_t room = list->text.room - list->text.n;
        struct writer pattern = { .p = list->text.p + list->text.n,
                                  .room = room < PATTERN_OCTETS ? room : PATTERN_OCTETS };
        if (list->extended && list->sent[i].n == 0)
            continue;
        if (!mailsrv__pattern_read(list->reference, list->sent[i], &pattern))
            return false;
        list->sent[i] = mailsrv__written(&pattern);
        list->text.n += pattern.n;
    }
    return true;
}

/* Room for the names of a page, and for those that waited for what lies below them. */
static bool take_due(struct imap *p, struct list *list)
{
    size_t room = (PAGE_WITH_STATUS + LEVELS / 2) * (NAME_OCTETS + 1);
    if ((list->options & RETURN_STATUS) == 0)
        return true;
    list->statuses.due = (struct writer){ .p = mailsrv__imap_take(p, room), .room = room };
    return list->statuses.due.p != NULL;
}

/* An empty pattern asks for the hierarchy's separator, and the root of the reference: ours is empty. */
enum step mailsrv__imap_list(struct imap *p)
{
    struct list *list = p->command.own;
    if (!list->lsub && !list->extended && list->sent[0].n == 0) {
        bool said = mailsrv__say(&p->session, SPAN("* LIST (\\Noselect) \"/\" \"\"\r\n"));
        return said ? listed(&p->session) : STEP_CLOSE;
    }
    if (!read_patterns(list))
        return mailsrv__imap_bad(p, SPAN("expected a pattern, in modified UTF-7"));
    return take_due(p, list) ? ask_page(&p->session) : mailsrv__imap_no_memory(p);
}
