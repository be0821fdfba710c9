"""What the servers have in common: mail for u0, u1, ... at here.test, a certificate, a control group."""
import subprocess
from pathlib import Path

from peers.group import Group
from host import ROOT
from tree import Tree, until

BUILD = ROOT / "build" / "bench"
DOMAIN = "here.test"
PASSWORD = "secret"
USERS = 1200


def certificate() -> tuple[Path, Path]:
    """One for all, P-256, signed by itself: chain, key."""
    chain, key = BUILD / "cert.pem", BUILD / "key.pem"
    if not key.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        key, "-out", chain, "-days", "3650", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"],
                       check=True, capture_output=True)
    return chain, key


def debian_version(package: str) -> str:
    """Of the package that was unpacked."""
    (deb,) = (ROOT / "build" / package).glob("*.deb")
    return subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True).stdout.strip()


class InTree:
    """A server of others, in a Debian tree of its own.  `tree` is made by who derives from it."""

    name = package = ""
    tree: Tree
    boxes = "mail"  # below the tree: a Maildir or a home for each user

    def in_group(self) -> None:
        self.group = Group(self.name)
        self.tree.under = self.group.enter()

    def version(self) -> str:
        return f"{type(self).__name__} {debian_version(self.package)}"

    def octets(self) -> int:
        """On the disk, of mail and whatever is kept of it."""
        said = subprocess.run(["du", "-s", "-B1", self.tree.path / self.boxes], check=True, capture_output=True, text=True)
        return int(said.stdout.split()[0])

    def end(self) -> None:
        self.tree.end()
        self.group.end()


class Maildirs(InTree):
    """Whose messages are files below a folder new."""

    def arrived(self) -> list[float]:
        """When each came to its place."""
        found = subprocess.run(["find", self.tree.path / self.boxes, "-ignore_readdir_race", "-path", "*/new/*", "-type", "f",
                                "-printf", "%C@\\n"], check=True, capture_output=True, text=True).stdout
        return [float(line) for line in found.split()]

    def all_arrived(self, messages: int) -> float:
        """When the last one did."""
        until(f"{messages} messages in {self.name}", lambda: len(self.arrived()) >= messages)
        times = self.arrived()
        assert len(times) == messages, f"{len(times)} messages in {self.name}, not {messages}"
        return max(times)

    def empty(self) -> None:
        """As it was, but for folders; and nothing waits."""
        until(f"the end of the queue of {self.name}", lambda: not self.queue())
        subprocess.run(["find", self.tree.path / self.boxes, "-type", "f", "-delete"], check=True)

    def queue(self) -> list[str]:
        raise NotImplementedError
