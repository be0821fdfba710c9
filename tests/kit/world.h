/* The memory store as the kit gets it, with knobs and, for the tests of the kit, with lies. */
#ifndef TESTS_KIT_WORLD_H
#define TESTS_KIT_WORLD_H

#include "tap.h"

#include <mailsrv/stores/kit.h>
#include <mailsrv/stores/memory.h>

#define WORLD_OCTETS_MAX 200000u
#define KNOBS_MAX 8

struct knob {
    int32_t key;
    uint64_t value;
};

struct world {
    mailsrv_store *store;
    mailsrv_id accounts[2];
    const mailsrv_allocator *allocator; /* the store's; NULL: malloc */
    struct knob knobs[KNOBS_MAX];       /* ended by key 0 */
    void (*report)(struct world *world, const char *name, int32_t outcome, const char *text);
    void *more; /* of the test */
};

/* A setup over `world`, which covers everything. */
mailsrv_kit_setup world_setup(struct world *world);
int32_t world_open(void *world);
int32_t world_bind(void *world, mailsrv_engine *engine);
void world_close(void *world);
int32_t world_drive(void *world);

#endif
