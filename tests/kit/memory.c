/* What the memory store does beyond the contract: its knobs, its ends, and looking in. */
#include "fixture.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

/* ---- Bodies ---- */

static mailsrv_asked *stage(struct fixture *f, const char *text, uint64_t *body)
{
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    mailsrv_asked *asked = ask(f, 0, MAILSRV_OP_BODY_BEGIN, NULL, &arg);
    if (status_of(asked) != MAILSRV_OK)
        abort();
    *body = ((const mailsrv_body_begun *)mailsrv_asked_answer(asked)->value)->body;
    mailsrv_arg_body_write write = { sizeof write, 0, *body, 0, bytes(text) };
    drop(f, ask(f, 0, MAILSRV_OP_BODY_WRITE, NULL, &write));
    return asked;
}

static mailsrv_target to(const mailsrv_id *whose)
{
    return (mailsrv_target){ .size = sizeof(mailsrv_target), .kind = MAILSRV_TARGET_MAILBOX, .account = *whose };
}

/* Commits `text` to targets; the answer's status, and the results. */
static int32_t commit(struct fixture *f, const char *text, uint64_t octets, const mailsrv_target *targets, uint32_t n,
                      uint32_t atomic, mailsrv_result *results)
{
    mailsrv_staged staged = { .size = sizeof staged, .octets = octets };
    mailsrv_asked *body = stage(f, text, &staged.body);
    mailsrv_arg_body_commit arg = { .size = sizeof arg,
                                    .atomic = atomic,
                                    .n_bodies = 1,
                                    .body_stride = sizeof staged,
                                    .n_targets = n,
                                    .target_stride = sizeof *targets,
                                    .bodies = &staged,
                                    .targets = targets };
    mailsrv_asked *asked = ask(f, 0, MAILSRV_OP_BODY_COMMIT, NULL, &arg);
    int32_t status = status_of(asked);
    if (status == MAILSRV_OK)
        memcpy(results, ((const mailsrv_committed *)mailsrv_asked_answer(asked)->value)->results, n * sizeof *results);
    drop(f, asked);
    drop(f, body);
    return status;
}

static void many_recipients(void)
{
    enum { N = 100 };
    struct fixture f;
    static char text[10001];
    mailsrv_target targets[N];
    mailsrv_result results[N];
    memset(text, 'x', sizeof text - 1);
    begin(&f);
    for (int i = 0; i < N; i++) {
        targets[i] = to(i % 2 ? &f.pat : &f.kim);
        targets[i].prefix = bytes("X-Number: some\r\n");
    }
    int32_t status = commit(&f, text, sizeof text - 1, targets, N, 1, results);
    tap(status == MAILSRV_OK && results[N - 1].status == MAILSRV_OK, "memory", "a message to a hundred", "");
    tap(stat_of(&f, MAILSRV_MEMORY_STAT_MESSAGES) == N, "memory", "is a hundred messages", "");
    tap(stat_of(&f, MAILSRV_MEMORY_STAT_OCTETS) == sizeof text - 1 + N * 16, "memory", "and kept once", "");
    end(&f);
}

static void broken_askers(void)
{
    struct fixture f;
    mailsrv_result result;
    begin(&f);
    mailsrv_target target = to(&f.pat);
    tap(commit(&f, "four", 5, &target, 1, 0, &result) == MAILSRV_CANNOT, "memory", "a body of another length", "");
    target.body_index = 7;
    commit(&f, "four", 4, &target, 1, 0, &result);
    tap(result.status == MAILSRV_CANNOT, "memory", "a target without a body", "");
    target = to(&f.pat);
    target.mailbox = f.kim;
    commit(&f, "four", 4, &target, 1, 0, &result);
    tap(result.status == MAILSRV_NONEXISTENT, "memory", "a target without a mailbox", "");
    tap(stat_of(&f, MAILSRV_MEMORY_STAT_OCTETS) == 0, "memory", "leave nothing", "");
    end(&f);
}

