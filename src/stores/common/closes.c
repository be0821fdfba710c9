#include "closes.h"

enum handle_kind mailsrv__stores_closes(int32_t kind)
{
    switch (kind) {
    case MAILSRV_OP_BODY_CLOSE:
        return HANDLE_BODY;
    case MAILSRV_OP_STORE_CLOSE:
        return HANDLE_STORE;
    case MAILSRV_OP_MBOX_CLOSE:
        return HANDLE_MAILBOX;
    case MAILSRV_OP_READ_CLOSE:
        return HANDLE_READ;
    case MAILSRV_OP_UNLOCK:
        return HANDLE_LOCK;
    default:
        return 0;
    }
}
