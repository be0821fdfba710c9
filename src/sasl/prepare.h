/* SASLprep (RFC 4013), without its normalization. */
#ifndef SASL_PREPARE_H
#define SASL_PREPARE_H

#include "text/utf8.h"

/* Writes `text` as it is prepared: never longer.  False: something in it is forbidden, or is no UTF-8. */
bool mailsrv__sasl_prepare(struct span text, struct writer *w);

#endif
