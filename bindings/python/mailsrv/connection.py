"""A socket and its session, in asyncio's loop.  It moves octets; whatever is said is the library's."""
import asyncio
from typing import TYPE_CHECKING, Any

from .profile import Profile
from .session import CLOSE, READ, Session
from .status import Error

if TYPE_CHECKING:
    from .host import Server


class Connection(asyncio.Protocol):
    def __init__(self, server: "Server", profile: Profile | None):
        self.server, self.profile = server, profile
        self.kept, self.fed = b"", 0  # what came, and how much of it was fed; the rest waits until it is wanted
        self.eof = self.eof_fed = self.full = False
        self.unsent = 0  # octets that asyncio has and the system has not: not yet told as sent
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=0)  # pause_writing tells of whatever was not sent at once
        self.server.connections.add(self)
        try:
            self.session = self.session_of(transport.get_extra_info("peername"))
        except Error:  # no memory, or the end has come
            transport.abort()
        self.server.soon()

    def session_of(self, peer: Any) -> Session:
        return Session(self.server.engine, self.profile, peer, self)

    def data_received(self, data: bytes) -> None:
        self.kept, self.fed = self.kept[self.fed:] + data, 0
        self.go_on()
        self.server.soon()

    def eof_received(self) -> bool:
        self.eof = True
        self.go_on()
        self.server.soon()
        return True  # what has begun is finished; the session says when to close

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self.session.sent(self.unsent)
        self.unsent = 0
        self.go_on()
        self.server.soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        if self.session:
            self.session.free()
        self.server.soon()

    def go_on(self) -> None:
        """Feeds what is wanted, sends what there is."""
        self.feed()
        while not self.full and (octets := self.session.output()):
            self.transport.write(octets)
            if self.full:
                self.unsent = len(octets)
            else:
                self.session.sent(len(octets))
        wants = self.session.wants
        if wants & CLOSE:
            self.transport.abort() if self.unsent else self.transport.close()
        elif not self.eof:  # asyncio has stopped reading by then
            self.transport.resume_reading() if wants & READ else self.transport.pause_reading()

    def feed(self) -> None:
        while self.fed < len(self.kept) and self.session.wants & READ:
            self.fed += self.session.feed(self.kept, self.fed)
        if self.fed == len(self.kept):
            self.kept, self.fed = b"", 0  # there may be a password in it
        if self.eof and not self.eof_fed and not self.kept:
            self.eof_fed = True
            self.session.feed_eof()
