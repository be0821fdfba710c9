#include "mailbox/columns.h"

#include <string.h>

enum { PIECE_ROWS = 4096, PIECES_MAX = 8192, ROWS_FIRST = 16, WORDS = 2 };

enum column { MODSEQ, FLAGS, WORD, OCTETS = WORD + WORDS, DATE, N_COLUMNS };

static const uint8_t octets_of[N_COLUMNS] = { 8, 1, 8, 8, 8, 8 };

/* Of a row whose size is not known.  No message is so large. */
#define UNKNOWN UINT64_MAX

struct piece {
    uint32_t before; /* rows in the pieces before this one */
    uint32_t n, room;
    /* NULL, for a word: no bit of it is set in this piece; for size and date: no row of it has them. */
    void *v[N_COLUMNS];
};

static uint64_t *word_of(const struct piece *p, enum column column)
{
    return p->v[column];
}

static uint8_t *flags_of(const struct piece *p)
{
    return p->v[FLAGS];
}

void mailsrv__columns_init(struct columns *c, struct heap *heap)
{
    *c = (struct columns){ .heap = heap };
}

/* ---- Memory ---- */

static void *take(struct columns *c, size_t n)
{
    return mailsrv__heap_take(c->heap, CLASS_IMAGES, NULL, n);
}

static void give(struct columns *c, void *p, size_t n)
{
    mailsrv__heap_give(c->heap, CLASS_IMAGES, NULL, p, n);
}

static void *take_column(struct columns *c, enum column column, uint32_t room)
{
    size_t octets = (size_t)room * octets_of[column];
    void *v = take(c, octets);
    if (v != NULL && column == OCTETS)
        memset(v, 0xFF, octets); /* UNKNOWN */
    return v;
}

static void give_column(struct columns *c, struct piece *p, enum column column)
{
    give(c, p->v[column], (size_t)p->room * octets_of[column]);
    p->v[column] = NULL;
}

static void give_columns(struct columns *c, struct piece *p)
{
    for (int i = 0; i < N_COLUMNS; i++)
        give_column(c, p, (enum column)i);
}

static void give_piece(struct columns *c, struct piece *p)
{
    give_columns(c, p);
    give(c, p, sizeof *p);
}

void mailsrv__columns_clear(struct columns *c)
{
    for (uint32_t i = 0; i < c->n_all; i++)
        give_piece(c, c->pieces[i]);
    give(c, c->pieces, c->room * sizeof *c->pieces);
    mailsrv__columns_init(c, c->heap);
}

uint64_t mailsrv__columns_octets(const struct columns *c)
{
    uint64_t octets = c->room * sizeof *c->pieces;
    for (uint32_t i = 0; i < c->n_all; i++) {
        const struct piece *p = c->pieces[i];
        octets += sizeof *p;
        for (int k = 0; k < N_COLUMNS; k++)
            octets += p->v[k] == NULL ? 0 : (uint64_t)p->room * octets_of[k];
    }
    return octets;
}

/* ---- Rows ---- */

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
    struct marks marks = { word_of(p, MODSEQ)[i], { 0, 0 }, flags_of(p)[i] };
    for (int w = 0; w < WORDS; w++)
        if (p->v[WORD + w] != NULL)
            marks.keywords[w] = word_of(p, (enum column)(WORD + w))[i];
    return marks;
}

static uint32_t alike_words(const uint64_t *v, uint32_t n)
{
    uint32_t i = 1;
    while (i < n && v[i] == v[0])
        i++;
    return i;
}

static uint32_t alike_octets(const uint8_t *v, uint32_t n)
{
    uint32_t i = 1;
    while (i < n && v[i] == v[0])
        i++;
    return i;
}

