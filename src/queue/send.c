/* Mail of the host itself: staged, committed for all recipients or for none. */
#include "queue/queue.h"

#include "text/address.h"
#include "text/xtext.h"

enum { CHUNK_OCTETS = 32768, RECIPIENTS_MAX = 1000, MESSAGE_NAME_OCTETS = 48 };

struct sent_to {
    struct span address, original;
    uint16_t flags;
};

struct send {
    struct task task;
    struct node node; /* of the queue's */
    struct errand errand;
    struct handle body;
    mailsrv_queue *queue;
    void (*done)(void *user, int32_t status);
    void *user;
    void (*answered)(struct send *send, const mailsrv_answer *answer); /* NULL: it has not begun */
    struct span message, reverse_path, envelope_id;
    struct sent_to *recipients;
    uint32_t n_recipients;
    size_t offset;
    int32_t status;
    uint16_t flags;
    uint8_t name_n;
    char name[MESSAGE_NAME_OCTETS]; /* of the message, in the records of all its items */
    size_t octets;
};

/* ---- What may be sent ---- */

static bool is_address(mailsrv_bytes bytes)
{
    struct address address;
    return bytes.p != NULL && mailsrv__mailbox_read(mailsrv__span(bytes), &address) == PATH_OK && address.domain.n != 0;
}

/* RFC 5321 section 2.3.8: CR and LF only together. */
static bool has_whole_lines(mailsrv_bytes m)
{
    for (size_t i = 0; i < m.n; i++) {
        bool lf = m.p[i] == '\n', cr = m.p[i] == '\r';
        if ((lf && (i == 0 || m.p[i - 1] != '\r')) || (cr && (i + 1 == m.n || m.p[i + 1] != '\n')))
            return false;
    }
    return true;
}

/* Nothing, or what a server that has DSN takes: one that has refused it is not asked again, and the mail comes back. */
static bool is_empty_or(bool (*is_good)(struct span text), mailsrv_bytes bytes)
{
    return bytes.n == 0 || (bytes.p != NULL && is_good(mailsrv__span(bytes)));
}

static int32_t check(const mailsrv_queue_mail *mail)
{
    if (mail->n_recipients == 0 || mail->n_recipients > RECIPIENTS_MAX || mail->recipients == NULL ||
        mail->message.n == 0 || mail->message.p == NULL)
        return MAILSRV_E_USAGE;
    if ((mail->reverse_path.n != 0 && !is_address(mail->reverse_path)) ||
        !is_empty_or(mailsrv__is_envelope_id, mail->envelope_id) || !has_whole_lines(mail->message))
        return MAILSRV_E_VALUE;
    for (size_t i = 0; i < mail->n_recipients; i++) {
        if (mail->recipients[i].size < sizeof *mail->recipients)
            return MAILSRV_E_USAGE;
        if (!is_address(mail->recipients[i].address) ||
            !is_empty_or(mailsrv__is_original, mail->recipients[i].original))
            return MAILSRV_E_VALUE;
    }
    return MAILSRV_OK;
}

/* ---- A copy ---- */

static size_t octets_of(const mailsrv_queue_mail *mail)
{
    size_t octets = sizeof(struct send) + mail->n_recipients * sizeof(struct sent_to);
    for (size_t i = 0; i < mail->n_recipients; i++)
        octets += mail->recipients[i].address.n + mail->recipients[i].original.n;
    return octets + mail->reverse_path.n + mail->envelope_id.n;
}

static struct span put(char **to, mailsrv_bytes from)
{
    struct span copy = { *to, from.n };
    if (from.n != 0)
        memcpy(*to, from.p, from.n);
    *to += from.n;
    return copy;
}

static bool has_high(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((text.p[i] & 0x80) != 0)
            return true;
    return false;
}

/* The header, with the line that ends it. */
static struct span header_of(struct span message)
{
    for (size_t i = 0; i + 3 < message.n; i++)
        if (memcmp(message.p + i, "\r\n\r\n", 4) == 0)
            return mailsrv__span_first(message, i + 4);
    return message;
}

static uint16_t notify_flags(uint32_t notify)
{
    static const struct {
        uint32_t notify;
        uint16_t flag;
    } flags[] = { { MAILSRV_NOTIFY_NEVER, QUEUE_FLAG_NOTIFY_NEVER },
                  { MAILSRV_NOTIFY_SUCCESS, QUEUE_FLAG_NOTIFY_SUCCESS },
                  { MAILSRV_NOTIFY_FAILURE, QUEUE_FLAG_NOTIFY_FAILURE },
                  { MAILSRV_NOTIFY_DELAY, QUEUE_FLAG_NOTIFY_DELAY } };
    uint16_t all = 0;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if ((notify & flags[i].notify) != 0)
            all |= flags[i].flag;
    return all;
}

