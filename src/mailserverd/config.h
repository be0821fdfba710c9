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
};

/* Reads the file.  NULL: it has said what is wrong, one line for each mistake, on standard error. */
const struct config *config_read(const char *path);

/* The same of a file that is open, `path` being its name for whoever reads `err`. */
const struct config *config_read_file(FILE *file, const char *path, FILE *err);

const struct config *config_ref(const struct config *config);
void config_unref(const struct config *config); /* NULL is fine */

/* Is mail for this domain (of `n` octets, in any case) for here? */
bool config_has_domain(const struct config *config, const char *domain, size_t n);

#endif
