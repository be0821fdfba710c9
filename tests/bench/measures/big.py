"""A message of 100 MiB, in and out: how fast, how much memory of the server at most, what others wait meanwhile."""
import re
import threading
from pathlib import Path
from typing import Callable, Iterator

from peers.beside import Bench, Result
from peers.mailserverd import Mailserverd
from peers.programs import ours, rounds
from peers.server import DOMAIN
from peers.table import Row, Target

USER, OTHER = f"u0@{DOMAIN}", f"u1@{DOMAIN}"


class Peak:
    """The most memory of a process while something goes on: its pages that are no file's, looked at each millisecond."""

    def __init__(self, server: object):
        self.status = Path(f"/proc/{server.host.process.pid}/status")
        self.first = self.most = self.kib()
        self.ended = threading.Event()
        self.looks = threading.Thread(target=self.look)

    def kib(self) -> int:
        return int(re.search(r"^RssAnon:\s+(\d+) kB", self.status.read_text(), re.M)[1])

    def look(self) -> None:
        while not self.ended.wait(0.001):
            self.most = max(self.most, self.kib())

    def __enter__(self) -> "Peak":
        self.looks.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.looks.join()


def run(bench: Bench) -> Iterator[Row]:
    octets = bench.count(1, 100) << 20
    for provider in ("openssl", "mbedtls"):
        with bench.running(lambda: Mailserverd(provider)) as (server,):
            for tls in ("none", "implicit"):
                before = {"user": USER, "octets": octets, "count": 1}
                way = "in the clear" if tls == "none" else "over TLS"
                yield from rows(bench, server, f"in, {way}", lambda: bench.load(server, "smtp", tls, **before))
                yield from rows(bench, server, f"out, {way}",
                                lambda: bench.load(server, "fetch", tls, user=USER, items="BODY.PEEK[]", set="1", count=1))
    yield from in_memory(bench, octets >> 20)


def rows(bench: Bench, server: object, case: str, work: Callable[[], Result]) -> Iterator[Row]:
    speed, memory, others = [], [], []
    bench.load(server, "rtt", protocol="imap", user=OTHER, count=1)  # its password is hashed in 16 MiB
    work()
    for _ in range(bench.rounds):
        with bench.meanwhile(server, "rtt", protocol="imap", user=OTHER, count=bench.count(100, 3000)) as beside:
            with Peak(server) as peak:
                said = work()
            memory.append(peak.most - peak.first)
        others.append(beside[0].p99_us / 1000)
        speed.append(said.octets / said.seconds / 1e6)
    yield Row(case, "MB a second", {server.name: speed})
    yield Row(case, "KiB of memory more than before", {server.name: memory}, more=False, targets=[Target(256.0)])
    yield Row(f"{case}, p99 of others' round trips", "milliseconds", {server.name: others}, more=False, targets=[Target(20.0)])


def in_memory(bench: Bench, mib: int) -> Iterator[Row]:
    """What malloc gave, and under TLS the provider's too, without what else a process has."""
    said, tls = rounds(bench, "large", LARGE_MIB=mib), rounds(bench, "large-tls", LARGE_MIB=mib)
    for way in ("in", "out"):
        yield Row(f"{way}, in the clear, fed in memory", "KiB of memory more than before",
                  ours(said, rf"MiB {way}: .*engine, ([\d.]+) of the process"), more=False, targets=[Target(256.0)])
        ends = [(float(engine) + float(provider)) for text in tls for engine, provider in re.findall(
            rf"under TLS, .*{way}: at most ([\d.]+) KiB of the engine and of bodies, ([\d.]+) of the provider", text)]
        yield Row(f"{way}, over TLS, fed in memory", "KiB of memory more than before", {"mailserverd": ends}, more=False,
                  targets=[Target(256.0)])
