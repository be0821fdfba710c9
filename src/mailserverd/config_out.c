/* Of the configuration: [queue], [route NAME], and who may have mail relayed. */
#include "reading.h"
#include "text.h"

#include <mailsrv/queue.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { PREFIX_LEAST_V4 = 8, PREFIX_LEAST_V6 = 16 /* what is larger is a mistake, and opens the relay to all */ };

/* ---- Networks ---- */

/* Bits behind the prefix count for nothing. */
static bool read_network(const char *word, struct network *out)
{
    char address[WORD_OCTETS];
    const char *slash = strchr(word, '/');
    const size_t n = slash != NULL ? (size_t)(slash - word) : strlen(word);
    if (n >= sizeof address)
        return false;
    memcpy(address, word, n);
    address[n] = '\0';
    const bool is_v6 = strchr(address, ':') != NULL;
    out->octets = is_v6 ? 16 : 4;
    out->bits = out->octets * 8;
    if (uv_inet_pton(is_v6 ? AF_INET6 : AF_INET, address, out->address) != 0)
        return false;
    if (slash == NULL)
        return true;
    char *end;
    const unsigned long bits = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > out->bits)
        return false;
    out->bits = (uint32_t)bits;
    return bits >= (is_v6 ? PREFIX_LEAST_V6 : PREFIX_LEAST_V4);
}

static bool add_network(struct reading *r, const char *word)
{
    struct config *c = r->config;
    return c->n_relays < NETWORKS_MAX && read_network(word, &c->relays[c->n_relays]) && ++c->n_relays != 0;
}

bool reading_networks(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_network);
}

static bool is_in(const struct network *network, const uint8_t *address, size_t octets)
{
    if (octets != network->octets)
        return false;
    for (uint32_t i = 0; i < network->bits; i++)
        if (((address[i / 8] ^ network->address[i / 8]) >> (7 - i % 8) & 1) != 0)
            return false;
    return true;
}

bool config_relays_for(const struct config *c, const uint8_t *address, size_t octets)
{
    for (size_t i = 0; i < c->n_relays; i++)
        if (is_in(&c->relays[i], address, octets))
            return true;
    return false;
}

/* ---- [queue] ---- */

/* 90, 90s, 15m, 4h, 5d */
static bool take_duration(struct reading *r, void *to, const char *value)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
    char *end;
    const unsigned long n = strtoul(value, &end, 10);
    const char *unit = *end == '\0' ? units : strchr(units, *end);
    if (*value < '0' || *value > '9' || unit == NULL || (*end != '\0' && end[1] != '\0') || n > UINT32_MAX)
        return false;
    *(uint64_t *)to = n * seconds[unit - units];
    return *(uint64_t *)to >= r->key->least && *(uint64_t *)to <= r->key->most;
}

static bool take_delay(struct reading *r, void *to, const char *value)
{
    r->config->outgoing.delay_notice_is_off = strcmp(value, "never") == 0;
    return r->config->outgoing.delay_notice_is_off || take_duration(r, to, value);
}

/* ADDRESS:PORT, or ADDRESS alone: port 53. */
static bool add_server(struct reading *r, const char *word)
{
    char *all = r->config->outgoing.dns_servers, text[ADDRESS_OCTETS + 16];
    struct address at = { .text = "" };
    const size_t n = strlen(all);
    if (!address_read(word, &at)) {
        snprintf(text, sizeof text, strchr(word, ':') != NULL && *word != '[' ? "[%s]:53" : "%s:53", word);
        if (!address_read(text, &at))
            return false;
        word = text;
    }
    if (n + strlen(word) + 2 > SERVERS_OCTETS)
        return false;
    snprintf(all + n, SERVERS_OCTETS - n, "%s%s", n != 0 ? "," : "", word);
    return true;
}

static bool take_servers(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_server);
}

static bool add_source(struct reading *r, const char *word)
{
    uint8_t address[16];
    struct outgoing *o = &r->config->outgoing;
    if (uv_inet_pton(AF_INET, word, address) == 0)
        return reading_text(o->source_v4, sizeof o->source_v4, word);
    return uv_inet_pton(AF_INET6, word, address) == 0 && reading_text(o->source_v6, sizeof o->source_v6, word);
}

