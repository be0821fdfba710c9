/* Paths of SMTP: what is taken lies in the text, keeps its bounds, and reads the same when it is written again. */
#include "fuzz.h"

#include "text/address.h"
#include "text/utf8.h"

static bool lies_in(struct span part, struct span all)
{
    return part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n);
}

static void check_parts(const struct address *a, struct span all)
{
    CHECK(lies_in(a->mailbox, all) && lies_in(a->domain, all), "a part of another text");
    CHECK(a->mailbox.n <= MAILBOX_OCTETS_MAX && a->domain.n <= DOMAIN_OCTETS_MAX && a->local_n <= LOCAL_PART_OCTETS_MAX,
          "longer than allowed");
    for (struct span rest = { a->local, a->local_n }; rest.n != 0;) {
        uint32_t c = mailsrv__utf8_take(&rest);
        CHECK(c >= ' ' && (c < 127 || (c >= 0xA0 && a->utf8)), "a name that cannot be printed");
    }
    if (a->domain.n != 0 && !a->utf8)
        CHECK(mailsrv__is_domain(a->domain) || mailsrv__is_address_literal(a->domain), "a domain that is none");
}

static void check_alone(const struct address *a)
{
    struct address again;
    if (a->mailbox.n == 0)
        return;
    CHECK(mailsrv__mailbox_read(a->mailbox, &again) == PATH_OK && mailsrv__span_equal(again.domain, a->domain),
          "its own mailbox is none");
    struct span local = { again.local, again.local_n };
    struct local_part parts = mailsrv__local_part_split(local, '+');
    CHECK(lies_in(parts.user, local) && lies_in(parts.detail, local), "a user of another text");
    CHECK(parts.user.n + parts.detail.n <= local.n && (parts.user.n != 0 || local.n == 0), "no user, or too long");
}

static void check_again(const struct address *a)
{
    struct bytes text = { 0 };
    struct address again;
    bytes_add(&text, SPAN("<"));
    bytes_add(&text, a->mailbox);
    bytes_add(&text, SPAN(">"));
    struct span rest = bytes_span(&text);
    CHECK(mailsrv__path_take(&rest, &again) == PATH_OK && rest.n == 0, "its own mailbox is no path");
    CHECK(mailsrv__span_equal(again.mailbox, a->mailbox) && mailsrv__span_equal(again.domain, a->domain) &&
              mailsrv__span_equal((struct span){ again.local, again.local_n }, (struct span){ a->local, a->local_n }),
          "its own mailbox is another path");
    bytes_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *copy = exact((struct span){ (const char *)p, n });
    struct span all = { copy, n }, rest = all;
    struct address a;
    if (mailsrv__path_take(&rest, &a) == PATH_OK) {
        CHECK(lies_in(rest, all) && rest.n < all.n, "nothing was taken");
        check_parts(&a, all);
        check_again(&a);
        check_alone(&a);
    }
    mailsrv__mailbox_read(all, &a);
    mailsrv__is_domain(all);
    mailsrv__is_address_literal(all);
    free(copy);
    return 0;
}
