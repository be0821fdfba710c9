/* An operation in words, for `O:` lines and messages. */
#ifndef DIALOGUE_WORDS_H
#define DIALOGUE_WORDS_H

#include "text.h"

#include <mailsrv/mailsrv.h>

/* Adds the words of its argument, none before or after. */
void op_words(const mailsrv_op *op, struct buffer *out);

/* A number made of all octets of its argument: it must not change while the operation is out. */
uint64_t op_digest(const mailsrv_op *op);

#endif