static bool take_sources(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_source);
}

static bool add_own(struct reading *r, const char *word)
{
    uint8_t address[16];
    struct outgoing *o = &r->config->outgoing;
    const bool is_address = uv_inet_pton(AF_INET, word, address) == 0 || uv_inet_pton(AF_INET6, word, address) == 0;
    return is_address && o->n_own < OWN_MAX && reading_text(o->own[o->n_own], WORD_OCTETS, word) && ++o->n_own != 0;
}

static bool take_own(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_own);
}

static bool take_dnssec(struct reading *r, void *to, const char *value)
{
    r->config->outgoing.dnssec_line = r->line;
    return reading_flag(r, to, value);
}

static bool take_downgrade(struct reading *r, void *to, const char *value)
{
    bool *no = to;
    (void)r;
    *no = strcmp(value, "no") == 0;
    return *no || strcmp(value, "yes") == 0;
}

static bool take_roots(struct reading *r, void *to, const char *value)
{
    r->config->outgoing.roots_line = r->line;
    return reading_path(r, to, value);
}

#define IN_QUEUE(field) offsetof(struct outgoing, field)
#define A_DURATION(text) "a time " text ", as in 90s, 15m, 4h or 5d"

static const struct key queue_keys[] = {
    { "first-retry", take_duration, IN_QUEUE(first_retry_s), A_DURATION("from 1s to 1d"), 1, 86400 },
    { "longest-retry", take_duration, IN_QUEUE(retry_max_s), A_DURATION("from 1s to 7d"), 1, 604800 },
    { "expire", take_duration, IN_QUEUE(expire_s), A_DURATION("from 1s to 60d"), 1, 5184000 },
    { "delay-notice", take_delay, IN_QUEUE(delay_notice_s), A_DURATION("from 1s to 60d") ", or never", 1, 5184000 },
    { "connections", reading_bounded, IN_QUEUE(connections_max), "a number from 1 to 10000", 1, 10000 },
    { "connections-per-destination", reading_bounded, IN_QUEUE(connections_per_site), "a number from 1 to 1000", 1,
      1000 },
    { "return-size", reading_bounded, IN_QUEUE(notice_octets_max), "a number of octets from 1K to 16M", 1024,
      UINT64_C(16) << 20 },
    { "downgrade", take_downgrade, IN_QUEUE(no_downgrade), "yes or no", 0, 0 },
    { "dns", take_servers, 0, "name servers by address, as in 127.0.0.1 [::1]:5353", 0, 0 },
    { "dnssec", take_dnssec, IN_QUEUE(dnssec), "yes or no", 0, 0 },
    { "source", take_sources, 0, "an address of IPv4, one of IPv6, or both", 0, 0 },
    { "own-addresses", take_own, 0, "at most 16 addresses, as in 192.0.2.1 2001:db8::1", 0, 0 },
    { "tls-roots", take_roots, IN_QUEUE(roots), "the path of a file, PEM", 0, 0 },
};

void reading_queue(struct reading *r, const char *name, const char *value)
{
    reading_take(r, queue_keys, N_KEYS(queue_keys), &r->config->outgoing, name, value);
}

/* ---- [route NAME] ---- */

static bool add_pattern(char *all, const char *word)
{
    const size_t n = strlen(all), octets = strlen(word);
    if (n + octets + 2 > PATTERNS_OCTETS)
        return false;
    snprintf(all + n, PATTERNS_OCTETS - n, "%s%s", n != 0 ? " " : "", word);
    text_lower(all + n);
    return true;
}

static bool add_destination(struct reading *r, const char *word)
{
    return add_pattern(r->route->destinations, word);
}

static bool add_sender(struct reading *r, const char *word)
{
    return add_pattern(r->route->senders, word);
}

static bool take_destinations(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_destination);
}

static bool take_senders(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_sender);
}

