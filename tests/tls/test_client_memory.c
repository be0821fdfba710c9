/* A provider as the client: what it says that a connection holds is what malloc says, or some percent more; and where an
 * allocation fails, whichever it is, the connection fails, or goes on as if nothing had been, and nothing is lost. */
#include "counted.h"
#include "pair.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#ifdef TLS_OPENSSL
enum { LOST_OCTETS = 2048 }; /* of an open one: holes in the heap, which malloc does not tell of */
#else
enum { LOST_OCTETS = 0 };
#endif
enum { RECORDS_MAX = 3, OTHERS = 2 };
enum { MORE_PERCENT = 8, MORE_PERCENT_SHAKING = 25 };

static struct identity root, ec, rsa, own;

static int make_identities(void **state)
{
    (void)state;
    identity_make(&root, KEY_EC, NULL, NULL);
    identity_make(&ec, KEY_EC, "DNS:mx.here.test", &root);
    identity_make(&rsa, KEY_RSA, "DNS:mx.here.test", &root);
    identity_make(&own, KEY_RSA, "DNS:we.test", &root);
    pair_watch = counted_turn;
    return 0;
}

static int free_identities(void **state)
{
    struct identity *all[] = { &root, &ec, &rsa, &own };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_free(all[i]);
    return 0;
}

struct way {
    const struct identity *shown;
    int version;
    bool shows_own;
    uint32_t verify; /* MAILSRV_TLS_BY_... */
    bool is_another; /* records are of somebody else */
};

/* A context of the client's and one of OpenSSL's as the server. */
struct scene {
    const struct way *way;
    mailsrv_tls *client;
    SSL_CTX *server;
    mailsrv_tls_target target;
    mailsrv_tlsa records[RECORDS_MAX];
    uint8_t data[RECORDS_MAX][2048];
    mailsrv_bytes others[OTHERS];
    unsigned n_compared;
};

static void publish_one(struct scene *s, const struct identity *of, uint8_t usage, uint8_t matching)
{
    const uint32_t i = s->target.n_tlsa++;
    const uint8_t selector = matching != 0; /* a whole certificate, or a hash of its key */
    const size_t n = identity_association(of, selector, matching, s->data[i]);
    s->records[i] = (mailsrv_tlsa){ .size = sizeof(mailsrv_tlsa),
                                    .usage = usage,
                                    .selector = selector,
                                    .matching = matching,
                                    .data = { s->data[i], n } };
}

static void publish(struct scene *s)
{
    enum { USAGE_TA = 2, USAGE_EE = 3, ITSELF = 0, BY_HASH = 1 };
    s->others[0] = s->others[1] = identity_bytes("other.test");
    s->target.other_names = s->others;
    s->target.n_other_names = OTHERS;
    s->target.tlsa = s->records;
    s->target.tlsa_stride = sizeof s->records[0];
    publish_one(s, &own, USAGE_EE, BY_HASH);
    publish_one(s, &own, USAGE_TA, ITSELF);
    if (!s->way->is_another)
        publish_one(s, s->way->shown, USAGE_EE, ITSELF);
}

static void scene_begin(struct scene *s, const struct way *way)
{
    const mailsrv_certificate certificate = identity_certificate(&own);
    const mailsrv_tls_client_setup setup = { .size = sizeof setup,
                                             .roots = identity_bytes(root.chain),
                                             .certificate = way->shows_own ? &certificate : NULL };
    *s = (struct scene){ .way = way, .target = pair_target("mx.here.test", way->verify) };
    if (way->verify == MAILSRV_TLS_BY_DANE)
        publish(s);
    assert_int_equal(client_new(&setup, &s->client, NULL), MAILSRV_OK);
    s->server = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(s->server, way->version);
    identity_show(way->shown, s->server);
    if (way->shows_own)
        SSL_CTX_set_verify(s->server, SSL_VERIFY_PEER, NULL);
    X509_STORE *store = SSL_CTX_get_cert_store(s->server);
    BIO *pem = BIO_new_mem_buf(root.chain, -1);
    X509 *known = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    X509_STORE_add_cert(store, known);
    X509_free(known);
    BIO_free(pem);
}

static void scene_end(struct scene *s)
{
    SSL_CTX_free(s->server);
    mailsrv_tls_unref(s->client);
}

static void compare(struct scene *s, const struct pair *p, int64_t before, const char *when, int64_t more_percent)
{
    int64_t held = counted_octets() - before, said = (int64_t)p->client.provider->octets(p->client.connection);
    if (more_percent == MORE_PERCENT)
        said -= LOST_OCTETS;
    s->n_compared++;
    if (said < held || said > held + held * more_percent / 100)
        fail_msg("%d, %s: %lld are held, %lld are said", s->way->version, when, (long long)held, (long long)said);
}

