/* A login as the client with a server that says anything: what is said is one line of base64, and the login is done only
 * by what its mechanism asks of the server: of SCRAM the signature that belongs to what both have said.
 *
 * The first octet of the rest chooses the mechanism, the lines behind it are challenges: "." stands for a first message of
 * SCRAM that begins with the client's nonce, "=" for a final one with the right signature, "~" for one with a wrong one. */
#include "fuzz.h"

#include "sasl/client.h"
#include "sasl/salting.h"
#include "sasl/scram_message.h"
#include "text/base64.h"

#include <mailsrv/mailsrv.h>

enum { MECHANISMS = 8, CHALLENGES_MAX = 8, TURNS_MAX = 100, OURS_OCTETS_MAX = 4096, LINE_OCTETS_MAX = 12288 };

struct world {
    mailsrv_engine *engine;
    mailsrv_profile *profile;
    mailsrv_session *session;
    struct sasl_client *client;
    uint32_t *chance;
    size_t allocations_left;
    uint32_t mechanism;
    unsigned heard; /* challenges that were answered */
    bool is_done;   /* it should be */
    bool ended;
    struct bytes first, server_first, final; /* of SCRAM, decoded */
};

/* The last two bind. */
static const char *const names[MECHANISMS] = { "PLAIN",         "LOGIN",       "XOAUTH2",            "OAUTHBEARER",
                                               "SCRAM-SHA-256", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS" };
enum { PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, SCRAM };

/* ---- Cryptography that is none, but quick ---- */

static uint64_t mix(uint64_t sum, const mailsrv_bytes *b)
{
    for (size_t i = 0; i < b->n; i++)
        sum = (sum ^ b->p[i]) * UINT64_C(1099511628211);
    return sum ^ sum >> 29;
}

static int32_t quick_hmac(void *user, int32_t hash, const mailsrv_bytes *key, const mailsrv_bytes *parts, size_t n,
                          uint8_t *out)
{
    uint64_t sum = mix(UINT64_C(14695981039346656037), key);
    (void)user;
    for (size_t i = 0; i < n; i++)
        sum = mix(sum, &parts[i]);
    for (size_t i = 0; i < (hash == MAILSRV_HASH_SHA1 ? 20 : 32); i++, sum = sum * 6364136223846793005u + 1442695040888963407u)
        out[i] = (uint8_t)(sum >> 33);
    return MAILSRV_OK;
}

static int32_t quick_hash(void *user, int32_t hash, const mailsrv_bytes *parts, size_t n, uint8_t *out)
{
    const mailsrv_bytes key = { NULL, 0 };
    return quick_hmac(user, hash, &key, parts, n, out);
}

static int32_t same_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    memset(out, 7, n);
    return MAILSRV_OK;
}

static const mailsrv_crypto crypto = { .size = sizeof crypto, .hash = quick_hash, .hmac = quick_hmac, .random = same_random };

/* ---- The place ---- */

static void *take(void *user, size_t n)
{
    struct world *w = user;
    if (w->allocations_left == 0)
        return NULL;
    w->allocations_left -= w->allocations_left != SIZE_MAX;
    return malloc(n);
}

static void release(void *user, void *p, size_t n)
{
    (void)user;
    (void)n;
    free(p);
}

static mailsrv_bytes bytes_of(const char *text)
{
    return (mailsrv_bytes){ (const uint8_t *)text, strlen(text) };
}

static void begin(struct world *w)
{
    const mailsrv_allocator allocator = { .size = sizeof allocator, .user = w, .alloc = take, .release = release };
    const mailsrv_tls_info info = { .size = sizeof info, .version = 0x0304, .exporter = bytes_of("exporter's thirty-two octets....") };
    mailsrv_config *config;
    w->allocations_left = SIZE_MAX;
    mailsrv_config_new(&allocator, &config);
    mailsrv_config_set_crypto(config, &crypto);
    CHECK(mailsrv_engine_new(config, &w->engine) == MAILSRV_OK, "no engine");
    mailsrv_config_free(config);
    mailsrv_engine_advance(w->engine, 1000000, 1000000);
    mailsrv_profile_new(NULL, mailsrv_imap(), MAILSRV_FACE_IMAP, &w->profile);
    mailsrv_profile_set_str(w->profile, MAILSRV_PROFILE_HOSTNAME, "here.test", 9);
    mailsrv_profile_set_u64(w->profile, MAILSRV_PROFILE_TLS, MAILSRV_TLS_IMPLICIT);
    CHECK(mailsrv_profile_seal(w->profile, NULL) == MAILSRV_OK, "the profile cannot be sealed");
    CHECK(mailsrv_server_new(w->engine, w->profile, NULL, NULL, &w->session) == MAILSRV_OK, "no session");
    CHECK(mailsrv_session_tls_started(w->session, &info) == MAILSRV_OK, "no TLS");
}

