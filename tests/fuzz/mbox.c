/* An mbox, as others leave it: what comes out is a mailbox and its messages in the exchange format, as many as there are
 * From lines behind empty ones, in lines that end with CRLF. */
#include "exchange_source.h"

#include "folders.h"

struct source {
    struct span rest;
    size_t messages, mailboxes;
};

static bool begin_mailbox(void *user, const struct exchanged_mailbox *mailbox)
{
    struct source *s = user;
    CHECK(strcmp(mailbox->name, "INBOX") == 0, "another mailbox");
    s->mailboxes++;
    return true;
}

static bool take_message(void *user, const struct exchange_source *from, const struct exchanged_message *message)
{
    struct source *s = user;
    CHECK(message->octets <= s->rest.n, "more octets than there are");
    char *octets = must(malloc((size_t)message->octets + 1));
    CHECK(from->read(from->user, octets, (size_t)message->octets), "octets are missing");
    for (size_t i = 0; i < message->octets; i++)
        CHECK(octets[i] != '\n' || (i > 0 && octets[i - 1] == '\r'), "a line that ends with LF alone");
    free(octets);
    s->messages++;
    return true;
}

/* Lines "From " at the beginning, and behind an empty line. */
static size_t plain_messages(struct span all)
{
    size_t n = 0;
    bool behind_empty = true;
    for (size_t at = 0; at < all.n;) {
        const char *lf = memchr(all.p + at, '\n', all.n - at);
        const size_t end = lf == NULL ? all.n : (size_t)(lf - all.p) + 1;
        n += behind_empty && end - at > 5 && memcmp(all.p + at, "From ", 5) == 0;
        behind_empty = lf != NULL && (end - at == 1 || (end - at == 2 && all.p[at] == '\r'));
        at = end;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *octets = exact((struct span){ (const char *)p, n }), *out = NULL;
    size_t n_out = 0;
    const struct mapped file = { n == 0 ? NULL : octets, n, 1 };
    FILE *to = must(open_memstream(&out, &n_out));
    const bool ok = mbox_read_octets(&file, "INBOX", to);
    fclose(to);
    CHECK(ok || n_out == 0, "something came out of no mbox");
    if (ok) {
        struct source s = { .rest = { out, n_out } };
        const struct exchange_source from = source_of(&s.rest);
        const struct exchange_sink sink = { &s, begin_mailbox, take_message };
        CHECK(exchange_take_all(&from, &sink) && s.rest.n == 0, "what came out cannot be read");
        CHECK(s.mailboxes == 1 && s.messages == plain_messages((struct span){ octets, n }), "not all messages");
    }
    free(out);
    free(octets);
    return 0;
}