uint32_t mailsrv__columns_alike(const struct columns *c, uint32_t index, uint32_t most)
{
    const struct piece *p = c->pieces[piece_of(c, index)];
    const uint32_t at = index - p->before;
    uint32_t n = p->n - at < most ? p->n - at : most;
    n = alike_words(word_of(p, MODSEQ) + at, n);
    n = alike_octets(flags_of(p) + at, n);
    for (int w = 0; w < WORDS; w++)
        if (p->v[WORD + w] != NULL)
            n = alike_words(word_of(p, (enum column)(WORD + w)) + at, n);
    return n;
}

/* Makes the words of keywords that `marks` needs. */
static bool make_words(struct columns *c, struct piece *p, const struct marks *marks)
{
    for (int w = 0; w < WORDS; w++) {
        if (marks->keywords[w] == 0 || p->v[WORD + w] != NULL)
            continue;
        p->v[WORD + w] = take_column(c, (enum column)(WORD + w), p->room);
        if (p->v[WORD + w] == NULL)
            return false;
    }
    return true;
}

static void write(struct piece *p, uint32_t i, const struct marks *marks)
{
    word_of(p, MODSEQ)[i] = marks->modseq;
    flags_of(p)[i] = marks->flags;
    for (int w = 0; w < WORDS; w++)
        if (p->v[WORD + w] != NULL)
            word_of(p, (enum column)(WORD + w))[i] = marks->keywords[w];
}

bool mailsrv__columns_set(struct columns *c, uint32_t index, const struct marks *marks)
{
    struct piece *p = c->pieces[piece_of(c, index)];
    if (!make_words(c, p, marks))
        return false;
    write(p, index - p->before, marks);
    return true;
}

static void fill_words(uint64_t *to, uint32_t n, uint64_t word)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] = word;
}

static void fill_piece(struct piece *p, uint32_t from, uint32_t n, const struct marks *marks)
{
    fill_words(word_of(p, MODSEQ) + from, n, marks->modseq);
    memset(flags_of(p) + from, marks->flags, n);
    for (int w = 0; w < WORDS; w++)
        if (p->v[WORD + w] != NULL)
            fill_words(word_of(p, (enum column)(WORD + w)) + from, n, marks->keywords[w]);
}

bool mailsrv__columns_fill(struct columns *c, uint32_t index, uint32_t n, const struct marks *marks)
{
    const uint32_t end = index + n, first = piece_of(c, index);
    for (uint32_t i = first; i < c->n_pieces && c->pieces[i]->before < end; i++)
        if (!make_words(c, c->pieces[i], marks))
            return false;
    for (uint32_t i = first; i < c->n_pieces && c->pieces[i]->before < end; i++) {
        struct piece *p = c->pieces[i];
        uint32_t from = index > p->before ? index - p->before : 0, to = end - p->before;
        fill_piece(p, from, (to < p->n ? to : p->n) - from, marks);
    }
    return true;
}

/* ---- Growing ---- */

/* Makes the columns that `p` has once more, with more room. */
static bool grow_piece(struct columns *c, struct piece *p, uint32_t room)
{
    struct piece to = { .before = p->before, .n = p->n, .room = room };
    for (int i = 0; i < N_COLUMNS; i++) {
        if (p->v[i] == NULL && i != MODSEQ && i != FLAGS)
            continue;
        to.v[i] = take_column(c, (enum column)i, room);
        if (to.v[i] == NULL) {
            give_columns(c, &to);
            return false;
        }
        if (p->n != 0)
            memcpy(to.v[i], p->v[i], (size_t)p->n * octets_of[i]);
    }
    give_columns(c, p);
    *p = to;
    return true;
}

static bool grow_directory(struct columns *c)
{
    if (c->n_all < c->room)
        return true;
    uint32_t room = c->room == 0 ? 4 : c->room * 2;
    struct piece **pieces = room > PIECES_MAX ? NULL : take(c, room * sizeof *pieces);
    if (pieces == NULL)
        return false;
    if (c->n_all != 0)
        memcpy(pieces, c->pieces, c->n_all * sizeof *pieces);
    give(c, c->pieces, c->room * sizeof *c->pieces);
    c->pieces = pieces;
    c->room = room;
    return true;
}

