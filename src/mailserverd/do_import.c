/* import: mail comes by the exchange format, and is committed many messages at a time. */
#include "exchange.h"
#include "mailboxes.h"

#include <mailsrv/message.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH_MAX = 64,          /* messages of one commit */
    BATCH_OCTETS = 16 << 20, /* and no more octets than this, but for one message */
    CHUNK = 128 << 10,
    KEYWORDS_MAX = 128,
    TOLD_EVERY = 1000
};

struct waiting {
    mailsrv_asked *begun;     /* its body */
    mailsrv_scanner *scanner; /* that has made its structure; NULL: there was no memory, and a reader makes one */
    struct exchanged_message about;
    mailsrv_bytes keywords[KEYWORDS_MAX];
};

struct import {
    struct errand *errand;
    struct mailboxes of;
    mailsrv_id mailbox;
    bool has_mailbox;
    struct waiting *all; /* BATCH_MAX */
    mailsrv_staged *staged;
    mailsrv_target *targets;
    size_t n;
    uint64_t octets;          /* in the batch */
    uint64_t imported, moved; /* messages; of them with another UID than they had */
    char *chunk;
};

static int64_t now_us(void)
{
    struct timespec now = { 0, 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- A commit ---- */

static uint32_t cut_keywords(struct waiting *w)
{
    uint32_t n = 0;
    for (const char *p = w->about.keywords; *p != '\0' && n < KEYWORDS_MAX; n++) {
        const size_t octets = strcspn(p, " ");
        w->keywords[n] = (mailsrv_bytes){ (const uint8_t *)p, octets };
        p += octets + strspn(p + octets, " ");
    }
    return n;
}

static void fill_target(struct import *im, size_t i, bool with_uid)
{
    struct waiting *w = &im->all[i];
    im->targets[i] = (mailsrv_target){ .size = sizeof *im->targets,
                                       .kind = MAILSRV_TARGET_MAILBOX,
                                       .body_index = (uint32_t)i,
                                       .flags = w->about.flags,
                                       .account = im->of.account,
                                       .mailbox = im->mailbox,
                                       .internal_us = w->about.internal_us,
                                       .keywords = w->keywords,
                                       .n_keywords = cut_keywords(w),
                                       .uid = with_uid ? w->about.uid : 0,
                                       .uidl = { (const uint8_t *)w->about.uidl, strlen(w->about.uidl) } };
}

static int32_t commit_some(struct import *im, bool with_uids)
{
    const mailsrv_arg_body_commit arg = { .size = sizeof arg,
                                          .atomic = 1,
                                          .n_bodies = (uint32_t)im->n,
                                          .body_stride = sizeof *im->staged,
                                          .n_targets = (uint32_t)im->n,
                                          .target_stride = sizeof *im->targets,
                                          .bodies = im->staged,
                                          .targets = im->targets,
                                          .saved_us = now_us() };
    mailsrv_asked *asked;
    for (size_t i = 0; i < im->n; i++)
        fill_target(im, i, with_uids);
    int32_t status = desk_ask(im->of.desk, MAILSRV_OP_BODY_COMMIT, &im->of.account, &arg, &asked);
    const mailsrv_committed *done = status == MAILSRV_OK ? desk_value(asked) : NULL;
    for (size_t i = 0; done != NULL && i < done->n && status == MAILSRV_OK; i++)
        status = ((const mailsrv_result *)(const void *)((const char *)done->results + i * done->stride))->status;
    desk_free(im->of.desk, asked);
    return status;
}

static void forget(struct import *im)
{
    for (size_t i = 0; i < im->n; i++) {
        desk_free(im->of.desk, im->all[i].begun);
        mailsrv_scanner_free(im->all[i].scanner);
    }
    im->n = 0;
    im->octets = 0;
}

/* UIDs that the mailbox cannot give any more are given up for the whole batch. */
static int32_t commit(struct import *im)
{
    int32_t status = im->n == 0 ? MAILSRV_OK : commit_some(im, true);
    if (status == MAILSRV_ALREADYEXISTS) {
        status = commit_some(im, false);
        im->moved += im->n;
    }
    const uint64_t before = im->imported;
    if (status == MAILSRV_OK)
        im->imported += im->n;
    forget(im);
    if (im->imported / TOLD_EVERY != before / TOLD_EVERY)
        fprintf(im->errand->err, "mailserverd: %" PRIu64 " messages\n", im->imported);
    return status;
}

/* ---- A message ---- */

static int32_t write_body(struct import *im, mailsrv_scanner *scanner, uint64_t body, uint64_t octets)
{
    int32_t status = MAILSRV_OK;
    for (uint64_t at = 0; at < octets && status == MAILSRV_OK;) {
        const size_t n = octets - at < CHUNK ? (size_t)(octets - at) : CHUNK;
        if (!errand_read(im->errand, im->chunk, n))
            return MAILSRV_TEMP;
        const mailsrv_arg_body_write arg = { .size = sizeof arg,
                                             .body = body,
                                             .offset = at,
                                             .octets = { (const uint8_t *)im->chunk, n } };
        status = desk_do(im->of.desk, MAILSRV_OP_BODY_WRITE, &im->of.account, &arg);
        if (scanner != NULL)
            mailsrv_scanner_feed(scanner, (const uint8_t *)im->chunk, n);
        at += n;
    }
    return status;
}

/* With the structure, which is not made later, when clients ask for it. */
static int32_t stage(struct import *im, struct waiting *w, uint64_t body)
{
    mailsrv_staged *staged = &im->staged[im->n];
    *staged = (mailsrv_staged){ .size = sizeof *staged, .body = body, .octets = w->about.octets };
    if (mailsrv_scanner_new(NULL, &w->scanner) != MAILSRV_OK)
        w->scanner = NULL;
    const int32_t status = write_body(im, w->scanner, body, w->about.octets);
    if (w->scanner != NULL && mailsrv_scanner_end(w->scanner, &staged->structure) != MAILSRV_OK)
        staged->structure = (mailsrv_bytes){ NULL, 0 };
    return status;
}

static int32_t take_message(struct import *im, const struct exchanged_message *about)
{
    const mailsrv_arg_body_begin arg = { .size = sizeof arg, .octets_hint = about->octets };
    struct waiting *w = &im->all[im->n];
    w->scanner = NULL;
    int32_t status = desk_ask(im->of.desk, MAILSRV_OP_BODY_BEGIN, &im->of.account, &arg, &w->begun);
    if (status == MAILSRV_OK) {
        w->about = *about;
        status = stage(im, w, ((const mailsrv_body_begun *)desk_value(w->begun))->body);
    }
    if (status != MAILSRV_OK) {
        desk_free(im->of.desk, w->begun);
        mailsrv_scanner_free(w->scanner);
        return status;
    }
    im->n++;
    im->octets += about->octets;
    return im->n == BATCH_MAX || im->octets >= BATCH_OCTETS ? commit(im) : MAILSRV_OK;
}

/* ---- A mailbox ---- */

/* The UIDVALIDITY that it had is kept where that can be, and with it what clients know of the mailbox. */
static int32_t make_mailbox(struct import *im, const struct exchanged_mailbox *about, uint32_t uidvalidity)
{
    const mailsrv_arg_mbox_create arg = { .size = sizeof arg,
                                          .attributes = about->attributes,
                                          .store = im->of.store,
                                          .name = { (const uint8_t *)about->name, strlen(about->name) },
                                          .unix_us = now_us(),
                                          .uidvalidity = uidvalidity };
    mailsrv_asked *asked;
    const int32_t status = desk_ask(im->of.desk, MAILSRV_OP_MBOX_CREATE, &im->of.account, &arg, &asked);
    if (status == MAILSRV_OK)
        im->mailbox = ((const mailsrv_mbox_created *)desk_value(asked))->mailbox;
    desk_free(im->of.desk, asked);
    return status;
}

static int32_t find_mailbox(struct import *im, const struct exchanged_mailbox *about)
{
    const mailsrv_arg_mbox_status arg = { .size = sizeof arg,
                                          .store = im->of.store,
                                          .name = { (const uint8_t *)about->name, strlen(about->name) } };
    mailsrv_asked *asked;
    const int32_t status = desk_ask(im->of.desk, MAILSRV_OP_MBOX_STATUS, &im->of.account, &arg, &asked);
    if (status == MAILSRV_OK)
        im->mailbox = ((const mailsrv_mbox_status *)desk_value(asked))->mailbox;
    desk_free(im->of.desk, asked);
    return status;
}

/* INBOX is always there, and can be imported while it is new. */
static int32_t enter_mailbox(struct import *im, const struct exchanged_mailbox *about)
{
    int32_t status = about->uidvalidity != 0 ? make_mailbox(im, about, about->uidvalidity) : MAILSRV_ALREADYEXISTS;
    if (status == MAILSRV_ALREADYEXISTS)
        status = find_mailbox(im, about);
    return status == MAILSRV_NONEXISTENT ? make_mailbox(im, about, 0) : status;
}

static int32_t begin_mailbox(struct import *im, const struct exchanged_mailbox *about)
{
    const mailsrv_arg_mbox_subscribe wanted = { .size = sizeof wanted,
                                                .on = 1,
                                                .store = im->of.store,
                                                .name = { (const uint8_t *)about->name, strlen(about->name) } };
    int32_t status = commit(im);
    if (status == MAILSRV_OK)
        status = enter_mailbox(im, about);
    if (status == MAILSRV_OK && (about->attributes & MAILSRV_NAME_SUBSCRIBED) != 0)
        status = desk_do(im->of.desk, MAILSRV_OP_MBOX_SUBSCRIBE, &im->of.account, &wanted);
    im->has_mailbox = status == MAILSRV_OK;
    return status;
}

/* ---- All of it ---- */

static bool read_input(void *user, void *p, size_t n)
{
    return errand_read(user, p, n);
}

static bool read_input_line(void *user, char *line, size_t room)
{
    return errand_line(user, line, room);
}

static int32_t take_all(struct import *im)
{
    const struct exchange_source from = { im->errand, read_input, read_input_line };
    struct exchanged_mailbox mailbox;
    struct exchanged_message *message = malloc(sizeof *message);
    int32_t status = message == NULL ? MAILSRV_NOMEM : MAILSRV_OK;
    while (status == MAILSRV_OK) {
        const enum exchanged what = exchange_next(&from, &mailbox, message);
        if (what == EXCHANGED_END)
            break;
        if (what == EXCHANGED_MAILBOX)
            status = begin_mailbox(im, &mailbox);
        else
            status = what == EXCHANGED_MESSAGE && im->has_mailbox ? take_message(im, message) : MAILSRV_CANNOT;
    }
    free(message);
    return status == MAILSRV_OK ? commit(im) : status;
}

static void tell(const struct import *im, const char *address)
{
    fprintf(im->errand->out, "%s: %" PRIu64 " messages imported\n", address, im->imported);
    if (im->moved != 0)
        fprintf(im->errand->out, "%s: %" PRIu64 " of them have other UIDs than they had: the mailbox has given those\n",
                address, im->moved);
}

int do_import(struct errand *e)
{
    char address[ADDRESS_MAX];
    struct import im = { .errand = e };
    if (e->argc < 2 || !errand_address(e, e->argv[1], false, address))
        return 1;
    int32_t status = mailboxes_open(&im.of, e->office, address);
    im.all = calloc(BATCH_MAX, sizeof *im.all);
    im.staged = calloc(BATCH_MAX, sizeof *im.staged);
    im.targets = calloc(BATCH_MAX, sizeof *im.targets);
    im.chunk = malloc(CHUNK);
    if (status == MAILSRV_OK)
        status = im.all == NULL || im.staged == NULL || im.targets == NULL || im.chunk == NULL ? MAILSRV_NOMEM
                                                                                               : take_all(&im);
    forget(&im);
    mailboxes_close(&im.of);
    free(im.all);
    free(im.staged);
    free(im.targets);
    free(im.chunk);
    if (status != MAILSRV_NONEXISTENT)
        tell(&im, address);
    return status == MAILSRV_OK ? 0 : errand_failed(e, address, status);
}
