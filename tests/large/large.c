#include "large.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 256 };

static const int32_t kinds[] = { MAILSRV_OP_STORE_OPEN, MAILSRV_OP_STORE_CLOSE, MAILSRV_OP_MBOX_OPEN,
                                 MAILSRV_OP_MBOX_CLOSE, MAILSRV_OP_ROWS,        MAILSRV_OP_CHANGES,
                                 MAILSRV_OP_FLAGS,      MAILSRV_OP_EXPUNGE };

/* The cursor of a page. */
struct place {
    uint64_t upto;
    uint32_t uid; /* up to this one all is told */
    uint32_t rows; /* 1: the rows, behind what vanished */
};

/* What is lent is copied before the answering returns. */
static mailsrv_row rows[PAGE];
static mailsrv_run vanished[PAGE];

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL)
        abort();
    return p;
}

void large_init(struct large *l, const uint32_t messages[LARGE_BOXES])
{
    memset(l, 0, sizeof *l);
    for (uint32_t i = 0; i < LARGE_BOXES; i++) {
        struct large_box *box = &l->boxes[i];
        box->n = messages[i];
        size_t room = (size_t)box->n + LARGE_SPARE + 1;
        box->modseq = zeroed(room * sizeof *box->modseq);
        box->flags = zeroed(room);
        box->gone = zeroed(room * sizeof *box->gone);
        for (uint32_t uid = 1; uid <= box->n; uid++)
            box->modseq[uid] = ++box->upto;
    }
}

void large_fini(struct large *l)
{
    for (uint32_t i = 0; i < LARGE_BOXES; i++) {
        free(l->boxes[i].modseq);
        free(l->boxes[i].flags);
        free(l->boxes[i].gone);
    }
}

mailsrv_id large_id(uint32_t box)
{
    return (mailsrv_id){ { 1, (uint8_t)box } };
}

uint64_t large_octets(uint32_t uid)
{
    return 1000 + uid;
}

void large_append(struct large *l, uint32_t i, uint32_t n)
{
    struct large_box *box = &l->boxes[i];
    for (; n != 0; n--)
        box->modseq[++box->n] = ++box->upto;
}

void large_flag_all(struct large *l, uint32_t i, uint8_t flags)
{
    struct large_box *box = &l->boxes[i];
    box->upto++;
    for (uint32_t uid = 1; uid <= box->n; uid++) {
        if (box->gone[uid] || box->flags[uid] == flags)
            continue;
        box->flags[uid] = flags;
        box->modseq[uid] = box->upto;
    }
}

void large_expunge_every(struct large *l, uint32_t i, uint32_t n)
{
    struct large_box *box = &l->boxes[i];
    box->upto++;
    for (uint32_t uid = n; uid <= box->n; uid += n) {
        if (!box->gone[uid])
            box->modseq[uid] = box->upto;
        box->gone[uid] = true;
    }
}

/* ---- Answers ---- */

static void answer(mailsrv_engine *engine, const mailsrv_op *op, const void *value)
{
    const mailsrv_answer a = { .size = sizeof a, .value = value };
    if (mailsrv_op_answer(engine, op->id, &a) != MAILSRV_OK)
        abort();
}

static void open_store(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_store_opened opened = { .size = sizeof opened, .store = 1 };
    l->open++;
    answer(engine, op, &opened);
}

static void open_box(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_mbox_open *arg = op->arg;
    uint32_t i = arg->mailbox.b[1];
    struct large_box *box = &l->boxes[i];
    mailsrv_mbox_opened opened = { .size = sizeof opened, .uidvalidity = 1, .mbox = i + 1, .mailbox = arg->mailbox,
                                   .modseq = box->upto, .uidnext = box->n + 1, .features = MAILSRV_MBOX_HISTORY };
    for (uint32_t uid = 1; uid <= box->n; uid++)
        opened.exists += !box->gone[uid];
    box->open++;
    answer(engine, op, &opened);
}

static void close_one(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    if (op->kind == MAILSRV_OP_STORE_CLOSE)
        l->open--;
    else
        l->boxes[((const mailsrv_arg_close *)op->arg)->handle - 1].open--;
    answer(engine, op, NULL);
}

static struct place place_of(const mailsrv_cursor *cursor)
{
    struct place place;
    memcpy(&place, cursor->b, sizeof place);
    return place;
}

static mailsrv_cursor cursor_of(const struct place *place)
{
    mailsrv_cursor cursor = { { 0 } };
    memcpy(cursor.b, place, sizeof *place);
    return cursor;
}

/* What was not asked for is not there. */
static void put_row(const struct large_box *box, uint32_t uid, uint32_t fields, uint32_t n)
{
    rows[n] = (mailsrv_row){ .uid = uid, .flags = box->flags[uid], .modseq = box->modseq[uid] };
    if ((fields & MAILSRV_ROW_OCTETS) != 0)
        rows[n].octets = large_octets(uid);
    if ((fields & MAILSRV_ROW_INTERNALDATE) != 0)
        rows[n].internal_us = uid;
}

