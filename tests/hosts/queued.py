#!/usr/bin/env python3
"""A queue far longer than memory would hold: what a mailserverd takes for it above what it takes when it is idle.
queued.py BUILD

QUEUED_ITEMS says how many wait.  Their peers refuse connections, take them and say nothing, or are busy; no more than what is sent
to one that takes mail ever leaves the queue.  Judged are the octets of the process by the kernel's count of the pages that are no
file's, looked at all the time: while the queue grows, and of a server that starts with all of it."""
import json
import os
import re
import smtplib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dns_server import NameServer
from host import HANG_S
from liar import Liar
from peers import message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, until

MOST = 8 << 20  # octets above idle
DOMAINS = 2000  # that refuse connections
AT_ONCE = 100  # recipients of a message
SENDERS = 4
BUSY = b"451 4.3.2 not now\r\n"


class Watch(threading.Thread):
    """The most octets that a process had, from its beginning or since it was asked."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.path, self.ended, self.most = Path(f"/proc/{pid}/smaps_rollup"), threading.Event(), 0
        self.lock = threading.Lock()
        self.start()

    def now(self) -> int:
        return int(re.search(r"^Anonymous: +(\d+) kB$", self.path.read_text(), re.M)[1]) * 1024

    def run(self) -> None:
        while not self.ended.wait(0.02):
            with self.lock:
                self.most = max(self.most, self.now())

    def so_far(self) -> int:
        with self.lock:
            most, self.most = max(self.most, self.now()), 0
        return most

    def end(self) -> int:
        self.ended.set()
        self.join()
        return max(self.most, self.now())


class Queued:
    """fine.test takes mail, busy.test does not for now, silent.test says nothing, and nobody is at the others."""

    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.items, port = tap, int(os.environ.get("QUEUED_ITEMS", "100000")), free_port()
        self.fine, self.busy = (Liar(host=f"127.0.5.{i}", port=port) for i in (1, 2))
        self.busy.always = {"RCPT": BUSY}
        self.silent = socket.create_server(("127.0.5.3", port), backlog=1000)
        names.zone |= zone_of("fine.test", at="127.0.5.1") | zone_of("busy.test", at="127.0.5.2")
        names.zone |= zone_of("silent.test", at="127.0.5.3")
        self.dead = [f"dead{i}.test" for i in range(DOMAINS)]
        names.zone |= zone_of(*self.dead, at="127.0.5.4")
        self.a = Sender(built, "a.test", names.port, routes={"out": {"host": f"mx:{port}"}}, relay_networks="127.0.0.0/8")
        self.sent, self.lock = 0, threading.Lock()

    def remove(self) -> None:
        if self.tap.bad:
            print("".join(f"# {line}\n" for line in self.a.log().splitlines()[-20:]), end="")
        self.a.remove()
        for liar in (self.fine, self.busy):
            liar.close()
        self.silent.close()

    def run(self) -> None:
        self.idle = self.rehearse()
        self.tap.run(f"the queue grows to {self.items}", self.grows)
        self.tap.run(f"a server starts with {self.items} in its queue, and works", self.starts)
        self.judge("since it was started", self.watch.so_far())
        self.tap.run("mail for others is sent meanwhile", self.sends)
        self.judge("since then", self.watch.so_far())
        self.tap.run("hold goes through all of them", self.holds)
        self.judge("since then", self.watch.so_far())
        self.tap.run("list goes through all of them", self.lists)
        self.judge("since then", self.watch.end())
        self.a.end()

    def rehearse(self) -> int:
        """All that the many will do, and the octets that are left of it."""
        self.a.start()
        self.sends()
        octets = Watch(self.a.host.process.pid).end()
        self.a.end()
        return octets

    def judge(self, when: str, octets: int) -> None:
        self.tap.ok(octets - self.idle <= MOST, f"{when} it took {(octets - self.idle) / (1 << 20):.1f} MiB above an idle one's "
                    f"{self.idle / (1 << 20):.1f}, at most {MOST >> 20}")

    # ---- What is done ----

    def sends(self) -> None:
        self.a.send(message("small", b"Hello\r\n"), "kim@fine.test", listener="mx")
        until("mail that arrives", lambda: self.fine.taken)
        self.fine.taken.clear()

    def recipients(self) -> list[str]:
        with self.lock:
            first = self.sent
            self.sent += AT_ONCE
        fates = ["busy.test", "silent.test"]
        return [f"u{n}@{fates[n % 10] if n % 10 < 2 else self.dead[n % DOMAINS]}"
                for n in range(first, min(first + AT_ONCE, self.items))]

    def submit(self) -> None:
        octets = message("one of many", b"Hello\r\n" * 100, "lee@elsewhere.test")
        with smtplib.SMTP("127.0.0.1", self.a.at["mx"], "client.test", HANG_S) as client:
            client.ehlo()
            while to := self.recipients():
                commands = [f"RCPT TO:<{address}>\r\n".encode() for address in to]
                client.sock.sendall(b"MAIL FROM:<lee@elsewhere.test>\r\n" + b"".join(commands) + b"DATA\r\n")
                replies = [client.getreply()[0] for _ in range(len(to) + 2)]
                assert replies == [250] * (len(to) + 1) + [354], replies
                client.sock.sendall(octets + b".\r\n")
                assert client.getreply()[0] == 250

    def grows(self) -> None:
        self.a.start()
        watch = Watch(self.a.host.process.pid)
        with ThreadPoolExecutor(SENDERS) as pool:
            for one in [pool.submit(self.submit) for _ in range(SENDERS)]:
                one.result()  # or what went wrong in it
        self.a_second_try()
        self.judge("while it grew", watch.end())
        self.a.end()

    def a_second_try(self) -> None:
        """Of those that are busy, so that all have been looked at."""
        before = len(self.busy.calls)
        until("tries", lambda: len(self.busy.calls) >= before + 5)

    def starts(self) -> None:
        self.a.start()
        self.watch = Watch(self.a.host.process.pid)
        self.a_second_try()

    def all(self, *command: str) -> str:
        """What goes through the whole queue, and may take the longer the longer that is."""
        return self.a.server.must("queue", *command, guard_s=HANG_S * (1 + self.items // 50000))

    def holds(self) -> None:
        assert int(self.all("hold", "--domain", "silent.test")) == self.items // 10

    def lists(self) -> None:
        until("the end of what arrived", lambda: not self.all("list", "--json", "--domain", "fine.test"))
        numbers = {json.loads(line)["queue"] for line in self.all("list", "--json").splitlines()}
        assert len(numbers) == self.items, len(numbers)


run_with_names(Tap(), Queued)
