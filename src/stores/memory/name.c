/* The names of an account's mailboxes, ascending by octets.  One that was ever used stays: it remembers the highest
 * UIDVALIDITY that it bore, and cursors point at it. */
#include "memory.h"

#include <string.h>

static bool is_inbox(const uint8_t *p, size_t n)
{
    static const char inbox[] = "INBOX";
    if (n < 5 || (n > 5 && p[5] != '/'))
        return false;
    for (size_t i = 0; i < 5; i++)
        if ((p[i] & ~0x20) != inbox[i])
            return false;
    return true;
}

/* 1 to 255 octets without controls, its levels divided by "/", none of them empty (op.h). */
static bool is_name(mailsrv_bytes name)
{
    if (name.n == 0 || name.n > MAILSRV_MBOX_NAME_MAX || name.p[0] == '/' || name.p[name.n - 1] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < 0x20 || name.p[i] == 0x7f || (name.p[i] == '/' && name.p[i + 1] == '/'))
            return false;
    return true;
}

bool mailsrv__memory_path(mailsrv_bytes name, struct path *out)
{
    if (!is_name(name))
        return false;
    out->n = name.n;
    memcpy(out->octets, name.p, name.n);
    if (is_inbox(name.p, name.n))
        memcpy(out->octets, "INBOX", 5); /* RFC 9051 section 5.1 */
    return true;
}

bool mailsrv__memory_below(const struct name *name, const uint8_t *above, size_t n)
{
    return name->n > n && name->octets[n] == '/' && memcmp(name->octets, above, n) == 0;
}

static int compare(const struct name *name, const struct path *path)
{
    int order = memcmp(name->octets, path->octets, name->n < path->n ? name->n : path->n);
    if (order != 0)
        return order;
    return name->n < path->n ? -1 : name->n > path->n;
}