static void shards(void)
{
    struct fixture f;
    mailsrv_result results[2];
    begin(&f);
    mailsrv_target targets[2] = { to(&f.pat), to(&f.kim) };
    mailsrv_memory_account_u64(f.store, &f.kim, MAILSRV_MEMORY_SHARD, 1);
    tap(commit(&f, "four", 4, targets, 2, 1, results) == MAILSRV_CANNOT, "memory", "atomic over two shards", "");
    tap(commit(&f, "four", 4, targets, 2, 0, results) == MAILSRV_OK, "memory", "each by itself", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_ATOMIC, 0);
    tap(commit(&f, "four", 4, targets, 1, 1, results) == MAILSRV_CANNOT, "memory", "atomic where nothing is", "");
    end(&f);
}

/* ---- UIDs end at 2^32 - 1 ---- */

static void uids_end(void)
{
    struct fixture f;
    mailsrv_result results[3];
    mailsrv_row row;
    begin(&f);
    mailsrv_target target = to(&f.pat);
    mailsrv_memory_append(f.store, &f.pat, "first", 5);
    tap(mailsrv_memory_account_u64(f.store, &f.pat, MAILSRV_MEMORY_UIDNEXT, UINT32_MAX - 1) == MAILSRV_OK, "memory",
        "UIDNEXT is moved to its end", "");
    commit(&f, "four", 4, &target, 1, 0, &results[0]);
    tap(results[0].uid == UINT32_MAX - 1, "memory", "the last UID", "");
    commit(&f, "four", 4, &target, 1, 0, &results[1]);
    tap(results[1].status == MAILSRV_OK && results[1].uidvalidity > results[0].uidvalidity && results[1].uid == 3,
        "memory", "then a new UIDVALIDITY, and UIDs from 1", "");
    mailsrv_memory_row(f.store, &f.pat, 0, &row);
    tap(row.uid == 1 && mailsrv_memory_count(f.store, &f.pat) == 3, "memory", "nothing is lost", "");
    target.uid = UINT32_MAX;
    commit(&f, "four", 4, &target, 1, 0, &results[2]);
    tap(results[2].status == MAILSRV_LIMIT, "memory", "nobody brings the very last one", "");
    end(&f);
}

/* ---- Engines end ---- */

static uint64_t open_handles(const struct fixture *f)
{
    uint64_t n = 0;
    for (int32_t key = MAILSRV_MEMORY_STAT_BODIES; key <= MAILSRV_MEMORY_STAT_READS; key++)
        n += stat_of(f, key);
    return n;
}

/* An engine is given up with a lock and a body open, and operations held: the other engine finds all free. */
static void an_engine_is_given_up(void)
{
    struct fixture f;
    mailsrv_arg_lock arg = { sizeof arg, 0, 0 };
    uint64_t body;
    begin(&f);
    mailsrv_asked *store = open_store(&f, 0, &arg.store);
    mailsrv_asked *lock = ask(&f, 0, MAILSRV_OP_LOCK, &f.pat, &arg);
    mailsrv_asked *staged = stage(&f, "text", &body);
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_LATE, 1);
    mailsrv_asked *late = ask(&f, 0, MAILSRV_OP_LOCK, &f.pat, &arg);
    tap(open_handles(&f) == 3 && stat_of(&f, MAILSRV_MEMORY_STAT_HELD) == 1, "memory", "an engine with open handles", "");
    mailsrv_asked_free(late);
    mailsrv_asked_free(staged);
    mailsrv_asked_free(lock);
    mailsrv_asked_free(store);
    tap(mailsrv_engine_free(f.engines[0], 0) == MAILSRV_E_BUSY, "memory", "is not free", "");
    mailsrv_engine_free(f.engines[0], MAILSRV_ABANDON);
    f.engines[0] = NULL;
    tap(open_handles(&f) == 0 && stat_of(&f, MAILSRV_MEMORY_STAT_HELD) == 0, "memory", "given up, it holds none", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_LATE, 0);
    store = open_store(&f, 1, &arg.store);
    lock = ask(&f, 1, MAILSRV_OP_LOCK, &f.pat, &arg);
    tap(status_of(lock) == MAILSRV_OK, "memory", "and locks nobody out", "");
    mailsrv_asked_free(lock);
    mailsrv_asked_free(store);
    end(&f);
}

