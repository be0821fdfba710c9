#include "queue/match.h"

static struct span put(char **to, mailsrv_bytes from)
{
    struct span copy = { *to, from.n };
    if (from.n != 0)
        memcpy(*to, from.p, from.n);
    *to += from.n;
    return copy;
}

bool mailsrv__match_init(struct heap *heap, struct match *m, const mailsrv_queue_match *given)
{
    *m = (struct match){ .flags = given->flags };
    size_t texts_n = given->lane.n + given->reverse_path.n + given->recipient.n + 1;
    if (given->n_queues > SIZE_MAX / sizeof *m->queues)
        return false;
    m->texts = mailsrv__heap_take(heap, CLASS_SESSIONS, NULL, texts_n);
    if (m->texts == NULL)
        return false;
    m->texts_n = texts_n;
    char *to = m->texts;
    m->lane = put(&to, given->lane);
    m->reverse_path = put(&to, given->reverse_path);
    m->recipient = put(&to, given->recipient);
    if (given->n_queues == 0)
        return true;
    m->queues = mailsrv__heap_take(heap, CLASS_SESSIONS, NULL, given->n_queues * sizeof *m->queues);
    if (m->queues == NULL) {
        mailsrv__match_free(heap, m);
        return false;
    }
    m->n_queues = given->n_queues;
    memcpy(m->queues, given->queues, m->n_queues * sizeof *m->queues);
    return true;
}

void mailsrv__match_free(struct heap *heap, struct match *m)
{
    mailsrv__heap_give(heap, CLASS_SESSIONS, NULL, m->queues, m->n_queues * sizeof *m->queues);
    mailsrv__heap_give(heap, CLASS_SESSIONS, NULL, m->texts, m->texts_n);
}

static bool is_among(const struct match *m, uint64_t number)
{
    for (size_t i = 0; i < m->n_queues; i++)
        if (m->queues[i] == number)
            return true;
    return m->n_queues == 0;
}

static bool fits(struct span wanted, struct span is)
{
    return wanted.n == 0 || mailsrv__span_equal_nocase(wanted, is);
}

bool mailsrv__match_fits(const struct match *m, const mailsrv_queue_item *item, const struct queue_record *r)
{
    bool from_nobody = mailsrv__span_equal(m->reverse_path, SPAN("<>"));
    return is_among(m, item->queue) && (mailsrv__queued_flags(r) & m->flags) == m->flags &&
           fits(m->lane, mailsrv__span(item->lane)) && fits(m->recipient, r->recipient) &&
           (from_nobody ? r->reverse_path.n == 0 : fits(m->reverse_path, r->reverse_path));
}