/* The place of the first name that is not below `path`. */
static size_t place_of(const struct account *a, const struct path *path)
{
    size_t low = 0, high = a->n_names;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(a->names[middle], path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct name *mailsrv__memory_name(const struct account *a, const struct path *path)
{
    size_t at = place_of(a, path);
    return at < a->n_names && compare(a->names[at], path) == 0 ? a->names[at] : NULL;
}

static bool reserve(struct memory *m, struct account *a)
{
    if (a->n_names < a->room_names)
        return true;
    size_t room = a->room_names == 0 ? 8 : a->room_names * 2;
    struct name **v = mailsrv__memory_take(m, room * sizeof(struct name *));
    if (v == NULL)
        return false;
    if (a->n_names != 0)
        memcpy(v, a->names, a->n_names * sizeof(struct name *));
    mailsrv__memory_give(m, a->names, a->room_names * sizeof(struct name *));
    a->names = v;
    a->room_names = room;
    return true;
}

struct name *mailsrv__memory_name_made(struct memory *m, struct account *a, const struct path *path)
{
    struct name *name = mailsrv__memory_name(a, path);
    if (name != NULL || !reserve(m, a))
        return name;
    name = mailsrv__memory_take(m, sizeof *name + path->n);
    if (name == NULL)
        return NULL;
    name->number = ++a->last_name;
    name->n = path->n;
    memcpy(name->octets, path->octets, path->n);
    size_t at = place_of(a, path);
    memmove(a->names + at + 1, a->names + at, (a->n_names - at) * sizeof(struct name *));
    a->names[at] = name;
    a->n_names++;
    return name;
}

void mailsrv__memory_all_names_free(struct memory *m, struct account *a)
{
    for (size_t i = 0; i < a->n_names; i++) {
        if (a->names[i]->mailbox != NULL)
            mailsrv__memory_mailbox_end(m, a->names[i]->mailbox);
        mailsrv__memory_give(m, a->names[i], sizeof(struct name) + a->names[i]->n);
    }
    mailsrv__memory_give(m, a->names, a->room_names * sizeof(struct name *));
}

/* ---- What is remembered of names that are gone ---- */

/* Such a name is told until it is forgotten; one that never was anything is not told at all. */
static bool is_gone(const struct name *name)
{
    return name->mailbox == NULL && !name->subscribed && !name->forgotten && name->modseq != 0;
}

void mailsrv__memory_names_changed(struct memory *m, struct account *a)
{
    uint64_t gone = 0, most = m->knobs[MAILSRV_MEMORY_HISTORY];
    for (size_t i = 0; i < a->n_names; i++)
        gone += is_gone(a->names[i]);
    for (; gone > most; gone--) {
        struct name *oldest = NULL;
        for (size_t i = 0; i < a->n_names; i++)
            if (is_gone(a->names[i]) && (oldest == NULL || a->names[i]->modseq < oldest->modseq))
                oldest = a->names[i];
        oldest->forgotten = true;
        a->names_horizon = oldest->modseq;
    }
}

/* ---- Pages of names ---- */

static mailsrv_mbox_entry entry_of(const struct name *name)
{
    mailsrv_mbox_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.name = (mailsrv_bytes){ name->octets, name->n };
    entry.modseq = name->modseq;
    entry.attributes = name->subscribed ? MAILSRV_NAME_SUBSCRIBED : 0;
    if (name->mailbox != NULL) {
        entry.mailbox = name->mailbox->id;
        entry.attributes |= name->mailbox->uses;
    }
    return entry;
}

struct names_asked {
    bool changed; /* those that changed above `since`; else those that have a mailbox or are subscribed */
    uint64_t since;
    uint32_t limit;
};

static bool is_wanted(const struct name *name, const struct names_asked *asked)
{
    if (!asked->changed)
        return name->mailbox != NULL || name->subscribed;
    return name->modseq > asked->since && !name->forgotten;
}

/* `place->from` is the number of the name to go on with; names never go.  Is there more? */
static bool fill_page(struct memory *m, const struct account *a, const struct names_asked *asked, struct place *place,
                      uint32_t *n)
{
    uint32_t most = mailsrv__memory_page(m, asked->limit);
    size_t at = 0;
    if (mailsrv__memory_empty_first(m, place)) {
        place->empty_given = true;
        return true;
    }
    place->empty_given = false;
    while (place->from != 0 && at < a->n_names && a->names[at]->number != place->from)
        at++;
    for (; at < a->n_names; at++) {
        if (!is_wanted(a->names[at], asked))
            continue;
        place->from = a->names[at]->number;
        if (*n == most)
            return true;
        m->page.entries[(*n)++] = entry_of(a->names[at]);
    }
    return false;
}

int32_t mailsrv__memory_mbox_list(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_mbox_list *arg = op->arg;
    const struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    struct names_asked asked = { false, 0, arg->limit };
    struct place place = mailsrv__memory_place(&arg->cursor);
    if (store == NULL)
        return MAILSRV_CANNOT;
    mailsrv_mbox_listed *to = &r->value.mbox_listed;
    r->has_value = true;
    to->size = sizeof *to;
    to->stride = sizeof *to->entries;
    to->entries = m->page.entries;
    to->more = fill_page(m, store->account, &asked, &place, &to->n);
    if (to->more)
        to->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}

int32_t mailsrv__memory_changes_of_names(struct memory *m, const mailsrv_arg_changes *arg, struct reply *r)
{
    const struct handle *store = mailsrv__memory_handle_find(m, arg->store, HANDLE_STORE);
    struct names_asked asked = { true, arg->since, arg->limit };
    struct place place = mailsrv__memory_place(&arg->cursor);
    if (store == NULL)
        return MAILSRV_CANNOT;
    if (mailsrv__memory_is_start(&arg->cursor))
        place.upto = store->account->modseq;
    mailsrv_changes *to = &r->value.changes;
    r->has_value = true;
    to->size = sizeof *to;
    to->upto = place.upto;
    to->horizon = m->knobs[MAILSRV_MEMORY_HISTORY] != 0 ? store->account->names_horizon : place.upto;
    to->entries = m->page.entries;
    to->entry_stride = sizeof *to->entries;
    to->more = fill_page(m, store->account, &asked, &place, &to->n_entries);
    if (to->more)
        to->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}
