/* A provider as the client of servers of which DNS says who they are (RFC 7672 section 3).  The same file tests both. */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHAIN_MAX = 3, RECORDS_MAX = 3, USAGE_TA = 2, USAGE_EE = 3 };

static struct identity root, other_root, middle, direct, below, other, alone, expired;
static struct identity crossed, weak_root, of_weak, of_client, signer, called, called_too;

static void make_odd_ones(void)
{
    const struct odd_identity as_root = { .common_name = "root of tests", .issues = 1, .key_of = &root };
    const struct odd_identity weak = { .common_name = "weak of tests", .issues = 1, .sha1 = 1 };
    const struct odd_identity client = { .names = "DNS:mx.here.test", .usage = "clientAuth" };
    const struct odd_identity signs = { .names = "DNS:mx.here.test", .key_usage = "keyCertSign,cRLSign", .kind = KEY_RSA };
    const struct odd_identity name = { .common_name = "mx.here.test" };
    const struct odd_identity two_names = { .names = "DNS:nobody.test", .common_name = "mx.here.test" };
    identity_make_odd(&crossed, &as_root, &other_root);
    identity_make_odd(&weak_root, &weak, NULL);
    identity_make(&of_weak, KEY_EC, "DNS:mx.here.test", &weak_root);
    identity_make_odd(&of_client, &client, &root);
    identity_make_odd(&signer, &signs, &root);
    identity_make_odd(&called, &name, &root);
    identity_make_odd(&called_too, &two_names, &root);
}

static int make_identities(void **state)
{
    static const struct odd_identity issues = { .common_name = "middle of tests", .issues = 1 };
    static const struct odd_identity ended = { .names = "DNS:mx.here.test", .ended_s = 60 };
    (void)state;
    identity_make(&root, KEY_EC, NULL, NULL);
    identity_make(&other_root, KEY_EC, NULL, NULL);
    identity_make_odd(&middle, &issues, &root);
    identity_make(&direct, KEY_EC, "DNS:mx.here.test,DNS:*.wild.test", &root);
    identity_make(&below, KEY_RSA, "DNS:mx.here.test", &middle);
    identity_make(&other, KEY_EC, "DNS:mx.here.test", &root);
    identity_make(&alone, KEY_EC, "DNS:mx.here.test", NULL);
    identity_make_odd(&expired, &ended, &root);
    make_odd_ones();
    return 0;
}

static int free_identities(void **state)
{
    struct identity *all[] = { &root, &other_root, &middle, &direct, &below, &other, &alone, &expired,
                               &crossed, &weak_root, &of_weak, &of_client, &signer, &called, &called_too };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        identity_free(all[i]);
    return 0;
}

struct record {
    const struct identity *of;
    uint8_t usage, selector, matching;
};

