#include "memory.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_nocase(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

struct account *mailsrv__memory_account(struct memory *m, const mailsrv_id *id)
{
    struct account *a = m->accounts;
    while (a != NULL && !mailsrv__memory_same_id(&a->id, id))
        a = a->next;
    return a;
}

struct account *mailsrv__memory_by_name(struct memory *m, const void *name, size_t n)
{
    struct account *a = m->accounts;
    while (a != NULL && (a->n_name != n || memcmp(a->text, name, n) != 0))
        a = a->next;
    return a;
}

/* The account's own UIDVALIDITY is below the epoch, so that INBOX gets that.  False: no memory. */
static bool init_account(struct memory *m, struct account *a)
{
    static const struct path inbox = { 5, "INBOX" };
    struct making how = { 0, 0, 0, NULL };
    a->id = mailsrv__memory_new_id(m);
    a->quota = UINT64_C(1) << 63;
    a->last_uidvalidity = (uint32_t)m->knobs[MAILSRV_MEMORY_EPOCH] - 1;
    return mailsrv__memory_make_mailbox(m, a, &inbox, &how, &a->inbox) == MAILSRV_OK;
}

static void free_account(struct memory *m, struct account *a)
{
    mailsrv__memory_all_names_free(m, a);
    mailsrv__memory_wipe(a->text + a->n_name, a->n_password);
    mailsrv__memory_give(m, a, sizeof *a + a->n_name + a->n_password);
}

int32_t mailsrv_memory_add_account(mailsrv_store *store, const char *name, size_t n, const char *password,
                                   size_t n_password, mailsrv_id *out)
{
    struct memory *m = mailsrv__memory(store);
    if (name == NULL || n == 0 || (password == NULL && n_password != 0))
        return MAILSRV_E_USAGE;
    if (mailsrv__memory_by_name(m, name, n) != NULL)
        return MAILSRV_ALREADYEXISTS;
    struct account *a = mailsrv__memory_take(m, sizeof *a + n + n_password);
    if (a == NULL)
        return MAILSRV_NOMEM;
    a->n_name = n;
    a->n_password = n_password;
    memcpy(a->text, name, n);
    if (n_password != 0)
        memcpy(a->text + n, password, n_password);
    if (!init_account(m, a)) {
        free_account(m, a);
        return MAILSRV_NOMEM;
    }
    a->next = m->accounts;
    m->accounts = a;
    if (out != NULL)
        *out = a->id;
    return MAILSRV_OK;
}

int32_t mailsrv_memory_find_account(mailsrv_store *store, const char *name, size_t n, mailsrv_id *out)
{
    struct account *a = mailsrv__memory_by_name(mailsrv__memory(store), name, n);
    if (a == NULL)
        return MAILSRV_NONEXISTENT;
    *out = a->id;
    return MAILSRV_OK;
}

static int32_t point(struct memory *m, struct address *to, const mailsrv_id *accounts, size_t n)
{
    if (n == 0)
        to->destinations[0] = (mailsrv_destination){ .kind = MAILSRV_TARGET_QUEUE, .flags = MAILSRV_TO_FORWARD };
    for (size_t i = 0; i < n; i++) {
        struct account *a = mailsrv__memory_account(m, &accounts[i]);
        if (a == NULL)
            return MAILSRV_NONEXISTENT;
        if (i == 0)
            to->first = a;
        to->destinations[i].kind = MAILSRV_TARGET_MAILBOX;
        to->destinations[i].account = a->id;
        to->destinations[i].mailbox = a->inbox->id;
    }
    return MAILSRV_OK;
}

static size_t octets_of(const struct address *to)
{
    return sizeof *to + to->n;
}

static void free_address(struct memory *m, struct address *to)
{
    for (size_t i = 0; to->destinations != NULL && i < to->n_destinations; i++) {
        const mailsrv_destination *d = &to->destinations[i];
        mailsrv__memory_give(m, (void *)(uintptr_t)d->address.p, d->address.n);
        mailsrv__memory_give(m, (void *)(uintptr_t)d->reverse_path.p, d->reverse_path.n);
    }
    mailsrv__memory_give(m, to->destinations, to->n_destinations * sizeof *to->destinations);
    mailsrv__memory_give(m, to, octets_of(to));
}

