/* A host is set up: store, profile, engine, session; and taken down, and looked at whether anything is left. */
#include "courier.h"
#include "crypto.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_OCTETS = 256 * 1024, STEP_UNITS_MOST = 300, ENCODED_ACCOUNTS = 2 };

#define SCRAM_SALT "sixteen octets.."
#define SCRAM_ITERATIONS 4096

/* Friday, 2 January 2026, 03:04:05 UTC, on a machine that has been up for an hour. */
#define UNIX_BEGIN_US INT64_C(1767323045000000)
#define MONO_BEGIN_US INT64_C(3600000000)

static const mailsrv_allocator *engine_allocator(struct run *run)
{
    return run->plan->memory == MEMORY_BLOCK ? &run->block.allocator : &run->heap.allocator;
}

/* MAILSRV_NOMEM where that was planned ends the run before it began; anything else is wrong. */
static bool is_ok(struct run *run, int32_t status, const char *what)
{
    if (status == MAILSRV_OK)
        return true;
    if (status != MAILSRV_NOMEM || !run->heap.failed)
        run_wrong(run, what);
    return false;
}

/* ---- The store ---- */

static bool add_address(struct run *run, struct text address, const mailsrv_id *accounts, size_t n)
{
    if (mailsrv_memory_add_address(run->store, address.p, address.n, accounts, n) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the store takes no such address: ", address);
    return false;
}

static void add_base64(struct buffer *out, struct text text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i + 2 < text.n; i += 3) { /* what is padded is left out */
        const uint8_t *p = (const uint8_t *)text.p + i;
        const char four[] = { letters[p[0] >> 2], letters[(p[0] & 3) << 4 | p[1] >> 4],
                              letters[(p[1] & 15) << 2 | p[2] >> 6], letters[p[2] & 63] };
        buffer_add(out, four, sizeof four);
    }
}

/* A message of PLAIN with this password, and a response of LOGIN. */
static void add_encoded(struct run *run, const struct setup *setup)
{
    struct buffer plain = { 0 };
    if (run->n_encoded + 2 > 2 * ENCODED_ACCOUNTS)
        return;
    if (run->encoded == NULL)
        run->encoded = dialogue_take(2 * ENCODED_ACCOUNTS * sizeof *run->encoded);
    buffer_add(&plain, "", 1);
    buffer_add(&plain, setup->name.p, setup->name.n);
    buffer_add(&plain, "", 1);
    buffer_add(&plain, setup->text.p, setup->text.n);
    struct buffer *encoded = &run->encoded[run->n_encoded];
    add_base64(&encoded[0], buffer_text(&plain));
    add_base64(&encoded[1], setup->text);
    counted_add_secret(&run->heap, buffer_text(&encoded[0]));
    counted_add_secret(&run->heap, buffer_text(&encoded[1]));
    run->n_encoded += 2;
    buffer_free(&plain);
}

/* The messages of XOAUTH2 and OAUTHBEARER with this token. */
static void add_encoded_token(struct run *run, const struct setup *setup)
{
    static const char *const before[] = { "user=", "n,a=" }, *const between[] = { "\1auth=Bearer ", ",\1auth=Bearer " };
    if (run->n_encoded + 2 > 2 * ENCODED_ACCOUNTS)
        return;
    if (run->encoded == NULL)
        run->encoded = dialogue_take(2 * ENCODED_ACCOUNTS * sizeof *run->encoded);
    for (size_t i = 0; i < 2; i++) {
        struct buffer message = { 0 }, *encoded = &run->encoded[run->n_encoded++];
        buffer_add_text(&message, before[i]);
        buffer_add(&message, setup->name.p, setup->name.n);
        buffer_add_text(&message, between[i]);
        buffer_add(&message, setup->text.p, setup->text.n);
        add_base64(encoded, buffer_text(&message));
        counted_add_secret(&run->heap, buffer_text(encoded));
        buffer_free(&message);
    }
}

struct scram_keys {
    uint8_t stored[32], server[32];
};

