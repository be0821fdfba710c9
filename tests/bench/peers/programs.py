"""The programs that measure sessions in memory, over a durable store that syncs nothing, and what their lines say."""
import os
import re
import subprocess

from peers.beside import HANG_S, Bench
from peers.server import BUILD

WHERE = BUILD / "openssl/tests/bench"


def rounds(bench: Bench, name: str, **counts: int) -> list[str]:
    """What tests/bench/NAME.c prints with such counts, once a round."""
    said = []
    for _ in range(bench.rounds):
        done = subprocess.run([WHERE / f"bench-{name}"], cwd=WHERE, env=os.environ | {key: str(n) for key, n in counts.items()},
                              capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    return said


def ours(said: list[str], pattern: str) -> dict[str, list[float]]:
    """The number that the pattern finds, of each round."""
    return {"mailserverd": [float(re.search(pattern, text)[1]) for text in said]}