/* The address whose local part and domain are these; without a domain it has no "@". */
static struct address *find(struct memory *m, const char *local, size_t n_local, const char *domain, size_t n_domain)
{
    size_t n = n_local + (n_domain != 0 ? 1 + n_domain : 0);
    for (struct address *to = m->addresses; to != NULL; to = to->next)
        if (to->n == n && same_nocase(to->text, local, n_local) &&
            (n_domain == 0 || (to->text[n_local] == '@' && same_nocase(to->text + n_local + 1, domain, n_domain))))
            return to;
    return NULL;
}

int32_t mailsrv_memory_add_address(mailsrv_store *store, const char *address, size_t n, const mailsrv_id *accounts,
                                   size_t n_accounts)
{
    struct memory *m = mailsrv__memory(store);
    if (address == NULL || n == 0 || (accounts == NULL && n_accounts != 0))
        return MAILSRV_E_USAGE;
    if (find(m, address, n, NULL, 0) != NULL)
        return MAILSRV_ALREADYEXISTS;
    struct address *to = mailsrv__memory_take(m, sizeof *to + n);
    if (to == NULL)
        return MAILSRV_NOMEM;
    to->n = n;
    memcpy(to->text, address, n);
    to->n_destinations = n_accounts != 0 ? n_accounts : 1;
    to->destinations = mailsrv__memory_take(m, to->n_destinations * sizeof *to->destinations);
    int32_t status = to->destinations != NULL ? point(m, to, accounts, n_accounts) : MAILSRV_NOMEM;
    if (status != MAILSRV_OK) {
        free_address(m, to);
        return status;
    }
    to->next = m->addresses;
    m->addresses = to;
    return MAILSRV_OK;
}

static struct address *new_address(struct memory *m, const char *address, size_t n)
{
    struct address *to = mailsrv__memory_take(m, sizeof *to + n);
    if (to == NULL)
        return NULL;
    to->n = n;
    memcpy(to->text, address, n);
    to->next = m->addresses;
    m->addresses = to;
    return to;
}

static bool keep(struct memory *m, mailsrv_bytes *out, const char *text, size_t n)
{
    uint8_t *p = n == 0 ? NULL : mailsrv__memory_take(m, n);
    if (p != NULL)
        memcpy(p, text, n);
    *out = (mailsrv_bytes){ p, p == NULL ? 0 : n };
    return n == 0 || p != NULL;
}

/* A longer list of destinations, the last one empty.  False: no memory. */
static bool add_destination(struct memory *m, struct address *to)
{
    mailsrv_destination *longer = mailsrv__memory_take(m, (to->n_destinations + 1) * sizeof *longer);
    if (longer == NULL)
        return false;
    if (to->n_destinations != 0)
        memcpy(longer, to->destinations, to->n_destinations * sizeof *longer);
    mailsrv__memory_give(m, to->destinations, to->n_destinations * sizeof *longer);
    to->destinations = longer;
    to->n_destinations++;
    return true;
}

int32_t mailsrv_memory_add_forward(mailsrv_store *store, const char *address, size_t n, const char *forward,
                                   size_t n_forward, const char *owner, size_t n_owner)
{
    struct memory *m = mailsrv__memory(store);
    if (address == NULL || n == 0 || forward == NULL || n_forward == 0)
        return MAILSRV_E_USAGE;
    mailsrv_bytes path, reverse_path;
    if (!keep(m, &path, forward, n_forward))
        return MAILSRV_NOMEM;
    struct address *to = find(m, address, n, NULL, 0);
    if (!keep(m, &reverse_path, owner, owner == NULL ? 0 : n_owner) ||
        (to == NULL && (to = new_address(m, address, n)) == NULL) || !add_destination(m, to)) {
        mailsrv__memory_give(m, (void *)(uintptr_t)path.p, path.n);
        mailsrv__memory_give(m, (void *)(uintptr_t)reverse_path.p, reverse_path.n);
        return MAILSRV_NOMEM;
    }
    to->destinations[to->n_destinations - 1] = (mailsrv_destination){
        .kind = MAILSRV_TARGET_QUEUE,
        .flags = MAILSRV_TO_FORWARD | (owner != NULL ? MAILSRV_TO_LIST : 0),
        .address = path,
        .reverse_path = reverse_path,
    };
    return MAILSRV_OK;
}

