#!/usr/bin/env python3
"""A Postfix and an Exim give mail to mailserverd: by SMTP in the clear, with STARTTLS where it is offered and where it
is demanded, and by LMTP over TCP and over a local socket.  peers.py BUILD [PEER]

Neither is installed: each runs in a tree of its own (tree.py).  A wire (wire.py) lies between, on which is seen what
they say to each other, and which can be cut."""
import re
import signal
import smtplib
import sys
import threading
from pathlib import Path

from exim import Exim
from host import HANG_S
from postfix import Postfix
from receiver import ROUTES, Receiver, trace_of
from tap import Tap
from tree import can_be_root, unpacked, until

SENDER = "kim@remote.test"
MIB = 1 << 20
RECIPIENTS_MAX = 100  # of a transaction, as mailserverd has it
IN_THE_MESSAGE = 300000  # octets of a call
WAYS = [route for route in ROUTES if route != "crowd"]


# ---- How each is told its routes: what docs/operating.md shows ----

def postfix(receiver: Receiver) -> Postfix:
    wires = {route: f"[127.0.0.1]:{wire.port}" for route, wire in receiver.wires.items()}
    routes = {route: f"smtp:{to}" for route, to in wires.items() if route in ROUTES}
    routes |= {"tcp": f"lmtp:inet:127.0.0.1:{receiver.wires['tcp'].port}", "local": "lmtp:unix:/run/lmtp"}
    transports = ", ".join(f"{route}.test={to}" for route, to in routes.items())
    return Postfix(f"transport_maps = inline:{{ {transports} }}\n"
                   f"smtp_tls_policy_maps = inline:{{ {{ {wires['must']} = secure match=localhost }} }}\n"
                   "smtp_destination_recipient_limit = 1000\nlmtp_destination_recipient_limit = 1000\n", receiver.ca)


def exim(receiver: Receiver) -> Exim:
    clear = "  hosts_avoid_tls = *\n"
    lines = {"may": "", "clear": clear, "crowd": clear, "tcp": "  protocol = lmtp\n",
             "must": "  hosts_require_tls = *\n  tls_verify_certificates = /etc/exim4/ca.pem\n  tls_verify_hosts = *\n"}
    transports = "".join(f"{route}:\n  driver = smtp\n  port = {receiver.wires[route].port}\n  max_rcpt = 0\n"
                         f"  message_linelength_limit = 1M\n{more}" for route, more in lines.items())
    transports += "local:\n  driver = lmtp\n  socket = /run/lmtp\n  batch_max = 1000\n  user = Debian-exim\n"
    routers = "".join(f"{route}:\n  driver = manualroute\n  domains = {route}.test\n  transport = {route}\n"
                      f"  route_list = * localhost byname\n  self = send\n" for route in lines)
    routers += "local:\n  driver = accept\n  domains = local.test\n  transport = local\n"
    return Exim(f"begin routers\n{routers}begin transports\n{transports}", receiver.ca)


# ---- What is sent ----

def message(subject: str, body: bytes, sender: str = SENDER) -> bytes:
    """Whole, so that nobody has to add a field."""
    name = re.sub("[^a-z0-9]", "-", subject.lower())
    return (f"From: <{sender}>\r\nTo: <pat@here.test>\r\nSubject: {subject}\r\nMessage-ID: <{name}@remote.test>\r\n"
            "Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n\r\n").encode() + body


