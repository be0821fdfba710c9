/* Frames between a subcommand and who has the store: a running server, or a child of the subcommand's own.
 *
 *     kind, 1 octet; length, 4 octets, little-endian; so many octets
 *
 * A command is WORDs and a GO; its input is DATA and an END; what comes back is OUT, ERR and DATA, and at last EXIT.
 * Both ends are of one program and one user; a frame that is not as it should be ends the connection. */
#ifndef MAILSERVERD_WIRE_H
#define MAILSERVERD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define WIRE_OCTETS_MAX 65536 /* of one frame */

enum wire_kind {
    WIRE_WORD = 'w', /* of the command */
    WIRE_GO = 'g',
    WIRE_DATA = 'd',
    WIRE_END = 'e', /* of DATA */
    WIRE_OUT = 'o', /* for standard output */
    WIRE_ERR = 'r', /* for standard error */
    WIRE_EXIT = 'x' /* one octet: the status */
};

struct frame {
    enum wire_kind kind;
    size_t n;
    char octets[WIRE_OCTETS_MAX];
};

bool wire_send(int fd, enum wire_kind kind, const void *p, size_t n);

/* The next frame; false: the other end has gone, or is not one of ours. */
bool wire_receive(int fd, struct frame *out);

/* A stream whose text goes out as frames of a kind; closed by fclose.  NULL: out of memory. */
FILE *wire_stream(int fd, enum wire_kind kind);

#endif
