"""The scanners and framers in memory: what tests/bench/scanner.c and speed.c print."""
import re
import subprocess
from typing import Iterator

from peers.beside import Bench
from peers.server import BUILD
from peers.table import Row


def run(bench: Bench) -> Iterator[Row]:
    for name in ("scanner", "speed"):
        said = subprocess.run([BUILD / f"openssl/tests/bench/bench-{name}"], capture_output=True, text=True, check=True).stdout
        for what, amount, unit in re.findall(r"^(?:# summary: |ok \d+ - )(.+): (\d+) (.*?)(?:/s| a second)$", said, re.M):
            yield Row(what, f"{unit} a second", {"mailserverd": [float(amount)]})
