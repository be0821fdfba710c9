"""From the start of the program to its listening, over a store with so many messages."""
import time
from typing import Iterator

from measures.download import fill
from peers.beside import Bench
from peers.mailserverd import Mailserverd
from peers.table import Row, Target


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd) as (server,):
        for count in [0, 100] if bench.quick else [0, 1000000]:
            if count:
                fill(bench, [server], count, 1024)

            def once(server: object) -> float:
                assert server.host.end() == 0
                since = time.monotonic()
                server.start()
                return (time.monotonic() - since) * 1000

            yield Row(f"{count:,} messages", "milliseconds", bench.alternately([server], once), more=False,
                      targets=[Target(100.0)])
