#include "fake_tls.h"

enum { BESIDE_OCTETS = 4, LAST_FLIGHT_OCTETS = 40 };
static const uint8_t KEY = 0xA5;

/* ---- Records ---- */

/* Writes a record of `n` octets to `to`, which has room for BESIDE_OCTETS more. */
static void write_record(uint8_t *to, uint8_t type, uint8_t number, const uint8_t *p, size_t n)
{
    uint8_t sum = number;
    to[0] = type;
    to[1] = (uint8_t)(n >> 8);
    to[2] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        uint8_t octet = p == NULL ? 0 : p[i];
        to[3 + i] = octet ^ (uint8_t)(KEY + number);
        sum = (uint8_t)(sum + octet);
    }
    to[3 + n] = sum;
}

enum found { FOUND_MORE, FOUND_RECORD, FOUND_JUNK };

static enum found end_record(struct fake_reader *r)
{
    uint8_t sum = r->number;
    for (size_t i = 0; i < r->octets; i++) {
        r->body[i] ^= (uint8_t)(KEY + r->number);
        sum = (uint8_t)(sum + r->body[i]);
    }
    r->number++;
    r->have = 0;
    return sum == r->sum ? FOUND_RECORD : FOUND_JUNK;
}

static enum found take_octet(struct fake_reader *r, uint8_t octet)
{
    size_t at = r->have++;
    if (at == 0) {
        r->type = octet;
        return octet < FAKE_ALERT || octet > FAKE_DATA ? FOUND_JUNK : FOUND_MORE;
    }
    if (at == 1) {
        r->octets = (size_t)octet << 8;
        return FOUND_MORE;
    }
    if (at == 2) {
        r->octets |= octet;
        return r->octets > FAKE_RECORD_MAX ? FOUND_JUNK : FOUND_MORE;
    }
    if (at < 3 + r->octets) {
        r->body[at - 3] = octet;
        return FOUND_MORE;
    }
    r->sum = octet;
    return end_record(r);
}

static enum found take_record(struct fake_reader *r, const uint8_t *p, size_t n, size_t *taken)
{
    enum found found = FOUND_MORE;
    while (*taken < n && found == FOUND_MORE)
        found = take_octet(r, p[(*taken)++]);
    return found;
}

/* ---- The provider ---- */

static void context_free(void *context)
{
    struct fake *f = context;
    if (f->begun != f->ended)
        f->fault = "a provider is freed before its connection";
    f->freed = true;
}

static int32_t begin(void *context, void **connection)
{
    struct fake *f = context;
    if (f->begun != f->ended)
        return MAILSRV_NOMEM;
    f->begun++;
    f->server.why = "nothing";
    *connection = f;
    return MAILSRV_OK;
}

static int32_t connect(void *context, const mailsrv_tls_target *target, void **connection)
{
    struct fake *f = context;
    int32_t status = begin(context, connection);
    if (status != MAILSRV_OK)
        return status;
    f->server.is_client = true;
    f->verify = target->verify;
    if ((target->verify == MAILSRV_TLS_BY_DANE) != (target->n_tlsa == 1))
        f->fault = "the records are not those of the terms";
    if (target->name.n < sizeof f->name && target->name.n != 0)
        memcpy(f->name, target->name.p, target->name.n);
    return MAILSRV_OK;
}

static void end(void *connection)
{
    struct fake *f = connection;
    if (f->running != 0)
        f->fault = "a connection is ended while it is at work";
    f->ended++;
}

static void put(struct fake *f, mailsrv_tls_io *io, uint8_t type, const uint8_t *p, size_t n)
{
    if (n + BESIDE_OCTETS > io->room_octets - io->room_made) {
        f->fault = "the room is too small";
        return;
    }
    write_record(io->room + io->room_made, type, f->server.number++, p, n);
    io->room_made += n + BESIDE_OCTETS;
}

