"""A mailserverd of one domain that sends: its listeners, its queue, and routes by which the mail exchangers of a few
domains are at ports of this machine."""
import json
import re
import signal
import smtplib
import sys
from pathlib import Path

from dns_server import NameServer
from host import HANG_S, Host
from receiver import PASSWORD, Inboxes
from server import Server
from tap import Tap
from tree import can_be_root, free_port, unpacked, until

LISTENERS = {"mx": "mx\ntls = starttls", "submission": "submission\ntls = starttls\nplain-passwords = yes",
             "lmtp": "lmtp\ntls = no", "imap": "imap\ntls = no\nplain-passwords = yes",
             "pop3": "pop3\ntls = no\nplain-passwords = yes"}
QUEUE = {"first_retry": "1s", "longest_retry": "2s"}
USERS = ["pat", "kim"]


def lines(section: str, keys: dict) -> str:
    return f"[{section}]\n" + "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())


def zone_of(*domains: str, at: str = "127.0.0.1") -> dict:
    """Each with one mail exchanger, which is this machine."""
    zone = {}
    for domain in domains:
        zone |= {domain: {"MX": [f"10 mx.{domain}"]}, f"mx.{domain}": {"A": [at]}}
    return zone


class Sender(Inboxes):
    """`ports` are those of mail exchangers, by domain.  `routes`, of more of them, come first: by name, their keys."""

    def __init__(self, built: Path, domain: str, dns: int, ports: dict[str, int] = {}, routes: dict[str, dict] = {},
                 queue: dict = {}, **server: object):
        self.domain, self.server = domain, Server(built)
        self.users = [f"{user}@{domain}" for user in USERS]
        self.at = {name: free_port() for name in LISTENERS}  # which stay when it is started anew
        self.tls = self.server.certify(f"mx.{domain}", more=["IP:127.0.0.1"])
        self.certificate = self.server.path / f"mx.{domain}.pem"
        self.keys = {"hostname": f"mx.{domain}", "domains": domain, "grace": HANG_S, **server}
        self.queue = {"dns": f"127.0.0.1:{dns}", **QUEUE, **queue}
        self.routes = {**routes, **{name: {"for": name, "host": f"mx:{port}"} for name, port in ports.items()}}
        self.configure()
        self.server.add_users({user: PASSWORD for user in self.users})
        self.host: Host | None = None

    def configure(self) -> None:
        listeners = [f"[listener {name}]\naddress = 127.0.0.1:{self.at[name]}\nprotocol = {text}\n"
                     for name, text in LISTENERS.items()]
        routes = [lines(f"route {name}", keys) for name, keys in self.routes.items()]
        self.server.configure(self.tls, *listeners, lines("queue", self.queue), *routes, **self.keys)

    def start(self) -> "Sender":
        self.host = Host(self.server.argv("serve"), list(LISTENERS))
        return self

    def end(self) -> None:
        host, self.host = self.host, None
        status, said = host.end(), host.said()
        assert status == 0 and not re.search("Sanitizer|runtime error", said), f"{status} {said[-3000:]}"

    def reload(self) -> None:
        """It has the configuration as it is now."""
        before = self.log().count("reloaded\n")
        self.host.process.send_signal(signal.SIGHUP)
        until("a reload", lambda: self.log().count("reloaded\n") > before)

    def kill(self) -> None:
        """It is dead then."""
        host, self.host = self.host, None
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        host.process.stdout.close()

    def remove(self) -> None:
        if self.host:
            self.host.end()
        self.server.remove()

    def log(self) -> str:
        return self.host.said() if self.host else ""

    # ---- Into it ----

    def client(self, listener: str = "submission", user: str | None = None) -> smtplib.SMTP:
        """Logged in where that is how one sends."""
        kind = smtplib.LMTP if listener == "lmtp" else smtplib.SMTP
        client = kind("127.0.0.1", self.at[listener], "client.test")
        client.sock.settimeout(HANG_S)
        client.ehlo()
        if listener == "submission":
            client.login(user or self.users[0], PASSWORD)
        return client

    def send(self, message: bytes, *to: str, sender: str | None = None, mail: list[str] = [], rcpt: list[str] = [],
             listener: str = "submission") -> None:
        with self.client(listener, sender) as client:
            sender = self.users[0] if sender is None else sender
            refused = client.sendmail(sender, to, message, ["BODY=8BITMIME", *mail], rcpt)
        assert not refused, refused

    # ---- Its queue ----

    def queued(self, *which: str) -> list[dict]:
        said = self.server.must("queue", "list", "--json", *which)
        return [json.loads(line) for line in said.splitlines()]

    def does(self, *command: str) -> int:
        """mailserverd queue: how many there were."""
        return int(self.server.must("queue", *command))

    def emptied(self) -> None:
        until(f"the end of {self.domain}'s queue", lambda: not self.queued())

    def waits(self, tries: int = 1, *which: str) -> dict:
        """One message, which has been tried so often."""
        found: list[dict] = []

        def is_there() -> bool:
            found[:] = self.queued(*which)
            return len(found) == 1 and found[0]["tries"] >= tries

        until(f"a message that waits at {self.domain}", is_there)
        return found[0]

    def arrived(self, n: int = 1, user: str | None = None) -> list[bytes]:
        """So many messages in an INBOX, in time, and no more: it is empty then."""
        user = user or self.users[0]
        until(f"{n} messages for {user}", lambda: self.count(user) >= n)
        got = self.take(user)
        assert len(got) == n, f"{len(got)} messages, not {n}"
        return got

    def count(self, user: str) -> int:
        client = self.imap(user)
        try:
            return len(client.search(None, "ALL")[1][0].split())
        finally:
            client.logout()


def run_with_names(tap: Tap, make) -> None:
    """A program's only test, of the build that it is called with and a name server of its own; it ends the program."""
    with NameServer({}) as names:
        test = make(tap, Path(sys.argv[1]).resolve(), names)
        try:
            test.run()
        finally:
            test.remove()
    tap.end()


def run_in_trees(tap: Tap, packages: list[str], make) -> None:
    """The same, of one that runs others' servers in trees of their own."""
    missing = [package for package in packages if not unpacked(package)]
    if not missing and can_be_root():
        run_with_names(tap, make)
    if missing:
        tap.ok(False, f"{', '.join(missing)}: here", "tests/build/setup unpack:NAME unpacks it")
    else:
        tap.skip("servers of others", "they run in trees of their own: that takes root, or sudo without a password")
    tap.end()
