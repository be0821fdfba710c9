"""Rows of results, and how they are shown."""
import statistics
from dataclasses import asdict, dataclass, field

OURS = "mailserverd"


@dataclass
class Target:
    """Ours is at least (or, where less is better, at most) `ratio` times the best of these; or `ratio` itself, of
    nobody."""

    ratio: float
    of: list[str] = field(default_factory=list)


@dataclass
class Row:
    case: str
    unit: str
    values: dict[str, list[float]]  # a number for each round; what begins with mailserverd is ours
    more: bool = True  # is better
    targets: list[Target] = field(default_factory=list)
    beside: dict[str, float] = field(default_factory=dict)  # limits of the machine, in the same unit
    syncs: dict[str, float] = field(default_factory=dict)  # for each operation
    measure: str = ""

    def as_json(self) -> dict:
        return asdict(self)


def row_of(said: dict) -> Row:
    return Row(**said | {"targets": [Target(**target) for target in said["targets"]]})


def medians(row: Row) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in row.values.items()} | row.beside


def best(row: Row, of: list[str]) -> float:
    found = [value for name, value in medians(row).items() if name in of]
    return (max if row.more else min)(found) if found else 1.0


def peers(row: Row) -> list[str]:
    return [name for name in row.values if not name.startswith(OURS)]


def ours(row: Row) -> float | None:
    return medians(row).get(next((name for name in row.values if name.startswith(OURS)), ""))


def ratio(row: Row, of: list[str]) -> float | None:
    value, other = ours(row), best(row, of)
    return value / other if value is not None and other else None


def met(row: Row, target: Target) -> bool | None:
    """None: there is nothing to compare with."""
    if target.of and not set(target.of) & set(medians(row)):
        return None
    reached = ratio(row, target.of)
    return None if reached is None else reached >= target.ratio if row.more else reached <= target.ratio


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def aim(row: Row, target: Target) -> str:
    """One target, what was reached, and whether that is enough."""
    reached, word = ratio(row, target.of), "" if row.more else "at most "
    if reached is None or met(row, target) is None:
        return ""
    beside = f" x {' / '.join(target.of)}" if target.of else f" {row.unit}"
    return f"{number(reached)}{' x' if target.of else ''} (to reach: {word}{number(target.ratio)}{beside})" + (
        "" if met(row, target) else " MISSED")


def line(row: Row) -> str:
    """For a terminal."""
    shown = "  ".join(f"{name} {number(value)}" for name, value in medians(row).items())
    syncs = "  ".join(f"{name} {number(value)}" for name, value in row.syncs.items())
    aims = "; ".join(filter(None, (aim(row, target) for target in row.targets)))
    return "\n".join(filter(None, [f"  {row.case}, {row.unit}: {shown}", aims and f"      {aims}",
                                   syncs and f"      syncs for each: {syncs}"]))


def markdown(said: dict) -> str:
    """A table for each measure, with a column for each server."""
    rows = [row_of(row) for row in said["rows"]]
    out = [", ".join(f"{key}: {value}" for key, value in said["machine"].items()) + ".",
           "Peers: " + ", ".join(sorted(said.get("versions", {}).values())) + "."]
    for measure in dict.fromkeys(row.measure for row in rows):
        out += [f"### {measure}", table([row for row in rows if row.measure == measure])]
    return "\n\n".join(out)


def table(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in medians(row)))
    lines = [["case", "unit", *names, "beside the best peer", "to reach"]]
    for row in rows:
        shown = medians(row)
        of = ratio(row, peers(row)) if peers(row) else None
        lines.append([row.case, row.unit, *(cell(row, name, shown) for name in names), f"{number(of)} x" if of else "",
                      "; ".join(filter(None, (aim(row, target) for target in row.targets)))])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(row: Row, name: str, shown: dict[str, float]) -> str:
    if name not in shown:
        return ""
    syncs = f" ({number(row.syncs[name])} syncs)" if name in row.syncs else ""
    return number(shown[name]) + syncs