static uint32_t page_of(uint32_t limit)
{
    return limit < PAGE ? limit : PAGE;
}

/* What a page is asked for. */
struct wish {
    uint64_t since;
    uint32_t fields, limit;
};

/* The rows behind place->uid; false: there are more. */
static bool fill_rows(const struct large_box *box, struct place *place, const struct wish *wish, uint32_t *n)
{
    for (uint32_t uid = place->uid + 1; uid <= box->n; uid++) {
        if (box->gone[uid] || box->modseq[uid] <= wish->since)
            continue;
        if (*n == page_of(wish->limit))
            return false;
        put_row(box, uid, wish->fields, (*n)++);
        place->uid = uid;
    }
    return true;
}

static void tell_rows(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_rows *arg = op->arg;
    struct place place = place_of(&arg->cursor);
    mailsrv_rows page = { .size = sizeof page, .stride = sizeof *rows, .rows = rows };
    const struct wish wish = { 0, arg->fields, arg->limit };
    page.more = !fill_rows(&l->boxes[arg->mbox - 1], &place, &wish, &page.n);
    page.next = cursor_of(&place);
    answer(engine, op, &page);
}

static bool fill_vanished(const struct large_box *box, struct place *place, const struct wish *wish,
                          mailsrv_changes *page)
{
    for (uint32_t uid = place->uid + 1; uid <= box->n; uid++) {
        if (!box->gone[uid] || box->modseq[uid] <= wish->since)
            continue;
        if (page->n_vanished == page_of(wish->limit))
            return false;
        vanished[page->n_vanished++] = (mailsrv_run){ uid, uid };
        place->uid = uid;
    }
    *place = (struct place){ .upto = place->upto, .rows = 1 };
    return true;
}

static void tell_changes(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_changes *arg = op->arg;
    const struct large_box *box = &l->boxes[arg->mbox - 1];
    const struct wish wish = { arg->since, arg->fields, arg->limit };
    struct place place = place_of(&arg->cursor);
    if (place.upto == 0)
        place.upto = box->upto;
    mailsrv_changes page = { .size = sizeof page, .stride = sizeof *rows, .rows = rows, .vanished = vanished,
                             .upto = place.upto };
    if (arg->since != box->upto)
        page.more = (place.rows == 0 && !fill_vanished(box, &place, &wish, &page)) ||
                    !fill_rows(box, &place, &wish, &page.n);
    page.next = cursor_of(&place);
    answer(engine, op, &page);
}

static uint8_t apply(int32_t how, uint8_t old, uint32_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return (uint8_t)(old | given);
    return (uint8_t)(how == MAILSRV_FLAGS_REMOVE ? old & ~given : given);
}

static void change_flags(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_flags *arg = op->arg;
    struct large_box *box = &l->boxes[arg->mbox - 1];
    const mailsrv_flagged flagged = { .size = sizeof flagged, .modseq = ++box->upto };
    for (uint32_t i = 0; i < arg->n_uids; i++)
        for (uint32_t uid = arg->uids[i].first; uid <= arg->uids[i].last && uid <= box->n; uid++) {
            box->flags[uid] = apply(arg->how, box->flags[uid], arg->flags);
            box->modseq[uid] = box->gone[uid] ? box->modseq[uid] : box->upto;
        }
    answer(engine, op, &flagged);
}

static void expunge(struct large *l, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_expunge *arg = op->arg;
    struct large_box *box = &l->boxes[arg->mbox - 1];
    const mailsrv_expunged expunged = { .size = sizeof expunged, .modseq = ++box->upto };
    for (uint32_t i = 0; i < arg->n_uids; i++)
        for (uint32_t uid = arg->uids[i].first; uid <= arg->uids[i].last && uid <= box->n; uid++) {
            box->modseq[uid] = box->gone[uid] ? box->modseq[uid] : box->upto;
            box->gone[uid] = true;
        }
    answer(engine, op, &expunged);
}

static void handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct large *l = user;
    l->asked[op->kind]++;
    switch (op->kind) {
    case MAILSRV_OP_STORE_OPEN:
        open_store(l, engine, op);
        break;
    case MAILSRV_OP_MBOX_OPEN:
        open_box(l, engine, op);
        break;
    case MAILSRV_OP_ROWS:
        tell_rows(l, engine, op);
        break;
    case MAILSRV_OP_CHANGES:
        tell_changes(l, engine, op);
        break;
    case MAILSRV_OP_FLAGS:
        change_flags(l, engine, op);
        break;
    case MAILSRV_OP_EXPUNGE:
        expunge(l, engine, op);
        break;
    default:
        close_one(l, engine, op);
        break;
    }
}

int32_t large_bind(struct large *l, mailsrv_engine *engine)
{
    int32_t status = MAILSRV_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && status == MAILSRV_OK; i++)
        status = mailsrv_engine_serve(engine, kinds[i], handle, l);
    return status;
}