/* The first one warms what the process and the context keep. */
static void check(const struct way *way)
{
    struct scene s;
    scene_begin(&s, way);
    for (int i = 0; i < 2; i++) {
        int64_t before = counted_octets();
        struct pair *p = pair_new_raw(s.client, &s.target, s.server);
        bool moved = true, first = true;
        if (i == 1)
            compare(&s, p, before, "begun", MORE_PERCENT_SHAKING);
        while (moved && p->client.status == MAILSRV_MORE) {
            moved = (first || p->client.n != 0) && pair_step(&p->client, &p->server, 500);
            first = false;
            if (i == 1 && p->client.status == MAILSRV_MORE)
                compare(&s, p, before, "in the handshake", MORE_PERCENT_SHAKING);
            if (p->client.n == 0 && p->server.n != 0)
                moved = pair_step(&p->server, &p->client, WIRE_OCTETS) || moved;
        }
        assert_int_equal(p->client.status, MAILSRV_OK);
        pair_info(&p->client);
        if (i == 1)
            compare(&s, p, before, "open", MORE_PERCENT);
        pair_free(p);
        assert_true(i == 0 || way->shows_own || counted_octets() == before); /* a key of mbedTLS keeps what grew */
    }
    assert_true(s.n_compared > 3);
    scene_end(&s);
}

static int newest(void)
{
    return CLIENT_HAS_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static void test_what_is_held(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= newest(); version++)
        for (uint32_t i = 0; i < 12; i++)
            check(&(struct way){ i % 2 == 0 ? &ec : &rsa, version, i / 2 % 2 != 0, .verify = i / 4 });
}

/* ---- Failures ---- */

enum { KEPT_OCTETS = 512 };  /* mbedTLS 3 has a table of keys that grows */
enum { EACH_AT_FIRST = 40 }; /* then fewer: mbedTLS allocates tens of thousands of times */

/* One connection, in which the n-th allocation of the client finds no memory.  False: there were not so many. */
static bool fails_at(struct scene *s, unsigned n, bool is_his)
{
    counted_fail(n);
    struct pair *p = pair_new_raw(s->client, &s->target, s->server);
    if (p != NULL && pair_shake(p)) {
        const mailsrv_tls_info info = pair_info(&p->client);
        if (info.verified != MAILSRV_TLS_BY_NOTHING)
            assert_true(is_his);
        assert_true(is_his || s->way->verify == MAILSRV_TLS_BY_NOTHING);
    }
    pair_free(p);
    return counted_fail(0);
}

static void check_failures(const struct way *way, const char *name, bool is_his)
{
    struct scene s;
    scene_begin(&s, way);
    s.target.name = (mailsrv_bytes){ (const uint8_t *)name, strlen(name) };
    fails_at(&s, 0, is_his);
    fails_at(&s, 0, is_his);
    int64_t before = counted_octets();
    unsigned n = 1;
    while (fails_at(&s, n, is_his))
        n += 1 + n / EACH_AT_FIRST;
    assert_true(n > EACH_AT_FIRST); /* there were more */
    fails_at(&s, 0, is_his);        /* what OpenSSL keeps, and could not, it keeps again */
    if (counted_octets() > before + KEPT_OCTETS)
        fail_msg("%lld octets are lost", (long long)(counted_octets() - before));
    scene_end(&s);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= newest(); version++)
        for (uint32_t i = 0; i < 6; i++) {
            const bool is_his = i / 3 == 0;
            const struct way way = { &ec, version, false, .verify = i % 3, .is_another = !is_his };
            check_failures(&way, is_his ? "mx.here.test" : "evil.test", is_his);
        }
}

/* The same for what a context is made of. */
static void test_each_allocation_of_a_context_fails(void **state)
{
    const mailsrv_certificate certificate = identity_certificate(&own);
    const mailsrv_tls_client_setup setup = { .size = sizeof setup,
                                             .roots = identity_bytes(root.chain),
                                             .certificate = &certificate };
    bool failed = true;
    (void)state;
    for (unsigned n = 1; failed; n++) {
        mailsrv_tls *tls = NULL;
        counted_fail(n);
        counted_turn(true);
        int32_t status = client_new(&setup, &tls, NULL);
        counted_turn(false);
        failed = counted_fail(0);
        assert_true(status == MAILSRV_OK || status == MAILSRV_NOMEM || status == MAILSRV_E_VALUE);
        assert_true(failed || status == MAILSRV_OK);
        assert_int_equal(status == MAILSRV_OK, tls != NULL);
        mailsrv_tls_unref(tls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_each_allocation_of_a_context_fails),
    };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
