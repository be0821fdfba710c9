/* Looking at a store: is everything there that must be, and nothing else? */
#include "mail_inside.h"

#include <string.h>

static void add(uint64_t *sum, uint64_t value)
{
    *sum = (*sum ^ value) * UINT64_C(0x100000001b3);
    *sum ^= *sum >> 31;
}

/* Reads a message whole; the number it says it is made of, or 0: it cannot be read, or is not what it says. */
static uint32_t read_message(struct mail *m, int account, const struct opened *opened, const mailsrv_row *row)
{
    uint32_t number = 0;
    mailsrv_asked *first = NULL, *asked;
    uint64_t handle = 0, at = 0;
    while (at < row->octets) {
        mailsrv_arg_read arg = { sizeof arg, row->uid, opened->value.mbox, 0, handle, at, row->octets, 0 };
        const mailsrv_read_bytes *value = mail_hear(m, 0, MAILSRV_OP_READ, account, &arg, &asked);
        if (value == NULL || value->octets.n == 0) {
            number = 0;
            mailsrv_asked_free(asked);
            break;
        }
        for (int i = 0; at == 0 && i < 4 && value->octets.n >= 4; i++)
            number |= (uint32_t)value->octets.p[i] << (8 * i);
        for (size_t i = 0; number != 0 && i < value->octets.n; i++)
            if (value->octets.p[i] != mail_octet(number, (size_t)at + i))
                number = 0;
        at += value->octets.n;
        handle = at == value->octets.n ? value->handle : handle;
        if (first == NULL)
            first = asked;
        else
            mailsrv_asked_free(asked);
    }
    if (first != NULL)
        mailsrv_asked_free(first);
    mail_settle(m);
    return number;
}

/* ---- Rows ---- */

struct look {
    struct mail *m;
    int account;
    struct box *box; /* NULL: for the sum */
    struct opened opened;
    bool seen[MESSAGES_MAX], was_perhaps[MESSAGES_MAX];
    uint64_t *sum;
    uint64_t found, unseen, deleted, octets;
};

/* The test's names among a row's keywords. */
static uint32_t keywords_of(struct look *l, const mailsrv_row *row)
{
    uint32_t keywords = 0;
    for (uint32_t i = 0; i < l->opened.value.n_keywords; i++) {
        mailsrv_bytes name = l->opened.value.keywords[i];
        if ((row->keywords[i / 64] >> (i % 64) & 1) == 0)
            continue;
        for (int k = 0; k < KEYWORDS; k++)
            if (name.n == mail_keywords[k].n && memcmp(name.p, mail_keywords[k].p, name.n) == 0)
                keywords |= 1u << k;
    }
    return keywords;
}

/* By its UID, or, where that is not known yet, by what it is made of; of several that are made of the same, one that was
 * not looked for in vain before. */
static struct message *find(struct look *l, const mailsrv_row *row, uint32_t number)
{
    struct box *box = l->box;
    for (size_t i = 0; i < box->n; i++)
        if (box->messages[i].uid == row->uid)
            return &box->messages[i];
    struct message *found = NULL;
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (message->uid == 0 && message->number == number && !l->seen[i] && (found == NULL || found->state == GONE))
            found = message;
    }
    return found;
}

/* Its flags, and the modseq that they came with, are those that are known, or those that it was perhaps given. */
static void match_marks(struct look *l, struct message *message, const mailsrv_row *row)
{
    struct marks now = { row->flags, keywords_of(l, row) };
    bool as_known = memcmp(&now, &message->marks, sizeof now) == 0 &&
                    (message->is_moved ? row->modseq > message->modseq : row->modseq == message->modseq);
    bool as_perhaps = message->is_changing && memcmp(&now, &message->perhaps, sizeof now) == 0 &&
                      row->modseq > message->modseq;
    if (!as_known && !as_perhaps)
        mail_wrong(l->m, "a message has other flags, or another modseq, than before", message->number);
    message->marks = now;
    message->modseq = row->modseq;
    message->is_changing = message->is_moved = false;
}

