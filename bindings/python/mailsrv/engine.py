"""The engine: what the sessions of one thread share; and Python functions as handlers of its operations.

A handler gets an Operation.  It answers by what it returns (None, or the fields of the answer's struct), by raising
Refused, or later: a coroutine answers when it ends, and who returns LATER calls `answer` or `refuse` himself.  Any
other exception is logged and answered with Status.TEMP, or FULL or NOMEM where it says so (status_of).

All of it happens on the thread that made the engine.  Who has worked on another one comes back before he answers, as by
loop.call_soon_threadsafe.
"""
import asyncio
import ctypes
import inspect
import logging
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping

from . import crypto
from .library import c
from .operation import ARGUMENTS, LATER, VALUES, Operation
from .status import Error, Kind, Refused, Status, check, status_of
from .values import Record, convert, fill, read

log = logging.getLogger("mailsrv")

NEVER = 2**63 - 1
Handler = Callable[[Operation], Any]


class Engine:
    def __init__(self, *, memory_max: int | None = None, events_max: int | None = None, allocator: Any = None,
                 crypto: Any = crypto.TABLE):
        """`allocator` is a c.mailsrv_allocator whose functions the caller keeps until the engine is freed.  `crypto`, a
        c.mailsrv_crypto or None, is what SCRAM is made of: Python's own hashes and random numbers."""
        engine, config = ctypes.POINTER(c.mailsrv_engine)(), ctypes.POINTER(c.mailsrv_config)()
        check(c.mailsrv_config_new(allocator, ctypes.byref(config)))
        try:
            for key, value in ((c.MAILSRV_CONFIG_MEMORY_MAX, memory_max), (c.MAILSRV_CONFIG_EVENTS_MAX, events_max)):
                if value is not None:
                    check(c.mailsrv_config_set_u64(config, key, value))
            check(c.mailsrv_config_set_crypto(config, crypto))
            check(c.mailsrv_engine_new(config, ctypes.byref(engine)))
        finally:
            c.mailsrv_config_free(config)
        self._begin(engine)

    @classmethod
    def of(cls, pointer: Any) -> "Engine":
        """An engine that somebody else has made and frees; he calls `ended` then."""
        engine = cls.__new__(cls)
        engine._begin(pointer)
        return engine

    def _begin(self, pointer: Any) -> None:
        self._pointer = pointer
        self.thread = threading.get_ident()
        self.sessions: dict[int, Any] = {}  # by number, which is what C keeps as their host
        self.open: dict[int, Operation] = {}  # taken and not answered
        self.tasks: set[asyncio.Task] = set()  # coroutines that will answer
        self.loop: asyncio.AbstractEventLoop | None = None  # that they run in; None: the one that runs
        self.answered: Callable[[], None] = lambda: None  # an answer has come: a turn will show what follows from it
        self.lent: dict[int, Any] = {}  # what C may read, until it says that it is done
        self.release = getattr(c, "mailsrv_answer.release")(self._released)
        self._callbacks: list[Any] = []  # all that C may call
        self._told: list[Callable[[], None]] = []
        self._asked: list[_Question] = []
        self.wake: Callable[[], None] = lambda: None  # called on any thread: there is something for `advance`
        self._numbers = 0
        self._wrong: BaseException | None = None

    @property
    def pointer(self) -> Any:
        if not self._pointer:
            raise Error(Status.E_CLOSED, "the engine has been freed")
        if threading.get_ident() != self.thread:
            raise Error(Status.E_USAGE, "the engine belongs to another thread")
        return self._pointer

    @property
    def is_freed(self) -> bool:
        return not self._pointer

    def number(self) -> int:
        """One that was never given before."""
        self._numbers += 1
        return self._numbers

    # ---- Who answers ----

    def serve(self, kind: int, handler: Handler | None) -> None:
        """`handler` answers the operations of a kind; None: next_op gives them.  Before the first session."""
        callback = c.mailsrv_handler()
        if handler is not None:
            callback = c.mailsrv_handler(lambda user, engine, op: self._hand_over(handler, op.contents))
        check(c.mailsrv_engine_serve(self.pointer, kind, callback, None))
        self._callbacks.append(callback)

    def bind(self, who: Any) -> None:
        """Serves what a store serves, or a mapping of kinds to handlers.  The last word on a kind counts."""
        if isinstance(who, Mapping):
            for kind, handler in who.items():
                self.serve(kind, handler)
        else:
            who.bind(self)

    def inbox(self, on_message: Callable[[Record, bytes], Any], octets_max: int = 64 << 20) -> None:
        """Takes all mail, and hands over each message by on_message(envelope, message).  None is Status.OK; a Status
        that it returns, or raises with Refused, is the reply.  It answers at once, so it is no coroutine."""
        if inspect.iscoroutinefunction(on_message):
            raise TypeError("on_message answers at once: what takes time is a handler of BODY_COMMIT")
        callback = c.mailsrv_on_message(lambda user, envelope, message:
                                        self._message(on_message, envelope.contents, message))
        check(c.mailsrv_inbox(self.pointer, octets_max, callback, None))
        self._callbacks.append(callback)

    def at_end(self, told: Callable[[], None]) -> None:
        """`told` is called when the engine has been freed."""
        self._told.append(told)

    def notify(self, mailbox: bytes = bytes(16), modseq: int = 0) -> None:
        """A mailbox was changed from outside of this engine; without one: any.  `modseq` is the highest known."""
        check(c.mailsrv_notify(self.pointer, ctypes.byref(convert(c.mailsrv_id, mailbox, [])), modseq))

    def ask(self, kind: int, *, account: bytes = bytes(16), take: Callable[[Any], Any] = read,
            **arg: Any) -> asyncio.Future:
        """An operation of the host's own, which those who serve answer.  The future has what `take` makes of the
        answer's struct, while that is there; by itself a copy, or None where there is none."""
        question = _Question(self.future(), take, kind, arg)
        check(c.mailsrv_ask(self.pointer, kind, ctypes.byref(convert(c.mailsrv_id, account, [])),
                            ctypes.byref(question.arg), ctypes.byref(question.pointer)))
        self._asked.append(question)
        self.answered()
        return question.future

    def future(self) -> asyncio.Future:
        return (self.loop or asyncio.get_running_loop()).create_future()

    # ---- Time and work ----

    def advance(self, mono_us: int, unix_us: int) -> None:
        check(c.mailsrv_engine_advance(self.pointer, mono_us, unix_us))

    def turn(self, units: int = 10_000) -> bool:
        """Goes on with what there is to do, handlers included; is something left?"""
        status = check(c.mailsrv_engine_turn(self.pointer, units))
        self._asked = [question for question in self._asked if not question.is_over()]
        if self._wrong is not None:
            wrong, self._wrong = self._wrong, None
            raise wrong
        return status == Status.MORE

    def next_op(self) -> Operation | None:
        """The next operation of a pulled kind, to be answered by its `answer` or `refuse`."""
        op = ctypes.POINTER(c.mailsrv_op)()
        if c.mailsrv_engine_next_op(self.pointer, ctypes.byref(op)) != Status.OK:
            return None
        return Operation(self, op.contents)

    def next_deadline(self) -> int | None:
        """When to come again, on the clock of mono_us; None: never."""
        deadline = c.mailsrv_engine_next_deadline(self.pointer)
        return None if deadline == NEVER else deadline

    def ready(self) -> Iterator[Any]:
        """The sessions with something new, each once for it."""
        session = ctypes.POINTER(c.mailsrv_session)()
        while c.mailsrv_engine_next_ready(self.pointer, ctypes.byref(session)) == Status.OK:
            yield self.sessions[c.mailsrv_session_host(session)]

    def events(self) -> Iterator[Record]:
        """Those not yet seen: what, session_id, unix_us, text."""
        event = ctypes.POINTER(c.mailsrv_event)()
        while c.mailsrv_engine_next_event(self.pointer, ctypes.byref(event)) == Status.OK:
            yield read(event.contents)

    def stat(self, key: int) -> int:
        """`key` is one of c.MAILSRV_STAT_..."""
        return c.mailsrv_engine_stat(self.pointer, key)

    # ---- The end ----

    def close(self) -> None:
        """No new sessions; those that live are shut down politely."""
        check(c.mailsrv_engine_close(self.pointer))

    def free(self, *, abandon: bool = False) -> None:
        """Error with E_BUSY while a session lives or, without `abandon`, an answer is owed."""
        while abandon and self._asked:
            self._asked.pop().give_up()
        check(c.mailsrv_engine_free(self.pointer, c.MAILSRV_ABANDON if abandon else 0))
        self.ended()

    def ended(self) -> None:
        """The engine is gone: C calls nothing and reads nothing of it any more."""
        self._pointer = None
        for operation in list(self.open.values()):
            operation.settled()
        self._callbacks.clear()
        while self._told:
            self._told.pop()()

    # ---- Callbacks.  They raise nothing: C would go on as if they had succeeded. ----

    def lend(self, what: Any) -> int:
        """Keeps it until C calls `release` with the number."""
        number = self.number()
        self.lent[number] = what
        return number

    def _released(self, number: int) -> None:
        self.lent.pop(number, None)

    def _message(self, on_message: Callable[[Record, bytes], Any], envelope: Any, message: Any) -> int:
        try:
            try:
                status = on_message(read(envelope), read(message))
            except Refused as no:
                status = no.status
            return Status.OK if status is None else Status(status)
        except BaseException as wrong:
            self._failed("on_message", wrong)
            return status_of(wrong)

    def _hand_over(self, handler: Handler, op: Any) -> None:
        number, kind = op.id, op.kind  # once it is answered it is not there any more
        try:
            with self._answering(Operation(self, op)) as operation:
                result = handler(operation)
                if inspect.isawaitable(result):
                    self._spawn(operation, result)
                else:
                    self._finish(operation, result)
        except BaseException as wrong:
            self._failed(c.mailsrv_op_name(kind).decode(), wrong)
            if number:
                c.mailsrv_op_answer_status(self._pointer, number, Status.TEMP)

    @contextmanager
    def _answering(self, operation: Operation) -> Iterator[Operation]:
        """An exception is an answer."""
        try:
            try:
                yield operation
            except Refused as no:
                operation.refuse(no.status, no.text)
        except BaseException as wrong:
            if operation.is_open:
                operation.refuse(status_of(wrong))
            if not isinstance(wrong, Exception):
                raise
            self._failed(repr(operation), wrong)

    @staticmethod
    def _finish(operation: Operation, value: Any) -> None:
        if operation.is_open and value is not LATER:
            operation.answer(value)

    def _spawn(self, operation: Operation, awaitable: Any) -> None:
        async def wait() -> None:
            with self._answering(operation):
                self._finish(operation, await awaitable)

        try:
            loop = self.loop or asyncio.get_running_loop()
        except RuntimeError:
            getattr(awaitable, "close", lambda: None)()
            raise
        task = loop.create_task(wait())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _failed(self, where: str, wrong: BaseException) -> None:
        if isinstance(wrong, Exception):
            log.error("%s has failed", where, exc_info=wrong)
        else:
            self._wrong = wrong  # ^C and the like: raised when C has returned