/* A name, or an address: as a literal then (RFC 5321 section 4.1.3). */
static bool set_host(struct route *route, const char *p, size_t n)
{
    uint8_t address[16];
    char text[WORD_OCTETS];
    const bool is_v6 = n > 2 && *p == '[' && p[n - 1] == ']';
    const size_t at = is_v6 ? 1 : 0, octets = n - 2 * at;
    if (n == 0 || n >= sizeof route->host)
        return false;
    snprintf(route->host, sizeof route->host, "%.*s", (int)n, p);
    text_lower(route->host);
    if (octets >= sizeof text)
        return !is_v6;
    snprintf(text, sizeof text, "%.*s", (int)octets, p + at);
    if (is_v6)
        snprintf(route->host, sizeof route->host, "[IPv6:%s]", text);
    else if (uv_inet_pton(AF_INET, text, address) == 0)
        snprintf(route->host, sizeof route->host, "[%s]", text);
    return !is_v6 || uv_inet_pton(AF_INET6, text, address) == 0;
}

static bool take_port(struct route *route, const char *text)
{
    char *end;
    const unsigned long port = strtoul(text, &end, 10);
    route->port = (uint16_t)port;
    return *text >= '0' && *text <= '9' && *end == '\0' && port != 0 && port <= 65535;
}

/* mx[:PORT] or HOST[:PORT], a name or an address; one of IPv6 in []. */
static bool take_host(struct reading *r, void *to, const char *value)
{
    const char *colon = *value == '[' ? strstr(value, "]:") : strchr(value, ':');
    (void)to;
    if (colon != NULL && *value == '[')
        colon++;
    const size_t n = colon != NULL ? (size_t)(colon - value) : strlen(value);
    if (strpbrk(value, " \t") != NULL || (colon != NULL && !take_port(r->route, colon + 1)))
        return false;
    return text_same(value, n, "mx", 2) || set_host(r->route, value, n);
}

static bool take_security(struct reading *r, void *to, const char *value)
{
    static const struct {
        const char *word;
        uint32_t secure, flags;
    } all[] = { { "no", MAILSRV_SECURE_NEVER, 0 },
                { "offered", MAILSRV_SECURE_MAY, 0 },
                { "required", MAILSRV_SECURE_MUST, 0 },
                { "verified", MAILSRV_SECURE_VERIFY, 0 },
                { "implicit", MAILSRV_SECURE_VERIFY, MAILSRV_ROUTE_IMPLICIT },
                { "implicit-unverified", MAILSRV_SECURE_MUST, MAILSRV_ROUTE_IMPLICIT } };
    (void)to;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].word, value) == 0) {
            r->route->secure = all[i].secure;
            r->route->flags |= all[i].flags;
            return true;
        }
    return false;
}

static bool take_flag_of(struct reading *r, const char *value, const char *no, const char *yes, uint32_t flag)
{
    if (strcmp(value, yes) == 0)
        r->route->flags |= flag;
    return strcmp(value, yes) == 0 || strcmp(value, no) == 0;
}

static bool take_protocol(struct reading *r, void *to, const char *value)
{
    (void)to;
    return take_flag_of(r, value, "smtp", "lmtp", MAILSRV_ROUTE_LMTP);
}

static bool take_literals(struct reading *r, void *to, const char *value)
{
    (void)to;
    return take_flag_of(r, value, "no", "yes", MAILSRV_ROUTE_LITERALS);
}

static bool take_dane(struct reading *r, void *to, const char *value)
{
    (void)to;
    return take_flag_of(r, value, "yes", "no", MAILSRV_ROUTE_NO_DANE);
}

static bool take_name(struct reading *r, void *to, const char *value)
{
    r->route->flags |= MAILSRV_ROUTE_AUTH;
    return reading_text(to, NAME_OCTETS, value);
}

#define IN_ROUTE(field) offsetof(struct route, field)

static const struct key route_keys[] = {
    { "for", take_destinations, 0, "domains, as in example.org .example.com *, of at most 2 KiB", 0, 0 },
    { "from", take_senders, 0, "addresses and domains of senders, as in pat@example.org example.com, of at most 2 KiB",
      0, 0 },
    { "host", take_host, 0,
      "mx or HOST, with :PORT or without, as in smtp.example.net:587, 192.0.2.1 or [2001:db8::1]:25", 0, 0 },
    { "tls", take_security, 0, "no, offered, required, verified, implicit or implicit-unverified", 0, 0 },
    { "protocol", take_protocol, 0, "smtp or lmtp", 0, 0 },
    { "user", take_name, IN_ROUTE(user), "a name to log in with", 0, 0 },
    { "password-file", reading_path, IN_ROUTE(password), "the path of a file with a password in its first line", 0, 0 },
    { "token-file", reading_path, IN_ROUTE(token), "the path of a file with a token of OAuth in its first line", 0, 0 },
    { "literals", take_literals, 0, "yes or no", 0, 0 },
    { "dane", take_dane, 0, "yes or no", 0, 0 },
};

