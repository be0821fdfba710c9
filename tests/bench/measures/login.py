"""LOGIN, SELECT, LOGOUT of IMAP, a connection each; the password is in the cache of both."""
from typing import Iterator

from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for connections in (1, 8, 64):
            def once(server: object, count: int) -> float:
                return bench.load(server, "login", count=count, connections=connections, opening=64, users=10).rate

            yield Row(f"{connections} at once", "logins a second", bench.sized(servers, once, 10 * connections + 20),
                      targets=[Target(5.0, ["Dovecot"])])
