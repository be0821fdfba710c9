#!/usr/bin/env python3
"""kill -9 of a mailserverd that takes mail in and sends it on, at any moment, under load: whatever it said 250 to
arrives at the other server, whole; twice only where a kill came between.  resent.py BUILD

POWER_KILLS says how often."""
import os
import random
import re
import signal
import smtplib
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from dns_server import NameServer
from liar import Liar
from peers import message
from sender import Sender, zone_of
from tap import Tap
from tree import free_port, until

SENDERS = 4
DOMAINS = ["x.test", "y.test", "z.test"]


class Resent:
    def __init__(self, tap: Tap, built: Path, names: NameServer, seed: int):
        self.tap, self.rng, port = tap, random.Random(seed), free_port()
        self.liars = [Liar(host=f"127.0.4.{i + 1}", port=port) for i in range(len(DOMAINS))]
        for i, domain in enumerate(DOMAINS):
            names.zone |= zone_of(domain, at=f"127.0.4.{i + 1}")
        self.a = Sender(built, "a.test", names.port, routes={"out": {"host": f"mx:{port}"}}, relay_networks="127.0.0.0/8")
        self.sent: dict[str, tuple] = {}  # what may arrive: octets, and to whom
        self.acknowledged: set[str] = set()
        self.kills, self.n, self.lock = 0, 0, threading.Lock()

    def remove(self) -> None:
        self.a.remove()
        for liar in self.liars:
            liar.close()

    def next_one(self, rng: random.Random) -> tuple[str, bytes, list[str]]:
        with self.lock:
            self.n += 1
            name = f"m{self.n}"
        to = [f"kim@{domain}" for domain in rng.sample(DOMAINS, rng.randint(1, len(DOMAINS)))]
        octets = message(name, b".line\r\n" * rng.choice([1, 10, 10000]), "lee@elsewhere.test")
        self.sent[name] = (octets, to)
        return name, octets, to

    def submit(self, rng: random.Random) -> None:
        """Until the server dies."""
        try:
            client = self.a.client("mx")
            while True:
                name, octets, to = self.next_one(rng)
                assert not client.sendmail("lee@elsewhere.test", to, octets, ["BODY=8BITMIME"])
                self.acknowledged.add(name)
        except (OSError, smtplib.SMTPServerDisconnected):
            pass

    def kill(self) -> None:
        host, self.a.host = self.a.host, None
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        host.process.stdout.close()
        self.kills += 1

    def round(self) -> None:
        self.a.start()
        threads = [threading.Thread(target=self.submit, args=(random.Random(self.rng.random()),)) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        enough = len(self.acknowledged) + self.rng.randint(0, 20)
        until("mail that is taken", lambda: len(self.acknowledged) >= enough)
        time.sleep(self.rng.uniform(0, 0.1))
        self.kill()
        for thread in threads:
            thread.join()

    def arrived(self) -> None:
        """All of it, at last."""
        self.a.start()
        self.a.emptied()
        counts: Counter = Counter()
        for liar, domain in zip(self.liars, DOMAINS):
            for taken in liar.taken:
                name = re.search(rb"(?m)^Subject: (.*)\r$", taken.octets)[1].decode()
                octets, to = self.sent[name]
                assert taken.octets.endswith(octets), f"{name}: other octets"
                assert taken.to == [f"kim@{domain}".encode()] and f"kim@{domain}" in to, (name, taken.to)
                counts[name, domain] += 1
        lost = [name for name in self.acknowledged for to in self.sent[name][1] if not counts[name, to[4:]]]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} are lost: {lost[:10]}"
        assert max(counts.values()) <= 1 + self.kills, counts.most_common(3)
        twice = sum(n - 1 for n in counts.values())
        print(f"# {self.kills} kills, {len(self.acknowledged)} messages acknowledged, {twice} copies more than once", flush=True)


def main() -> None:
    tap, kills = Tap(), int(os.environ.get("POWER_KILLS", 10))
    with NameServer({}) as names:
        test = Resent(tap, Path(sys.argv[1]).resolve(), names, int(os.environ.get("MAILSRV_SEED", 1)))
        try:
            while test.kills < kills and tap.run(f"kill {test.kills + 1}", test.round):
                pass
            tap.run("what was acknowledged arrives", test.arrived)
            tap.ok(len(test.acknowledged) > 2 * test.kills, "much was acknowledged", len(test.acknowledged))
            tap.run("it ends", test.a.end)
        finally:
            test.remove()
    tap.end()


if __name__ == "__main__":
    main()
