/* A whole session over the store in memory.  Each input is said twice: whole, with answers at once; and in pieces, with
 * answers late and in any order.  The replies and what is in the store afterwards are the same.  A third time something
 * goes wrong (an operation fails, the session ends in the middle, memory is short), and then nothing may be left open.
 *
 * PROTOCOL is smtp, lmtp, submission, pop3 or imap. */
#include "../dialogue/crypto.h"
#include "host.h"

#include <mailsrv/mailsrv.h>
#include <mailsrv/stores/memory.h>

enum protocol { smtp, lmtp, submission, pop3, imap };

struct world {
    struct host host;
    mailsrv_store *store;
    uint8_t randoms; /* calls of the engine's random numbers */
};

/* ---- Setting up ---- */

static mailsrv_profile *make_profile(void)
{
    static const struct {
        const mailsrv_machine *(*machine)(void);
        int32_t face;
    } faces[] = { [smtp] = { mailsrv_smtp, MAILSRV_FACE_MX },
                  [lmtp] = { mailsrv_smtp, MAILSRV_FACE_LMTP },
                  [submission] = { mailsrv_smtp, MAILSRV_FACE_SUBMISSION },
                  [pop3] = { mailsrv_pop3, MAILSRV_FACE_POP3 },
                  [imap] = { mailsrv_imap, MAILSRV_FACE_IMAP } };
    mailsrv_profile *profile;
    mailsrv_profile_new(NULL, faces[PROTOCOL].machine(), faces[PROTOCOL].face, &profile);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_HOSTNAME, "mx.here.test", 12);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_PLAIN_PASSWORDS, 1);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_AUTH_MECHANISMS, MAILSRV_SASL_ALL);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_AUTH_DELAY_MS, 0);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_MESSAGE_OCTETS_MAX, 65536);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_POLICY_STAGES, MAILSRV_STAGES_ALL);
    mailsrv_profile_set_u64(profile, MAILSRV_PROFILE_SENDER_FIELD, 1);
    mailsrv_profile_set_str(profile, MAILSRV_PROFILE_POSTMASTER, "kim@here.test", 13);
    CHECK(mailsrv_profile_seal(profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    return profile;
}

/* Keys for SCRAM that no password has. */
static void add_keys(mailsrv_store *store, const mailsrv_id *id)
{
    static const uint8_t key[32];
    mailsrv_scram_record record = { .size = sizeof record, .iterations = 4096, .salt = { (const uint8_t *)"salt", 4 } };
    for (int32_t hash = MAILSRV_HASH_SHA1; hash <= MAILSRV_HASH_SHA256; hash++) {
        record.stored_key = record.server_key = (mailsrv_bytes){ key, hash == MAILSRV_HASH_SHA1 ? 20 : 32 };
        mailsrv_memory_set_scram(store, id, hash, &record);
    }
}

static mailsrv_id add_account(mailsrv_store *store, const char *name, const char *address)
{
    mailsrv_id id;
    mailsrv_memory_add_account(store, name, strlen(name), "secret", 6, &id);
    add_keys(store, &id);
    mailsrv_memory_add_address(store, address, strlen(address), &id, 1);
    return id;
}

static void append(mailsrv_store *store, const mailsrv_id *id, const char *text)
{
    mailsrv_memory_append(store, id, text, strlen(text));
}

static void fill_store(mailsrv_store *store)
{
    mailsrv_id both[2] = { add_account(store, "pat", "pat@here.test"), add_account(store, "kim", "kim@here.test") };
    mailsrv_memory_add_address(store, "postmaster", 10, both, 1);
    mailsrv_memory_add_address(store, "team@here.test", 14, both, 2);
    mailsrv_memory_add_address(store, "away@remote.test", 16, NULL, 0);
    append(store, &both[0], "Subject: one\r\n\r\nfirst\r\n");
    append(store, &both[0], "Subject: two\r\n\r\n.\r\n..\r\n.x\r\nend");
    append(store, &both[0], "Subject: three\n\na\n.\r\nb\r.\r\n");
}

static void set_knobs(struct world *w)
{
    static const int32_t flags[] = { MAILSRV_MEMORY_READ_LENDS, MAILSRV_MEMORY_READ_HANDLES };
    if (w->host.chance == NULL)
        return;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        mailsrv_memory_set_u64(w->store, flags[i], draw(w->host.chance, 2));
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_LATE, 1);
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_SHUFFLE, draw(w->host.chance, 1000));
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_PAGE_ROWS, draw(w->host.chance, 3));
    mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_READ_OCTETS, draw(w->host.chance, 20));
    if (w->host.faulty && draw(w->host.chance, 2) == 0) {
        mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_FAIL_NTH, 1 + draw(w->host.chance, 12));
        mailsrv_memory_set_u64(w->store, MAILSRV_MEMORY_FAIL_STATUS, 400 + draw(w->host.chance, 6) + 100 * draw(w->host.chance, 2));
    }
}

/* ---- POLICY: a verdict that depends on the question alone ---- */

static uint32_t hash_of(uint32_t hash, mailsrv_bytes bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        hash = (hash ^ bytes.p[i]) * 16777619u;
    return hash;
}

static int32_t verdict_of(const mailsrv_arg_policy *arg)
{
    uint32_t hash = hash_of(hash_of(2166136261u ^ arg->stage, arg->reverse_path), arg->recipient);
    hash = hash_of(hash_of(hash, arg->hello), arg->header) >> 7;
    if (arg->stage == MAILSRV_STAGE_CONNECT || hash % 3 != 0)
        return MAILSRV_POLICY_CONTINUE;
    return (int32_t)(hash / 3 % (MAILSRV_POLICY_RELAY_OK + 1));
}

