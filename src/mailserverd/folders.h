/* Mail in files of others: Maildir and mbox, read into the exchange format and written from it. */
#ifndef MAILSERVERD_FOLDERS_H
#define MAILSERVERD_FOLDERS_H

#include "exchange.h"

#include <mailsrv/store.h>

/* What could not be read and what was left out is told on standard error.  False: not all was done. */
bool maildir_read(const char *path, FILE *to);
bool maildir_write(const char *path, const struct exchange_source *from);

/* One file, as the mailbox `name`; and a file NAME.mbox for each mailbox in a directory. */
bool mbox_read(const char *path, const char *name, FILE *to);
bool mbox_write(const char *path, const struct exchange_source *from);

/* ---- What both share ---- */

/* A file in memory; `p` NULL: it is empty. */
struct mapped {
    const char *p;
    size_t n;
    int64_t modified_us;
};
bool map_file(int directory, const char *name, struct mapped *out); /* false: errno says why */
void unmap_file(struct mapped *file);

/* The same of an mbox that is in memory.  False: it is none, or there is no memory. */
bool mbox_read_octets(const struct mapped *file, const char *name, FILE *to);

/* A message of lines that end with LF or CRLF, as one of lines that end with CRLF. */
uint64_t crlf_octets(const char *p, size_t n);
void crlf_write(const char *p, size_t n, FILE *to);

/* Names between UTF-8 and modified UTF-7 (RFC 3501 section 5.1.3).  False: it is none. */
bool name_from_utf7(const char *from, char *out, size_t room);
bool name_to_utf7(const char *from, char *out, size_t room);

#endif
