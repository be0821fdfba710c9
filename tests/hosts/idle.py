#!/usr/bin/env python3
"""Thousands of IMAP sessions that idle in one mailserverd: what each costs, and that a new message reaches all.  The
clients are this process.  idle.py BUILD [sanitized]

Two numbers are judged, for each session beyond the first tenth: the octets that the engine holds (as `status` says), and
those of the whole process, by the kernel's count of the pages that are no file's (smaps_rollup): the engine's, the
driver's and libuv's, the store's, and what the allocator loses.  Under TLS what the provider reports is taken off the
second.  A sanitizer has memory of its own, so that only the first is judged there."""
import os
import re
import resource
import ssl
import sys
import time
from pathlib import Path

import clients
from crowd import Crowd
from host import ALL, HANG_S, Host
from server import Server, listener
from tap import Tap

ACCOUNTS = 20
MOST = 4096  # octets of a session
SPARE = 200  # descriptors for everything else
STATS = ("sessions", "octets", "octets of mailboxes", "octets of TLS")


def raise_limit() -> int:
    """How many connections the limit leaves room for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard - SPARE


class Idle:
    """A server with a listener of every kind, and what it says of itself."""

    def __init__(self, built: Path, sanitized: bool):
        self.server, self.sanitized = Server(built), sanitized
        self.users = {f"user{i}": f"secret{i}" for i in range(ACCOUNTS)}
        tls = self.server.certify("localhost")
        imaps = listener("imaps").replace("protocol = imaps", "protocol = imap").replace("tls = no", "tls = implicit")
        self.server.configure(tls, *map(listener, ALL), imaps)
        self.server.add_users(self.users)
        self.start()
        self.context = ssl.create_default_context(cafile=str(self.server.path / "localhost.pem"))
        self.messages = 0

    def start(self) -> None:
        """What one crowd leaves behind in the heap is not the next one's to use."""
        self.host = Host(self.server.argv("serve"), [*ALL, "imaps"], {"MALLOC_ARENA_MAX": "1"})

    def stats(self) -> dict[str, int]:
        said = self.server.must("status")
        return {name: int(re.search(rf"^{name} (\d+)$", said, re.M)[1]) for name in STATS}

    def pages(self) -> int:
        """Octets."""
        rollup = Path(f"/proc/{self.host.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous: +(\d+) kB$", rollup, re.M)[1]) * 1024

    def stats_at_rest(self) -> dict[str, int]:
        """Everybody has gone, and the log has been written."""
        before = self.stats()
        for _ in range(HANG_S * 10):
            time.sleep(0.1)
            stats = self.stats()
            if stats["sessions"] == 0 and stats == before:
                return stats
            before = stats
        raise TimeoutError(f"{stats['sessions']} sessions are left")

    def crowd(self, n: int, name: str) -> Crowd:
        """All of them idle."""
        crowd = Crowd(self.host.ports[name], self.users, self.context if name == "imaps" else None)
        crowd.grow(n)
        return crowd

    def rehearse(self, name: str) -> None:
        """A few do all that the many will, so that what the server keeps afterwards is there: of each mailbox, and, for
        mailserverd stats, of each command and each operation that was ever done."""
        crowd = self.crowd(2 * ACCOUNTS, name)
        self.tell(crowd)
        crowd.all_are_done()
        crowd.go()

    def check(self, tap: Tap, name: str, n: int) -> None:
        self.rehearse(name)
        before = self.stats_at_rest()
        crowd = self.crowd(n // 10, name)
        some, pages = self.stats(), self.pages()
        crowd.grow(n)
        now, grown = self.stats(), self.pages() - pages
        tap.ok(now["sessions"] == n, f"{n} sessions idle by {name}", now)
        self.judge(tap, name, n - n // 10, now["octets"] - some["octets"], grown,
                   now["octets of TLS"] - some["octets of TLS"])
        tap.run(f"a new message reaches all {n}", self.tell, crowd)
        tap.run(f"all {n} go on", crowd.all_are_done)
        crowd.go()
        after = self.stats_at_rest()
        left = {name: after[name] - before[name] for name in STATS}
        tap.ok(left["octets"] == left["octets of mailboxes"] and left["octets of TLS"] == 0,
               "when they have gone nothing of theirs is held", left)

    def judge(self, tap: Tap, name: str, n: int, engine: int, grown: int, provider: int) -> None:
        tap.ok(engine <= MOST * n, f"of the engine a session of {name} holds {engine // n} octets, at most {MOST}")
        if not self.sanitized:
            beside = f"beside the {provider // n} that the provider reports, " if provider else ""
            each = (grown - provider) // n
            tap.ok(each <= MOST, f"of the process it holds {each} octets, {beside}at most {MOST}")

    def tell(self, crowd: Crowd) -> None:
        """One message, to all users at once."""
        self.messages += 1
        message = clients.text(f"number {self.messages}")
        clients.by_smtplib(self.host.ports["smtp"], message, *(f"{user}@here.test" for user in self.users))
        crowd.all_hear(f"* {self.messages} EXISTS".encode())


def main(built: Path, sanitized: bool) -> None:
    tap, room = Tap(), raise_limit()
    idle = Idle(built, sanitized)
    try:
        for name, count, otherwise in (("imap", "IDLE_SESSIONS", 10000), ("imaps", "IDLE_TLS_SESSIONS", 1000)):
            wanted = int(os.environ.get(count, otherwise)) // (10 if sanitized else 1)
            if wanted > room:
                print(f"# {room} sessions instead of {wanted}: RLIMIT_NOFILE leaves no more", flush=True)
            idle.check(tap, name, min(wanted, room))
            tap.ok(idle.host.end() == 0, "it ends", idle.host.said()[-2000:])
            idle.start()
    finally:
        idle.host.end()
        idle.server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), "sanitized" in sys.argv)