static const struct trust {
    const char *what;
    const struct identity *shown[CHAIN_MAX]; /* the server's own first */
    struct record records[RECORDS_MAX];
    const char *name, *other_name; /* NULL: mx.here.test; none */
    bool is_good, no_roots;
    bool at_openssl; /* alone: others show no such certificate */
} trusts[] = {
    { "itself", { &direct }, { { &direct, USAGE_EE, 0, 0 } }, "nobody.test", .is_good = true },
    { "its SHA-256", { &direct }, { { &direct, USAGE_EE, 0, 1 } }, "nobody.test", .is_good = true },
    { "its SHA-512", { &direct }, { { &direct, USAGE_EE, 0, 2 } }, "nobody.test", .is_good = true },
    { "its key", { &direct }, { { &direct, USAGE_EE, 1, 0 } }, "nobody.test", .is_good = true },
    { "its key's SHA-256", { &direct }, { { &direct, USAGE_EE, 1, 1 } }, "nobody.test", .is_good = true },
    { "its key's SHA-512", { &direct }, { { &direct, USAGE_EE, 1, 2 } }, "nobody.test", .is_good = true },
    { "of RSA, with others", { &below, &middle }, { { &below, USAGE_EE, 1, 1 } }, .is_good = true },
    { "with others in between missing", { &below }, { { &below, USAGE_EE, 1, 1 } }, .is_good = true },
    { "expired", { &expired }, { { &expired, USAGE_EE, 1, 1 } }, .is_good = true },
    { "signed by itself", { &alone }, { { &alone, USAGE_EE, 1, 1 } }, .is_good = true },
    { "without a name", { &direct }, { { &direct, USAGE_EE, 1, 1 } }, "", .is_good = true },
    { "one of several", { &direct }, { { &other, USAGE_EE, 1, 1 }, { &other_root, USAGE_TA, 0, 1 }, { &direct, USAGE_EE, 1, 1 } },
      NULL, .is_good = true },
    { "another one, of the same root", { &direct }, { { &other, USAGE_EE, 1, 1 } }, .is_good = false },
    { "who issued it, as itself", { &direct, &root }, { { &root, USAGE_EE, 1, 1 } }, .is_good = false },
    { "its root", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, .is_good = true },
    { "its root's key", { &direct, &root }, { { &root, USAGE_TA, 1, 2 } }, .is_good = true },
    { "its root by way of another", { &below, &middle, &root }, { { &root, USAGE_TA, 0, 1 } }, .is_good = true },
    { "in between", { &below, &middle, &root }, { { &middle, USAGE_TA, 0, 1 } }, .is_good = true },
    { "in between, of a root that is not shown", { &below, &middle }, { { &middle, USAGE_TA, 1, 1 } }, .is_good = true },
    { "an asterisk", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, "a.wild.test", .is_good = true },
    { "its root, for somebody else", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, "nobody.test", .is_good = false },
    { "its root, for two others", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, "nobody.test", "none.test", .is_good = false },
    { "its root, for the domain", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, "nobody.test", "mx.here.test", .is_good = true },
    { "its root, for nobody", { &direct, &root }, { { &root, USAGE_TA, 0, 1 } }, "", .is_good = false },
    { "its root, which is not shown", { &direct }, { { &root, USAGE_TA, 0, 1 } }, .is_good = false, .no_roots = true },
    { "another root, which is shown", { &direct, &other_root }, { { &other_root, USAGE_TA, 0, 1 } }, .is_good = false },
    { "another one behind the right one", { &direct, &root, &other_root }, { { &other_root, USAGE_TA, 0, 1 } }, .is_good = false },
    { "itself, as who issues it", { &direct, &root }, { { &direct, USAGE_TA, 0, 1 } }, .is_good = false },
    { "signed by itself, as who issues it", { &alone }, { { &alone, USAGE_TA, 0, 1 } }, .is_good = false },
    { "of another purpose", { &of_client }, { { &of_client, USAGE_EE, 1, 1 } }, .is_good = true, .at_openssl = true },
    { "a key for another use", { &signer }, { { &signer, USAGE_EE, 1, 1 } }, .is_good = true, .at_openssl = true },
    { "its root as another one has signed it", { &direct, &crossed }, { { &crossed, USAGE_TA, 0, 1 } }, .is_good = true },
    { "a root of a weak signature", { &of_weak, &weak_root }, { { &weak_root, USAGE_TA, 0, 1 } }, .is_good = true },
    { "its common name", { &called, &root }, { { &root, USAGE_TA, 0, 1 } }, .is_good = true },
    { "its common name beside others", { &called_too, &root }, { { &root, USAGE_TA, 0, 1 } }, .is_good = false },
    { "its root, expired", { &expired, &root }, { { &root, USAGE_TA, 0, 1 } }, .is_good = false },
};

/* The roots vouch for all of them, which does not count; but one of them may stand in for what a server does not show. */
static mailsrv_tls *new_client(const struct trust *t)
{
    const mailsrv_tls_client_setup setup = { .size = sizeof setup, .roots = identity_bytes(t->no_roots ? "" : root.chain) };
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls *tls = NULL;
    assert_int_equal(client_new(&setup, &tls, &why), MAILSRV_OK);
    return tls;
}

