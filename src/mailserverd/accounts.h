/* Who has mail here: a file with a line for each account,
 *
 *     NAME ADDRESS[,ADDRESS]... PASSWORD
 *
 * where the password is the rest of the line.  Empty lines and those that begin with # are skipped. */
#ifndef MAILSERVERD_ACCOUNTS_H
#define MAILSERVERD_ACCOUNTS_H

#include <mailsrv/mailsrv.h>

#include <stdbool.h>
#include <stddef.h>

struct account {
    const char *name, *addresses, *password; /* NUL-ended, in the accounts' text; ADDRESS[,ADDRESS]... */
    mailsrv_id id;                           /* of the store */
};

struct accounts {
    char *text;
    size_t octets;
    struct account *all;
    size_t n;
};

/* Reads the file; false: it has said what is wrong, on standard error.  A file that others may read is refused. */
bool accounts_read(struct accounts *accounts, const char *path);

/* Wipes the passwords. */
void accounts_end(struct accounts *accounts);

/* Answers RESOLVE and AUTH_VERIFY; `user` is the accounts. */
int32_t accounts_serve(struct accounts *accounts, mailsrv_engine *engine);

#endif