bool reading_route_begins(struct reading *r, const char *name)
{
    struct config *c = r->config;
    for (size_t i = 0; i < c->n_routes; i++)
        if (strcmp(c->routes[i].name, name) == 0)
            return false;
    if (c->n_routes == ROUTES_MAX || !reading_word(r, c->routes[c->n_routes].name, name))
        return false;
    r->route = &c->routes[c->n_routes++];
    r->route->line = r->section_line;
    return true;
}

void reading_route(struct reading *r, const char *name, const char *value)
{
    reading_take(r, route_keys, N_KEYS(route_keys), r->route, name, value);
}

static void check_routes(struct reading *r)
{
    for (size_t i = 0; i < r->config->n_routes; i++) {
        const struct route *route = &r->config->routes[i];
        const bool has_secret = route->password[0] != '\0' || route->token[0] != '\0';
        if ((route->user[0] != '\0') != has_secret)
            reading_mistake(r, route->line, route->name, "both user = NAME and password-file or token-file = FILE",
                            NULL);
        if (route->host[0] == '\0' && (has_secret || (route->flags & MAILSRV_ROUTE_LMTP) != 0))
            reading_mistake(r, route->line, route->name, "host = HOST where there is a user, or LMTP", NULL);
        if (has_secret && (route->secure == MAILSRV_SECURE_MAY || route->secure == MAILSRV_SECURE_NEVER))
            reading_mistake(r, route->line, route->name, "tls = required, verified or implicit where there is a user",
                            NULL);
    }
}

/* Who happens to be in resolv.conf is not trusted by that. */
void reading_check_outgoing(struct reading *r)
{
    const struct outgoing *o = &r->config->outgoing;
    if (o->dnssec && o->dns_servers[0] == '\0')
        reading_mistake(r, o->dnssec_line, "dnssec", "dns = SERVER beside it, one that validates", NULL);
    check_routes(r);
}

/* ---- Which route ---- */

/* Does a pattern fit: *, a domain, .DOMAIN for those below it, or a whole address? */
static bool fits(const char *pattern, size_t n, const char *domain, size_t domain_n, const char *address,
                 size_t address_n)
{
    if (n == 1 && *pattern == '*')
        return true;
    if (memchr(pattern, '@', n) != NULL)
        return text_same(pattern, n, address, address_n);
    if (*pattern == '.')
        return domain_n > n && text_same(pattern, n, domain + domain_n - n, n);
    return text_same(pattern, n, domain, domain_n);
}

static bool fits_any(const char *patterns, const char *domain, size_t domain_n, const char *address, size_t address_n)
{
    bool found = *patterns == '\0';
    for (const char *at = patterns; *at != '\0' && !found;) {
        const size_t n = strcspn(at, " ");
        found = fits(at, n, domain, domain_n, address, address_n);
        at += n + strspn(at + n, " ");
    }
    return found;
}

const struct route *config_route(const struct config *c, mailsrv_bytes domain, mailsrv_bytes reverse_path)
{
    const char *sender = (const char *)reverse_path.p, *of = text_domain(sender, reverse_path.n);
    const size_t of_n = of != NULL ? reverse_path.n - (size_t)(of - sender) : 0;
    for (size_t i = 0; i < c->n_routes; i++)
        if (fits_any(c->routes[i].destinations, (const char *)domain.p, domain.n, "", 0) &&
            fits_any(c->routes[i].senders, of, of_n, sender, reverse_path.n))
            return &c->routes[i];
    return NULL;
}

bool config_routes_by_sender(const struct config *c)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].senders[0] != '\0')
            return true;
    return false;
}

const struct route *config_route_named(const struct config *c, mailsrv_bytes name)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (text_same(c->routes[i].name, strlen(c->routes[i].name), (const char *)name.p, name.n))
            return &c->routes[i];
    return NULL;
}
