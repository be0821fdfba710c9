/* Notices of the test's own: an original in the queue of a memory store, and what became of its recipients. */
#ifndef UNIT_NOTICES_H
#define UNIT_NOTICES_H

#include "mail.h"

#include "queue/notice.h"

struct notice_case {
    const char *name;
    const char *original; /* the message */
    size_t octets_max;    /* 0: 50 KiB */
    struct notice_recipient recipients[3];
    uint32_t n;
};

extern const struct notice_case notice_cases[];
extern const size_t n_notice_cases;

/* What was made. */
struct made {
    int32_t status; /* 1: done was not called */
    char text[65536];
    size_t n;
    char record[2048]; /* of the queue's item; n_record 0: it went into a mailbox */
    size_t n_record;
    char lane[256];
};

/* Makes the notice of a case; `fail` not 0: the allocation of that number fails. */
void notice_make(const struct notice_case *c, uint64_t fail, struct made *out);

#endif
