/* The configuration: one file, read once, then immutable, and counted.  docs/mailserverd.conf.5 describes it. */
#ifndef MAILSERVERD_CONFIG_H
#define MAILSERVERD_CONFIG_H

#include "address.h"
#include "password.h"

#include <mailsrv/profile.h>

#include <stdio.h>

#define LISTENERS_MAX 32
#define ADDRESSES_MAX 8 /* of a listener */
#define DOMAINS_MAX 64
#define CERTIFICATES_MAX 32
#define THREADS_MAX 64
#define NAME_OCTETS 256 /* of a domain, with its end */
#define PATH_OCTETS 512
#define WORD_OCTETS 64

/* What can be served: a machine and a face of it. */
struct service {
    const char *name;
    const mailsrv_machine *(*machine)(void);
    int32_t face;
    bool logs_in; /* peers say passwords there */
};

enum secured { SECURED_NEVER, SECURED_STARTTLS, SECURED_AT_ONCE };

struct listener {
    char name[WORD_OCTETS];
    const struct service *service;
    struct address addresses[ADDRESSES_MAX];
    size_t n_addresses;
    enum secured secured;
    bool secured_is_said; /* in the file; else there is a default */
    bool plain_passwords;
    bool channel_binding;                           /* SCRAM is also offered with it */
    uint64_t connections_max, connections_per_peer; /* 0: as many as come */
    unsigned line;                                  /* of its section */
};

struct certificate {
    char chain[PATH_OCTETS], key[PATH_OCTETS];
    unsigned line;
};

#define ROUTES_MAX 64
#define NETWORKS_MAX 64
#define PATTERNS_OCTETS 2048
#define OWN_MAX 16
#define SERVERS_OCTETS 512

/* Where mail goes that is not for here: the first that fits. */
struct route {
    char name[WORD_OCTETS];
    char destinations[PATTERNS_OCTETS]; /* example.org .example.com *, between spaces, in lower case; empty: all */
    char senders[PATTERNS_OCTETS];      /* the same of the reverse-path, and whole addresses */
    char host[NAME_OCTETS];             /* empty: the domain's mail exchangers */
    uint16_t port;
    uint32_t secure, flags; /* MAILSRV_SECURE_..., MAILSRV_ROUTE_... (queue.h) */
    char user[NAME_OCTETS], password[PATH_OCTETS], token[PATH_OCTETS]; /* the latter two are paths of files */
    unsigned line;
};

/* Addresses that share their first bits. */
struct network {
    uint8_t address[16];
    uint32_t octets, bits;
};

/* Of the queue; 0: the library's default. */
struct outgoing {
    uint64_t first_retry_s, retry_max_s, expire_s, delay_notice_s;
    uint64_t connections_max, connections_per_site, notice_octets_max;
    bool delay_notice_is_off;
    char dns_servers[SERVERS_OCTETS]; /* empty: the system's */
    char own[OWN_MAX][WORD_OCTETS]; /* more addresses that lead here */
    size_t n_own;
    char source_v4[WORD_OCTETS], source_v6[WORD_OCTETS]; /* empty: any */
    char roots[PATH_OCTETS]; /* who vouches for servers; empty: those of the system, where they are */
    bool dnssec;           /* the name servers validate */
    unsigned roots_line, dnssec_line;
    bool no_downgrade; /* from here on: what a reload changes in the queue that is open */
};

enum log_format { LOG_TEXT, LOG_JSON };

struct config {
    unsigned references;    /* atomic */
    char path[PATH_OCTETS]; /* of the file */
    char hostname[NAME_OCTETS], data[PATH_OCTETS], run_as[WORD_OCTETS];
    unsigned run_as_line;                   /* of that key */
    char domains[DOMAINS_MAX][NAME_OCTETS]; /* lower case; the first is that of names without one */
    size_t n_domains;
    char delimiter;       /* between a user's name and the rest of a subaddress; NUL: none */
    uint64_t threads;     /* that serve */
    uint64_t memory;      /* octets of all engines together */
    uint64_t index_memory; /* octets of the store's index, to write; to read, a quarter as much */
    uint64_t message_max; /* octets */
    uint64_t recipients_max;
    uint64_t login_failures;                         /* that are listened to; 0: all are */
    uint64_t login_cache_s;                          /* how long a right password is remembered; 0: not at all */
    uint64_t messages_per_hour, recipients_per_hour; /* of a user, at submission; 0: as many as come */
    uint64_t grace_s;                                /* to end in, after SIGTERM */
    enum log_format log;
    enum password_method password_method;              /* of new ones */
    struct certificate certificates[CERTIFICATES_MAX]; /* the first answers who names nobody */
    size_t n_certificates;
    struct listener listeners[LISTENERS_MAX];
    size_t n_listeners;
    struct outgoing outgoing;
    struct route routes[ROUTES_MAX];
    size_t n_routes;
    struct network relays[NETWORKS_MAX]; /* of those who may have mail relayed without a login */
    size_t n_relays;
};

/* Reads the file.  NULL: it has said what is wrong, one line for each mistake, on standard error. */
const struct config *config_read(const char *path);

/* The same of a file that is open, `path` being its name for whoever reads `err`. */
const struct config *config_read_file(FILE *file, const char *path, FILE *err);

const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config); /* NULL is fine */

/* Is mail for this domain (of `n` octets, in any case) for here? */
bool config_has_domain(const struct config *config, const char *domain, size_t n);

/* May this address have mail relayed without a login? */
bool config_relays_for(const struct config *config, const uint8_t *address, size_t octets);

/* The route of mail for a domain, in lower case, from a sender; NULL: none, and its mail exchangers have it. */
const struct route *config_route(const struct config *config, mailsrv_bytes domain, mailsrv_bytes reverse_path);

/* Does it depend on the sender? */
bool config_routes_by_sender(const struct config *config);

/* The one of that name; NULL: there is none. */
const struct route *config_route_named(const struct config *config, mailsrv_bytes name);

#endif
