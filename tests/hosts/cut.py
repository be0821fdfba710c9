#!/usr/bin/env python3
"""kill -9 of a mailserverd between the reply of the server that takes its mail and what it writes of that.  The other server
does it, at the moment that is asked for: so each case is what it is called, always.  cut.py BUILD

Before the reply, or in it, the mail must come once more: nobody has heard that it was taken.  Behind the reply it may.  When
the queue has been seen without it, it must not.  And then it never comes again, whatever is killed."""
import socket
import threading
from pathlib import Path

from dns_server import NameServer
from host import HANG_S
from liar import HANGS_UP, OK, Liar
from peers import message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, until

HONEST, LIAR = "honest.test", "liar.test"
HALF = len(OK) // 2
CASES = {  # what is said before the kill and behind it, whether the queue has to be seen first, and how often the mail comes
    "before the reply": (b"", OK, False, {2}),
    "in the reply": (OK[:HALF], OK[HALF:], False, {2}),
    "before the end of the reply's line": (OK[:-1], OK[-1:], False, {2}),
    "behind the reply": (OK, b"", False, {1, 2}),
    "when it is written": (OK, b"", True, {1}),
}


class Cut:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, port = tap, free_port()
        self.liars = {domain: Liar(host=f"127.0.5.{i + 1}", port=port) for i, domain in enumerate((HONEST, LIAR))}
        for domain, liar in self.liars.items():
            names.zone |= zone_of(domain, at=liar.listener.getsockname()[0])
        self.a = Sender(built, "a.test", names.port, routes={"out": {"host": f"mx:{port}"}})

    def remove(self) -> None:
        self.a.remove()
        for liar in self.liars.values():
            liar.close()

    def run(self) -> None:
        self.a.start()
        for name, case in CASES.items():
            self.tap.run(name, self.cut, name, *case)
        self.tap.run("the sender hears of nothing", self.is_silent)
        self.tap.run("it ends", self.a.end)

    def cut(self, name: str, first: bytes, then: bytes, is_written: bool, times: set[int]) -> None:
        """To two servers: one has taken it, and that is written, when the other one kills."""
        is_sent, is_dead = threading.Event(), threading.Event()

        def kill(peer: socket.socket) -> bytes:
            """It has the whole message."""
            assert is_sent.wait(HANG_S)
            until("the other recipient's end", lambda: not self.a.queued("--domain", HONEST))
            peer.sendall(first)
            if is_written:
                until("the end of the queue", lambda: not self.a.queued())
            self.a.kill()
            is_dead.set()
            peer.sendall(then)  # to nobody
            return HANGS_UP

        for liar in self.liars.values():
            liar.taken.clear()
        self.liars[LIAR].deeds = [{"dot": kill, "takes": True}]
        sent = message(name, b"Hello\r\n", self.a.users[0])
        self.a.send(sent, *(f"kim@{domain}" for domain in self.liars))
        is_sent.set()
        assert is_dead.wait(HANG_S), "nobody came"
        assert self.times(sent) == [1, 1]
        self.a.start()
        self.a.emptied()
        came = self.times(sent)
        assert came[0] == 1 and came[1] in times, f"{came} times, not 1 and {times}"
        self.a.kill()
        self.a.start()
        self.a.emptied()
        assert self.times(sent) == came, f"{self.times(sent)} times in the end, after {came}"

    def times(self, sent: bytes) -> list[int]:
        """How often it came to each, whole."""
        for domain, liar in self.liars.items():
            for taken in liar.taken:
                assert taken.to == [f"kim@{domain}".encode()] and taken.octets.endswith(sent), taken
        return [len(liar.taken) for liar in self.liars.values()]

    def is_silent(self) -> None:
        assert not self.a.take(self.a.users[0])


if __name__ == "__main__":
    run_with_names(Tap(), Cut)