/* Of a COMMIT in several shards one may have done its part, and the COMMIT is not answered because another has not: then
 * what was asked after it has been answered. */
static bool is_late(const struct look *l, const mailsrv_row *row)
{
    return l->m->shore.setup.shards > 1 &&
           (row->uid <= l->box->uid_max || row->modseq <= l->m->known.accounts[l->account].modseq_max);
}

static void late_was_given(struct message *message, const mailsrv_row *row)
{
    message->uid = row->uid;
    message->modseq = row->modseq;
}

static void match(struct look *l, const mailsrv_row *row, uint32_t number)
{
    struct message *message = find(l, row, number);
    if (message == NULL || message->number != number) {
        mail_wrong(l->m, "a message is not one that was sent, or is not whole", row->uid);
        return;
    }
    l->seen[message - l->box->messages] = true;
    if (message->state == GONE || message->state == NEVER_WAS)
        mail_wrong(l->m, "a message came back", number);
    else if (message->uid == 0 && is_late(l, row))
        late_was_given(message, row);
    else if (message->uid == 0)
        mail_was_given(l->m, l->account, l->box, message, row->uid, row->modseq);
    match_marks(l, message, row);
    message->state = THERE;
    if (message->octets != row->octets)
        mail_wrong(l->m, "a message has another length", number);
    char text[16];
    mailsrv_bytes uidl = mail_uidl_of(number, text);
    if (row->uidl.n != uidl.n || memcmp(row->uidl.p, uidl.p, uidl.n) != 0)
        mail_wrong(l->m, "a message has another UIDL than it was given", number);
}

static void look_at(struct look *l, const mailsrv_row *row)
{
    uint32_t number = read_message(l->m, l->account, &l->opened, row);
    l->found++;
    l->octets += row->octets;
    l->unseen += (row->flags & MAILSRV_FLAG_SEEN) == 0;
    l->deleted += (row->flags & MAILSRV_FLAG_DELETED) != 0;
    if (l->box != NULL) {
        match(l, row, number);
        return;
    }
    const uint64_t values[] = { number, row->uid, row->modseq, row->flags, keywords_of(l, row),
                                (uint64_t)row->saved_us, (uint64_t)row->internal_us, row->email.b[15] };
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        add(l->sum, values[k]);
}

static void all_rows(struct look *l)
{
    mailsrv_run all = { 1, UINT32_MAX };
    mailsrv_arg_rows arg = { .size = sizeof arg, .fields = UINT32_MAX, .mbox = l->opened.value.mbox, .uids = &all,
                             .n_uids = 1, .limit = 20 };
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_rows *rows = mail_hear(l->m, 0, MAILSRV_OP_ROWS, l->account, &arg, &asked);
        more = rows != NULL && rows->more != 0;
        if (rows == NULL)
            mail_wrong(l->m, "ROWS fails", (uint32_t)-mail_status_of(asked));
        for (uint32_t i = 0; rows != NULL && i < rows->n; i++)
            look_at(l, &rows->rows[i]);
        if (more)
            arg.cursor = rows->next;
        mailsrv_asked_free(asked);
    }
    if (l->found != l->opened.value.exists)
        mail_wrong(l->m, "MBOX_OPEN tells another number of messages", (uint32_t)l->found);
}

static void check_status(struct look *l)
{
    mailsrv_asked *asked;
    mailsrv_arg_mbox_status arg = { .size = sizeof arg, .store = l->opened.store_handle,
                                    .mailbox = l->opened.value.mailbox };
    const mailsrv_mbox_status *value = mail_hear(l->m, 0, MAILSRV_OP_MBOX_STATUS, l->account, &arg, &asked);
    if (value == NULL || value->exists != l->found || value->unseen != l->unseen || value->deleted != l->deleted ||
        value->octets != l->octets || value->uidnext != l->opened.value.uidnext)
        mail_wrong(l->m, "MBOX_STATUS counts otherwise", (uint32_t)l->found);
    mailsrv_asked_free(asked);
}

/* ---- CHANGES since the look before the last: so also an index that was just made anew is asked for old ones ---- */

