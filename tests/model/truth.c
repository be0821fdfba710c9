#include "truth.h"

#include <stdlib.h>
#include <string.h>

bool truth_row(struct truth *t, uint32_t uid, mailsrv_row *out)
{
    uint64_t low = 0, high = mailsrv_memory_count(t->store, &t->account);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        mailsrv_memory_row(t->store, &t->account, middle, out);
        if (out->uid == uid)
            return true;
        if (out->uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* At most one operation was performed since the last look. */
static void look(struct truth *t)
{
    struct seen now[ROWS_MAX];
    uint64_t n = mailsrv_memory_count(t->store, &t->account), before = t->modseq;
    uint32_t i = 0;
    for (uint32_t k = 0; k < n; k++) {
        mailsrv_row row;
        mailsrv_memory_row(t->store, &t->account, k, &row);
        now[k] = (struct seen){ row.uid, row.modseq };
        t->modseq = row.modseq > t->modseq ? row.modseq : t->modseq;
        for (; i < t->n_rows && t->rows[i].uid < row.uid; i++)
            t->gone_at[t->rows[i].uid] = before + 1;
        if (i < t->n_rows && t->rows[i].uid == row.uid)
            t->changes[row.uid] += t->rows[i++].modseq != row.modseq;
    }
    for (; i < t->n_rows; i++)
        t->gone_at[t->rows[i].uid] = before + 1;
    for (uint32_t k = 0; k < t->n_rows; k++)
        if (t->gone_at[t->rows[k].uid] > t->modseq)
            t->modseq = t->gone_at[t->rows[k].uid];
    t->n_rows = (uint32_t)n;
    memcpy(t->rows, now, t->n_rows * sizeof *now);
}

void truth_perform(struct truth *t, mailsrv_engine *engine, const mailsrv_op *op, bool fails)
{
    truth_lock(t);
    mailsrv_memory_set_u64(t->store, MAILSRV_MEMORY_FAIL_NTH, fails);
    mailsrv_memory_handle(t->store, engine, op);
    mailsrv_memory_set_u64(t->store, MAILSRV_MEMORY_FAIL_NTH, 0);
    look(t);
    truth_unlock(t);
}

void truth_deliver(struct truth *t)
{
    truth_lock(t);
    if (t->n_rows < MESSAGES)
        mailsrv_memory_append(t->store, &t->account, "x\r\n", 3);
    look(t);
    truth_unlock(t);
}

void truth_set(struct truth *t, int32_t key, uint64_t value)
{
    truth_lock(t);
    mailsrv_memory_set_u64(t->store, key, value);
    truth_unlock(t);
}

uint64_t truth_modseq(struct truth *t)
{
    truth_lock(t);
    uint64_t modseq = t->modseq;
    truth_unlock(t);
    return modseq;
}

uint32_t truth_rows(struct truth *t)
{
    truth_lock(t);
    uint32_t n = t->n_rows;
    truth_unlock(t);
    return n;
}

void truth_init(struct truth *t)
{
    memset(t, 0, sizeof *t);
    if (pthread_mutex_init(&t->mutex, NULL) != 0 || mailsrv_memory_new(NULL, &t->store) != MAILSRV_OK ||
        mailsrv_memory_add_account(t->store, "pat", 3, "", 0, &t->account) != MAILSRV_OK)
        abort();
}

void truth_fini(struct truth *t)
{
    mailsrv_store_free(t->store);
    pthread_mutex_destroy(&t->mutex);
}
