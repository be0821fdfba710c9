"""POP3: login, STAT, UIDL, RETR of all, QUIT; a mailbox of 1,000 messages of 4 KiB, nothing deleted."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        size = bench.count(20, 1000)
        user = fill(bench, servers, size, 4096)
        for tls in ("none", "implicit"):
            def once(server: object, n: int) -> float:
                return bench.load(server, "pop3", tls, user=user, count=n).rate

            yield Row("in the clear" if tls == "none" else "over TLS", "messages a second", bench.again(servers, once, size),
                      targets=[Target(3.0, ["Dovecot"])] if tls == "none" else [])
