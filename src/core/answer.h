/* Answers of kinds that only some machines ask, and what the files that check and copy answers share. */
#ifndef CORE_ANSWER_H
#define CORE_ANSWER_H

#include "core/op.h"

/* What becomes of answers: of all kinds that a machine asks, and that who only receives mail does not. */
struct answers {
    const struct answers *holds; /* another table, which this one stands for, too; NULL: none */
    /* Can what the value points to be read? */
    bool (*is_whole)(const mailsrv_op *op, const void *value);
    /* Copies that; false: no memory. */
    bool (*copy)(struct op *op);
    /* Says what a write that was done has changed: mailsrv__changed_add, mailsrv__changed_names. */
    void (*changed)(const struct op *op);
};

/* From now on the engine's answers are looked at by this table, or by one that stands for it. */
static inline void mailsrv__answers_use(mailsrv_engine *e, const struct answers *answers)
{
    if (e->answers == NULL || e->answers->holds != answers)
        e->answers = answers;
}

/* ---- answer.c ---- */
bool mailsrv__bytes_are_there(mailsrv_bytes bytes);
/* A list that a value points to: there, and its rows no smaller than what is read of them. */
bool mailsrv__list_is_whole(const void *rows, uint32_t n, uint32_t stride, size_t row_octets);
/* Room for what a list's rows and bytes need; they are copied by the same walk that counts them. */
void *mailsrv__copy_room(struct op *op, size_t octets);
mailsrv_bytes mailsrv__put_bytes(uint8_t **to, mailsrv_bytes from);

/* ---- changed.c ---- */
void mailsrv__changed_add(mailsrv_engine *e, const mailsrv_id *account, const mailsrv_id *mailbox, uint64_t modseq);
/* Mailboxes of the account are others than before, or called otherwise. */
void mailsrv__changed_names(mailsrv_engine *e, const mailsrv_id *account, uint64_t modseq);

/* ---- store_changed.c ---- */
void mailsrv__store_changed(const struct op *op);

#endif