static void end(struct world *w, uint64_t memory)
{
    mailsrv__sasl_client_free(w->client);
    CHECK(mailsrv_engine_stat(w->engine, MAILSRV_STAT_MEMORY) == memory, "memory is left");
    mailsrv_session_free(w->session);
    mailsrv_profile_unref(w->profile);
    CHECK(mailsrv_engine_free(w->engine, 0) == MAILSRV_OK, "the engine is busy");
    struct bytes *all[] = { &w->first, &w->server_first, &w->final };
    for (size_t i = 0; i < 3; i++)
        bytes_free(all[i]);
}

/* ---- What the client says ---- */

/* `into` holds what the line says. */
static void read_line(struct span line, struct bytes *into)
{
    char octets[OURS_OCTETS_MAX];
    size_t n = 0;
    CHECK(line.n <= BASE64_CHARS(sizeof octets), "a long line");
    CHECK(mailsrv__base64_read(line, (uint8_t *)octets, &n), "what is said is no base64");
    into->n = 0;
    bytes_add(into, (struct span){ octets, n });
}

/* Where `mark` stands in it for the last time: what is before, and what is behind. */
static struct span before_last(struct span all, struct span mark)
{
    for (size_t n = all.n - mark.n;; n--) {
        if (memcmp(all.p + n, mark.p, mark.n) == 0)
            return mailsrv__span_first(all, n);
        CHECK(n != 0, "a message of SCRAM without its parts");
    }
}

/* ---- SCRAM: the server's part ---- */

static struct span bare_of(const struct world *w)
{
    struct scram_first f;
    CHECK(mailsrv__scram_read_first(bytes_span(&w->first), &f), "the first message is none");
    return f.bare;
}

static size_t hash_octets(const struct world *w)
{
    return strstr(names[w->mechanism], "SHA-1") != NULL ? 20 : 32;
}

/* HMAC(ServerKey, AuthMessage) (RFC 5802 section 3) */
static void sign(const struct world *w, uint8_t *out)
{
    int32_t hash = hash_octets(w) == 20 ? MAILSRV_HASH_SHA1 : MAILSRV_HASH_SHA256;
    struct scram_server_first first;
    struct salting salting;
    struct scram_keys keys;
    uint8_t salt[OURS_OCTETS_MAX];
    size_t n = 0;
    CHECK(mailsrv__scram_read_server_first(bytes_span(&w->server_first), &first), "a first message that is none was taken");
    CHECK(first.salt.n < OURS_OCTETS_MAX && mailsrv__base64_read(first.salt, salt, &n), "a salt that is none was taken");
    mailsrv__salting_begin(&salting, &crypto, hash, SPAN("pencil"), (mailsrv_bytes){ salt, n }, first.iterations);
    mailsrv__salting_go_on(&salting, SPAN("pencil"), first.iterations);
    mailsrv__salting_keys(&salting, &keys);
    const mailsrv_bytes comma = bytes_of(","), key = { keys.server, hash_octets(w) };
    const mailsrv_bytes parts[] = { mailsrv__bytes(bare_of(w)), comma, mailsrv__bytes(bytes_span(&w->server_first)), comma,
                                    mailsrv__bytes(before_last(bytes_span(&w->final), SPAN(",p="))) };
    quick_hmac(NULL, hash, &key, parts, 5, out);
}

static void add_base64(struct bytes *to, struct span octets)
{
    char *text = must(malloc(BASE64_CHARS(octets.n) + 1));
    bytes_add(to, (struct span){ text, mailsrv__base64((const uint8_t *)octets.p, octets.n, text) });
    free(text);
}

static void add_final(struct world *w, bool is_right, struct bytes *challenge)
{
    uint8_t signature[MAILSRV_HASH_OCTETS_MAX + 1] = { 0 };
    size_t n = hash_octets(w);
    struct bytes message = { 0 };
    sign(w, signature);
    if (!is_right && draw(w->chance, 2) == 0)
        signature[draw(w->chance, (uint32_t)n)] ^= (uint8_t)(1u << draw(w->chance, 8));
    else if (!is_right)
        n = draw(w->chance, 2) == 0 ? n + 1 : 1 + draw(w->chance, (uint32_t)n - 1);
    bytes_add(&message, SPAN("v="));
    add_base64(&message, (struct span){ (const char *)signature, n });
    add_base64(challenge, bytes_span(&message));
    bytes_free(&message);
}

static void add_server_first(const struct world *w, struct span rest, struct bytes *challenge)
{
    struct bytes message = { 0 };
    struct scram_first f;
    CHECK(mailsrv__scram_read_first(bytes_span(&w->first), &f), "the first message is none");
    bytes_add(&message, SPAN("r="));
    bytes_add(&message, f.nonce);
    bytes_add(&message, rest);
    add_base64(challenge, bytes_span(&message));
    bytes_free(&message);
}

/* Does this challenge prove that the server knows the keys? */
static bool proves(const struct world *w, struct span challenge)
{
    char octets[LINE_OCTETS_MAX];
    uint8_t right[MAILSRV_HASH_OCTETS_MAX], said[LINE_OCTETS_MAX];
    struct span message = { octets, 0 }, base64;
    size_t n = 0;
    if (challenge.n > sizeof octets || !mailsrv__base64_read(challenge, (uint8_t *)octets, &message.n) ||
        !mailsrv__scram_read_server_final(message, &base64) || !mailsrv__base64_read(base64, said, &n))
        return false;
    sign(w, right);
    return n == hash_octets(w) && memcmp(said, right, n) == 0;
}

