#ifndef LOAD_RTT_H
#define LOAD_RTT_H

#include "load.h"

enum { RTT_MODES = 4 };

/* By the names of their protocols. */
extern const struct mode rtt_modes[RTT_MODES];

#endif
