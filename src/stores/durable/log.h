/* Inside the durable store: the log. */
#ifndef STORES_DURABLE_LOG_H
#define STORES_DURABLE_LOG_H

#include "bytes.h"

#define FORMAT 1
#define FRAME_MAX (16u << 20) /* octets of a frame behind its head */
#define FRAME_HEAD 24
#define PATH_MAX_OCTETS 1024

struct durable;

enum frame_kind {
    FRAME_SEGMENT = 1,
    FRAME_BODY,
    FRAME_CHANGE,
    FRAME_BEGUN, /* entries of a change that goes on in a later frame of the group */
};

struct frame {
    enum frame_kind kind;
    uint64_t group;
    mailsrv_bytes octets; /* of the log's own memory, until the next one is read */
    uint64_t end;         /* where the next one begins */
};

struct place {
    uint64_t segment, offset;
};

/* A segment that has ended. */
struct sealed {
    uint64_t number;
    uint64_t begins, end; /* of its groups */
    uint64_t retired;     /* the group that says that nothing in it is needed any more; 0: none */
};

struct sealed_list {
    struct sealed *v; /* their numbers ascend */
    size_t n, room;
};

/* The last numbers that a store has given. */
struct given {
    uint64_t body, id, queue;
};

struct log {
    struct durable *d;
    void *file; /* of the segment that is written; NULL: a new one must begin first */
    struct place end;
    uint64_t begins;       /* of the groups of the segment that is written */
    uint64_t ready;        /* so far its file has octets, zeros from the end on */
    struct place before;   /* the end of the segment before */
    bool first_is_durable; /* the first frame of the segment that is written */
    uint64_t group; /* the last number that was given */
    uint8_t tag[8]; /* of this store, in every id that it gives */
    struct sealed_list sealed;  /* those that the log is made of, but for the one that is written */
    struct sealed_list retired; /* those that wait to be removed */
    struct given given;         /* before the last segment that was found */
    bool only_looks;
    struct buffer piece;
};

/* ---- frames.c ---- */
/* Octets of a group that are not its own: they stay where they are until it is written. */
struct lent {
    size_t at; /* behind so many of its own */
    mailsrv_bytes octets;
};

struct group {
    struct buffer own;
    struct lent *lent;
    size_t n_lent, room, lent_octets;
};

struct group_mark {
    size_t own, lent, octets; /* in all */
};

/* A frame of the segment that is written. */
void mailsrv__durable_put_frame(const struct log *log, struct buffer *to, enum frame_kind kind, const void *p,
                                size_t n);
void mailsrv__durable_put_body(const struct log *log, struct group *g, uint64_t number, mailsrv_bytes octets);
size_t mailsrv__durable_group_octets(const struct group *g); /* all of it */
struct group_mark mailsrv__durable_group_mark(const struct group *g);
void mailsrv__durable_group_cut(struct group *g, const struct group_mark *mark); /* as it was then, without failure */
int32_t mailsrv__durable_group_write(struct log *log, const struct group *g); /* at the end of the log */

/* ---- log.c ---- */
/* Finds the end of the log, from a place up to which the index has it; makes it durable.  A store without a log is a
 * new one. */
int32_t mailsrv__durable_log_open(struct log *log, const struct place *known);
/* For who only looks: which segments the log is made of, the last one among them.  MAILSRV_CORRUPT: that has no good
 * first frame. */
int32_t mailsrv__durable_log_look(struct log *log);
uint64_t mailsrv__durable_segment_number(const char *name); /* 0: it is no segment's */
/* NULL: it is not of the log. */
struct sealed *mailsrv__durable_log_find(struct log *log, uint64_t number);
/* The log is no longer made of that segment: a group says so. */
void mailsrv__durable_log_retire(struct log *log, uint64_t number, uint64_t group);
/* Is every segment there that the log is made of?  Files that are no longer of it go. */
int32_t mailsrv__durable_log_settle(struct log *log);
/* The one entry of a record that says that a segment is retired; 0: it says something else. */
uint64_t mailsrv__durable_retires(mailsrv_bytes record);
/* Of a copy that is opened first: ids that it gives have a tag of their own from now on, durably. */
int32_t mailsrv__durable_log_renew(struct log *log);
/* Begins a segment, or goes on with the one that was just begun. */
int32_t mailsrv__durable_log_begin(struct log *log);
/* Writes a group at the end, and syncs.  What fails closes the segment: it will never be read behind its end. */
int32_t mailsrv__durable_log_append(struct log *log, const struct group *group);
void mailsrv__durable_log_close(struct log *log);
void mailsrv__durable_segment_path(const struct durable *d, uint64_t number, char out[PATH_MAX_OCTETS]);
/* The octets of a frame with a body, whose octets are at a place: its number and its own; of the log's own memory. */
int32_t mailsrv__durable_log_body(struct log *log, const struct place *at, uint64_t id, mailsrv_bytes *out);
/* Hands every change of the log from a place on, or, without one, of what the log is made of, to `each`; stops where
 * that says false. */
int32_t mailsrv__durable_log_replay(struct log *log, const struct place *from,
                                    bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                    void *user);

int32_t mailsrv__durable_log_replay_one(struct log *log, uint64_t number,
                                        bool (*each)(void *user, const struct frame *frame, const struct place *end),
                                        void *user);

#endif
