/* What is asked of IMAP, over and over. */
#ifndef LOAD_IMAP_MODES_H
#define LOAD_IMAP_MODES_H

#include "load.h"

extern const struct mode append_mode, login_mode, select_mode, fetch_mode, search_mode, store_mode;

/* Selects the client's mailbox, then the connection is ready.  An empty one is an error. */
void set_up_select(struct client *client);

/* How many messages a set of numbers has, in a mailbox of `exists`; 0: it is none. */
uint64_t set_size(const char *set, uint64_t exists);

#endif
