"""What it was measured on."""
import os
import platform
import re
import subprocess
from pathlib import Path

from host import ROOT


def described() -> dict[str, str]:
    cpus = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[1])
    system = re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.M)[1]
    commit = subprocess.run(["git", "-c", "safe.directory=*", "rev-parse", "--short=12", "HEAD"], cwd=ROOT,
                            capture_output=True, text=True).stdout.strip()
    return {"processors": f"{os.cpu_count()} x {cpus[0] if cpus else platform.machine()}",
            "memory": f"{memory / (1 << 20):.0f} GiB", "kernel": platform.release(), "system": system,
            "file system": file_system(ROOT / "build"), "commit": commit or "unknown"}


def file_system(path: Path) -> str:
    said = subprocess.run(["df", "--output=fstype,source", path], capture_output=True, text=True).stdout
    return " on ".join(said.splitlines()[-1].split())
