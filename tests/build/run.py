#!/usr/bin/env python3
"""Runs the parts of the tests, one more at a time than there are processors, and counts: tests/README.md."""
import argparse
import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable

import checks
import documents
import suites
from report import BUILD, ROOT, Report


@dataclass
class Part:
    name: str
    run: Callable[[Report], None]
    alone: bool = False  # it measures: nothing else runs beside it


# In the order of their beginning: what others wait for, then the long ones.
PARTS = [
    Part("tree", checks.tree),
    Part("warnings", checks.warnings),
    Part("sanitized-dialogues", suites.sanitized_dialogues),
    Part("dialogues", suites.dialogues),
    Part("sanitizers", suites.sanitizers),
    Part("simulation", suites.simulation),
    Part("hosts", suites.hosts),
    Part("fuzz", suites.fuzz),
    Part("tsan", suites.tsan),
    Part("s390x", suites.s390x),
    Part("i686", suites.i686),
    Part("valgrind", suites.valgrind),
    Part("mbedtls3", suites.mbedtls3),
    Part("python", suites.python),
    Part("power", suites.power),
    Part("kit", suites.kit),
    Part("model", suites.model),
    Part("unit", suites.unit),
    Part("docs", documents.run),
    Part("install", checks.install),
    Part("plain", checks.plain),
    Part("headers", checks.headers),
    Part("purity", checks.purity),
    Part("symbols", checks.symbols),
    Part("size", checks.size),
    Part("bench", suites.bench, alone=True),
]


def counts(is_long: bool) -> dict[str, str]:
    """tests/counts, where NAME_LONG takes the place of NAME in a long run."""
    pairs = {}
    for line in (ROOT / "tests/counts").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            pairs[name] = value
    short = {name: value for name, value in pairs.items() if not name.endswith("_LONG")}
    if is_long:
        short |= {name.removesuffix("_LONG"): value for name, value in pairs.items() if name.endswith("_LONG")}
    return short


def seed_of_commit() -> tuple[int, str]:
    done = subprocess.run(["git", "-c", "safe.directory=*", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    commit = done.stdout.strip()
    return (int(commit[:12], 16), f"commit {commit[:12]}") if commit else (1, "no commit is known here")


def skips_allowed() -> set[str] | None:
    if os.environ.get("CI") != "true":
        return None
    lines = (ROOT / "tests/skips").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/run", description="Runs the tests: tests/README.md.")
    parser.add_argument("--long", action="store_true", help="larger counts")
    parser.add_argument("--seed", type=int, help="in place of the one that the commit gives")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1, help="parts at a time: some mostly wait")
    parser.add_argument("--list", action="store_true", help="only name the parts")
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *(part.name for part in PARTS)])
    return parser.parse_args()


def main() -> int:
    args = arguments()
    if args.list:
        print("\n".join(part.name for part in PARTS))
        return 0
    seed, origin = (args.seed, "given") if args.seed is not None else seed_of_commit()
    print(f"seed {seed} ({origin}); {'long' if args.long else 'CI'} counts; logs in build/log", flush=True)
    environment = counts(args.long) | {"MAILSRV_SEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "",
                                       "CMOCKA_MESSAGE_OUTPUT": "TAP",
                                       "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}
    allowed = skips_allowed()
    reports = []

    def run(part: Part) -> None:
        report = Report(part.name, environment, allowed)
        try:
            part.run(report)
        except Exception as e:  # a part that breaks has failed, and the others go on
            report.bad(f"{part.name}: {type(e).__name__}: {e}")
        print(report.end(), flush=True)
        reports.append(report)

    lock = (BUILD / "lock").open("w")  # one run at a time has build/ for itself
    fcntl.flock(lock, fcntl.LOCK_EX)
    began = time.monotonic()
    chosen = [part for part in PARTS if not args.parts or part.name in args.parts]
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        list(pool.map(run, [part for part in chosen if not part.alone]))
    for part in chosen:
        if part.alone:
            run(part)
    passed, failed, skipped = (sum(r.passed for r in reports), sum(r.failed for r in reports),
                               sum(len(r.skips) for r in reports))
    for failure in (f"{r.name}: {failure}" for r in reports for failure in r.failures[:40]):
        print(f"FAILED   {failure}")
    print(f"all parts: {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
