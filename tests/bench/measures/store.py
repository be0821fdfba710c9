"""STORE +FLAGS of all messages of a mailbox by one command, durable at its OK; and by a command each.  Dovecot syncs
this only with `mail_fsync = always`; the other figure is for comparison."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


SAFE = "Dovecot, mail_fsync = always"


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, lambda: Dovecot("always"), Dovecot) as servers:
        count = bench.count(100, 10000)
        user = fill(bench, servers, count, 1024)
        for case, how, size, ratio in (("all at once", "1:*", count, 3.0), ("one by one", "each", 50, 1.0)):
            def once(server: object, n: int) -> float:
                return bench.load(server, "store", set=how, user=user, count=n).rate

            syncs = {server.name: bench.syncs(server, lambda: once(server, size), size) for server in servers}
            yield Row(f"{case}, {count:,} messages", "messages a second", bench.again(servers, once, size),
                      targets=[Target(ratio, [SAFE])], syncs=syncs)
