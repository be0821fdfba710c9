/* The system's files below a durable store, whose pages of the index are counted; without syncs, where what is measured
 * is not the disk. */
#ifndef BENCH_COUNTED_H
#define BENCH_COUNTED_H

#include <mailsrv/stores/durable.h>

#include <stdatomic.h>

enum { INDEX_PAGE = 4096 };

struct counted {
    mailsrv_durable_files files; /* for a setup */
    mailsrv_durable_files system;
    int syncs;                           /* 0: a sync does nothing */
    _Atomic uint64_t n_syncs;            /* asked for */
    _Atomic uint64_t read;               /* pages of the index */
    _Atomic uint64_t touched;            /* pages in its write-ahead log: those that a transaction has changed */
    _Atomic uint64_t moved;              /* those that a checkpoint has brought to their place */
    _Atomic uint64_t appended;           /* octets of all other files */
};

void counted_init(struct counted *counted, int syncs);

#endif
