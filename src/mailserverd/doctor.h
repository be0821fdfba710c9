#ifndef MAILSERVERD_DOCTOR_H
#define MAILSERVERD_DOCTOR_H

#include "config.h"

/* Looks through the whole store, which nobody serves meanwhile, and through users and aliases.  The exit status. */
int doctor(const struct config *config);

#endif
