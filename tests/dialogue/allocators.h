/* Allocators that keep an eye on who uses them. */
#ifndef DIALOGUE_ALLOCATORS_H
#define DIALOGUE_ALLOCATORS_H

#include "text.h"

#include <mailsrv/base.h>

enum { SECRETS_MAX = 8, COUNTED_JUNK = 0xA5 /* what fresh memory is full of */ };

/* Each allocation is a block of malloc of its exact size, so that the address sanitizer sees a step too far.  It
 * counts, fails where it is told to, and looks for secrets in what is given back. */
struct counted {
    mailsrv_allocator allocator;
    uint64_t calls, live, octets, octets_peak;
    uint64_t fail_first, fail_last; /* calls that find no memory, from 1; 0: none */
    size_t fail_least, fail_most;   /* sizes that find none, in octets; 0: none */
    bool failed;                    /* one did */
    struct text secrets[SECRETS_MAX];
    size_t n_secrets;
    const char *fault; /* what was done wrong; NULL: nothing */
};

void counted_init(struct counted *counted);
void counted_add_secret(struct counted *counted, struct text secret);

/* A static block: an allocator that never calls malloc. */
struct block {
    mailsrv_allocator allocator;
    char *memory;
    size_t octets;
};

void block_init(struct block *block, size_t octets);

/* Is it in one piece again? */
bool block_is_whole(struct block *block);
void block_fini(struct block *block);

/* While the guard is up, malloc is forbidden: what is caught is counted.  Nothing is caught where the program was not
 * linked for it (DIALOGUE_GUARD). */
void guard_up(void);
void guard_down(void);
uint64_t guard_caught(void);

#endif
