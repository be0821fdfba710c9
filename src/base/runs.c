#include "base/runs.h"

#include <string.h>

enum { PIECE_RUNS = 4096, PIECES_MAX = 2048, SMALL = PIECE_RUNS / 2 };

struct run {
    uint32_t first, last;
    uint32_t before; /* UIDs of the piece that stand before this run */
};

struct runs_piece {
    struct run *v;
    uint32_t n, room;
    uint32_t before; /* UIDs of the set that stand before this piece */
    bool changing;   /* made by the change that is going on */
};

void mailsrv__runs_init(struct runs *runs, struct heap *heap, enum mailsrv__class class_)
{
    *runs = (struct runs){ .heap = heap, .class_ = class_ };
}

static void give_piece(struct runs *runs, struct runs_piece *piece)
{
    mailsrv__heap_give(runs->heap, runs->class_, NULL, piece->v, piece->room * sizeof *piece->v);
}

static void give_directory(struct runs *runs, struct runs_piece *pieces, uint32_t n)
{
    mailsrv__heap_give(runs->heap, runs->class_, NULL, pieces, n * sizeof *pieces);
}

void mailsrv__runs_clear(struct runs *runs)
{
    for (uint32_t i = 0; i < runs->n_pieces; i++)
        give_piece(runs, &runs->pieces[i]);
    give_directory(runs, runs->pieces, runs->n_pieces);
    mailsrv__runs_init(runs, runs->heap, runs->class_);
}

/* ---- Finding ---- */

static uint32_t last_of(const struct runs_piece *piece)
{
    return piece->v[piece->n - 1].last;
}

