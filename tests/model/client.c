#include "model.h"

static bool same_marks(const struct marks *a, const mailsrv_row *row)
{
    return a->flags == row->flags && a->keywords[0] == row->keywords[0] && a->keywords[1] == row->keywords[1];
}

static uint64_t combine(int32_t how, uint64_t old, uint64_t given)
{
    if (how == MAILSRV_FLAGS_ADD)
        return old | given;
    return how == MAILSRV_FLAGS_REMOVE ? old & ~given : given;
}

static void client_removes(struct model *m, struct session *s, uint32_t number)
{
    if (!expect(m, number >= 1 && number <= s->n, "EXPUNGE of a number that the client does not have"))
        return;
    expect(m, m->truth->gone_at[s->list[number - 1].uid] != 0, "EXPUNGE of a message that is there");
    memmove(&s->list[number - 1], &s->list[number], (s->n - number) * sizeof *s->list);
    s->n--;
}

static void client_vanishes(struct model *m, struct session *s, mailsrv_run uids)
{
    for (uint32_t uid = uids.first; uid <= uids.last && m->fault == NULL; uid++) {
        uint32_t i = 0;
        while (i < s->n && s->list[i].uid != uid)
            i++;
        if (expect(m, i < s->n, "VANISHED of a UID that the client does not have"))
            client_removes(m, s, i + 1);
    }
}

void client_grows(struct model *m, struct session *s, uint32_t exists)
{
    expect(m, exists > s->n, "EXISTS that does not grow");
    while (s->n < exists && m->fault == NULL) {
        uint32_t uid = mailsrv__view_uid(&s->view, s->n + 1);
        if (!expect(m, s->n == 0 || uid > s->list[s->n - 1].uid, "a new message with an old UID"))
            return;
        struct msg *msg = &s->list[s->n++];
        *msg = (struct msg){ .uid = uid };
        if (!mailsrv__view_is_gone(&s->view, uid))
            msg->marks = mailsrv__image_marks(s->view.image, uid);
    }
}

static void client_fetches(struct model *m, struct session *s, const struct told *told)
{
    bool there = told->number >= 1 && told->number <= s->n && s->list[told->number - 1].uid == told->uid;
    if (!expect(m, there, "FETCH with a number that is another message's"))
        return;
    struct msg *msg = &s->list[told->number - 1];
    if (told->modseq_alone)
        return;
    bool all_own = msg->clean && msg->own == 1 && m->truth->changes[told->uid] - msg->base == 1;
    expect(m, !all_own || s->view.phase == PHASE_ROWS, "FETCH of one's own silent change alone");
    msg->marks = told->marks;
}

/* Who comes back with this value must have missed nothing up to it. */
static void client_keeps(struct model *m, struct session *s, uint64_t highest)
{
    mailsrv_row row;
    expect(m, highest >= s->highest, "HIGHESTMODSEQ that falls");
    s->highest = highest;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct msg *msg = &s->list[i];
        uint64_t gone = m->truth->gone_at[msg->uid];
        expect(m, gone == 0 || gone > highest, "HIGHESTMODSEQ above an EXPUNGE that was not told");
        if (gone == 0 && truth_row(m->truth, msg->uid, &row) && row.modseq <= highest)
            expect(m, same_marks(&msg->marks, &row), "HIGHESTMODSEQ above flags that were not told");
    }
    for (uint32_t i = 0, k = 0; i < m->truth->n_rows; i++) {
        while (k < s->n && s->list[k].uid < m->truth->rows[i].uid)
            k++;
        expect(m, m->truth->rows[i].modseq > highest || (k < s->n && s->list[k].uid == m->truth->rows[i].uid),
               "HIGHESTMODSEQ above a message that was not told");
    }
}

