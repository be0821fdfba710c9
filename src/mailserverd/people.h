/* Who has mail here, and by which addresses: two files in the data directory.
 *
 *     users      ADDRESS HASH [SCRAM KEYS]...      a login, and where its mail is addressed
 *     aliases    ADDRESS TARGET...                 an address, or @DOMAIN for what has no other, and where it leads: to
 *                                                  addresses of ours, or of other domains
 *
 * They are changed by who has the store's lock alone, whole: a new file is written, synced, and renamed over the old
 * one.  What was read is immutable and counted: threads that serve hold what they began with. */
#ifndef MAILSERVERD_PEOPLE_H
#define MAILSERVERD_PEOPLE_H

#include "config.h"

#include <mailsrv/base.h>

#include <stdio.h>

#define ADDRESS_MAX 256 /* octets, with its end: as long as a path with its <> (RFC 5321 section 4.5.3.1.3) */
#define SECRETS_OCTETS 1024
#define TARGETS_MAX 64 /* of an alias, with those that it leads to by others */

/* A line of one of the files: a person, or an alias. */
struct entry {
    char *address;      /* lower case; of an alias also @DOMAIN: whoever else */
    char *text;         /* a person's HASH [SCRAM KEYS]...; an alias' targets in lower case, between spaces */
    mailsrv_id account; /* a person's */
};

enum people_file { PEOPLE_USERS, PEOPLE_ALIASES, PEOPLE_FILES };

struct entries {
    struct entry *all; /* ascending */
    size_t n;
};

struct people {
    unsigned references; /* atomic */
    struct entries of[PEOPLE_FILES];
};

/* ---- In memory ---- */

/* Nobody, with one reference.  NULL: out of memory. */
struct people *people_new(void);
struct people *people_ref(struct people *people);
void people_unref(struct people *people); /* secrets are wiped; NULL is fine */

/* NULL: there is none. */
const struct entry *people_find(const struct people *people, enum people_file file, const char *address, size_t n);

/* Changes what is in memory, of who has the only reference; `text` NULL: takes it out.  False: out of memory. */
bool people_put(struct people *people, enum people_file file, const char *address, const char *text);

/* Where mail for an address goes. */
struct leads {
    const struct entry *person; /* NULL: elsewhere */
    const char *address;        /* elsewhere: not NUL-ended, alive as long as the people */
    size_t n;
};

/* At most TARGETS_MAX persons and addresses of other domains; 0: nobody.  Aliases of aliases are followed. */
size_t people_resolve(const struct people *people, const struct config *config, const char *address, size_t n,
                      struct leads *out);

/* ---- In files (people_file.c) ---- */

/* Reads both files of a directory; one that is not there is empty.  NULL: it has told `err` what is wrong.  What comes
 * back has one reference, and no accounts yet. */
struct people *people_read(const char *directory, FILE *err);

/* Adds the lines of one of them, `path` being its name for whoever reads `err`.  False: it has told what is wrong. */
bool people_read_lines(struct people *people, enum people_file which, FILE *file, const char *path, FILE *err);

/* Replaces one file of a directory by what is in memory, durably.  False: it has told `err`. */
bool people_write(const struct people *people, enum people_file which, const char *directory, FILE *err);

#endif
