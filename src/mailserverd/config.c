#include "reading.h"
#include "text.h"

#include <mailsrv/mailsrv.h>

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const struct service services[] = {
    { "mx", mailsrv_smtp, MAILSRV_FACE_MX, false },     { "submission", mailsrv_smtp, MAILSRV_FACE_SUBMISSION, true },
    { "lmtp", mailsrv_smtp, MAILSRV_FACE_LMTP, false }, { "pop3", mailsrv_pop3, MAILSRV_FACE_POP3, true },
    { "imap", mailsrv_imap, MAILSRV_FACE_IMAP, true },
};

void reading_mistake(struct reading *r, unsigned line, const char *key, const char *expected, const char *given)
{
    r->mistakes++;
    fprintf(r->err, "mailserverd: %s:%u: %s%sexpected %s%s%s\n", r->config->path, line, key, *key != '\0' ? ": " : "",
            expected, given != NULL ? ", not " : "", given != NULL ? given : "");
}

/* ---- Values: each function is one kind of them ---- */

bool reading_text(char *to, size_t room, const char *value)
{
    const size_t n = strlen(value);
    if (n == 0 || n >= room)
        return false;
    memcpy(to, value, n + 1);
    return true;
}

bool reading_word(struct reading *r, void *to, const char *value)
{
    (void)r;
    return strpbrk(value, " \t") == NULL && reading_text(to, WORD_OCTETS, value);
}

static bool take_user(struct reading *r, void *to, const char *value)
{
    r->config->run_as_line = r->line;
    return reading_word(r, to, value);
}

bool reading_path(struct reading *r, void *to, const char *value)
{
    (void)r;
    return reading_text(to, PATH_OCTETS, value);
}

/* sub-domain *("." sub-domain), each of 1 to 63 octets (RFC 1035 section 2.3.4, RFC 5321 section 4.1.2) */
static bool is_domain(const char *name)
{
    for (const char *at = name;;) {
        const size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (n == 0 || n > 63 || (at[n] != '.' && at[n] != '\0'))
            return false;
        if (at[n] == '\0')
            return true;
        at += n + 1;
    }
}

bool reading_domain(struct reading *r, void *to, const char *value)
{
    (void)r;
    if (!reading_text(to, NAME_OCTETS, value))
        return false;
    text_lower(to);
    return is_domain(to);
}

bool reading_flag(struct reading *r, void *to, const char *value)
{
    (void)r;
    *(bool *)to = strcmp(value, "yes") == 0;
    return *(bool *)to || strcmp(value, "no") == 0;
}

/* 64, 64K, 64M, 64G */
static bool take_number(uint64_t *to, const char *value, uint64_t least, uint64_t most)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    const unsigned long long n = strtoull(value, &end, 10);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    const unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    if (*value < '0' || *value > '9' || errno != 0 || (*end != '\0' && (unit == NULL || end[1] != '\0')) ||
        n > UINT64_MAX >> shift)
        return false;
    *to = (uint64_t)n << shift;
    return *to >= least && *to <= most;
}

bool reading_bounded(struct reading *r, void *to, const char *value)
{
    return take_number(to, value, r->key->least, r->key->most);
}

static bool take_log(struct reading *r, void *to, const char *value)
{
    (void)r;
    *(enum log_format *)to = strcmp(value, "json") == 0 ? LOG_JSON : LOG_TEXT;
    return strcmp(value, "json") == 0 || strcmp(value, "text") == 0;
}

static bool take_method(struct reading *r, void *to, const char *value)
{
    (void)r;
    enum password_method *method = to;
    *method = strcmp(value, "argon2id") == 0 ? PASSWORD_ARGON2ID : PASSWORD_YESCRYPT;
    return (*method == PASSWORD_ARGON2ID || strcmp(value, "yescrypt") == 0) && password_method_is_known(*method);
}

static bool take_delimiter(struct reading *r, void *to, const char *value)
{
    (void)r;
    const bool none = strcmp(value, "none") == 0;
    *(char *)to = none ? '\0' : *value;
    return none || (strlen(value) == 1 && strchr("+-=_#", *value) != NULL);
}

static bool take_protocol(struct reading *r, void *to, const char *value)
{
    (void)r;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i].name, value) == 0) {
            *(const struct service **)to = &services[i];
            return true;
        }
    return false;
}

static bool take_secured(struct reading *r, void *to, const char *value)
{
    static const char *const words[] = { "no", "starttls", "implicit" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], value) == 0) {
            *(enum secured *)to = (enum secured)i;
            r->listener->secured_is_said = true;
            return true;
        }
    return false;
}

