#!/usr/bin/env python3
"""A host that only sends (examples/send_uv.c, bindings/python/examples/send.py): by mail exchangers of a name server and
by a smarthost; what it has acknowledged outlives kill -9 and SIGTERM, and goes out afterwards.
only_sends.py BUILD send_uv|send.py"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from dns_server import NameServer
from host import HANG_S, ROOT
from liar import Liar
from sender import zone_of
from tap import Tap
from tree import until

SENDER, TO = "pat@here.test", "kim@there.test"
MESSAGE = b"From: pat@here.test\r\nSubject: hello\r\n\r\nIt is I.\r\n.a line with a dot\r\n"
# What a library for mail would write anew: spaces and empty lines in a header, long lines of one; some lines end with LF.
ODD = b"From:pat@here.test\nSubject:\t=?utf-8?q?a?=  b\r\nX-Long: " + b"x " * 200 + b"\nX-Empty:\n \n c\n\n.\n..\n\r\n--\n no end"
MANY = 5

# What waits in a directory, by the binding: it says whom it is for, and then it goes.
TRIES_AT_ONCE = """
import asyncio, os, sys
from mailsrv import DurableStore, Kind, Server, c

async def main(directory, port):
    route = {"kind": c.MAILSRV_ROUTE_MX, "port": int(port)}
    with DurableStore(directory) as store:
        async with Server(store, {Kind.ROUTE: lambda op: route}) as server:
            queue = server.queue(hostname="out.here.test", dns=os.environ["DNS_SERVERS"])
            print(*[item.recipient.decode() async for item in queue.waiting()])
            await queue.control(c.MAILSRV_QUEUE_RETRY)
            while [item async for item in queue.waiting()]:
                await asyncio.sleep(0.05)

