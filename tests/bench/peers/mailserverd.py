"""Ours, with the settings that it has by default, but for limits of one client address: all clients are one here."""
import imaplib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from host import ROOT, Host
from peers.group import Group
from peers.server import BUILD, DOMAIN, PASSWORD, USERS, certificate
from server import Server
from tree import HERE

SPOKEN = {"smtp": "mx", "lmtp": "lmtp", "pop3": "pop3", "imap": "imap", "pop3s": "pop3", "imaps": "imap", "smtps": "mx"}
MORE = "connections = 60000\nconnections-per-peer = 60000\n"


def listener(name: str) -> str:
    tls = "implicit" if name.endswith("s") else "no"
    passwords = "plain-passwords = yes\n" if name in ("pop3", "imap") else ""
    return f"[listener {name}]\nprotocol = {SPOKEN[name]}\naddress = {HERE}:0\ntls = {tls}\n{passwords}{MORE}"


class Mailserverd:
    """`tls` is the provider that it was built with."""

    package = "mailserverd"
    promise = "its log is synced before the reply, once for all messages that came meanwhile; so for APPEND and STORE"
    listeners = list(SPOKEN)

    def __init__(self, tls: str = "openssl", name: str = ""):
        self.name = name or ("mailserverd" if tls == "openssl" else f"mailserverd ({tls})")
        self.path = Path(tempfile.mkdtemp(prefix="mailserverd-", dir=ROOT / "build"))
        self.server = Server(BUILD / tls, self.path)
        self.group = Group(self.name)
        chain, key = certificate()
        self.server.configure(f"[tls {DOMAIN}]\ncertificate = {chain}\nkey = {key}\n", *map(listener, SPOKEN), memory="2G",
                              message_size="200M")
        self.add_users()

    def add_users(self) -> None:
        """All with one hash: a hash for each would take long."""
        self.server.add_users({"u0": PASSWORD})
        users = self.server.data / "users"
        first = users.read_text()
        users.write_text(first + "".join(first.replace("u0@", f"u{n}@", 1) for n in range(1, USERS)))

    def start(self) -> None:
        self.host = Host([*self.group.enter(), *self.server.argv("serve")], self.listeners)
        self.ports = self.host.ports

    def forget(self) -> None:
        """A new process, which knows nothing of a mailbox."""
        assert self.host.end() == 0, self.host.said()
        self.start()

    def version(self) -> str:
        return self.server.must("--version").split("\n")[0]

    def synced(self) -> int:
        """How often its store has synced, as it says itself."""
        return json.loads(self.server.must("stats", "--json"))["store"]["syncs"]

    def octets(self) -> int:
        said = subprocess.run(["du", "-s", "-B1", self.server.data], check=True, capture_output=True, text=True)
        return int(said.stdout.split()[0])

    def end(self) -> None:
        assert self.host.end() == 0, self.host.said()
        self.group.end()
        shutil.rmtree(self.path)


def messages(server: object, users: int) -> int:
    """In all INBOXes of the first users, as IMAP says it; of ours or of a Dovecot."""
    total = 0
    for n in range(users):
        with imaplib.IMAP4(HERE, server.ports["imap"]) as imap:
            imap.login(f"u{n}@{DOMAIN}", PASSWORD)
            _, (said,) = imap.status("INBOX", "(MESSAGES)")
            total += int(said.split()[-1].rstrip(b")"))
    return total
