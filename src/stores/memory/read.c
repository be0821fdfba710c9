#include "memory.h"

#include <string.h>

struct place mailsrv__memory_place(const mailsrv_cursor *cursor)
{
    struct place place = { .empty_given = cursor->b[1] != 0, .rows = cursor->b[2] != 0 };
    for (int i = 0; i < 8; i++) {
        place.from |= (uint64_t)cursor->b[8 + i] << (8 * i);
        place.upto |= (uint64_t)cursor->b[16 + i] << (8 * i);
    }
    for (int i = 0; i < 4; i++)
        place.end |= (uint32_t)cursor->b[4 + i] << (8 * i);
    return place;
}

mailsrv_cursor mailsrv__memory_cursor(struct place place)
{
    mailsrv_cursor cursor;
    memset(&cursor, 0, sizeof cursor);
    cursor.b[0] = 1; /* never all zero: that is the start */
    cursor.b[1] = place.empty_given;
    cursor.b[2] = place.rows;
    for (int i = 0; i < 8; i++) {
        cursor.b[8 + i] = (uint8_t)(place.from >> (8 * i));
        cursor.b[16 + i] = (uint8_t)(place.upto >> (8 * i));
    }
    for (int i = 0; i < 4; i++)
        cursor.b[4 + i] = (uint8_t)(place.end >> (8 * i));
    return cursor;
}

bool mailsrv__memory_is_start(const mailsrv_cursor *cursor)
{
    static const mailsrv_cursor start;
    return memcmp(cursor, &start, sizeof start) == 0;
}

bool mailsrv__memory_empty_first(const struct memory *m, const struct place *place)
{
    return m->knobs[MAILSRV_MEMORY_PAGE_ROWS] != 0 && !place->empty_given;
}

uint32_t mailsrv__memory_page(const struct memory *m, uint32_t limit)
{
    uint32_t most = limit < PAGE_MAX ? limit : PAGE_MAX;
    uint64_t knob = m->knobs[MAILSRV_MEMORY_PAGE_ROWS];
    return knob != 0 && knob < most ? (uint32_t)knob : most;
}

struct mailbox *mailsrv__memory_of_handle(const struct handle *h)
{
    return h->mailbox != NULL && !h->mailbox->gone && h->uidvalidity == h->mailbox->uidvalidity ? h->mailbox : NULL;
}

struct mailbox *mailsrv__memory_opened(struct memory *m, uint64_t number)
{
    const struct handle *h = mailsrv__memory_handle_find(m, number, HANDLE_MAILBOX);
    return h != NULL ? mailsrv__memory_of_handle(h) : NULL;
}

/* Adds a message to the page.  False: its structure, behind those that are there, is more than a page has. */
static bool add_row(struct memory *m, const struct message *message, uint32_t fields, uint32_t n, size_t *structures)
{
    mailsrv_row *row = &m->page.rows[n];
    *row = message->row;
    if ((fields & MAILSRV_ROW_STRUCTURE) == 0)
        return true;
    *structures += message->body->n_structure;
    row->structure = (mailsrv_bytes){ message->body->structure, message->body->n_structure };
    row->prefix_octets = message->n_prefix;
    return n == 0 || *structures <= MAILSRV_ROWS_STRUCTURE_MAX;
}

/* Fills the page with the rows of `arg->uids` from `place->from` on; returns how many.  `place->from` is 0 at the end,
 * which no row that follows can be. */
static uint32_t fill_page(struct memory *m, const struct shelf *shelf, const mailsrv_arg_rows *arg,
                          struct place *place)
{
    uint32_t n = 0, most = mailsrv__memory_page(m, arg->limit);
    size_t structures = 0;
    for (uint32_t i = 0; i < arg->n_uids; i++) {
        uint64_t first = arg->uids[i].first > place->from ? arg->uids[i].first : place->from;
        for (size_t at = mailsrv__memory_shelf_uid(shelf, first); at < shelf->n; at++) {
            if (shelf->v[at]->row.uid > arg->uids[i].last)
                break;
            if (n == most || !add_row(m, shelf->v[at], arg->fields, n, &structures)) {
                place->from = shelf->v[at]->row.uid;
                return n;
            }
            n++;
        }
    }
    place->from = 0;
    return n;
}

