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
    for (char *c = m->texts; c < to; c++) /* as lanes are: it is what the store is asked for */
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
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

bool mailsrv__match_is_whole(const mailsrv_queue_match *given)
{
    return given != NULL && given->size >= sizeof *given && (given->n_queues == 0 || given->queues != NULL);
}

static bool is_among(const uint64_t *queues, size_t n, uint64_t number)
{
    for (size_t i = 0; i < n; i++)
        if (queues[i] == number)
            return true;
    return n == 0;
}

static bool fits(struct span wanted, struct span is)
{
    return wanted.n == 0 || mailsrv__span_equal_nocase(wanted, is);
}

static bool fits_path(struct span wanted, struct span is)
{
    return mailsrv__span_equal(wanted, SPAN("<>")) ? is.n == 0 : fits(wanted, is);
}

bool mailsrv__match_names(const struct match *m, const mailsrv_queue_item *item, const struct queue_record *r)
{
    return is_among(m->queues, m->n_queues, item->queue) && fits(m->lane, mailsrv__span(item->lane)) &&
           fits(m->recipient, r->recipient) && fits_path(m->reverse_path, r->reverse_path);
}

bool mailsrv__match_fits(const struct match *m, const struct queue_record *r)
{
    return (mailsrv__queued_flags(r) & m->flags) == m->flags;
}

int32_t mailsrv_queued_fits(const mailsrv_queued_mail *mail, const mailsrv_queue_match *m)
{
    if (mail == NULL || mail->size < sizeof *mail || !mailsrv__match_is_whole(m))
        return MAILSRV_E_USAGE;
    return is_among(m->queues, m->n_queues, mail->queue) && (mail->flags & m->flags) == m->flags &&
           fits(mailsrv__span(m->lane), mailsrv__span(mail->lane)) &&
           fits(mailsrv__span(m->recipient), mailsrv__span(mail->recipient)) &&
           fits_path(mailsrv__span(m->reverse_path), mailsrv__span(mail->reverse_path));
}
