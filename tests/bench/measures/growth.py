"""What a message costs where there are many, in memory: CPU of all threads, and pages of the index that are written."""
import re
from typing import Iterator

from peers.beside import Bench
from peers.programs import rounds
from peers.table import Row, Target

SAYS = re.compile(r"^# summary: growth, (\d+) (.+), (\d+) at once: ([\d.]+) us of CPU a message, ([\d.]+) pages touched", re.M)
FLAT = 1.2
UNITS = {"microseconds of CPU a message": 0, "pages of the index touched by a message": 1}


def run(bench: Bench) -> Iterator[Row]:
    said = rounds(bench, "growth", GROWTH_MESSAGES=bench.count(10000, 1000000), GROWTH_MAILBOXES=bench.count(100, 100000),
                  GROWTH_SAMPLE=bench.count(500, 4000))
    found: dict[tuple[str, int], dict[int, list[tuple[float, float]]]] = {}
    for text in said:
        for n, what, senders, *figures in SAYS.findall(text):
            found.setdefault((what, int(senders)), {}).setdefault(int(n), []).append(tuple(map(float, figures)))
    for (what, senders), of in found.items():
        for unit, i in UNITS.items():
            yield from rows(f"{what}, {senders} at once", unit, {n: [one[i] for one in each] for n, each in of.items()})


def rows(case: str, unit: str, of: dict[int, list[float]]) -> Iterator[Row]:
    for n, values in of.items():
        yield Row(f"{n:,} {case}", unit, {"mailserverd": values}, more=False)
    first, *others = of.values()
    worst = [max(each) / one for one, *each in zip(first, *others)]
    yield Row(f"{case}, {unit}, the worst beside the first", "times", {"mailserverd": worst}, more=False,
              targets=[Target(FLAT)])
