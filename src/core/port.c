/* Ports: a list that any thread pushes to, and the engine takes whole.  This list, and the count of a profile, are the
 * only places where the library uses atomics. */
#include "core/engine.h"

/* What is in a port's opaque words. */
enum { HEAD, ENGINE, WAKE, USER, NEXT_PORT };

/* In HEAD, its address says that the engine has ended: no letter has it. */
static const mailsrv_letter closed = { NULL, NULL };

static void *closed_mark(void)
{
    return (void *)(uintptr_t)&closed;
}

static void **word(mailsrv_port *port, int i)
{
    return &port->opaque[i];
}

int32_t mailsrv_port_open(mailsrv_port *port, mailsrv_engine *e, void (*wake)(void *user), void *user)
{
    if (port == NULL || e == NULL)
        return MAILSRV_E_USAGE;
    *port = (mailsrv_port){ 0 };
    *word(port, ENGINE) = e;
    *(void (**)(void *))(void *)word(port, WAKE) = wake;
    *word(port, USER) = user;
    *word(port, NEXT_PORT) = e->ports;
    e->ports = port;
    return MAILSRV_OK;
}

int32_t mailsrv_port_post(mailsrv_port *port, mailsrv_letter *letter)
{
    if (port == NULL || letter == NULL || letter->deliver == NULL)
        return MAILSRV_E_USAGE;
    void (*wake)(void *) = *(void (**)(void *))(void *)word(port, WAKE);
    void *user = *word(port, USER);
    void *head = __atomic_load_n(word(port, HEAD), __ATOMIC_ACQUIRE);
    do {
        if (head == closed_mark())
            return MAILSRV_E_CLOSED;
        letter->next = head;
    } while (!__atomic_compare_exchange_n(word(port, HEAD), &head, letter, 1, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (head == NULL && wake != NULL)
        wake(user);
    return MAILSRV_OK;
}

/* The list has the last one first; they are delivered in the order of posting. */
static mailsrv_letter *turned_round(mailsrv_letter *letter)
{
    mailsrv_letter *first = NULL;
    while (letter != NULL) {
        mailsrv_letter *next = letter->next;
        letter->next = first;
        first = letter;
        letter = next;
    }
    return first;
}

static uint64_t deliver(mailsrv_letter *letter, mailsrv_engine *e)
{
    uint64_t n = 0;
    for (letter = turned_round(letter); letter != NULL; n++) {
        mailsrv_letter *next = letter->next;
        letter->deliver(e, letter); /* it may be freed or posted there */
        letter = next;
    }
    return n;
}

void mailsrv__ports_read(mailsrv_engine *e)
{
    e->outside = true;
    for (mailsrv_port *port = e->ports; port != NULL; port = *word(port, NEXT_PORT))
        e->n_letters += deliver(__atomic_exchange_n(word(port, HEAD), NULL, __ATOMIC_ACQ_REL), e);
    e->outside = false;
}

void mailsrv__ports_close(mailsrv_engine *e)
{
    while (e->ports != NULL) { /* a letter may open another one */
        mailsrv_port *port = e->ports;
        e->ports = *word(port, NEXT_PORT);
        deliver(__atomic_exchange_n(word(port, HEAD), closed_mark(), __ATOMIC_ACQ_REL), NULL);
    }
}
