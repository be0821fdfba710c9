"""One message of 100 KiB to so many recipients here: what it takes on the disk, in time, of the processors."""
from typing import Iterator

from peers.beside import Bench, delivered
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.postfix import Postfix
from peers.table import Row

OCTETS = 102400


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Postfix, Dovecot) as servers:
        for rcpts in (1, 10, 100):
            yield from rows(bench, servers, rcpts)


def rows(bench: Bench, servers: list, rcpts: int) -> Iterator[Row]:
    disk: dict[str, list[float]] = {server.name: [] for server in servers}
    cpu: dict[str, list[float]] = {server.name: [] for server in servers}
    count = bench.count(2, 20)

    def once(server: object) -> float:
        mode = "smtp" if "smtp" in server.ports else "lmtp"
        if server.name == "Postfix":
            server.empty()
        octets, before = server.octets(), server.group.cpu_us()
        _, seconds = delivered(bench, server, mode, count, rcpts=rcpts, users=100, octets=OCTETS)
        disk[server.name].append((server.octets() - octets) / count / 1024)
        cpu[server.name].append((server.group.cpu_us() - before) / count / 1000)
        return seconds / count * 1000

    values = bench.alternately(servers, once)
    case = f"{rcpts} recipient{'s' * (rcpts > 1)}"
    yield Row(case, "KiB on the disk", disk, more=False)
    yield Row(case, "milliseconds a message", values, more=False)
    yield Row(case, "milliseconds of processors a message", cpu, more=False)
