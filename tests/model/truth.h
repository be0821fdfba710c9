/* The store of the model, and what is true of it: kept after each operation, which are performed one after the other,
 * also where two threads ask them. */
#ifndef MODEL_TRUTH_H
#define MODEL_TRUTH_H

#include <mailsrv/store.h>
#include <mailsrv/stores/memory.h>

#include <pthread.h>
#include <stdbool.h>

enum { MESSAGES = 60, ROWS_MAX = 2 * MESSAGES + 64, UIDS = 1 << 20 };

struct seen {
    uint32_t uid;
    uint64_t modseq;
};

struct truth {
    pthread_mutex_t mutex; /* of everything here, the store included */
    mailsrv_store *store;
    mailsrv_id account, inbox;
    struct seen rows[ROWS_MAX];
    uint32_t n_rows;
    uint64_t modseq;
    uint64_t gone_at[UIDS]; /* by UID: when it vanished; 0: not yet */
    uint32_t changes[UIDS];
};

void truth_init(struct truth *truth);
void truth_fini(struct truth *truth);

/* ---- While nobody has it locked ---- */

/* Performs an operation that was taken from `engine`, and answers it. */
void truth_perform(struct truth *truth, mailsrv_engine *engine, const mailsrv_op *op, bool fails);

/* New mail, unless there is much; and knobs. */
void truth_deliver(struct truth *truth);
void truth_set(struct truth *truth, int32_t key, uint64_t value);
uint64_t truth_modseq(struct truth *truth);
uint32_t truth_rows(struct truth *truth);

/* ---- While it is locked ---- */

static inline void truth_lock(struct truth *truth)
{
    pthread_mutex_lock(&truth->mutex);
}

static inline void truth_unlock(struct truth *truth)
{
    pthread_mutex_unlock(&truth->mutex);
}

/* False: there is no such message. */
bool truth_row(struct truth *truth, uint32_t uid, mailsrv_row *out);

#endif