struct heard {
    bool row[MESSAGES_MAX], vanished[MESSAGES_MAX];
    uint64_t horizon;
};

static void hear_page(const struct box *box, const mailsrv_changes *page, struct heard *out)
{
    out->horizon = page->horizon;
    for (size_t i = 0; i < box->n; i++) {
        uint32_t uid = box->messages[i].uid;
        for (uint32_t k = 0; k < page->n; k++)
            out->row[i] = out->row[i] || page->rows[k].uid == uid;
        for (uint32_t k = 0; k < page->n_vanished; k++)
            out->vanished[i] = out->vanished[i] || (page->vanished[k].first <= uid && uid <= page->vanished[k].last);
    }
}

static bool hear_changes(struct look *l, uint64_t since, struct heard *out)
{
    mailsrv_arg_changes arg = { .size = sizeof arg, .fields = UINT32_MAX, .mbox = l->opened.value.mbox, .since = since,
                                .limit = 7 };
    bool good = true;
    for (bool more = true; more && good;) {
        mailsrv_asked *asked;
        const mailsrv_changes *page = mail_hear(l->m, 0, MAILSRV_OP_CHANGES, l->account, &arg, &asked);
        good = page != NULL;
        more = good && page->more != 0;
        if (good)
            hear_page(l->box, page, out);
        if (more)
            arg.cursor = page->next;
        mailsrv_asked_free(asked);
    }
    return good;
}

static void check_changes(struct look *l)
{
    struct box *box = l->box;
    const uint64_t since = box->looked_before;
    struct heard heard;
    memset(&heard, 0, sizeof heard);
    if (!hear_changes(l, since, &heard)) {
        mail_wrong(l->m, "CHANGES fails", 0);
        return;
    }
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        bool changed = l->seen[i] && message->modseq > since;
        if (heard.row[i] != changed)
            mail_wrong(l->m, "CHANGES tells another row than what has changed", message->number);
        if (message->was_there_before && !l->seen[i] && !heard.vanished[i] && heard.horizon <= since)
            mail_wrong(l->m, "CHANGES does not tell what vanished", message->number);
        if (l->seen[i] && heard.vanished[i])
            mail_wrong(l->m, "CHANGES says that a message vanished that is there", message->number);
        message->was_there_before = message->was_there;
        message->was_there = l->seen[i];
    }
    box->looked_before = box->looked_at;
    box->looked_at = l->opened.value.modseq;
}

/* ---- A mailbox ---- */

static void check_marks(struct look *l)
{
    struct account *a = &l->m->known.accounts[l->account];
    struct box *box = l->box;
    const mailsrv_mbox_opened *opened = &l->opened.value;
    if (box->uidvalidity != 0 && opened->uidvalidity != box->uidvalidity)
        mail_wrong(l->m, "UIDVALIDITY has changed", opened->uidvalidity);
    box->uidvalidity = opened->uidvalidity;
    if (opened->uidvalidity > a->uidvalidity_max)
        a->uidvalidity_max = opened->uidvalidity;
    if (opened->uidnext <= box->uid_max || opened->modseq < a->modseq_max)
        mail_wrong(l->m, "UIDNEXT or the modseq went back", box->uid_max);
}

/* Of a COPY that was not answered all is there, or nothing. */
static void check_copies(struct look *l)
{
    struct box *box = l->box;
    for (size_t i = 1; i < box->n; i++)
        if (box->messages[i].copy != 0 && box->messages[i].copy == box->messages[i - 1].copy && l->was_perhaps[i] &&
            l->was_perhaps[i - 1] && l->seen[i] != l->seen[i - 1])
            mail_wrong(l->m, "a COPY is there in part", box->messages[i].copy);
}

