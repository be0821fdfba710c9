"""Rows of results, and how they are shown."""
import statistics
from dataclasses import asdict, dataclass, field

OURS = "mailserverd"


@dataclass
class Target:
    """Ours is at least (or, where less is better, at most) `ratio` times the best of these, or the least of them; or
    `ratio` itself, of nobody."""

    ratio: float
    of: list[str] = field(default_factory=list)
    least: bool = False


@dataclass
class Row:
    case: str
    unit: str
    values: dict[str, list[float]]  # a number for each round; what begins with mailserverd is ours
    more: bool = True  # is better
    targets: list[Target] = field(default_factory=list)
    limits: dict[str, list[float]] = field(default_factory=dict)  # of the machine, in the same unit, in the same rounds
    syncs: dict[str, float] = field(default_factory=dict)  # for each operation, by strace
    group: float = 0.0  # messages to a sync of ours, in these rounds; 0: not counted
    measure: str = ""

    def as_json(self) -> dict:
        return asdict(self)


def row_of(said: dict) -> Row:
    return Row(**said | {"targets": [Target(**target) for target in said["targets"]]})


def medians(row: Row) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in (row.values | row.limits).items()}


def other(row: Row, target: Target) -> float:
    found = [value for name, value in medians(row).items() if name in target.of]
    return (max if row.more and not target.least else min)(found) if found else 1.0


def ours(row: Row) -> float | None:
    return medians(row).get(next((name for name in row.values if name.startswith(OURS)), ""))


def ratio(row: Row, target: Target) -> float | None:
    """None: there is nothing to compare with."""
    if target.of and not set(target.of) & set(medians(row)):
        return None
    value, beside = ours(row), other(row, target)
    return value / beside if value is not None and beside else None


def met(row: Row, target: Target) -> bool:
    return ratio(row, target) >= target.ratio if row.more else ratio(row, target) <= target.ratio


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def aim(row: Row, target: Target) -> str:
    """What is to be reached."""
    word = "at most " if not row.more else "at least " if target.least else ""
    names = " / ".join(target.of)
    of = f" x {f'the smaller of {names}' if target.least else names}" if names else f" {row.unit}"
    return f"{word}{number(target.ratio)}{of}"


def reached(row: Row, target: Target) -> str:
    return f"{number(ratio(row, target))}{' x' if target.of else ''}"


def targets(row: Row) -> list[Target]:
    return [target for target in row.targets if ratio(row, target) is not None]


def line(row: Row) -> str:
    """For a terminal."""
    shown = "  ".join(f"{name} {number(value)}" for name, value in medians(row).items())
    group = f"; {number(row.group)} messages to a sync of ours" if row.group else ""
    syncs = "  ".join(f"{name} {number(value)}" for name, value in row.syncs.items())
    aims = "; ".join(f"{reached(row, target)} (to reach: {aim(row, target)}){'' if met(row, target) else ' MISSED'}"
                     for target in targets(row))
    return "\n".join(filter(None, [f"  {row.case}, {row.unit}: {shown}{group}", aims and f"      {aims}",
                                   syncs and f"      syncs for each: {syncs}"]))


def verdict(rows: list[Row]) -> str:
    """How many targets there are, and which are missed."""
    all_of_them = [(row, target) for row in rows for target in targets(row)]
    missed = [f"{row.measure}, {row.case}, {row.unit}: {reached(row, target)} (to reach: {aim(row, target)})"
              for row, target in all_of_them if not met(row, target)]
    return "\n".join([f"Of {len(all_of_them)} targets {len(all_of_them) - len(missed)} are met" + (
        ", and missed are:" if missed else "."), *(f"- {one}" for one in missed)])


def markdown(said: dict, measures: list[str]) -> str:
    """A table for each measure, with a column for each server and each limit."""
    rows = sorted((row_of(row) for row in said["rows"]), key=lambda row: measures.index(row.measure))
    out = ["; ".join(f"{key}: {value}" for key, value in said["machine"].items()) + ".",
           "\n".join(["What each has on the disk when it replies:", "", *(
               f"- {name} ({said['versions'][name]}): {promise}."
               for name, promise in said["promises"].items())]),
           "A cell has the median, then in brackets ours by it, and the syncs for each operation as `strace -f -c` counts them.",
           verdict(rows)]
    for measure in dict.fromkeys(row.measure for row in rows):
        took = said["took"].get(measure, {})
        out += [f"### {measure}", took.get("about", ""), table([row for row in rows if row.measure == measure]),
                f"{took['rounds']} rounds, {took['seconds']:.0f} seconds, of the processors {took['others']:.0%} for others."
                if took else ""]
    return "\n\n".join(filter(None, out))


def table(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in medians(row)))
    aims = any(targets(row) for row in rows)
    lines = [["case", "unit", *names, *(["to reach", "met"] if aims else [])]]
    for row in rows:
        lines.append([row.case, row.unit, *(cell(row, name) for name in names)] + ([
            "; ".join(aim(row, target) for target in targets(row)),
            "; ".join(f"{'yes' if met(row, target) else '**no**'}, {reached(row, target)}" for target in targets(row))]
            if aims else []))
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(row: Row, name: str) -> str:
    shown = medians(row)
    if name not in shown:
        return ""
    beside = not name.startswith(OURS) and ours(row) is not None and shown[name]
    more = [f"{number(ours(row) / shown[name])} x" if beside else "",
            f"{number(row.syncs[name])} syncs" if name in row.syncs else "",
            f"{number(row.group)} to a sync" if row.group and name == next(iter(row.values)) else ""]
    more = list(filter(None, more))
    return number(shown[name]) + (f" ({'; '.join(more)})" if more else "")