class _Question:
    """Asked by the host.  C reads its argument until the answer."""

    def __init__(self, future: asyncio.Future, take: Callable[[Any], Any], kind: int, arg: Mapping[str, Any]):
        self.future, self.take, self.kind, self.keep = future, take, Kind(kind), []
        self.arg = fill(ARGUMENTS[self.kind], arg, self.keep)
        self.pointer = ctypes.POINTER(c.mailsrv_asked)()

    def is_over(self) -> bool:
        """Is it answered?  Then the future is, too."""
        answer = c.mailsrv_asked_answer(self.pointer)
        if not answer:
            return False
        try:
            result, wrong = self.taken(answer.contents), None
        except Exception as error:
            result, wrong = None, error
        c.mailsrv_asked_free(self.pointer)
        if not self.future.done():  # nobody has given it up
            self.future.set_exception(wrong) if wrong else self.future.set_result(result)
        return True

    def taken(self, answer: Any) -> Any:
        if answer.status != Status.OK:
            raise Error(answer.status)
        if not answer.value:
            return None
        return self.take(ctypes.cast(answer.value, ctypes.POINTER(VALUES[self.kind])).contents)

    def give_up(self) -> None:
        c.mailsrv_asked_free(self.pointer)
        if not self.future.done():
            self.future.set_exception(Error(Status.E_CLOSED))