/* The first piece that ends at or behind `uid`; n_pieces: none does. */
static uint32_t piece_at(const struct runs *runs, uint32_t uid)
{
    uint32_t low = 0, high = runs->n_pieces;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (last_of(&runs->pieces[middle]) < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first run that ends at or behind `uid`, in a piece that has one. */
static const struct run *run_at(const struct runs_piece *piece, uint32_t uid)
{
    uint32_t low = 0, high = piece->n - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (piece->v[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return &piece->v[low];
}

bool mailsrv__runs_has(const struct runs *runs, uint32_t uid)
{
    uint32_t i = piece_at(runs, uid);
    return i < runs->n_pieces && run_at(&runs->pieces[i], uid)->first <= uid;
}

uint32_t mailsrv__runs_find(const struct runs *runs, uint32_t uid)
{
    uint32_t i = piece_at(runs, uid);
    const struct run *run = i < runs->n_pieces ? run_at(&runs->pieces[i], uid) : NULL;
    return run != NULL && run->first <= uid ? runs->pieces[i].before + run->before + (uid - run->first) + 1 : 0;
}

uint32_t mailsrv__runs_rank(const struct runs *runs, uint32_t uid)
{
    uint32_t i = piece_at(runs, uid);
    if (i == runs->n_pieces)
        return runs->count;
    const struct run *run = run_at(&runs->pieces[i], uid);
    uint32_t before = runs->pieces[i].before + run->before;
    return run->first <= uid ? before + (uid - run->first) + 1 : before;
}

uint32_t mailsrv__runs_select(const struct runs *runs, uint32_t i)
{
    uint32_t low = 0, high = runs->n_pieces - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (runs->pieces[middle].before < i)
            low = middle;
        else
            high = middle - 1;
    }
    const struct runs_piece *piece = &runs->pieces[low];
    i -= piece->before;
    low = 0;
    high = piece->n - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (piece->v[middle].before < i)
            low = middle;
        else
            high = middle - 1;
    }
    return piece->v[low].first + (i - piece->v[low].before - 1);
}

bool mailsrv__runs_next(const struct runs *runs, uint32_t from, mailsrv_run *out)
{
    uint32_t i = piece_at(runs, from);
    if (i == runs->n_pieces)
        return false;
    const struct run *run = run_at(&runs->pieces[i], from);
    *out = (mailsrv_run){ run->first > from ? run->first : from, run->last };
    return true;
}

uint32_t mailsrv__runs_last(const struct runs *runs)
{
    return runs->n_pieces == 0 ? 0 : last_of(&runs->pieces[runs->n_pieces - 1]);
}

uint64_t mailsrv__runs_octets(const struct runs *runs)
{
    uint64_t octets = runs->n_pieces * sizeof *runs->pieces;
    for (uint32_t i = 0; i < runs->n_pieces; i++)
        octets += runs->pieces[i].room * sizeof *runs->pieces[i].v;
    return octets;
}

/* ---- Changing: the pieces that a list touches are written anew, the others only move in the directory ---- */

struct change {
    struct runs *runs;
    struct runs_piece *made; /* the new directory */
    uint32_t n, room;
    uint32_t first, end;     /* pieces of the old directory that are touched */
    uint32_t piece_room;     /* of a new piece */
    mailsrv_run held;        /* written next, unless what follows touches it */
    bool holds;
};

static bool new_piece(struct change *c)
{
    if (c->n == c->room)
        return false;
    struct runs *runs = c->runs;
    struct run *v = mailsrv__heap_take(runs->heap, runs->class_, NULL, c->piece_room * sizeof *v);
    if (v == NULL)
        return false;
    c->made[c->n++] = (struct runs_piece){ .v = v, .room = c->piece_room, .changing = true };
    return true;
}

static bool put(struct change *c, mailsrv_run run)
{
    struct runs_piece *piece = c->n == 0 ? NULL : &c->made[c->n - 1];
    if (piece == NULL || !piece->changing || piece->n == piece->room) {
        if (!new_piece(c))
            return false;
        piece = &c->made[c->n - 1];
    }
    piece->v[piece->n++] = (struct run){ run.first, run.last, 0 };
    return true;
}

/* Runs come in the order of their beginning; those that touch become one. */
static bool give(struct change *c, mailsrv_run run)
{
    if (c->holds && (run.first <= c->held.last || run.first - 1 == c->held.last)) {
        if (run.last > c->held.last)
            c->held.last = run.last;
        return true;
    }
    if (c->holds && !put(c, c->held))
        return false;
    c->held = run;
    c->holds = true;
    return true;
}

static bool finish(struct change *c)
{
    return !c->holds || put(c, c->held);
}

/* The runs of the touched pieces, one after the other. */
struct reader {
    const struct change *c;
    uint32_t piece, at;
};

static bool peek(const struct reader *r, mailsrv_run *out)
{
    if (r->piece == r->c->end)
        return false;
    const struct run *run = &r->c->runs->pieces[r->piece].v[r->at];
    *out = (mailsrv_run){ run->first, run->last };
    return true;
}

static void step(struct reader *r)
{
    if (++r->at == r->c->runs->pieces[r->piece].n) {
        r->at = 0;
        r->piece++;
    }
}

static bool write_union(struct change *c, const mailsrv_run *list, size_t n)
{
    struct reader r = { c, c->first, 0 };
    mailsrv_run old;
    size_t i = 0;
    for (;;) {
        bool there = peek(&r, &old);
        if (!there && i == n)
            return finish(c);
        bool is_old = there && (i == n || old.first < list[i].first);
        if (!give(c, is_old ? old : list[i]))
            return false;
        if (is_old)
            step(&r);
        else
            i++;
    }
}

static bool write_difference(struct change *c, const mailsrv_run *list, size_t n)
{
    struct reader r = { c, c->first, 0 };
    mailsrv_run old;
    size_t i = 0;
    for (; peek(&r, &old); step(&r)) {
        while (i < n && list[i].last < old.first)
            i++;
        bool left = true;
        for (; left && i < n && list[i].first <= old.last; i += left) {
            if (list[i].first > old.first && !give(c, (mailsrv_run){ old.first, list[i].first - 1 }))
                return false;
            left = list[i].last < old.last;
            if (left)
                old.first = list[i].last + 1;
        }
        if (left && !give(c, old))
            return false;
    }
    return finish(c);
}

/* Which pieces are touched?  Small neighbours are taken along, so that holes that close leave no crumbs. */
static uint32_t find_touched(struct change *c, const mailsrv_run *list, size_t n)
{
    const struct runs *runs = c->runs;
    uint32_t touched = 0, first = list[0].first, last = list[n - 1].last;
    c->first = piece_at(runs, first > 1 ? first - 1 : first);
    if (c->first == runs->n_pieces && c->first != 0)
        c->first--;
    c->end = c->first;
    while (c->end < runs->n_pieces &&
           (c->end == c->first || runs->pieces[c->end].v[0].first - 1 <= last ||
            touched + runs->pieces[c->end].n <= SMALL))
        touched += runs->pieces[c->end++].n;
    return touched;
}

/* A list makes at most one run more for each of its own.  Pieces that must be cut are cut into equal parts. */
static bool begin(struct change *c, const mailsrv_run *list, size_t n)
{
    uint64_t most = find_touched(c, list, n) + (uint64_t)n;
    uint64_t parts = (most + PIECE_RUNS - 1) / PIECE_RUNS;
    uint64_t room = c->runs->n_pieces - (c->end - c->first) + parts;
    c->piece_room = (uint32_t)((most + parts - 1) / parts);
    c->room = room < PIECES_MAX ? (uint32_t)room : PIECES_MAX;
    c->made = mailsrv__heap_take(c->runs->heap, c->runs->class_, NULL, c->room * sizeof *c->made);
    if (c->made == NULL)
        return false;
    if (c->first != 0)
        memcpy(c->made, c->runs->pieces, c->first * sizeof *c->made);
    c->n = c->first;
    return true;
}

static bool undo(struct change *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->made[i].changing)
            give_piece(c->runs, &c->made[i]);
    give_directory(c->runs, c->made, c->room);
    return false;
}

/* Takes an array of its exact size in the place of a larger one. */
static bool shrink(struct runs *runs, void **v, size_t octets, size_t exact)
{
    if (exact == octets)
        return true;
    void *smaller = exact == 0 ? NULL : mailsrv__heap_take(runs->heap, runs->class_, NULL, exact);
    if (smaller == NULL && exact != 0)
        return false;
    if (exact != 0)
        memcpy(smaller, *v, exact);
    mailsrv__heap_give(runs->heap, runs->class_, NULL, *v, octets);
    *v = smaller;
    return true;
}

/* The last new piece may be much too large; that it cannot be made smaller is no failure. */
static void shrink_last(struct change *c)
{
    struct runs_piece *piece = c->n == 0 ? NULL : &c->made[c->n - 1];
    if (piece == NULL || !piece->changing || piece->n > piece->room / 2)
        return;
    void *v = piece->v;
    if (shrink(c->runs, &v, piece->room * sizeof *piece->v, piece->n * sizeof *piece->v)) {
        piece->v = v;
        piece->room = piece->n;
    }
}

static void count_piece(struct runs_piece *piece, uint32_t *count)
{
    piece->before = *count;
    uint32_t inside = 0;
    for (uint32_t i = 0; i < piece->n; i++) {
        piece->v[i].before = inside;
        inside += piece->v[i].last - piece->v[i].first + 1;
    }
    *count += inside;
}

/* Of a piece that is counted. */
static uint32_t uids_of(const struct runs_piece *piece)
{
    const struct run *run = &piece->v[piece->n - 1];
    return run->before + (run->last - run->first) + 1;
}

static void count_all(struct runs *runs)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < runs->n_pieces; i++) {
        struct runs_piece *piece = &runs->pieces[i];
        if (piece->changing) {
            count_piece(piece, &count);
            piece->changing = false;
        } else {
            piece->before = count;
            count += uids_of(piece);
        }
    }
    runs->count = count;
}

