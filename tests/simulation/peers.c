/* Mail servers: how they are just now, and the wires to them. */
#include "sim.h"

#include <stdlib.h>

/* How it is with a server changes after some hours, or days.  Where all is well at the end, some servers are dead still:
 * what is for them comes back. */
enum mood peer_mood(const struct sim *sim, uint32_t domain)
{
    static const uint8_t well[] = { 85, 93, 94, 95, 97, 99, 100 }, ill[] = { 30, 60, 75, 85, 90, 98, 100 };
    static const enum mood moods[] = { FINE, SICK, DOWN, SILENT, BUSY, FULL, CLOSED };
    uint64_t kind = dice_mix(sim->setup.seed, 6000 + domain) % 100;
    if (domain >= sim->setup.domains || (!sim->setup.calm && !sim->setup.brief && domain != 0 && kind >= 96))
        return domain == sim->setup.domains && sim->setup.silent ? SILENT : DOWN;
    if (sim->setup.full)
        return FULL;
    if (sim_heals(sim))
        return FINE;
    int64_t lasts = (kind < 60 ? 1 + (int64_t)kind % 5 : 6 + (int64_t)kind) * HOUR;
    uint64_t slot = (uint64_t)(sim->clock.now_us / lasts);
    uint64_t chance = dice_mix(dice_mix(sim->setup.seed, 7000 + domain), slot) % 100;
    const uint8_t *below = kind < 60 ? well : ill;
    size_t i = 0;
    while (chance >= below[i])
        i++;
    return moods[i];
}

/* ---- Connections ---- */

static void wakes(struct event *event)
{
    struct wire *wire = (struct wire *)(void *)((char *)event - offsetof(struct wire, wakes));
    wire->pauses = false;
}

void wire_pause(struct wire *wire, int64_t us)
{
    wire->pauses = true;
    clock_clear(&wire->sim->clock, &wire->wakes);
    if (us != INT64_MAX)
        clock_set(&wire->sim->clock, &wire->wakes, us);
}

static bool answers(struct sim *sim, uint32_t domain, uint32_t host)
{
    enum mood mood = peer_mood(sim, domain);
    uint64_t hour = (uint64_t)(sim->clock.now_us / HOUR);
    if (mood == DOWN)
        return false;
    return sim_heals(sim) || dice_mix(dice_mix(sim->setup.seed, 8000 + domain * 8 + host), hour) % 8 != 0;
}

void peers_connect(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_connect *arg = op->arg;
    const uint8_t *last = arg->address + arg->address_octets;
    mailsrv_peer peer = { .size = sizeof peer, .address_octets = arg->address_octets, .port = arg->port };
    uint32_t domain = (uint32_t)last[-2] << 8 | last[-1];
    if (!answers(sim, domain, last[-3])) {
        sim_expect(sim, mailsrv_op_answer_status(engine, op->id, MAILSRV_TEMP) == MAILSRV_OK, "CONNECT takes no answer");
        return;
    }
    memcpy(peer.address, arg->address, arg->address_octets);
    struct wire *wire = dialogue_take(sizeof *wire);
    if (mailsrv_client_new(engine, op->id, &peer, wire, &wire->client) != MAILSRV_OK) {
        free(wire);
        return;
    }
    wire->sim = sim;
    wire->domain = domain;
    wire->traits = domain_traits(sim, domain) | (last[-3] == HOST_WITH_LOGIN ? PEER_AUTH : 0);
    wire->mood = peer_mood(sim, domain);
    wire->wakes.happens = wakes;
    wire->cut_at = UINT64_MAX;
    if (wire->mood == SICK && dice_falls(&sim->peer_dice, 150))
        wire->cut_at = dice_below(&sim->peer_dice, 3000);
    wire->next = sim->wires;
    sim->wires = wire;
    sim->n_wires++;
    talk_begin(wire);
}

static void wire_free(struct wire *wire)
{
    struct sim *sim = wire->sim;
    reasons_wire_ends(wire);
    clock_clear(&sim->clock, &wire->wakes);
    mailsrv_session_free(wire->client);
    buffer_free(&wire->in);
    buffer_free(&wire->out);
    buffer_free(&wire->text);
    free(wire);
    sim->n_wires--;
}

void peers_end(struct sim *sim)
{
    while (sim->wires != NULL) {
        struct wire *wire = sim->wires;
        sim->wires = wire->next;
        wire_free(wire);
    }
}

/* ---- What passes over them ---- */

static bool to_peer(struct wire *wire)
{
    mailsrv_out v[1];
    size_t count = 0;
    if (wire->pauses || mailsrv_session_output(wire->client, v, 1, &count) != MAILSRV_OK || count == 0)
        return false;
    size_t n = wire->ends ? 0 : v[0].n;
    if (wire->octets + n > wire->cut_at) {
        n = (size_t)(wire->cut_at - wire->octets);
        wire->ends = true;
    }
    buffer_add(&wire->in, v[0].p, wire->place == AT_END ? 0 : n);
    wire->octets += n;
    mailsrv_session_sent(wire->client, v[0].n);
    return true;
}

/* The handshake is the host's. */
static bool secure(struct wire *wire)
{
    const mailsrv_tls_info info = { .size = sizeof info, .version = 0x0304,
                                    .verified = (wire->traits & PEER_UNKNOWN) == 0 };
    if ((mailsrv_session_wants(wire->client) & MAILSRV_WANT_TLS_CLIENT) == 0)
        return false;
    if (wire->ends) {
        mailsrv_session_tls_failed(wire->client, "lost", 4);
        return true;
    }
    bool fails = (wire->traits & PEER_BAD_TLS) != 0 || (wire->mood == SICK && dice_falls(&wire->sim->peer_dice, 100));
    if (fails)
        mailsrv_session_tls_failed(wire->client, "no", 2);
    else
        mailsrv_session_tls_started(wire->client, &info);
    wire->secured = !fails;
    wire->verified = !fails && info.verified != 0;
    wire->ends = wire->ends || fails;
    return true;
}

static bool to_client(struct wire *wire)
{
    size_t n = wire->out.n - wire->out_at, taken = 0;
    if (wire->pauses || n == 0 || (mailsrv_session_wants(wire->client) & MAILSRV_WANT_READ) == 0)
        return false;
    mailsrv_session_feed(wire->client, (const uint8_t *)wire->out.p + wire->out_at, n, &taken);
    wire->out_at += taken;
    if (wire->out_at == wire->out.n)
        wire->out.n = wire->out_at = 0;
    return taken != 0;
}

static bool move(struct wire *wire)
{
    bool moved = to_peer(wire);
    size_t before = wire->in.n, said = wire->out.n;
    if (!wire->pauses)
        talk_hear(wire);
    moved = moved || wire->in.n != before || wire->out.n != said;
    moved = to_client(wire) || moved;
    moved = secure(wire) || moved;
    if (wire->ends && !wire->pauses && wire->out.n == 0) {
        mailsrv_session_feed_eof(wire->client);
        wire->pauses = true; /* nothing comes any more */
        moved = true;
    }
    return moved;
}

bool peers_move(struct sim *sim)
{
    bool moved = false;
    for (struct wire **at = &sim->wires; *at != NULL && !sim->crashing;) {
        struct wire *wire = *at;
        if ((mailsrv_session_wants(wire->client) & MAILSRV_WANT_CLOSE) != 0) {
            *at = wire->next;
            wire_free(wire);
            moved = true;
            continue;
        }
        moved = move(wire) || moved;
        at = &wire->next;
    }
    return moved;
}
