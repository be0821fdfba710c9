"""mailserverd with a directory of its own: its configuration, its users, its commands."""
import shutil
import subprocess
import tempfile
from pathlib import Path

from host import ALL, HANG_S, USERS, Host

PROTOCOLS = {"smtp": "mx"}  # what listens under another name than its protocol's


def listener(name: str, *lines: str, at: str = "127.0.0.1:0") -> str:
    return "\n".join([f"[listener {name}]", f"protocol = {PROTOCOLS.get(name, name)}", f"address = {at}",
                      "tls = no", *(["plain-passwords = yes"] if name in ("pop3", "imap") else []), *lines]) + "\n"


class Server:
    """Where it keeps what it has, and what it says."""

    def __init__(self, built: Path, path: Path | None = None):
        self.program = built / "src/mailserverd/mailserverd"
        self.path = path or Path(tempfile.mkdtemp(prefix="mailserverd-"))
        self.data, self.config = self.path / "data", self.path / "conf"
        self.configure()

    def configure(self, *listeners: str, **server: object) -> None:
        keys = {"hostname": "here.test", "domains": "here.test there.test", "data": self.data, **server}
        text = "[server]\n" + "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())
        self.config.write_text(text + "".join(listeners or map(listener, ALL)))

    def certify(self, name: str, key_of: str | None = None, more: list[str] = []) -> str:
        """A certificate for a host, made by itself; with another one's key it is of no use.  Its section."""
        chain, key = self.path / f"{name}.pem", self.path / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        key, "-out", chain, "-days", "30", "-subj", f"/CN={name}", "-addext", ",".join([f"subjectAltName=DNS:{name}", *more])],
                       check=True, capture_output=True)
        used = self.path / f"{key_of}.key" if key_of else key
        return f"[tls {name}]\ncertificate = {chain}\nkey = {used}\n"

    def argv(self, *command: object) -> list:
        return [self.program, "--config", self.config, *command]

    def does(self, *command: object, says: str = "", guard_s: float = HANG_S) -> tuple[int, str, str]:
        """A command that ends by itself, with `says` as its input."""
        done = subprocess.run([str(word) for word in self.argv(*command)], input=says, capture_output=True, text=True,
                              timeout=guard_s)
        return done.returncode, done.stdout, done.stderr

    def must(self, *command: object, says: str = "", guard_s: float = HANG_S) -> str:
        status, out, err = self.does(*command, says=says, guard_s=guard_s)
        assert status == 0, f"{command}: {status} {out} {err}"
        return out

    def add_users(self, users: dict[str, str] = USERS) -> None:
        for user, password in users.items():
            self.must("user", "add", user, says=password + "\n")

    def start(self, env: dict | None = None) -> Host:
        return Host(self.argv("serve"), ALL, env)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
