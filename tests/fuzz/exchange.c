/* The exchange format: what was read is the same when it is written and read again. */
#include "exchange_source.h"

struct pair {
    struct exchanged_mailbox mailbox;
    struct exchanged_message message;
};

static enum exchanged next(struct span *from, struct pair *out)
{
    const struct exchange_source source = source_of(from);
    return exchange_next(&source, &out->mailbox, &out->message);
}

static void check(enum exchanged what, const struct pair *is)
{
    const struct exchanged_message *m = &is->message;
    char *text = NULL;
    size_t n = 0;
    FILE *to = must(open_memstream(&text, &n));
    if (what == EXCHANGED_MAILBOX) {
        CHECK(*is->mailbox.name != '\0' && strlen(is->mailbox.name) <= EXCHANGE_NAME_MAX, "no name");
        exchange_put_mailbox(to, &is->mailbox);
    } else {
        CHECK(memchr(m->uidl, '\0', sizeof m->uidl) != NULL && memchr(m->keywords, '\0', sizeof m->keywords) != NULL,
              "a text without an end");
        exchange_put_message(to, m);
    }
    fclose(to);
    struct span from = { text, n };
    struct pair *again = must(calloc(1, sizeof *again));
    CHECK(next(&from, again) == what && from.n == 0, "what was written is not read");
    if (what == EXCHANGED_MAILBOX)
        CHECK(strcmp(again->mailbox.name, is->mailbox.name) == 0 && again->mailbox.uidnext == is->mailbox.uidnext &&
                  again->mailbox.attributes == is->mailbox.attributes &&
                  again->mailbox.uidvalidity == is->mailbox.uidvalidity,
              "another mailbox");
    else
        CHECK(strcmp(again->message.uidl, m->uidl) == 0 && strcmp(again->message.keywords, m->keywords) == 0 &&
                  again->message.octets == m->octets && again->message.flags == m->flags &&
                  again->message.internal_us == m->internal_us && again->message.uid == m->uid,
              "another message");
    free(again);
    free(text);
}

/* The octets of a message are somebody else's to read: here they are skipped, as far as they are there. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *octets = exact((struct span){ (const char *)p, n });
    struct span rest = { octets, n };
    struct pair *is = must(calloc(1, sizeof *is));
    for (;;) {
        const enum exchanged what = next(&rest, is);
        if (what == EXCHANGED_END || what == EXCHANGED_WRONG)
            break;
        check(what, is);
        if (what == EXCHANGED_MESSAGE)
            rest = mailsrv__span_after(rest, is->message.octets < rest.n ? (size_t)is->message.octets : rest.n);
    }
    free(is);
    free(octets);
    return 0;
}
