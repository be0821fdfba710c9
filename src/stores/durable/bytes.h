/* Inside the durable store: numbers and octets as they are in files. */
#ifndef STORES_DURABLE_BYTES_H
#define STORES_DURABLE_BYTES_H

#include <mailsrv/store.h>

#include <stdbool.h>

/* ---- bytes.c: numbers as they are in files, and memory that grows ---- */
struct buffer {
    uint8_t *p;
    size_t n, room;
    bool failed; /* there was no memory: what it holds is not whole */
};

void mailsrv__durable_put(struct buffer *to, const void *p, size_t n);
void mailsrv__durable_put_number(struct buffer *to, uint64_t value, int octets);
void mailsrv__durable_put_bytes(struct buffer *to, mailsrv_bytes bytes); /* a length, then the octets */
void mailsrv__durable_put_id(struct buffer *to, const mailsrv_id *id);
void mailsrv__durable_set_number(uint8_t *to, uint64_t value, int octets);

struct reader {
    const uint8_t *p;
    size_t n;
    bool bad; /* it ended too soon */
};

uint64_t mailsrv__durable_get_number(struct reader *from, int octets);
mailsrv_bytes mailsrv__durable_get_bytes(struct reader *from);
mailsrv_id mailsrv__durable_get_id(struct reader *from);

/* ---- crc.c ---- */
/* CRC-32C of what comes behind octets that had the CRC `before`; 0: behind nothing. */
uint32_t mailsrv__durable_crc(uint32_t before, const uint8_t *p, size_t n);
uint32_t mailsrv__durable_crc_by_table(uint32_t before, const uint8_t *p, size_t n); /* the same, on any machine */

#endif
