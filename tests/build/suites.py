"""The parts that run the programs of the tests."""
import shutil
import subprocess
import tempfile
from pathlib import Path

import configurations
from report import BUILD, ROOT, Report


def in_plain(suite: str):
    """A part that is a suite, built by gcc."""

    def run(p: Report) -> None:
        if configurations.build("plain", p):
            configurations.run_suite("plain", suite, p)

    return run


unit, kit, model, power = in_plain("unit"), in_plain("kit"), in_plain("model"), in_plain("power")
simulation = in_plain("simulation")
hosts, python, bench = in_plain("hosts"), in_plain("python"), in_plain("bench")


def run_dialogues(name: str, p: Report, prefix: list[str], *options: str, **env: str) -> None:
    """Every dialogue by the driver of a configuration; and those that are wrong must be found so."""
    driver = [*prefix, BUILD / name / "tests/dialogue/dialogue", *options]
    files = sorted((ROOT / "tests/dialogues").rglob("*.dlg"))
    p.tap("dialogues", [*driver, *(f.relative_to(ROOT) for f in files)], env=env)
    wrong = sorted((ROOT / "tests/dialogue").rglob("*.dlg"))
    if wrong:
        p.tap("wrong dialogues", [*driver, "--wrong", *(f.relative_to(ROOT) for f in wrong)], env=env)


def dialogues(p: Report) -> None:
    """Every dialogue in every way."""
    if configurations.build("plain", p):
        run_dialogues("plain", p, [])


def fewer(p: Report, where: str, *more: str) -> dict[str, str]:
    """The counts of dialogues where they are slow."""
    return {f"DIALOGUE_{name}": p.environment[f"DIALOGUE_{where}_{name}"]
            for name in ("CUTS", "SHORT_INPUT", "RANDOM_CUTS", "PAIRS", *more)}


def sanitized(p: Report, *names: str) -> None:
    """Suites under the address and the undefined-behaviour sanitizer."""
    if configurations.build("asan", p):
        options = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        less = fewer(p, "SANITIZED", "STEP", "TLS_STEP", "TLS_ENDS")
        for name in names:
            configurations.run_suite("asan", name, p, **options, **less)


def sanitized_dialogues(p: Report) -> None:
    """By their groups of ways; the longest part of all, and so one of its own."""
    sanitized(p, "dialogues")


def sanitizers(p: Report) -> None:
    sanitized(p, "unit", "kit", "model", "threads", "hosts")


def tsan(p: Report) -> None:
    """Ports, letters, the pool of threads, and the model on two engines, under the thread sanitizer."""
    if configurations.build("tsan", p):
        configurations.run_suite("tsan", "threads", p, TSAN_OPTIONS="halt_on_error=1")


def valgrind(p: Report) -> None:
    """The dialogues once, each fed whole."""
    if configurations.build("plain", p):
        prefix = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all"]
        run_dialogues("plain", p, prefix, "--ways", "whole")


def runs_here(name: str) -> list[str] | None:
    """What runs a static program of a machine: nothing where the kernel takes it, else qemu; None: nothing does."""
    with tempfile.TemporaryDirectory() as where:
        program = Path(where) / "true"
        (Path(where) / "true.c").write_text("int main(void) { return 0; }\n")
        subprocess.run([f"{name}-linux-gnu-gcc", "-static", program.with_suffix(".c"), "-o", program], check=True)
        for runner in ([], configurations.ALL[name].runner):
            try:
                if subprocess.run([*runner, program]).returncode == 0:
                    return runner
            except OSError:
                continue
    return None


def carry(p: Report, what: str, writer: list, reader: list) -> None:
    """A store reads on another machine as on the one that wrote it, and also when the index is made anew there."""
    with tempfile.TemporaryDirectory() as where:
        done = p.run([*writer, "write", where])
        here = p.run([*writer, "read", where])
        there = p.run([*reader, "read", where])
        for index in Path(where).glob("index.db*"):
            index.unlink()
        anew = p.run([*reader, "read", where])
        good = all(run.returncode == 0 for run in (done, here, there, anew)) and here.stdout.count("\n") > 60
        p.check(f"a store {what}", good and here.stdout == there.stdout)
        p.check(f"the log of a store {what}", good and here.stdout == anew.stdout)


def stores(name: str, p: Report, runner: list[str]) -> None:
    """A durable store is carried to another machine, and back."""
    there = [*runner, BUILD / name / "tests/foreign/store"]
    if not there[-1].exists():
        return p.skip("stores", f"SQLite for {name} is not unpacked")
    if configurations.build("plain", p):
        here = [BUILD / "plain/tests/foreign/store"]
        carry(p, f"written here, read on {name}", here, there)
        carry(p, f"written on {name}, read here", there, here)


def foreign(name: str, p: Report) -> None:
    """The dialogues on another machine: whole, byte by byte, and at some random cuts; more ways in a long run.  And stores
    that are carried there and back."""
    if not shutil.which(f"{name}-linux-gnu-gcc"):
        return p.skip("dialogues", f"{name}-linux-gnu-gcc is not installed")
    runner = runs_here(name)
    if runner is None:
        return p.skip("dialogues", f"nothing here runs programs for {name}")
    p.summaries.append("by qemu" if runner else "natively")
    if configurations.build(name, p):
        run_dialogues(name, p, runner, "--ways", p.environment["DIALOGUE_FOREIGN_WAYS"], **fewer(p, "FOREIGN"))
        stores(name, p, runner)


def i686(p: Report) -> None:
    foreign("i686", p)


def s390x(p: Report) -> None:
    foreign("s390x", p)


def mbedtls3(p: Report) -> None:
    """The provider over mbedTLS 3, which is of another release of Debian: what is tested of it over 2.28."""
    if not configurations.MBEDTLS_3.exists():
        return p.skip("mbedtls3", "mbedTLS 3 is not unpacked")
    if configurations.build("mbedtls3", p):
        found = configurations.tests("mbedtls3", "mbedtls")
        p.check("it is mbedTLS 3", any(t["name"] == "hosts-tls-mbedtls" and t["cmd"][-1] == "1.3" for t in found))
        configurations.run_suite("mbedtls3", "mbedtls", p)


def fuzz(p: Report) -> None:
    """Every reader of outside bytes; and each target finds the fault that a build switch plants for it."""
    if configurations.build("fuzz", p):
        configurations.run_suite("fuzz", "fuzz", p)
        configurations.run_suite("fuzz", "fault", p)