static void check_box(struct mail *m, int account, struct box *box)
{
    struct look l;
    memset(&l, 0, sizeof l);
    l.m = m;
    l.account = account;
    l.box = box;
    for (size_t i = 0; i < box->n; i++)
        l.was_perhaps[i] = box->messages[i].state == PERHAPS;
    if (mail_open_box(m, account, box, &l.opened)) {
        check_marks(&l);
        all_rows(&l);
        check_status(&l);
        check_changes(&l);
        check_copies(&l);
    } else {
        mail_wrong(m, "a mailbox cannot be opened", (uint32_t)account);
    }
    mail_close_box(m, &l.opened);
    for (size_t i = 0; i < box->n; i++) {
        struct message *message = &box->messages[i];
        if (message->state == THERE && !l.seen[i])
            mail_wrong(m, "a message is lost", message->number);
        if (!l.seen[i])
            message->state = GONE;
    }
}

/* ---- Names ---- */

static bool is_called(const char *name, mailsrv_bytes found)
{
    size_t n = strlen(name);
    return n == found.n && (memcmp(name, found.p, n) == 0 ||
                            (n > 5 && memcmp(name, "inBOX", 5) == 0 && memcmp(found.p, "INBOX", 5) == 0 &&
                             memcmp(name + 5, found.p + 5, n - 5) == 0));
}

static void match_name(struct mail *m, int account, const mailsrv_mbox_entry *entry, bool seen[BOXES_MAX])
{
    static const mailsrv_id none;
    struct account *a = &m->known.accounts[account];
    for (size_t i = 0; i < a->n; i++) {
        struct box *box = &a->boxes[i];
        bool is_now = is_called(box->name, entry->name);
        bool is_perhaps = box->name_perhaps[0] != '\0' && is_called(box->name_perhaps, entry->name);
        bool subscribed = (entry->attributes & MAILSRV_NAME_SUBSCRIBED) != 0;
        if (!is_now && !is_perhaps)
            continue;
        if (box->state == GONE)
            mail_wrong(m, "a mailbox came back", (uint32_t)i);
        if (box->is_inbox_moved)
            mail_empty_inbox(a);
        box->is_inbox_moved = false;
        if (i != 0 && memcmp(&box->id, &none, sizeof none) != 0 &&
            memcmp(&box->id, &entry->mailbox, sizeof box->id) != 0)
            mail_wrong(m, "a mailbox has another id than before", (uint32_t)i);
        if (i != 0)
            box->id = entry->mailbox;
        if (is_perhaps)
            strcpy(box->name, box->name_perhaps);
        box->name_perhaps[0] = '\0';
        if (subscribed != box->subscribed && subscribed != box->subscribed_perhaps)
            mail_wrong(m, "a subscription is another than before", (uint32_t)i);
        box->subscribed = box->subscribed_perhaps = subscribed;
        box->state = THERE;
        seen[i] = true;
        return;
    }
    mail_wrong(m, "a mailbox is none that was made", (uint32_t)entry->modseq);
}

/* Every name that has a mailbox. */
static void all_names(struct mail *m, int account, bool seen[BOXES_MAX], uint64_t *sum)
{
    struct opened store;
    mailsrv_arg_mbox_list arg = { .size = sizeof arg, .limit = 3 };
    bool more = mail_open_store(m, account, &store);
    arg.store = store.store_handle;
    while (more) {
        mailsrv_asked *asked;
        const mailsrv_mbox_listed *value = mail_hear(m, 0, MAILSRV_OP_MBOX_LIST, account, &arg, &asked);
        more = value != NULL && value->more != 0;
        if (value == NULL)
            mail_wrong(m, "MBOX_LIST fails", 0);
        for (uint32_t i = 0; value != NULL && i < value->n; i++) {
            const mailsrv_mbox_entry *entry = &value->entries[i];
            static const mailsrv_id none;
            if (sum != NULL)
                add(sum, entry->modseq * 256 + entry->attributes + entry->name.p[entry->name.n - 1]);
            else if (memcmp(&entry->mailbox, &none, sizeof none) != 0)
                match_name(m, account, entry, seen);
        }
        if (more)
            arg.cursor = value->next;
        mailsrv_asked_free(asked);
    }
    mail_close_box(m, &store);
}

/* Is what a MOVE made of a message there? */
static bool has_arrived(const struct account *a, const struct message *message)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; a->boxes[i].state == THERE && k < a->boxes[i].n; k++) {
            const struct message *copy = &a->boxes[i].messages[k];
            if (copy->copy == message->move && copy->number == message->number && copy->state == THERE)
                return true;
        }
    return false;
}