/* Making them takes its time: those of the last password are kept from run to run. */
static const struct scram_keys *scram_keys_of(struct text password, int32_t hash)
{
    static struct scram_keys kept[2];
    static char kept_of[2][64];
    struct scram_keys *keys = &kept[hash == MAILSRV_HASH_SHA1];
    char *of = kept_of[hash == MAILSRV_HASH_SHA1];
    uint8_t calls = 0;
    mailsrv_crypto crypto = test_crypto(&calls);
    const mailsrv_bytes salt = { (const uint8_t *)SCRAM_SALT, sizeof SCRAM_SALT - 1 };
    const mailsrv_bytes bytes = { (const uint8_t *)password.p, password.n };
    if (password.n >= sizeof kept_of[0])
        return NULL;
    if (strlen(of) == password.n && memcmp(of, password.p, password.n) == 0)
        return keys;
    if (mailsrv_scram_keys(&crypto, hash, &bytes, &salt, SCRAM_ITERATIONS, keys->stored, keys->server) != MAILSRV_OK)
        return NULL;
    memcpy(of, password.p, password.n);
    of[password.n] = 0;
    return keys;
}

static bool add_scram(struct run *run, const struct setup *setup, const mailsrv_id *account)
{
    for (int32_t hash = MAILSRV_HASH_SHA1; hash <= MAILSRV_HASH_SHA256; hash++) {
        const struct scram_keys *keys = scram_keys_of(setup->text, hash);
        size_t octets = hash == MAILSRV_HASH_SHA1 ? 20 : 32;
        mailsrv_scram_record record = { .size = sizeof record,
                                        .iterations = SCRAM_ITERATIONS,
                                        .salt = { (const uint8_t *)SCRAM_SALT, sizeof SCRAM_SALT - 1 } };
        if (keys != NULL) {
            counted_add_secret(&run->heap, (struct text){ (const char *)keys->stored, octets });
            counted_add_secret(&run->heap, (struct text){ (const char *)keys->server, octets });
            record.stored_key = (mailsrv_bytes){ keys->stored, octets };
            record.server_key = (mailsrv_bytes){ keys->server, octets };
        }
        if (mailsrv_memory_set_scram(run->store, account, hash, &record) != MAILSRV_OK) {
            run_wrong(run, "the store takes no keys");
            return false;
        }
    }
    return true;
}

static bool add_account(struct run *run, const struct setup *setup)
{
    mailsrv_id id;
    struct buffer address = { 0 };
    counted_add_secret(&run->heap, setup->text);
    add_encoded(run, setup);
    if (mailsrv_memory_add_account(run->store, setup->name.p, setup->name.n, setup->text.p, setup->text.n, &id) !=
        MAILSRV_OK) {
        run_wrong_text(run, "the store takes no such account: ", setup->name);
        return false;
    }
    buffer_add(&address, setup->name.p, setup->name.n);
    buffer_add_text(&address, "@here.test");
    bool added = add_address(run, buffer_text(&address), &id, 1) && (!run->d->has_scram || add_scram(run, setup, &id));
    buffer_free(&address);
    return added;
}

