/* user add | passwd | remove | list */
#include "office.h"
#include "password.h"
#include "secrets.h"
#include "text.h"

#include <mailsrv/stores/durable.h>

#include <stdlib.h>
#include <string.h>

enum { EXPUNGE_MAX = 4096, PAGE = 256 };

/* Makes a change of the files that holds for the running server, too; under the office's mutex. */
static int change(const struct errand *e, const char *address, const char *secrets)
{
    struct office *office = e->office;
    struct people *people = people_read(e->config->data, e->err);
    const bool ok = people != NULL && people_put(people, PEOPLE_USERS, address, secrets) &&
                    people_write(people, PEOPLE_USERS, e->config->data, e->err);
    people_unref(people);
    return ok && office_reload(office, e->err) ? 0 : 1;
}

/* The first line of the input. */
static bool read_password(struct errand *e, char *out)
{
    if (errand_line(e, out, PASSWORD_MAX) && *out != '\0')
        return true;
    fprintf(e->err, "mailserverd: expected a password of 1 to %d octets, and the end of a line\n", PASSWORD_MAX - 1);
    return false;
}

static int set_password(struct errand *e, const char *address)
{
    char password[PASSWORD_MAX], secrets[SECRETS_OCTETS];
    int status = 1;
    if (read_password(e, password)) {
        if (!secrets_make(password, secrets, sizeof secrets)) {
            fprintf(e->err, "mailserverd: %s: this password cannot be hashed\n", address);
        } else {
            pthread_mutex_lock(&e->office->mutex);
            status = change(e, address, secrets);
            pthread_mutex_unlock(&e->office->mutex);
        }
    }
    explicit_bzero(password, sizeof password);
    explicit_bzero(secrets, sizeof secrets);
    return status;
}

static bool is_known(const struct errand *e, const char *address)
{
    pthread_mutex_lock(&e->office->mutex);
    const bool known = people_find(e->office->people, PEOPLE_USERS, address, strlen(address)) != NULL;
    pthread_mutex_unlock(&e->office->mutex);
    return known;
}

static int add(struct errand *e, const char *address)
{
    if (is_known(e, address)) {
        fprintf(e->err, "mailserverd: %s: there is such a user already\n", address);
        return 1;
    }
    return set_password(e, address);
}

/* ---- Removing ---- */

static int32_t expunge_inbox(struct desk *desk, const mailsrv_id *account, uint64_t store)
{
    const mailsrv_arg_mbox_open arg = { .size = sizeof arg,
                                        .for_writing = 1,
                                        .store = store,
                                        .name = { (const uint8_t *)"INBOX", 5 } };
    mailsrv_asked *opened;
    int32_t status = desk_ask(desk, MAILSRV_OP_MBOX_OPEN, account, &arg, &opened);
    if (status == MAILSRV_OK) {
        const mailsrv_mbox_opened *box = desk_value(opened);
        for (uint64_t uid = 1; uid < box->uidnext && status == MAILSRV_OK; uid += EXPUNGE_MAX) {
            const mailsrv_run run = {
                (uint32_t)uid, (uint32_t)(uid + EXPUNGE_MAX - 1 < UINT32_MAX ? uid + EXPUNGE_MAX - 1 : UINT32_MAX)
            };
            const mailsrv_arg_expunge gone = { .size = sizeof gone,
                                               .mbox = box->mbox,
                                               .uids = &run,
                                               .n_uids = 1,
                                               .mailbox = box->mailbox };
            status = desk_do(desk, MAILSRV_OP_EXPUNGE, account, &gone);
        }
    }
    desk_free(desk, opened);
    return status;
}