static bool add_piece(struct columns *c, uint32_t room)
{
    struct piece *p;
    if (!grow_directory(c) || (p = take(c, sizeof *p)) == NULL)
        return false;
    if (!grow_piece(c, p, room)) {
        give(c, p, sizeof *p);
        return false;
    }
    c->pieces[c->n_all++] = p;
    return true;
}

static uint32_t at_most(uint64_t n, uint32_t most)
{
    return n < most ? (uint32_t)n : most;
}

bool mailsrv__columns_reserve(struct columns *c, uint32_t n)
{
    uint32_t free_rows = mailsrv__columns_free(c);
    struct piece *last = c->n_all == 0 ? NULL : c->pieces[c->n_all - 1];
    if (n <= free_rows)
        return true;
    n -= free_rows;
    if (last == NULL || last->room == PIECE_ROWS)
        return add_piece(c, at_most(n, PIECE_ROWS));
    uint64_t room = (uint64_t)last->room + (n < last->room / 2 ? last->room / 2 : n);
    return grow_piece(c, last, at_most(room, PIECE_ROWS));
}

uint32_t mailsrv__columns_free(const struct columns *c)
{
    uint64_t n = c->n_pieces == 0 ? 0 : c->pieces[c->n_pieces - 1]->room - c->pieces[c->n_pieces - 1]->n;
    for (uint32_t i = c->n_pieces; i < c->n_all; i++)
        n += c->pieces[i]->room;
    return at_most(n, UINT32_MAX);
}

/* The piece that the next row goes into; NULL: no memory. */
static struct piece *open_piece(struct columns *c)
{
    struct piece *p = c->n_pieces == 0 ? NULL : c->pieces[c->n_pieces - 1];
    if (p != NULL && p->n < p->room)
        return p;
    if (c->n_pieces == c->n_all && !mailsrv__columns_reserve(c, ROWS_FIRST))
        return NULL;
    if (p != NULL && p->n < p->room)
        return p; /* it was enlarged */
    p = c->pieces[c->n_pieces++];
    p->before = c->n;
    return p;
}

bool mailsrv__columns_append(struct columns *c, const struct marks *marks)
{
    struct piece *p = open_piece(c);
    if (p == NULL || !make_words(c, p, marks))
        return false;
    write(p, p->n, marks);
    if (p->v[OCTETS] != NULL)
        word_of(p, OCTETS)[p->n] = UNKNOWN;
    p->n++;
    c->n++;
    return true;
}

/* ---- Shrinking ---- */

/* Moves the rows of a piece together that stand between blocks, in one column; how many are left.  Each of the blocks
 * has a row in it. */
static uint32_t close_gaps(const struct piece *p, enum column column, const struct stretch *blocks, size_t n)
{
    uint8_t *v = p->v[column];
    size_t octets = octets_of[column];
    uint32_t to = blocks->index < p->before ? 0 : blocks->index - p->before;
    for (size_t i = 0; i < n; i++) {
        uint32_t from = blocks[i].index + blocks[i].n - p->before;
        uint32_t end = i + 1 < n ? blocks[i + 1].index - p->before : p->n;
        if (from >= end)
            continue;
        if (v != NULL)
            memmove(v + to * octets, v + from * octets, (end - from) * octets);
        to += end - from;
    }
    return to;
}

/* Has `to` room for the rows of `p`, and every column of them? */
static bool takes_all(const struct piece *to, const struct piece *p)
{
    bool all = p->n <= to->room - to->n;
    for (int k = 0; k < N_COLUMNS; k++)
        all = all && (p->v[k] == NULL || to->v[k] != NULL);
    return all;
}

