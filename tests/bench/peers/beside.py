"""Servers, and limits of the machine, beside each other: each does a round, then each does the next, and the median
counts."""
import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Iterator

from peers.group import Syncs
from peers.server import BUILD, PASSWORD, Maildirs

LOAD = BUILD / "openssl/tests/bench/load/bench-load"
LIMITS = BUILD / "openssl/tests/bench/limits/bench-limits"
HANG_S = 1800
TLS = {"imap": "imaps", "pop3": "pop3s", "smtp": "smtps"}
PORTS = {"smtp": "smtp", "lmtp": "lmtp", "pop3": "pop3"}  # the other modes speak IMAP


@dataclass
class Result:
    """What bench-load says; times are in microseconds."""

    ops: int
    errors: int
    seconds: float
    octets: int
    p50_us: float
    p99_us: float
    max_us: float
    cpu_us: float
    said: dict

    @property
    def rate(self) -> float:
        return self.ops / self.seconds


def argv(server: object, mode: str, tls: str, keys: dict) -> list[str]:
    port = PORTS.get(mode, "imap")
    if mode == "rtt":
        port = keys.get("protocol", "smtp")
    port = server.ports[TLS[port] if tls == "implicit" else port]
    said = {"port": port, "tls": tls, "password": PASSWORD, "opening": 4, **keys}
    return [str(LOAD), mode, *(f"{key}={value}" for key, value in said.items())]


def result(text: str) -> Result:
    said = json.loads(text)
    assert said["errors"] == 0, said
    return Result(*(said.get(name, 0) for name in list(Result.__dataclass_fields__)[:-1]), said)


@dataclass
class Limit:
    """What the machine does by itself, measured in each round as the servers are."""

    name: str
    measured: Callable[[], float]


class Bench:
    def __init__(self, quick: bool, rounds: int):
        self.quick, self.rounds = quick, rounds
        self.seconds = 0.3 if quick else 2.0  # that a round should take
        self.versions: dict[str, str] = {}
        self.promises: dict[str, str] = {}

    def count(self, few: int, many: int) -> int:
        return few if self.quick else many

    def limits(self, **keys: object) -> dict[str, float]:
        """What bench-limits says of this machine."""
        said = {"dir": BUILD, "seconds": 0.1 if self.quick else 0.5, **keys}
        done = subprocess.run([LIMITS, *(f"{key}={value}" for key, value in said.items())], capture_output=True, text=True,
                              check=True)
        return json.loads(done.stdout)

    def appends(self, octets: int, group: float) -> float:
        """Synced appends of that size, a second, in groups as large as a server reached."""
        (rate,) = self.limits(only="appends", octets=octets, group=min(1024, max(1, round(group)))).values()
        return rate

    @contextmanager
    def running(self, *makers: Callable) -> Iterator[list]:
        """Servers, which run at the same time and do nothing unless they are asked."""
        servers: list = []
        try:
            for make in makers:
                servers.append(make())
                servers[-1].start()
                self.versions[servers[-1].name] = servers[-1].version()
                self.promises[servers[-1].name] = servers[-1].promise
            yield servers
        finally:
            for server in servers:
                server.end()

    def load(self, server: object, mode: str, tls: str = "none", **keys: object) -> Result:
        done = subprocess.run(argv(server, mode, tls, keys), capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, f"{server.name}: {mode} {keys}: {done.stdout}{done.stderr}"
        return result(done.stdout)

    @contextmanager
    def meanwhile(self, server: object, mode: str, tls: str = "none", **keys: object) -> Iterator[list[Result]]:
        """A load that goes on beside; its result is there at the end."""
        process = subprocess.Popen(argv(server, mode, tls, keys), stdout=subprocess.PIPE, text=True)
        results: list[Result] = []
        try:
            yield results
        finally:
            said = process.communicate(timeout=HANG_S)[0]
        results.append(result(said))

    def alternately(self, servers: list, once: Callable[[object], float]) -> dict[str, list[float]]:
        values: dict[str, list[float]] = {server.name: [] for server in servers}
        for _ in range(self.rounds):
            for server in servers:
                limit = isinstance(server, Limit)
                values[server.name].append(server.measured() if limit else once(server))
        return values

    def sized(self, servers: list, once: Callable[[object, int], float], first: int,
              limits: list[Limit] = []) -> dict[str, list[float]]:
        """`once` does so many and gives the rate; each is asked for as many as take it about as long as all others."""
        counts = {}
        for server in servers:
            count = max(first, int(once(server, first) * self.seconds / 10))
            counts[server.name] = max(count, int(once(server, count) * self.seconds))
        return self.alternately([*servers, *limits], lambda server: once(server, counts[server.name]))

    def again(self, servers: list, once: Callable[[object, int], float], size: int,
              limits: list[Limit] = []) -> dict[str, list[float]]:
        """The same, of what comes in pieces of that size: as often as it takes."""
        return self.sized(servers, lambda server, count: once(server, count - count % size), size, limits)

    def syncs(self, server: object, work: Callable[[], None], operations: int) -> float:
        """Calls that wait for the disk, for each operation, in a run of its own."""
        counted = Syncs(server.group, BUILD / "strace")
        try:
            work()
        finally:
            calls = counted.end()
        return calls / operations


def delivered(bench: Bench, server: object, mode: str, count: int, **keys: object) -> tuple[Result, float]:
    """What the generator saw, and the seconds until all messages lay in their mailboxes."""
    if isinstance(server, Maildirs):
        server.empty()
    said = bench.load(server, mode, count=count, **keys)
    ended = time.time()
    messages = count * int(keys.get("rcpts", 1))
    last = server.all_arrived(messages) if isinstance(server, Maildirs) else ended
    return said, said.seconds + max(0.0, last - ended)