static mailsrv_tls *new_server(const struct server_maker *maker, const struct trust *t)
{
    char chain[8192] = "";
    for (size_t i = 0; i < CHAIN_MAX && t->shown[i] != NULL; i++)
        strcat(chain, t->shown[i]->chain);
    const mailsrv_certificate certificate = { .size = sizeof certificate,
                                              .chain = identity_bytes(chain),
                                              .key = identity_bytes(t->shown[0]->key) };
    const mailsrv_tls_setup setup = { .size = sizeof setup,
                                      .certificates = &certificate,
                                      .n_certificates = 1,
                                      .certificate_stride = sizeof certificate };
    mailsrv_error why = { .size = sizeof why };
    mailsrv_tls *tls = NULL;
    assert_int_equal(maker->make(&setup, &tls, &why), MAILSRV_OK);
    return tls;
}

/* What the target points to is gone when the handshake begins. */
static struct pair *new_pair(mailsrv_tls *client, mailsrv_tls *server, const struct trust *t)
{
    static uint8_t data[RECORDS_MAX][2048];
    mailsrv_tlsa records[RECORDS_MAX];
    char name[64], second[64];
    mailsrv_bytes others[1] = { { (const uint8_t *)second, t->other_name == NULL ? 0 : strlen(t->other_name) } };
    uint32_t n = 0;
    for (; n < RECORDS_MAX && t->records[n].of != NULL; n++) {
        const struct record *r = &t->records[n];
        const size_t octets = identity_association(r->of, r->selector, r->matching, data[n]);
        records[n] = (mailsrv_tlsa){ .size = sizeof *records,
                                     .usage = r->usage,
                                     .selector = r->selector,
                                     .matching = r->matching,
                                     .data = { data[n], octets } };
    }
    snprintf(name, sizeof name, "%s", t->name == NULL ? "mx.here.test" : t->name);
    snprintf(second, sizeof second, "%s", t->other_name == NULL ? "" : t->other_name);
    mailsrv_tls_target target = pair_target(name, MAILSRV_TLS_BY_DANE);
    target.tlsa = records;
    target.n_tlsa = n;
    target.tlsa_stride = sizeof *records;
    target.other_names = t->other_name == NULL ? NULL : others;
    target.n_other_names = t->other_name != NULL;
    struct pair *p = pair_new(client, &target, server);
    memset(data, 0, sizeof data);
    memset(records, 0, sizeof records);
    memset(name, 'x', sizeof name);
    memset(second, 'x', sizeof second);
    return p;
}

static void trust(const struct server_maker *maker, const struct trust *t)
{
    mailsrv_tls *client = new_client(t), *server = new_server(maker, t);
    struct pair *p = new_pair(client, server, t);
    const bool shook = pair_shake(p);
    const uint32_t by = p->client.status == MAILSRV_OK ? pair_info(&p->client).verified : MAILSRV_TLS_BY_NOTHING;
    if (by != (t->is_good ? MAILSRV_TLS_BY_DANE : MAILSRV_TLS_BY_NOTHING))
        fail_msg("%s, at %s: by %u, %s", t->what, maker->name, (unsigned)by, p->client.provider->why(p->client.connection));
    if (t->is_good) {
        assert_true(shook);
        assert_true(pair_talk(p));
    }
    pair_free(p);
    mailsrv_tls_unref(client);
    mailsrv_tls_unref(server);
}

static void test_trust(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_server_makers; i++)
        for (size_t j = 0; j < sizeof trusts / sizeof *trusts; j++)
            if (!trusts[j].at_openssl || strcmp(server_makers[i].name, "openssl") == 0)
                trust(&server_makers[i], &trusts[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_trust) };
    return cmocka_run_group_tests(tests, make_identities, free_identities);
}
