"""A message of 100 MiB, in and out: how fast, how much memory of the server at most, what others wait meanwhile."""
import re
from pathlib import Path
from typing import Callable, Iterator

from peers.beside import Bench, Result
from peers.mailserverd import Mailserverd
from peers.table import Row, Target

USER = "u0@here.test"


def peak(server: object) -> int:
    """KiB of pages that are no file's, at most since the last reset; the kernel counts those of files with them."""
    status = Path(f"/proc/{server.host.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1])


def reset(server: object) -> int:
    """The peak is now what is there now."""
    Path(f"/proc/{server.host.process.pid}/clear_refs").write_text("5")
    return peak(server)


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


def rows(bench: Bench, server: object, case: str, work: Callable[[], Result]) -> Iterator[Row]:
    speed, memory, others = [], [], []
    work()
    for _ in range(bench.rounds):
        with bench.meanwhile(server, "rtt", protocol="imap", user="u1@here.test", count=bench.count(100, 3000)) as beside:
            at_rest = reset(server)
            said = work()
            memory.append(peak(server) - at_rest)
        others.append(beside[0].p99_us / 1000)
        speed.append(said.octets / said.seconds / 1e6)
    yield Row(case, "MB a second", {server.name: speed})
    yield Row(case, "KiB of memory more than before", {server.name: memory}, more=False, targets=[Target(256.0)])
    yield Row(f"{case}, p99 of others' round trips", "milliseconds", {server.name: others}, more=False, targets=[Target(20.0)])
