"""What the disk, the memory, loopback and the libraries of TLS do by themselves: tests/bench/limits."""
import re
from typing import Iterator

from peers.beside import Bench
from peers.table import Row


def run(bench: Bench) -> Iterator[Row]:
    for name, value in bench.limits().items():
        what, unit = re.fullmatch(r"(.*?)_(mb_per_second|per_second)", name).groups()
        yield Row(what.replace("_", " "), "MB a second" if unit.startswith("mb") else "a second", {}, limits={"machine": [value]})
