"""Logins over full TLS handshakes (P-256), and a mailbox read over TLS, with each provider: OpenSSL beside Dovecot, which
uses it, too; mbedTLS beside what it does by itself on one processor, with nothing around it."""
from typing import Iterator

from measures.download import fill, mb
from peers.beside import Bench, Limit
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target

ITSELF = "mbedTLS by itself"


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot, lambda: Mailserverd("mbedtls")) as servers:
        for connections in (1, 8, 64):
            def login(server: object, count: int) -> float:
                return bench.load(server, "login", "implicit", count=count, connections=connections, opening=64,
                                  users=10).rate

            values = bench.sized(servers, login, connections + 20, [itself(bench, "handshakes_of_a_server")])
            yield from rows(f"{connections} at once", "logins a second", values, 1.0 if connections > 1 else None)
        for octets, count, size in ((20480, 2000, "20 KiB"), (1 << 20, 100, "1 MiB")):
            count = bench.count(20, count)
            user = fill(bench, servers, count, octets)

            def read(server: object, n: int) -> float:
                return bench.load(server, "fetch", "implicit", user=user, items="BODY.PEEK[]", set="1:*", count=n).rate

            values = bench.again(servers, read, count, [itself(bench, "encrypts")])
            limit = values.pop(ITSELF)
            yield from rows(f"BODY.PEEK[] of messages of {size}", "MB a second", mb(values, octets) | {ITSELF: limit}, 0.8)


def itself(bench: Bench, what: str) -> Limit:
    """Of its ciphers the fastest."""
    return Limit(ITSELF, lambda: max(value for name, value in bench.limits(only="mbedtls").items() if what in name))


def rows(case: str, unit: str, values: dict[str, list[float]], ratio: float | None) -> Iterator[Row]:
    limits = {ITSELF: values.pop(ITSELF)}
    mbedtls = {name: values.pop(name) for name in list(values) if "mbedtls" in name}
    yield Row(f"{case}, OpenSSL", unit, values, targets=[Target(3.0, ["Dovecot"])])
    yield Row(f"{case}, mbedTLS", unit, mbedtls, limits=limits, targets=[Target(ratio, [ITSELF])] if ratio else [])
