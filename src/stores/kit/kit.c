#include "kit.h"

#include "stores/common/heap.h"

#include <string.h>

static const struct check *const groups[] = {
    mailsrv__kit_receive,   mailsrv__kit_commits, mailsrv__kit_mailboxes, mailsrv__kit_rows_checks,
    mailsrv__kit_reading,   mailsrv__kit_expunging, mailsrv__kit_locks,   mailsrv__kit_order,
    mailsrv__kit_answers,   mailsrv__kit_queue,   mailsrv__kit_changes,   mailsrv__kit_flags,
    mailsrv__kit_listing,   mailsrv__kit_making,  mailsrv__kit_renaming,  mailsrv__kit_elsewhere,
    mailsrv__kit_structures,
};

#define N_GROUPS (sizeof groups / sizeof *groups)

static const struct check *check_at(uint32_t index)
{
    for (size_t g = 0; g < N_GROUPS; g++)
        for (const struct check *c = groups[g]; c->name != NULL; c++)
            if (index-- == 0)
                return c;
    return NULL;
}

const char *mailsrv_kit_check(uint32_t index)
{
    const struct check *c = check_at(index);
    return c != NULL ? c->name : NULL;
}

/* ---- What a check saw ---- */

static size_t add(char *to, size_t at, const char *text)
{
    while (*text != '\0' && at + 1 < TEXT_MAX)
        to[at++] = *text++;
    to[at] = '\0';
    return at;
}

static void keep(struct kit *k, const char *const *words, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; !k->failed && i < n; i++)
        at = add(k->text, at, words[i]);
    k->failed = true;
}

bool mailsrv__kit_expect(struct kit *k, bool good, const char *text)
{
    if (!good)
        keep(k, &text, 1);
    return good;
}

bool mailsrv__kit_expect_status(struct kit *k, int32_t status, int32_t expected, const char *what)
{
    const char *words[] = { what, ": ", mailsrv_strerror(status), ", expected: ", mailsrv_strerror(expected) };
    if (status != expected)
        keep(k, words, sizeof words / sizeof *words);
    return status == expected;
}

/* ---- What can be checked ---- */

static uint32_t covered(const mailsrv_kit_setup *setup)
{
    uint32_t covers = setup->covers & 0xffffu;
    if (setup->reopen != NULL)
        covers |= NEEDS_REOPEN;
    if (setup->handles != NULL)
        covers |= NEEDS_HANDLES;
    if (setup->quota != NULL)
        covers |= NEEDS_QUOTA;
    if (setup->octets_max != 0)
        covers |= NEEDS_LIMIT;
    return covers;
}

static const char *why_not(uint32_t missing)
{
    static const struct {
        uint32_t need;
        const char *text;
    } whys[] = {
        { MAILSRV_KIT_RECEIVE, "the tier Receive is not covered" },
        { MAILSRV_KIT_POP3, "the tier POP3 is not covered" },
        { MAILSRV_KIT_QUEUE, "the queue is not covered" },
        { MAILSRV_KIT_IMAP, "the tier IMAP is not covered" },
        { MAILSRV_KIT_ATOMIC, "atomic commits are not covered" },
        { MAILSRV_KIT_IMPORT, "import is not covered" },
        { MAILSRV_KIT_READS_STAGED, "reading of staged bodies is not covered" },
        { MAILSRV_KIT_LOCKS, "locks are not covered" },
        { MAILSRV_KIT_STRUCTURE, "structures are not covered" },
        { MAILSRV_KIT_MOVE, "MOVE is not covered" },
        { NEEDS_REOPEN, "the setup cannot reopen the store" },
        { NEEDS_HANDLES, "the setup does not count handles" },
        { NEEDS_QUOTA, "the setup sets no quota" },
        { NEEDS_LIMIT, "the setup knows no limit" },
    };
    for (size_t i = 0; i < sizeof whys / sizeof *whys; i++)
        if ((missing & whys[i].need) != 0)
            return whys[i].text;
    return "not covered";
}

/* ---- Running ---- */

static void run_check(struct kit *k, const struct check *check)
{
    const mailsrv_kit_setup *setup = k->setup;
    uint32_t missing = check->needs & ~covered(setup);
    if (missing != 0) {
        setup->report(setup->user, check->name, MAILSRV_KIT_SKIPPED, why_not(missing));
        return;
    }
    k->failed = false;
    k->text[0] = '\0';
    if (mailsrv__kit_begin(k))
        check->run(k);
    mailsrv__kit_end(k);
    setup->report(setup->user, check->name, k->failed ? MAILSRV_KIT_FAILED : MAILSRV_KIT_PASSED, k->text);
}

static int32_t run_all(struct kit *k, uint32_t *failed)
{
    const char *only = k->setup->only;
    uint32_t n = 0, n_failed = 0;
    const struct check *check;
    for (uint32_t i = 0; (check = check_at(i)) != NULL; i++) {
        if (only != NULL && strcmp(only, check->name) != 0)
            continue;
        k->failed = false;
        run_check(k, check);
        n_failed += k->failed;
        n++;
    }
    *failed = n_failed;
    return n != 0 ? MAILSRV_OK : MAILSRV_NONEXISTENT;
}

int32_t mailsrv_kit_run(const mailsrv_kit_setup *setup, uint32_t *failed)
{
    if (setup == NULL || failed == NULL || setup->size < sizeof *setup || setup->open == NULL || setup->bind == NULL ||
        setup->close == NULL || setup->report == NULL)
        return MAILSRV_E_USAGE;
    const mailsrv_allocator *from = setup->allocator != NULL ? setup->allocator : &mailsrv__stores_heap;
    struct kit *k = from->alloc(from->user, sizeof *k);
    if (k == NULL)
        return MAILSRV_NOMEM;
    memset(k, 0, sizeof *k);
    k->setup = setup;
    k->allocator = *from;
    int32_t status = run_all(k, failed);
    mailsrv_allocator to = k->allocator;
    to.release(to.user, k, sizeof *k);
    return status;
}
