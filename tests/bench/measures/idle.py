"""Connections that idle: memory of each, and when they hear of a new message."""
import resource
import subprocess
from typing import Iterator

from peers.beside import Bench, argv, result
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.programs import ours, rounds
from peers.table import Row, Target

SPARE = 500  # descriptors for everything else
WATCHED = 100  # of Dovecot: each has an instance of inotify(7), of which Linux gives a user 128; others look every 30 s


class Idlers:
    """So many connections, spread over mailboxes; in IDLE, and waiting for a word."""

    def __init__(self, server: object, idlers: int, mailboxes: int, tls: str = "none", first: int = 0):
        keys = {"idlers": idlers, "mailboxes": mailboxes, "users": mailboxes, "sources": 10, "count": 20,
                "lmtp_port": server.ports["lmtp"], "wait": "yes", "opening": 64, "first": first}
        self.process = subprocess.Popen(argv(server, "idle", tls, keys), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        assert (line := self.process.stderr.readline()) == "ready\n", line

    def told_ms(self) -> float:
        """From a message's 250 until 99 of 100 of those who wait for it have heard of it; and their end."""
        return result(self.process.communicate("\n")[0]).said["after_250_p99_us"] / 1000


def octets_each(server: object, idlers: int, mailboxes: int, tls: str = "none") -> float:
    """Memory of the server for each connection, and what it holds of its mailbox, beyond a first tenth."""
    tenth = Idlers(server, idlers // 10, mailboxes // 10, tls, first=mailboxes)
    before = server.group.octets()
    others = Idlers(server, idlers - idlers // 10, mailboxes, tls)
    each = (server.group.octets() - before) / (idlers - idlers // 10)
    others.told_ms()
    tenth.told_ms()
    return each


def run(bench: Bench) -> Iterator[Row]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 100000 if most == resource.RLIM_INFINITY else most - SPARE
    for several, makers in ((bench.count(50, 500), [Mailserverd]), (bench.count(40, WATCHED), [Mailserverd, Dovecot])):
        with bench.running(*makers) as servers:
            late = bench.alternately(servers, lambda server: Idlers(server, several, 1).told_ms())
        yield Row(f"{several} in one mailbox", "milliseconds until 99 of 100 know", late, more=False, targets=[Target(5.0)])
    several = bench.count(50, WATCHED)
    with bench.running(Dovecot) as servers:
        each = {"Dovecot": [octets_each(servers[0], several, several)]}
    yield Row(f"{several}, a mailbox each", "octets of memory", each, more=False)
    for idlers, tls in ((bench.count(100, min(10000, most)), "none"), (bench.count(100, most), "none"),
                        (bench.count(100, min(10000, most)), "implicit")):
        mailboxes = min(1000, idlers // 10)
        with bench.running(Mailserverd) as servers:
            octets = octets_each(servers[0], idlers, mailboxes, tls)
        yield Row(f"{idlers:,} in {mailboxes:,} mailboxes{'' if tls == 'none' else ', over TLS'}", "octets of memory",
                  {"mailserverd": [octets]}, more=False, targets=[Target(4096.0)] if tls == "none" else [])
    yield from in_memory(bench, bench.count(2000, 50000))


def in_memory(bench: Bench, idlers: int) -> Iterator[Row]:
    said = rounds(bench, "idlers", IDLERS=idlers)
    case = f"{idlers:,} in {max(1, idlers // 50):,} mailboxes, fed in memory"
    for what, says in (("octets of memory", r"([\d.]+) of the process"),
                       ("octets of the engine's memory", r"([\d.]+) octets of the engine")):
        yield Row(case, what, ours(said, says), more=False, targets=[Target(4096.0)])
    yield Row("500 in one mailbox, fed in memory", "milliseconds until 99 of 100 know", ours(said, r"p99 ([\d.]+) ms"),
              more=False, targets=[Target(5.0)])
