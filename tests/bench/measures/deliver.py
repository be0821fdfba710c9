"""Messages a second that are taken by SMTP, synced before the 250, and lie in their mailboxes."""
from typing import Iterator

from peers.beside import Bench, delivered
from peers.exim import Exim
from peers.mailserverd import Mailserverd, messages
from peers.opensmtpd import OpenSMTPD
from peers.postfix import Postfix
from peers.sink import Sink
from peers.table import Row, Target

MTAS = ["Postfix", "Exim", "OpenSMTPD"]
USERS = 100
SIZES = {4096: "4 KiB", 102400: "100 KiB"}


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

    def once(server: object, count: int) -> float:
        said, seconds = delivered(bench, server, "smtp", count, connections=connections, octets=octets, users=USERS)
        accepted[server.name].append(said.rate)
        taken[0] += count * (server is servers[0])
        return count / seconds

    values = bench.sized(servers, once, 2 * connections)
    case = f"{size}, {connections} connection{'s' * (connections > 1)}"
    syncs = {}
    for server in servers[:-1]:
        n = 10 * connections
        syncs[server.name] = bench.syncs(server, lambda: once(server, n), n)
    grouped = bench.appends(octets, syncs[servers[0].name])
    aims = [Target(10.0 if connections > 1 else 1.0, MTAS)]
    yield Row(case, "messages a second", values, targets=aims + [Target(0.5, ["smaller limit"])], syncs=syncs,
              beside=smaller(values, grouped))
    yield Row(f"{case}, accepted", "messages a second", {name: rates[1:1 + bench.rounds] for name, rates in accepted.items()})


def smaller(values: dict[str, list[float]], grouped: float) -> dict[str, float]:
    """Of what the disk does in groups, and what SMTP does with nothing behind it."""
    sink = sorted(values["smtp-sink"])[len(values["smtp-sink"]) // 2]
    return {"grouped appends": grouped, "smaller limit": min(grouped, sink)}
