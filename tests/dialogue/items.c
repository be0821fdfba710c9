#include "items.h"

#include "text/queue_record.h"

#include <stdio.h>
#include <string.h>

static void add_part(struct buffer *out, const char *name, struct span text)
{
    if (text.n == 0)
        return;
    buffer_add_text(out, name);
    buffer_add(out, text.p, text.n);
}

void item_describe(struct run *run, const mailsrv_queue_item *item, struct buffer *out)
{
    static const char *const fates[] = { "?", "retry", "bounce", "success" };
    static const char *const flags[] = { "8bit",    "utf8",  "held", "delayed", "never",     "success",
                                         "failure", "delay", "full", "hdrs",    "forwarded", "notice", "local" };
    struct queue_record r;
    char code[16];
    if (!mailsrv__queue_record_read(mailsrv__span(item->record), &r)) {
        buffer_add_text(out, "no record");
        return;
    }
    buffer_add_text(out, fates[r.fate]);
    snprintf(code, sizeof code, " %u", r.code);
    buffer_add_text(out, r.code == 0 ? "" : code);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if ((r.flags >> i & 1) != 0)
            add_part(out, " ", (struct span){ flags[i], strlen(flags[i]) });
    add_part(out, " from ", r.reverse_path);
    add_part(out, " to ", r.recipient);
    add_part(out, " lane ", mailsrv__span(item->lane));
    add_part(out, " envid ", r.envelope_id);
    add_part(out, " orcpt ", r.original);
    if (item->due_us != r.arrived_us || r.arrived_us > run->unix_us)
        buffer_add_text(out, " later");
}

void item_message(struct run *run, uint64_t index, size_t most, struct buffer *out)
{
    mailsrv_bytes piece = { NULL, 0 };
    while (out->n < most && mailsrv_memory_queue_message(run->store, index, out->n, &piece) == MAILSRV_OK &&
           piece.n != 0)
        buffer_add(out, piece.p, piece.n < most - out->n ? piece.n : most - out->n);
}
