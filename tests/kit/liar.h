/* A store that lies in one way: the memory store, with something put in front of it.
 *
 * Each lie is told as rarely as it can be, so that it is met by the one check that is there for it.
 */
#ifndef TESTS_KIT_LIAR_H
#define TESTS_KIT_LIAR_H

#include "stores/memory/memory.h"
#include "world.h"

struct liar;

/* One operation on its way through the liar. */
struct telling {
    mailsrv_engine *engine;
    const struct binding *from;
    mailsrv_op op; /* `arg` may be replaced before the store performs it */
    int32_t status;
    struct reply reply;
};

enum go { GO_ON, ANSWER, SAY_NOTHING }; /* perform and answer; answer what is there; neither */

struct lie {
    const char *check; /* the check that finds it */
    const char *what;
    enum go (*before)(struct liar *liar, struct telling *t);
    void (*after)(struct liar *liar, struct telling *t);
    int32_t (*reopen)(struct liar *liar);
    int32_t (*drive)(struct liar *liar);
};

/* The ways to lie, ended by one without a check. */
extern const struct lie lies_receive[];
extern const struct lie lies_commit[];
extern const struct lie lies_mailbox[];
extern const struct lie lies_read[];
extern const struct lie lies_order[];
extern const struct lie lies_queue[];
extern const struct lie lies_changes[];
extern const struct lie lies_listing[];
extern const struct lie lies_making[];
extern const struct lie lies_renaming[];
extern const struct lie lies_structure[];

struct liar {
    struct world world; /* first: the kit's `user` */
    const struct lie *lie;
    /* What a lie remembers; forgotten when the store is opened. */
    struct memory_of_lie {
        uint64_t handle, number;
        uint32_t uid, count;
        int flag;
        const mailsrv_engine *engine;
        mailsrv_row row;
        mailsrv_id id;
        struct telling held;
        union {
            mailsrv_arg_body_commit commit;
            mailsrv_arg_body_write write;
            mailsrv_arg_rows rows;
            mailsrv_arg_expunge expunge;
            mailsrv_arg_mbox_open mbox_open;
            mailsrv_arg_flags flags;
            mailsrv_arg_copy copy;
            mailsrv_arg_mbox_status mbox_status;
            mailsrv_arg_mbox_create mbox_create;
            mailsrv_arg_queue_scan queue_scan;
            mailsrv_arg_queue_update queue_update;
        } arg;
        mailsrv_target targets[2];
        mailsrv_run run;
        mailsrv_destination destination;
        uint8_t octets[4096];
    } is;
};

struct memory *store_of(const struct liar *liar);
/* What the store would have answered, and is answered. */
void tell(struct liar *liar, struct telling *t);
/* Refuses without asking the store. */
enum go refuse(struct telling *t, int32_t status);
/* The result of a COMMIT; NULL: t is none that was performed, or has not so many. */
mailsrv_result *result_of(struct telling *t, uint32_t i);
const mailsrv_target *target_of(const struct telling *t, uint32_t i);
bool is_named(mailsrv_bytes name, const char *text);
/* A name of the first account; NULL: it is not there. */
struct name *name_in(const struct liar *liar, const char *text);

#endif
