/* What all threads of a server know together of those who come: guesses, logins, connections, and how much a user has
 * sent. */
#ifndef MAILSERVERD_GATE_H
#define MAILSERVERD_GATE_H

#include "crowd.h"
#include "guard.h"
#include "remembered.h"

struct gate {
    struct guard guard;
    struct remembered remembered;
    struct crowd crowd;
    struct meter messages, recipients; /* of accounts, at submission */
    uint64_t over_limit;               /* atomic: messages and recipients refused for that, ever */
};

/* False: it has told standard error. */
bool gate_begin(struct gate *gate);
void gate_end(struct gate *gate);

/* Lines for status. */
void gate_show(struct gate *gate, uint64_t failures_max, FILE *out);

#endif
