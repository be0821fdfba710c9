"""A mail server in asyncio's loop.  It moves octets and tells the time; whatever is said is the library's."""
import asyncio
import time
from typing import Any, Callable

from .engine import Engine
from .profile import Profile
from .session import CLOSE, READ, Session
from .status import Error, Status


class Connection(asyncio.Protocol):
    """A socket and its session."""

    def __init__(self, server: "Server", profile: Profile):
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
            self.session = Session(self.server.engine, self.profile, transport.get_extra_info("peername"), self)
        except Error:  # no memory, or the end has come
            transport.abort()
        self.server.soon()

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


class Server:
    """Listens, and drives an engine.  It serves inside `async with`:

        async with Server(on_message=print) as server:
            await server.smtp("127.0.0.1", 2525, hostname="here.test")
            await server.serve_forever()
    """

    def __init__(self, *parts: Any, on_message: Callable | None = None, octets_max: int = 64 << 20,
                 on_event: Callable | None = None, grace_s: float = 5.0, **config: Any):
        """`parts` answer operations, as Engine.bind takes them; before them comes `on_message`, for Engine.inbox.
        `on_event` gets what Engine.events gives.  `config` is Engine's.  At the end, what has begun has `grace_s`."""
        self.parts, self.on_message, self.octets_max, self.on_event = parts, on_message, octets_max, on_event
        self.grace_s, self.config = grace_s, config

    async def __aenter__(self) -> "Server":
        self.loop = asyncio.get_running_loop()
        self.listeners: list[asyncio.Server] = []
        self.connections: set[Connection] = set()
        self.moved = asyncio.Event()  # set by each run
        self.due: asyncio.Handle | None = None  # a run that comes at once
        self.timer: asyncio.TimerHandle | None = None
        self.engine = Engine(**self.config)
        try:
            self.engine.answered = self.soon
            if self.on_message is not None:
                self.engine.inbox(self.on_message, self.octets_max)
            for part in self.parts:
                self.engine.bind(part)
        except BaseException:
            self.engine.free()
            raise
        self.run()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def smtp(self, host: str, port: int, **profile: Any) -> int:
        """Mail from other servers.  `profile` is Profile's settings; the port is returned, for 0 is any."""
        return await self.listen(Profile("smtp", "mx", **profile), host, port)

    async def lmtp(self, host: str, port: int, **profile: Any) -> int:
        return await self.listen(Profile("smtp", "lmtp", **profile), host, port)

    async def pop3(self, host: str, port: int, **profile: Any) -> int:
        return await self.listen(Profile("pop3", "pop3", **profile), host, port)

    async def submission(self, host: str, port: int, **profile: Any) -> int:
        """Mail of our own users, who log in first."""
        return await self.listen(Profile("smtp", "submission", **profile), host, port)

    async def imap(self, host: str, port: int, **profile: Any) -> int:
        return await self.listen(Profile("imap", "imap", **profile), host, port)

    async def listen(self, profile: Profile, host: str, port: int) -> int:
        listener = await self.loop.create_server(lambda: Connection(self, profile), host, port)
        self.listeners.append(listener)
        return listener.sockets[0].getsockname()[1]

    async def serve_forever(self) -> None:
        """Until it is cancelled."""
        await self.loop.create_future()

    def soon(self) -> None:
        """A run, when all that has come by now was fed."""
        if self.due is None and not self.engine.is_freed:
            self.due = self.loop.call_soon(self.run)

    def run(self) -> None:
        self.rest()
        now_us = int(self.loop.time() * 1e6)
        self.engine.advance(now_us, time.time_ns() // 1000)
        self.engine.turn()
        for session in self.engine.ready():
            session.host.go_on()
        deadline = self.engine.next_deadline()
        if deadline is not None and deadline > now_us:
            self.timer = self.loop.call_at(deadline / 1e6, self.run)
        elif deadline is not None:
            self.soon()
        self.moved.set()
        for event in self.engine.events() if self.on_event else ():
            self.on_event(event)

    def rest(self) -> None:
        for handle in (self.due, self.timer):
            if handle is not None:
                handle.cancel()
        self.due = self.timer = None

    async def close(self) -> None:
        """Ends sessions politely, and waits for the answers that are owed: `grace_s` for all, then they are cut off."""
        for listener in self.listeners:
            listener.close()
        self.engine.close()
        self.run()
        deadline = self.loop.time() + self.grace_s
        await self.until(lambda: not self.connections, deadline)
        for connection in self.connections:
            connection.transport.abort()
        await self.until(lambda: not self.connections)
        if not await self.until(self.is_over, deadline):
            for task in self.engine.tasks:
                task.cancel()
            if not await self.until(self.is_over, self.loop.time() + self.grace_s):
                self.engine.free(abandon=True)
        self.rest()

    async def until(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                while not done():
                    self.moved.clear()
                    await self.moved.wait()
        except TimeoutError:
            return done()
        return True

    def is_over(self) -> bool:
        """Has everything been answered?  Then the engine is freed."""
        while self.engine.turn():
            pass
        try:
            self.engine.free()
        except Error as error:
            if error.status != Status.E_BUSY:
                raise
            return False
        return True
