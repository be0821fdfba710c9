"""mailserverd as a peer sees it: a wire to each of its listeners, a domain for each wire, and its mailboxes."""
import imaplib
import os
import poplib
import re
from pathlib import Path

import mailbox
from host import HANG_S, Host
from server import Server
from wire import Wire

# A domain for each way by which mail comes: name, and the listener that it leads to.
ROUTES = {"clear": "mx_clear", "may": "mx_tls", "must": "mx_tls", "crowd": "mx_crowd",
          "tcp": "lmtp_tcp", "local": "lmtp_local"}
OTHERS = {"submission": "submission", "secret": "submission"}
LISTENERS = {"mx_clear": "mx no", "mx_tls": "mx starttls", "mx_crowd": "mx no\nconnections-per-peer = 1",
             "submission": "submission starttls", "lmtp_tcp": "lmtp no", "lmtp_local": "lmtp no",
             "imap": "imap no\nplain-passwords = yes", "pop3": "pop3 no\nplain-passwords = yes"}
USERS = ["pat", "kim"]
poplib._MAXLINE = imaplib._MAXLINE = 1 << 20  # of what we send
PASSWORD = "secret"


class Inboxes:
    """What is in the mailboxes of a server that `host` runs."""
    host: Host | None

    def imap(self, user: str) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.host.ports["imap"], HANG_S)
        client.login(user, PASSWORD)
        client.select()
        return client

    def take(self, user: str) -> list[bytes]:
        """Every message of INBOX, the same by IMAP and by POP3; and it is empty then."""
        client = self.imap(user)
        data = client.fetch("1:*", "(BODY.PEEK[])")[1] if client.search(None, "ALL")[1] != [b""] else []
        by_imap = [part[1] for part in data if isinstance(part, tuple)]
        client.logout()
        pop = poplib.POP3("127.0.0.1", self.host.ports["pop3"], timeout=HANG_S)
        pop.utf8()
        pop.user(user)
        pop.pass_(PASSWORD)
        by_pop3 = []
        for i in range(pop.stat()[0]):
            by_pop3.append(b"".join(line + b"\r\n" for line in pop.retr(i + 1)[1]))
            pop.dele(i + 1)
        pop.quit()
        assert by_imap == by_pop3, f"{user}: {len(by_imap)} by IMAP, {len(by_pop3)} by POP3"
        return by_imap


class Receiver(Inboxes):
    def __init__(self, built: Path):
        self.server = Server(built)
        self.path = self.server.path
        tls = self.server.certify("localhost", more=["IP:127.0.0.1"])
        self.ca = (self.path / "localhost.pem").read_text()
        self.server.configure(tls, *map(self.listener, LISTENERS), hostname="here.test", grace=HANG_S,
                              domains=" ".join(["here.test", *(f"{route}.test" for route in ROUTES)]))
        self.users = [f"{user}@{route}.test" for route in ROUTES for user in USERS]
        self.server.add_users({user: PASSWORD for user in self.users})
        self.wires = {name: Wire() for name in [*ROUTES, *OTHERS] if name != "local"}
        self.host: Host | None = None
        self.start()

    def listener(self, name: str) -> str:
        protocol, tls = LISTENERS[name].split(" ", 1)
        at = f"unix:{self.path}/lmtp" if name == "lmtp_local" else "127.0.0.1:0"
        return f"[listener {name}]\nprotocol = {protocol}\naddress = {at}\ntls = {tls}\n"

    def local_wire(self, folder: Path) -> None:
        """In a peer's tree; by a short path, as that of a local socket has to be."""
        short = self.path / f"run-{folder.parent.name}"
        short.symlink_to(folder)
        self.wires["local"] = Wire(f"{short}/lmtp")
        os.chmod(f"{short}/lmtp", 0o666)
        self.connect()

    def connect(self) -> None:
        for name, wire in self.wires.items():
            listener = ROUTES.get(name) or OTHERS[name]
            wire.to = f"{self.path}/lmtp" if listener == "lmtp_local" else self.host and self.host.ports[listener]

    def start(self) -> None:
        self.host = Host(self.server.argv("serve"), [name for name in LISTENERS if name != "lmtp_local"])
        self.connect()

    def end(self, is_told: bool = False) -> None:
        """As an operator ends it: a second SIGTERM would cut who is left."""
        host, self.host = self.host, None
        if is_told:
            host.process.wait(HANG_S)
        status, said = host.end(), host.said()
        self.connect()
        assert status == 0 and not re.search("Sanitizer|runtime error", said), f"{status} {said}"

    def remove(self) -> None:
        if self.host:
            self.host.end()
        for wire in self.wires.values():
            wire.close()
        self.server.remove()


def trace_of(got: bytes, sent: bytes) -> bytes:
    """What stands before the message as it was sent: fields of the trace, and nothing else (RFC 5321 section 4.4)."""
    assert got.endswith(sent), f"other octets: {got[:3000]!r}, not {sent[:300]!r}"
    trace = got[:-len(sent)]
    names = {name.lower() for name in re.findall(rb"(?m)^([^\s:]+):", trace)}
    assert names <= mailbox.TRACE and names >= {b"return-path", b"received"}, trace
    return trace
