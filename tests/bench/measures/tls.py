"""Logins over full TLS handshakes (P-256), and a mailbox read over TLS, with each provider."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target

AIM = [Target(3.0, ["Dovecot"])]


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot, lambda: Mailserverd("mbedtls")) as servers:
        for connections in (1, 8, 64):
            def login(server: object, count: int) -> float:
                return bench.load(server, "login", "implicit", count=count, connections=connections, opening=64,
                                  users=10).rate

            yield Row(f"{connections} at once", "logins a second", bench.sized(servers, login, connections + 20), targets=AIM)
        for octets, count, size in ((20480, 2000, "20 KiB"), (1 << 20, 100, "1 MiB")):
            user = fill(bench, servers, bench.count(20, count), octets)

            def read(server: object) -> float:
                said = bench.load(server, "fetch", "implicit", user=user, items="BODY.PEEK[]", set="1:*")
                return said.octets / said.seconds / 1e6

            yield Row(f"BODY.PEEK[] of messages of {size}", "MB a second", bench.alternately(servers, read), targets=AIM)
