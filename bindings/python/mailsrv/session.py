"""One connection, without the I/O."""
import ctypes
import ipaddress
import threading
from typing import TYPE_CHECKING, Any

from .library import c
from .operation import Operation
from .profile import Profile
from .status import Error, Status, check
from .values import Record, address_of, read

if TYPE_CHECKING:
    from .engine import Engine

READ, WRITE, CLOSE = c.MAILSRV_WANT_READ, c.MAILSRV_WANT_WRITE, c.MAILSRV_WANT_CLOSE
SLICES = 16


class Session:
    """`peer` is (address, port, ...) as sockets have it, or None; `host` is whatever the host likes."""

    def __init__(self, engine: "Engine", profile: Profile, peer: Any = None, host: Any = None):
        self._begin(engine, profile, peer, host)
        check(c.mailsrv_server_new(engine.pointer, profile.pointer, ctypes.byref(peer_of(peer)), self._number,
                                   ctypes.byref(self._pointer)))
        engine.sessions[self._number] = self

    @classmethod
    def out(cls, connect: Operation, peer: Any = None, host: Any = None) -> "Session":
        """Of a connection that the queue has asked for by CONNECT, which this answers, whether it succeeds or not.  An
        Error: the connection is of no use."""
        self, engine = cls.__new__(cls), connect.engine
        self._begin(engine, None, peer, host)
        status = c.mailsrv_client_new(engine.pointer, connect.id, ctypes.byref(peer_of(peer)), self._number,
                                      ctypes.byref(self._pointer))
        if status != Status.E_USAGE:
            connect.settled()
        check(status)
        engine.sessions[self._number] = self
        return self

    def _begin(self, engine: "Engine", profile: Profile | None, peer: Any, host: Any) -> None:
        self.engine, self.profile, self.peer, self.host = engine, profile, peer, host
        self._number = engine.number()
        self._pointer = ctypes.POINTER(c.mailsrv_session)()

    @property
    def pointer(self) -> Any:
        if not self._pointer:
            raise Error(Status.E_CLOSED, "the session has been freed")
        if threading.get_ident() != self.engine.thread:
            raise Error(Status.E_USAGE, "the session belongs to another thread")
        return self._pointer

    @property
    def wants(self) -> int:
        """READ, WRITE and CLOSE, or-ed."""
        return c.mailsrv_session_wants(self.pointer)

    def feed(self, octets: bytes, at: int = 0) -> int:
        """Feeds what stands from `at` on; how many were taken.  The rest is kept, and fed when it wants to READ."""
        taken = ctypes.c_size_t()
        check(c.mailsrv_session_feed(self.pointer, address_of(octets) + at, len(octets) - at, ctypes.byref(taken)))
        return taken.value

    def feed_eof(self) -> None:
        check(c.mailsrv_session_feed_eof(self.pointer))

    def output(self, octets_max: int = 65536) -> bytes:
        """A copy of what is to be sent next, from the first octet on that was not yet `sent`."""
        slices, n = (c.mailsrv_out * SLICES)(), ctypes.c_size_t()
        check(c.mailsrv_session_output(self.pointer, slices, SLICES, ctypes.byref(n)))
        pieces, room = [], octets_max
        for piece in slices[:n.value]:
            pieces.append(ctypes.string_at(piece.p, min(piece.n, room)))
            room -= len(pieces[-1])
            if not room:
                break
        return b"".join(pieces)

    def sent(self, n: int) -> None:
        check(c.mailsrv_session_sent(self.pointer, n))

    def shutdown(self) -> None:
        check(c.mailsrv_session_shutdown(self.pointer))

    def info(self) -> Record:
        info = c.mailsrv_info()
        check(c.mailsrv_session_info(self.pointer, ctypes.byref(info)))
        return read(info)

    def tls(self) -> Record | None:
        """What is known of the TLS that it is under; None: it is not."""
        info = c.mailsrv_tls_info()
        status = c.mailsrv_session_tls(self.pointer, ctypes.byref(info))
        return read(info) if status == Status.OK else None

    def free(self) -> None:
        """At any time; twice does no harm."""
        if self._pointer:
            c.mailsrv_session_free(self.pointer)
            self._pointer = None
            del self.engine.sessions[self._number]


def peer_of(peer: Any) -> Any:
    who = c.mailsrv_peer()
    if isinstance(peer, tuple) and len(peer) >= 2:
        packed = ipaddress.ip_address(peer[0].partition("%")[0]).packed
        who.address_octets, who.port = len(packed), peer[1]
        who.address[:len(packed)] = packed
    return who
