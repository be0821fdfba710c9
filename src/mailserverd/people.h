/* Who has mail here, and by which addresses: two files in the data directory.
 *
 *     users      ADDRESS HASH [SCRAM KEYS]...      a login, and where its mail is addressed
 *     aliases    ADDRESS TARGET...                 an address, or @DOMAIN for what has no other, and where it leads
 *
 * They are changed by who has the store's lock alone, whole: a new file is written, synced, and renamed over the old
 * one.  What was read is immutable and counted: threads that serve hold what they began with. */
#ifndef MAILSERVERD_PEOPLE_H
#define MAILSERVERD_PEOPLE_H

#include "config.h"

#include <mailsrv/base.h>

#include <stdio.h>

#define ADDRESS_MAX 320 /* octets, with its end: 64 "@" 255 (RFC 5321 section 4.5.3.1) */
#define SECRETS_OCTETS 1024
#define TARGETS_MAX 64 /* of an alias, with those that it leads to by others */

struct person {
    char *address; /* lower case */
    char *secrets; /* HASH [SCRAM KEYS]... */
    mailsrv_id account;
};

struct alias {
    char *address; /* lower case; @DOMAIN: whoever else */
    char *targets; /* lower case, between spaces */
};

struct people {
    unsigned references;    /* atomic */
    struct person *persons; /* ascending */
    struct alias *aliases;  /* ascending */
    size_t n_persons, n_aliases;
};

/* Reads both files of a directory; one that is not there is empty.  NULL: it has told `err` what is wrong.  What comes
 * back has one reference, and no accounts yet. */
struct people *people_read(const char *directory, FILE *err);

struct people *people_ref(struct people *people);
void people_unref(struct people *people); /* secrets are wiped; NULL is fine */

const struct person *people_find(const struct people *people, const char *address, size_t n);
const struct alias *people_find_alias(const struct people *people, const char *address, size_t n);

/* Changes what is in memory, of who has the only reference; `secrets` or `targets` NULL: takes it out.  False: out of
 * memory. */
bool people_put(struct people *people, const char *address, const char *secrets);
bool people_put_alias(struct people *people, const char *address, const char *targets);

/* Replaces the files of a directory by what is in memory, durably.  False: it has told `err`. */
bool people_write(const struct people *people, const char *directory, FILE *err);

/* Who gets mail for an address: at most TARGETS_MAX persons; 0: nobody.  Aliases of aliases are followed. */
size_t people_resolve(const struct people *people, const char *address, size_t n, const struct person **out);

#endif
