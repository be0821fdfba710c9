/* A durable store with everything in it, written on one machine and read on another.
 *
 *     store write DIRECTORY    makes the store
 *     store read DIRECTORY     prints all that can be read of it, as text that is the same on every machine
 */
#include "ways.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Writing ---- */

static const mailsrv_id nowhere;

static uint8_t octet(uint32_t seed, uint64_t i)
{
    return (uint8_t)(seed * 31 + i * 7 + i / 251);
}

struct letter {
    int account;
    mailsrv_id mailbox;
    uint32_t seed, uid;
    size_t octets;
    const char *prefix, *uidl, *keywords[2];
    uint32_t flags;
    const char *record; /* of a queue item */
};

static void write_body(struct way *w, const struct letter *letter, uint64_t body)
{
    uint8_t piece[4096];
    for (size_t at = 0; at < letter->octets;) {
        size_t n = letter->octets - at < sizeof piece ? letter->octets - at : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = octet(letter->seed, at + i);
        mailsrv_arg_body_write arg = { sizeof arg, 0, body, at, { piece, n } };
        mailsrv_asked *asked = way_ask(w, MAILSRV_OP_BODY_WRITE, letter->account, &arg);
        mailsrv_asked_free(asked);
        at += n;
    }
}

static mailsrv_result send(struct way *w, const struct letter *letter)
{
    mailsrv_asked *body, *commit;
    mailsrv_arg_body_begin begin = { sizeof begin, 0, 0 };
    const mailsrv_body_begun *begun = way_hear(w, MAILSRV_OP_BODY_BEGIN, letter->account, &begin, &body);
    mailsrv_staged staged = { .size = sizeof staged, .body = begun->body, .octets = letter->octets };
    mailsrv_bytes keywords[2] = { way_bytes(letter->keywords[0]), way_bytes(letter->keywords[1]) };
    write_body(w, letter, begun->body);
    mailsrv_target target = {
        .size = sizeof target,
        .kind = letter->record != NULL ? MAILSRV_TARGET_QUEUE : MAILSRV_TARGET_MAILBOX,
        .flags = letter->flags,
        .account = w->shore.accounts[letter->account],
        .mailbox = letter->mailbox,
        .internal_us = INT64_C(-1234567890123456) + letter->seed,
        .prefix = way_bytes(letter->prefix),
        .recipient = way_bytes("to@here.test"),
        .record = way_bytes(letter->record),
        .due_us = INT64_C(-1234567890123456) - letter->seed,
        .lane = way_bytes(letter->record),
        .keywords = keywords,
        .n_keywords = (size_t)(keywords[0].n != 0) + (keywords[1].n != 0),
        .uid = letter->uid,
        .uidl = way_bytes(letter->uidl),
    };
    mailsrv_arg_body_commit arg = { .size = sizeof arg, .n_bodies = 1, .body_stride = sizeof staged, .n_targets = 1,
                                    .target_stride = sizeof target, .bodies = &staged, .targets = &target,
                                    .reverse_path = way_bytes("from@there.test"),
                                    .saved_us = INT64_C(1700000000123456) };
    const mailsrv_committed *value = way_hear(w, MAILSRV_OP_BODY_COMMIT, letter->account, &arg, &commit);
    mailsrv_result result = value->results[0];
    way_expect(result.status == MAILSRV_OK, "COMMIT");
    mailsrv_asked_free(commit);
    mailsrv_asked_free(body);
    way_turn(w);
    return result;
}

static void flag(struct way *w, const struct way_box *box, mailsrv_run run, int32_t how, uint32_t flags,
                 const char *keyword)
{
    mailsrv_bytes name = way_bytes(keyword);
    mailsrv_asked *asked;
    mailsrv_arg_flags arg = { .size = sizeof arg, .how = how, .mbox = box->value.mbox, .uids = &run, .keywords = &name,
                              .n_uids = 1, .n_keywords = name.n != 0, .flags = flags,
                              .unchanged_since = UINT64_MAX };
    way_hear(w, MAILSRV_OP_FLAGS, box->account, &arg, &asked);
    mailsrv_asked_free(asked);
}

static void expunge(struct way *w, const struct way_box *box, mailsrv_run run)
{
    mailsrv_asked *asked;
    mailsrv_arg_expunge arg = { .size = sizeof arg, .mbox = box->value.mbox, .uids = &run, .n_uids = 1 };
    way_hear(w, MAILSRV_OP_EXPUNGE, box->account, &arg, &asked);
    mailsrv_asked_free(asked);
}

static void copy(struct way *w, const struct way_box *box, mailsrv_run run, mailsrv_id to)
{
    mailsrv_asked *asked;
    mailsrv_arg_copy arg = { .size = sizeof arg, .n_uids = 1, .mbox = box->value.mbox, .uids = &run, .to = to,
                             .saved_us = INT64_C(1700000001000001) };
    way_hear(w, MAILSRV_OP_COPY, box->account, &arg, &asked);
    mailsrv_asked_free(asked);
}

static mailsrv_id create(struct way *w, int account, const char *name, uint32_t attributes)
{
    struct way_box box;
    mailsrv_asked *asked;
    way_store(w, account, &box);
    mailsrv_arg_mbox_create arg = { sizeof arg, attributes, box.store, way_bytes(name), INT64_C(1700000000000000), 0, 0 };
    const mailsrv_mbox_created *value = way_hear(w, MAILSRV_OP_MBOX_CREATE, account, &arg, &asked);
    mailsrv_id id = value->mailbox;
    mailsrv_asked_free(asked);
    way_leave(w, &box);
    return id;
}