asyncio.run(main(*sys.argv[1:]))
"""


class Program:
    """Running, with the lines that it has said."""

    def __init__(self, argv: list, env: dict, message: bytes = b""):
        self.lines: list[str] = []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, env=os.environ | env)
        self.process.stdin.write(message)
        self.process.stdin.close()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.decode(errors="replace"))

    def says(self, pattern: str) -> str:
        def found() -> list[str]:
            assert self.process.poll() is None, f"it has ended: {self.said()}"
            return [line for line in self.lines if re.match(pattern, line)]

        until(f"a line like {pattern}", found)
        return found()[0]

    def said(self) -> str:
        self.errors.seek(0)
        return "".join(self.lines) + self.errors.read()

    def end(self, by: int = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        try:
            return self.process.wait(HANG_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader.join()
            self.process.stdout.close()


class OnlySends:
    def __init__(self, built: Path, program: str, names: NameServer):
        self.names, self.peer = names, Liar()
        names.zone |= zone_of("there.test")
        self.library = built / "src/libmailserver.so"
        self.directory = tempfile.TemporaryDirectory(prefix="only-sends-")
        self.argv = [built / "examples" / program] if program == "send_uv" else \
            [sys.executable, ROOT / "bindings/python/examples" / program]
        self.env = {"DNS_SERVERS": f"127.0.0.1:{names.port}", "PYTHONPATH": str(ROOT / "bindings/python"),
                    "MAILSRV_LIBRARY": str(self.library)}
        self.program: Program | None = None

    def start(self, *to: str, way: str | None = None, message: bytes = MESSAGE) -> Program:
        """With a message for somebody, or without."""
        envelope = [SENDER, *to] if to else []
        way = way or f":{self.peer.port}"
        self.program = Program([*self.argv, self.directory.name, "out.here.test", way, *envelope], self.env,
                               message if to else b"")
        if to:
            self.program.says("queued$")
        return self.program

    def end(self) -> None:
        status, said = self.program.end(), self.program.said()
        assert status == 0 and not re.search("Sanitizer|runtime error|Traceback", said), f"{status}: {said}"

    def remove(self) -> None:
        if self.program:
            self.program.end(signal.SIGKILL)
        self.peer.close()
        self.directory.cleanup()

    def took(self, n: int = 1) -> None:
        """So many messages, and each with the octets that were given."""
        taken, self.peer.taken = self.peer.taken, []
        assert len(taken) == n, taken
        for one in taken:
            assert one.sender == SENDER.encode() and one.octets.endswith(MESSAGE), one

    def by_mail_exchangers(self) -> None:
        """by the mail exchangers that a name server has"""
        program = self.start(TO, "ann@there.test")
        for to in (TO, "ann@there.test"):
            program.says(rf"sent \d+ {to} mx\.there\.test 250 ")
        assert ("there.test", "MX") in self.names.asked, self.names.asked
        assert sorted(to for one in self.peer.taken for to in one.to) == [b"ann@there.test", TO.encode()], self.peer.taken
        self.peer.taken.clear()
        self.end()

    def by_a_smarthost(self) -> None:
        """by a smarthost, and nobody is asked for names"""
        self.names.asked.clear()
        self.start("kim@nowhere.test", way=f"[127.0.0.1]:{self.peer.port}").says("sent")
        self.took()
        assert self.names.asked == [], self.names.asked
        self.end()

    def as_it_is(self) -> None:
        """a message goes as it was given, but for the ends of its lines"""
        self.start(TO, message=ODD).says("sent")
        (one,), self.peer.taken = self.peer.taken, []
        assert one.octets.endswith(ODD.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"), one
        self.end()

    def is_refused(self) -> None:
        """what is refused for good is said, and owed to nobody any more"""
        self.peer.deeds = [{"RCPT": b"550 5.1.1 nobody\r\n"}]
        self.names.zone |= {"here.test": {"MX": ["0 ."]}}  # the sender's: his notice cannot be delivered
        self.start(TO).says(rf"failed \d+ {TO} mx\.there\.test 550 5\.1\.1 nobody")
        self.end()
        assert self.peer.taken == [], self.peer.taken

    def stalls(self, stage: str = "DATA") -> threading.Event:
        """The next peer says nothing then, until `goes_on`; what is set when he is there."""
        said, goes_on = threading.Event(), threading.Event()

        def stall(peer) -> bytes:
            said.set()
            goes_on.wait(HANG_S)
            return b""

        self.peer.deeds = [{stage: stall}]
        self.goes_on = goes_on
        return said

    def is_killed(self) -> None:
        """kill -9 while a peer has it: it is still there, and the next one sends it, once"""
        said = self.stalls()
        program = self.start(TO)
        assert said.wait(HANG_S)
        assert program.end(signal.SIGKILL) == -signal.SIGKILL
        self.goes_on.set()
        assert self.peer.taken == []
        self.start().says("sent")
        self.took()
        self.end()

    def is_killed_at_once(self) -> None:
        """kill -9 as soon as it has said that a message is queued, again and again: each arrives, once"""
        self.stalls("greeting")
        stalls, self.peer.deeds = self.peer.deeds, []
        self.peer.always = stalls[0]
        for i in range(MANY):
            self.start(f"k{i}@there.test").end(signal.SIGKILL)
        self.goes_on.set()
        self.peer.always = {}
        program = self.start()
        for i in range(MANY):
            program.says(rf"sent \d+ k{i}@")
        assert sorted(to for one in self.peer.taken for to in one.to) == [b"k%d@there.test" % i for i in range(MANY)]
        self.took(MANY)
        self.end()

    def is_ended(self) -> None:
        """SIGTERM while a peer stalls: it ends in order, and the message waits for its next try"""
        said = self.stalls()
        self.start(TO)
        assert said.wait(HANG_S)
        self.end()
        self.goes_on.set()
        assert self.peer.taken == []
        if self.library.exists():  # a static build has none
            done = subprocess.run([sys.executable, "-c", TRIES_AT_ONCE, self.directory.name, str(self.peer.port)],
                                  env=os.environ | self.env, capture_output=True, text=True, timeout=HANG_S)
            assert done.returncode == 0 and done.stdout == f"{TO}\n", done
            self.took()


def main(built: Path, program: str) -> None:
    tap = Tap()
    for name in ("by_mail_exchangers", "by_a_smarthost", *(["as_it_is"] if program == "send.py" else []), "is_refused",
                 "is_killed", "is_killed_at_once", "is_ended"):  # send_uv has lines that end with CRLF
        with NameServer({}) as names:
            test = OnlySends(built, program, names)
            try:
                check = getattr(test, name)
                tap.run(check.__doc__, check)
            finally:
                test.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
