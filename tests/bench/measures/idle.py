"""Connections that idle: memory of each, and when they hear of a new message."""
import resource
import subprocess
from typing import Iterator

from peers.beside import Bench, argv, result
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target

SPARE = 500  # descriptors for everything else


def idled(server: object, idlers: int, mailboxes: int, tls: str = "none", count: int = 20) -> tuple[float, float]:
    """Octets of the server's memory for each, and milliseconds from a message's 250 until 99 of 100 have
    heard of it."""
    before = server.group.octets()
    keys = {"idlers": idlers, "mailboxes": mailboxes, "users": mailboxes, "sources": 10, "count": count,
            "lmtp_port": server.ports["lmtp"], "wait": "yes", "opening": 64}
    generator = subprocess.Popen(argv(server, "idle", tls, keys), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
    assert (line := generator.stderr.readline()) == "ready\n", line
    each = (server.group.octets() - before) / idlers
    said = result(generator.communicate("\n")[0])
    return each, said.said["after_250_p99_us"] / 1000


def run(bench: Bench) -> Iterator[Row]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 100000 if most == resource.RLIM_INFINITY else most - SPARE
    several = bench.count(50, 500)
    late: dict[str, list[float]] = {"mailserverd": [], "Dovecot": []}
    for _ in range(bench.rounds):
        with bench.running(Mailserverd, Dovecot) as servers:
            for server in servers:
                late[server.name].append(idled(server, several, 1)[1])
    yield Row(f"{several} in one mailbox", "milliseconds until 99 of 100 know", late, more=False, targets=[Target(5.0)])
    with bench.running(Dovecot) as servers:
        each = {"Dovecot": [idled(servers[0], several, several)[0]]}
    yield Row(f"{several}, a mailbox each", "octets of memory", each, more=False)
    for idlers, tls in ((bench.count(100, min(10000, most)), "none"), (bench.count(100, most), "none"),
                        (bench.count(100, min(10000, most)), "implicit")):
        with bench.running(Mailserverd) as servers:
            octets, _ = idled(servers[0], idlers, min(1000, idlers), tls)
        yield Row(f"{idlers:,} in 1,000 mailboxes{'' if tls == 'none' else ', over TLS'}", "octets of memory",
                  {"mailserverd": [octets]}, more=False, targets=[Target(4096.0)] if tls == "none" else [])
