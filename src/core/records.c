/* Records: what the peer sent is decrypted in pieces, as the machine takes it; what it says is encrypted. */
#include "core/engine.h"
#include "core/op.h"
#include "core/step.h"
#include "core/tls.h"

/* ---- Room for ciphertext ---- */

/* A slice for `octets` of ciphertext; where there is no memory, the reserve, which has RESERVE_OCTETS.  NULL: that
 * waits to be sent, too. */
static struct slice *room_for(mailsrv_session *s, size_t octets)
{
    struct slice *slice = octets <= RESERVE_OCTETS ? NULL : mailsrv__slice_new(s, octets);
    if (slice == NULL && octets <= RESERVE_OCTETS && s->tls->reserve_waits)
        slice = mailsrv__slice_new(s, octets);
    if (slice == NULL && !s->tls->reserve_waits) {
        slice = s->tls->reserve;
        s->tls->reserve_waits = true;
    }
    return slice;
}

/* What was put into it is sent; with nothing in it, it is given back. */
static void send_room(mailsrv_session *s, struct slice *slice, size_t made)
{
    if (slice == NULL)
        return;
    slice->n = made;
    if (made != 0)
        mailsrv__output_record(s, slice);
    else
        mailsrv__slice_free(s, slice);
}

static mailsrv_tls_io io_of(struct input in, struct slice *room)
{
    return (mailsrv_tls_io){
        .size = sizeof(mailsrv_tls_io),
        .in = in.p,
        .in_octets = in.n,
        .room = room == NULL ? NULL : (uint8_t *)(room + 1),
        .room_octets = room == NULL ? 0 : room->room,
    };
}

/* ---- In ---- */

static bool is_done_with(const struct tls *tls)
{
    return tls->at == tls->n && !tls->more && tls->left.n == 0;
}

/* A provider that takes nothing and makes nothing would keep us for ever. */
static bool stands_still(const mailsrv_tls_io *io)
{
    return io->in_octets != 0 && io->taken == 0 && io->plain_made == 0;
}

static struct span why(const struct tls *tls)
{
    const char *text = tls->provider->why(tls->connection);
    return (struct span){ text, strlen(text) };
}

static void decrypted(mailsrv_session *s, int32_t status, const mailsrv_tls_io *io)
{
    struct tls *tls = s->tls;
    tls->at = 0;
    tls->n = (uint16_t)io->plain_made;
    tls->more = status == MAILSRV_OK;
    if (status == MAILSRV_E_CLOSED) {
        tls->peer_closed = tls->eof_waits = true;
        tls->left.n = 0; /* nothing counts behind it (RFC 8446 section 6.1) */
    } else if (status == MAILSRV_MORE && stands_still(io)) {
        mailsrv__tls_fails(s, SPAN("the provider stands still"));
    } else if (status != MAILSRV_OK && status != MAILSRV_MORE) {
        mailsrv__tls_fails(s, why(tls));
    }
}

/* Where the decrypted lies. */
static uint8_t *plain_of(struct tls *tls)
{
    return tls->plain != NULL ? tls->plain : tls->few;
}

static void give_plain_back(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    if (tls->plain == NULL || tls->at != tls->n)
        return;
    mailsrv__session_give(s, tls->plain, PLAIN_OCTETS);
    tls->plain = NULL;
}

/* One piece, of what a handshake has left, and then of `in`. */
static void decrypt_some(mailsrv_session *s, struct input *in)
{
    struct tls *tls = s->tls;
    struct input *from = tls->left.n != 0 ? &tls->left : in;
    struct slice *room = room_for(s, RESERVE_OCTETS);
    mailsrv_tls_io io = io_of(*from, room);
    if (tls->plain == NULL)
        tls->plain = mailsrv__heap_room(&s->engine->heap, CLASS_SESSIONS, &s->purse, PLAIN_OCTETS);
    io.plain = plain_of(tls);
    io.plain_octets = tls->plain != NULL ? PLAIN_OCTETS : FEW_OCTETS;
    int32_t status = tls->provider->decrypt(tls->connection, &io);
    mailsrv__spend(s, 1);
    mailsrv__input_skip(from, io.taken);
    send_room(s, room, io.room_made);
    decrypted(s, status, &io);
    if (tls->left.n == 0 && tls->left_of != NULL) {
        mailsrv__lent_drop(tls->left_of);
        tls->left_of = NULL;
    }
}

