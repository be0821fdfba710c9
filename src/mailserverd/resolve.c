/* RESOLVE: an address is a user, an alias, a user with something behind the delimiter, its domain's catch-all, or
 * nobody; one of another domain is the queue's, for peers who may have mail relayed.  A domain that takes mail takes it
 * for its postmaster (RFC 5321 section 4.5.1): where nobody is that, for the first user of that domain. */
#include "login.h"
#include "text.h"

#include <string.h>

/* The whole address in lower case; 0: it is too long. */
static size_t write_address(const struct directory *d, mailsrv_bytes local, mailsrv_bytes domain, char *out)
{
    const struct config *c = d->config;
    const int n = domain.n == 0
                      ? snprintf(out, ADDRESS_MAX, "%.*s@%s", (int)local.n, (const char *)local.p, c->domains[0])
                      : snprintf(out, ADDRESS_MAX, "%.*s@%.*s", (int)local.n, (const char *)local.p, (int)domain.n,
                                 (const char *)domain.p);
    if (n < 0 || n >= ADDRESS_MAX || (local.n != 0 && memchr(local.p, '\0', local.n) != NULL))
        return 0;
    text_lower(out);
    return (size_t)n;
}

static const struct entry *first_of(const struct people *people, const char *domain)
{
    const struct entries *all = &people->of[PEOPLE_USERS];
    for (size_t i = 0; i < all->n; i++) {
        const char *at = strchr(all->all[i].address, '@');
        if (at != NULL && strcmp(at, domain) == 0)
            return &all->all[i];
    }
    return all->n > 0 ? &all->all[0] : NULL;
}

/* `address` has room for ADDRESS_MAX octets, and the address that was found afterwards. */
static size_t find(const struct directory *d, const mailsrv_arg_resolve *arg, char *address, struct leads *out)
{
    size_t n = write_address(d, arg->local_part, arg->domain, address);
    if (n == 0)
        return 0;
    if (arg->detail.n != 0 && people_find(d->people, PEOPLE_USERS, address, n) == NULL &&
        people_find(d->people, PEOPLE_ALIASES, address, n) == NULL)
        n = write_address(d, arg->user, arg->domain, address);
    const size_t found = people_resolve(d->people, d->config, address, n, out);
    if (found > 0 || strncmp(address, "postmaster@", 11) != 0)
        return found;
    out[0] = (struct leads){ .person = first_of(d->people, address + 10) };
    return out[0].person != NULL;
}

/* An alias A that leads out is a list where there is an alias owner-A, who is told what could not be delivered; `owner`
 * has room for ADDRESS_MAX octets.  0: it is none. */
static size_t owner_of(const struct people *people, const char *address, char *owner)
{
    const int n = snprintf(owner, ADDRESS_MAX, "owner-%s", address);
    const bool found = n > 0 && n < ADDRESS_MAX && people_find(people, PEOPLE_ALIASES, owner, (size_t)n) != NULL;
    return found ? (size_t)n : 0;
}

/* Of another domain.  A sender of another domain is nobody's here. */
static void answer_elsewhere(mailsrv_engine *engine, const mailsrv_op *op)
{
    const mailsrv_arg_resolve *arg = op->arg;
    const mailsrv_destination to = { .kind = MAILSRV_TARGET_QUEUE };
    const mailsrv_resolved value = { .size = sizeof value, .n = 1, .stride = sizeof to, .destinations = &to };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    if ((arg->flags & MAILSRV_RESOLVE_RELAY) != 0 && (arg->flags & MAILSRV_RESOLVE_SENDER) == 0)
        mailsrv_op_answer(engine, op->id, &answer);
    else
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NOPERM);
}

static void on_resolve(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    const struct directory *d = user;
    const mailsrv_arg_resolve *arg = op->arg;
    struct leads found[TARGETS_MAX];
    mailsrv_destination to[TARGETS_MAX];
    char address[ADDRESS_MAX], owner[ADDRESS_MAX];
    const bool here = arg->domain.n == 0 || config_has_domain(d->config, (const char *)arg->domain.p, arg->domain.n);
    const size_t n = here ? find(d, arg, address, found) : 0;
    const mailsrv_resolved value = { .size = sizeof value, .n = (uint32_t)n, .stride = sizeof *to, .destinations = to };
    const mailsrv_answer answer = { .size = sizeof answer, .status = MAILSRV_OK, .value = &value };
    memset(to, 0, n * sizeof *to);
    const size_t owner_n = n != 0 ? owner_of(d->people, address, owner) : 0;
    for (size_t i = 0; i < n; i++) {
        to[i].kind = found[i].person != NULL ? MAILSRV_TARGET_MAILBOX : MAILSRV_TARGET_QUEUE;
        if (found[i].person != NULL) {
            to[i].account = found[i].person->account;
            continue;
        }
        to[i].flags = MAILSRV_TO_FORWARD | (owner_n != 0 ? MAILSRV_TO_LIST : 0);
        to[i].address = (mailsrv_bytes){ (const uint8_t *)found[i].address, found[i].n };
        to[i].reverse_path = (mailsrv_bytes){ (const uint8_t *)owner, owner_n };
    }
    if (!here)
        answer_elsewhere(engine, op);
    else if (n == 0)
        mailsrv_op_answer_status(engine, op->id, MAILSRV_NONEXISTENT);
    else
        mailsrv_op_answer(engine, op->id, &answer);
}

int32_t resolve_serve(struct directory *directory, mailsrv_engine *engine)
{
    return mailsrv_engine_serve(engine, MAILSRV_OP_RESOLVE, on_resolve, directory);
}
