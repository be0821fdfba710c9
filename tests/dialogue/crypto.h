/* Primitives of cryptography for tests: right, and neither fast nor safe.  Their random numbers are always the same. */
#ifndef DIALOGUE_CRYPTO_H
#define DIALOGUE_CRYPTO_H

#include <mailsrv/tls.h>

/* The n-th call of `random` gives octets of the value n, counted in `*calls`. */
mailsrv_crypto test_crypto(uint8_t *calls);

#endif