static bool find_account(struct run *run, struct text name, mailsrv_id *out)
{
    if (mailsrv_memory_find_account(run->store, name.p, name.n, out) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the store has no account ", name);
    return false;
}

enum { ACCOUNTS_MAX = 80 };

static bool add_group(struct run *run, const struct setup *setup)
{
    mailsrv_id accounts[ACCOUNTS_MAX];
    size_t n = 0;
    struct text rest = setup->text;
    if (text_is(rest, "queue"))
        return add_address(run, setup->name, NULL, 0);
    while (rest.n != 0 && n < ACCOUNTS_MAX)
        if (!find_account(run, text_word(&rest), &accounts[n++]))
            return false;
    return add_address(run, setup->name, accounts, n);
}

/* `store: forward away@here.test x@remote.test`, and perhaps the owner of a list. */
static bool add_forward(struct run *run, const struct setup *setup)
{
    struct text owner = setup->text, to = text_word(&owner);
    int32_t status = mailsrv_memory_add_forward(run->store, setup->name.p, setup->name.n, to.p, to.n,
                                                owner.n == 0 ? NULL : owner.p, owner.n);
    if (status != MAILSRV_OK)
        run_wrong_text(run, "the store does not forward ", setup->name);
    return status == MAILSRV_OK;
}

static bool set_knob(struct run *run, const struct setup *setup)
{
    struct box box;
    int32_t status;
    if (setup->name.n != 0 && !box_find(run, setup->name, &box))
        return false;
    if (setup->name.n != 0 && text_find(setup->name, "/") == setup->name.n)
        status = mailsrv_memory_account_u64(run->store, &box.account, setup->key, setup->number);
    else if (setup->name.n != 0)
        status = mailsrv_memory_account_u64(run->store, &box.id, setup->key, setup->number);
    else
        status = mailsrv_memory_set_u64(run->store, setup->key, setup->number);
    if (status != MAILSRV_OK)
        run_wrong(run, "the store takes no such value");
    return status == MAILSRV_OK;
}

static bool add_message(struct run *run, const struct setup *setup)
{
    struct box box;
    return box_find(run, setup->name, &box) && box_append(run, &box, setup->text, setup->words);
}

static bool set_profile(struct run *run, const struct setup *setup)
{
    switch (setup->what) {
    case SETUP_U64:
        return is_ok(run, mailsrv_profile_set_u64(run->profile, setup->key, setup->number),
                     "the profile takes no such value");
    case SETUP_STR:
        return is_ok(run, mailsrv_profile_set_str(run->profile, setup->key, setup->name.p, setup->name.n),
                     "the profile takes no such string");
    default:
        return is_ok(run, mailsrv_profile_enable(run->profile, setup->key, (int32_t)setup->number),
                     "the profile has no such extension");
    }
}

static bool set_up(struct run *run, const struct setup *setup)
{
    switch (setup->what) {
    case SETUP_ACCOUNT:
        return add_account(run, setup);
    case SETUP_ADDRESS:
        return add_group(run, setup);
    case SETUP_FORWARD:
        return add_forward(run, setup);
    case SETUP_MAILBOX:
        return box_create(run, setup->name, setup->text);
    case SETUP_KNOB:
        return set_knob(run, setup);
    case SETUP_MESSAGE:
        return add_message(run, setup);
    case SETUP_JOB:
        return true;
    case SETUP_CREDENTIAL:
        counted_add_secret(&run->heap, setup->text);
        add_encoded(run, setup);
        return true;
    case SETUP_TOKEN:
        counted_add_secret(&run->heap, setup->text);
        add_encoded_token(run, setup);
        return true;
    default:
        return set_profile(run, setup);
    }
}

static bool make_store(struct run *run)
{
    counted_init(&run->store_heap);
    if (mailsrv_memory_new(&run->store_heap.allocator, &run->store) != MAILSRV_OK) {
        run_wrong(run, "no store");
        return false;
    }
    return true;
}

static bool make_profile(struct run *run)
{
    struct text name = text_of(run->d->is_imap ? "imap.here.test" : run->d->is_pop3 ? "pop.here.test" : "mx.here.test");
    mailsrv_error error = { .size = sizeof error };
    if (!is_ok(run, mailsrv_profile_new(engine_allocator(run), run->d->machine, run->d->face, &run->profile),
               "no profile") ||
        !is_ok(run, mailsrv_profile_set_str(run->profile, MAILSRV_PROFILE_HOSTNAME, name.p, name.n), "no hostname") ||
        !is_ok(run, mailsrv_profile_set_u64(run->profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 0), "no delay"))
        return false;
    for (size_t i = 0; i < run->d->n_setups; i++)
        if (!set_up(run, &run->d->setups[i]))
            return false;
    if (!tls_set_up(run))
        return false;
    if (mailsrv_profile_seal(run->profile, &error) == MAILSRV_OK)
        return true;
    run_wrong_text(run, "the profile cannot be sealed: ", text_of(error.expected));
    return false;
}

/* ---- The engine ---- */

static void take_bound(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct run *run = user;
    (void)engine;
    guard_down();
    operations_take(run, op);
    if (run->plan->memory == MEMORY_BLOCK)
        guard_up();
}

/* The store knows the engine from now on; but it is asked by us, or by nobody. */
static bool serve(struct run *run)
{
    mailsrv_handler handler = run->plan->bound ? take_bound : NULL;
    for (int32_t kind = 1; kind < 64; kind++) {
        if (kind == MAILSRV_OP_JOB && !run->plan->jobs)
            continue;
        if (((run->d->unserved >> kind) & 1) != 0 || strcmp(mailsrv_op_name(kind), "unknown") == 0)
            continue;
        if (mailsrv_engine_serve(run->engine, kind, handler, run) != MAILSRV_OK) {
            run_wrong(run, "a kind cannot be served");
            return false;
        }
    }
    return true;
}

/* But where it would be one more allocation to fail, or to have room for. */
static bool counts(const struct run *run)
{
    return run->plan->fault != FAULT_ALLOCATION && run->plan->fault != FAULT_DROUGHT &&
           run->plan->memory == MEMORY_COUNTED;
}

/* What the engine has but for what it counts in. */
static uint64_t memory_of(const struct run *run)
{
    return mailsrv_engine_stat(run->engine, MAILSRV_STAT_MEMORY) -
           mailsrv_engine_stat(run->engine, MAILSRV_STAT_ENGINE_OCTETS);
}

static bool make_engine(struct run *run)
{
    mailsrv_crypto crypto = test_crypto(&run->randoms);
    if (!is_ok(run, mailsrv_config_new(engine_allocator(run), &run->config), "no config") ||
        !is_ok(run, mailsrv_config_set_crypto(run->config, run->d->has_scram ? &crypto : NULL), "no crypto") ||
        !is_ok(run, mailsrv_engine_new(run->config, &run->engine), "no engine"))
        return false;
    mailsrv_memory_set_u64(run->store, MAILSRV_MEMORY_WITHOUT, run->d->unserved);
    if (mailsrv_store_bind(run->store, run->engine) != MAILSRV_OK) {
        run_wrong(run, "the store cannot be bound");
        return false;
    }
    if (!serve(run) || (counts(run) && !is_ok(run, mailsrv_engine_count(run->engine, NULL), "nothing is counted")))
        return false;
    run->memory_before = memory_of(run);
    run->mono_us = MONO_BEGIN_US;
    run->unix_us = UNIX_BEGIN_US;
    return is_ok(run, mailsrv_engine_advance(run->engine, run->mono_us, run->unix_us), "no first advance");
}

static bool make_session(struct run *run)
{
    mailsrv_peer peer = { .size = sizeof peer, .address_octets = 4, .port = 2525, .local_port = run->d->local_port };
    memcpy(peer.address, run->d->peer, 4);
    if (run->d->is_client)
        return run->was_begun = is_ok(run, courier_begin(run, &peer), "no session");
    return is_ok(run, mailsrv_server_new(run->engine, run->profile, &peer, run, &run->session), "no session") &&
           is_ok(run, mailsrv_session_set_external(run->session, run->d->external.p, run->d->external.n), "no name");
}

bool host_begin(struct run *run)
{
    counted_init(&run->heap);
    run->heap.fail_first = 0;
    if (run->plan->memory == MEMORY_BLOCK)
        block_init(&run->block, BLOCK_OCTETS);
    if (run->plan->fault == FAULT_ALLOCATION || run->plan->fault == FAULT_DROUGHT) {
        run->heap.fail_first = run->plan->nth;
        run->heap.fail_last = run->plan->fault == FAULT_DROUGHT ? UINT64_MAX : run->plan->nth;
    }
    run->guard_before = guard_caught();
    if (!make_store(run) || !make_profile(run))
        return false;
    if (run->d->is_client)
        courier_set_up(run);
    if (run_is_wrong(run) || !make_engine(run) || !make_session(run))
        return false;
    if (run->tls_by != TLS_BY_NOBODY && !run->d->has_tls)
        tls_begin(run);
    return true;
}

/* ---- The end ---- */

static void check_info(struct run *run)
{
    mailsrv_info info = { .size = sizeof info };
    if (mailsrv_session_info(run->session, &info) != MAILSRV_OK || info.octets_in != run->clear_pos + run->wire_pos ||
        info.octets_out != run->out_octets)
        run_wrong(run, "a session has counted other octets than its host");
}

/* Whatever becomes of a command or an operation, it is told once. */
static void check_tally(struct run *run, int32_t group, int32_t number, uint64_t *open)
{
    mailsrv_tally t = { .size = sizeof t };
    uint64_t in_buckets = 0;
    if (mailsrv_engine_tally(run->engine, group, number, &t) != MAILSRV_OK)
        return;
    for (uint32_t i = 0; i < MAILSRV_BUCKETS && t.done != 0; i++)
        in_buckets += mailsrv_engine_tally_bucket(run->engine, group, number, i);
    *open += t.open;
    if (t.begun != t.open + t.done + t.dropped || t.refused + t.failed > t.done || in_buckets != t.done)
        run_wrong_text(run, "what was not counted as it was: ", (struct text){ t.name, strlen(t.name) });
}

/* The session has gone. */
static void check_counted(struct run *run)
{
    uint64_t operations = 0, commands = 0;
    for (int32_t group = MAILSRV_TALLY_OPERATIONS; group <= MAILSRV_FACE_CLIENT; group++)
        for (int32_t number = 0; number < MAILSRV_TALLIES; number++)
            check_tally(run, group, number, group == MAILSRV_TALLY_OPERATIONS ? &operations : &commands);
    if (commands != 0)
        run_wrong(run, "a command of a session that is no more is open");
    if (operations != mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_QUEUED) +
                          mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_OUT))
        run_wrong(run, "other operations are open than there are");
}