static int32_t fail(struct fake *f, mailsrv_tls_io *io, const char *why)
{
    static const uint8_t alert[] = { 2, 10 };
    f->server.why = why;
    if (io->room_octets - io->room_made >= sizeof alert + BESIDE_OCTETS)
        put(f, io, FAKE_ALERT, alert, sizeof alert);
    return MAILSRV_CANNOT;
}

/* False: this call is the one that fails. */
static bool enter(struct fake *f, mailsrv_tls_io *io)
{
    if (f->running++ != 0)
        f->fault = "two calls at once";
    if (f->ended == f->begun)
        f->fault = "a call for a connection that has ended";
    io->taken = io->plain_made = io->room_made = 0;
    io->more = 0;
    return ++f->calls != f->fails_at;
}

static int32_t leave(struct fake *f, int32_t status)
{
    f->running--;
    return status;
}

/* As much of the running flight as there is room for. */
static void send_flight(struct fake *f, mailsrv_tls_io *io)
{
    size_t left = io->room_octets - io->room_made;
    if (left <= BESIDE_OCTETS) {
        io->more = 1;
        return;
    }
    size_t n = f->server.flight_left < 1000 ? f->server.flight_left : 1000;
    n = n < left - BESIDE_OCTETS ? n : left - BESIDE_OCTETS;
    put(f, io, FAKE_HANDSHAKE, NULL, n);
    f->server.flight_left -= n;
}

static int32_t shake(struct fake *f, mailsrv_tls_io *io)
{
    struct fake_server *s = &f->server;
    for (;;) {
        while (s->flight_left != 0 && io->more == 0)
            send_flight(f, io);
        if (io->more != 0)
            return MAILSRV_MORE;
        if (s->flights == FAKE_FLIGHTS)
            return MAILSRV_OK;
        enum found found = take_record(&s->in, io->in, io->in_octets, &io->taken);
        if (found == FOUND_MORE)
            return MAILSRV_MORE;
        if (found == FOUND_JUNK || s->in.type != FAKE_HANDSHAKE)
            return fail(f, io, "this is no handshake");
        s->flights++;
        s->flight_left = s->flights == FAKE_FLIGHTS ? LAST_FLIGHT_OCTETS : FAKE_FLIGHT_OCTETS;
    }
}

static void send_of_client(struct fake *f, mailsrv_tls_io *io)
{
    struct fake_server *s = &f->server;
    put(f, io, FAKE_HANDSHAKE, (const uint8_t *)(s->flights == 0 ? "hello" : "done"), s->flights == 0 ? 5 : 4);
    s->flights++;
    s->flight_left = s->flights == FAKE_FLIGHTS ? LAST_FLIGHT_OCTETS : FAKE_FLIGHT_OCTETS;
}

static int32_t shake_as_client(struct fake *f, mailsrv_tls_io *io)
{
    struct fake_server *s = &f->server;
    for (;;) {
        if (s->flight_left == 0 && s->flights == FAKE_FLIGHTS)
            return f->verifies || f->verify == MAILSRV_TLS_BY_NOTHING || f->ignores ? MAILSRV_OK : fail(f, io, "it is somebody else");
        if (s->flight_left == 0)
            send_of_client(f, io);
        enum found found = take_record(&s->in, io->in, io->in_octets, &io->taken);
        if (found == FOUND_MORE)
            return MAILSRV_MORE;
        if (found == FOUND_JUNK || s->in.type != FAKE_HANDSHAKE || s->in.octets > s->flight_left)
            return fail(f, io, "this is no handshake");
        s->flight_left -= s->in.octets;
    }
}

static int32_t handshake(void *connection, mailsrv_tls_io *io)
{
    struct fake *f = connection;
    int32_t status = MAILSRV_CANNOT;
    if (!enter(f, io))
        fail(f, io, "it was told to fail");
    else
        status = f->server.is_client ? shake_as_client(f, io) : shake(f, io);
    f->server.is_open = status == MAILSRV_OK;
    return leave(f, status);
}