/* Of all recipients. */
static uint16_t message_flags(const struct send *s, uint32_t ret)
{
    uint16_t flags = ret == MAILSRV_RETURN_FULL ? QUEUE_FLAG_RET_FULL : 0;
    if (ret == MAILSRV_RETURN_HEADERS)
        flags |= QUEUE_FLAG_RET_HDRS;
    if (has_high(s->reverse_path) || has_high(header_of(s->message))) /* RFC 6531 section 3.1 */
        flags |= QUEUE_FLAG_UTF8;
    if (has_high(s->message))
        flags |= QUEUE_FLAG_8BIT;
    return flags;
}

static void name(struct send *s)
{
    struct writer w = { .p = s->name, .room = sizeof s->name };
    mailsrv__write_hex(&w, (uint64_t)mailsrv__queue_unix(s->queue));
    mailsrv__write_char(&w, '-');
    mailsrv__write_hex(&w, mailsrv__queue_random(s->queue));
    s->name_n = (uint8_t)w.n;
}

static struct send *send_new(mailsrv_queue *q, const mailsrv_queue_mail *mail)
{
    size_t octets = octets_of(mail);
    struct send *s = mailsrv__queue_take(q, octets);
    if (s == NULL)
        return NULL;
    s->octets = octets;
    s->queue = q;
    s->message = mailsrv__span(mail->message);
    s->n_recipients = (uint32_t)mail->n_recipients;
    s->recipients = (struct sent_to *)(void *)(s + 1);
    char *to = (char *)(s->recipients + s->n_recipients);
    s->reverse_path = put(&to, mail->reverse_path);
    s->envelope_id = put(&to, mail->envelope_id);
    for (uint32_t i = 0; i < s->n_recipients; i++)
        s->recipients[i] = (struct sent_to){ put(&to, mail->recipients[i].address),
                                             put(&to, mail->recipients[i].original),
                                             notify_flags(mail->recipients[i].notify) };
    s->flags = message_flags(s, mail->ret);
    name(s);
    return s;
}

/* ---- Its way into the store ---- */

static void send_free(struct send *s)
{
    struct handle *handles[] = { &s->body };
    mailsrv__list_remove(&s->node);
    mailsrv__list_remove(&s->task.node);
    mailsrv__errand_drop(&s->errand);
    mailsrv__handles_drop(handles, 1);
    mailsrv__queue_give(s->queue, s, s->octets);
}

static void finish(struct send *s, int32_t status)
{
    mailsrv_queue *q = s->queue;
    void (*done)(void *user, int32_t status) = s->done;
    void *user = s->user;
    send_free(s);
    mailsrv__queue_may_end(q);
    if (done != NULL)
        done(user, status);
}

static struct span domain_of(struct span address)
{
    size_t at = address.n;
    while (at != 0 && address.p[at - 1] != '@')
        at--;
    return mailsrv__span_after(address, at);
}

