#include <mailsrv/base.h>

uint32_t mailsrv_version(void)
{
    return MAILSRV_VERSION;
}

static const struct text {
    int32_t status;
    const char *english;
} texts[] = {
    { MAILSRV_OK, "no error" },
    { MAILSRV_MORE, "there is more to do" },
    { MAILSRV_E_USAGE, "this call is not allowed now, or with these arguments" },
    { MAILSRV_E_UNKNOWN_KEY, "this library knows no such key" },
    { MAILSRV_E_VALUE, "the value is out of its bounds" },
    { MAILSRV_E_CLOSED, "it has ended" },
    { MAILSRV_E_STALE, "the operation was settled before" },
    { MAILSRV_E_BUSY, "it is still in use" },
    { MAILSRV_NOMEM, "out of memory" },
    { MAILSRV_TEMP, "temporary failure" },
    { MAILSRV_FULL, "the disk is full" },
    { MAILSRV_LIMIT, "a limit is reached" },
    { MAILSRV_OVERQUOTA, "the quota is used up" },
    { MAILSRV_INUSE, "in use by somebody else" },
    { MAILSRV_CORRUPT, "stored data cannot be read" },
    { MAILSRV_DENIED, "wrong credentials" },
    { MAILSRV_TOOBIG, "too big" },
    { MAILSRV_NONEXISTENT, "does not exist" },
    { MAILSRV_NOPERM, "not permitted" },
    { MAILSRV_CANNOT, "cannot be done" },
    { MAILSRV_ALREADYEXISTS, "exists already" },
    { MAILSRV_GONE, "is no longer there" },
};

const char *mailsrv_strerror(int32_t status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].status == status)
            return texts[i].english;
    return "unknown status";
}