static void hears(struct model *m, struct session *s, const struct told *told)
{
    m->told[told->kind]++;
    bool expunges = told->kind == TOLD_EXPUNGE || told->kind == TOLD_VANISHED;
    expect(m, !expunges || s->tells == TELLS_ALL, "EXPUNGE where numbers are in use");
    if (told->kind == TOLD_EXPUNGE)
        client_removes(m, s, told->number);
    else if (told->kind == TOLD_VANISHED)
        client_vanishes(m, s, told->uids);
    else if (told->kind == TOLD_EXISTS)
        client_grows(m, s, told->number);
    else if (told->kind == TOLD_FETCH)
        client_fetches(m, s, told);
    expect(m, mailsrv__view_exists(&s->view) == s->n, "the view has another number of messages than the client");
    if (m->fault != NULL || s->n == 0)
        return;
    uint32_t number = 1 + below(m, s->n), uid = s->list[number - 1].uid;
    expect(m, mailsrv__view_number(&s->view, uid) == number, "a UID has another number than the client's");
    expect(m, mailsrv__view_uid(&s->view, number) == uid, "a number is another message's than the client's");
    uint32_t after = number == s->n ? 0 : s->list[number].uid;
    expect(m, mailsrv__view_after(&s->view, uid) == after, "another message comes next than the client's");
}

void client_hears(struct model *m, struct session *s, const struct told *told)
{
    truth_lock(m->truth);
    hears(m, s, told);
    truth_unlock(m->truth);
}

/* Where sizes are there, they are those of every row that the image and the store have. */
static void knows_sizes(struct model *m, const struct session *s, uint32_t uid, const mailsrv_row *row)
{
    struct marks marks;
    struct sizes sizes;
    if (mailsrv__view_has(&s->view, GROUP_SIZES) != MAILSRV_OK || !mailsrv__view_marks(&s->view, uid, &marks))
        return;
    m->sized++;
    expect(m, mailsrv__view_sizes(&s->view, uid, &sizes), "a size that is not there");
    expect(m, sizes.octets == row->octets && sizes.internal_us == row->internal_us, "another message's size");
}

/* What was silent is told or known; a row that is newer in the store will be told later. */
static void rests(struct model *m, struct session *s)
{
    mailsrv_row row;
    for (uint32_t i = 0; i < s->n; i++) {
        struct msg *msg = &s->list[i];
        expect(m, mailsrv__view_uid(&s->view, i + 1) == msg->uid, "a number is another message's than the client's");
        expect(m, mailsrv__view_number(&s->view, msg->uid) == i + 1, "a UID has another number than the client's");
        bool there = truth_row(m->truth, msg->uid, &row);
        msg->clean = there && row.modseq <= s->view.told;
        if (there)
            knows_sizes(m, s, msg->uid, &row);
        msg->base = m->truth->changes[msg->uid];
        msg->own = 0;
    }
    client_keeps(m, s, mailsrv__view_highest(&s->view));
}

void client_rests(struct model *m, struct session *s)
{
    truth_lock(m->truth);
    rests(m, s);
    truth_unlock(m->truth);
}

static void stores(struct model *m, struct session *s, uint64_t modseq)
{
    mailsrv_row row;
    for (uint32_t i = 0; i < s->n; i++) {
        struct msg *msg = &s->list[i];
        if (msg->uid < s->run.first || msg->uid > s->run.last)
            continue;
        msg->marks.flags = (uint8_t)combine(s->ask.how, msg->marks.flags, s->ask.flags);
        for (int w = 0; w < 2; w++)
            msg->marks.keywords[w] = combine(s->ask.how, msg->marks.keywords[w], s->ask.keywords[w]);
        msg->own += modseq != 0 && truth_row(m->truth, msg->uid, &row) && row.modseq == modseq;
    }
}

void client_stores(struct model *m, struct session *s, uint64_t modseq)
{
    truth_lock(m->truth);
    stores(m, s, modseq);
    truth_unlock(m->truth);
}

static void compare(struct model *m)
{
    mailsrv_row row;
    for (int i = 0; i < m->n_sessions && m->fault == NULL; i++) {
        const struct session *s = &m->sessions[i];
        expect(m, s->n == m->truth->n_rows, "a client at rest has another number of messages than the store");
        for (uint32_t k = 0; k < s->n && m->fault == NULL; k++) {
            mailsrv_memory_row(m->truth->store, &m->truth->account, k, &row);
            expect(m, s->list[k].uid == row.uid, "a client at rest has another message than the store");
            expect(m, same_marks(&s->list[k].marks, &row), "a client at rest has other flags than the store");
        }
    }
}

void clients_compare(struct model *m)
{
    truth_lock(m->truth);
    compare(m);
    truth_unlock(m->truth);
}
