#include "mailbox/columns.h"

#include <string.h>

enum { PIECE_ROWS = 4096, PIECES_MAX = 8192, ROWS_FIRST = 16, WORDS = 2 };

struct piece {
    uint32_t before; /* rows in the pieces before this one */
    uint32_t n, room;
    uint64_t *modseq;
    uint64_t *keywords[WORDS]; /* NULL: no bit of the word is set in this piece */
    uint8_t *flags;
};

void mailsrv__columns_init(struct columns *c, struct heap *heap)
{
    *c = (struct columns){ .heap = heap };
}

static void *take(struct columns *c, size_t n)
{
    return mailsrv__heap_take(c->heap, CLASS_IMAGES, NULL, n);
}

static void give(struct columns *c, void *p, size_t n)
{
    mailsrv__heap_give(c->heap, CLASS_IMAGES, NULL, p, n);
}

static void give_columns(struct columns *c, struct piece *p)
{
    give(c, p->modseq, p->room * sizeof *p->modseq);
    give(c, p->flags, p->room * sizeof *p->flags);
    for (int w = 0; w < WORDS; w++)
        give(c, p->keywords[w], p->room * sizeof *p->keywords[w]);
}

static void give_piece(struct columns *c, struct piece *p)
{
    give_columns(c, p);
    give(c, p, sizeof *p);
}

void mailsrv__columns_clear(struct columns *c)
{
    for (uint32_t i = 0; i < c->n_pieces; i++)
        give_piece(c, c->pieces[i]);
    give(c, c->pieces, c->room * sizeof *c->pieces);
    mailsrv__columns_init(c, c->heap);
}

static uint32_t piece_of(const struct columns *c, uint32_t index)
{
    uint32_t low = 0, high = c->n_pieces - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (c->pieces[middle]->before <= index)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

struct marks mailsrv__columns_get(const struct columns *c, uint32_t index)
{
    const struct piece *p = c->pieces[piece_of(c, index)];
    uint32_t i = index - p->before;
    struct marks marks = { p->modseq[i], { 0, 0 }, p->flags[i] };
    for (int w = 0; w < WORDS; w++)
        if (p->keywords[w] != NULL)
            marks.keywords[w] = p->keywords[w][i];
    return marks;
}

/* Makes the words of keywords that `marks` needs. */
static bool make_words(struct columns *c, struct piece *p, const struct marks *marks)
{
    for (int w = 0; w < WORDS; w++) {
        if (marks->keywords[w] == 0 || p->keywords[w] != NULL)
            continue;
        p->keywords[w] = take(c, p->room * sizeof *p->keywords[w]);
        if (p->keywords[w] == NULL)
            return false;
    }
    return true;
}

static void write(struct piece *p, uint32_t i, const struct marks *marks)
{
    p->modseq[i] = marks->modseq;
    p->flags[i] = marks->flags;
    for (int w = 0; w < WORDS; w++)
        if (p->keywords[w] != NULL)
            p->keywords[w][i] = marks->keywords[w];
}

bool mailsrv__columns_set(struct columns *c, uint32_t index, const struct marks *marks)
{
    struct piece *p = c->pieces[piece_of(c, index)];
    if (!make_words(c, p, marks))
        return false;
    write(p, index - p->before, marks);
    return true;
}

/* ---- Growing ---- */

/* A column of `room` rows with what was in a smaller one. */
static void *larger(struct columns *c, const void *old, uint32_t n, uint32_t room, size_t octets)
{
    void *v = take(c, room * octets);
    if (v != NULL && n != 0)
        memcpy(v, old, n * octets);
    return v;
}

static bool grow_piece(struct columns *c, struct piece *p)
{
    struct piece to = *p;
    bool good = true;
    to.room = p->room == 0 ? ROWS_FIRST : p->room * 2;
    to.modseq = larger(c, p->modseq, p->n, to.room, sizeof *p->modseq);
    to.flags = larger(c, p->flags, p->n, to.room, sizeof *p->flags);
    for (int w = 0; w < WORDS; w++) {
        if (p->keywords[w] == NULL)
            continue;
        to.keywords[w] = larger(c, p->keywords[w], p->n, to.room, sizeof *p->keywords[w]);
        good = good && to.keywords[w] != NULL;
    }
    good = good && to.modseq != NULL && to.flags != NULL;
    give_columns(c, good ? p : &to);
    if (good)
        *p = to;
    return good;
}

static bool grow_directory(struct columns *c)
{
    if (c->n_pieces < c->room)
        return true;
    uint32_t room = c->room == 0 ? 4 : c->room * 2;
    struct piece **pieces = room > PIECES_MAX ? NULL : take(c, room * sizeof *pieces);
    if (pieces == NULL)
        return false;
    if (c->n_pieces != 0)
        memcpy(pieces, c->pieces, c->n_pieces * sizeof *pieces);
    give(c, c->pieces, c->room * sizeof *c->pieces);
    c->pieces = pieces;
    c->room = room;
    return true;
}

/* The last piece, with room for a row. */
static struct piece *open_piece(struct columns *c)
{
    struct piece *p = c->n_pieces == 0 ? NULL : c->pieces[c->n_pieces - 1];
    if (p != NULL && p->n < p->room)
        return p;
    if (p != NULL && p->room < PIECE_ROWS)
        return grow_piece(c, p) ? p : NULL;
    if (!grow_directory(c) || (p = take(c, sizeof *p)) == NULL)
        return NULL;
    if (!grow_piece(c, p)) {
        give(c, p, sizeof *p);
        return NULL;
    }
    p->before = c->n;
    c->pieces[c->n_pieces++] = p;
    return p;
}

bool mailsrv__columns_append(struct columns *c, const struct marks *marks)
{
    struct piece *p = open_piece(c);
    if (p == NULL || !make_words(c, p, marks))
        return false;
    write(p, p->n++, marks);
    c->n++;
    return true;
}

/* ---- Shrinking ---- */

static void close_gap(struct piece *p, uint32_t i, uint32_t n)
{
    uint32_t rest = p->n - i - n;
    memmove(p->modseq + i, p->modseq + i + n, rest * sizeof *p->modseq);
    memmove(p->flags + i, p->flags + i + n, rest * sizeof *p->flags);
    for (int w = 0; w < WORDS; w++)
        if (p->keywords[w] != NULL)
            memmove(p->keywords[w] + i, p->keywords[w] + i + n, rest * sizeof *p->keywords[w]);
    p->n -= n;
}

/* Takes empty pieces out of the directory and counts anew from piece `first` on. */
static void tidy(struct columns *c, uint32_t first)
{
    uint32_t kept = first, before = first == 0 ? 0 : c->pieces[first]->before;
    for (uint32_t i = first; i < c->n_pieces; i++) {
        struct piece *p = c->pieces[i];
        if (p->n == 0) {
            give_piece(c, p);
            continue;
        }
        p->before = before;
        before += p->n;
        c->pieces[kept++] = p;
    }
    c->n_pieces = kept;
    c->n = before;
}

void mailsrv__columns_remove(struct columns *c, uint32_t index, uint32_t n)
{
    if (n == 0)
        return;
    uint32_t first = piece_of(c, index);
    for (uint32_t i = first; n != 0; i++) {
        struct piece *p = c->pieces[i];
        uint32_t at = i == first ? index - p->before : 0;
        uint32_t here = p->n - at < n ? p->n - at : n;
        close_gap(p, at, here);
        n -= here;
    }
    tidy(c, first);
}