void mailsrv__memory_accounts_free(struct memory *m)
{
    struct account *next_account;
    for (struct account *a = m->accounts; a != NULL; a = next_account) {
        next_account = a->next;
        free_account(m, a);
    }
    struct address *next_address;
    for (struct address *to = m->addresses; to != NULL; to = next_address) {
        next_address = to->next;
        free_address(m, to);
    }
}

static void resolved(struct reply *r, const mailsrv_destination *destinations, size_t n, uint32_t shard)
{
    r->has_value = true;
    r->value.resolved = (mailsrv_resolved){ .size = sizeof r->value.resolved,
                                            .shard = shard,
                                            .n = (uint32_t)n,
                                            .stride = sizeof *destinations,
                                            .destinations = destinations };
}

/* Has any address this domain? */
static bool is_ours(const struct memory *m, mailsrv_bytes domain)
{
    for (const struct address *to = m->addresses; to != NULL; to = to->next)
        if (to->n > domain.n && to->text[to->n - domain.n - 1] == '@' &&
            same_nocase(to->text + to->n - domain.n, (const char *)domain.p, domain.n))
            return true;
    return domain.n == 0;
}

static int32_t not_here(const struct memory *m, mailsrv_bytes domain, struct reply *r)
{
    static const mailsrv_destination queue = { .kind = MAILSRV_TARGET_QUEUE };
    if (is_ours(m, domain))
        return MAILSRV_NONEXISTENT;
    if (m->knobs[MAILSRV_MEMORY_RELAY] == 0)
        return MAILSRV_NOPERM;
    resolved(r, &queue, 1, 0);
    return MAILSRV_OK;
}

static struct address *find_bytes(struct memory *m, mailsrv_bytes local, mailsrv_bytes domain)
{
    return find(m, (const char *)local.p, local.n, (const char *)domain.p, domain.n);
}

/* The whole local part first, then the user that it gives a detail of. */
int32_t mailsrv__memory_resolve(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_resolve *arg = op->arg;
    struct address *to = find_bytes(m, arg->local_part, arg->domain);
    if (to == NULL && arg->detail.n != 0)
        to = find_bytes(m, arg->user, arg->domain);
    if (to == NULL || to->n_destinations == 0)
        return not_here(m, arg->domain, r);
    for (size_t i = 0; i < to->n_destinations; i++)
        if (to->destinations[i].kind == MAILSRV_TARGET_MAILBOX)
            to->destinations[i].flags = m->knobs[MAILSRV_MEMORY_ASCII] != 0 ? MAILSRV_TO_ASCII : 0;
    resolved(r, to->destinations, to->n_destinations, to->first != NULL ? to->first->shard : 0);
    return MAILSRV_OK;
}

/* Takes the same time wherever the first difference is. */
static bool same_secret(const char *stored, size_t n_stored, mailsrv_bytes given)
{
    unsigned differs = n_stored != given.n;
    for (size_t i = 0; i < given.n; i++)
        differs |= (unsigned)((n_stored != 0 ? (uint8_t)stored[i % n_stored] : 0) ^ given.p[i]);
    return differs == 0;
}

/* An unknown user costs a comparison too, so that the time does not tell who exists. */
int32_t mailsrv__memory_auth_verify(struct memory *m, const mailsrv_op *op, struct reply *r)
{
    const mailsrv_arg_auth_verify *arg = op->arg;
    const struct account *a = mailsrv__memory_by_name(m, arg->user.p, arg->user.n);
    bool same = a != NULL ? same_secret(a->text + a->n_name, a->n_password, arg->password)
                          : same_secret("nobody", 6, arg->password);
    if (a == NULL || !same || arg->identity.n != 0) /* nobody here acts as somebody else */
        return MAILSRV_DENIED;
    r->has_value = true;
    r->value.identity.size = sizeof r->value.identity;
    r->value.identity.account = a->id;
    return MAILSRV_OK;
}