int32_t mailsrv__memory_rows(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_rows *arg = op->arg;
    struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL)
        return MAILSRV_NONEXISTENT;
    struct place place = mailsrv__memory_place(&arg->cursor);
    mailsrv_rows *rows = &r->value.rows;
    r->has_value = true;
    rows->size = sizeof *rows;
    rows->stride = sizeof(mailsrv_row);
    rows->rows = m->page.rows;
    if (mailsrv__memory_empty_first(m, &place)) {
        place.empty_given = true;
        rows->more = 1;
    } else {
        place.empty_given = false;
        rows->n = fill_page(m, &mbox->shelf, arg, &place);
        rows->more = place.from != 0;
    }
    if (rows->more)
        rows->next = mailsrv__memory_cursor(place);
    return MAILSRV_OK;
}

static void release_message(void *user)
{
    struct message *message = user;
    message->memory->lent--;
    mailsrv__memory_message_unref(message);
}

static void release_body(void *user)
{
    struct body *body = user;
    body->memory->lent--;
    mailsrv__memory_body_unref(body);
}

static void answer_octets(struct memory *m, const mailsrv_arg_read *arg, mailsrv_bytes octets, struct reply *r)
{
    uint64_t most = arg->octets, knob = m->knobs[MAILSRV_MEMORY_READ_OCTETS];
    if (knob != 0 && knob < most)
        most = knob;
    r->has_value = true;
    r->value.read_bytes.size = sizeof r->value.read_bytes;
    r->value.read_bytes.octets.p = octets.p;
    r->value.read_bytes.octets.n = octets.n < most ? octets.n : (size_t)most;
}

/* Does this answer lend?  Then what it lends is held until the release. */
static bool lends(struct memory *m, const struct reply *r)
{
    if (m->knobs[MAILSRV_MEMORY_READ_LENDS] == 0 || r->value.read_bytes.octets.n == 0)
        return false;
    m->lent++;
    return true;
}

static int32_t read_staged(struct memory *m, const mailsrv_arg_read *arg, struct reply *r)
{
    struct handle *h = mailsrv__memory_handle_find(m, arg->body, HANDLE_BODY);
    if (h == NULL)
        return MAILSRV_CANNOT;
    answer_octets(m, arg, mailsrv__memory_body_at(h->body, arg->offset), r);
    if (lends(m, r)) {
        h->body->refs++;
        r->release = release_body;
        r->user = h->body;
    }
    return MAILSRV_OK;
}

/* A message, by the handle of its first reading, by its number in the queue or by its UID; NULL: it is not there. */
static struct message *asked_for(struct memory *m, const mailsrv_arg_read *arg)
{
    if (arg->handle != 0) {
        struct handle *h = mailsrv__memory_handle_find(m, arg->handle, HANDLE_READ);
        return h != NULL ? h->message : NULL;
    }
    if (arg->mbox == 0)
        return mailsrv__memory_queued(m, arg->queue);
    struct mailbox *mbox = mailsrv__memory_opened(m, arg->mbox);
    if (mbox == NULL)
        return NULL;
    size_t at = mailsrv__memory_shelf_uid(&mbox->shelf, arg->uid);
    return at < mbox->shelf.n && mbox->shelf.v[at]->row.uid == arg->uid ? mbox->shelf.v[at] : NULL;
}

/* A reading goes on through its handle though the message is expunged; without memory for a handle there is none. */
static void begin_reading(struct memory *m, const struct binding *from, struct message *message, struct reply *r)
{
    struct handle *h = mailsrv__memory_handle_new(m, from, HANDLE_READ);
    if (h == NULL)
        return;
    h->message = message;
    message->refs++;
    r->value.read_bytes.handle = h->number;
}

int32_t mailsrv__memory_read(struct memory *m, const struct binding *from, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_read *arg = op->arg;
    if (arg->mbox == 0 && arg->body != 0)
        return read_staged(m, arg, r);
    struct message *message = asked_for(m, arg);
    if (message == NULL)
        return MAILSRV_GONE;
    answer_octets(m, arg, mailsrv__memory_message_at(message, arg->offset), r);
    if (arg->handle == 0 && m->knobs[MAILSRV_MEMORY_READ_HANDLES] != 0)
        begin_reading(m, from, message, r);
    if (lends(m, r)) {
        message->refs++;
        r->release = release_message;
        r->user = message;
    }
    return MAILSRV_OK;
}