/* Gives the machine what is decrypted.  What it has taken is wiped: it may have been a password.  False: it took
 * nothing. */
static bool hand_over(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    uint8_t *plain = plain_of(tls) + tls->at;
    struct input in = { plain, (size_t)(tls->n - tls->at) };
    size_t before = in.n;
    mailsrv__session_take_input(s, &in);
    mailsrv__wipe(plain, before - in.n);
    tls->at = (uint16_t)(tls->n - in.n);
    return in.n != before;
}

/* A piece is decrypted beforehand, so that it is known whether more has come (mailsrv__input_waits). */
static void take(mailsrv_session *s, struct input *in, bool in_a_slice)
{
    struct tls *tls = s->tls;
    while (tls->state == TLS_OPEN && !tls->peer_closed && (!in_a_slice || mailsrv__may_go_on(s))) {
        bool reads = mailsrv__session_reads(s), has_cipher = tls->left.n != 0 || in->n != 0;
        if (tls->at != tls->n) {
            if (!reads || !hand_over(s))
                break;
        } else if (tls->more || (reads && has_cipher)) {
            decrypt_some(s, in);
        } else {
            break;
        }
    }
    give_plain_back(s);
    if (tls->peer_closed)
        mailsrv__input_skip(in, in->n);
    if (tls->eof_waits && is_done_with(tls))
        mailsrv__session_eof(s);
}

void mailsrv__tls_take(mailsrv_session *s, struct input *in)
{
    if (s->tls->provider == NULL) {
        mailsrv__tls_pipelined(s, in); /* the host was to do TLS with these */
        return;
    }
    if (s->tls->state == TLS_SHAKING)
        mailsrv__tls_shake(s, in);
    take(s, in, false);
    s->tls->host_keeps = in->n != 0;
}

void mailsrv__tls_eof(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    bool is_cut = tls->provider != NULL && tls->state == TLS_OPEN && !tls->peer_closed && !s->ended;
    if (is_cut)
        mailsrv__session_event(s, MAILSRV_EVENT_TLS_CUT, (struct span){ NULL, 0 });
    tls->eof_waits = true;
    if (is_done_with(tls) || tls->state != TLS_OPEN)
        mailsrv__session_eof(s);
}

void mailsrv__tls_go_on(mailsrv_session *s)
{
    static const uint8_t nowhere;
    struct input nothing = { &nowhere, 0 };
    take(s, &nothing, true);
    s->input_waits = s->tls->host_keeps || mailsrv__tls_has_input(s, true);
}

/* ---- Out ---- */

enum { FEW_JOINED = 1024 };

/* Where slices are joined that share a record: for a library of TLS a record costs as much as some kilobytes in it. */
struct joint {
    char *p;
    size_t room;
};

static size_t left_at(const struct node *n)
{
    const struct slice *slice = HOLDER(n, struct slice, node);
    return slice->n - slice->sent;
}

/* Of a slice that others stand before: all of it, or what it has above whole records, so that these are encrypted from
 * where they lie. */
static size_t fitting(size_t left, size_t room)
{
    size_t some = left <= room ? left : left % RECORD_OCTETS;
    return some <= room ? some : 0;
}

