#include "queue/notice.h"

/* Until there are notices nobody is told. */
bool mailsrv__notice_owed(const struct queue_record *record, enum notice_action action)
{
    (void)record;
    (void)action;
    return false;
}

struct notice *mailsrv__notice_new(mailsrv_engine *engine, const struct notice_setup *setup,
                                   const struct notice_recipient *recipients, uint32_t n,
                                   void (*done)(void *user, int32_t status), void *user)
{
    (void)engine, (void)setup, (void)recipients, (void)n, (void)done, (void)user;
    return NULL;
}

void mailsrv__notice_free(struct notice *notice)
{
    (void)notice;
}
