"""SEARCH, without an index of text: headers of 2,000 messages, and text of 200 MB."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


KEYS = ((2000, 4096, "HEADER Subject zebra", 20.0, "HEADER Subject, 2,000 messages"),
        (10000, 20480, "TEXT qzxwvu", 5.0, "TEXT, 200 MB"))


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for count, octets, key, ratio, what in KEYS:
            user = fill(bench, servers, bench.count(50, count), octets, distinct=count)

            def once(server: object, searches: int = bench.count(1, 10 if ratio > 10 else 1)) -> float:
                return 1000 / bench.load(server, "search", user=user, key=key, count=searches).rate

            def first(server: object) -> float:
                server.forget()
                return once(server, 1)

            for case, search in ((f"{what}, nothing cached", first), (f"{what}, again", once)):
                yield Row(case, "milliseconds", bench.alternately(servers, search), more=False,
                          targets=[Target(1 / ratio, ["Dovecot"])])