/* What goes into the next record: a slice as it lies, where it fills one or nothing fits behind it; else several. */
static struct span next_plain(const mailsrv_session *s, const struct joint *joint)
{
    const struct node *all = &s->out.slices, *n = all->next;
    size_t joined = 0;
    if (n == all)
        return (struct span){ s->out.parting, s->out.parting_n };
    const struct slice *first = HOLDER(n, struct slice, node);
    const struct span alone = { first->p + first->sent, first->n - first->sent };
    if (n->next == all || alone.n >= joint->room || fitting(left_at(n->next), joint->room - alone.n) == 0)
        return alone;
    for (bool whole = true; n != all && whole; n = n->next) {
        const struct slice *slice = HOLDER(n, struct slice, node);
        size_t some = fitting(left_at(n), joint->room - joined);
        memcpy(joint->p + joined, slice->p + slice->sent, some);
        joined += some;
        whole = some == left_at(n);
    }
    return (struct span){ joint->p, joined };
}

/* Room for a record of `plain`, which is shortened to what there is room for. */
static struct slice *room_for_record(mailsrv_session *s, struct span *plain)
{
    const struct tls *tls = s->tls;
    if (plain->n > RECORD_OCTETS)
        plain->n = RECORD_OCTETS;
    size_t octets = plain->n + tls->provider->expansion(tls->connection, plain->n);
    struct slice *room = room_for(s, octets);
    if (room == NULL || room->room >= octets)
        return room;
    size_t fits = room->room - tls->provider->expansion(tls->connection, room->room);
    if (plain->n > fits)
        plain->n = fits;
    return room;
}

static void drop_plain(mailsrv_session *s, size_t n)
{
    s->out.plain -= n;
    size_t of_parting = mailsrv__output_drop(s, &s->out.slices, n);
    if (of_parting == 0)
        return;
    s->out.parting += of_parting;
    s->out.parting_n -= of_parting;
}

/* One record.  False: there is no room for one before something was sent, or the connection is of no use. */
static bool encrypt_some(mailsrv_session *s, const struct joint *joint)
{
    struct tls *tls = s->tls;
    struct span plain = next_plain(s, joint);
    struct slice *room = room_for_record(s, &plain);
    if (room == NULL)
        return false;
    mailsrv_tls_io io = io_of((struct input){ (const uint8_t *)plain.p, plain.n }, room);
    int32_t status = tls->provider->encrypt(tls->connection, &io);
    mailsrv__spend(s, 1 + (uint32_t)(plain.n / 1024));
    send_room(s, room, io.room_made);
    if (status != MAILSRV_OK || io.taken != plain.n) {
        mailsrv__tls_fails(s, why(tls));
        return false;
    }
    drop_plain(s, plain.n);
    return true;
}

/* RFC 8446 section 6.1: who will say no more says so, or the peer cannot tell the end from a cut. */
static void say_closed(mailsrv_session *s)
{
    struct tls *tls = s->tls;
    struct slice *room = room_for(s, tls->provider->expansion(tls->connection, 0));
    if (room == NULL)
        return;
    mailsrv_tls_io io = io_of((struct input){ NULL, 0 }, room);
    tls->provider->close(tls->connection, &io);
    send_room(s, room, io.room_made);
    tls->state = TLS_CLOSED;
}

/* A joint as large as a record is there while it is used; without memory for it, or where little is said, `few` is. */
static void encrypt_all(mailsrv_session *s)
{
    char few[FEW_JOINED];
    struct heap *heap = &s->engine->heap;
    struct joint joint = { few, sizeof few };
    char *large = NULL;
    if (s->out.plain > sizeof few && s->out.slices.next != s->out.slices.prev)
        large = mailsrv__heap_room(heap, CLASS_OUTPUT, NULL, RECORD_OCTETS);
    if (large != NULL)
        joint = (struct joint){ large, RECORD_OCTETS };
    while (s->out.plain != 0 && encrypt_some(s, &joint))
        ;
    mailsrv__heap_give(heap, CLASS_OUTPUT, NULL, large, RECORD_OCTETS);
}

void mailsrv__tls_flush(mailsrv_session *s)
{
    if (s->tls == NULL || s->tls->provider == NULL || s->tls->state != TLS_OPEN || s->dead)
        return;
    encrypt_all(s);
    if (s->ended && s->out.plain == 0 && s->tls->state == TLS_OPEN)
        say_closed(s);
    mailsrv__tls_count(s);
}
