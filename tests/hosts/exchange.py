#!/usr/bin/env python3
"""Two mailserverd of different domains give each other mail, by the MX records of a name server and over STARTTLS: it
arrives once, with the octets that were sent.  exchange.py BUILD"""
import re
import sys
from pathlib import Path

from dns_server import NameServer
from names import Nsd, Unbound, answers
from peers import KINDS, UTF8, message
from receiver import PASSWORD, trace_of
from sender import Sender, zone_of
from tap import Tap
from tree import can_be_root, unpacked, until

DOMAINS = ["b.test", "c.test", "d.test"]  # all of them the second one's
MANY = 250
ON_ONE_CONNECTION = 100  # messages, as the queue has it
RECIPIENTS_MAX = 100


def kind_of(got: bytes) -> str:
    return re.search(rb"(?m)^Subject: (.*)\r$", got)[1].decode()


def connections(log: str) -> int:
    return len(re.findall(r"session \d+ began: mx from", log))


class Exchange:
    def __init__(self, tap: Tap, a: Sender, b: Sender):
        self.tap, self.a, self.b = tap, a, b

    def run(self) -> None:
        for check in (self.both_ways, self.kinds, self.domains, self.recipients, self.many):
            self.tap.run(check.__doc__, check)

    def over_tls(self, got: bytes, sent: bytes, sender: str) -> None:
        trace = trace_of(got, sent)
        first = re.match(rb"Return-Path: <(.*?)>\r\nDelivered-To: .*?\r\nReceived: .*? with (\w+)", trace, re.S)
        assert first and first[1].decode() == sender and first[2] in (b"ESMTPS", b"UTF8SMTPS"), trace

    def both_ways(self) -> None:
        """each sends to the other, over TLS, and the second Received field is the sender's"""
        for one, other in ((self.a, self.b), (self.b, self.a)):
            sent = message("there", b"Hello\r\n", one.users[0])
            one.send(sent, other.users[0])
            (got,) = other.arrived()
            self.over_tls(got, sent, one.users[0])
            by = re.findall(rb"(?m)^Received: from .*\r\n\s+by (\S+)", got)
            assert by == [f"mx.{other.domain}".encode(), f"mx.{one.domain}".encode()], got[:2000]
            one.emptied()

    def kinds(self) -> None:
        """messages of every kind arrive with the same octets"""
        sent = {subject: message(subject, body, self.a.users[0]) for subject, body in KINDS.items()}
        for one in sent.values():
            self.a.send(one, self.b.users[0])
        with self.a.client("mx") as client:
            refused = client.sendmail("päivi@remote.test", [self.b.users[0]], UTF8, ["BODY=8BITMIME", "SMTPUTF8"])
            assert not refused, refused
        got = {kind_of(one): one for one in self.b.arrived(len(sent) + 1)}
        for subject, one in sent.items():
            self.over_tls(got[subject], one, self.a.users[0])
        self.over_tls(got["SMTPUTF8: päivää"], UTF8, "päivi@remote.test")
        self.a.emptied()

    def domains(self) -> None:
        """a message to recipients of three domains and one of ours: each has it once, and in it is nobody's name"""
        sent = message("several", b"Hello\r\n", self.a.users[0])
        to = [f"{user}@{domain}" for domain in DOMAINS for user in ("pat", "kim")]
        self.a.send(sent, *to, self.a.users[1])
        for user in to:
            (got,) = self.b.arrived(user=user)
            self.over_tls(got, sent, self.a.users[0])
        (got,) = self.a.arrived(user=self.a.users[1])
        trace_of(got, sent)
        self.a.emptied()

    def recipients(self) -> None:
        """as many recipients of one domain as a message may have: one transaction"""
        sent, before = message("crowd", b"Hello\r\n", self.a.users[0]), len(self.b.log())
        self.a.send(sent, *(f"pat+{i}@b.test" for i in range(RECIPIENTS_MAX)))
        (got,) = self.b.arrived()
        self.over_tls(got, sent, self.a.users[0])
        self.a.emptied()
        until("the log", lambda: f"recipients={RECIPIENTS_MAX}" in self.b.log()[before:])

    def many(self) -> None:
        """what waits while the other is down goes by as few connections as can be, and each message arrives once"""
        self.a.end()
        self.a.queue["connections_per_destination"] = "1"
        self.a.configure()
        self.a.start()
        self.b.end()
        with self.a.client() as client:
            for i in range(MANY):
                client.sendmail(self.a.users[0], [self.b.users[0]], message(f"many {i}", b"Hello\r\n", self.a.users[0]))
        until("tries", lambda: any(item["tries"] for item in self.a.queued()))
        self.b.start()
        got = self.b.arrived(MANY)
        assert sorted(map(kind_of, got)) == sorted(f"many {i}" for i in range(MANY))
        self.a.emptied()
        n = connections(self.b.log())
        assert -(-MANY // ON_ONE_CONNECTION) <= n <= -(-MANY // ON_ONE_CONNECTION) + 1, n


def pair(built: Path, dns: int) -> tuple[Sender, Sender]:
    a = Sender(built, "a.test", dns, relay_networks="127.0.0.0/8")
    b = Sender(built, "b.test", dns, {"a.test": a.at["mx"]}, domains=" ".join(DOMAINS))
    a.routes = {name: {"for": name, "host": f"mx:{b.at['mx']}"} for name in DOMAINS}
    a.configure()
    b.server.add_users({f"{user}@{domain}": PASSWORD for domain in DOMAINS[1:] for user in ("pat", "kim")})
    return a, b


def exchange(tap: Tap, built: Path, names) -> None:
    a, b = pair(built, names.port)
    try:
        a.start()
        b.start()
        Exchange(tap, a, b).run()
        for one in (a, b):
            tap.run(f"{one.domain} ends", one.end)
    finally:
        for one in (a, b):
            if tap.bad:
                print("".join(f"# {line}\n" for line in one.log().splitlines()[-30:]), end="")
            one.remove()


# For NSD; it is up when it knows mx2.test.
ZONE = """\
$ORIGIN test.
$TTL 1800
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
mx2 A 127.0.0.1
""" + "".join(f"{domain}. MX 10 mx2\n" for domain in ("a.test", *DOMAINS))


def by_real_servers(tap: Tap, built: Path) -> None:
    """An Unbound, which asks an NSD."""
    nsd = Nsd(ZONE)
    unbound = Unbound({"test": nsd.port})
    try:
        for server in (nsd, unbound):
            server.start()
            until("a name server", lambda: answers(server.tree, server.port))
        exchange(tap, built, unbound)
    finally:
        unbound.tree.end()
        nsd.tree.end()


def main() -> None:
    tap, built = Tap(), Path(sys.argv[1]).resolve()
    with NameServer(zone_of("a.test", *DOMAINS)) as names:
        exchange(tap, built, names)
        asked = {name for name, kind in names.asked if kind == "MX"}
        tap.ok(asked == {"a.test", *DOMAINS}, "by MX records", asked)
    for package in ("nsd", "unbound"):
        if not unpacked(package):
            tap.ok(False, f"{package} is here", f"tests/build/setup unpack:{package} unpacks it")
    if not can_be_root():
        tap.skip("real name servers", "they run in trees of their own: that takes root, or sudo without a password")
    elif tap.bad == 0:
        by_real_servers(tap, built)
    tap.end()


if __name__ == "__main__":
    main()
