"""Statuses, kinds of operations, and the exceptions that carry them."""
import errno
from enum import IntEnum

from .library import c

Status = IntEnum("Status", {name: value for name, value in c.constants("MAILSRV_", "mailsrv/base.h").items()
                            if name != "VERSION"})
Status.__doc__ = "MAILSRV_OK and the others of mailsrv/base.h, without their prefix."

Kind = IntEnum("Kind", c.constants("MAILSRV_OP_") | c.constants("MAILSRV_NOTICE_"))
Kind.__doc__ = "MAILSRV_OP_... and MAILSRV_NOTICE_... of mailsrv/op.h, without their prefixes."


def name_of(status: int) -> str:
    return Status(status).name if status in Status._value2member_map_ else str(status)


class Error(Exception):
    """A call into the library failed; `status` says how."""

    def __init__(self, status: int, what: str = ""):
        super().__init__(f"{what or c.mailsrv_strerror(status).decode()} ({name_of(status)})")
        self.status = status


class Refused(Exception):
    """Raised in a handler: the answer is this status, and `text` is for the peer, where the protocol has room."""

    def __init__(self, status: int, text: str | bytes = b""):
        super().__init__(f"{name_of(status)} {text!r}")
        self.status = status
        self.text = text.encode() if isinstance(text, str) else bytes(text)


def status_of(wrong: BaseException) -> Status:
    """What an exception is to the peer, if it is none of ours: he may try again, at best when there is room."""
    if isinstance(wrong, OSError) and wrong.errno in (errno.ENOSPC, errno.EDQUOT):
        return Status.FULL
    return Status.NOMEM if isinstance(wrong, MemoryError) else Status.TEMP


def check(status: int) -> int:
    """Passes what is no failure; MAILSRV_MORE is none."""
    if status < 0:
        raise Error(status)
    return status