bool reading_words(struct reading *r, const char *value, bool (*take)(struct reading *r, const char *word))
{
    char copy[PATH_OCTETS], *at = copy;
    if (!reading_text(copy, sizeof copy, value))
        return false;
    for (char *word; (word = strsep(&at, " \t")) != NULL;)
        if (*word != '\0' && !take(r, word))
            return false;
    return true;
}

static bool add_domain(struct reading *r, const char *word)
{
    struct config *c = r->config;
    return c->n_domains < DOMAINS_MAX && reading_domain(r, c->domains[c->n_domains], word) && ++c->n_domains != 0;
}

static bool take_domains(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_domain);
}

static bool add_address(struct reading *r, const char *word)
{
    struct listener *l = r->listener;
    return l->n_addresses < ADDRESSES_MAX && address_read(word, &l->addresses[l->n_addresses]) && ++l->n_addresses != 0;
}

static bool take_addresses(struct reading *r, void *to, const char *value)
{
    (void)to;
    return reading_words(r, value, add_address);
}

/* ---- Keys ---- */

#define IN_SERVER(field) offsetof(struct config, field)
#define IN_LISTENER(field) offsetof(struct listener, field)
#define IN_TLS(field) offsetof(struct certificate, field)

static const struct key server_keys[] = {
    { "hostname", reading_domain, IN_SERVER(hostname), "a domain, as in mail.example.org", 0, 0 },
    { "data", reading_path, IN_SERVER(data), "the path of a directory", 0, 0 },
    { "domains", take_domains, 0, "at most 64 domains, as in example.org example.net", 0, 0 },
    { "user", take_user, IN_SERVER(run_as), "the name of a user of this system", 0, 0 },
    { "subaddress", take_delimiter, IN_SERVER(delimiter), "one of + - = _ #, or none", 0, 0 },
    { "threads", reading_bounded, IN_SERVER(threads), "a number from 1 to 64", 1, THREADS_MAX },
    { "memory", reading_bounded, IN_SERVER(memory), "a number of octets from 16M, as in 256M", UINT64_C(16) << 20,
      UINT64_C(1) << 40 },
    { "index-memory", reading_bounded, IN_SERVER(index_memory), "a number of octets from 1M, as in 2M",
      UINT64_C(1) << 20, UINT64_C(1) << 40 },
    { "message-size", reading_bounded, IN_SERVER(message_max), "a number of octets from 64K, as in 100M", 65536,
      UINT64_C(1) << 40 },
    { "recipients", reading_bounded, IN_SERVER(recipients_max), "a number from 100 to 1000", 100, 1000 },
    { "password-hash", take_method, IN_SERVER(password_method),
      "yescrypt, or argon2id where this program was built with it", 0, 0 },
    { "login-failures", reading_bounded, IN_SERVER(login_failures), "a number up to 1000", 0, 1000 },
    { "login-cache", reading_bounded, IN_SERVER(login_cache_s), "a number of seconds up to 86400", 0, 86400 },
    { "messages-per-hour", reading_bounded, IN_SERVER(messages_per_hour), "a number up to 1000000", 0, 1000000 },
    { "recipients-per-hour", reading_bounded, IN_SERVER(recipients_per_hour), "a number up to 1000000", 0, 1000000 },
    { "grace", reading_bounded, IN_SERVER(grace_s), "a number of seconds up to 3600", 0, 3600 },
    { "relay-networks", reading_networks, 0,
      "at most 64 networks, none larger than a /8 of IPv4 or a /16 of IPv6, as in 192.0.2.0/24 2001:db8::/32", 0, 0 },
    { "log", take_log, IN_SERVER(log), "text or json", 0, 0 },
};

static const struct key tls_keys[] = {
    { "certificate", reading_path, IN_TLS(chain), "the path of a file, PEM, with the whole chain", 0, 0 },
    { "key", reading_path, IN_TLS(key), "the path of a file, PEM", 0, 0 },
};

static const struct key listener_keys[] = {
    { "protocol", take_protocol, IN_LISTENER(service), "mx, submission, lmtp, pop3 or imap", 0, 0 },
    { "address", take_addresses, 0, "at most 8 of ADDRESS:PORT or unix:PATH, as in 127.0.0.1:2525 or [::1]:2525", 0,
      0 },
    { "tls", take_secured, IN_LISTENER(secured), "no, starttls or implicit", 0, 0 },
    { "plain-passwords", reading_flag, IN_LISTENER(plain_passwords), "yes or no", 0, 0 },
    { "channel-binding", reading_flag, IN_LISTENER(channel_binding), "yes or no", 0, 0 },
    { "connections", reading_bounded, IN_LISTENER(connections_max), "a number from 1 to 1000000", 1, 1000000 },
    { "connections-per-peer", reading_bounded, IN_LISTENER(connections_per_peer), "a number from 1 to 1000000", 1,
      1000000 },
};

