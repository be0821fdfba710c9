"""What a part of the tests has to say: its checks, counted, and a log."""
import os
import re
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

TAP = re.compile(r"^(not )?ok\b *\d* *(?:- *)?(.*?)(?: *# *(?:SKIP|skip)\b *(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)")
HANG_S = 4 * 3600  # a guard against a test that hangs; no test is decided by it


class Report:
    """The checks of one part."""

    def __init__(self, name: str, environment: dict[str, str], skips_allowed: set[str] | None):
        self.name = name
        self.environment = environment
        self.skips_allowed = skips_allowed  # None: any
        self.passed = self.failed = 0
        self.skips: list[str] = []
        self.failures: list[str] = []
        self.summaries: list[str] = []
        self.began = time.monotonic()
        (BUILD / "log").mkdir(parents=True, exist_ok=True)
        self.log_path = BUILD / "log" / f"{name}.log"
        self.log_file = self.log_path.open("w")
        self.lock = threading.Lock()

    def log(self, text: str) -> None:
        with self.lock:
            self.log_file.write(text if text.endswith("\n") else text + "\n")
            self.log_file.flush()

    def ok(self, name: str) -> None:
        self.passed += 1
        self.log(f"ok - {name}")

    def bad(self, name: str, detail: str = "") -> None:
        self.failed += 1
        self.failures.append(name)
        self.log(f"not ok - {name}\n{detail}")

    def check(self, name: str, good: bool, detail: str = "") -> bool:
        if good:
            self.ok(name)
        else:
            self.bad(name, detail)
        return good

    def skip(self, name: str, reason: str) -> None:
        self.skips.append(f"{name}: {reason}")
        self.log(f"ok - {name} # SKIP {reason}")
        if self.skips_allowed is not None and f"{self.name}: {name}" not in self.skips_allowed:
            self.bad(f"{name} was skipped, and tests/skips does not allow it")

    def run(self, argv, **more) -> subprocess.CompletedProcess:
        """Runs a command with everything it says in the log; its output is the result's stdout."""
        argv = [str(a) for a in argv]
        self.log("$ " + " ".join(argv))
        more.setdefault("cwd", ROOT)
        more["env"] = os.environ | self.environment | more.get("env", {})
        began = time.monotonic()
        try:
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  text=True, errors="replace", timeout=HANG_S, **more)
        except FileNotFoundError as e:
            done = subprocess.CompletedProcess(argv, 127, str(e))
        except subprocess.TimeoutExpired as e:
            done = subprocess.CompletedProcess(argv, 124, f"{e.stdout or ''}\nhung")
        self.log(done.stdout)
        self.log(f"# {time.monotonic() - began:.1f} s")
        return done

    def command(self, name: str, argv, silent: bool = False, **more) -> bool:
        """One check: the command succeeds, and with `silent` says nothing."""
        done = self.run(argv, **more)
        return self.check(name, done.returncode == 0 and not (silent and done.stdout.strip()))

    def tap(self, name: str, argv, **more) -> None:
        """As many checks as the program reports."""
        done = self.run(argv, **more)
        planned = seen = bad = 0
        for line in done.stdout.splitlines():
            if line.startswith("# summary: ") or re.match(r"\d+ dialogues x ", line):
                self.summaries.append(line.removeprefix("# summary: "))
            if plan := PLAN.match(line):
                planned += int(plan[1])
            if not (found := TAP.match(line)):
                continue
            seen += 1
            if found[1]:
                bad += 1
                self.failed += 1
                self.failures.append(f"{name}: {found[2]}")
            elif found[3] is not None:
                self.skip(found[2] or name, found[3])
            else:
                self.passed += 1
        if done.returncode != 0 and bad == 0:
            self.bad(f"{name} ended with status {done.returncode}")
        elif seen == 0 or (planned and seen != planned):
            self.bad(f"{name} reported {seen} checks of {planned}")

    def end(self) -> str:
        """Closes the part; a part that has checked nothing has failed."""
        if self.passed + self.failed + len(self.skips) == 0:
            self.bad(f"{self.name} has checked nothing")
        seconds = time.monotonic() - self.began
        lines = [f"{self.name:<20} {self.passed:6} passed {self.failed:3} failed {len(self.skips):3} skipped "
                 f"{seconds:7.1f} s"]
        lines += [f"    {s}" for s in self.summaries]
        lines += [f"    skipped  {s}" for s in self.skips]
        lines += [f"    FAILED   {f}" for f in self.failures[:40]]
        if self.failed:
            lines += ["    | " + line for line in self.around_failures()]
            lines.append(f"    (all of it: {self.log_path.relative_to(ROOT)})")
        self.log_file.close()
        return "\n".join(lines)

    def around_failures(self) -> list[str]:
        """What the log says before and behind the first failures, up to the checks beside them."""
        log = self.log_path.read_text(errors="replace").splitlines()
        edges = [i for i, line in enumerate(log) if line.startswith(("$ ", "ok", "not ok"))] + [len(log)]
        shown: list[int] = []
        for at in [i for i in edges if i < len(log) and log[i].startswith("not ok")][:5]:
            first = max([0, at - 25, *(i if log[i].startswith("$ ") else i + 1 for i in edges if i < at)])
            last = min([at + 25, *(i for i in edges if i > at)])
            shown += [i for i in range(first, last) if i not in shown]
        return [log[i][:400] for i in shown]
