"""What it was measured on."""
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from host import ROOT


def described() -> dict[str, str]:
    cpus = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[1])
    system = re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.M)[1]
    return {"processors": f"{os.cpu_count()} x {cpus[0] if cpus else platform.machine()}",
            "memory": f"{memory / (1 << 20):.0f} GiB", "kernel": platform.release(), "system": system,
            "file system": file_system(ROOT / "build"), "compiler": compiler(), "commit": commit()}


def compiler() -> str:
    said = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout
    return said.split("\n")[0] + ", -O2"


def commit() -> str:
    """Where git was, whether it is here or not."""
    if not shutil.which("git"):
        head = ROOT / ".git/HEAD"
        ref = head.parent / head.read_text().strip().removeprefix("ref: ") if head.exists() else head
        return ref.read_text()[:12] if ref.exists() else "unknown"
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout
    return f"{name or 'unknown'}{' and changes' if changed else ''}"


def file_system(path: Path) -> str:
    """What it is, and on which disk: in a tree that was entered by chroot(8) no table of mounts knows it."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True).stdout.strip()
    number = os.stat(path).st_dev
    disk = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not disk.exists():
        return kind
    disk = disk.resolve()
    kind = next((one.parent.name for one in Path("/sys/fs").glob(f"*/{disk.name}")), kind)  # ext4 looks like its ancestors
    cache = disk / "queue/write_cache"
    return f"{kind} on {disk.name}" + (f", a disk with {cache.read_text().strip()} cache" if cache.exists() else "")
