/* The grammar of LIST (RFC 5258 section 6). */
#include "imap/list.h"

struct option {
    struct span name;
    int32_t extension;
    uint32_t bits;
};

static const struct option select_options[] = {
    { { "SUBSCRIBED", 10 }, MAILSRV_EXT_LIST_EXTENDED, SELECT_SUBSCRIBED | RETURN_SUBSCRIBED },
    { { "RECURSIVEMATCH", 14 }, MAILSRV_EXT_LIST_EXTENDED, SELECT_RECURSIVE },
    { { "REMOTE", 6 }, MAILSRV_EXT_LIST_EXTENDED, SELECT_REMOTE },
    { { "SPECIAL-USE", 11 }, MAILSRV_EXT_SPECIAL_USE, SELECT_SPECIAL_USE | RETURN_SPECIAL_USE },
};

static const struct option return_options[] = {
    { { "SUBSCRIBED", 10 }, MAILSRV_EXT_LIST_EXTENDED, RETURN_SUBSCRIBED },
    { { "CHILDREN", 8 }, MAILSRV_EXT_LIST_EXTENDED, RETURN_CHILDREN },
    { { "SPECIAL-USE", 11 }, MAILSRV_EXT_SPECIAL_USE, RETURN_SPECIAL_USE },
    { { "STATUS", 6 }, MAILSRV_EXT_LIST_STATUS, RETURN_STATUS },
};

/* An option that is not known is BAD (RFC 5258 section 3). */
static bool parse_option(struct imap *p, struct reader *r, const struct option *options, size_t n, uint32_t *bits)
{
    for (size_t i = 0; i < n; i++) {
        if (!mailsrv__enabled(&p->session, options[i].extension) || !mailsrv__parse_word(r, options[i].name))
            continue;
        *bits |= options[i].bits;
        return true;
    }
    return mailsrv__parse_fails(r, "an option of LIST");
}

/* list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")" */
static bool parse_select(struct imap *p, struct reader *r, struct list *list)
{
    if (!mailsrv__parse_char(r, '('))
        return false;
    if (mailsrv__parse_is(r, ')'))
        return mailsrv__parse_char(r, ')');
    do {
        if (!parse_option(p, r, select_options, sizeof select_options / sizeof *select_options, &list->options))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    if ((list->options & SELECT_RECURSIVE) != 0 && (list->options & SELECT_SUBSCRIBED) == 0)
        return mailsrv__parse_fails(r, "SUBSCRIBED beside RECURSIVEMATCH");
    return mailsrv__parse_char(r, ')');
}

/* return-option = "SUBSCRIBED" / "CHILDREN" / option-extension; status-option = "STATUS" SP "(" ... ")" (RFC 5819) */
static bool parse_return_option(struct imap *p, struct reader *r, struct list *list)
{
    uint32_t bits = 0;
    if (!parse_option(p, r, return_options, sizeof return_options / sizeof *return_options, &bits))
        return false;
    list->options |= bits;
    if (bits != RETURN_STATUS)
        return true;
    if (!mailsrv__imap_lists_status(p))
        return mailsrv__parse_fails(r, "an option of LIST");
    return (mailsrv__parse_sp(r) && mailsrv__imap_parse_status_items(p, r, &list->statuses.items));
}

/* list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")" */
static bool parse_return(struct imap *p, struct reader *r, struct list *list)
{
    if (!mailsrv__parse_word(r, SPAN("RETURN")))
        return mailsrv__parse_fails(r, "RETURN");
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_char(r, '('))
        return false;
    if (mailsrv__parse_is(r, ')'))
        return mailsrv__parse_char(r, ')');
    do {
        if (!parse_return_option(p, r, list))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')');
}

/* patterns = "(" list-mailbox *(SP list-mailbox) ")" */
static bool parse_patterns(struct reader *r, struct list *list)
{
    if (!mailsrv__parse_char(r, '('))
        return false;
    do {
        if (list->n == PATTERNS_MAX) {
            r->too_many = true;
            return false;
        }
        if (!mailsrv__parse_list_mailbox(r, &list->sent[list->n++]))
            return false;
    } while (mailsrv__parse_is(r, ' ') && mailsrv__parse_sp(r));
    return mailsrv__parse_char(r, ')');
}

static struct list *begin(struct imap *p, struct reader *r)
{
    struct list *list = mailsrv__imap_own(p, r, sizeof *list);
    char *room = list == NULL ? NULL : mailsrv__imap_take(p, PATTERNS_OCTETS + NAME_OCTETS);
    r->no_memory = room == NULL;
    if (r->no_memory)
        return NULL;
    list->text = (struct writer){ .p = room, .room = PATTERNS_OCTETS };
    list->before = (struct writer){ .p = room + PATTERNS_OCTETS, .room = NAME_OCTETS };
    return list;
}

/* lsub = "LSUB" SP mailbox SP list-mailbox: the reference is no name, and may be any string. */
bool mailsrv__imap_parse_lsub(struct imap *p, struct reader *r)
{
    struct list *list = begin(p, r);
    if (list == NULL)
        return false;
    list->lsub = true;
    list->options = SELECT_SUBSCRIBED;
    list->n = 1;
    return mailsrv__parse_sp(r) && mailsrv__parse_astring(r, &list->reference) && mailsrv__parse_sp(r) &&
           mailsrv__parse_list_mailbox(r, &list->sent[0]);
}

/* SP mailbox SP mbox-or-pat */
static bool parse_names(struct reader *r, struct list *list, bool extends)
{
    if (!mailsrv__parse_sp(r) || !mailsrv__parse_astring(r, &list->reference) || !mailsrv__parse_sp(r))
        return false;
    if (extends && mailsrv__parse_is(r, '(')) {
        list->extended = true;
        return parse_patterns(r, list);
    }
    list->n = 1;
    return mailsrv__parse_list_mailbox(r, &list->sent[0]);
}

/* What a LIST without options tells beside the name: RFC 3348 section 3, RFC 6154 section 2. */
static uint32_t usual_options(const struct imap *p)
{
    return (mailsrv__enabled(&p->session, MAILSRV_EXT_CHILDREN) ? RETURN_CHILDREN : 0u) |
           (mailsrv__enabled(&p->session, MAILSRV_EXT_SPECIAL_USE) ? RETURN_SPECIAL_USE : 0u);
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts] */
bool mailsrv__imap_parse_list(struct imap *p, struct reader *r)
{
    struct list *list = begin(p, r);
    bool extends = mailsrv__enabled(&p->session, MAILSRV_EXT_LIST_EXTENDED);
    if (list == NULL)
        return false;
    if (extends && r->rest.n > 1 && r->rest.p[0] == ' ' && r->rest.p[1] == '(') {
        list->extended = true;
        if (!mailsrv__parse_sp(r) || !parse_select(p, r, list))
            return false;
    }
    if (!parse_names(r, list, extends))
        return false;
    if (extends && mailsrv__parse_is(r, ' ')) {
        list->extended = true;
        if (!mailsrv__parse_sp(r) || !parse_return(p, r, list))
            return false;
    }
    if (!list->extended)
        list->options = usual_options(p);
    return true;
}
