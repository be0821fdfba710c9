/* Items as the host reads them. */
#include "queue/match.h"

uint32_t mailsrv__queued_flags(const struct queue_record *r)
{
    uint32_t flags = r->fate == QUEUE_BOUNCE ? MAILSRV_QUEUED_BOUNCE : 0;
    if ((r->flags & QUEUE_FLAG_HELD) != 0)
        flags |= MAILSRV_QUEUED_HELD;
    if ((r->flags & QUEUE_FLAG_8BIT) != 0)
        flags |= MAILSRV_QUEUED_8BIT;
    if ((r->flags & QUEUE_FLAG_UTF8) != 0)
        flags |= MAILSRV_QUEUED_UTF8;
    if ((r->flags & QUEUE_FLAG_DELAYED) != 0)
        flags |= MAILSRV_QUEUED_DELAYED;
    return flags;
}

int32_t mailsrv_queued_read(const mailsrv_queue_item *item, mailsrv_queued_mail *out)
{
    struct queue_record r;
    if (item == NULL || out == NULL || out->size < sizeof *out)
        return MAILSRV_E_USAGE;
    if (!mailsrv__queue_record_read(mailsrv__span(item->record), &r))
        return MAILSRV_CORRUPT;
    *out = (mailsrv_queued_mail){ .size = out->size,
                                  .flags = mailsrv__queued_flags(&r),
                                  .queue = item->queue,
                                  .octets = item->octets,
                                  .due_us = item->due_us,
                                  .arrived_us = r.arrived_us,
                                  .tried_us = r.tried_us,
                                  .tries = r.tries,
                                  .code = r.code,
                                  .lane = item->lane,
                                  .reverse_path = mailsrv__bytes(r.reverse_path),
                                  .recipient = mailsrv__bytes(r.recipient),
                                  .envelope_id = mailsrv__bytes(r.envelope_id),
                                  .route = mailsrv__bytes(r.route),
                                  .text = mailsrv__bytes(r.text),
                                  .host = mailsrv__bytes(r.host) };
    return MAILSRV_OK;
}
