/* DNS and routes.  The domain of number 7 is d7.test, its hosts are m0.d7.test and so on; whose an address is, its last
 * two octets say.  Which kind of domain it is follows from the seed, and what its servers are from the day. */
#include "sim.h"

#include <stdio.h>

enum { RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, HOSTS_MAX = 3, RECORDS_MAX = 4 };

enum domain_kind { BY_MX, BY_ADDRESS, BY_LMTP, BY_SMARTHOST, FORBIDDEN, NO_DOMAIN, NULL_MX };

static enum domain_kind kind_of(const struct sim *sim, uint32_t domain)
{
    static const struct {
        uint8_t below;
        enum domain_kind kind;
    } table[] = { { 6, BY_LMTP }, { 12, BY_SMARTHOST }, { 14, FORBIDDEN }, { 18, NO_DOMAIN }, { 21, NULL_MX },
                  { 32, BY_ADDRESS }, { 100, BY_MX } };
    uint64_t chance = dice_mix(sim->setup.seed, 1000 + domain) % 100;
    size_t i = 0;
    if (sim->setup.calm || domain == 0) /* domain 0 is the smarthost's */
        return BY_MX;
    while (chance >= table[i].below)
        i++;
    return table[i].kind;
}

bool domain_is_nowhere(const struct sim *sim, uint32_t domain)
{
    enum domain_kind kind = kind_of(sim, domain);
    return kind == FORBIDDEN || kind == NO_DOMAIN || kind == NULL_MX;
}

bool domain_has_smarthost(const struct sim *sim, uint32_t domain)
{
    return kind_of(sim, domain) == BY_SMARTHOST;
}

uint32_t domain_traits(const struct sim *sim, uint32_t domain)
{
    uint64_t chance = dice_mix(sim->setup.seed, 2000 + domain);
    uint32_t traits = (uint32_t)(chance >> 20) & (PEER_DSN | PEER_CHUNKING | PEER_SIZE);
    if (sim->setup.calm)
        return 0;
    if (kind_of(sim, domain) == BY_LMTP)
        traits |= PEER_LMTP;
    if (chance % 5 == 0)
        traits |= PEER_NO_PIPELINING;
    if (chance % 7 == 0)
        traits |= PEER_NO_8BIT;
    if (chance % 11 == 0 && (traits & PEER_LMTP) == 0)
        traits |= PEER_NO_EHLO;
    if (chance % 6 == 0)
        traits |= PEER_FEW;
    if (chance % 13 == 0)
        traits |= PEER_SIZE | PEER_SMALL_SIZE;
    if (chance % 2 == 0)
        traits |= PEER_UTF8;
    uint32_t tls = (uint32_t)(chance >> 32) % 10; /* of domain 0 it is well, for the sake of the smarthost */
    if (sim->setup.secures && (tls < 6 || domain == 0))
        traits |= PEER_TLS | (domain == 0 || tls < 4 ? 0 : tls == 4 ? PEER_BAD_TLS : PEER_UNKNOWN);
    return traits;
}

uint32_t domain_secure(const struct sim *sim, uint32_t domain)
{
    static const uint32_t secure[] = { MAILSRV_SECURE_MUST, MAILSRV_SECURE_VERIFY, MAILSRV_SECURE_NEVER };
    uint64_t chance = dice_mix(sim->setup.seed, 2500 + domain) % 10;
    return !sim->setup.secures || chance > 2 ? MAILSRV_SECURE_MAY : secure[chance];
}

static uint32_t hosts_of(const struct sim *sim, uint32_t domain)
{
    uint64_t day = (uint64_t)(sim->clock.now_us / DAY);
    return sim->setup.calm ? 1 : 1 + (uint32_t)(dice_mix(dice_mix(sim->setup.seed, 3000 + domain), day) % HOSTS_MAX);
}

/* ---- Records ---- */

struct records {
    mailsrv_dns_record v[RECORDS_MAX];
    uint8_t data[RECORDS_MAX][64];
    uint32_t n, rcode;
};

static void add(struct records *r, const mailsrv_arg_dns *asked, size_t octets)
{
    r->v[r->n] = (mailsrv_dns_record){ .size = sizeof r->v[0], .type = asked->type, .ttl_s = 300, .name = asked->name,
                                       .data = { r->data[r->n], octets } };
    r->n++;
}

static size_t put_name(uint8_t *p, const char *name)
{
    size_t n = 0;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        p[n++] = (uint8_t)label;
        memcpy(p + n, name, label);
        n += label;
        name += label + (name[label] == '.');
    }
    p[n++] = 0;
    return n;
}

static void add_exchangers(struct sim *sim, uint32_t domain, const mailsrv_arg_dns *asked, struct records *r)
{
    uint32_t n = hosts_of(sim, domain);
    for (uint32_t i = 0; i < n; i++) {
        char name[ADDRESS_MAX];
        snprintf(name, sizeof name, "m%u.d%u.test", i, domain);
        r->data[r->n][0] = 0;
        r->data[r->n][1] = (uint8_t)(10 * (i / 2)); /* the first two are equals */
        add(r, asked, 2 + put_name(r->data[r->n] + 2, name));
    }
}