/* A MOVE that was not answered has done both, or neither. */
static void check_moves(struct mail *m, struct account *a)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < a->boxes[i].n; k++) {
            struct message *message = &a->boxes[i].messages[k];
            if (message->move != 0 && (message->state == GONE) != has_arrived(a, message))
                mail_wrong(m, "a MOVE is done in part", message->number);
            message->move = 0;
        }
}

static void check_account(struct mail *m, int account)
{
    struct account *a = &m->known.accounts[account];
    bool seen[BOXES_MAX] = { false };
    uint64_t modseq_max = 0;
    all_names(m, account, seen, NULL);
    for (size_t i = 0; i < a->n; i++) {
        struct box *box = &a->boxes[i];
        if (box->state == THERE && !seen[i])
            mail_wrong(m, "a mailbox is lost", (uint32_t)i);
        if (!seen[i])
            box->state = GONE;
        else
            check_box(m, account, box);
        if (box->looked_at > modseq_max) /* of changes that were not answered, too */
            modseq_max = box->looked_at;
    }
    if (modseq_max > a->modseq_max)
        a->modseq_max = modseq_max;
    check_moves(m, a);
}

/* ---- The queue ---- */

static void match_item(struct mail *m, const mailsrv_queue_item *found, bool seen[MESSAGES_MAX])
{
    char one[16], other[16];
    for (size_t i = 0; i < m->known.n_items; i++) {
        struct item *item = &m->known.items[i];
        mailsrv_bytes now = mail_record_of(item->number, item->version, one);
        mailsrv_bytes perhaps = mail_record_of(item->number, item->version_perhaps, other);
        bool is_now = found->record.n == now.n && memcmp(found->record.p, now.p, now.n) == 0;
        bool is_perhaps = found->record.n == perhaps.n && memcmp(found->record.p, perhaps.p, perhaps.n) == 0;
        if (!is_now && !(is_perhaps && item->version_perhaps > item->version))
            continue;
        uint32_t version = is_now ? item->version : item->version_perhaps;
        mailsrv_bytes lane = mail_lane_of(item->number, version);
        if (found->due_us != mail_due_of(item->number, version) || found->lane.n != lane.n ||
            (lane.n != 0 && memcmp(found->lane.p, lane.p, lane.n) != 0))
            mail_wrong(m, "a queue item has another time or lane than its record", item->number);
        if (item->state == GONE || (item->queue != 0 && item->queue != found->queue) || item->octets != found->octets)
            mail_wrong(m, "a queue item came back, or is another", item->number);
        item->version = version;
        item->queue = found->queue;
        item->state = THERE;
        seen[i] = true;
        return;
    }
    mail_wrong(m, "a queue item is not one that was queued", (uint32_t)found->queue);
}

/* Reads an item whole: it is what its number says. */
static void read_item(struct mail *m, const struct item *item)
{
    mailsrv_asked *asked;
    bool good = true;
    for (size_t at = 0; good && at < item->octets;) {
        mailsrv_arg_read arg = { .size = sizeof arg, .offset = at, .octets = item->octets, .queue = item->queue };
        const mailsrv_read_bytes *value = mail_hear(m, 0, MAILSRV_OP_READ, -1, &arg, &asked);
        good = value != NULL && value->octets.n != 0;
        for (size_t i = 0; good && i < value->octets.n; i++)
            good = value->octets.p[i] == mail_octet(item->number, at + i);
        at += good ? value->octets.n : 0;
        mailsrv_asked_free(asked);
    }
    if (!good)
        mail_wrong(m, "a queue item cannot be read, or is another", item->number);
    mail_settle(m);
}

