"""A Debian tree below the build folder, in which a server of others runs that is not installed: the files of its
unpacked package, the libraries that they need, its users, a few devices.  Its processes see nothing else (chroot)."""
import atexit
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from host import HANG_S, ROOT

HERE = "127.0.0.1"


def as_root(*argv: object) -> list[str]:
    return [*([] if os.getuid() == 0 else ["sudo", "-n"]), *map(str, argv)]


def run_as_root(*argv: object, says: str = "") -> str:
    done = subprocess.run(as_root(*argv), input=says.encode(), capture_output=True, timeout=HANG_S)
    assert done.returncode == 0, f"{argv}: {done.returncode} {done.stderr.decode(errors='replace')}"
    return done.stdout.decode(errors="replace")


def kill_as_root(group: int, by: int) -> None:
    """Not every system has a program `kill`."""
    run_as_root(sys.executable, "-c", "import os, sys; os.killpg(int(sys.argv[1]), int(sys.argv[2]))", group, int(by))


def can_be_root() -> bool:
    """chroot is root's."""
    if os.getuid() == 0:
        return True
    return bool(shutil.which("sudo")) and subprocess.run(as_root("true"), capture_output=True).returncode == 0


def unpacked(package: str) -> Path | None:
    where = ROOT / "build" / package
    return where if (where / "done").exists() else None


class Tree:
    USER = 30001  # nobody's number else

    def __init__(self, package: str, files: list[str], users: list[str], also: dict[str, list[str]] = {},
                 machine: list[str] = []):
        """`files` of the package, those of other packages, and programs of the machine; the first of `users` has the number USER, the next
        one the next."""
        self.path = Path(tempfile.mkdtemp(prefix=f"{package}-", dir=ROOT / "build"))
        self.path.chmod(0o755)
        for name, of in {package: files, **also}.items():
            self.copy(name, of)
        for program in machine:
            (self.path / program).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(f"/{program}", self.path / program)
        for name in ("dev", "etc", "run", "tmp", "var/log"):
            (self.path / name).mkdir(parents=True)
        numbers = {"root": 0, **{user: self.USER + i for i, user in enumerate(users)}, "nobody": 65534}
        self.write("etc/passwd", "".join(f"{user}:x:{n}:{n}::/:/bin/false\n" for user, n in numbers.items()))
        self.write("etc/group", "".join(f"{user}:x:{n}:\n" for user, n in numbers.items()))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.libraries()
        run_as_root("chown", "-R", "0:0", self.path)
        for device, minor in (("null", 3), ("urandom", 9)):
            run_as_root("mknod", "-m", "666", self.path / "dev" / device, "c", 1, minor)
        self.process = None
        self.under: list[str] = []  # a command that runs the server
        atexit.register(self.end)  # wherever we are interrupted: what runs in it is in no group of ours
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def copy(self, package: str, files: list[str]) -> None:
        for file in files:
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", unpacked(package) / file, self.path / file], check=True)

    def write(self, name: str, text: str) -> None:
        """Before chown: what root owns is not ours to write."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text)

    def put(self, name: str, text: str) -> None:
        subprocess.run(as_root("tee", self.path / name), input=text.encode(), check=True, stdout=subprocess.DEVNULL)

    def lend(self, name: str) -> Path:
        """A folder in which we may make local sockets."""
        run_as_root("chown", os.getuid(), self.path / name)
        return self.path / name

    def folder(self, name: str, owner: int = 0, mode: str = "755") -> None:
        run_as_root("install", "-d", "-m", mode, "-o", owner, "-g", owner, self.path / name)

    def give(self, name: str, owner: int) -> None:
        run_as_root("chown", f"{owner}:{owner}", self.path / name)

    def read(self, name: str) -> str:
        return run_as_root("cat", self.path / name)

    def find(self, *names: str) -> list[str]:
        """The files below folders."""
        return run_as_root("find", *(self.path / name for name in names), "-ignore_readdir_race", "-type", "f").split()

    def libraries(self) -> None:
        """Those of the machine that its programs and its own libraries need."""
        own = {str(file.parent) for file in self.path.rglob("*.so")}
        programs = [file for file in self.path.rglob("*") if file.is_file() and not file.is_symlink()
                    and file.open("rb").read(4) == b"\x7fELF"]
        said = subprocess.run(["ldd", *programs], capture_output=True, text=True, timeout=HANG_S,
                              env=os.environ | {"LD_LIBRARY_PATH": ":".join(own)}).stdout
        assert "not found" not in said, "\n".join({line for line in said.splitlines() if "not found" in line})
        for library in set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.M)):
            if not library.startswith(str(self.path)):
                to = self.path / library[1:]
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, to)

    def run(self, *argv: object, says: str = "") -> str:
        return run_as_root("chroot", self.path, *argv, says=says)

    def start(self, *argv: object) -> None:
        """In a session of its own, so that its children end with it."""
        self.process = subprocess.Popen(as_root(*self.under, "chroot", self.path, *argv), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Its whole group, which we started.  It can be started again."""
        if self.process and self.is_alive():
            kill_as_root(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                kill_as_root(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    def end(self) -> None:
        """And the tree is no more."""
        self.stop()
        run_as_root("rm", "-rf", self.path)
        atexit.unregister(self.end)


def until(what: str, check, hurry=lambda: None) -> None:
    """`check` gives it at last; a guard ends the wait.  Who has to be told may be told, now and then."""
    end, polls = time.monotonic() + HANG_S, 0
    while not check():
        assert time.monotonic() < end, f"{what} never came"
        polls += 1
        if polls % 20 == 0:
            hurry()
        time.sleep(0.05)


def free_port() -> int:
    """None of those that the kernel gives to connections: one of these may be taken when a server wants to have it."""
    given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        with socket.socket() as s:
            try:
                s.bind((HERE, random.randrange(given // 2, given)))
                return s.getsockname()[1]
            except OSError:  # it is in use
                continue


def answers(tree: Tree, port: int) -> bool:
    assert tree.is_alive(), "it ended at once"
    with socket.socket() as s:
        return s.connect_ex((HERE, port)) == 0 and s.recv(100).startswith(b"220 ")