static void add_address(struct sim *sim, uint32_t domain, uint32_t host, const mailsrv_arg_dns *asked, struct records *r)
{
    uint8_t *p = r->data[r->n];
    bool has_ipv6 = !sim->setup.calm && dice_mix(sim->setup.seed, 4000 + domain) % 3 == 0;
    if (asked->type == MAILSRV_DNS_AAAA && !has_ipv6)
        return;
    size_t n = asked->type == MAILSRV_DNS_AAAA ? 16 : 4;
    memset(p, 0, n);
    p[0] = n == 16 ? 0xFD : 10;
    p[n - 3] = (uint8_t)host;
    p[n - 2] = (uint8_t)(domain >> 8);
    p[n - 1] = (uint8_t)domain;
    add(r, asked, n);
}

/* Whose name that is. */
static uint32_t look_up(struct sim *sim, const char *name, const mailsrv_arg_dns *asked, struct records *r)
{
    unsigned domain = 0, host = 0;
    bool is_host = sscanf(name, "m%u.d%u.test", &host, &domain) == 2;
    enum domain_kind kind = BY_MX;
    if (!is_host && sscanf(name, "d%u.test", &domain) == 1)
        kind = kind_of(sim, domain);
    uint64_t hour = (uint64_t)(sim->clock.now_us / (6 * HOUR));
    if (!sim_heals(sim) && dice_mix(dice_mix(sim->setup.seed, 5000 + domain), hour) % 12 == 0)
        r->rcode = RCODE_SERVFAIL;
    else if (kind == NO_DOMAIN)
        r->rcode = RCODE_NXDOMAIN;
    else if (kind == NULL_MX && asked->type == MAILSRV_DNS_MX)
        add(r, asked, 3); /* of preference 0, the root */
    else if (asked->type == MAILSRV_DNS_MX && !is_host && kind == BY_MX)
        add_exchangers(sim, domain, asked, r);
    else if (asked->type != MAILSRV_DNS_MX && (is_host || kind == BY_ADDRESS))
        add_address(sim, domain, host, asked, r);
    return domain;
}

/* An octet of it is another, which may be a lie that is believed, or it is cut: by itself, or as one that says so (RFC 1035
 * section 4.1.1). */
static void spoil(struct sim *sim, uint32_t domain, uint8_t *message, size_t *n)
{
    enum { TRUNCATED = 2, FLAGS_AT = 2 };
    struct dice *dice = &sim->door_dice;
    uint32_t chance = sim->setup.calm || sim_heals(sim) ? 100 : dice_below(dice, 100);
    if (chance < 4 && sim->setup.lies) {
        message[dice_below(dice, (uint32_t)*n)] ^= (uint8_t)(1 + dice_below(dice, 255));
        reasons_lied(sim, domain);
    } else if (chance < 4)
        *n = dice_below(dice, (uint32_t)*n);
    else if (chance < 5)
        message[FLAGS_AT] |= TRUNCATED;
}

void names_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_dns *asked = op->arg;
    struct records r = { .n = 0 };
    char name[ADDRESS_MAX];
    uint8_t message[1024];
    size_t n = 0;
    snprintf(name, sizeof name, "%.*s", (int)asked->name.n, (const char *)asked->name.p);
    uint32_t domain = look_up(sim, name, asked, &r);
    sim_expect(sim, mailsrv_dns_write(asked->name, asked->type, r.rcode, r.v, r.n, message, sizeof message, &n) == MAILSRV_OK,
               "an answer of DNS is not written");
    spoil(sim, domain, message, &n);
    const mailsrv_dns_reply reply = { .size = sizeof reply, .message = { message, n } };
    const mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &reply };
    sim_expect(sim, mailsrv_op_answer(engine, op->id, &a) == MAILSRV_OK, "an answer of DNS is refused");
}

void routes_answer(struct sim *sim, mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_route *arg = op->arg;
    char host[ADDRESS_MAX] = "";
    unsigned domain = 0;
    snprintf(host, sizeof host, "%.*s", (int)arg->domain.n, (const char *)arg->domain.p);
    sscanf(host, "d%u.test", &domain);
    enum domain_kind kind = kind_of(sim, domain);
    mailsrv_route route = { .size = sizeof route, .kind = MAILSRV_ROUTE_MX, .secure = domain_secure(sim, domain) };
    if (arg->route.n != 0)
        kind = BY_SMARTHOST;
    if (kind == BY_LMTP || kind == BY_SMARTHOST) {
        bool logs_in = kind == BY_SMARTHOST && sim->setup.secures;
        int n = snprintf(host, sizeof host, "m%d.d%u.test", logs_in ? HOST_WITH_LOGIN : 0, kind == BY_LMTP ? domain : 0);
        route.kind = MAILSRV_ROUTE_HOST;
        route.flags = kind == BY_LMTP ? MAILSRV_ROUTE_LMTP : logs_in ? MAILSRV_ROUTE_AUTH : 0;
        route.secure = kind == BY_LMTP ? MAILSRV_SECURE_MAY : logs_in ? MAILSRV_SECURE_VERIFY : MAILSRV_SECURE_MAY;
        route.host = (mailsrv_bytes){ (const uint8_t *)host, (size_t)n };
    }
    mailsrv_answer a = { .size = sizeof a, .status = MAILSRV_OK, .value = &route };
    if (kind == FORBIDDEN)
        a = (mailsrv_answer){ .size = sizeof a, .status = MAILSRV_NOPERM };
    sim_expect(sim, mailsrv_op_answer(engine, op->id, &a) == MAILSRV_OK, "an answer of ROUTE is refused");
}
