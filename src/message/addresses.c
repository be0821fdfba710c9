#include "message/addresses.h"

/* ---- Texts in the room ---- */

static struct span text_since(const struct writer *w, size_t begin)
{
    return (struct span){ w->p + begin, w->n - begin };
}

/* dot-atom = [CFWS] 1*atext *("." 1*atext) [CFWS]; obsolete with CFWS around the dots, which goes; dots may stand where
 * they must not.  False: there is none. */
static bool read_dot_atom(struct lexer *lx, struct writer *room)
{
    struct span atom = mailsrv__lex_atom(lx, false);
    if (atom.n == 0 && !mailsrv__lex_is(lx, '.'))
        return false;
    mailsrv__write(room, atom);
    mailsrv__lex_blanks(lx);
    while (mailsrv__lex_is(lx, '.')) {
        mailsrv__lex_skip(lx, 1);
        mailsrv__write_char(room, '.');
        mailsrv__lex_blanks(lx);
        mailsrv__write(room, mailsrv__lex_atom(lx, false));
        mailsrv__lex_blanks(lx);
    }
    return true;
}

/* local-part = dot-atom / quoted-string */
static bool read_local_part(struct lexer *lx, struct writer *room, struct span *out)
{
    size_t begin = room->n;
    bool there = mailsrv__lex_is(lx, '"') ? mailsrv__lex_quoted(lx, room) : read_dot_atom(lx, room);
    mailsrv__lex_blanks(lx);
    if (there)
        *out = text_since(room, begin);
    return there;
}

/* domain-literal = [CFWS] "[" *([FWS] dtext) [FWS] "]" [CFWS], as it stands there */
static bool read_literal(struct lexer *lx, struct writer *room)
{
    size_t n = 1;
    while (n < lx->rest.n && lx->rest.p[n] != ']')
        n += lx->rest.p[n] == '\\' ? 2 : 1;
    if (n >= lx->rest.n)
        return false;
    mailsrv__write(room, mailsrv__span_first(lx->rest, n + 1));
    mailsrv__lex_skip(lx, n + 1);
    return true;
}

/* "@" domain; domain = dot-atom / domain-literal */
static bool read_domain(struct lexer *lx, struct writer *room)
{
    mailsrv__lex_skip(lx, 1);
    mailsrv__lex_blanks(lx);
    bool there = mailsrv__lex_is(lx, '[') ? read_literal(lx, room) : read_dot_atom(lx, room);
    mailsrv__lex_blanks(lx);
    return there;
}

static bool take_domain(struct lexer *lx, struct writer *room, struct span *out)
{
    size_t begin = room->n;
    if (!read_domain(lx, room))
        return false;
    *out = text_since(room, begin);
    return true;
}

/* obs-route = "@" domain *([CFWS] "," [CFWS] ["@" domain]) ":"; several commas are one, and where one is missing none
 * is put, or what is read could be longer than what stood there. */
static bool read_route(struct lexer *lx, struct writer *room, struct span *out)
{
    size_t begin = room->n;
    bool comma = false;
    while (mailsrv__lex_is(lx, '@')) {
        if (comma)
            mailsrv__write_char(room, ',');
        mailsrv__write_char(room, '@');
        if (!read_domain(lx, room))
            return false;
        comma = mailsrv__lex_is(lx, ',');
        while (mailsrv__lex_is(lx, ',')) {
            mailsrv__lex_skip(lx, 1);
            mailsrv__lex_blanks(lx);
        }
    }
    if (!mailsrv__lex_is(lx, ':'))
        return false;
    mailsrv__lex_skip(lx, 1);
    mailsrv__lex_blanks(lx);
    *out = text_since(room, begin);
    return true;
}

/* ---- Entries ---- */

/* angle-addr = [CFWS] "<" [obs-route] addr-spec ">" [CFWS], behind its "<" */
static bool read_angle(struct lexer *lx, struct writer *room, struct list_address *out)
{
    mailsrv__lex_blanks(lx);
    if (mailsrv__lex_is(lx, '@') && !read_route(lx, room, &out->route))
        return false;
    if (!read_local_part(lx, room, &out->local))
        return false;
    if (mailsrv__lex_is(lx, '@') && !take_domain(lx, room, &out->domain))
        return false;
    if (!mailsrv__lex_is(lx, '>'))
        return false;
    mailsrv__lex_skip(lx, 1);
    mailsrv__lex_blanks(lx);
    return true;
}