void host_free_session(struct run *run)
{
    if (run->session != NULL)
        check_info(run);
    if (run->plan->memory == MEMORY_BLOCK)
        guard_up();
    mailsrv_session_free(run->session);
    guard_down();
    run->session = NULL;
    run->wants = 0;
    run->n_slices = 0;
}

static void end_engine(struct run *run)
{
    uint64_t open = mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_OUT);
    uint64_t withheld = run->ledger.n_out;
    if (counts(run))
        check_counted(run);
    if (mailsrv_engine_stat(run->engine, MAILSRV_STAT_SESSIONS) != 0)
        run_wrong(run, "a session is left");
    if (mailsrv_engine_stat(run->engine, MAILSRV_STAT_OPS_QUEUED) != 0 || open != withheld)
        run_wrong(run, "operations are left");
    /* The image of a mailbox is kept for the next session; what else is left the heap shows at the end. */
    bool same = run->d->is_imap || memory_of(run) == run->memory_before;
    if (withheld == 0 && !same)
        run_wrong(run, "the engine holds more memory than before the session");
    if (mailsrv_engine_stat(run->engine, MAILSRV_STAT_STEP_UNITS_PEAK) > STEP_UNITS_MOST)
        run_wrong(run, "a slice was longer than 300 units");
    if (withheld != 0 && mailsrv_engine_free(run->engine, 0) != MAILSRV_E_BUSY)
        run_wrong(run, "an engine with operations out is not busy");
    bool given_up = withheld != 0 || run_is_wrong(run);
    if (mailsrv_engine_free(run->engine, given_up ? MAILSRV_ABANDON : 0) != MAILSRV_OK)
        run_wrong(run, "the engine cannot be freed");
}

