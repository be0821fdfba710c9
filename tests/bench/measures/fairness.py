"""What a dead destination that holds 10,000 messages costs the others: their rate, by that of a server that has none."""
from typing import Iterator

from dns_server import NameServer
from measures.relay import WHERE, sent
from peers.beside import Bench
from peers.hops import Hops
from peers.relays import DESTINATIONS, OurRelay, zone
from peers.table import Row, Target

ROUNDS = 7
SILENT = 1
AIM = [Target(0.95)]
# By default a server has as many connections as there are others: where it says nothing, it has one of these.
DEAD = {"it refuses connections, and is tried again each second": ("refused.test", "first-retry = 1s\nlongest-retry = 1s\n", AIM),
        "it takes connections and says nothing, and there are some to spare": ("silent.test", "connections = 150\n", AIM),
        "it takes connections and says nothing, and others could use all that there may be": ("silent.test", "", [])}


def run(bench: Bench) -> Iterator[Row]:
    for case, (dead, queue, targets) in DEAD.items():
        with NameServer(zone()) as names, Hops(DESTINATIONS, SILENT) as hops:
            makers = [lambda name=name: OurRelay(hops.port, names.port, queue, name) for name in ("beside it", "without it")]
            with bench.running(*makers) as servers:
                yield row(bench, servers, hops, case, dead, targets)


def row(bench: Bench, servers: list, hops: Hops, case: str, dead: str, targets: list[Target]) -> Row:
    holds = bench.count(500, 10000)
    bench.load(servers[0], "smtp", count=holds, connections=64, octets=4096, to=f"u@{dead}", **{"from": "sender@remote.test"})
    keys = {"connections": 64, "octets": 4096, **WHERE[f"{DESTINATIONS} destinations"]}

    def once(server: object, count: int) -> float:
        return sent(bench, server, hops, count, **keys)[1]

    count = bench.count(500, 2000)
    count = max(count, *(int(once(server, count) * bench.seconds) for server in servers))  # and each knows the way to all
    ratios = []
    for n in range(1 if bench.quick else ROUNDS):
        rates = {server: once(server, count) for server in (servers if n % 2 == 0 else reversed(servers))}
        ratios.append(rates[servers[0]] / rates[servers[1]])
    left = sum(f"@{dead}" in line for line in servers[0].queue())
    assert left == holds, f"{left} of {holds} wait for the dead one"
    return Row(f"{case}; {ROUNDS} rounds", "x the rate without it", {"mailserverd": ratios}, targets=targets)
