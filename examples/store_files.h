/* store_files.h - an example of a store, for the tiers Receive and POP3: a file per message in the directory of its
 * account (accounts.h).  The message with UID 12 of the account pat of mail/ is mail/pat/0000000012.  What is answered
 * for is synced; it blocks meanwhile.  Processes may share the directory. */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <mailsrv/mailsrv.h>

/* Who answers which kind; the last `answer` is NULL.  Their `user` is the name of the directory. */
extern const struct store_files {
    int32_t kind;
    mailsrv_handler answer;
} store_files[];

/* Puts a message into the INBOX of an account, durably.  MAILSRV_NONEXISTENT: there is no such account. */
int32_t store_files_deliver(const char *directory, mailsrv_bytes account, mailsrv_bytes message);

#endif