static void rename_to(struct way *w, int account, mailsrv_id id, const char *name)
{
    struct way_box box;
    way_store(w, account, &box);
    mailsrv_arg_mbox_rename arg = { sizeof arg, 0, box.store, id, way_bytes(name), INT64_C(1700000000000000) };
    mailsrv_asked_free(way_ask(w, MAILSRV_OP_MBOX_RENAME, account, &arg));
    way_leave(w, &box);
}

static void remove_and_subscribe(struct way *w, int account, mailsrv_id id, const char *subscribed)
{
    struct way_box box;
    way_store(w, account, &box);
    mailsrv_arg_mbox_delete arg = { sizeof arg, 0, box.store, id };
    mailsrv_asked_free(way_ask(w, MAILSRV_OP_MBOX_DELETE, account, &arg));
    mailsrv_arg_mbox_subscribe on = { sizeof on, 1, box.store, way_bytes(subscribed) };
    mailsrv_asked_free(way_ask(w, MAILSRV_OP_MBOX_SUBSCRIBE, account, &on));
    way_leave(w, &box);
}

static void fill_inbox(struct way *w)
{
    struct way_box box;
    for (uint32_t i = 1; i <= 12; i++)
        send(w, &(struct letter){ .seed = i, .octets = 100 + i * 1000, .prefix = "Return-Path: <>\r\n",
                                  .keywords = { i % 2 != 0 ? "$Forwarded" : NULL }, .flags = i % 4 });
    send(w, &(struct letter){ .seed = 20, .octets = 300000, .uid = 4000000000u, .uidl = "an~imported!uidl" });
    way_open(w, 0, nowhere, &box);
    flag(w, &box, (mailsrv_run){ 2, 5 }, MAILSRV_FLAGS_ADD, MAILSRV_FLAG_DELETED, "Gr\xc3\xbc\xc3\x9f" "e");
    flag(w, &box, (mailsrv_run){ 7, 9 }, MAILSRV_FLAGS_SET, MAILSRV_FLAG_ANSWERED | MAILSRV_FLAG_DRAFT, NULL);
    expunge(w, &box, (mailsrv_run){ 3, 3 });
    expunge(w, &box, (mailsrv_run){ 10, 11 });
    way_leave(w, &box);
}

/* Keywords above the 64th. */
static void fill_dictionary(struct way *w, mailsrv_id id)
{
    struct way_box box;
    char name[16];
    way_open(w, 0, id, &box);
    for (uint32_t i = 0; i < 70; i++) {
        snprintf(name, sizeof name, "word-%u", i);
        flag(w, &box, (mailsrv_run){ 1 + i % 3, 1 + i % 3 }, MAILSRV_FLAGS_ADD, 0, name);
    }
    way_leave(w, &box);
}

static void fill_mailboxes(struct way *w)
{
    struct way_box box;
    mailsrv_id sent = create(w, 0, "Sent", MAILSRV_NAME_SENT | MAILSRV_NAME_SUBSCRIBED);
    mailsrv_id tree = create(w, 0, "tree", 0), gone = create(w, 0, "gone", MAILSRV_NAME_SUBSCRIBED);
    create(w, 0, "tree/leaf", 0);
    way_open(w, 0, nowhere, &box);
    copy(w, &box, (mailsrv_run){ 1, UINT32_MAX }, sent);
    copy(w, &box, (mailsrv_run){ 4, 8 }, gone);
    way_leave(w, &box);
    fill_dictionary(w, sent);
    rename_to(w, 0, tree, "inbox/b\xc3\xa4ume");
    remove_and_subscribe(w, 0, gone, "nobody has this");
    create(w, 1, "Archiv", MAILSRV_NAME_ARCHIVE);
    send(w, &(struct letter){ .account = 1, .seed = 50, .octets = 5000 });
    way_open(w, 1, nowhere, &box);
    rename_to(w, 1, box.value.mailbox, "old");
    way_leave(w, &box);
    send(w, &(struct letter){ .account = 1, .seed = 51, .octets = 5001 });
}

static void fill_queue(struct way *w)
{
    uint64_t gone = send(w, &(struct letter){ .seed = 60, .octets = 10, .record = "goes" }).queue;
    uint64_t kept = send(w, &(struct letter){ .seed = 61, .octets = 400000, .record = "first" }).queue;
    mailsrv_arg_queue_update update = { .size = sizeof update,
                                        .queue = kept,
                                        .record = way_bytes("second"),
                                        .due_us = INT64_C(1700000001654321),
                                        .lane = way_bytes("lane.test") };
    mailsrv_asked_free(way_ask(w, MAILSRV_OP_QUEUE_UPDATE, 0, &update));
    mailsrv_arg_queue_delete drop = { sizeof drop, 1, &gone };
    mailsrv_asked_free(way_ask(w, MAILSRV_OP_QUEUE_DELETE, 0, &drop));
}

int main(int argc, char **argv)
{
    static struct way w;
    if (argc != 3)
        return 2;
    way_begin(&w, argv[2]);
    if (strcmp(argv[1], "write") == 0) {
        fill_inbox(&w);
        fill_mailboxes(&w);
        fill_queue(&w);
    } else {
        way_print(&w);
    }
    way_end(&w);
    return 0;
}
