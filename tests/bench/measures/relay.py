"""Messages a second that are taken by SMTP, durably queued, and given to next hops, until the last has come there."""
from dataclasses import dataclass
from typing import Iterator

from dns_server import NameServer
from peers.beside import Bench, Result
from peers.hops import Hops
from peers.mailserverd import Mailserverd
from peers.relays import DESTINATIONS, EximRelay, OpenSMTPDRelay, OurRelay, PostfixRelay, zone
from peers.table import Row, Target
from tree import until

MTAS = ["Postfix", "Exim", "OpenSMTPD"]
SIZES = {"4 KiB": {"octets": 4096}, "mixed sizes": {"octets": 4096, "mixed": "yes"}}
CONNECTIONS = {"4 KiB": (8, 64), "mixed sizes": (64,)}
WHERE = {f"{DESTINATIONS} destinations": {"to": "u@d%d.dest.test", "users": DESTINATIONS},
         "1 destination": {"to": "u%d@d0.dest.test", "users": 1000}}


@dataclass
class Relayed:
    rate: float
    accepted: float
    cpu_us: float  # of the server, for a message
    hops_us: float


def sent(bench: Bench, server: object, hops: Hops, count: int, **keys: object) -> tuple[Result, float]:
    """What the generator saw, and the messages a second until the last had come."""
    before = hops.came().messages
    said = bench.load(server, "smtp", count=count, **{"from": "sender@remote.test"}, **keys)
    came = hops.wait(before + count)
    return said, count / ((came.last_us - said.said["ended_us"]) / 1e6 + said.seconds)


def relayed(bench: Bench, server: object, hops: Hops, count: int, **keys: object) -> Relayed:
    until(f"the end of the queue of {server.name}", lambda: not server.queue())
    before, cpu, theirs = hops.came().messages, server.group.cpu_us(), hops.group.cpu_us()
    said, rate = sent(bench, server, hops, count, **keys)
    until(f"the end of the queue of {server.name}", lambda: not server.queue())
    assert hops.came().messages == before + count, f"{server.name}: each message once"
    return Relayed(rate, said.rate, (server.group.cpu_us() - cpu) / count, (hops.group.cpu_us() - theirs) / count)


def run(bench: Bench) -> Iterator[Row]:
    with NameServer(zone()) as names, Hops(DESTINATIONS) as hops:
        makers = [lambda: OurRelay(hops.port, names.port), *(
            lambda make=make: make(hops.port) for make in (PostfixRelay, EximRelay, OpenSMTPDRelay))]
        with bench.running(*makers) as servers:
            for where, to in WHERE.items():
                for size, octets in SIZES.items():
                    for connections in CONNECTIONS[size]:
                        yield from rows(bench, servers, hops, f"{where}, {size}, {connections} connections",
                                        {**to, **octets, "connections": connections})


def rows(bench: Bench, servers: list, hops: Hops, case: str, keys: dict) -> Iterator[Row]:
    found: dict[str, list[Relayed]] = {server.name: [] for server in servers}

    def once(server: object, count: int) -> float:
        found[server.name].append(relayed(bench, server, hops, count, **keys))
        return found[server.name][-1].rate

    rates = bench.sized(servers, once, bench.count(2 * keys["connections"], 500))  # no first connection counts for much
    last = {name: those[-bench.rounds:] for name, those in found.items()}
    syncs = {}
    for server in servers:
        n = (40 if isinstance(server, Mailserverd) else 4) * keys["connections"]
        syncs[server.name] = bench.syncs(server, lambda: once(server, n), n)
    yield Row(case, "messages a second", rates, syncs=syncs, targets=[Target(5.0, MTAS)])
    yield Row(f"{case}, accepted", "messages a second", each(last, "accepted"))
    yield Row(case, "microseconds of processors a message", each(last, "cpu_us"), more=False, targets=[Target(1 / 5, MTAS)],
              limits={"next hops, beside ours": each(last, "hops_us")[servers[0].name]})


def each(found: dict[str, list[Relayed]], what: str) -> dict[str, list[float]]:
    return {name: [getattr(one, what) for one in those] for name, those in found.items()}
