"""SELECT of a large mailbox, the first after a start and again, and what others wait meanwhile: of a server, and in
memory, where nothing but the command is measured."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.programs import ours, rounds
from peers.server import DOMAIN
from peers.table import Row, Target


def selected(bench: Bench, server: object, user: str) -> tuple[float, float]:
    """Milliseconds of the server's processors, and what the client saw, of a session that only selects."""
    before = server.group.cpu_us()
    said = bench.load(server, "select", user=user, count=1)
    return (server.group.cpu_us() - before) / 1000, said.p50_us / 1000


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for count in [100] if bench.quick else [1000, 100000, 1000000]:
            several = servers if count <= 100000 else servers[:1]
            user = fill(bench, several, count, 1024)
            yield from rows(bench, several, user, count)
    for count in [2000] if bench.quick else [1000, 100000, 1000000]:
        yield from in_memory(bench, count)


def rows(bench: Bench, servers: list, user: str, count: int) -> Iterator[Row]:
    cpu: dict[str, list[float]] = {server.name: [] for server in servers}
    others: list[float] = []

    def first(server: object) -> float:
        server.forget()
        bench.load(server, "rtt", protocol="imap", user=user, count=1)
        with bench.meanwhile(server, "rtt", protocol="imap", user=f"u0@{DOMAIN}", count=bench.count(100, 5000)) as beside:
            _, seen = selected(bench, server, user)
        if server is servers[0]:
            others.append(beside[0].p99_us / 1000)
        server.forget()
        bench.load(server, "rtt", protocol="imap", user=user, count=1)  # which remembers the password
        spent, _ = selected(bench, server, user)
        cpu[server.name].append(spent)
        return seen

    seen = bench.alternately(servers, first)
    targets = [Target(200.0)] if count >= 1000000 else []
    yield Row(f"{count:,} messages, first", "milliseconds", seen, more=False)
    yield Row(f"{count:,} messages, first, login included", "milliseconds of processors", cpu, more=False, targets=targets)
    yield Row(f"{count:,} messages, p99 of others' round trips meanwhile", "milliseconds", {servers[0].name: others},
              more=False, targets=[Target(20.0)])

    def again(server: object) -> float:
        return bench.load(server, "select", user=user, count=bench.count(5, 100)).p50_us / 1000

    yield Row(f"{count:,} messages, again", "milliseconds", bench.alternately(servers, again), more=False, targets=[Target(1.0)])


def in_memory(bench: Bench, count: int) -> Iterator[Row]:
    said, case, unit = rounds(bench, "select", SELECT_ROWS=count), f"{count:,} messages, in memory", "milliseconds of CPU"
    for what, says, most in (("the store is opened", "the store is opened", 100.0), ("first", "SELECT, first", 200.0),
                             ("beside another", "SELECT beside another", 1.0), ("again", "SELECT again", 1.0)):
        yield Row(f"{case}, {what}", unit, ours(said, rf"{says}: [\d.]+ ms, ([\d.]+) ms of CPU"), more=False,
                  targets=[Target(most)])
    yield Row(f"{case}, p99 of another's STATUS meanwhile", "milliseconds", ours(said, r" p99 ([\d.]+) ms"), more=False,
              targets=[Target(20.0)])
