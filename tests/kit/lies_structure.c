#include "liar.h"

static bool has_structures(const struct telling *t)
{
    return t->op.kind == MAILSRV_OP_ROWS && t->status == MAILSRV_OK &&
           (((const mailsrv_arg_rows *)t->op.arg)->fields & MAILSRV_ROW_STRUCTURE) != 0;
}

static mailsrv_row *row_of(struct telling *t, uint32_t i)
{
    return (mailsrv_row *)(uintptr_t)&t->reply.value.rows.rows[i];
}

static void gives_it_to_the_next(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (has_structures(t) && t->reply.value.rows.n == 3 && row_of(t, 0)->structure.n == 700)
        row_of(t, 1)->structure = row_of(t, 0)->structure;
}

static void makes_one_up(struct liar *liar, struct telling *t)
{
    if (has_structures(t) && t->reply.value.rows.n == 1 && row_of(t, 0)->structure.n == 0)
        row_of(t, 0)->structure = (mailsrv_bytes){ liar->is.octets, 1 };
}

/* Two pages are told as one, with the structure of a row that was there. */
static void tells_too_many(struct liar *liar, struct telling *t)
{
    (void)liar;
    mailsrv_rows *rows = &t->reply.value.rows;
    if (!has_structures(t) || rows->n != 2 || row_of(t, 0)->structure.n != 30000)
        return;
    *row_of(t, 2) = *row_of(t, 1);
    rows->n = 3;
}

static void cuts_it(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (has_structures(t) && t->reply.value.rows.n == 1 && row_of(t, 0)->structure.n > MAILSRV_ROWS_STRUCTURE_MAX)
        row_of(t, 0)->structure.n = MAILSRV_ROWS_STRUCTURE_MAX;
}

static void loses_it(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (has_structures(t) && t->reply.value.rows.n == 1 && row_of(t, 0)->structure.n == 900)
        row_of(t, 0)->structure.n = 0;
}

static void forgets_the_prefix(struct liar *liar, struct telling *t)
{
    (void)liar;
    if (has_structures(t) && t->reply.value.rows.n == 1 && row_of(t, 0)->structure.n == 800)
        row_of(t, 0)->prefix_octets = 0;
}

const struct lie lies_structure[] = {
    { .check = "structures come with their rows", .what = "each with that of the one before",
      .after = gives_it_to_the_next },
    { .check = "a message without a structure has none", .what = "it has one", .after = makes_one_up },
    { .check = "a page of structures is not too large", .what = "it has one more", .after = tells_too_many },
    { .check = "a large structure comes alone", .what = "it is cut", .after = cuts_it },
    { .check = "structures are kept", .what = "they are not", .after = loses_it },
    { .check = "a copy has the structure of its original", .what = "but not the prefix", .after = forgets_the_prefix },
    { 0 },
};
