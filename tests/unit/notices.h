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

/* What goes wrong meanwhile. */
struct notice_fault {
    uint64_t allocation; /* that of this number fails; 0: none */
    int32_t kind;        /* of operation that is answered with `status`; 0: none */
    int32_t status;
    int32_t result;      /* of the one target of a COMMIT; 0: as it comes */
    uint64_t turns;      /* after so many small ones it is given up; 0: it is not */
};

void notice_make(const struct notice_case *c, const struct notice_fault *fault, struct made *out);

#endif
