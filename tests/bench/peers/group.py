"""The processes of one server, however many it starts and however short they live: a control group of the kernel."""
import atexit
import functools
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from host import ROOT

CALLS = "fsync,fdatasync,sync_file_range,msync,syncfs,sync"
HANG_S = 60


def mounted() -> Path:
    """Where control groups of version 2 are: cpu.stat is there whatever controllers are on.  A tree that was only
    entered by chroot(8) has them nowhere yet."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2" and Path(where, "cgroup.procs").exists():
            return Path(where)
    where = ROOT / "build/bench/cgroup"
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "cgroup2", "none", where], check=True)
    atexit.register(subprocess.run, ["umount", where], check=True)
    return where


@functools.cache
def everything() -> Path:
    """A group for all that is started from now on, in which each server has one of its own; we are in it until the end."""
    root = mounted()
    path = root / f"bench-{os.getpid()}"
    path.mkdir()
    before = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.M)
    (path / "cgroup.procs").write_text(str(os.getpid()))
    atexit.register(leave, path, root / before[1] if before else root)
    return path


def leave(path: Path, before: Path) -> None:
    (before / "cgroup.procs").write_text(str(os.getpid()))
    for left in (*path.glob("*/cgroup.procs"), path / "cgroup.procs"):  # of a server that was interrupted as it began
        end(left.parent)


def members(path: Path) -> list[int]:
    return [int(line) for line in (path / "cgroup.procs").read_text().split()]


def end(path: Path) -> None:
    """Those that are left over are ours: they were started in it."""
    deadline = time.monotonic() + HANG_S
    while left := members(path):
        assert time.monotonic() < deadline, f"{left} do not end"
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    path.rmdir()


def spent_us(path: Path) -> int:
    """User and system time of all that are in a group, and of all that ever were."""
    return int(re.search(r"^usage_usec (\d+)$", (path / "cpu.stat").read_text(), re.M)[1])


class Group:
    def __init__(self, name: str):
        self.path = everything() / re.sub("[^a-z0-9]", "-", name.lower())
        self.path.mkdir()

    def enter(self) -> list[str]:
        """What runs a command within: the number of its process stays the same."""
        return ["/bin/sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def cpu_us(self) -> int:
        return spent_us(self.path)

    def processes(self) -> list[int]:
        return members(self.path)

    def octets(self) -> int:
        """Memory of all: pages that are no file's, and those that are shared by their share."""
        total = 0
        for pid in self.processes():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:  # it has just ended
                continue
            total += 1024 * sum(int(n) for n in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+) kB$", rollup, re.M))
        return total

    def end(self) -> None:
        end(self.path)


class Syncs:
    """Counts the calls that wait for the disk, by strace -f -c, of all processes of a group and those they start."""

    def __init__(self, group: Group, table: Path):
        self.table = table
        pids = [word for pid in group.processes() for word in ("-p", str(pid))]
        self.strace = subprocess.Popen(["strace", "-f", "-c", "-e", f"trace={CALLS}", "-o", str(table), *pids],
                                       stderr=subprocess.PIPE, text=True)
        for _ in group.processes():  # "strace: Process N attached"
            self.strace.stderr.readline()

    def end(self) -> int:
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=HANG_S)
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", self.table.read_text(), re.M)
        return sum(int(calls) for calls, name in rows if name in CALLS.split(","))


class Watch:
    """How long something took, and which share of the processors others had meanwhile: programs that are not of this
    measurement, and the kernel's own threads."""

    def __init__(self) -> None:
        self.began, self.ours, self.all = time.monotonic(), spent_us(everything()), busy_us()

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def others(self) -> float:
        ours, everybody = spent_us(everything()) - self.ours, busy_us() - self.all
        return max(0.0, (everybody - ours) / 1e6 / self.seconds() / os.cpu_count())


def busy_us() -> float:
    """Of all processors, since the machine started; what its host took from it, too."""
    user, nice, system, _, _, irq, soft, stolen, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + soft + stolen) * 1e6 / os.sysconf("SC_CLK_TCK")
