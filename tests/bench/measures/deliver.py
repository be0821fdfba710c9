"""Messages a second that are taken by SMTP, synced before the 250, and lie in their mailboxes."""
import statistics
from contextlib import contextmanager
from typing import Iterator

from peers.beside import Bench, Limit, delivered
from peers.exim import Exim
from peers.mailserverd import Mailserverd, messages
from peers.opensmtpd import OpenSMTPD
from peers.postfix import Postfix
from peers.sink import Sink
from peers.table import Row, Target

MTAS = ["Postfix", "Exim", "OpenSMTPD"]
USERS = 100
SIZES = {4096: "4 KiB", 102400: "100 KiB"}
APPENDS = "grouped appends"
EVERYBODY = "appends, a sync for all connections"  # each waits for its reply: no group is larger


class Grouped:
    """How many messages ours made durable with each sync, and what the disk does in such groups, and in the largest."""

    def __init__(self, bench: Bench, server: Mailserverd, octets: int, connections: int):
        self.server, self.groups = server, [1.0]
        self.limits = [Limit(APPENDS, lambda: bench.appends(octets, self.groups[-1])),
                       Limit(EVERYBODY, lambda: bench.appends(octets, connections))]

    @contextmanager
    def counting(self, server: object, count: int) -> Iterator[None]:
        if server is not self.server:
            yield
            return
        before = self.server.synced()
        yield
        self.groups.append(count / max(1, self.server.synced() - before))

    def median(self, rounds: int) -> float:
        return statistics.median(self.groups[-rounds:])


def straced(server: object, connections: int) -> int:
    """Messages while syncs are counted: for ours so many that its groups are as large as they become."""
    return (40 if isinstance(server, Mailserverd) else 4) * connections


def run(bench: Bench) -> Iterator[Row]:
    taken = [0]
    with bench.running(Mailserverd, Postfix, Exim, OpenSMTPD, Sink) as servers:
        for octets, size in SIZES.items():
            for connections in (1, 8, 64):
                yield from rows(bench, servers, octets, size, connections, taken)
        assert messages(servers[0], USERS) == taken[0], "every message that was acknowledged lies in its mailbox"


def rows(bench: Bench, servers: list, octets: int, size: str, connections: int, taken: list[int]) -> Iterator[Row]:
    """Until all lie in their mailboxes; and until all are accepted."""
    accepted: dict[str, list[float]] = {server.name: [] for server in servers}
    grouped = Grouped(bench, servers[0], octets, connections)

    def once(server: object, count: int) -> float:
        with grouped.counting(server, count):
            said, seconds = delivered(bench, server, "smtp", count, connections=connections, octets=octets, users=USERS)
        accepted[server.name].append(said.rate)
        taken[0] += count * (server is servers[0])
        return count / seconds

    values = bench.sized(servers, once, 2 * connections, grouped.limits)
    rates, group = {name: said[-bench.rounds:] for name, said in accepted.items()}, grouped.median(bench.rounds)
    limits = {name: values.pop(name) for name in (APPENDS, "smtp-sink", EVERYBODY)}
    syncs = {}
    for server in servers[:-1]:
        n = straced(server, connections)
        syncs[server.name] = bench.syncs(server, lambda: once(server, n), n)
    case = f"{size}, {connections} connection{'s' * (connections > 1)}"
    yield Row(case, "messages a second", values, limits=limits, syncs=syncs, group=group,
              targets=[Target(10.0 if connections > 1 else 1.0, MTAS), Target(0.5, [APPENDS, "smtp-sink"], least=True)])
    yield Row(f"{case}, accepted", "messages a second", rates)