static bool commit(struct change *c)
{
    struct runs *runs = c->runs;
    uint32_t rest = runs->n_pieces - c->end, n = c->n + rest;
    shrink_last(c);
    if (n > c->room)
        return undo(c);
    if (rest != 0)
        memcpy(c->made + c->n, runs->pieces + c->end, rest * sizeof *c->made);
    void *made = c->made;
    if (!shrink(runs, &made, c->room * sizeof *c->made, n * sizeof *c->made))
        return undo(c);
    for (uint32_t i = c->first; i < c->end; i++)
        give_piece(runs, &runs->pieces[i]);
    give_directory(runs, runs->pieces, runs->n_pieces);
    runs->pieces = made;
    runs->n_pieces = n;
    count_all(runs);
    return true;
}

/* ---- New mail: what stands behind the last run goes there, in place ---- */

/* Room for a run more in the last piece; that there is none is no failure. */
static bool make_room(struct runs *runs, struct runs_piece *piece)
{
    if (piece->n < piece->room)
        return true;
    uint32_t room = piece->room < PIECE_RUNS / 2 ? piece->room * 2 : PIECE_RUNS;
    struct run *v = piece->room == PIECE_RUNS ? NULL
                                              : mailsrv__heap_take(runs->heap, runs->class_, NULL, room * sizeof *v);
    if (v == NULL)
        return false;
    memcpy(v, piece->v, piece->n * sizeof *v);
    give_piece(runs, piece);
    piece->v = v;
    piece->room = room;
    return true;
}

static bool append(struct runs *runs, const mailsrv_run *run)
{
    if (runs->n_pieces == 0)
        return false;
    struct runs_piece *piece = &runs->pieces[runs->n_pieces - 1];
    struct run *last = &piece->v[piece->n - 1];
    if (last->last >= run->first)
        return false;
    if (last->last + 1 == run->first) {
        last->last = run->last;
    } else if (make_room(runs, piece)) {
        piece->v[piece->n++] = (struct run){ run->first, run->last, runs->count - piece->before };
    } else {
        return false;
    }
    runs->count += run->last - run->first + 1;
    return true;
}

bool mailsrv__runs_add(struct runs *runs, const mailsrv_run *list, size_t n)
{
    if (n == 0 || (n == 1 && append(runs, list)))
        return true;
    struct change c = { .runs = runs };
    if (!begin(&c, list, n))
        return false;
    return write_union(&c, list, n) ? commit(&c) : undo(&c);
}

bool mailsrv__runs_remove(struct runs *runs, const mailsrv_run *list, size_t n)
{
    if (n == 0 || runs->n_pieces == 0)
        return true;
    struct change c = { .runs = runs };
    if (!begin(&c, list, n))
        return false;
    return write_difference(&c, list, n) ? commit(&c) : undo(&c);
}
