#include "pop3/drop.h"

enum { ROWS_LEAST = 16, PIECES_FIRST = 4, TABLE_OCTETS_MAX = 65536 };

struct drop_row *mailsrv__drop_at(const struct drop *d, uint32_t i)
{
    return &d->pieces[i / DROP_PIECE_ROWS][i % DROP_PIECE_ROWS];
}

static bool grow_table(mailsrv_session *s, struct drop *d)
{
    size_t before = d->pieces_room * sizeof *d->pieces;
    size_t larger = before == 0 ? PIECES_FIRST * sizeof *d->pieces : before * 2;
    struct drop_row **pieces = mailsrv__session_take(s, larger);
    if (pieces == NULL)
        return false;
    if (before != 0)
        memcpy(pieces, d->pieces, before);
    mailsrv__session_give(s, d->pieces, before);
    d->pieces = pieces;
    d->pieces_room = (uint32_t)(larger / sizeof *pieces);
    return true;
}

static uint32_t clamp(uint64_t rows)
{
    if (rows > DROP_PIECE_ROWS)
        return DROP_PIECE_ROWS;
    return rows < ROWS_LEAST ? ROWS_LEAST : (uint32_t)rows;
}

/* Makes the piece that row d->n belongs to, or a larger one in its place. */
static bool grow_piece(mailsrv_session *s, struct drop *d, uint32_t used)
{
    uint64_t wanted = used != 0 ? (uint64_t)used * 2 : d->expected > d->n ? d->expected - d->n : 0;
    uint32_t room = clamp(wanted);
    struct drop_row *piece = mailsrv__session_take(s, room * sizeof *piece);
    if (piece == NULL)
        return false;
    struct drop_row **at = &d->pieces[d->n / DROP_PIECE_ROWS];
    if (used != 0) {
        memcpy(piece, *at, used * sizeof *piece);
        mailsrv__session_give(s, *at, d->last_room * sizeof *piece);
    }
    *at = piece;
    d->last_room = room;
    return true;
}

static int32_t make_room(mailsrv_session *s, struct drop *d)
{
    uint32_t used = d->n % DROP_PIECE_ROWS;
    if (used != 0 && used < d->last_room)
        return MAILSRV_OK;
    if (used == 0 && d->n / DROP_PIECE_ROWS == d->pieces_room) {
        if (d->pieces_room * sizeof *d->pieces >= TABLE_OCTETS_MAX)
            return MAILSRV_LIMIT;
        if (!grow_table(s, d))
            return MAILSRV_NOMEM;
    }
    return grow_piece(s, d, used) ? MAILSRV_OK : MAILSRV_NOMEM;
}

int32_t mailsrv__drop_add(mailsrv_session *s, struct drop *d, uint32_t uid, uint64_t octets)
{
    if (uid == 0 || (d->n != 0 && uid <= mailsrv__drop_at(d, d->n - 1)->uid) || octets > UINT64_MAX - d->octets)
        return MAILSRV_CORRUPT;
    int32_t status = make_room(s, d);
    if (status != MAILSRV_OK)
        return status;
    *mailsrv__drop_at(d, d->n) = (struct drop_row){ .octets = octets, .uid = uid };
    d->n++;
    d->octets += octets;
    return MAILSRV_OK;
}

void mailsrv__drop_mark(struct drop *d, struct drop_row *row)
{
    row->marked = 1;
    d->n_marked++;
    d->octets_marked += row->octets;
}

void mailsrv__drop_fini(mailsrv_session *s, struct drop *d)
{
    for (uint32_t i = 0; i < d->n; i += DROP_PIECE_ROWS) {
        bool last = d->n - i <= DROP_PIECE_ROWS;
        uint32_t room = last ? d->last_room : DROP_PIECE_ROWS;
        mailsrv__session_give(s, d->pieces[i / DROP_PIECE_ROWS], room * sizeof(struct drop_row));
    }
    mailsrv__session_give(s, d->pieces, d->pieces_room * sizeof *d->pieces);
    *d = (struct drop){ 0 };
}
