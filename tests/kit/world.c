#include "world.h"

#include <string.h>

static mailsrv_bytes bytes(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static int32_t add(struct world *w, const char *name, const char *address, mailsrv_id *out)
{
    int32_t status = mailsrv_memory_add_account(w->store, name, strlen(name), "secret words", 12, out);
    return status == MAILSRV_OK ? mailsrv_memory_add_address(w->store, address, strlen(address), out, 1) : status;
}

int32_t world_open(void *user)
{
    struct world *w = user;
    int32_t status = mailsrv_memory_new(w->allocator, &w->store);
    if (status != MAILSRV_OK)
        return status;
    status = add(w, "pat", "pat@here.test", &w->accounts[0]);
    if (status == MAILSRV_OK)
        status = add(w, "kim", "kim@here.test", &w->accounts[1]);
    if (status == MAILSRV_OK)
        status = mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_OCTETS_MAX, WORLD_OCTETS_MAX);
    for (int i = 0; status == MAILSRV_OK && i < KNOBS_MAX && w->knobs[i].key != 0; i++)
        status = mailsrv_memory_set_u64(w->store, w->knobs[i].key, w->knobs[i].value);
    if (status != MAILSRV_OK)
        mailsrv_store_free(w->store);
    return status;
}

int32_t world_bind(void *user, mailsrv_engine *engine)
{
    return mailsrv_store_bind(((struct world *)user)->store, engine);
}

void world_close(void *user)
{
    mailsrv_store_free(((struct world *)user)->store);
}

int32_t world_drive(void *user)
{
    return mailsrv_memory_answer(((struct world *)user)->store, 1) != 0;
}

/* What it promised to keep over an engine's end is in the store, which stays. */
static int32_t reopen(void *user)
{
    (void)user;
    return MAILSRV_OK;
}

static uint64_t handles(void *user)
{
    const mailsrv_store *store = ((struct world *)user)->store;
    uint64_t n = 0;
    for (int32_t key = MAILSRV_MEMORY_STAT_BODIES; key <= MAILSRV_MEMORY_STAT_LENT; key++)
        n += mailsrv_memory_stat(store, key);
    return n;
}

static int32_t quota(void *user, uint32_t account, uint64_t octets)
{
    struct world *w = user;
    return mailsrv_memory_account_u64(w->store, &w->accounts[account], MAILSRV_MEMORY_QUOTA, octets);
}

static void report(void *user, const char *name, int32_t outcome, const char *text)
{
    struct world *w = user;
    w->report(w, name, outcome, text);
}

mailsrv_kit_setup world_setup(struct world *world)
{
    mailsrv_kit_setup setup;
    memset(&setup, 0, sizeof setup);
    setup.size = sizeof setup;
    setup.covers = MAILSRV_KIT_RECEIVE | MAILSRV_KIT_POP3 | MAILSRV_KIT_QUEUE | MAILSRV_KIT_IMAP | MAILSRV_KIT_ATOMIC |
                   MAILSRV_KIT_IMPORT | MAILSRV_KIT_READS_STAGED | MAILSRV_KIT_LOCKS |
                   MAILSRV_KIT_STRUCTURE | MAILSRV_KIT_MOVE;
    setup.user = world;
    setup.open = world_open;
    setup.bind = world_bind;
    setup.close = world_close;
    setup.drive = world_drive;
    setup.reopen = reopen;
    setup.handles = handles;
    setup.quota = quota;
    setup.report = report;
    setup.accounts[0] = (mailsrv_kit_account){ bytes("pat@here.test"), bytes("pat"), bytes("secret words") };
    setup.accounts[1] = (mailsrv_kit_account){ bytes("kim@here.test"), bytes("kim"), bytes("secret words") };
    setup.unknown_address = bytes("nobody@here.test");
    setup.octets_max = WORLD_OCTETS_MAX;
    return setup;
}
