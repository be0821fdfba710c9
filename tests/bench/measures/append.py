"""Messages a second by APPEND of IMAP, synced before its OK, beside Dovecot's sdbox."""
from typing import Iterator

from measures.lmtp import both
from peers.beside import Bench
from peers.table import Row


def run(bench: Bench) -> Iterator[Row]:
    yield from both(bench, "append", 4.0)