void reading_take(struct reading *r, const struct key *keys, size_t n, void *section, const char *name,
                  const char *value)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].name, name) == 0) {
            r->key = &keys[i];
            if (!keys[i].take(r, (char *)section + keys[i].offset, value))
                reading_mistake(r, r->line, name, keys[i].expected, value);
            return;
        }
    char known[512] = "one of";
    for (size_t i = 0; i < n; i++) {
        const size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s %s", i == 0 ? "" : ",", keys[i].name);
    }
    reading_mistake(r, r->line, name, known, NULL);
}

/* ---- Sections ---- */

static bool begin_listener(struct reading *r, const char *name)
{
    struct config *c = r->config;
    for (size_t i = 0; i < c->n_listeners; i++)
        if (strcmp(c->listeners[i].name, name) == 0)
            return false;
    if (c->n_listeners == LISTENERS_MAX || !reading_word(r, c->listeners[c->n_listeners].name, name))
        return false;
    r->listener = &c->listeners[c->n_listeners++];
    r->listener->line = r->section_line;
    r->listener->connections_max = 10000;
    r->listener->connections_per_peer = 200;
    return true;
}

static bool begin_certificate(struct reading *r)
{
    struct config *c = r->config;
    if (c->n_certificates == CERTIFICATES_MAX)
        return false;
    r->certificate = &c->certificates[c->n_certificates++];
    r->certificate->line = r->section_line;
    return true;
}

static void begin_section(struct reading *r, const char *section)
{
    r->begun_line = r->section_line;
    r->listener = NULL;
    r->certificate = NULL;
    r->route = NULL;
    if (strncmp(section, "listener ", 9) == 0) {
        if (!begin_listener(r, section + 9))
            reading_mistake(r, r->section_line, "",
                            "a name of one word that no listener before has, and at most 32 listeners", section);
    } else if (strcmp(section, "tls") == 0 || strncmp(section, "tls ", 4) == 0) {
        if (!begin_certificate(r))
            reading_mistake(r, r->section_line, "", "at most 32 certificates", section);
    } else if (strncmp(section, "route ", 6) == 0) {
        if (!reading_route_begins(r, section + 6))
            reading_mistake(r, r->section_line, "",
                            "a name of one word that no route before has, and at most 64 routes", section);
    } else if (strcmp(section, "server") != 0 && strcmp(section, "queue") != 0) {
        reading_mistake(r, r->section_line, "", "[server], [queue], [tls NAME], [listener NAME] or [route NAME]",
                        section);
    }
}

static int on_line(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    if (r->begun_line != r->section_line)
        begin_section(r, section);
    if (strcmp(section, "server") == 0)
        reading_take(r, server_keys, N_KEYS(server_keys), r->config, name, value);
    else if (strcmp(section, "queue") == 0)
        reading_queue(r, name, value);
    else if (r->route != NULL)
        reading_route(r, name, value);
    else if (r->listener != NULL)
        reading_take(r, listener_keys, N_KEYS(listener_keys), r->listener, name, value);
    else if (r->certificate != NULL)
        reading_take(r, tls_keys, N_KEYS(tls_keys), r->certificate, name, value);
    return 1;
}

enum { SECTION_OCTETS_MAX = 49 /* of its name: the parser keeps no more */ };

/* What the parser cannot take of a line; NULL: nothing. */
static const char *is_unfit(const char *line, size_t n, size_t room)
{
    const char *name = line + strspn(line, " \t");
    if (memchr(line, '\0', n) != NULL)
        return "text, without NUL";
    if (n >= room)
        return "a shorter line; a key with several values may be repeated";
    if (*name == '[' && strcspn(name + 1, "]") > SECTION_OCTETS_MAX)
        return "a name of at most 49 octets";
    return NULL;
}

/* A line for the parser, counted: it tells its handler no number. */
static char *next_line(char *line, int room, void *user)
{
    struct reading *r = user;
    const ssize_t n = getline(&r->text, &r->room, r->file);
    if (n < 0)
        return NULL;
    r->line++;
    if (r->text[strspn(r->text, " \t")] == '[')
        r->section_line = r->line;
    const char *expected = is_unfit(r->text, (size_t)n, (size_t)room);
    if (expected != NULL)
        reading_mistake(r, r->line, "", expected, NULL);
    memcpy(line, expected == NULL ? r->text : "", expected == NULL ? (size_t)n + 1 : 1);
    return line;
}

