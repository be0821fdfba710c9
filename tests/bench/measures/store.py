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
        for how, n, ratio in (("1:*", 1, 3.0), ("each", bench.count(20, 2000), 1.0)):
            keys = {"set": how, "user": user} | ({"count": n} if how == "each" else {})

            def once(server: object) -> float:
                return bench.load(server, "store", **keys).rate

            done = count if how == "1:*" else n
            syncs = {server.name: bench.syncs(server, lambda: once(server), done) for server in servers}
            yield Row(f"{'all at once' if how == '1:*' else 'one by one'}, {count:,} messages", "messages a second",
                      bench.alternately(servers, once), targets=[Target(ratio, [SAFE])], syncs=syncs)