static void move_rows(struct piece *to, struct piece *p)
{
    for (int k = 0; k < N_COLUMNS; k++) {
        uint8_t *v = to->v[k];
        size_t octets = octets_of[k];
        if (v != NULL && p->v[k] != NULL)
            memcpy(v + to->n * octets, p->v[k], p->n * octets);
        else if (v != NULL)
            memset(v + to->n * octets, k == OCTETS ? 0xFF : 0, p->n * octets);
    }
    to->n += p->n;
    p->n = 0;
}

/* Takes empty pieces out of the directory and counts anew, from piece `first` on; pieces up to `last` have lost rows
 * and are moved into the one before them where they fit. */
static void tidy(struct columns *c, uint32_t first, uint32_t last)
{
    uint32_t kept = first, before = c->pieces[first]->before;
    for (uint32_t i = first; i < c->n_pieces; i++) {
        struct piece *p = c->pieces[i];
        if (i <= last && kept != 0 && takes_all(c->pieces[kept - 1], p)) {
            before += p->n;
            move_rows(c->pieces[kept - 1], p);
        }
        if (p->n == 0) {
            give_piece(c, p);
            continue;
        }
        p->before = before;
        before += p->n;
        c->pieces[kept++] = p;
    }
    memmove(c->pieces + kept, c->pieces + c->n_pieces, (c->n_all - c->n_pieces) * sizeof *c->pieces);
    c->n_all -= c->n_pieces - kept;
    c->n_pieces = kept;
}

static uint32_t end_of(const struct stretch *block)
{
    return block->index + block->n;
}

void mailsrv__columns_remove(struct columns *c, const struct stretch *blocks, size_t n)
{
    uint32_t first = piece_of(c, blocks->index), last = first;
    size_t at = 0; /* the first block that goes on behind the pieces that are done */
    for (size_t i = 0; i < n; i++)
        c->n -= blocks[i].n;
    for (uint32_t i = first; at < n; i++) {
        struct piece *p = c->pieces[i];
        uint32_t end = p->before + p->n, left = p->n;
        size_t here = at;
        while (here < n && blocks[here].index < end)
            here++;
        for (int k = 0; k < N_COLUMNS && here > at; k++)
            left = close_gaps(p, (enum column)k, blocks + at, here - at);
        last = here > at ? i : last;
        p->n = left;
        while (at < n && end_of(&blocks[at]) <= end)
            at++;
    }
    tidy(c, first, last);
}

/* ---- Sizes ---- */

static bool make_sizes(struct columns *c, struct piece *p)
{
    if (p->v[OCTETS] != NULL)
        return true;
    void *octets = take_column(c, OCTETS, p->room), *date = take_column(c, DATE, p->room);
    if (octets == NULL || date == NULL) {
        give(c, octets, (size_t)p->room * octets_of[OCTETS]);
        give(c, date, (size_t)p->room * octets_of[DATE]);
        return false;
    }
    p->v[OCTETS] = octets;
    p->v[DATE] = date;
    return true;
}

bool mailsrv__columns_set_sizes(struct columns *c, uint32_t index, const struct sizes *sizes)
{
    struct piece *p = c->pieces[piece_of(c, index)];
    if (!make_sizes(c, p))
        return false;
    word_of(p, OCTETS)[index - p->before] = sizes->octets;
    ((int64_t *)p->v[DATE])[index - p->before] = sizes->internal_us;
    return true;
}

bool mailsrv__columns_sizes(const struct columns *c, uint32_t index, struct sizes *out)
{
    const struct piece *p = c->pieces[piece_of(c, index)];
    if (p->v[OCTETS] == NULL || word_of(p, OCTETS)[index - p->before] == UNKNOWN)
        return false;
    out->octets = word_of(p, OCTETS)[index - p->before];
    out->internal_us = ((const int64_t *)p->v[DATE])[index - p->before];
    return true;
}

void mailsrv__columns_drop_sizes(struct columns *c)
{
    for (uint32_t i = 0; i < c->n_all; i++) {
        give_column(c, c->pieces[i], OCTETS);
        give_column(c, c->pieces[i], DATE);
    }
}
