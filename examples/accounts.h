/* accounts.h - an example of who may have mail and read it.  `mkdir -p mail/pat && printf secret >mail/pat/password`
 * makes the account pat of the directory mail/; its name is its id, its messages are store_files.h's affair. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <mailsrv/mailsrv.h>

/* No case: Pat is pat. */
mailsrv_id accounts_id(mailsrv_bytes name);

/* Opens a file of an account, to read it; -1, and errno says why.  ENOENT: there is no such account. */
int accounts_open(const char *directory, mailsrv_id account, const char *name);

/* Who answers RESOLVE, AUTH_VERIFY, LOCK; `user` is the name of the directory. */
void accounts_resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op);
void accounts_verify(void *user, mailsrv_engine *engine, const mailsrv_op *op);
void accounts_lock(void *user, mailsrv_engine *engine, const mailsrv_op *op);

#endif