static bool hand_out(struct fake_server *s, mailsrv_tls_io *io)
{
    size_t n = s->plain < io->plain_octets ? s->plain : io->plain_octets;
    memcpy(io->plain, s->in.body + s->plain_at, n);
    s->plain_at += n;
    s->plain -= n;
    io->plain_made = n;
    return n != 0;
}

static int32_t open_records(struct fake *f, mailsrv_tls_io *io)
{
    struct fake_server *s = &f->server;
    if (!s->is_open)
        f->fault = "octets are decrypted before the handshake is done";
    for (;;) {
        if (hand_out(s, io))
            return MAILSRV_OK;
        enum found found = take_record(&s->in, io->in, io->in_octets, &io->taken);
        if (found == FOUND_MORE)
            return MAILSRV_MORE;
        if (found == FOUND_JUNK)
            return fail(f, io, "this is no record");
        if (s->in.type == FAKE_ALERT)
            return MAILSRV_E_CLOSED;
        s->plain_at = 0;
        s->plain = s->in.octets;
    }
}

static int32_t decrypt(void *connection, mailsrv_tls_io *io)
{
    struct fake *f = connection;
    return leave(f, enter(f, io) ? open_records(f, io) : fail(f, io, "it was told to fail"));
}

static int32_t encrypt(void *connection, mailsrv_tls_io *io)
{
    struct fake *f = connection;
    if (!f->server.is_open)
        f->fault = "octets are encrypted before the handshake is done";
    if (!enter(f, io))
        return leave(f, fail(f, io, "it was told to fail"));
    while (io->taken != io->in_octets) {
        size_t left = io->in_octets - io->taken, n = left < FAKE_RECORD_MAX ? left : FAKE_RECORD_MAX;
        put(f, io, FAKE_DATA, io->in + io->taken, n);
        io->taken += n;
    }
    return leave(f, MAILSRV_OK);
}

static int32_t say_closed(void *connection, mailsrv_tls_io *io)
{
    static const uint8_t close_notify[] = { 1, 0 };
    struct fake *f = connection;
    enter(f, io);
    put(f, io, FAKE_ALERT, close_notify, sizeof close_notify);
    return leave(f, MAILSRV_OK);
}

static size_t expansion(const void *connection, size_t octets)
{
    (void)connection;
    return octets == 0 ? 2 + BESIDE_OCTETS : BESIDE_OCTETS * (octets / FAKE_RECORD_MAX + 1);
}

uint32_t fake_verified(bool verifies, uint32_t wanted)
{
    if (!verifies)
        return MAILSRV_TLS_BY_NOTHING;
    return wanted == MAILSRV_TLS_BY_NOTHING ? MAILSRV_TLS_BY_ROOTS : wanted;
}

static void info(void *connection, mailsrv_tls_info *out)
{
    static const uint8_t binding[32] = "the exporter of no connection!!";
    const struct fake *f = connection;
    mailsrv_tls_info all = { .size = out->size,
                             .version = 0x0304,
                             .cipher = { (const uint8_t *)"TLS_FAKE", 8 },
                             .exporter = { binding, sizeof binding },
                             .verified = fake_verified(f->verifies, f->verify) };
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
}

static uint64_t octets(const void *connection)
{
    const struct fake *f = connection;
    return f->server.is_open ? 1000 : 5000;
}

static const char *why(const void *connection)
{
    return ((const struct fake *)connection)->server.why;
}

#define PROVIDER(flags)                                                                                                \
    {                                                                                                                  \
        .size = sizeof(mailsrv_tls_provider), .features = (flags), .name = "fake", .context_free = context_free,       \
        .begin = begin, .end = end, .handshake = handshake, .decrypt = decrypt, .encrypt = encrypt,                    \
        .close = say_closed, .expansion = expansion, .info = info, .octets = octets, .why = why, .connect = connect,   \
    }

