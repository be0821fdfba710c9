/* The tests are tested: a store that lies in one way fails in the check named for it, and in no other; and there is a
 * lie for every check. */
#include "liar.h"

#include <string.h>

static const struct lie *const groups[] = { lies_receive, lies_commit,  lies_mailbox, lies_read,   lies_order,
                                            lies_queue,   lies_changes, lies_listing, lies_making, lies_renaming,
                                            lies_structure };

#define N_GROUPS (sizeof groups / sizeof *groups)

struct memory *store_of(const struct liar *liar)
{
    return mailsrv__memory(liar->world.store);
}

bool is_named(mailsrv_bytes name, const char *text)
{
    return name.n == strlen(text) && memcmp(name.p, text, name.n) == 0;
}

struct name *name_in(const struct liar *liar, const char *text)
{
    struct path path;
    mailsrv__memory_path((mailsrv_bytes){ (const uint8_t *)text, strlen(text) }, &path);
    return mailsrv__memory_name(mailsrv__memory_account(store_of(liar), &liar->world.accounts[0]), &path);
}

enum go refuse(struct telling *t, int32_t status)
{
    t->status = status;
    return ANSWER;
}

mailsrv_result *result_of(struct telling *t, uint32_t i)
{
    if (t->op.kind != MAILSRV_OP_BODY_COMMIT || t->status != MAILSRV_OK || i >= t->reply.value.committed.n)
        return NULL;
    return (mailsrv_result *)t->reply.scratch + i;
}

const mailsrv_target *target_of(const struct telling *t, uint32_t i)
{
    const mailsrv_arg_body_commit *arg = t->op.arg;
    return (const void *)((const char *)arg->targets + (size_t)i * arg->target_stride);
}

void tell(struct liar *liar, struct telling *t)
{
    mailsrv_answer a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.status = t->status;
    a.value = t->reply.has_value && t->status == MAILSRV_OK ? &t->reply.value : NULL;
    a.release = t->reply.release;
    a.user = t->reply.user;
    mailsrv_op_answer(t->engine, t->op.id, &a);
    mailsrv__memory_done(store_of(liar), &t->reply);
}

static void handle(void *user, mailsrv_engine *engine, const mailsrv_op *op)
{
    struct liar *liar = user;
    struct memory *m = store_of(liar);
    struct telling t;
    memset(&t, 0, sizeof t);
    t.engine = engine;
    t.op = *op;
    for (t.from = m->bindings; t.from->engine != engine;)
        t.from = t.from->next;
    enum go go = liar->lie->before != NULL ? liar->lie->before(liar, &t) : GO_ON;
    if (go == GO_ON) {
        t.status = mailsrv__memory_perform(m, t.from, &t.op, &t.reply);
        if (liar->lie->after != NULL)
            liar->lie->after(liar, &t);
    }
    if (go != SAY_NOTHING)
        tell(liar, &t);
}

static int32_t open(void *user)
{
    struct liar *liar = user;
    memset(&liar->is, 0, sizeof liar->is);
    return world_open(&liar->world);
}

static int32_t bind(void *user, mailsrv_engine *engine)
{
    struct liar *liar = user;
    int32_t status = world_bind(&liar->world, engine);
    for (const int32_t *kind = mailsrv__memory_kinds; status == MAILSRV_OK && *kind != 0; kind++)
        status = mailsrv_engine_serve(engine, *kind, handle, liar);
    return status;
}

static int32_t drive(void *user)
{
    struct liar *liar = user;
    return liar->lie->drive != NULL ? liar->lie->drive(liar) : 0;
}

static int32_t reopen(void *user)
{
    struct liar *liar = user;
    return liar->lie->reopen != NULL ? liar->lie->reopen(liar) : MAILSRV_OK;
}

/* ---- Which checks fail ---- */

struct found {
    unsigned right, wrong;
    char text[200];
};

static void report(struct world *world, const char *name, int32_t outcome, const char *text)
{
    const struct lie *lie = ((struct liar *)(void *)world)->lie;
    struct found *found = world->more;
    if (outcome != MAILSRV_KIT_FAILED)
        return;
    if (strcmp(name, lie->check) == 0) {
        found->right++;
        return;
    }
    found->wrong++;
    strncat(found->text, name, sizeof found->text - strlen(found->text) - 1);
    strncat(found->text, ": ", sizeof found->text - strlen(found->text) - 1);
    strncat(found->text, text, sizeof found->text - strlen(found->text) - 1);
}

static void find(const struct lie *lie)
{
    static struct liar liar;
    struct found found = { 0, 0, "" };
    uint32_t failed = 0;
    memset(&liar, 0, sizeof liar);
    liar.lie = lie;
    liar.world.report = report;
    liar.world.more = &found;
    mailsrv_kit_setup setup = world_setup(&liar.world);
    setup.open = open;
    setup.bind = bind;
    setup.drive = drive;
    setup.reopen = reopen;
    int32_t status = mailsrv_kit_run(&setup, &failed);
    tap(status == MAILSRV_OK && found.right == 1, lie->check, lie->what, "it is not found");
    tap(found.wrong == 0, "and no other check", lie->what, found.text);
}

static int has_lie(const char *check)
{
    for (size_t g = 0; g < N_GROUPS; g++)
        for (const struct lie *lie = groups[g]; lie->check != NULL; lie++)
            if (strcmp(lie->check, check) == 0)
                return 1;
    return 0;
}

int main(void)
{
    const char *check;
    for (size_t g = 0; g < N_GROUPS; g++)
        for (const struct lie *lie = groups[g]; lie->check != NULL; lie++)
            find(lie);
    for (uint32_t i = 0; (check = mailsrv_kit_check(i)) != NULL; i++)
        tap(has_lie(check), "there is a lie for", check, "");
    return tap_end();
}
