"""What goes out, in asyncio's loop: the connections that a queue asks for, and the name servers."""
import asyncio
import inspect
import ipaddress
import os
from typing import TYPE_CHECKING, Any, Iterable

from .dns import Resolver
from .connection import Connection
from .engine import Handler
from .operation import LATER, Operation
from .profile import Profile
from .queue import SETTINGS, Queue
from .session import Session
from .status import Error, Kind, Refused, Status

if TYPE_CHECKING:
    from .host import Server

CONNECT_MS = 30_000  # where nobody says how long


class Outgoing(Connection):
    """Its session is what answers the operation."""

    def __init__(self, server: "Server", op: Operation):
        super().__init__(server, None)
        self.op = op

    def session_of(self, peer: Any) -> Session:
        return Session.out(self.op, peer, self)


class Out:
    """The queue of a server, and what that asks of the world."""

    def __init__(self, server: "Server", dns: str | Handler | None, source: Iterable[str], settings: dict[str, Any]):
        if server.out is not None and not server.out.queue.is_closed:
            raise Error(Status.INUSE, "there is a queue")  # before what it asks is answered by others
        self.server = server
        self.source = {ipaddress.ip_address(one).version: (one, 0) for one in source}
        self.tasks: set[asyncio.Task] = set()
        resolver = dns if callable(dns) else Resolver(dns)
        ours = {name: value for name, value in settings.items() if name in SETTINGS}
        profile = Profile("smtp_client", "client", **{n: v for n, v in settings.items() if n not in ours})
        server.engine.bind({Kind.CONNECT: self.until_closed(self.connect), Kind.DNS: self.until_closed(resolver)})
        self.queue = Queue(server.engine, profile, **ours)

    def until_closed(self, handler: Handler) -> Handler:
        async def run(op: Operation) -> Any:
            self.tasks.add(task := asyncio.current_task())
            try:
                result = handler(op)
                return await result if inspect.isawaitable(result) else result
            finally:
                self.tasks.discard(task)

        return run

    async def connect(self, op: Operation) -> Any:
        try:
            await self.reach(op)
        except OSError as no:  # a time-out is one, too
            if op.is_open:
                why = os.strerror(no.errno) if no.errno else "no connection in time"
                raise Refused(Status.TEMP, f"4.4.1 {why}") from None
        return LATER  # or now: the session has answered

    async def reach(self, op: Operation) -> None:
        address = ipaddress.ip_address(bytes(op.arg.address[:op.arg.address_octets]))
        async with asyncio.timeout((op.arg.timeout_ms or CONNECT_MS) / 1000):
            await self.server.loop.create_connection(lambda: Outgoing(self.server, op), str(address), op.arg.port,
                                                     local_addr=self.source.get(address.version))

    def close(self) -> None:
        """Who has a connection goes on; who has none yet does not get one."""
        self.queue.close()
        for task in self.tasks:
            task.cancel()