static void check_store(struct run *run)
{
    static const struct {
        int32_t key;
        const char *what;
    } open[] = {
        { MAILSRV_MEMORY_STAT_BODIES, "a body was not closed" },
        { MAILSRV_MEMORY_STAT_STORES, "a store was not closed" },
        { MAILSRV_MEMORY_STAT_MAILBOXES, "a mailbox was not closed" },
        { MAILSRV_MEMORY_STAT_LOCKS, "a lock was not closed" },
        { MAILSRV_MEMORY_STAT_READS, "a reading was not closed" },
    };
    for (size_t i = 0; i < sizeof open / sizeof open[0] && run->ledger.n_out == 0; i++)
        if (mailsrv_memory_stat(run->store, open[i].key) != 0)
            run_wrong(run, open[i].what);
}

static void check_leases(struct run *run)
{
    while (run->leases != NULL) {
        struct lease *lease = run->leases;
        run->leases = lease->next;
        if (lease->released != 1)
            run_wrong(run, "lent bytes were not released exactly once");
        free(lease);
    }
}

static void check_memory(struct run *run)
{
    if (run->heap.fault != NULL)
        run_wrong(run, run->heap.fault);
    if (run->heap.live != 0)
        run_wrong(run, "the heap is not empty at the end");
    if (run->store_heap.live != 0 || run->store_heap.fault != NULL)
        run_wrong(run, "the heap of the store is not empty at the end");
    if (guard_caught() != run->guard_before)
        run_wrong(run, "malloc was called by an engine over a static block");
    if (run->plan->memory == MEMORY_BLOCK && !block_is_whole(&run->block))
        run_wrong(run, "the static block is not in one piece at the end");
}

void host_end(struct run *run)
{
    host_free_session(run);
    courier_check(run);
    if (run->engine != NULL) {
        operations_settle(run);
        bool told = (run->d->unserved >> MAILSRV_NOTICE_CHANGED & 1) == 0;
        bool same = run->changes == 0 ? run->changes_told == 0 || run->writes != 0 : run->changes_told != 0;
        if (told && !same)
            run_wrong(run, "changes of mailboxes and notices of them are not the same");
        check_store(run);
        end_engine(run);
    }
    mailsrv_profile_unref(run->profile);
    mailsrv_config_free(run->config);
    tls_check(run);
    if (run->store != NULL && mailsrv_memory_stat(run->store, MAILSRV_MEMORY_STAT_LENT) != 0)
        run_wrong(run, "bytes that the store lent were not released");
    mailsrv_store_free(run->store);
    check_leases(run);
    for (size_t i = 0; i < run->n_encoded; i++)
        buffer_free(&run->encoded[i]);
    free(run->encoded);
    if (!run_is_wrong(run)) /* else what is left may be the consequence */
        check_memory(run);
    if (run->leaked != NULL)
        run->heap.allocator.release(&run->heap, run->leaked, 1);
    if (run->plan->memory == MEMORY_BLOCK)
        block_fini(&run->block);
}
