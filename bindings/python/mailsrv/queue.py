"""The queue: mail for elsewhere on its way out, which waits in the store.  Whoever has the engine sees to what it asks:
ROUTE, DNS, CONNECT and, if they like, CREDENTIAL and RETRY.  A Server does (Server.queue).

What takes time gives a future of the engine's loop, whose result is there after a turn.
"""
import asyncio
import ctypes
from typing import Any, AsyncIterator, Iterable, Mapping

from .engine import Engine, log
from .library import c
from .profile import Profile
from .status import Error, Kind, Status, check
from .values import Record, convert, elements, fill, plain_fields, read

SETTINGS = {"own", *plain_fields(c.mailsrv_queue_setup)} - {"profile"}
PAGE = 200
INT64_MIN, INT64_MAX = -2**63, 2**63 - 1
TEXTS = ("lane", "reverse_path", "recipient")


class Queue:
    def __init__(self, engine: Engine, profile: Profile, *, own: Iterable[str | bytes] = (), **settings: int):
        """Opens the queue of the store that serves `engine`.  `profile` is one of ("smtp_client", "client"), of its
        connections; `own` are addresses of this host, as others reach it ("192.0.2.1"); `settings` are the other ones of
        mailsrv_queue_setup.  The first time is told before, by `advance`."""
        self.engine, self._pointer = engine, ctypes.POINTER(c.mailsrv_queue)()
        self._waiting: dict[int, tuple[asyncio.Future, Any]] = {}  # by number: what C has not answered, and reads
        self._sent = getattr(c, "mailsrv_queue_send.done")(self._done)
        self._controlled = getattr(c, "mailsrv_queue_control.done")(self._done)
        self._closed = getattr(c, "mailsrv_queue_close.closed")(self._ended)
        self._end: asyncio.Future | None = None
        keep: list[bytes] = []  # until it has been copied
        setup = fill(c.mailsrv_queue_setup, {**settings, "own": [octets_of(one) for one in own]}, keep)
        setup.profile = profile.pointer
        check(c.mailsrv_queue_open(engine.pointer, ctypes.byref(setup), ctypes.byref(self._pointer)))
        engine.at_end(self._ended)
        engine.answered()  # there is something for a turn

    @property
    def pointer(self) -> Any:
        if not self._pointer:
            raise Error(Status.E_CLOSED, "the queue has been closed")
        return self.engine.pointer and self._pointer

    @property
    def is_closed(self) -> bool:
        return not self._pointer

    # ---- Into it ----

    def send(self, reverse_path: str | bytes, recipients: Iterable[str | bytes | Mapping[str, Any]], message: bytes, *,
             ret: int = 0, envelope_id: str | bytes = b"") -> asyncio.Future:
        """Done when the message is durable, for all of its recipients: it is delivered, or a notice goes to the
        reverse-path ("": nobody).  Its lines end with CRLF.  A recipient is an address, or has the fields of
        mailsrv_queue_recipient; its `original` and the `envelope_id` are xtext (RFC 3461 section 4).  Error with E_VALUE
        at once: one of them, an address or a message is none; from the future: nothing was taken."""
        keep: list[bytes] = []
        fields = {"reverse_path": octets_of(reverse_path), "envelope_id": octets_of(envelope_id), "ret": ret,
                  "message": message, "recipients": [recipient_of(one) for one in recipients]}
        mail = fill(c.mailsrv_queue_mail, fields, keep)
        return self._ask(lambda queue, number: c.mailsrv_queue_send(queue, ctypes.byref(mail), self._sent, number),
                         (mail, keep))

    # ---- What waits ----

    async def waiting(self, lane: str | bytes = b"") -> AsyncIterator[Record]:
        """What is in it, or in one lane (a domain): the fields of mailsrv_queued_mail."""
        order = c.MAILSRV_QUEUE_BY_LANE if lane else c.MAILSRV_QUEUE_BY_NUMBER
        more, cursor = True, bytes(32)
        while more:
            items, more, cursor = await self.engine.ask(
                Kind.QUEUE_SCAN, take=page_of, limit=PAGE, cursor=cursor, order=order, due_min_us=INT64_MIN,
                due_max_us=INT64_MAX, lane=octets_of(lane))
            for item in items:
                yield item

    def control(self, action: int, *, route: str | bytes = b"", **which: Any) -> asyncio.Future:
        """Does something (c.MAILSRV_QUEUE_HOLD, RELEASE, RETRY, DROP, RETURN, REROUTE) to all that match, and says to
        how many.  `which` has fields of mailsrv_queue_match: queues=[3], lane="there.test"; none: all of them."""
        keep: list[bytes] = []
        match = fill(c.mailsrv_queue_match, {name: octets_of(value) if name in TEXTS else value
                                             for name, value in which.items()}, keep)
        way = convert(c.mailsrv_bytes, octets_of(route), keep)
        return self._ask(lambda queue, number: c.mailsrv_queue_control(queue, ctypes.byref(match), action, way,
                                                                       self._controlled, number), None)

    def poke(self) -> None:
        """Something was put into the store's queue by another engine."""
        c.mailsrv_queue_poke(self.pointer)
        self.engine.answered()

    def stat(self, key: int) -> int:
        """`key` is one of c.MAILSRV_QUEUE_STAT_..."""
        return c.mailsrv_queue_stat(self.pointer, key)

    def close(self) -> asyncio.Future:
        """Begins nothing new.  Done when what was being sent has come to its end; twice does no harm."""
        if self._end is None:
            self._end = self.engine.future()
            if self.is_closed:
                self._ended()
            else:
                c.mailsrv_queue_close(self.pointer, self._closed, None)
                self.engine.answered()
        return self._end

    # ---- Callbacks ----

    def _ask(self, begin: Any, keep: Any) -> asyncio.Future:
        queue, future, number = self.pointer, self.engine.future(), self.engine.number()
        self._waiting[number] = future, keep
        status = begin(queue, number)
        if status != Status.OK:
            del self._waiting[number]
            raise Error(status)
        self.engine.answered()
        return future

    def _done(self, number: int, status: int, n: int | None = None) -> None:
        future, _ = self._waiting.pop(number)
        if not future.done():  # nobody has given it up
            future.set_result(n) if status == Status.OK else future.set_exception(Error(status))

    def _ended(self, user: Any = None) -> None:
        """It is no more; or its engine, which tells of nothing else."""
        self._pointer = None
        for number in list(self._waiting):
            self._done(number, Status.E_CLOSED)
        if self._end is not None and not self._end.done():
            self._end.set_result(None)


def octets_of(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def recipient_of(given: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"address": octets_of(given)} if isinstance(given, (str, bytes)) else \
        {name: octets_of(value) if isinstance(value, str) else value for name, value in given.items()}


def page_of(queued: Any) -> tuple[list[Record], bool, bytes]:
    """Its items as they are understood, and where the next page begins.  One that is not does not hide the others."""
    items = []
    for item in elements(queued, "items"):
        mail = c.mailsrv_queued_mail()
        status = c.mailsrv_queued_read(ctypes.byref(item), ctypes.byref(mail))
        if status == Status.OK:
            items.append(read(mail))
        else:
            log.error("item %d of the queue cannot be read: %s", item.queue, Error(status))
    return items, bool(queued.more), bytes(queued.next.b)
