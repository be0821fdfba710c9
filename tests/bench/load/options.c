#include "options.h"

#include "corpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER, WHEN, YES };

static const struct key {
    const char *name;
    enum kind kind;
    size_t at;
    const char *otherwise, *says;
} keys[] = {
#define KEY(name, kind, field, otherwise, says) { name, kind, offsetof(struct options, field), otherwise, says }
    KEY("host", TEXT, host, "127.0.0.1", "the server's address"),
    KEY("port", NUMBER, port, "0", "and port"),
    KEY("tls", WHEN, tls, "none", "none, implicit, starttls"),
    KEY("tls_version", TEXT, tls_version, "", "1.2 or 1.3, and no other"),
    KEY("group", TEXT, group, "P-256", "of the key exchange"),
    KEY("connections", NUMBER, connections, "1", "at once"),
    KEY("opening", NUMBER, opening, "64", "connections at most that are not greeted yet: some servers lose them"),
    KEY("count", NUMBER, count, "0", "operations in all (of idle: messages); 0: each connection once"),
    KEY("per", NUMBER, per, "0", "operations over one connection; 0: all"),
    KEY("user", TEXT, user, "u%d@here.test", "who logs in; %d goes round from first"),
    KEY("users", NUMBER, users, "1", "how many"),
    KEY("first", NUMBER, first, "0", "number of the first user"),
    KEY("password", TEXT, password, "secret", "of each"),
    KEY("to", TEXT, to, "", "recipients of smtp, lmtp and idle; else they are as user"),
    KEY("from", TEXT, from, "sender@remote.test", "sender of smtp, lmtp and idle"),
    KEY("rcpts", NUMBER, rcpts, "1", "recipients of a message"),
    KEY("octets", NUMBER, octets, "4096", "of a message"),
    KEY("mixed", YES, mixed, "no", "yes: of smtp and lmtp, half are that large, the others 4, 16 and 64 times"),
    KEY("seed", NUMBER, seed, "1", "of the messages"),
    KEY("mailbox", TEXT, mailbox, "INBOX", "of append, select, fetch, search, store; %d is the user's number"),
    KEY("items", TEXT, items, "(UID FLAGS)", "of fetch"),
    KEY("set", TEXT, set, "1:*", "of fetch and store; of store also each: one by one"),
    KEY("key", TEXT, key, "HEADER Subject invoice", "of search"),
    KEY("flag", TEXT, flag, "\\Flagged", "of store, set and removed by turns"),
    KEY("pipeline", YES, pipeline, "yes", "no: each command waits for the answer to the one before"),
    KEY("protocol", TEXT, protocol, "smtp", "of rtt: smtp, lmtp, imap, pop3"),
    KEY("idlers", NUMBER, idlers, "1", "connections of idle"),
    KEY("mailboxes", NUMBER, mailboxes, "1", "they are spread over: as many users"),
    KEY("sources", NUMBER, sources, "1", "loopback addresses that connections come from"),
    KEY("lmtp_port", NUMBER, lmtp_port, "0", "where idle delivers"),
    KEY("wait", YES, wait, "no", "yes: idle says ready, and waits for a line before it delivers"),
    KEY("timeout", NUMBER, timeout_s, "120", "seconds without an answer from anybody"),
};
enum { KEYS = sizeof keys / sizeof *keys };

void options_print(void)
{
    for (size_t i = 0; i < KEYS; i++)
        fprintf(stderr, "  %s=%s%*s %s\n", keys[i].name, keys[i].otherwise,
                (int)(36 - strlen(keys[i].name) - strlen(keys[i].otherwise)), "", keys[i].says);
}

static bool read_number(const char *value, uint64_t *to)
{
    char *end;
    errno = 0;
    *to = strtoull(value, &end, 10);
    return errno == 0 && *value >= '0' && *value <= '9' && *end == '\0';
}

/* Which of two or three words; their number, or -1. */
static int read_word(const char *value, const char *const *of, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(value, of[i]) == 0)
            return i;
    return -1;
}

static bool set(struct options *options, const struct key *key, const char *value)
{
    static const char *const whens[] = { "none", "implicit", "starttls" }, *const yes[] = { "no", "yes" };
    void *at = (char *)options + key->at;
    int word;
    switch (key->kind) {
    case TEXT:
        *(const char **)at = value;
        return true;
    case NUMBER:
        return read_number(value, at);
    case WHEN:
        word = read_word(value, whens, 3);
        *(enum tls_when *)at = word < 0 ? TLS_NONE : (enum tls_when)word;
        return word >= 0;
    default:
        word = read_word(value, yes, 2);
        *(bool *)at = word == 1;
        return word >= 0;
    }
}

static bool read_key(struct options *options, const char *word)
{
    const char *equals = strchr(word, '=');
    for (size_t i = 0; equals != NULL && i < KEYS; i++)
        if (strlen(keys[i].name) == (size_t)(equals - word) && memcmp(keys[i].name, word, (size_t)(equals - word)) == 0)
            return set(options, &keys[i], equals + 1);
    return false;
}

static bool is_sound(const struct options *o)
{
    const char *wrong = o->port == 0 || o->port > 65535   ? "port"
                        : o->lmtp_port > 65535            ? "lmtp_port"
                        : o->connections == 0             ? "connections"
                        : o->opening == 0                 ? "opening"
                        : o->users == 0                   ? "users"
                        : o->rcpts == 0                   ? "rcpts"
                        : o->octets < CORPUS_OCTETS_MIN   ? "octets"
                        : o->idlers == 0                  ? "idlers"
                        : o->mailboxes == 0               ? "mailboxes"
                        : o->sources == 0                 ? "sources"
                        : o->sources > 250                ? "sources"
                        : o->timeout_s == 0               ? "timeout"
                        : o->timeout_s > 1000000          ? "timeout"
                                                          : NULL;
    if (wrong != NULL)
        fprintf(stderr, "bench-load: %s is out of its range\n", wrong);
    return wrong == NULL;
}

bool options_read(struct options *options, int argc, char **argv)
{
    memset(options, 0, sizeof *options);
    for (size_t i = 0; i < KEYS; i++)
        set(options, &keys[i], keys[i].otherwise);
    for (int i = 0; i < argc; i++)
        if (!read_key(options, argv[i])) {
            fprintf(stderr, "bench-load: what is %s?\n", argv[i]);
            return false;
        }
    if (*options->to == '\0')
        options->to = options->user;
    return is_sound(options);
}

size_t pattern_write(const char *pattern, uint64_t number, char *to, size_t room)
{
    const char *place = strstr(pattern, "%d");
    int n = place == NULL ? snprintf(to, room, "%s", pattern)
                          : snprintf(to, room, "%.*s%llu%s", (int)(place - pattern), pattern,
                                     (unsigned long long)number, place + 2);
    return n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}
