"""The ways in which the tree is built for the tests, each once below build/."""
import json
import re
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from report import BUILD, ROOT, Report


@dataclass
class Configuration:
    cc: str
    options: list[str]
    runner: list[str] = field(default_factory=list)  # what foreign programs are run by
    suites: tuple[str, ...] = ()  # those whose programs are built; empty: everything is
    lock: threading.Lock = field(default_factory=threading.Lock)
    built: bool | None = None


CLANG_CHECKED = ["-Dc_args=['-fno-omit-frame-pointer', '-fno-sanitize-recover=undefined']", "-Db_lundef=false",
                 "-Doptimization=1", "-Ddebug=true", "-Ddefault_library=static"]
FUZZ = ["-Dfuzz=enabled", "-Dfault=true", "-Dexamples=disabled", "-Db_sanitize=address,undefined", *CLANG_CHECKED]


def foreign(machine: str, architecture: str) -> list[str]:
    """Static programs; with the durable store where tests/build/setup has unpacked SQLite for that machine."""
    options = [f"--cross-file=tests/build/{machine}.ini", "-Ddefault_library=static", "-Dexamples=disabled"]
    unpacked = BUILD / "foreign" / f"{architecture}.ini"
    if unpacked.exists():
        options += [f"--cross-file={unpacked}", "-Dprefer_static=true", "-Ddurable=enabled"]
    return options


MBEDTLS_3 = BUILD / "release/trixie/pkgconfig"  # where tests/build/setup has unpacked it

ALL = {
    "plain": Configuration("gcc", ["-Dwerror=true"]),
    "clang": Configuration("clang", ["-Dwerror=true"]),
    "asan": Configuration("clang", ["-Db_sanitize=address,undefined", *CLANG_CHECKED]),
    "tsan": Configuration("clang", ["-Db_sanitize=thread", *CLANG_CHECKED], suites=("threads",)),
    "fuzz": Configuration("clang", FUZZ, suites=("fuzz", "fault")),
    "mbedtls3": Configuration("gcc", ["-Dwerror=true", "-Ddefault_library=static", f"-Dpkg_config_path={MBEDTLS_3}"],
                              suites=("mbedtls",)),
    "i686": Configuration("", foreign("i686", "i386"), ["qemu-i386-static"]),
    "s390x": Configuration("", foreign("s390x", "s390x"), ["qemu-s390x-static"]),
}


def build(name: str, report: Report) -> bool:
    """Configures and builds one, if that has not been done; a failure is the report's."""
    configuration = ALL[name]
    with configuration.lock:
        if configuration.built is None:
            configuration.built = make(name, configuration, report)
    if not configuration.built:
        report.bad(f"nothing can be tested in the configuration {name}")
    return configuration.built


def make(name: str, configuration: Configuration, report: Report) -> bool:
    where = BUILD / name
    setup = ["meson", "setup", where, ROOT, *configuration.options]
    stamp = where / "configured-as"
    # An option keeps the value that it had by default when the folder was made.
    wanted = " ".join(map(str, setup)) + "\n" + (ROOT / "meson_options.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(where, ignore_errors=True)
        env = {"CC": configuration.cc} if configuration.cc else {}
        if report.run(setup, env=env).returncode != 0:
            return False
        stamp.write_text(wanted)
    some = programs(name, configuration.suites) if configuration.suites else []
    done = report.run(["ninja", "-k0", "-C", where, *some])
    if done.returncode != 0:
        wrong = [l for l in done.stdout.splitlines() if re.search(r"error|FAILED|undefined|warning:", l)]
        report.bad(f"the configuration {name} does not build", "\n".join(wrong[:20]))
    return done.returncode == 0


def tests(name: str, suite: str) -> list[dict]:
    """The tests of a suite in a configuration that is built."""
    text = (BUILD / name / "meson-info" / "intro-tests.json").read_text()
    return [t for t in json.loads(text) if suite in (s.rpartition(":")[2] for s in t["suite"])]


def programs(name: str, suites: tuple[str, ...]) -> list[str]:
    """What the tests of some suites need, of what is built."""
    text = (BUILD / name / "meson-info" / "intro-targets.json").read_text()
    files = {target["id"]: target["filename"] for target in json.loads(text)}
    needed = {target for suite in suites for test in tests(name, suite) for target in test["depends"]}
    return sorted(str(Path(file).relative_to(BUILD / name)) for target in needed for file in files[target])


def run_suite(name: str, suite: str, report: Report, prefix: list[str] | None = None, **env: str) -> None:
    """Every test of a suite, as checks of the report."""
    found = tests(name, suite)
    if not found:
        report.bad(f"the suite {suite} is empty in the configuration {name}")
    for test in found:
        report.tap(test["name"], [*(prefix or []), *test["cmd"]], cwd=test["workdir"] or BUILD / name,
                   env=test["env"] | env)
