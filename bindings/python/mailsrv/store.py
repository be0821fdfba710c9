"""Stores: those written in Python, and the one in memory that is written in C."""
import asyncio
import ctypes
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, Self

from .library import c
from .status import Error, Kind, Status, check
from .values import convert, fill, read

if TYPE_CHECKING:
    from .engine import Engine, Handler

KNOBS = c.constants("MAILSRV_MEMORY_")


class Store:
    """For who writes a store: a method that is named as a kind in lower case (resolve, body_begin ...) is its handler.
    It answers at once, or later if it is `async def`."""

    def bind(self, engine: "Engine") -> None:
        for kind in Kind:
            if handler := getattr(self, kind.name.lower(), None):
                engine.serve(kind, self.handler(handler))

    def handler(self, method: "Handler") -> "Handler":
        """How a method is called."""
        return method


class BlockingStore(Store):
    """A store whose methods wait for a disk or a database: they run one by one, in the order of the questions, on a
    thread of its own, and the loop goes on meanwhile.  It is for one loop, and freed when its engines have ended."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)

    def handler(self, method: "Handler") -> "Handler":
        return functools.partial(self.call, method)

    async def call(self, function: Callable, *args: Any) -> Any:
        """What it returns; it has its turn among the methods."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *args)

    def free(self) -> None:
        """Waits for what runs; twice does no harm."""
        self._worker.shutdown(cancel_futures=True)

    def __enter__(self) -> "BlockingStore":
        return self

    def __exit__(self, *_: Any) -> None:
        self.free()


class NativeStore:
    """One that is written in C.  It is freed after the engines that it is bound to."""

    def __init__(self) -> None:
        self._pointer, self._engines = ctypes.POINTER(c.mailsrv_store)(), 0

    @property
    def pointer(self) -> Any:
        if not self._pointer:
            raise Error(Status.E_CLOSED, "the store has been freed")
        return self._pointer

    def bind(self, engine: "Engine") -> None:
        self._bind(engine)
        self._engines += 1
        engine.at_end(self._unbound)

    def _bind(self, engine: "Engine") -> None:
        check(c.mailsrv_store_bind(self.pointer, engine.pointer))

    def _unbound(self) -> None:
        self._engines -= 1

    def free(self) -> None:
        """Error with E_BUSY while an engine that it is bound to lives; twice does no harm."""
        if self._engines:
            raise Error(Status.E_BUSY, "the store is bound to an engine that has not been freed")
        c.mailsrv_store_free(self._pointer)
        self._pointer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.free()


class DurableStore(NativeStore):
    """libmailserver-durable: mail and the queue in a directory, safe from power cuts.  It has threads of its own."""

    def __init__(self, directory: str | os.PathLike, **setup: int):
        """The directory is there; `setup` are the numbers of mailsrv_durable_setup."""
        super().__init__()
        made = fill(c.mailsrv_durable_setup, setup, [])
        made.directory = os.fsencode(directory)
        check(c.mailsrv_durable_open(ctypes.byref(made), ctypes.byref(self._pointer)))
        self._wakes: list[Any] = []  # that it may call until it is freed

    def _bind(self, engine: "Engine") -> None:
        wake = getattr(c, "mailsrv_durable_bind.wake")(lambda user: engine.wake())
        self._wakes.append(wake)
        check(c.mailsrv_durable_bind(self.pointer, engine.pointer, wake, None))

    def account(self, name: str) -> bytes:
        """The id of the account of that name, which is made, with an empty INBOX, if it is not there.  Waits."""
        octets, account = name.encode(), c.mailsrv_id()
        for get in (c.mailsrv_durable_find_account, c.mailsrv_durable_add_account):
            status = get(self.pointer, octets, len(octets), ctypes.byref(account))
            if status != Status.NONEXISTENT:
                break
        check(status)
        return bytes(account.b)


class MemoryStore(NativeStore):
    """libmailserver-memory: accounts, each with an INBOX, as long as the process lives.  For one thread."""

    def __init__(self, **knobs: int):
        """`knobs` are those of mailsrv/stores/memory.h in lower case: MemoryStore(octets_max=1 << 30)."""
        super().__init__()
        check(c.mailsrv_memory_new(None, ctypes.byref(self._pointer)))
        for name, value in knobs.items():
            self.set(name, value)

    def set(self, knob: str, value: int, account: bytes | None = None) -> None:
        """A knob of the store, or, of quota, shard and uidnext, an account's."""
        if account is None:
            check(c.mailsrv_memory_set_u64(self.pointer, KNOBS[knob.upper()], value))
        else:
            check(c.mailsrv_memory_account_u64(self.pointer, id_of(account), KNOBS[knob.upper()], value))

    def stat(self, key: int) -> int:
        """`key` is one of c.MAILSRV_MEMORY_STAT_..."""
        return c.mailsrv_memory_stat(self.pointer, key)

    def add_account(self, name: str, password: str | bytes, *addresses: str) -> bytes:
        """The new account's id; mail for `addresses` goes to its INBOX."""
        user, secret, account = name.encode(), octets_of(password), c.mailsrv_id()
        check(c.mailsrv_memory_add_account(self.pointer, user, len(user), secret, len(secret), ctypes.byref(account)))
        for address in addresses:
            self.add_address(address, bytes(account.b))
        return bytes(account.b)

    def add_address(self, address: str, *accounts: bytes) -> None:
        """An address that leads to several accounts, or, with none, to the queue."""
        ids = (c.mailsrv_id * len(accounts))(*map(id_of, accounts))
        octets = address.encode()
        check(c.mailsrv_memory_add_address(self.pointer, octets, len(octets), ids, len(accounts)))

    def append(self, account: bytes, message: bytes) -> None:
        check(c.mailsrv_memory_append(self.pointer, id_of(account), message, len(message)))

    def messages(self, account: bytes) -> list[bytes]:
        """A copy of all that is in the account's INBOX."""
        return [self._message(account, i) for i in range(c.mailsrv_memory_count(self.pointer, id_of(account)))]

    def _message(self, account: bytes, index: int) -> bytes:
        whole, piece = bytearray(), c.mailsrv_bytes()
        while True:
            check(c.mailsrv_memory_message(self.pointer, id_of(account), index, len(whole), ctypes.byref(piece)))
            if not piece.n:
                return bytes(whole)
            whole += read(piece)


def id_of(account: bytes) -> Any:
    return convert(c.mailsrv_id, account, [])


def octets_of(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
