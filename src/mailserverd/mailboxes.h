/* The mail of an account, for a command: its store is open, and a desk asks. */
#ifndef MAILSERVERD_MAILBOXES_H
#define MAILSERVERD_MAILBOXES_H

#include "office.h"

struct mailboxes {
    struct office *office;
    struct desk *desk;
    mailsrv_id account;
    mailsrv_asked *opened;
    uint64_t store;
};

/* What it answers is a status; mailboxes_close follows whatever that is. */
int32_t mailboxes_open(struct mailboxes *mailboxes, struct office *office, const char *address);
void mailboxes_close(struct mailboxes *mailboxes);

/* Calls `each` for every mailbox, in the order of their names, until one answers something else than MAILSRV_OK. */
int32_t mailboxes_each(const struct mailboxes *mailboxes, int32_t (*each)(void *user, const mailsrv_mbox_entry *entry),
                       void *user);

#endif