/* ---- The mark of what is recent ---- */

/* Looking does not move it, opening for writing does, and so does what is closed with a word of what was told. */
static void recent(void)
{
    struct fixture f;
    mailsrv_mbox_opened opened;
    uint64_t store;
    begin(&f);
    mailsrv_memory_append(f.store, &f.pat, "first", 5);
    mailsrv_asked *asked = open_store(&f, 0, &store);
    drop(&f, open_mailbox(&f, store, "inbox", 0, &opened));
    drop(&f, open_mailbox(&f, store, "inbox", 1, &opened));
    tap(opened.recent == 0, "memory", "looking does not take recent from a message", "");
    mailsrv_asked *mbox = open_mailbox(&f, store, "inbox", 1, &opened);
    tap(opened.recent == 1, "memory", "opening for writing does", "");
    mailsrv_memory_append(f.store, &f.pat, "second", 6);
    mailsrv_arg_close arg = { sizeof arg, 2, opened.mbox };
    mailsrv_op close = { .size = sizeof close, .kind = MAILSRV_OP_MBOX_CLOSE, .id = UINT64_MAX, .arg = &arg };
    mailsrv_memory_handle(f.store, f.engines[0], &close);
    drop(&f, open_mailbox(&f, store, "inbox", 0, &opened));
    tap(opened.recent == 2, "memory", "and closing, with what was told", "");
    drop(&f, mbox);
    drop(&f, asked);
    end(&f);
}

/* ---- History ---- */

/* The horizon that CHANGES answers, and how many UIDs vanished. */
static uint64_t horizon(struct fixture *f, uint64_t since, uint32_t *vanished)
{
    mailsrv_mbox_opened opened;
    uint64_t store;
    mailsrv_asked *asked = open_store(f, 0, &store), *mbox = open_mailbox(f, store, "inbox", 0, &opened);
    mailsrv_arg_changes arg = { .size = sizeof arg, .mbox = opened.mbox, .since = since, .limit = 64 };
    mailsrv_asked *changes = ask(f, 0, MAILSRV_OP_CHANGES, &f->pat, &arg);
    const mailsrv_changes *v = mailsrv_asked_answer(changes)->value;
    uint64_t found = v->horizon;
    *vanished = 0;
    for (uint32_t i = 0; i < v->n_vanished; i++)
        *vanished += v->vanished[i].last - v->vanished[i].first + 1;
    drop(f, changes);
    drop(f, mbox);
    drop(f, asked);
    return found;
}

static void expunge(struct fixture *f, uint32_t uid)
{
    mailsrv_mbox_opened opened;
    uint64_t store;
    mailsrv_run run = { uid, uid };
    mailsrv_asked *asked = open_store(f, 0, &store), *mbox = open_mailbox(f, store, "inbox", 1, &opened);
    mailsrv_arg_expunge arg = { sizeof arg, 0, opened.mbox, &run, 1, 0, { { 0 } } };
    drop(f, ask(f, 0, MAILSRV_OP_EXPUNGE, &f->pat, &arg));
    drop(f, mbox);
    drop(f, asked);
}

static void history(void)
{
    struct fixture f;
    uint32_t n;
    begin(&f);
    for (int i = 0; i < 5; i++)
        mailsrv_memory_append(f.store, &f.pat, "text", 4); /* modseq 2 to 6 */
    expunge(&f, 2);
    expunge(&f, 4);
    tap(horizon(&f, 6, &n) <= 6 && n == 2, "memory", "what was expunged is remembered", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_HISTORY, 2);
    expunge(&f, 5);
    tap(horizon(&f, 6, &n) == 7 && n == 2, "memory", "as far back as it is told to", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_HISTORY, 0);
    tap(horizon(&f, 6, &n) == 9, "memory", "without history the horizon is now", "");
    end(&f);
}

/* ---- Late answers ---- */

