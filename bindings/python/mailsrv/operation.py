"""An operation: a question of the library, with its arguments, and its answer."""
import ctypes
from typing import TYPE_CHECKING, Any, Mapping

from .library import c
from .status import Error, Kind, Status, check
from .values import Record, Secret, convert, copy_of, fill, read

if TYPE_CHECKING:
    from .engine import Engine

LATER = object()  # what a handler returns that sees to the answer itself

# The structs of answers; those of arguments are named after their kinds, or are mailsrv_arg_close; MOVE has
# that of COPY.
VALUES = {
    Kind.RESOLVE: c.mailsrv_resolved, Kind.BODY_BEGIN: c.mailsrv_body_begun, Kind.BODY_COMMIT: c.mailsrv_committed,
    Kind.AUTH_VERIFY: c.mailsrv_identity, Kind.AUTH_EXTERNAL: c.mailsrv_identity,
    Kind.AUTH_SCRAM_KEYS: c.mailsrv_scram_record, Kind.STORE_OPEN: c.mailsrv_store_opened, Kind.LOCK: c.mailsrv_locked,
    Kind.MBOX_OPEN: c.mailsrv_mbox_opened, Kind.ROWS: c.mailsrv_rows, Kind.READ: c.mailsrv_read_bytes,
    Kind.EXPUNGE: c.mailsrv_expunged, Kind.CHANGES: c.mailsrv_changes, Kind.FLAGS: c.mailsrv_flagged,
    Kind.COPY: c.mailsrv_copied, Kind.MOVE: c.mailsrv_copied, Kind.MBOX_LIST: c.mailsrv_mbox_listed,
    Kind.MBOX_STATUS: c.mailsrv_mbox_status, Kind.MBOX_CREATE: c.mailsrv_mbox_created,
    Kind.QUEUE_SCAN: c.mailsrv_queued, Kind.ROUTE: c.mailsrv_route, Kind.DNS: c.mailsrv_dns_reply,
    Kind.CREDENTIAL: c.mailsrv_credential, Kind.RETRY: c.mailsrv_retry,
}
ARGUMENTS = {kind: vars(c).get(f"mailsrv_arg_{kind.name.lower()}", c.mailsrv_arg_close) for kind in Kind}
ARGUMENTS[Kind.MOVE] = c.mailsrv_arg_copy

LENT_OCTETS = 4096  # an answer that holds fewer is copied by the library


class Operation:
    """A question.  `arg` is a copy of its arguments; a secret in it is wiped when the operation is settled."""

    def __init__(self, engine: "Engine", op: Any):
        self.engine, self.kind, self.id, self.session_id = engine, Kind(op.kind), op.id, op.session_id
        self.account: bytes = read(op.account)
        self.session = engine.sessions.get(op.host)  # None: it has gone, or it is no session's question
        size = ctypes.c_uint32.from_address(op.arg).value
        self.arg: Record = read(copy_of(ARGUMENTS[self.kind], op.arg, size))
        if self.id:
            engine.open[self.id] = self

    def __repr__(self) -> str:
        return f"<{self.kind.name} {self.id}>"

    @property
    def is_open(self) -> bool:
        """Is an answer owed?  Never to a notice."""
        return self.id in self.engine.open

    def answer(self, value: Mapping[str, Any] | None = None, text: bytes = b"") -> None:
        """Status.OK.  `value` has the fields of the answer's struct by name; size, counts and strides come by
        themselves."""
        keep: list[bytes] = []
        made = None if value is None else fill(VALUES[self.kind], value, keep)
        self._settle(c.mailsrv_answer(status=Status.OK, text=convert(c.mailsrv_bytes, text, keep)), made, keep)

    def refuse(self, status: int, text: bytes = b"") -> None:
        keep: list[bytes] = []
        self._settle(c.mailsrv_answer(status=status, text=convert(c.mailsrv_bytes, text, keep)), None, keep)

    def _settle(self, answer: Any, value: Any, keep: list[bytes]) -> None:
        engine = self.engine
        pointer = engine.pointer
        if value is not None:
            answer.value = ctypes.addressof(value)
        if sum(map(len, keep)) >= LENT_OCTETS:
            answer.user, answer.release = engine.lend((value, keep)), engine.release
        status = c.mailsrv_op_answer(pointer, self.id, ctypes.byref(answer))
        if status == Status.E_USAGE:
            engine.lent.pop(answer.user, None)
            raise Error(status, f"{self!r} was answered what it must not be")
        self.settled()
        check(status)
        engine.answered()

    def settled(self) -> None:
        self.engine.open.pop(self.id, None)
        for value in vars(self.arg).values():
            if isinstance(value, Secret):
                value.wipe()
