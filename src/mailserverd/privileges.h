/* Being nobody in particular, once what only root may do is done. */
#ifndef MAILSERVERD_PRIVILEGES_H
#define MAILSERVERD_PRIVILEGES_H

#include "config.h"

/* Becomes the user of the configuration for good, to whom the data directory is given where it is made.  Without one,
 * or where this is not root, it stays who it is.  False: it has told standard error. */
bool privileges_drop(const struct config *config);

#endif
