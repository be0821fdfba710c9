"""The conformance kit (libmailserver-kit), for a store that is written in Python."""
import asyncio
import ctypes
from typing import Any, Callable, Iterator, NamedTuple, Sequence

from .engine import Engine, log
from .library import c
from .status import Status, check
from .store import octets_of
from .values import address_of

OUTCOMES = {c.MAILSRV_KIT_PASSED: "passed", c.MAILSRV_KIT_FAILED: "failed", c.MAILSRV_KIT_SKIPPED: "skipped"}


class Account(NamedTuple):
    address: str
    user: str = ""
    password: str = ""


class Outcome(NamedTuple):
    check: str
    outcome: str  # passed, failed or skipped
    text: str


def checks() -> Iterator[str]:
    """The names of all checks."""
    index = 0
    while name := c.mailsrv_kit_check(index):
        yield name.decode()
        index += 1


class _Run:
    """The functions that the kit calls.  What they raise is logged, and fails the check."""

    def __init__(self, make: Callable[[], Any], drive: Callable | None, **optional: Callable | None):
        self.make, self.drive, self.optional, self.store, self.engines = make, drive, optional, None, []
        self.loop = asyncio.new_event_loop()  # for a store that has coroutines
        self.setup = c.mailsrv_kit_setup()
        self.outcomes: list[Outcome] = []
        self.wrong: list[Exception] = []  # what fails no check, and fails the run
        self.keep: list[Any] = []
        self._hook("open", self._open)
        self._hook("bind", self._bind)
        self._hook("close", self._close)
        self._hook("report", self._report)
        self._hook("drive", self._drive)
        for name, function in optional.items():
            if function is not None:
                self._hook(name, getattr(self, f"_{name}"))

    def _hook(self, name: str, function: Callable) -> None:
        def guarded(*args: Any) -> Any:
            try:
                return function(*args)
            except Exception as wrong:
                log.error("%s has failed", name, exc_info=wrong)
                if name in ("close", "report"):  # whose answer is not looked at
                    self.wrong.append(wrong)
                return 0 if name == "drive" else Status.TEMP

        setattr(self.setup, name, getattr(c, f"mailsrv_kit_setup.{name}")(guarded))

    def _open(self, user: Any) -> int:
        self.store = self.make()
        return Status.OK

    def _bind(self, user: Any, pointer: Any) -> int:
        engine = Engine.of(pointer)
        engine.loop = self.loop
        self.engines.append(engine)
        engine.bind(self.store)
        return Status.OK

    def _drive(self, user: Any) -> bool:
        """Goes on until a coroutine has answered; or as the store says."""
        if self.drive is not None:
            return bool(self.drive(self.store))
        tasks = {task for engine in self.engines for task in engine.tasks if not task.done()}
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
        return bool(tasks)

    def _handles(self, user: Any) -> int:
        return self.optional["handles"](self.store)

    def _quota(self, user: Any, account: int, octets: int) -> int:
        self.optional["quota"](self.store, account, octets)
        return Status.OK

    def _reopen(self, user: Any) -> int:
        self._engines_ended()
        self.store = self.optional["reopen"](self.store)
        return Status.OK

    def _engines_ended(self) -> None:
        for engine in self.engines:
            engine.ended()
            tasks = set(engine.tasks)  # one that ends leaves the engine's
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.wait(tasks))
        self.engines.clear()

    def _close(self, user: Any) -> None:
        self._engines_ended()
        if free := getattr(self.store, "free", None):
            free()
        self.store = None

    def _report(self, user: Any, name: bytes, outcome: int, text: bytes | None) -> None:
        self.outcomes.append(Outcome(name.decode(), OUTCOMES[outcome], (text or b"").decode()))

    def text(self, text: str) -> Any:
        octets = octets_of(text)
        self.keep.append(octets)
        return c.mailsrv_bytes(address_of(octets), len(octets))


def run(make: Callable[[], Any], covers: int, accounts: Sequence[Account], unknown: str, *, octets_max: int = 0,
        only: str | None = None, drive: Callable[[Any], bool] | None = None,
        handles: Callable[[Any], int] | None = None, reopen: Callable[[Any], Any] | None = None,
        quota: Callable[[Any, int, int], None] | None = None) -> list[Outcome]:
    """Runs the checks over stores that `make` makes: empty, with two accounts.  `covers` is of c.MAILSRV_KIT_..., and
    `unknown` an address that leads nowhere.

    Coroutines run in a loop of the kit's own, so it is not called inside of one.  `drive` lets a store that answers
    late by other means go on: True, if it did.  `handles` counts those that a store has given and not got back.
    `reopen` ends a store as a crash would, and gives the same opened again.  `quota(store, account, octets)` limits
    account 0 or 1."""
    this = _Run(make, drive, handles=handles, reopen=reopen, quota=quota)
    failed = ctypes.c_uint32()
    this.setup.covers, this.setup.octets_max = covers, octets_max
    this.setup.only = only.encode() if only else None
    this.setup.unknown_address = this.text(unknown)
    for i, account in enumerate(accounts):
        this.setup.accounts[i] = c.mailsrv_kit_account(*map(this.text, account))
    try:
        check(c.mailsrv_kit_run(ctypes.byref(this.setup), ctypes.byref(failed)))
    finally:
        this.loop.close()
    if this.wrong:
        raise this.wrong[0]
    return this.outcomes
