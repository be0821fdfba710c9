#include "mailboxes.h"

#include <mailsrv/stores/durable.h>

#include <string.h>

enum { PAGE = 256 };

int32_t mailboxes_open(struct mailboxes *m, struct office *office, const char *address)
{
    const mailsrv_arg_store_open arg = { .size = sizeof arg };
    *m = (struct mailboxes){ .office = office };
    int32_t status = mailsrv_durable_find_account(office->store, address, strlen(address), &m->account);
    if (status != MAILSRV_OK)
        return status;
    m->desk = desk_take(&office->desks);
    if (m->desk == NULL)
        return MAILSRV_NOMEM;
    status = desk_ask(m->desk, MAILSRV_OP_STORE_OPEN, &m->account, &arg, &m->opened);
    if (status == MAILSRV_OK)
        m->store = ((const mailsrv_store_opened *)desk_value(m->opened))->store;
    return status;
}

void mailboxes_close(struct mailboxes *m)
{
    if (m->desk == NULL)
        return;
    desk_free(m->desk, m->opened);
    desk_return(&m->office->desks, m->desk);
}

static int32_t each_of_page(const mailsrv_mbox_listed *page,
                            int32_t (*each)(void *user, const mailsrv_mbox_entry *entry), void *user)
{
    static const mailsrv_id none;
    int32_t status = MAILSRV_OK;
    for (uint32_t i = 0; i < page->n && status == MAILSRV_OK; i++) {
        const char *at = (const char *)page->entries + (size_t)i * page->stride;
        const mailsrv_mbox_entry *entry = (const mailsrv_mbox_entry *)(const void *)at;
        if (memcmp(&entry->mailbox, &none, sizeof none) != 0) /* else it is only a subscription */
            status = each(user, entry);
    }
    return status;
}

int32_t mailboxes_each(const struct mailboxes *m, int32_t (*each)(void *user, const mailsrv_mbox_entry *entry),
                       void *user)
{
    mailsrv_arg_mbox_list arg = { .size = sizeof arg, .limit = PAGE, .store = m->store };
    int32_t status = MAILSRV_OK;
    for (bool more = true; more && status == MAILSRV_OK;) {
        mailsrv_asked *asked;
        status = desk_ask(m->desk, MAILSRV_OP_MBOX_LIST, &m->account, &arg, &asked);
        const mailsrv_mbox_listed *page = status == MAILSRV_OK ? desk_value(asked) : NULL;
        if (page != NULL)
            status = each_of_page(page, each, user);
        more = page != NULL && page->more;
        if (more)
            arg.cursor = page->next;
        desk_free(m->desk, asked);
    }
    return status;
}