static void decide(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct world *w = user;
    const mailsrv_arg_policy *arg = op->arg;
    mailsrv_verdict v = { .size = sizeof v, .verdict = verdict_of(arg), .to.kind = MAILSRV_TARGET_MAILBOX };
    if (v.verdict == MAILSRV_POLICY_ADD_FIELDS)
        v.fields = (mailsrv_bytes){ (const uint8_t *)"X-Seen: yes,\r\n twice\r\n", 22 };
    if (v.verdict == MAILSRV_POLICY_REDIRECT && arg->recipients % 2 == 0) {
        v.to.kind = MAILSRV_TARGET_QUEUE;
        v.address = (mailsrv_bytes){ (const uint8_t *)"boss@elsewhere.test", 19 };
    }
    mailsrv_memory_find_account(w->store, "kim", 3, &v.to.account);
    mailsrv_answer answer = { .size = sizeof answer, .value = &v };
    CHECK(mailsrv_op_answer(engine, op->id, &answer) == MAILSRV_OK, "a verdict is not taken");
}

static void make_engine(struct world *w)
{
    mailsrv_config *config;
    mailsrv_config_new(NULL, &config);
    mailsrv_crypto crypto = test_crypto(&w->randoms);
    mailsrv_config_set_crypto(config, &crypto);
    if (w->host.faulty && draw(w->host.chance, 2) == 0)
        mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, 131072);
    CHECK(mailsrv_engine_new(config, &w->host.engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    mailsrv_store_bind(w->store, w->host.engine);
    mailsrv_engine_serve(w->host.engine, MAILSRV_OP_POLICY, decide, w);
    mailsrv_engine_advance(w->host.engine, MONO_US, MONO_US);
}

/* ---- The host ---- */

static bool answer(struct host *host)
{
    return mailsrv_memory_answer(HOLDER(host, struct world, host)->store, 1) != 0;
}

/* ---- What is left ---- */

static void see_message(struct world *w, const mailsrv_id *id, uint64_t index)
{
    mailsrv_bytes part;
    for (uint64_t offset = 0;; offset += part.n) {
        mailsrv_memory_message(w->store, id, index, offset, &part);
        if (part.n == 0)
            break;
        bytes_add(&w->host.out, mailsrv__span(part));
    }
}

static void see_store(struct world *w)
{
    static const char *const accounts[] = { "pat", "kim" };
    mailsrv_queue_item item;
    for (size_t i = 0; i < 2; i++) {
        mailsrv_id id;
        mailsrv_memory_find_account(w->store, accounts[i], 3, &id);
        uint64_t n = mailsrv_memory_count(w->store, &id);
        bytes_add_u64(&w->host.out, n);
        for (uint64_t k = 0; k < n; k++)
            see_message(w, &id, k);
    }
    for (uint64_t k = 0; mailsrv_memory_queue_item(w->store, k, &item) == MAILSRV_OK; k++)
        bytes_add(&w->host.out, mailsrv__span(item.record));
}

static void check_nothing_is_left(struct world *w, uint64_t memory)
{
    for (int32_t key = MAILSRV_MEMORY_STAT_BODIES; key <= MAILSRV_MEMORY_STAT_HELD; key++)
        CHECK(mailsrv_memory_stat(w->store, key) == 0, "a handle is open, or something is lent or held");
    uint64_t kept = mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_IMAGES_OCTETS) +
                    mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_TEXTS_OCTETS);
    CHECK(mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_MEMORY) - kept == memory, "memory is left");
}

static void converse(struct world *w, struct span all, mailsrv_profile *profile)
{
    mailsrv_memory_new(NULL, &w->store);
    fill_store(w->store);
    make_engine(w);
    uint64_t memory = mailsrv_engine_stat(w->host.engine, MAILSRV_STAT_MEMORY);
    set_knobs(w);
    if (w->host.faulty && draw(w->host.chance, 2) == 0)
        w->host.leaves_in = 1 + draw(w->host.chance, 16);
    CHECK(mailsrv_server_new(w->host.engine, profile, NULL, NULL, &w->host.session) == MAILSRV_OK, "no session");
    mailsrv_session_set_external(w->host.session, "pat", 3);
    host_pump(&w->host);
    in_pieces(all, w->host.chance, host_say, &w->host);
    host_end(&w->host);
    check_nothing_is_left(w, memory);
    see_store(w);
    CHECK(mailsrv_engine_free(w->host.engine, 0) == MAILSRV_OK, "the engine is busy");
    mailsrv_store_free(w->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static mailsrv_profile *profile;
    if (n < KNOB_OCTETS)
        return 0;
    if (profile == NULL)
        profile = make_profile();
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS };
    struct world whole = { .host.answer = answer }, cut = { .host = { .answer = answer, .chance = &chance } };
    struct world faulty = { .host = { .answer = answer, .chance = &chance, .faulty = true } };
    converse(&whole, all, profile);
    converse(&cut, all, profile);
    bytes_same(&whole.host.out, &cut.host.out, "cut input or late answers give other replies, or another store");
    converse(&faulty, all, profile);
    bytes_free(&whole.host.out);
    bytes_free(&cut.host.out);
    bytes_free(&faulty.host.out);
    return 0;
}
