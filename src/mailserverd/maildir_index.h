/* What the names of a Maildir's messages say, and the lists that Dovecot keeps beside them. */
#ifndef MAILSERVERD_MAILDIR_INDEX_H
#define MAILSERVERD_MAILDIR_INDEX_H

#include "exchange.h"

#define LETTERS 26

/* A message of a folder. */
struct maildir_entry {
    char uidl[EXCHANGE_UIDL_MAX + 1]; /* that POP3 knew it by; empty: not in the list */
    char *path;                       /* cur/NAME or new/NAME */
    uint32_t uid;                     /* 0: not in the list */
};

struct maildir_index {
    struct maildir_entry *all;
    size_t n;
    uint32_t uidvalidity;
    char *letters[LETTERS]; /* of keywords */
};

/* A message, `in` cur or new.  False: out of memory. */
bool maildir_index_add(struct maildir_index *index, const char *in, const char *name);

/* When all are added: takes from dovecot-uidlist and dovecot-keywords what they know, each NULL where it is not there,
 * and puts messages in the order of their UIDs; those without one come last, by their names. */
void maildir_index_complete(struct maildir_index *index, FILE *uids, FILE *keywords);

/* Flags and keywords of one. */
void maildir_index_flags(const struct maildir_index *index, const struct maildir_entry *entry,
                         struct exchanged_message *out);

/* All that it holds. */
void maildir_index_free(struct maildir_index *index);

/* The letters that stand for flags, in the order of ASCII; NUL-ended.  Returns their number, below 8. */
size_t maildir_flag_letters(uint32_t flags, char *out);

/* The special uses (MAILSRV_NAME_...) of a folder, ".A.B" without its first dot: by the lines "\\USE FOLDER" of the
 * file special-uses, or, `lines` NULL, where there is none, by its name, as Dovecot's default configuration has it. */
uint32_t maildir_uses(const char *lines, size_t n, const char *folder);

/* Such a line for each of them. */
void maildir_write_uses(uint32_t uses, const char *folder, FILE *to);

/* Is a folder, ".A.B" without its first dot, among the lines of the file subscriptions? */
bool maildir_is_subscribed(const char *lines, size_t n, const char *folder);

#endif
