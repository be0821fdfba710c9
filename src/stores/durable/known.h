/* Inside the durable store: what is known of mailboxes that were opened, so that opening them again, and asking what
 * has changed where nothing has, is answered on the engine's thread, without a way to the reader and back.
 *
 * What is known of an account is of one version of it.  The writer makes a version end before it answers or commits
 * what changes the account, and another one begin after the commit: so what is answered from here is what the reader
 * would find in the index at that moment.  Versions are counted by a hash of the account; everything here is
 * bounded, and may be forgotten at any time. */
#ifndef STORES_DURABLE_KNOWN_H
#define STORES_DURABLE_KNOWN_H

#include <mailsrv/op.h>

#include <stdbool.h>

#define KNOWN_PLACES 1024 /* of accounts, of mailboxes, and of names: each has one place, by its hash */
#define KNOWN_NAME_OCTETS 64
#define KNOWN_KEYWORDS 32
#define KNOWN_KEYWORD_OCTETS 512

struct durable;

struct known_account {
    mailsrv_id there;  /* one that there is; zero: none is known */
    uint32_t version;  /* of those with this hash */
    uint32_t changing; /* commits that are being made */
};

/* A mailbox as it was in a version of its account. */
struct known_mailbox {
    mailsrv_id account, id;
    uint32_t version;
    uint32_t uidvalidity, uidnext;
    uint64_t exists, modseq, horizon;
    uint32_t n_keywords;
    uint16_t keyword_octets[KNOWN_KEYWORDS];
    uint8_t keywords[KNOWN_KEYWORD_OCTETS]; /* one behind the other */
};

struct known_name {
    mailsrv_id account, mailbox;
    uint32_t version;
    size_t n;
    uint8_t text[KNOWN_NAME_OCTETS];
};

struct known {
    struct known_account accounts[KNOWN_PLACES];
    struct known_mailbox *mailboxes[KNOWN_PLACES];
    struct known_name *names[KNOWN_PLACES];
};

/* Which accounts a transaction has changed, by their hash. */
struct changed_accounts {
    uint64_t bits[KNOWN_PLACES / 64];
};

void mailsrv__durable_known_free(struct durable *d);

/* ---- By the writer ---- */
void mailsrv__durable_known_mark(struct changed_accounts *changed, const mailsrv_id *account);
void mailsrv__durable_known_mark_all(struct changed_accounts *changed);
bool mailsrv__durable_known_is_marked(const struct changed_accounts *changed, const mailsrv_id *account); /* perhaps */
/* Around a commit that changes those accounts. */
void mailsrv__durable_known_ends(struct durable *d, const struct changed_accounts *changed);
void mailsrv__durable_known_begins(struct durable *d, const struct changed_accounts *changed);

/* ---- By the reader ---- */
/* Before anything is read of an account: its version. */
uint32_t mailsrv__durable_known_version(struct durable *d, const mailsrv_id *account);
/* With the lock: nothing of the account was changed since that version was asked for, nor is just now. */
bool mailsrv__durable_known_is_current(struct durable *d, const mailsrv_id *account, uint32_t version);
void mailsrv__durable_know_account(struct durable *d, const mailsrv_id *account);
/* `name`: as it was asked for; empty: it was not.  What does not fit is not kept. */
void mailsrv__durable_know_mailbox(struct durable *d, const struct known_mailbox *mailbox, mailsrv_bytes name);
/* False: the names are too many. */
bool mailsrv__durable_known_take_keywords(struct known_mailbox *to, const mailsrv_bytes *names, uint32_t n);

/* ---- On the engine's thread ---- */
struct binding;
/* True: it is answered. */
bool mailsrv__durable_answer_known(struct binding *b, mailsrv_engine *engine, const mailsrv_op *op);

#endif
