"""A mail server in asyncio's loop.  It moves octets and tells the time; whatever is said is the library's."""
import asyncio
import contextlib
import time
from typing import Any, Callable, Iterable

from .connection import Connection
from .engine import Engine, Handler
from .out import Out
from .profile import Profile
from .queue import Queue
from .status import Error, Status


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
        self.out: Out | None = None
        self.due: asyncio.Handle | None = None  # a run that comes at once
        self.timer: asyncio.TimerHandle | None = None
        self.engine = Engine(**self.config)
        try:
            self.engine.answered, self.engine.wake = self.soon, self.wake
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

    def queue(self, *, dns: str | Handler | None = None, source: Iterable[str] = (), **settings: Any) -> Queue:
        """Sends what is in the store's queue, and what is put into it, as long as the server is open.  To be called
        before something listens.

        `settings` are those of mailsrv_queue_setup and of Profile: `hostname` must be there.  `dns`: name servers, as
        in "127.0.0.1:5353,[::1]:53", or who answers DNS instead; None: those of the system.  `source`: addresses to
        connect from, one of each family.  `own`: addresses of this host, as others reach it.  Error with INUSE: there
        is a queue."""
        self.out = Out(self, dns, source, settings)
        return self.out.queue

    async def serve_forever(self) -> None:
        """Until it is cancelled."""
        await self.loop.create_future()

    def soon(self) -> None:
        """A run, when all that has come by now was fed."""
        if self.due is None and not self.engine.is_freed:
            self.due = self.loop.call_soon(self.run)

    def wake(self) -> None:
        """On any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed: a store was freed after it
            self.loop.call_soon_threadsafe(self.soon)

    def run(self) -> None:
        self.rest()
        self.tell_time()
        self.engine.turn()
        self.go_on()
        now_us = self.tell_time()  # what was armed counts from here, and not from when it wakes us
        self.go_on()
        deadline = self.engine.next_deadline()
        if deadline is not None and deadline > now_us:
            self.timer = self.loop.call_at(deadline / 1e6, self.run)
        elif deadline is not None:
            self.soon()
        self.moved.set()
        for event in self.engine.events() if self.on_event else ():
            self.on_event(event)

    def tell_time(self) -> int:
        now_us = int(self.loop.time() * 1e6)
        self.engine.advance(now_us, self.unix_us())
        return now_us

    def go_on(self) -> None:
        for session in self.engine.ready():
            session.host.go_on()

    @staticmethod
    def unix_us() -> int:
        return time.time_ns() // 1000

    def rest(self) -> None:
        for handle in (self.due, self.timer):
            if handle is not None:
                handle.cancel()
        self.due = self.timer = None

    async def close(self) -> None:
        """Ends sessions politely, and waits for the answers that are owed: `grace_s` for all, then they are cut off."""
        for listener in self.listeners:
            listener.close()
        if self.out is not None:
            self.out.close()
        self.engine.close()
        self.run()
        deadline = self.loop.time() + self.grace_s
        await self.until(self.is_quiet, deadline)
        for connection in self.connections:
            connection.transport.abort()
        await self.until(lambda: not self.connections)
        if not await self.until(self.is_over, deadline):
            for task in self.engine.tasks:
                task.cancel()
            if not await self.until(self.is_over, self.loop.time() + self.grace_s):
                self.engine.free(abandon=True)
        self.rest()

    def is_quiet(self) -> bool:
        return not self.connections and (self.out is None or self.out.queue.is_closed)

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
