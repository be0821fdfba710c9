#!/usr/bin/env python3
"""Builds, runs the measures, prints their tables: tests/bench/run."""
import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "hosts")]

from host import ROOT  # noqa: E402
from measures import MEASURES  # noqa: E402
from peers import machine, table  # noqa: E402
from peers.beside import Bench  # noqa: E402
from peers.group import Watch  # noqa: E402
from peers.server import BUILD  # noqa: E402

RESULTS = BUILD / "results.json"
OPTIONS = ["-Dbuildtype=custom", "-Doptimization=2", "-Db_ndebug=true", "-Ddurable=enabled", "-Dmailserverd=enabled",
           "-Dexamples=disabled", "-Dargon2=disabled", "-Dtests=enabled"]
MEASURING = [f"tests/bench/{name}" for name in (
    "load/bench-load", "load/bench-sink", "limits/bench-limits", "bench-scanner", "bench-speed", "bench-growth", "bench-select", "bench-idlers",
    "bench-large", "bench-large-tls")]
LIBRARIES = [f"src/{name}.so.1" for name in (
    "libmailserver", "stores/libmailserver-durable", "stores/libmailserver-kit", "stores/libmailserver-memory",
    "stores/libmailserver-pool", "tls/libmailserver-openssl", "tls/libmailserver-mbedtls", "uv/libmailserver-uv")]
PROVIDERS = {"openssl": [], "mbedtls": ["-Dopenssl=disabled"]}


def build(provider: str, options: list[str]) -> None:
    """mailserverd with a provider of TLS, as a distribution would build it; with the first one what measures, too."""
    where = BUILD / provider
    if not (where / "build.ninja").exists():
        command("meson", "setup", where, *OPTIONS, *options)
    targets = ["src/mailserverd/mailserverd", *([*MEASURING, *LIBRARIES] if provider == "openssl" else [])]
    command("ninja", "-C", where, *targets)


def command(*argv: object) -> None:
    done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{argv[0]}: {done.stdout}{done.stderr}")


def descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(names: list[str], bench: Bench) -> None:
    """What was measured before, and is not now, stays in the results.  One that fails does not take the others along."""
    said = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": [], "took": {}, "versions": {}, "promises": {}}
    said["machine"] = machine.described()
    failed = [name for name in names if not measure_one(name, bench, said)]
    print(f"\n{table.verdict([row for row in map(table.row_of, said['rows']) if row.measure in names])}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def measure_one(name: str, bench: Bench, said: dict) -> bool:
    about, watch = sys.modules[MEASURES[name].__module__].__doc__, Watch()
    print(f"\n{name}: {about}", flush=True)
    said["rows"] = [row for row in said["rows"] if row["measure"] != name]
    try:
        for row in MEASURES[name](bench):
            row.measure = name
            print(table.line(row), flush=True)
            said["rows"].append(row.as_json())
            RESULTS.write_text(json.dumps(said, indent=1) + "\n")
    except Exception:
        traceback.print_exc()
        return False
    said["took"][name] = {"about": about, "rounds": bench.rounds, "seconds": watch.seconds(), "others": watch.others()}
    for key, of in (("versions", bench.versions), ("promises", bench.promises)):
        said[key] |= of
    RESULTS.write_text(json.dumps(said, indent=1) + "\n")
    print(f"  {watch.seconds():.0f} seconds; {watch.others():.0%} of the processors for others", flush=True)
    return True


def main() -> None:
    words = argparse.ArgumentParser(prog="tests/bench/run")
    words.add_argument("measures", nargs="*", metavar="MEASURE")
    words.add_argument("--list", action="store_true", help="name the measures")
    words.add_argument("--markdown", action="store_true", help="print the tables of what was measured last")
    words.add_argument("--quick", action="store_true", help="tiny counts")
    words.add_argument("--rounds", type=int, default=3)
    args = words.parse_args()
    if args.list:
        print("\n".join(MEASURES))
        return
    if args.markdown:
        print(table.markdown(json.loads(RESULTS.read_text()), list(MEASURES)))
        return
    if unknown := set(args.measures) - set(MEASURES):
        sys.exit(f"no measure: {', '.join(unknown)}")
    descriptors()
    for provider, options in PROVIDERS.items():
        build(provider, options)
    bench = Bench(args.quick, 1 if args.quick else args.rounds)
    print("\n".join(f"{key}: {value}" for key, value in machine.described().items()))
    measure(args.measures or list(MEASURES), bench)


if __name__ == "__main__":
    os.umask(0o022)
    for ends in (signal.SIGTERM, signal.SIGHUP):  # servers end with us
        signal.signal(ends, lambda number, _: sys.exit(128 + number))
    main()
