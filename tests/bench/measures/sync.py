"""What a client asks of all messages when it comes: the median once all is cached, of a mailbox of messages of 4 KiB."""
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.table import Row, Target

ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for count in [30] if bench.quick else [2000, 10000, 100000]:
            user = fill(bench, servers, count, 4096)

            def once(server: object, n: int) -> float:
                return bench.load(server, "fetch", user=user, items=ITEMS, set="1:*", count=n).rate

            def first(server: object) -> float:
                server.forget()
                return once(server, count)

            yield Row(f"{count:,} messages, nothing cached", "messages a second", bench.alternately(servers, first))
            yield Row(f"{count:,} messages", "messages a second", bench.again(servers, once, count),
                      targets=[Target(4.0, ["Dovecot"])])