static void late_answers(uint64_t seed, unsigned order[4])
{
    struct fixture f;
    mailsrv_asked *asked[4];
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    begin(&f);
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_LATE, 1);
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_SHUFFLE, seed);
    for (int i = 0; i < 4; i++) {
        asked[i] = ask(&f, 0, MAILSRV_OP_BODY_BEGIN, NULL, &arg);
        order[i] = 9;
    }
    for (unsigned n = 0; mailsrv_memory_answer(f.store, 1) == 1; n++)
        for (int i = 0; i < 4; i++)
            if (order[i] == 9 && mailsrv_asked_answer(asked[i]) != NULL)
                order[i] = n;
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_LATE, 0);
    for (int i = 0; i < 4; i++)
        drop(&f, asked[i]);
    end(&f);
}

static void late(void)
{
    static const unsigned in_order[4] = { 0, 1, 2, 3 };
    unsigned order[4], again[4], different = 0;
    late_answers(0, order);
    tap(memcmp(order, in_order, sizeof order) == 0, "memory", "late answers come in order", "");
    for (uint64_t seed = 1; seed < 20; seed++) {
        late_answers(seed, order);
        late_answers(seed, again);
        different += memcmp(order, in_order, sizeof order) != 0;
        if (memcmp(order, again, sizeof order) != 0)
            different = 1000;
    }
    tap(different > 10 && different < 1000, "memory", "or shuffled, the same for the same seed", "");
}

/* ---- Knobs ---- */

static void knobs(void)
{
    struct fixture f;
    uint64_t body;
    begin(&f);
    tap(mailsrv_memory_key("read_octets") == MAILSRV_MEMORY_READ_OCTETS, "knobs", "have names", "");
    tap(mailsrv_memory_key("quota") == MAILSRV_MEMORY_QUOTA, "knobs", "also those of an account", "");
    tap(mailsrv_memory_key("no such knob") == 0, "knobs", "an unknown one", "");
    tap(mailsrv_memory_set_u64(f.store, 999, 1) == MAILSRV_E_UNKNOWN_KEY, "knobs", "an unknown key", "");
    tap(mailsrv_memory_set_u64(f.store, 0, 1) == MAILSRV_E_UNKNOWN_KEY, "knobs", "no key", "");
    tap(mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_LATE, 2) == MAILSRV_E_VALUE, "knobs", "a wrong value", "");
    tap(mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_QUOTA, 2) == MAILSRV_E_UNKNOWN_KEY, "knobs",
        "an account's key without the account", "");
    tap(mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_EPOCH, 2) == MAILSRV_E_USAGE, "knobs",
        "the epoch after the first account", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_FAIL_NTH, 2);
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_FAIL_STATUS, 401);
    mailsrv_asked *one = stage(&f, "its write fails", &body);
    mailsrv_arg_body_begin arg = { sizeof arg, 0, 0 };
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_FAIL_NTH, 1);
    mailsrv_asked *two = ask(&f, 0, MAILSRV_OP_BODY_BEGIN, NULL, &arg);
    tap(status_of(one) == MAILSRV_OK && status_of(two) == MAILSRV_FULL, "knobs", "the n-th fails, as it is told", "");
    tap(stat_of(&f, MAILSRV_MEMORY_STAT_OCTETS) == 0, "knobs", "and has no effect", "");
    drop(&f, one);
    drop(&f, two);
    end(&f);
}

/* ---- Addresses ---- */

static int32_t resolve(struct fixture *f, const char *local, const char *domain)
{
    mailsrv_arg_resolve arg = { .size = sizeof arg, .local_part = bytes(local), .domain = bytes(domain) };
    mailsrv_asked *asked = ask(f, 0, MAILSRV_OP_RESOLVE, NULL, &arg);
    int32_t status = status_of(asked);
    if (status == MAILSRV_OK)
        status = (int32_t)((const mailsrv_resolved *)mailsrv_asked_answer(asked)->value)->n;
    drop(f, asked);
    return status;
}

static int32_t add_address(struct fixture *f, const char *address, const mailsrv_id *accounts, size_t n)
{
    return mailsrv_memory_add_address(f->store, address, strlen(address), accounts, n);
}

