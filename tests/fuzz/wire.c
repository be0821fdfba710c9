/* The control socket of mailserverd: frames come out as they were put in, up to the first that is none. */
#include "fuzz.h"

#include "wire.h"

#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 5 };

/* By the words of wire.h; false: it is no frame, or not all of it is there. */
static bool plain_frame(struct span *from, enum wire_kind *kind, struct span *octets)
{
    const uint8_t *p = (const uint8_t *)from->p;
    if (from->n < HEAD || p[0] == 0 || strchr("wgdeorx", p[0]) == NULL)
        return false;
    const size_t n = p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16 | (size_t)p[4] << 24;
    if (n > WIRE_OCTETS_MAX || n > from->n - HEAD)
        return false;
    *kind = (enum wire_kind)p[0];
    *octets = mailsrv__span_first(mailsrv__span_after(*from, HEAD), n);
    *from = mailsrv__span_after(*from, HEAD + n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    int both[2];
    struct frame *frame = must(malloc(sizeof *frame));
    struct span rest = { (const char *)p, n }, octets;
    enum wire_kind kind;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, both) == 0, "no sockets");
    CHECK(n == 0 || send(both[0], p, n, MSG_NOSIGNAL) == (ssize_t)n, "not all fits in");
    shutdown(both[0], SHUT_WR);
    while (plain_frame(&rest, &kind, &octets)) {
        CHECK(wire_receive(both[1], frame), "a frame is missing");
        CHECK(frame->kind == kind && mailsrv__span_equal((struct span){ frame->octets, frame->n }, octets),
              "another frame");
    }
    CHECK(!wire_receive(both[1], frame), "a frame from nowhere");
    close(both[0]);
    close(both[1]);
    free(frame);
    return 0;
}