static mailsrv_bytes put_lane(struct ask *ask, struct span domain)
{
    mailsrv_bytes lane = mailsrv__ask_copy(ask, domain);
    uint8_t *p = (uint8_t *)(uintptr_t)lane.p;
    for (size_t i = 0; i < lane.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (uint8_t)(p[i] - 'A' + 'a');
    return lane;
}

static struct queue_record record_of(const struct send *s, const struct sent_to *to)
{
    uint16_t utf8 = has_high(to->address) ? QUEUE_FLAG_UTF8 : 0; /* others may be at servers without SMTPUTF8 */
    return (struct queue_record){ .fate = QUEUE_RETRY,
                                  .flags = (uint16_t)(s->flags | to->flags | utf8),
                                  .arrived_us = mailsrv__queue_unix(s->queue),
                                  .message = { s->name, s->name_n },
                                  .reverse_path = s->reverse_path,
                                  .recipient = to->address,
                                  .envelope_id = s->envelope_id,
                                  .original = to->original };
}

static void fill(const struct send *s, struct ask *ask, mailsrv_target *target, const struct sent_to *to)
{
    struct queue_record r = record_of(s, to);
    size_t octets = mailsrv__queue_record_octets(&r);
    struct writer w = { .p = mailsrv__ask_room(ask, octets), .room = octets };
    mailsrv__queue_record_write(&w, &r);
    target->kind = MAILSRV_TARGET_QUEUE;
    target->internal_us = target->due_us = mailsrv__queue_unix(s->queue);
    target->recipient = mailsrv__ask_copy(ask, to->address);
    target->record = mailsrv__bytes(mailsrv__written(&w));
    target->lane = put_lane(ask, domain_of(to->address));
}

static size_t commit_octets(const struct send *s)
{
    size_t octets = mailsrv__ask_octets(s->reverse_path.n);
    for (uint32_t i = 0; i < s->n_recipients; i++) {
        struct queue_record r = record_of(s, &s->recipients[i]);
        octets += mailsrv__ask_octets(mailsrv__queue_record_octets(&r)) +
                  mailsrv__ask_octets(r.recipient.n) + mailsrv__ask_octets(domain_of(r.recipient).n);
    }
    return octets;
}

static void committed(struct send *s, const mailsrv_answer *answer)
{
    const mailsrv_committed *value = answer->value;
    int32_t status = answer->status;
    for (uint32_t i = 0; value != NULL && i < value->n && status == MAILSRV_OK; i++)
        status = value->results[i].status;
    mailsrv__errand_drop(&s->errand);
    finish(s, status);
}

static void commit(struct send *s)
{
    const mailsrv_staged body = { .size = sizeof body, .body = s->body.value, .octets = s->message.n };
    struct ask ask = mailsrv__errand_commit(s->queue->engine, &s->errand, &body, s->n_recipients, commit_octets(s));
    if (ask.op == NULL) {
        finish(s, MAILSRV_NOMEM);
        return;
    }
    mailsrv_arg_body_commit *arg = ask.arg;
    mailsrv_target *targets = (mailsrv_target *)(uintptr_t)arg->targets;
    arg->atomic = 1;
    arg->reverse_path = mailsrv__ask_copy(&ask, s->reverse_path);
    for (uint32_t i = 0; i < s->n_recipients; i++)
        fill(s, &ask, &targets[i], &s->recipients[i]);
    mailsrv__room_spend(s->queue->engine, s->n_recipients / 4);
    s->answered = committed;
}

static void write_next(struct send *s);

static void written(struct send *s, const mailsrv_answer *answer)
{
    int32_t status = answer->status;
    mailsrv__errand_drop(&s->errand);
    if (status == MAILSRV_OK)
        write_next(s);
    else
        finish(s, status);
}

/* The octets stay the host's until `done`: nothing is copied. */
static void write_next(struct send *s)
{
    struct span chunk = mailsrv__span_first(mailsrv__span_after(s->message, s->offset), CHUNK_OCTETS);
    if (chunk.n == 0) {
        commit(s);
        return;
    }
    struct ask ask = mailsrv__queue_ask(s->queue, &s->errand, MAILSRV_OP_BODY_WRITE, 0);
    if (ask.op == NULL) {
        finish(s, MAILSRV_NOMEM);
        return;
    }
    mailsrv_arg_body_write *arg = ask.arg;
    arg->body = s->body.value;
    arg->offset = s->offset;
    arg->octets = mailsrv__bytes(chunk);
    s->offset += chunk.n;
    s->answered = written;
}

static void begun(struct send *s, const mailsrv_answer *answer)
{
    const mailsrv_body_begun *body = answer->value;
    int32_t status = answer->status;
    uint32_t features = body == NULL ? 0 : body->features;
    if (body != NULL)
        mailsrv__errand_take_handle(&s->errand, body->body, &s->body);
    mailsrv__errand_drop(&s->errand);
    if (status == MAILSRV_OK && (features & MAILSRV_BODY_TAKES_QUEUE) == 0)
        status = MAILSRV_CANNOT;
    if (status == MAILSRV_OK)
        write_next(s);
    else
        finish(s, status);
}

static void begin(struct send *s)
{
    struct ask ask = mailsrv__queue_ask(s->queue, &s->errand, MAILSRV_OP_BODY_BEGIN, 0);
    if (ask.op == NULL) {
        finish(s, MAILSRV_NOMEM);
        return;
    }
    ((mailsrv_arg_body_begin *)ask.arg)->octets_hint = s->message.n;
    s->answered = begun;
}

static void run(struct task *task)
{
    struct send *s = HOLDER(task, struct send, task);
    const mailsrv_answer *answer = mailsrv__errand_answer(&s->errand);
    if (s->answered == NULL)
        begin(s);
    else if (answer != NULL)
        s->answered(s, answer);
}

static void answered(struct errand *errand)
{
    struct send *s = HOLDER(errand, struct send, errand);
    mailsrv__task_due(s->queue, &s->task);
}

int32_t mailsrv_queue_send(mailsrv_queue *q, const mailsrv_queue_mail *mail, void (*done)(void *user, int32_t status),
                           void *user)
{
    if (q == NULL || q->closing || mail == NULL || mail->size < sizeof *mail)
        return MAILSRV_E_USAGE;
    int32_t status = check(mail);
    if (status != MAILSRV_OK)
        return status;
    struct send *s = send_new(q, mail);
    if (s == NULL)
        return MAILSRV_NOMEM;
    s->done = done;
    s->user = user;
    s->errand.answered = answered;
    mailsrv__task_init(&s->task, run);
    mailsrv__list_append(&q->sends, &s->node);
    mailsrv__task_due(q, &s->task);
    return MAILSRV_OK;
}

void mailsrv__sends_end(mailsrv_queue *q)
{
    while (!mailsrv__list_empty(&q->sends))
        send_free(HOLDER(q->sends.next, struct send, node));
}
