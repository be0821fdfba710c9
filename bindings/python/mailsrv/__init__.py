"""libmailserver for Python: SMTP, POP3 and IMAP without the I/O, and a host in asyncio's loop.

Server serves; Engine, Profile and Session are what it is made of, for other loops and for tests; `c` is the library as
it is in C.
"""
from .crypto import scram_keys
from .engine import Engine
from .host import Connection, Server
from .library import c
from .logins import logins
from .operation import LATER, Operation
from .profile import Profile
from .queue import Queue
from .session import CLOSE, READ, WRITE, Session
from .status import Error, Kind, Refused, Status
from .store import BlockingStore, DurableStore, MemoryStore, Store
from .tls import TLS
from .values import Record, Secret

__all__ = ["BlockingStore", "CLOSE", "Connection", "DurableStore", "Engine", "Error", "Kind", "LATER", "MemoryStore",
           "Operation", "Profile", "Queue", "READ", "Record", "Refused", "Secret", "Server", "Session", "Status", "Store", "TLS",
           "WRITE", "c", "logins", "scram_keys", "version"]


def version() -> str:
    number = c.mailsrv_version()
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
