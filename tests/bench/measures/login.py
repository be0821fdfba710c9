"""LOGIN, SELECT, LOGOUT of IMAP, a connection each; the password is in the cache of both.  Beside those that come one
after the other: the same octets between two processes who look at none of them."""
from typing import Iterator

from peers.beside import Bench, Limit
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


def loopback(bench: Bench) -> Limit:
    return Limit("loopback by itself", lambda: bench.limits(only="logins")["logins_over_1_per_second"])


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for connections in (1, 8, 64):
            def once(server: object, count: int) -> float:
                return bench.load(server, "login", count=count, connections=connections, opening=64, users=10).rate

            limits = [loopback(bench)] if connections == 1 else []
            values = bench.sized(servers, once, 10 * connections + 20, limits)
            beside = {limit.name: values.pop(limit.name) for limit in limits}
            yield Row(f"{connections} at once", "logins a second", values, limits=beside, targets=[Target(5.0, ["Dovecot"])])
