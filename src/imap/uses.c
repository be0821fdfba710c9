/* The special uses of mailboxes (RFC 6154 section 2). */
#include "imap/names.h"

const struct use mailsrv__uses[USES] = {
    { { "\\All", 4 }, MAILSRV_NAME_ALL },     { { "\\Archive", 8 }, MAILSRV_NAME_ARCHIVE },
    { { "\\Drafts", 7 }, MAILSRV_NAME_DRAFTS }, { { "\\Flagged", 8 }, MAILSRV_NAME_FLAGGED },
    { { "\\Junk", 5 }, MAILSRV_NAME_JUNK },   { { "\\Sent", 5 }, MAILSRV_NAME_SENT },
    { { "\\Trash", 6 }, MAILSRV_NAME_TRASH },
};
