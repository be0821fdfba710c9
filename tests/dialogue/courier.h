/* The courier of a client's session: it has the jobs of a dialogue, and writes down what it is told. */
#ifndef DIALOGUE_COURIER_H
#define DIALOGUE_COURIER_H

#include "run.h"

/* Puts the messages of all jobs into the store's queue, before the engine of the run is made. */
void courier_set_up(struct run *run);

/* Begins the session. */
int32_t courier_begin(struct run *run, const mailsrv_peer *peer);

/* J: one more job is there. */
void courier_add(struct run *run);

/* Answers CREDENTIAL. */
int32_t courier_answer(struct run *run, mailsrv_op_id id);

/* The next line of what it was told.  False: there is none. */
bool courier_line(struct run *run, struct text *line);

/* When the session has gone: everything was told once. */
void courier_check(struct run *run);

void courier_free(struct run *run);

#endif