/* phrase = 1*word / obs-phrase; words are joined by one space. */
static struct span read_phrase(struct lexer *lx, struct writer *room)
{
    size_t begin = room->n;
    while (lx->rest.n != 0) {
        size_t word = room->n;
        if (word != begin)
            mailsrv__write_char(room, ' ');
        if (mailsrv__lex_is(lx, '"')) {
            mailsrv__lex_quoted(lx, room);
        } else {
            struct span atom = mailsrv__lex_atom(lx, true);
            mailsrv__write(room, atom);
            if (atom.n == 0) {
                room->n = word;
                break;
            }
        }
        mailsrv__lex_blanks(lx);
    }
    return text_since(room, begin);
}

/* addr-spec = local-part "@" domain; a comment in it or behind it is the name, as it was before there were names. */
static void read_addr_spec(struct lexer *lx, struct writer *room, struct list_address *out)
{
    lx->comment = (struct span){ NULL, 0 };
    bool goes_on = read_local_part(lx, room, &out->local) || mailsrv__lex_is(lx, '@');
    if (goes_on && mailsrv__lex_is(lx, '@'))
        take_domain(lx, room, &out->domain);
    if (lx->comment.n == 0)
        return;
    size_t begin = room->n;
    for (size_t i = 0; i < lx->comment.n; i++) {
        i += lx->comment.p[i] == '\\' && i + 1 < lx->comment.n;
        mailsrv__write_char(room, lx->comment.p[i]);
    }
    out->name = text_since(room, begin);
}

/* What stands before the next comma, or before the group's end, is no address. */
static void skip_rest(struct address_list *list)
{
    struct lexer *lx = &list->lx;
    struct writer nowhere = { 0 };
    while (lx->rest.n != 0 && !mailsrv__lex_is(lx, ',') && !(list->in_group && mailsrv__lex_is(lx, ';'))) {
        if (mailsrv__lex_is(lx, '"'))
            mailsrv__lex_quoted(lx, &nowhere);
        else if (mailsrv__lex_is(lx, '('))
            mailsrv__lex_blanks(lx);
        else
            mailsrv__lex_skip(lx, 1);
    }
}

/* group = display-name ":" [group-list] ";" [CFWS]; mailbox = name-addr / addr-spec */
static void read_entry(struct address_list *list, struct writer *room, struct list_address *out)
{
    struct lexer *lx = &list->lx, begin = *lx;
    struct span phrase = read_phrase(lx, room);
    if (mailsrv__lex_is(lx, ':') && !list->in_group) {
        mailsrv__lex_skip(lx, 1);
        *out = (struct list_address){ .kind = ENTRY_GROUP, .local = phrase };
        list->in_group = true;
        return;
    }
    if (mailsrv__lex_is(lx, '<')) {
        mailsrv__lex_skip(lx, 1);
        if (phrase.n != 0)
            out->name = phrase;
        out->broken = !read_angle(lx, room, out);
    } else {
        *lx = begin;
        room->n = 0;
        read_addr_spec(lx, room, out);
    }
    skip_rest(list);
}

static void skip_commas(struct lexer *lx)
{
    mailsrv__lex_blanks(lx);
    while (mailsrv__lex_is(lx, ',')) {
        mailsrv__lex_skip(lx, 1);
        mailsrv__lex_blanks(lx);
    }
}

static bool is_something(const struct list_address *a)
{
    return a->kind != ENTRY_MAILBOX || a->local.p != NULL || a->domain.p != NULL || a->name.p != NULL || a->broken;
}

bool mailsrv__address_next(struct address_list *list, struct writer *room, struct list_address *out)
{
    *out = (struct list_address){ .kind = ENTRY_MAILBOX };
    while (!is_something(out)) {
        room->n = 0;
        skip_commas(&list->lx);
        if (list->in_group && (list->lx.rest.n == 0 || mailsrv__lex_is(&list->lx, ';'))) {
            mailsrv__lex_skip(&list->lx, 1);
            list->in_group = false;
            out->kind = ENTRY_GROUP_END;
        } else if (list->lx.rest.n == 0) {
            return false;
        } else {
            read_entry(list, room, out);
        }
    }
    return true;
}
