/* user add | passwd | remove | list */
#include "mailboxes.h"
#include "password.h"
#include "secrets.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { EXPUNGE_MAX = 4096 };

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
        if (!secrets_make(e->config->password_method, password, secrets, sizeof secrets)) {
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

static int32_t expunge_inbox(const struct mailboxes *m)
{
    const mailsrv_arg_mbox_open arg = { .size = sizeof arg,
                                        .for_writing = 1,
                                        .store = m->store,
                                        .name = { (const uint8_t *)"INBOX", 5 } };
    mailsrv_asked *opened;
    int32_t status = desk_ask(m->desk, MAILSRV_OP_MBOX_OPEN, &m->account, &arg, &opened);
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
            status = desk_do(m->desk, MAILSRV_OP_EXPUNGE, &m->account, &gone);
        }
    }
    desk_free(m->desk, opened);
    return status;
}

struct removal {
    struct mailboxes of;
    bool found; /* a mailbox other than INBOX */
};

static int32_t delete_mailbox(void *user, const mailsrv_mbox_entry *entry)
{
    struct removal *r = user;
    const mailsrv_arg_mbox_delete gone = { .size = sizeof gone, .store = r->of.store, .mailbox = entry->mailbox };
    if (text_same((const char *)entry->name.p, entry->name.n, "INBOX", 5))
        return MAILSRV_OK;
    r->found = true;
    return desk_do(r->of.desk, MAILSRV_OP_MBOX_DELETE, &r->of.account, &gone);
}

/* Until none is found: a session that is here may make one meanwhile. */
static int delete_mail_of(const struct errand *e, const char *address)
{
    struct removal r = { .found = true };
    int32_t status = mailboxes_open(&r.of, e->office, address);
    while (status == MAILSRV_OK && r.found) {
        r.found = false;
        status = mailboxes_each(&r.of, delete_mailbox, &r);
    }
    if (status == MAILSRV_OK)
        status = expunge_inbox(&r.of);
    mailboxes_close(&r.of);
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
