"""A host as a process: what it is started with, its ports, its end."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HANG_S = 120  # a guard; nothing that works takes so long

USERS = {"pat": "secret", "kim": "hush"}
BOTH = ["smtp", "pop3"]
ALL = ["smtp", "lmtp", "pop3", "imap"]


def is_socket(link: Path) -> bool:
    try:
        return os.readlink(link).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


class Mail:
    """A directory of accounts, as examples/store_files.h describes it; in memory where that is possible."""

    def __init__(self):
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.path = Path(tempfile.mkdtemp(prefix="mail-", dir=in_memory))
        for user, password in USERS.items():
            (self.path / user).mkdir()
            (self.path / user / "password").write_text(password)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Host:
    """A running host; `ports` has what it said: smtp, pop3."""

    def __init__(self, argv: list, ports: list[str], env: dict | None = None, pass_fds: list[int] = []):
        self.errors = tempfile.TemporaryFile("w+")
        fcntl.fcntl(self.errors, fcntl.F_SETFL, fcntl.fcntl(self.errors, fcntl.F_GETFL) | os.O_APPEND)  # wherever we read
        self.process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        stdin=subprocess.DEVNULL, env=os.environ | (env or {}), pass_fds=pass_fds)
        self.ports: dict[str, int] = {}
        while len(self.ports) < len(ports):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"{argv[0]} ended at once: {self.said()}")
            if found := re.fullmatch(r"(\w+) 127\.0\.0\.1:(\d+)", line.strip()):
                self.ports[found[1]] = int(found[2])

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def sockets(self) -> int:
        """Not its files: a store may keep one open that it reads."""
        return sum(is_socket(link) for link in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> int:
        """SIGTERM; the exit status."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -signal.SIGKILL
        finally:
            self.process.stdout.close()