int32_t fake_new(struct fake *f, const mailsrv_allocator *allocator, mailsrv_tls **out)
{
    static const mailsrv_tls_provider plain = PROVIDER(0), threaded = PROVIDER(MAILSRV_TLS_THREADS);
    return mailsrv_tls_new(allocator, f->threads ? &threaded : &plain, f, out);
}

/* ---- The client ---- */

static void add_record(struct fake_client *c, uint8_t type, const void *p, size_t n, struct buffer *wire)
{
    uint8_t record[FAKE_RECORD_MAX + BESIDE_OCTETS];
    write_record(record, type, c->number++, p, n);
    buffer_add(wire, record, n + BESIDE_OCTETS);
}

void fake_client_begin(struct fake_client *c, struct buffer *wire)
{
    c->is_active = true;
    add_record(c, FAKE_HANDSHAKE, "hello", 5, wire);
}

void fake_client_seal(struct fake_client *c, const void *p, size_t n, struct buffer *wire)
{
    for (size_t at = 0; at < n; at += FAKE_RECORD_MAX)
        add_record(c, FAKE_DATA, (const char *)p + at, n - at < FAKE_RECORD_MAX ? n - at : FAKE_RECORD_MAX, wire);
}

void fake_client_close(struct fake_client *c, struct buffer *wire)
{
    add_record(c, FAKE_ALERT, "\1\0", 2, wire);
}

static void take_handshake(struct fake_client *c, struct buffer *wire)
{
    size_t whole = c->flights == 0 ? FAKE_FLIGHT_OCTETS : LAST_FLIGHT_OCTETS;
    c->flight_got += c->in.octets;
    if (c->is_open || c->flight_got > whole)
        c->fault = "a handshake goes on that is over";
    if (c->flight_got != whole)
        return;
    c->flight_got = 0;
    c->is_open = ++c->flights == FAKE_FLIGHTS;
    if (!c->is_open)
        add_record(c, FAKE_HANDSHAKE, "done", 4, wire);
}

/* The same where we are the server: each record of the client's is answered by a flight. */
static void take_handshake_as_server(struct fake_client *c, struct buffer *wire)
{
    size_t left = c->flights == 0 ? FAKE_FLIGHT_OCTETS : LAST_FLIGHT_OCTETS;
    static const uint8_t zeros[1000];
    if (c->is_open)
        c->fault = "a handshake goes on that is over";
    for (; left != 0; left -= left < sizeof zeros ? left : sizeof zeros)
        add_record(c, FAKE_HANDSHAKE, zeros, left < sizeof zeros ? left : sizeof zeros, wire);
    c->is_open = ++c->flights == FAKE_FLIGHTS;
}

static void take_it(struct fake_client *c, struct buffer *plain, struct buffer *wire)
{
    if (c->is_closed || c->alerted)
        c->fault = "a record came behind the last one";
    if (c->in.type == FAKE_HANDSHAKE && c->is_server)
        take_handshake_as_server(c, wire);
    else if (c->in.type == FAKE_HANDSHAKE)
        take_handshake(c, wire);
    else if (c->in.type == FAKE_DATA && c->is_open)
        buffer_add(plain, c->in.body, c->in.octets);
    else if (c->in.type == FAKE_ALERT && c->in.octets == 2 && c->in.body[0] == 1)
        c->is_closed = true;
    else if (c->in.type == FAKE_ALERT)
        c->alerted = true;
    else
        c->fault = "a record came before its time";
}

void fake_client_take(struct fake_client *c, const void *p, size_t n, struct buffer *plain, struct buffer *wire)
{
    for (size_t taken = 0; taken < n && c->fault == NULL;) {
        enum found found = take_record(&c->in, p, n, &taken);
        if (found == FOUND_JUNK)
            c->fault = "what came is no record";
        else if (found == FOUND_RECORD)
            take_it(c, plain, wire);
    }
}