static void addresses(void)
{
    struct fixture f;
    begin(&f);
    mailsrv_id both[2] = { f.pat, f.kim }, nobody = { { 9 } };
    tap(add_address(&f, "odd user@here.test", both, 1) == MAILSRV_OK, "addresses", "one that needs quotes", "");
    tap(add_address(&f, "team@here.test", both, 2) == MAILSRV_OK, "addresses", "one that leads to two", "");
    tap(add_address(&f, "postmaster", both, 1) == MAILSRV_OK, "addresses", "one without a domain", "");
    tap(add_address(&f, "away@there.test", NULL, 0) == MAILSRV_OK, "addresses", "one that leads to the queue", "");
    tap(add_address(&f, "TEAM@Here.Test", both, 2) == MAILSRV_ALREADYEXISTS, "addresses", "the same again", "");
    tap(add_address(&f, "x@here.test", &nobody, 1) == MAILSRV_NONEXISTENT, "addresses", "one that leads nowhere", "");
    tap(resolve(&f, "Odd User", "HERE.test") == 1, "addresses", "no case", "");
    tap(resolve(&f, "team", "here.test") == 2, "addresses", "two destinations", "");
    tap(resolve(&f, "Postmaster", "") == 1, "addresses", "<Postmaster>", "");
    tap(resolve(&f, "postmaster", "here.test") == MAILSRV_NONEXISTENT, "addresses", "not with a domain", "");
    tap(resolve(&f, "pat", "") == MAILSRV_NONEXISTENT, "addresses", "an account's name is none", "");
    end(&f);
}

/* ---- Looking in ---- */

static void looking_in(void)
{
    struct fixture f;
    mailsrv_bytes octets;
    mailsrv_row row;
    mailsrv_queue_item item;
    mailsrv_result results[2];
    begin(&f);
    mailsrv_target targets[2] = { to(&f.pat), { .size = sizeof targets[0], .kind = MAILSRV_TARGET_QUEUE } };
    targets[0].prefix = bytes("X: y\r\n");
    targets[1].record = bytes("kept");
    commit(&f, "body", 4, targets, 2, 0, results);
    tap(mailsrv_memory_row(f.store, &f.pat, 0, &row) == MAILSRV_OK && row.octets == 10, "looking in", "a row", "");
    mailsrv_memory_message(f.store, &f.pat, 0, 0, &octets);
    tap(octets.n == 6 && memcmp(octets.p, "X: y\r\n", 6) == 0, "looking in", "the prefix", "");
    mailsrv_memory_message(f.store, &f.pat, 0, 7, &octets);
    tap(octets.n == 3 && memcmp(octets.p, "ody", 3) == 0, "looking in", "the body", "");
    mailsrv_memory_message(f.store, &f.pat, 0, 10, &octets);
    tap(octets.n == 0, "looking in", "the end", "");
    tap(mailsrv_memory_message(f.store, &f.pat, 1, 0, &octets) == MAILSRV_NONEXISTENT, "looking in", "no more", "");
    mailsrv_memory_queue_item(f.store, 0, &item);
    tap(item.record.n == 4 && item.octets == 4, "looking in", "an item", "");
    mailsrv_memory_queue_message(f.store, 0, 0, &octets);
    tap(octets.n == 4 && memcmp(octets.p, "body", 4) == 0, "looking in", "its message", "");
    tap(mailsrv_memory_queue_item(f.store, 1, &item) == MAILSRV_NONEXISTENT, "looking in", "no more items", "");
    mailsrv_memory_account_u64(f.store, &f.kim, MAILSRV_MEMORY_QUOTA, 5);
    tap(mailsrv_memory_append(f.store, &f.kim, "six oc", 6) == MAILSRV_OVERQUOTA, "looking in", "over quota", "");
    mailsrv_memory_set_u64(f.store, MAILSRV_MEMORY_OCTETS_MAX, 15);
    tap(mailsrv_memory_append(f.store, &f.pat, "six oc", 6) == MAILSRV_FULL, "looking in", "full", "");
    tap(mailsrv_memory_append(f.store, &f.pat, "", 0) == MAILSRV_OK, "looking in", "an empty message", "");
    end(&f);
}

int main(void)
{
    many_recipients();
    broken_askers();
    shards();
    uids_end();
    an_engine_is_given_up();
    recent();
    history();
    late();
    knobs();
    addresses();
    looking_in();
    return tap_end();
}
