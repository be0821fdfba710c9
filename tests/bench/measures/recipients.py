"""One message of 100 KiB to so many recipients here: what it takes on the disk, in time, of the processors."""
import statistics
from typing import Iterator

from peers.beside import Bench, delivered
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.postfix import Postfix
from peers.table import Row, Target

OCTETS = 102400
DISK, TIME, CPU = "KiB on the disk", "milliseconds a message", "milliseconds of processors a message"


def run(bench: Bench) -> Iterator[Row]:
    """The body is stored once, and the cost is close to one delivery: what 100 take beside one."""
    found: dict[tuple[int, str], Row] = {}
    with bench.running(Mailserverd, Postfix, Dovecot) as servers:
        for rcpts in (1, 10, 100):
            for row in rows(bench, servers, rcpts):
                found[rcpts, row.unit] = row
                yield row
    for unit, most in ((DISK, 1.5), (TIME, 2.0), (CPU, None)):
        one, many = found[1, unit].values, found[100, unit].values
        times = {name: [statistics.median(many[name]) / statistics.median(one[name])] for name in one}
        yield Row(f"100 recipients beside 1, {unit}", "times", times, more=False, targets=[Target(most)] if most else [])


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
    yield Row(case, DISK, disk, more=False)
    yield Row(case, TIME, values, more=False)
    yield Row(case, CPU, cpu, more=False)
