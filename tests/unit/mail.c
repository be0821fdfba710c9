#include "mail.h"

void mail_woken(struct view *view)
{
    (void)view;
}

void mail_turns(struct world *w)
{
    for (int i = 0; i < 20000; i++) {
        w->now_us += 1000;
        mailsrv_engine_advance(w->engine, w->now_us, w->now_us);
        if (mailsrv_engine_turn(w->engine, 1000) != MAILSRV_MORE)
            return;
    }
    fail();
}

/* ---- Accounts ---- */

struct place mail_add(struct world *w, const char *name, uint32_t messages)
{
    char address[64];
    struct place place;
    int n = snprintf(address, sizeof address, "%s@here.test", name);
    memset(&place, 0, sizeof place);
    assert_int_equal(mailsrv_memory_add_account(w->store, name, strlen(name), "", 0, &place.account), MAILSRV_OK);
    assert_int_equal(mailsrv_memory_add_address(w->store, address, (size_t)n, &place.account, 1), MAILSRV_OK);
    for (uint32_t i = 0; i < messages; i++)
        assert_int_equal(mailsrv_memory_append(w->store, &place.account, "x", 1), MAILSRV_OK);
    return place;
}

void mail_find(struct world *w, const char *name, struct place *place)
{
    mailsrv_asked *asked;
    mailsrv_arg_resolve arg = { .size = sizeof arg, .local_part = { (const uint8_t *)name, strlen(name) },
                                .domain = { (const uint8_t *)"here.test", 9 } };
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_RESOLVE, NULL, &arg, &asked), MAILSRV_OK);
    mail_turns(w);
    place->inbox = ((const mailsrv_resolved *)mailsrv_asked_answer(asked)->value)->destinations[0].mailbox;
    mailsrv_asked_free(asked);
}

void mail_find_inbox(struct world *w)
{
    struct place pat;
    mail_find(w, "pat", &pat);
    w->inbox = pat.inbox;
}

/* ---- Beginning and end ---- */

mailsrv_config *mail_config(struct world *w, uint64_t memory_max)
{
    mailsrv_config *config;
    memset(w, 0, sizeof *w);
    counted_init(&w->from);
    assert_int_equal(mailsrv_config_new(&w->from.allocator, &config), MAILSRV_OK);
    mailsrv_config_set_u64(config, MAILSRV_CONFIG_MEMORY_MAX, memory_max);
    return config;
}

void mail_begin_with(struct world *w, uint32_t messages, mailsrv_config *config)
{
    assert_int_equal(mailsrv_memory_new(NULL, &w->store), MAILSRV_OK);
    w->account = mail_add(w, "pat", messages).account;
    assert_int_equal(mailsrv_engine_new(config, &w->engine), MAILSRV_OK);
    mailsrv_config_free(config);
    assert_int_equal(mailsrv_store_bind(w->store, w->engine), MAILSRV_OK);
}

void mail_begin(struct world *w, uint32_t messages, uint64_t memory_max)
{
    mail_begin_with(w, messages, mail_config(w, memory_max));
}

void mail_end(struct world *w)
{
    mail_turns(w);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_MAILBOXES), 0);
    assert_int_equal(mailsrv_memory_stat(w->store, MAILSRV_MEMORY_STAT_STORES), 0);
    assert_int_equal(mailsrv_engine_free(w->engine, 0), MAILSRV_OK);
    assert_int_equal(w->from.live, 0);
    assert_null(w->from.fault);
    mailsrv_store_free(w->store);
}

/* ---- Views ---- */

int32_t mail_open_at(struct world *w, struct view *view, const struct place *place)
{
    int32_t status = mailsrv__view_open(view, w->engine, &place->account, &place->inbox, mail_woken);
    if (status != MAILSRV_OK)
        return status;
    mail_turns(w);
    status = mailsrv__view_status(view);
    if (status == MAILSRV_OK)
        mailsrv__view_select(view);
    else
        mailsrv__view_close(view);
    return status;
}

int32_t mail_open(struct world *w, struct view *view)
{
    struct place pat = { w->account, w->inbox };
    return mail_open_at(w, view, &pat);
}

bool mail_next(struct view *view, struct told *told)
{
    uint32_t units = UINT32_MAX;
    return mailsrv__view_next(view, &units, told);
}

/* ---- Changes from outside ---- */

struct box mail_open_box(struct world *w)
{
    struct box box;
    mailsrv_arg_store_open arg = { sizeof arg, 0 };
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_STORE_OPEN, &w->account, &arg, &box.store), MAILSRV_OK);
    mail_turns(w);
    mailsrv_arg_mbox_open open = { .size = sizeof open, .mailbox = w->inbox };
    open.store = ((const mailsrv_store_opened *)mailsrv_asked_answer(box.store)->value)->store;
    assert_int_equal(mailsrv_ask(w->engine, MAILSRV_OP_MBOX_OPEN, &w->account, &open, &box.mbox), MAILSRV_OK);
    mail_turns(w);
    box.handle = ((const mailsrv_mbox_opened *)mailsrv_asked_answer(box.mbox)->value)->mbox;
    return box;
}

void mail_shut_box(struct world *w, struct box *box)
{
    mailsrv_asked_free(box->mbox);
    mail_turns(w);
    mailsrv_asked_free(box->store);
    mail_turns(w);
}

void mail_change(struct world *w, int32_t kind, const void *arg)
{
    mailsrv_asked *asked;
    assert_int_equal(mailsrv_ask(w->engine, kind, &w->account, arg, &asked), MAILSRV_OK);
    mail_turns(w);
    assert_int_equal(mailsrv_asked_answer(asked)->status, MAILSRV_OK);
    mailsrv_asked_free(asked);
}

void mail_expunge(struct world *w, mailsrv_run run)
{
    struct box box = mail_open_box(w);
    mailsrv_arg_expunge arg = {
        .size = sizeof arg, .mbox = box.handle, .mailbox = w->inbox, .uids = &run, .n_uids = 1
    };
    mail_change(w, MAILSRV_OP_EXPUNGE, &arg);
    mail_shut_box(w, &box);
}

void mail_append(struct world *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(mailsrv_memory_append(w->store, &w->account, "x", 1), MAILSRV_OK);
}

struct mail_event mail_event(struct world *w, int32_t what)
{
    struct mail_event found = { { 0 } };
    const mailsrv_event *event;
    while (mailsrv_engine_next_event(w->engine, &event) == MAILSRV_OK)
        if (event->what == what)
            snprintf(found.text, sizeof found.text, "%.*s", (int)event->text.n, (const char *)event->text.p);
    return found;
}