KINDS = {
    "dots": b"\r\n.\r\n..\r\n.a\r\n \r\n. \r\n\r\n",
    "eight bits": bytes(range(128, 256)) + b"\r\n" + "päivää".encode() + b"\r\n" + bytes(range(1, 10)) + b"\r\n",
    "long lines": b"".join(b"." * n + b"\r\n" for n in (997, 998, 999, 2048, 4096, 20000)),
    "1 MiB": (b"." + bytes(range(33, 127)) + b"\r\n") * (MIB // 97),
    "no body": b"",
}
UTF8 = message("SMTPUTF8: päivää", "hyvää\r\n".encode(), "päivi@remote.test")


class Peer:
    """One of them, and the checks that both pass."""

    def __init__(self, tap: Tap, name: str, make, receiver: Receiver):
        self.tap, self.name, self.receiver = tap, name, receiver
        self.peer = make(receiver)
        receiver.local_wire(self.peer.tree.lend("run"))

    def run(self) -> None:
        self.peer.start()
        for route in WAYS:
            self.check(f"{route}: messages of every kind arrive with the same octets", self.kinds, route)
            self.check(f"{route}: many recipients, some unknown: each once, and a bounce", self.recipients, route)
        for route in ("clear", "local"):
            self.check(f"{route}: while the server is down mail waits, then it arrives once", self.down, route)
            self.check(f"{route}: a call is cut in the message, then it arrives once", self.cut, route)
            self.check(f"{route}: the server ends (SIGTERM) in the message, and it arrives once", self.ends, route)
            self.check(f"{route}: the server ends (SIGTERM) before it: 421, then it arrives once", self.drains, route)
        self.check("crowd: no word to one connection too many, then it arrives once", self.crowd)

    def check(self, what: str, check, *args) -> None:
        if not self.tap.run(f"{self.name}: {what}", check, *args):
            print("".join(f"# {line}\n" for line in self.peer.log().splitlines()[-20:]), end="")

    # ---- Into it, and out of it ----

    def send(self, sent: bytes, *to: str, sender: str = SENDER, utf8: bool = False) -> None:
        with smtplib.SMTP("127.0.0.1", self.peer.port, "client.remote.test", HANG_S) as client:
            refused = client.sendmail(sender, to, sent, ["BODY=8BITMIME", *(["SMTPUTF8"] if utf8 else [])])
        assert not refused, refused

    def emptied(self) -> None:
        until("the end of the queue", lambda: not self.peer.queue(), self.peer.hurry)

    def once(self, route: str, sent: bytes) -> None:
        self.emptied()
        got = self.receiver.take(f"pat@{route}.test")
        assert len(got) == 1, f"{len(got)} messages, not 1"
        trace_of(got[0], sent)

    def kinds(self, route: str) -> None:
        wire, to = self.receiver.wires[route], f"pat@{route}.test"
        wire.said()
        sent = {subject: message(subject, body) for subject, body in KINDS.items()}
        for one in sent.values():
            self.send(one, to)
        if self.utf8(route):
            self.send(UTF8, to, sender="päivi@remote.test", utf8=True)
        self.emptied()
        got = {re.search(rb"(?m)^Subject: (.*)\r$", one)[1].decode(): one for one in self.receiver.take(to)}
        assert set(got) == {*sent, *(["SMTPUTF8: päivää"] if self.utf8(route) else [])}, got.keys()
        for subject, one in sent.items():
            trace = trace_of(got[subject], one)
            assert trace.startswith(f"Return-Path: <{SENDER}>\r\n".encode()), trace
        if self.utf8(route):
            trace = trace_of(got["SMTPUTF8: päivää"], UTF8)
            assert trace.startswith("Return-Path: <päivi@remote.test>\r\n".encode()), trace
        self.spoke(route, wire.said(), trace)

    def utf8(self, route: str) -> bool:
        """Exim's transport for a local socket never says SMTPUTF8."""
        return (self.name, route) != ("Exim", "local")

    def spoke(self, route: str, said: bytes, trace: bytes) -> None:
        """On the wire, and in the first of the Received fields, which is ours."""
        secret, lmtp, utf8 = route in ("may", "must"), route in ("tcp", "local"), self.utf8(route)
        expected = [b"STARTTLS\r\n"] if secret else [b"MAIL FROM:", b" SMTPUTF8"] if utf8 else [b"MAIL FROM:"]
        seen = {word for word in (b"LHLO ", b"EHLO ", b"STARTTLS\r\n", b"MAIL FROM:", b" SMTPUTF8") if word in said}
        assert seen == {b"LHLO " if lmtp else b"EHLO ", *expected}, (seen, said[:3000])
        how = re.search(rb"with (\w+)", trace)[1].decode()
        assert how == ("UTF8" if utf8 else "") + ("LMTP" if lmtp else "SMTPS" if secret else "SMTP"), trace
        if not secret:
            chunks = self.name == "Exim" and route in ("clear", "tcp")
            assert (b"\r\nBDAT " in said) == chunks and (b"\r\nDATA\r\n" in said) != chunks, said[:3000]

    def recipients(self, route: str) -> None:
        """More than go into one transaction here: the rest is told to come later, and does.  Each transaction leaves
        one message in a mailbox, by however many names it was meant."""
        sent = message("many", b"Hello\r\n")
        known = [f"pat+{i}@{route}.test" for i in range(RECIPIENTS_MAX + 20)]
        unknown = [f"nobody{i}@{route}.test" for i in range(3)]
        self.send(sent, *known[:60], *unknown, *known[60:], sender=f"kim@{route}.test")
        self.emptied()
        got = self.receiver.take(f"pat@{route}.test")
        assert len(got) == 2, f"{len(got)} messages, not 2"
        for one in got:
            trace_of(one, sent)
        (bounce,) = self.receiver.take(f"kim@{route}.test")
        assert bounce.startswith(b"Return-Path: <>\r\n"), bounce
        named = set(re.findall(rb"(?:nobody|pat\+)\d+@\w+\.test", bounce))
        assert named == {address.encode() for address in unknown}, named

    # ---- Not now ----

    def deferred(self, route: str, said) -> None:
        """It has tried and has been told to come later; it keeps the message."""
        until("a try", lambda: any(map(said, self.receiver.wires[route].calls)))
        assert self.peer.queue(), "it gave up"

    def down(self, route: str) -> None:
        sent = message("down", b"Hello\r\n")
        self.receiver.end()
        try:
            self.receiver.wires[route].said()
            self.send(sent, f"pat@{route}.test")
            self.deferred(route, lambda call: call.is_cut)
        finally:
            self.receiver.start()
        self.once(route, sent)

    def crowd(self) -> None:
        sent, wire = message("crowd", b"Hello\r\n"), self.receiver.wires["crowd"]
        wire.said()
        with smtplib.SMTP("127.0.0.1", wire.to, "client.remote.test", HANG_S):
            self.send(sent, "pat@crowd.test")
            self.deferred("crowd", lambda call: call.is_over.is_set() and not call.replied)
            assert not self.receiver.take("pat@crowd.test")
        self.once("crowd", sent)

    def cut(self, route: str) -> None:
        sent, wire = message("cut", KINDS["1 MiB"]), self.receiver.wires[route]
        wire.said()
        wire.hold(IN_THE_MESSAGE, lambda call: True)
        self.send(sent, f"pat@{route}.test")
        self.once(route, sent)
        assert [call.is_cut for call in wire.calls] == [True, False], "it was not cut once"

    def ends(self, route: str) -> None:
        """Whoever has begun may go on: it is taken, and then he hears it."""
        (call,) = self.ended(route, IN_THE_MESSAGE, lambda call: True)
        assert re.search(rb"\n250 2.0.0 accepted\r\n421 [^\n]*\n$", call.replied), bytes(call.replied)

    def drains(self, route: str) -> None:
        """Before the first command goes on the server has said that it ends."""
        first, *_, last = self.ended(route, 1, lambda call: b"\r\n421 " in call.replied)
        assert [b"250 2.0.0 accepted" in call.replied for call in (first, last)] == [False, True], bytes(last.replied)

    def ended(self, route: str, at: int, then) -> list:
        """At so many octets; they go on when `then` says so.  The calls that it took."""
        sent, wire = message("ends", KINDS["1 MiB"]), self.receiver.wires[route]
        held = threading.Event()

        def end(call) -> bool:
            self.receiver.host.process.send_signal(signal.SIGTERM)
            until("421", lambda: then(call))
            held.set()
            return False

        wire.said()
        wire.hold(at, end)
        self.send(sent, f"pat@{route}.test")
        assert held.wait(HANG_S)
        try:
            self.receiver.end(is_told=True)
        finally:
            self.receiver.start()
        self.once(route, sent)
        return wire.calls


PEERS = {"Postfix": ("postfix", postfix), "Exim": ("exim4-daemon-light", exim)}


def main() -> None:
    tap = Tap()
    for name, (package, make) in PEERS.items():
        if sys.argv[2:] not in ([], [name]):
            continue
        if not unpacked(package):
            tap.ok(False, f"{name} is here", f"tests/build/setup unpack:{package} unpacks it")
        elif not can_be_root():
            tap.skip(name, "it runs in a tree of its own: that takes root, or sudo without a password")
        else:
            receiver = Receiver(Path(sys.argv[1]).resolve())
            peer = None
            try:
                peer = Peer(tap, name, make, receiver)
                peer.run()
                tap.run(f"{name}: the server ends", receiver.end)
            finally:
                if peer:
                    peer.peer.end()
                receiver.remove()
    tap.end()


if __name__ == "__main__":
    main()