/* Takes out the mailboxes of the first page that are not INBOX; `*left`: there were some. */
static int32_t delete_some(struct desk *desk, const mailsrv_id *account, uint64_t store, bool *left)
{
    const mailsrv_arg_mbox_list arg = { .size = sizeof arg, .limit = PAGE, .store = store };
    mailsrv_asked *listed;
    int32_t status = desk_ask(desk, MAILSRV_OP_MBOX_LIST, account, &arg, &listed);
    const mailsrv_mbox_listed *page = status == MAILSRV_OK ? desk_value(listed) : NULL;
    *left = false;
    for (uint32_t i = 0; page != NULL && i < page->n && status == MAILSRV_OK; i++) {
        const mailsrv_mbox_entry *entry =
            (const mailsrv_mbox_entry *)(const void *)((const char *)page->entries + (size_t)i * page->stride);
        static const mailsrv_id none;
        const mailsrv_arg_mbox_delete gone = { .size = sizeof gone, .store = store, .mailbox = entry->mailbox };
        if (memcmp(&entry->mailbox, &none, sizeof none) == 0 ||
            text_same((const char *)entry->name.p, entry->name.n, "INBOX", 5))
            continue;
        status = desk_do(desk, MAILSRV_OP_MBOX_DELETE, account, &gone);
        *left = true;
    }
    desk_free(desk, listed);
    return status;
}

static int32_t delete_mail(struct desk *desk, const mailsrv_id *account)
{
    const mailsrv_arg_store_open arg = { .size = sizeof arg };
    mailsrv_asked *opened;
    int32_t status = desk_ask(desk, MAILSRV_OP_STORE_OPEN, account, &arg, &opened);
    if (status == MAILSRV_OK) {
        const uint64_t store = ((const mailsrv_store_opened *)desk_value(opened))->store;
        for (bool left = true; left && status == MAILSRV_OK;)
            status = delete_some(desk, account, store, &left);
        if (status == MAILSRV_OK)
            status = expunge_inbox(desk, account, store);
    }
    desk_free(desk, opened);
    return status;
}

static int delete_mail_of(const struct errand *e, const char *address)
{
    struct desk *desk = desk_take(&e->office->desks);
    mailsrv_id account;
    int32_t status = desk == NULL ? MAILSRV_NOMEM
                                  : mailsrv_durable_find_account(e->office->store, address, strlen(address), &account);
    if (status == MAILSRV_OK)
        status = delete_mail(desk, &account);
    if (desk != NULL)
        desk_return(&e->office->desks, desk);
    return status == MAILSRV_OK ? 0 : errand_failed(e, address, status);
}

/* The login goes first: nobody sees the mail go. */
static int take_away(struct errand *e, const char *address, bool with_mail)
{
    if (!is_known(e, address)) {
        fprintf(e->err, "mailserverd: %s: there is no such user\n", address);
        return 1;
    }
    pthread_mutex_lock(&e->office->mutex);
    const int status = change(e, address, NULL);
    pthread_mutex_unlock(&e->office->mutex);
    return status == 0 && with_mail ? delete_mail_of(e, address) : status;
}

/* ---- The command ---- */

static int list(struct errand *e)
{
    pthread_mutex_lock(&e->office->mutex);
    const struct entries *all = &e->office->people->of[PEOPLE_USERS];
    for (size_t i = 0; i < all->n; i++)
        fprintf(e->out, "%s\n", all->all[i].address);
    pthread_mutex_unlock(&e->office->mutex);
    return 0;
}

int do_user(struct errand *e)
{
    const char *what = e->argc > 1 ? e->argv[1] : "";
    char address[ADDRESS_MAX];
    if (strcmp(what, "list") == 0 && e->argc == 2)
        return list(e);
    if (e->argc < 3 || !errand_address(e, e->argv[2], false, address))
        return 1;
    if (strcmp(what, "add") == 0)
        return add(e, address);
    if (strcmp(what, "remove") == 0)
        return take_away(e, address, e->argc > 3 && strcmp(e->argv[3], "--mail") == 0);
    if (is_known(e, address))
        return set_password(e, address);
    fprintf(e->err, "mailserverd: %s: there is no such user\n", address);
    return 1;
}