/* How many items a scan in that order gives, with times that do not go back, each with its lane where one is given. */
static size_t count_in_order(struct mail *m, uint32_t order, mailsrv_bytes lane)
{
    mailsrv_arg_queue_scan arg = { .size = sizeof arg, .limit = 3, .order = order, .due_min_us = INT64_MIN,
                                   .due_max_us = INT64_MAX, .lane = lane };
    size_t n = 0;
    int64_t last = INT64_MIN;
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_queued *value = mail_hear(m, 0, MAILSRV_OP_QUEUE_SCAN, -1, &arg, &asked);
        more = value != NULL && value->more != 0;
        for (uint32_t i = 0; value != NULL && i < value->n; i++, n++) {
            const mailsrv_queue_item *item = &value->items[i];
            if (item->due_us < last || (order == MAILSRV_QUEUE_BY_LANE && item->lane.n != lane.n))
                mail_wrong(m, "QUEUE_SCAN is not in order", (uint32_t)item->queue);
            last = item->due_us;
        }
        if (more)
            arg.cursor = value->next;
        mailsrv_asked_free(asked);
    }
    return n;
}

/* Every index of the queue has what it must have, and each item can be read. */
static void check_orders(struct mail *m)
{
    static const mailsrv_bytes none;
    size_t n = 0, in_lanes = 0;
    for (size_t i = 0; i < m->known.n_items; i++) {
        if (m->known.items[i].state != THERE)
            continue;
        read_item(m, &m->known.items[i]);
        n++;
    }
    for (uint32_t lane = 0; lane < LANES; lane++)
        in_lanes += count_in_order(m, MAILSRV_QUEUE_BY_LANE, mail_lane_of(lane, 0));
    if (count_in_order(m, MAILSRV_QUEUE_BY_DUE, none) != n || in_lanes != n)
        mail_wrong(m, "an index of the queue has more or less than the queue", (uint32_t)n);
}

static void all_items(struct mail *m, bool seen[MESSAGES_MAX], uint64_t *sum)
{
    mailsrv_arg_queue_scan arg = { .size = sizeof arg, .limit = 10 };
    for (bool more = true; more;) {
        mailsrv_asked *asked;
        const mailsrv_queued *value = mail_hear(m, 0, MAILSRV_OP_QUEUE_SCAN, -1, &arg, &asked);
        more = value != NULL && value->more != 0;
        if (value == NULL)
            mail_wrong(m, "QUEUE_SCAN fails", 0);
        for (uint32_t i = 0; value != NULL && i < value->n; i++) {
            if (sum == NULL)
                match_item(m, &value->items[i], seen);
            else
                for (size_t k = 0; k < value->items[i].record.n; k++)
                    add(sum, value->items[i].record.p[k] + value->items[i].queue * 256);
        }
        if (more)
            arg.cursor = value->next;
        mailsrv_asked_free(asked);
    }
}

void mail_check(struct mail *m)
{
    bool seen[MESSAGES_MAX] = { false };
    check_account(m, 0);
    check_account(m, 1);
    all_items(m, seen, NULL);
    for (size_t i = 0; i < m->known.n_items; i++) {
        struct item *item = &m->known.items[i];
        if (item->state == THERE && !seen[i])
            mail_wrong(m, "a queue item is lost", item->number);
        if (!seen[i])
            item->state = GONE;
        item->version_perhaps = item->version;
    }
    check_orders(m);
    mail_raise_marks(m);
    m->must_look = false;
}

uint64_t mail_sum(struct mail *m)
{
    uint64_t sum = 1;
    for (int account = 0; account < 2; account++) {
        struct account *a = &m->known.accounts[account];
        all_names(m, account, NULL, &sum);
        for (size_t i = 0; i < a->n; i++) {
            struct look l;
            memset(&l, 0, sizeof l);
            l.m = m;
            l.account = account;
            l.sum = &sum;
            if (a->boxes[i].state == THERE && mail_open_box(m, account, &a->boxes[i], &l.opened)) {
                add(&sum, l.opened.value.uidnext);
                add(&sum, l.opened.value.modseq);
                add(&sum, l.opened.value.uidvalidity);
                all_rows(&l);
            }
            if (a->boxes[i].state == THERE)
                mail_close_box(m, &l.opened);
        }
    }
    all_items(m, NULL, &sum);
    return sum;
}
