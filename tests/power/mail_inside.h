/* What the files of the model of mail share. */
#ifndef TESTS_POWER_MAIL_INSIDE_H
#define TESTS_POWER_MAIL_INSIDE_H

#include "mail.h"

void mail_wrong(struct mail *m, const char *text, uint32_t number);

/* ---- Questions ---- */
mailsrv_asked *mail_ask(struct mail *m, int engine, int32_t kind, int account, const void *arg);
void mail_settle(struct mail *m); /* waits for every answer */
/* Asks and waits; the value, or NULL. */
const void *mail_hear(struct mail *m, int engine, int32_t kind, int account, const void *arg, mailsrv_asked **out);
int32_t mail_status_of(const mailsrv_asked *asked);
const void *mail_value_of(const mailsrv_asked *asked);

struct opened {
    mailsrv_asked *store, *mbox;
    uint64_t store_handle;
    mailsrv_mbox_opened value;
};

bool mail_open_store(struct mail *m, int account, struct opened *out);
/* A mailbox, with its store; INBOX by its name. */
bool mail_open_box(struct mail *m, int account, const struct box *box, struct opened *out);
void mail_close_box(struct mail *m, struct opened *box);

/* ---- What is known ---- */
uint8_t mail_octet(uint32_t number, size_t i); /* of a message */
mailsrv_bytes mail_uidl_of(uint32_t number, char text[16]);
mailsrv_bytes mail_record_of(uint32_t number, uint32_t version, char text[16]);
/* What a version of an item is due at, and its lane, one of LANES. */
int64_t mail_due_of(uint32_t number, uint32_t version);
mailsrv_bytes mail_lane_of(uint32_t number, uint32_t version);
/* A message has that UID and modseq: they only ever ascend. */
void mail_was_given(struct mail *m, int account, struct box *box, struct message *message, uint32_t uid,
                    uint64_t modseq);
void mail_raise_marks(struct mail *m);
/* A mailbox that is there, by chance. */
struct box *mail_some_box(struct mail *m, int account, uint64_t random);
bool mail_has_room(const struct box *box, size_t more);

/* INBOX has no message any more. */
void mail_empty_inbox(struct account *account);

extern const mailsrv_bytes mail_keywords[KEYWORDS];

#endif
