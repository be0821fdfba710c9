#!/usr/bin/env python3
"""kill -9 of a mailserverd that takes mail in and sends it on, at any moment, under load: whatever it said 250 to
arrives at the other server, whole; once in each run between two kills, and never again in a run after the one in which
the queue was seen without it.  resent.py BUILD

POWER_KILLS says how often."""
import os
import random
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
        self.settled: dict[tuple[str, str], int] = {}  # name and domain: the run in which the queue no longer had it
        self.kills, self.n, self.lock = 0, 0, threading.Lock()

    def remove(self) -> None:
        self.a.remove()
        for liar in self.liars:
            liar.close()

    def next_one(self, rng: random.Random) -> tuple[str, bytes, list[str]]:
        with self.lock:
            self.n += 1
            name = f"m{self.n}"
        to = [f"{name}@{domain}" for domain in rng.sample(DOMAINS, rng.randint(1, len(DOMAINS)))]
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
        """A run is over, and what calls from now on is another one: this one is dead before it is counted."""
        self.a.kill()
        self.kills += 1
        for liar in self.liars:
            liar.run = self.kills

    def came(self) -> list[tuple[str, str, int]]:
        """Name, domain and run of all that has arrived."""
        return [(*taken.to[0].decode().split("@"), taken.run) for liar in self.liars for taken in list(liar.taken)]

    def settle(self) -> None:
        """What has arrived, and is not in the queue afterwards, is gone from there for good: what can be seen is durable."""
        came = {(name, domain) for name, domain, _ in self.came()}
        for gone in came - {tuple(item["to"].split("@")) for item in self.a.queued()}:
            self.settled.setdefault(gone, self.kills)

    def round(self) -> None:
        self.a.start()
        threads = [threading.Thread(target=self.submit, args=(random.Random(self.rng.random()),)) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        enough = len(self.acknowledged) + self.rng.randint(0, 20)
        until("mail that is taken", lambda: len(self.acknowledged) >= enough)
        self.settle()
        time.sleep(self.rng.uniform(0, 0.1))
        self.kill()
        for thread in threads:
            thread.join()

    def arrived(self) -> None:
        """All of it, at last."""
        self.a.start()
        self.a.emptied()
        self.settle()
        for liar, domain in zip(self.liars, DOMAINS):
            for taken in liar.taken:
                assert len(taken.to) == 1, taken.to
                name = taken.to[0].decode().split("@")[0]
                octets, to = self.sent[name]
                assert taken.octets.endswith(octets), f"{name}: other octets"
                assert taken.to[0].decode() in to and taken.to[0].endswith(f"@{domain}".encode()), (name, taken.to)
        came = {f"{name}@{domain}" for name, domain, _ in self.came()}
        lost = [name for name in self.acknowledged if not came.issuperset(self.sent[name][1])]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} are lost: {lost[:10]}"
        twice = len(self.came()) - len(came)
        print(f"# {self.kills} kills, {len(self.acknowledged)} messages acknowledged, {twice} copies more than once", flush=True)

    def no_more(self) -> None:
        """After one more kill, at which there was nothing to do."""
        assert {(name, domain) for name, domain, _ in self.came()} == set(self.settled)
        self.kill()
        self.a.start()
        self.a.emptied()

    def once_in_a_run(self) -> None:
        twice = [one for one, n in Counter(self.came()).items() if n > 1]
        assert not twice, f"{len(twice)} (message, domain, run) came again in the same run: {twice[:10]}"

    def never_again(self) -> None:
        late = [one for one in self.came() if one[2] > self.settled.get(one[:2], self.kills)]
        assert not late, f"{len(late)} (message, domain, run) came again after they were settled: {late[:10]}"


def main() -> None:
    tap, kills = Tap(), int(os.environ.get("POWER_KILLS", 10))
    with NameServer({}) as names:
        test = Resent(tap, Path(sys.argv[1]).resolve(), names, int(os.environ.get("MAILSRV_SEED", 1)))
        try:
            while test.kills < kills and tap.run(f"kill {test.kills + 1}", test.round):
                pass
            tap.run("what was acknowledged arrives", test.arrived)
            tap.run("a kill of an empty queue brings nothing back", test.no_more)
            tap.run("nothing arrives twice between two kills", test.once_in_a_run)
            tap.run("nothing arrives in a run after the queue was seen without it", test.never_again)
            tap.ok(len(test.acknowledged) > 2 * test.kills, "much was acknowledged", len(test.acknowledged))
            tap.run("it ends", test.a.end)
        finally:
            test.remove()
    tap.end()


if __name__ == "__main__":
    main()
