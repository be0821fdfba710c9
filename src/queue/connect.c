/* CONNECT: an address, until there is a session. */
#include "queue/queue.h"

enum { CONNECT_TIMEOUT_MS = 30000 };

void mailsrv__link_connect(struct link *link)
{
    const struct site *site = link->site;
    const struct route_address *address = &link->way->plan->addresses[link->at];
    size_t octets = mailsrv__ask_octets(address->host.n) + mailsrv__ask_octets(site->terms.domain.n) +
                    mailsrv__ask_octets(site->route.name.n);
    struct ask ask = mailsrv__queue_ask(link->queue, &link->errand, MAILSRV_OP_CONNECT, octets);
    if (ask.op == NULL) {
        link->tried &= (uint16_t)~(1u << link->at);
        mailsrv__task_again(link->queue, &link->task);
        return;
    }
    mailsrv_arg_connect *arg = ask.arg;
    arg->address_octets = address->n;
    memcpy(arg->address, address->octets, sizeof arg->address);
    arg->port = mailsrv__site_port(site);
    arg->host = mailsrv__ask_copy(&ask, address->host);
    arg->lane = mailsrv__ask_copy(&ask, site->terms.domain);
    arg->route = mailsrv__ask_copy(&ask, mailsrv__span(site->route.name));
    arg->timeout_ms = CONNECT_TIMEOUT_MS;
}

static int32_t begin(struct link *link, const mailsrv_peer *peer, void *host, mailsrv_session **out)
{
    mailsrv_queue *q = link->queue;
    const struct site *site = link->site;
    const bool clear = (link->way->clear >> link->at & 1) != 0;
    const struct route_address *address = &link->way->plan->addresses[link->at];
    const struct smtp_terms terms = { .host = address->host,
                                      .route = mailsrv__span(site->route.name),
                                      .route_flags = site->route.flags,
                                      .dane = address->dane,
                                      .secure = clear ? MAILSRV_SECURE_NEVER : site->route.secure,
                                      .downgrades = (q->flags & MAILSRV_QUEUE_NO_DOWNGRADE) == 0,
                                      .messages_max = q->limits.messages,
                                      .rcpts_max = q->limits.recipients,
                                      .idle_ms = q->limits.idle_ms };
    return mailsrv__client_begin(q->engine, q->profile, peer, host, &terms, &link->courier, out);
}

int32_t mailsrv_client_new(mailsrv_engine *e, mailsrv_op_id id, const mailsrv_peer *peer, void *host,
                           mailsrv_session **out)
{
    struct errand *errand;
    if (e == NULL || out == NULL)
        return MAILSRV_E_USAGE;
    int32_t status = mailsrv__errand_find(e, id, MAILSRV_OP_CONNECT, &errand);
    if (status == MAILSRV_E_USAGE)
        return status;
    mailsrv_session *session = NULL;
    struct link *link = status == MAILSRV_OK ? HOLDER(errand, struct link, errand) : NULL;
    if (link != NULL)
        status = begin(link, peer, host, &session);
    if (status == MAILSRV_E_USAGE)
        return status; /* it is still open */
    if (session != NULL) {
        link->session = link->ended ? NULL : session;
        *out = session;
    }
    mailsrv_op_answer_status(e, id, session != NULL ? MAILSRV_OK : MAILSRV_TEMP);
    return status;
}
