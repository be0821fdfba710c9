/* Messages of SCRAM (RFC 5802 section 7): the parts lie in the message, make it up, and hold what they may hold. */
#include "fuzz.h"

#include "sasl/scram_message.h"

static bool lies_in(struct span part, struct span all)
{
    return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static bool holds(struct span part, char c)
{
    return part.n != 0 && memchr(part.p, c, part.n) != NULL;
}

/* A name that was unescaped, escaped again, is the same. */
static void check_name(struct span escaped)
{
    char *name = (char *)must(malloc(escaped.n + 1));
    struct bytes again = { 0 };
    size_t n;
    if (mailsrv__scram_unescape(escaped, name, &n)) {
        CHECK(n <= escaped.n, "a name is longer than it was");
        for (size_t i = 0; i < n; i++) {
            struct span one = { name + i, 1 };
            bytes_add(&again, name[i] == ',' ? SPAN("=2C") : name[i] == '=' ? SPAN("=3D") : one);
        }
        CHECK(mailsrv__span_equal(bytes_span(&again), escaped), "a name stands for another");
    }
    bytes_free(&again);
    free(name);
}

static void check_first(struct span all)
{
    struct scram_first f;
    if (!mailsrv__scram_read_first(all, &f))
        return;
    CHECK(f.gs2_header.p == all.p && f.bare.p == all.p + f.gs2_header.n && f.gs2_header.n + f.bare.n == all.n,
          "header and bare message are not the message");
    CHECK(lies_in(f.user, f.bare) && lies_in(f.nonce, f.bare), "a part of another text");
    CHECK(lies_in(f.identity, f.gs2_header) && lies_in(f.binding_name, f.gs2_header), "a part of another text");
    CHECK(f.user.n != 0 && f.nonce.n != 0 && f.nonce.n <= SCRAM_NONCE_MAX, "an empty part, or one that is too long");
    CHECK(!holds(f.user, ',') && !holds(f.nonce, ',') && !holds(f.identity, ',') && !holds(f.user, 0), "a comma");
    CHECK((f.binding == SCRAM_BINDS) == (f.binding_name.n != 0), "a binding without a name");
    check_name(f.user);
    check_name(f.identity);
}

static void check_final(struct span all)
{
    struct scram_final f;
    if (!mailsrv__scram_read_final(all, &f))
        return;
    CHECK(f.without_proof.p == all.p && f.without_proof.n + 3 + f.proof.n == all.n, "not what the proof is of");
    CHECK(lies_in(f.binding, f.without_proof) && lies_in(f.nonce, f.without_proof), "a part of another text");
    CHECK(f.binding.n != 0 && f.nonce.n != 0 && f.proof.n != 0 && !holds(f.proof, ','), "an empty part, or a comma");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *copy = exact((struct span){ (const char *)p, n });
    struct span all = { copy, n };
    check_first(all);
    check_final(all);
    free(copy);
    return 0;
}
