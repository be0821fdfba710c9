#ifndef LOAD_IDLE_H
#define LOAD_IDLE_H

#include "load.h"

extern const struct mode idle_mode;

#endif
