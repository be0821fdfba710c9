/* How a session moves: for the files of core/ alone. */
#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/machine.h"

struct op;

int mailsrv__session_run(struct work *work, uint32_t units);
void mailsrv__session_greet(mailsrv_session *session);

/* Notices edges and minds the peer's timer: at the end of whatever changed the session. */
void mailsrv__session_update(mailsrv_session *session);

/* Would the machine take input now? */
bool mailsrv__session_reads(const mailsrv_session *session);

/* Gives the machine input, as far as it takes it. */
void mailsrv__session_take_input(mailsrv_session *session, struct input *in);

/* What follows from a step that was made outside of the machine's turn. */
void mailsrv__session_stepped(mailsrv_session *session, enum step step);

/* The peer will send no more, and all that he sent was given to the machine. */
void mailsrv__session_eof(mailsrv_session *session);

/* The host has done the handshake. */
void mailsrv__session_opened(mailsrv_session *session);

/* No more steps; what is in the output is still sent.  What it held is given up.
 * `why` is a static text for the log. */
void mailsrv__session_end(mailsrv_session *session, const char *why);
void mailsrv__session_leave(mailsrv_session *session);

/* Says a parting and ends. */
void mailsrv__part(mailsrv_session *session, enum parting parting);

void mailsrv__peer_timer_restart(mailsrv_session *session);
void mailsrv__peer_timed_out(struct timer *timer);
void mailsrv__answers_timed_out(struct timer *timer);
void mailsrv__alarm_fired(struct timer *timer);

/* ---- body.c ---- */

/* What its step waits for has come. */
bool mailsrv__body_is_due(const mailsrv_session *session);

/* A WRITE is answered. */
bool mailsrv__body_has_news(const mailsrv_session *session);

/* Takes the answer of a WRITE, and asks the next one. */
void mailsrv__body_turn(mailsrv_session *session);

/* The step that waited for a BEGIN or COMMIT begins. */
void mailsrv__body_answered(mailsrv_session *session);

/* The WRITE that is out; NULL: none. */
struct op *mailsrv__body_writing(const mailsrv_session *session);

/* The peer's patience with `op` is over: if it is the body's, the body has failed, and is closed when `op` is
 * answered. */
void mailsrv__body_loses(mailsrv_session *session, struct op *op);

/* ---- output.c ---- */

void mailsrv__output_init(struct output *out);
void mailsrv__output_free(mailsrv_session *session);

/* From now on what is said is not seen before it is encrypted; what was said until now is sent first. */
void mailsrv__output_veil(mailsrv_session *session);

/* A slice with room for `room` octets; NULL: no memory. */
struct slice *mailsrv__slice_new(mailsrv_session *session, size_t room);
void mailsrv__slice_free(mailsrv_session *session, struct slice *slice);

/* `record`, filled in, is to be sent. */
void mailsrv__output_record(mailsrv_session *session, struct slice *record);

/* Drops `n` octets from the front of the list; how many there were not. */
size_t mailsrv__output_drop(mailsrv_session *session, struct node *list, size_t n);

/* A static text, NULL-ended, becomes the last word; NULL: silence. */
void mailsrv__output_part(mailsrv_session *session, const char *parting);

#endif