/* ---- The exchange ---- */

static enum sasl_client_turn hear(struct world *w, struct span challenge)
{
    char *copy = exact(challenge); /* of which nothing is there afterwards */
    enum sasl_client_turn turn = mailsrv__sasl_client_answer(w->client, (struct span){ copy, challenge.n });
    free(copy);
    for (unsigned turns = 0; turn == SASL_CLIENT_WORKS && turns < TURNS_MAX; turns++)
        turn = mailsrv__sasl_client_go_on(w->client);
    return turn;
}

/* What the first message and the final one of SCRAM are made of is kept; the third challenge proves, or fails. */
static void said_in_scram(struct world *w, struct span challenge)
{
    CHECK(w->heard <= 2, "a challenge more than SCRAM has");
    if (w->heard == 2) {
        w->is_done = proves(w, challenge);
        CHECK(w->is_done, "a wrong signature is answered");
        return;
    }
    read_line(challenge, &w->server_first);
    read_line(mailsrv__sasl_client_response(w->client), &w->final);
}

static void said(struct world *w, struct span challenge)
{
    struct bytes line = { 0 };
    read_line(mailsrv__sasl_client_response(w->client), &line);
    bytes_free(&line);
    w->heard++;
    if (w->mechanism >= SCRAM)
        said_in_scram(w, challenge);
    else
        w->is_done = w->mechanism == LOGIN && w->heard == 2;
    CHECK(w->heard <= (w->mechanism == PLAIN ? 0 : w->mechanism == LOGIN ? 2 : w->mechanism < SCRAM ? 1 : 2), "too much is said");
}

static void take_challenge(struct world *w, struct span challenge)
{
    enum sasl_client_turn turn = hear(w, challenge);
    if (turn == SASL_CLIENT_SAYS) {
        said(w, challenge);
    } else {
        w->is_done = false;
        w->ended = true;
        CHECK(turn == SASL_CLIENT_WORKS || *mailsrv__sasl_client_why(w->client) != '\0', "it fails without a reason");
    }
    CHECK(mailsrv__sasl_client_is_done(w->client) == w->is_done, "it is done, or not, against what was said");
}

static void take_line(struct world *w, struct span line)
{
    struct bytes challenge = { 0 };
    char mark = line.n == 0 || w->mechanism < SCRAM ? 0 : line.p[0];
    if (mark == '.' && w->heard == 0)
        add_server_first(w, mailsrv__span_after(line, 1), &challenge);
    else if ((mark == '=' || mark == '~') && w->heard == 1)
        add_final(w, mark == '=', &challenge);
    else
        bytes_add(&challenge, mailsrv__span_first(line, LINE_OCTETS_MAX));
    take_challenge(w, bytes_span(&challenge));
    bytes_free(&challenge);
}

static void exchange(struct world *w, struct span all)
{
    if (w->mechanism != LOGIN)
        read_line(mailsrv__sasl_client_initial(w->client), &w->first);
    w->is_done = w->mechanism != LOGIN && w->mechanism < SCRAM;
    CHECK(mailsrv__sasl_client_is_done(w->client) == w->is_done, "it is done, or not, before it began");
    for (unsigned i = 0; i < CHALLENGES_MAX && all.n != 0 && !w->ended; i++) {
        const char *lf = memchr(all.p, '\n', all.n);
        size_t n = lf == NULL ? all.n : (size_t)(lf - all.p);
        take_line(w, mailsrv__span_first(all, n));
        all = mailsrv__span_after(all, n + 1);
    }
}

static void log_in(struct world *w, struct span all)
{
    const mailsrv_credential credential = { .size = sizeof credential,
                                            .user = bytes_of("us,er"),
                                            .password = w->mechanism == XOAUTH2 || w->mechanism == OAUTHBEARER
                                                            ? bytes_of("")
                                                            : bytes_of("pencil"),
                                            .token = bytes_of("abc.DEF") };
    const char *name = names[w->mechanism];
    uint32_t offered = mailsrv__sasl_client_read((struct span){ name, strlen(name) });
    int32_t status = mailsrv__sasl_client_new(w->session, offered, &credential, &w->client);
    CHECK(status == MAILSRV_OK || (status == MAILSRV_NOMEM && w->allocations_left == 0), "a login does not begin");
    if (status == MAILSRV_OK)
        exchange(w, all);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n <= KNOB_OCTETS)
        return 0;
    uint32_t chance = knobs(p);
    struct span all = { (const char *)p + KNOB_OCTETS + 1, n - KNOB_OCTETS - 1 };
    for (int is_faulty = 0; is_faulty < 2; is_faulty++) {
        struct world w = { .chance = &chance, .mechanism = p[KNOB_OCTETS] % MECHANISMS };
        begin(&w);
        uint64_t memory = mailsrv_engine_stat(w.engine, MAILSRV_STAT_MEMORY);
        if (is_faulty)
            w.allocations_left = draw(&chance, 24);
        log_in(&w, all);
        end(&w, memory);
    }
    return 0;
}
