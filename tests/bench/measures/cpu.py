"""Processor time of all processes of a server, for 10,000 messages of 4 KiB that lie in their mailboxes."""
from typing import Iterator

from measures.deliver import USERS
from peers.beside import Bench, delivered
from peers.exim import Exim
from peers.mailserverd import Mailserverd
from peers.opensmtpd import OpenSMTPD
from peers.postfix import Postfix
from peers.sink import Sink
from peers.table import Row, Target


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Sink, Postfix, Exim, OpenSMTPD) as servers:
        for connections in (1, 8, 64):
            def once(server: object) -> float:
                quick = server in servers[:2]
                count = bench.count(100, min(10000, 2000 * connections) if quick else 300)
                if not quick:
                    server.empty()
                before = server.group.cpu_us()
                delivered(bench, server, "smtp", count, connections=connections, octets=4096, users=USERS)
                return (server.group.cpu_us() - before) / count / 100

            values = bench.alternately(servers, once)
            yield Row(f"{connections} connection{'s' * (connections > 1)}", "seconds", values, more=False,
                      targets=[Target(4.0, ["smtp-sink"]), Target(1 / 15, ["Postfix"])])
