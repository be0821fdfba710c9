/* Records of the queue: what is read is what would be written, and what is written is read. */
#include "fuzz.h"

#include "text/queue_record.h"

static struct span write_record(const struct queue_record *r)
{
    size_t room = mailsrv__queue_record_octets(r);
    struct writer w = { .p = must(malloc(room)), .room = room };
    mailsrv__queue_record_write(&w, r);
    CHECK(!w.full && w.n == room, "another number of octets");
    return mailsrv__written(&w);
}

static void check_read(struct span all)
{
    struct queue_record r;
    if (!mailsrv__queue_record_read(all, &r))
        return;
    struct span again = write_record(&r);
    CHECK(mailsrv__span_equal(again, mailsrv__span_first(all, again.n)), "it is written otherwise than it was read");
    free((char *)(uintptr_t)again.p);
}

static void check_written(struct span all, uint32_t chance)
{
    struct queue_record read, r = { .fate = (enum queue_fate)(QUEUE_RETRY + draw(&chance, 3)) };
    r.code = (uint16_t)draw(&chance, 65536);
    r.flags = (uint16_t)draw(&chance, 65536);
    r.tries = draw(&chance, UINT32_MAX);
    r.arrived_us = (int64_t)draw(&chance, UINT32_MAX) << 20;
    r.reverse_path = mailsrv__span_first(all, draw(&chance, 300));
    all = mailsrv__span_after(all, r.reverse_path.n);
    r.recipient = mailsrv__span_first(all, draw(&chance, 300));
    r.text = mailsrv__span_after(all, r.recipient.n);
    struct span written = write_record(&r);
    CHECK(mailsrv__queue_record_read(written, &read), "what was written is no record");
    CHECK(read.fate == r.fate && read.code == r.code && read.flags == r.flags && read.tries == r.tries &&
              read.arrived_us == r.arrived_us && read.tried_us == r.tried_us && mailsrv__span_equal(read.reverse_path, r.reverse_path) &&
              mailsrv__span_equal(read.recipient, r.recipient) && mailsrv__span_equal(read.text, r.text),
          "another record");
    free((char *)(uintptr_t)written.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < KNOB_OCTETS || n > 60000)
        return 0;
    char *copy = exact((struct span){ (const char *)p + KNOB_OCTETS, n - KNOB_OCTETS });
    struct span all = { copy, n - KNOB_OCTETS };
    check_read(all);
    check_written(all, knobs(p));
    free(copy);
    return 0;
}
