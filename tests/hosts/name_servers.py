"""A real name server, NSD, with a zone of a test: unpacked, not installed, and run as whoever we are."""
import subprocess
import tempfile
from pathlib import Path

from dns_server import TTL
from host import HANG_S
from tree import HERE, free_port, unpacked, until

SOA = "test. 600 IN SOA ns.test. hostmaster.test. 1 600 600 600 600\ntest. 600 IN NS ns.test.\nns.test. 600 IN A 127.0.0.1\n"

CONFIG = """\
server:
    ip-address: {here}@{port}
    username: ""
    chroot: ""
    server-count: 1
    zonesdir: "{path}"
    database: ""
    pidfile: "{path}/pid"
    xfrdfile: "{path}/xfrd"
    xfrdir: "{path}"
    zonelistfile: "{path}/list"
    logfile: "{path}/log"
remote-control:
    control-enable: no
zone:
    name: "test"
    zonefile: "zone"
"""


def rooted(name: str) -> str:
    return name.rstrip(".") + "."


def records(zone: dict) -> str:
    """As a zone file has them; what dns_server.py has."""
    lines = []
    for name, entry in zone.items():
        for kind, values in entry.items():
            for value in values:
                if kind == "MX":
                    number, exchanger = value.split()
                    value = f"{number} {rooted(exchanger)}"
                lines.append(f"{rooted(name)} {TTL} IN {kind} {rooted(value) if kind == 'CNAME' else value}\n")
    return "".join(lines)


class Nsd:
    """Of the domain test; what is below it stands in `zone`."""

    def __init__(self, zone: dict):
        self.port, self.folder = free_port(), tempfile.TemporaryDirectory(prefix="nsd-")
        self.path = Path(self.folder.name)
        (self.path / "zone").write_text(SOA + records(zone))
        (self.path / "conf").write_text(CONFIG.format(here=HERE, port=self.port, path=self.path))

    def __enter__(self) -> "Nsd":
        program = unpacked("nsd") / "usr/sbin/nsd"
        self.process = subprocess.Popen([program, "-d", "-c", self.path / "conf"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("NSD", self.answers)
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.path / "log").read_text()
        return "nsd started" in (self.path / "log").read_text() if (self.path / "log").exists() else False

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(HANG_S)
        self.folder.cleanup()
