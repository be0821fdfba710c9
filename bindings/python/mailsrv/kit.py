"""The conformance kit (libmailserver-kit), for a store that is written in Python."""
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

    def __init__(self, make: Callable[[], Any], drive: Callable | None, handles: Callable | None):
        self.make, self.store, self.engines = make, None, []
        self.setup = c.mailsrv_kit_setup()
        self.outcomes: list[Outcome] = []
        self.keep: list[Any] = []
        self._hook("open", self._open)
        self._hook("bind", self._bind)
        self._hook("close", self._close)
        self._hook("report", self._report)
        if drive is not None:
            self._hook("drive", lambda user: bool(drive(self.store)))
        if handles is not None:
            self._hook("handles", lambda user: handles(self.store))

    def _hook(self, name: str, function: Callable) -> None:
        def guarded(*args: Any) -> Any:
            try:
                return function(*args)
            except Exception as wrong:
                log.error("%s has failed", name, exc_info=wrong)
                return 0 if name == "drive" else Status.TEMP

        setattr(self.setup, name, getattr(c, f"mailsrv_kit_setup.{name}")(guarded))

    def _open(self, user: Any) -> int:
        self.store = self.make()
        return Status.OK

    def _bind(self, user: Any, pointer: Any) -> int:
        engine = Engine.of(pointer)
        self.engines.append(engine)
        engine.bind(self.store)
        return Status.OK

    def _close(self, user: Any) -> None:
        for engine in self.engines:
            engine.ended()
        self.engines.clear()
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
        handles: Callable[[Any], int] | None = None) -> list[Outcome]:
    """Runs the checks over stores that `make` makes: empty, with two accounts.  `covers` is of c.MAILSRV_KIT_..., and
    `unknown` an address that leads nowhere.  `drive` lets a store that answers late go on: True, if it did.  `handles`
    counts those that a store has given and not got back."""
    this, failed = _Run(make, drive, handles), ctypes.c_uint32()
    this.setup.covers, this.setup.octets_max = covers, octets_max
    this.setup.only = only.encode() if only else None
    this.setup.unknown_address = this.text(unknown)
    for i, account in enumerate(accounts):
        this.setup.accounts[i] = c.mailsrv_kit_account(*map(this.text, account))
    check(c.mailsrv_kit_run(ctypes.byref(this.setup), ctypes.byref(failed)))
    return this.outcomes
