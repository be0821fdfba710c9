/* house.h - what the full servers have in common, whatever their loop is: who has mail here, where it is kept, and what
 * is spoken at which door.
 *
 * The accounts are those of a directory (accounts.h): `mkdir -p mail/pat && printf secret >mail/pat/password` makes
 * pat@here.test.  Their mail is in the durable store mail/.store.  With a certificate and its key in mail/tls.pem there
 * is TLS, and no password is taken without it. */
#ifndef HOUSE_H
#define HOUSE_H

#include <mailsrv/mailsrv.h>

#include <stdint.h>

enum { DOORS = 8 };

struct house {
    mailsrv_store *store;
    struct user *users;
    struct door {
        const char *name;
        uint16_t port; /* the usual one, or moved */
        mailsrv_profile *profile;
    } doors[DOORS];
    int n_doors;
};

/* What cannot be done ends the program, and says which. */
void house_must(int32_t status, const char *what);

/* Opens the store of a directory, and makes accounts of those who are new there.  `base` is added to the usual ports,
 * 25 and so on; NULL: they are 0, any free ones. */
void house_open(struct house *house, const char *directory, const char *base);

/* Answers what an engine asks; `wake` as for mailsrv_durable_bind. */
void house_serve(struct house *house, mailsrv_engine *engine, void (*wake)(void *user), void *user);

/* A socket that listens at a door, on loopback, and does not block; says `NAME ADDRESS:PORT` on standard output. */
int house_listen(const struct door *door);

/* Who is at the other end of a connection. */
mailsrv_peer house_peer(int socket);

/* After the engine's end. */
void house_close(struct house *house);

#endif
