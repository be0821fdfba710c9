/* mbedTLS uses extended_master_secret whenever both sides have it, and does not say so.  Without it what an exporter
 * gives is not this connection's alone (RFC 9266 section 4.2), so the other side's hello is looked at on its way.
 *
 * mbedTLS 3 puts a message together of several records before it looks at what it is: what is none, or larger than
 * mbedTLS can take, ends here. */
#include "provider.h"

enum { RECORD_HEADER = 5, HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_HELLO = 2 };
enum {
    EXTENDED_MASTER_SECRET = 23,
    MESSAGE_OCTETS_MAX = 16380,
    VERSION_AND_RANDOM = 2 + 32,
    SUITE_AND_COMPRESSION = 3
};

/* ClientHello (RFC 5246 section 7.4.1.2): what is read, one after the other.  Of a ServerHello the same, but that it
 * has one suite and one compression, of three octets, behind its session. */
enum stage {
    AT_MESSAGE,     /* its type, one octet */
    AT_SIZE,        /* its length, three */
    AT_SESSION,     /* behind its version and random: one octet of length */
    AT_SUITES,      /* two octets of length */
    AT_COMPRESSION, /* one */
    AT_EXTENSIONS,  /* two: of all extensions */
    AT_EXTENSION,   /* its number, two octets */
    AT_LENGTH,      /* its length, two octets */
    AT_END          /* nothing is looked at any more */
};

static unsigned width(uint8_t stage)
{
    if (stage == AT_SIZE)
        return 3;
    return stage == AT_MESSAGE || stage == AT_SESSION || stage == AT_COMPRESSION ? 1 : 2;
}

static void take_length(struct hello *h)
{
    uint32_t used = 4 + h->value;
    h->offers_ems |= h->extension == EXTENDED_MASTER_SECRET;
    h->extensions_left = (uint16_t)(used < h->extensions_left ? h->extensions_left - used : 0);
    h->skip = h->value;
    h->stage = h->extensions_left == 0 ? AT_END : AT_EXTENSION;
}

/* Behind it a server may have no extensions, and then another message follows. */
static void take_session(struct hello *h)
{
    h->skip = h->value;
    h->stage = AT_SUITES;
    if (!h->of_server)
        return;
    h->skip += SUITE_AND_COMPRESSION;
    h->stage = h->message > VERSION_AND_RANDOM + 1 + h->skip ? AT_EXTENSIONS : AT_END;
}

/* A number is complete. */
static void take_value(struct hello *h)
{
    switch (h->stage) {
    case AT_MESSAGE:
        h->is_wrong = h->value != (h->of_server ? SERVER_HELLO : CLIENT_HELLO);
        h->stage = h->is_wrong ? AT_END : AT_SIZE;
        break;
    case AT_SIZE:
        h->is_wrong = h->value > MESSAGE_OCTETS_MAX;
        h->skip = VERSION_AND_RANDOM;
        h->message = (uint16_t)h->value;
        h->stage = h->is_wrong ? AT_END : AT_SESSION;
        break;
    case AT_SESSION:
        take_session(h);
        break;
    case AT_EXTENSIONS:
        h->extensions_left = (uint16_t)h->value;
        h->stage = h->value == 0 ? AT_END : AT_EXTENSION;
        break;
    case AT_EXTENSION:
        h->extension = (uint16_t)h->value;
        h->stage = AT_LENGTH;
        break;
    case AT_LENGTH:
        take_length(h);
        break;
    default:
        h->skip = h->value;
        h->stage++;
    }
    h->have = 0;
    h->value = 0;
}

static void take_octet(struct hello *h, uint8_t octet)
{
    if (h->skip != 0) {
        h->skip--;
        return;
    }
    h->value = h->value << 8 | octet;
    if (++h->have == width(h->stage))
        take_value(h);
}

/* The record's header: its type, its version, its length. */
static void take_header(struct hello *h, uint8_t octet)
{
    if (h->header == 0 && octet != HANDSHAKE)
        h->stage = AT_END;
    h->record_left = (uint16_t)(h->record_left << 8 | octet);
    if (++h->header == RECORD_HEADER && h->record_left == 0)
        h->header = 0; /* an empty one */
}

void mailsrv__mbedtls_hello(struct hello *h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n && h->stage != AT_END; i++) {
        if (h->header < RECORD_HEADER) {
            take_header(h, p[i]);
            continue;
        }
        take_octet(h, p[i]);
        if (--h->record_left == 0)
            h->header = 0;
    }
}