/* ---- The whole ---- */

static void check_listener(struct reading *r, struct listener *l)
{
    const bool tls = r->config->n_certificates > 0;
    bool loopback = true;
    for (size_t i = 0; i < l->n_addresses; i++)
        loopback = loopback && address_is_loopback(&l->addresses[i]);
    if (!l->secured_is_said)
        l->secured =
            tls && (l->service == NULL || l->service->face != MAILSRV_FACE_LMTP) ? SECURED_STARTTLS : SECURED_NEVER;
    if (l->service == NULL)
        reading_mistake(r, l->line, l->name, "protocol = mx, submission, lmtp, pop3 or imap", NULL);
    if (l->n_addresses == 0)
        reading_mistake(r, l->line, l->name, "address = ADDRESS:PORT", NULL);
    if (l->secured != SECURED_NEVER && !tls)
        reading_mistake(r, l->line, l->name, "a section [tls NAME] with certificate and key, or tls = no", NULL);
    if (l->plain_passwords && !loopback)
        reading_mistake(r, l->line, l->name,
                        "loopback addresses where plain-passwords = yes: they could be read on the way", NULL);
}

static void check(struct reading *r)
{
    struct config *c = r->config;
    if (c->data[0] == '\0')
        reading_mistake(r, r->line, "[server]", "data = DIRECTORY", NULL);
    for (size_t i = 0; i < c->n_certificates; i++)
        if (c->certificates[i].chain[0] == '\0' || c->certificates[i].key[0] == '\0')
            reading_mistake(r, c->certificates[i].line, "[tls]", "both certificate = FILE and key = FILE", NULL);
    for (size_t i = 0; i < c->n_listeners; i++)
        check_listener(r, &c->listeners[i]);
    reading_check_outgoing(r);
    if (c->n_listeners == 0)
        reading_mistake(r, r->line, "", "a section [listener NAME]", NULL);
}

static void set_defaults(struct config *c, const char *path)
{
    memset(c, 0, sizeof *c);
    c->references = 1;
    snprintf(c->path, sizeof c->path, "%s", path);
    c->delimiter = '+';
    c->threads = 1;
    c->memory = UINT64_C(256) << 20;
    c->index_memory = UINT64_C(2) << 20;
    c->message_max = UINT64_C(100) << 20;
    c->recipients_max = 100;
    c->login_failures = 20;
    c->login_cache_s = 600;
    c->grace_s = 5;
}

static void complete(struct config *c)
{
    size_t n = sizeof c->hostname;
    if (c->hostname[0] == '\0' && uv_os_gethostname(c->hostname, &n) != 0)
        snprintf(c->hostname, sizeof c->hostname, "localhost");
    if (c->n_domains == 0)
        snprintf(c->domains[c->n_domains++], NAME_OCTETS, "%s", c->hostname);
}

static bool read_all(struct config *config, FILE *file, const char *path, FILE *err)
{
    struct reading r = { .config = config, .file = file, .err = err };
    set_defaults(config, path);
    const int wrong = ini_parse_stream(next_line, &r, on_line, &r);
    free(r.text);
    if (wrong > 0)
        reading_mistake(&r, (unsigned)wrong, "", "[SECTION], KEY = VALUE, or # and a comment", NULL);
    if (r.mistakes == 0) /* else more would follow from those */
        check(&r);
    complete(config);
    return r.mistakes == 0;
}

const struct config *config_read_file(FILE *file, const char *path, FILE *err)
{
    struct config *config = malloc(sizeof *config);
    if (config == NULL)
        fprintf(err, "mailserverd: out of memory\n");
    if (config != NULL && read_all(config, file, path, err))
        return config;
    free(config);
    return NULL;
}

const struct config *config_read(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        fprintf(stderr, "mailserverd: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    const struct config *config = config_read_file(file, path, stderr);
    fclose(file);
    return config;
}

const struct config *config_ref(const struct config *config)
{
    __atomic_add_fetch(&((struct config *)(uintptr_t)config)->references, 1, __ATOMIC_RELAXED);
    return config;
}

void config_unref(const struct config *config)
{
    struct config *c = (struct config *)(uintptr_t)config;
    if (c != NULL && __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(c);
}

bool config_has_domain(const struct config *config, const char *domain, size_t n)
{
    for (size_t i = 0; i < config->n_domains; i++)
        if (text_same(config->domains[i], strlen(config->domains[i]), domain, n))
            return true;
    return false;
}
