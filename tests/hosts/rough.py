#!/usr/bin/env python3
"""Bad input over sockets, at every door of mailserverd, in the clear and under TLS: what is said to it; that a second
session of each protocol goes on beside every case, with every reply as it must be; and that afterwards the mailboxes
hold what was acknowledged and no more, also after another start.  rough.py BUILD

What is bad is in rough_cases.py."""
import imaplib
import re
import socket
import ssl
import struct
import sys
import time
from pathlib import Path

import clients
import imap
import mailbox
import rough_cases
from host import HANG_S, Host
from rough_cases import JUNK, Case
from server import Server
from tap import Tap

PASSWORD = "secret"
PLAIN = {"smtp": "mx", "lmtp": "lmtp", "submission": "submission", "pop3": "pop3", "imap": "imap"}
TLS = {name: f"{name}s" for name in ("smtp", "submission", "pop3", "imap")}
PRELUDE = {"smtp": [(b"EHLO rough.remote.test\r\n", rb"250 .*")], "lmtp": [(b"LHLO rough.remote.test\r\n", rb"250 .*")],
           "submission": [(b"EHLO rough.remote.test\r\n", rb"250 .*")], "pop3": [], "imap": []}
LOGIN = {"submission": [(b"AUTH PLAIN AHBhdABzZWNyZXQ=\r\n", rb"235 .*")],
         "pop3": [(b"USER pat\r\n", rb"\+OK.*"), (b"PASS secret\r\n", rb"\+OK.*")],
         "imap": [(b"in LOGIN pat secret\r\n", rb"in OK .*"), (b"on SELECT INBOX\r\n", rb"on OK .*")]}
NOOP = {name: (b"NOOP\r\n", rb"250 2\.0\.0 ok") for name in ("smtp", "lmtp", "submission")}
NOOP |= {"pop3": (b"NOOP\r\n", rb"\+OK"), "imap": (b"still NOOP\r\n", rb"still OK .*")}
BEFORE_LOGIN = {"pop3": (b"CAPA\r\n", rb"\.")}  # POP3 has no NOOP there


def section(name: str, protocol: str, tls: str, more: str = "") -> str:
    return f"[listener {name}]\nprotocol = {protocol}\naddress = 127.0.0.1:0\ntls = {tls}\n{more}"


class Peer:
    """A client whose octets are in our hands, above TLS or without it."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None):
        self.raw = socket.create_connection(("127.0.0.1", port), HANG_S)
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.got = self.raw, b""
        if tls is not None:
            self.secure(tls)

    def secure(self, tls: ssl.SSLContext) -> None:
        self.socket = tls.wrap_socket(self.raw, server_hostname="localhost")

    def send(self, octets: bytes) -> None:
        """Whoever is sent away may be so while we are still talking."""
        try:
            self.socket.sendall(octets)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            pass

    def line(self) -> bytes:
        while b"\r\n" not in self.got:
            more = self.socket.recv(65536)
            assert more, f"closed; the last that came is {self.got!r}"
            self.got += more
        line, self.got = self.got.split(b"\r\n", 1)
        return line

    def expect(self, pattern: bytes) -> bytes:
        """A reply that ends as it says; what stands before is its own: lines of one reply, or what is told untagged."""
        line = self.line()
        while is_part(line, pattern):
            line = self.line()
        assert re.fullmatch(pattern, line, re.S), f"{line!r} is not {pattern!r}"
        return line

    def ask(self, octets: bytes, pattern: bytes) -> bytes:
        self.send(octets)
        return self.expect(pattern)

    def rest(self) -> bytes:
        """Everything up to the end."""
        try:
            while more := self.socket.recv(65536):
                self.got += more
        except (ConnectionResetError, ssl.SSLError):
            pass
        return self.got

    def half_close(self) -> None:
        socket.socket.shutdown(self.socket, socket.SHUT_WR)  # of the socket: TLS says nothing

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.socket.close()
        self.raw.close()


def is_part(line: bytes, pattern: bytes) -> bool:
    return bool(re.match(rb"\d\d\d-|\* (?!BYE|BAD|NO)", line)) and not re.fullmatch(pattern, line, re.S)


class Bystander:
    """A user who goes on: one message, and one look by each protocol, beside every case."""

    def __init__(self, ports: dict[str, int], sent: list[bytes]):
        self.sent = sent  # by those who were here before
        self.smtp, self.pop3, self.imap = (Peer(ports[name]) for name in ("mx", "pop3", "imap"))
        for peer, greeting in ((self.smtp, rb"220 .*"), (self.pop3, rb"\+OK .*"), (self.imap, rb"\* OK .*")):
            peer.expect(greeting)
        self.smtp.ask(b"EHLO kim.remote.test\r\n", rb"250 .*")
        self.pop3.ask(b"USER sam\r\n", rb"\+OK")
        self.pop3.ask(b"PASS secret\r\n", rb"\+OK 0 messages")
        self.imap.ask(b"a LOGIN kim secret\r\n", rb"a OK .*")
        self.imap.ask(b"b SELECT INBOX\r\n", rb"b OK .*")

    def begins(self) -> None:
        self.message = clients.text(f"beside {len(self.sent)}")
        self.smtp.ask(b"MAIL FROM:<kim@remote.test> BODY=8BITMIME\r\n", rb"250 2\.1\.0 sender ok")
        self.smtp.ask(b"RCPT TO:<kim@here.test>\r\n", rb"250 2\.1\.5 recipient ok")
        self.smtp.ask(b"DATA\r\n", rb"354 .*")
        self.smtp.send(clients.stuffed(self.message)[:60])
        self.looks()

    def looks(self) -> None:
        """Nothing is told but what was asked."""
        self.imap.send(b"n NOOP\r\n")
        line = self.imap.line()
        assert re.fullmatch(rb"n OK .*", line), line
        self.pop3.send(b"NOOP\r\n")
        line = self.pop3.line()
        assert line == b"+OK", line

    def ends(self) -> None:
        """Its message is taken, and told at the next look, with its number."""
        self.smtp.send(clients.stuffed(self.message)[60:] + b".\r\nNOOP\r\n")
        lines = [self.smtp.line(), self.smtp.line()]
        assert lines == [b"250 2.0.0 accepted", b"250 2.0.0 ok"], lines
        self.imap.send(b"n NOOP\r\n")
        self.sent.append(self.message)
        lines = b"\n".join(self.imap.line() for _ in range(3))
        assert re.fullmatch(rb"\* %d EXISTS\n\* \d+ RECENT\nn OK [^\n]*" % len(self.sent), lines), lines
        self.looks()

    def goes(self) -> None:
        for peer in (self.smtp, self.pop3, self.imap):
            peer.close()


class Rough:
    def __init__(self, built: Path, tap: Tap):
        self.tap, self.server = tap, Server(built)
        tls = self.server.certify("localhost")
        words = "plain-passwords = yes\n"
        self.server.configure(
            tls, section("mx", "mx", "starttls"), section("lmtp", "lmtp", "no"), section("smtps", "mx", "implicit"),
            *(section(name, name, "starttls", words) for name in ("submission", "pop3", "imap")),
            *(section(f"{name}s", name, "implicit") for name in ("submission", "pop3", "imap")), message_size="64K")
        self.server.add_users({user: PASSWORD for user in ("pat", "kim", "sam")})
        self.context = ssl.create_default_context(cafile=str(self.server.path / "localhost.pem"))
        self.kept: list[bytes] = []  # of pat's, in their order
        self.start()

    def start(self) -> None:
        self.host = Host(self.server.argv("serve"), [*PLAIN.values(), *TLS.values()])
        self.ports = self.host.ports

    # ---- One case ----

    def come(self, case: Case, door: str) -> Peer:
        """Greeted, and as far as the case begins."""
        peer = Peer(self.ports[door], self.context if door in TLS.values() else None)
        if case.greets:
            peer.expect(rb"(220 |\+OK |\* OK ).*")
            for said, reply in PRELUDE[case.protocol] + (LOGIN[case.protocol] if case.login else []):
                peer.ask(said, reply)
        return peer

    def run_case(self, case: Case, door: str) -> None:
        peer = self.come(case, door)
        self.beside.begins()
        for said, replies in case.steps:
            peer.send(said)
            for reply in replies:
                peer.expect(reply)
            self.beside.looks()
        if case.ends:
            rest = peer.rest()
            assert rest == b"", f"and then {rest!r}"
        elif not case.swallows:
            said, reply = NOOP[case.protocol] if case.login else BEFORE_LOGIN.get(case.protocol, NOOP[case.protocol])
            peer.send(said)
            line = peer.line()
            while said == b"CAPA\r\n" and line != b".":
                line = peer.line()
            assert re.fullmatch(reply, line), f"{line!r} to {said!r}: a reply too many"
        peer.close()
        self.kept += case.kept
        self.beside.ends()

    def run_cases(self) -> None:
        for case in rough_cases.cases():
            doors = [] if case.tls_only else [PLAIN[case.protocol]]
            if case.protocol in TLS and not case.plain_only:
                doors.append(TLS[case.protocol])
            for door in doors:
                self.check(f"{door}: {case.name}", self.run_case, case, door)

    def check(self, name: str, what, *args) -> None:
        """After one that failed the others have a bystander of their own."""
        if not self.tap.run(name, what, *args):
            self.beside.goes()
            self.beside = Bystander(self.ports, self.beside.sent)

    # ---- Those who go in the middle ----

    def run_cuts(self) -> None:
        """Cut anywhere before its end a message is not there, however its sender went."""
        for protocol, name, octets, whole in rough_cases.cut_short():
            for door in filter(None, (PLAIN[protocol], TLS.get(protocol))):
                self.check(f"{door}: {name}, cut short, and closed, half-closed or reset", self.cuts, protocol, door,
                           octets)
                self.check(f"{door}: {name}, whole, and then half-closed", self.cut, protocol, door, octets,
                           len(octets), Peer.half_close, whole)
                self.kept.append(rough_cases.CUT)

    def cuts(self, protocol: str, door: str, octets: bytes) -> None:
        for place in range(len(octets) - 1, 0, -max(1, len(octets) // 9)):
            for way in (Peer.close, Peer.half_close, Peer.reset):
                self.cut(protocol, door, octets, place, way, None)

    def cut(self, protocol: str, door: str, octets: bytes, place: int, way, last: bytes | None) -> None:
        peer = self.come(Case(protocol, "", [], login=protocol in LOGIN), door)
        self.beside.begins()
        peer.send(octets[:place])
        way(peer)
        if way is Peer.half_close:
            rest = peer.rest()
            assert last is None or re.search(last, rest), f"{rest!r} has no {last!r}"
            peer.close()
        self.beside.ends()

    def run_deletions(self) -> None:
        """Without QUIT nothing is deleted (RFC 1939 section 6)."""
        for door in (PLAIN["pop3"], TLS["pop3"]):
            for how, way in (("closed", Peer.close), ("half-closed", Peer.half_close), ("reset", Peer.reset)):
                self.check(f"{door}: DELE, and then {how}", self.deletes, door, way)

    def deletes(self, door: str, way) -> None:
        peer = self.unlocked(door)
        self.beside.begins()
        peer.ask(b"DELE 1\r\n", rb"\+OK.*")
        way(peer)
        if way is Peer.half_close:
            assert peer.rest() == b""
            peer.close()
        self.beside.ends()

    def unlocked(self, door: str) -> Peer:
        """The maildrop is locked until the server has seen that the last one went."""
        for _ in range(HANG_S * 10):
            try:
                return self.come(Case("pop3", "", [], login=True), door)
            except AssertionError as error:
                assert "IN-USE" in str(error), error
                time.sleep(0.1)
        raise TimeoutError("the lock stays")

    # ---- TLS ----

    def run_junk(self) -> None:
        for name in JUNK:
            for door in TLS.values():
                self.check(f"{door}: {name} instead of a handshake", self.junk, door, JUNK[name], [])
            for door, steps in rough_cases.STARTTLS.items():
                self.check(f"{door}: {name} behind STARTTLS", self.junk, door, JUNK[name], steps)
        for protocol, door in TLS.items():
            self.check(f"{door}: octets that are no record, in the middle", self.broken_record, protocol, door)

    def junk(self, door: str, octets: bytes, steps: list) -> None:
        """Nothing comes back but an alert of TLS, and the connection ends."""
        peer = Peer(self.ports[door])
        self.beside.begins()
        for said, reply in steps:
            peer.ask(said, reply) if said else peer.expect(reply)
        peer.send(octets)
        peer.half_close()
        rest = peer.rest()
        assert re.fullmatch(rb"(\x15\x03.\x00\x02..)?", rest, re.S), rest
        peer.close()
        self.beside.ends()

    def broken_record(self, protocol: str, door: str) -> None:
        """What was said before it is not made anything of."""
        case = Case(protocol, "", [], login=protocol in LOGIN)
        peer = self.unlocked(door) if protocol == "pop3" else self.come(case, door)
        self.beside.begins()
        peer.send(rough_cases.unfinished(protocol))
        self.beside.looks()
        peer.raw = socket.socket(fileno=peer.socket.detach())
        peer.raw.settimeout(HANG_S)
        peer.raw.sendall(b"\r\n.\r\nNOOP\r\n" * 10)
        peer.socket = peer.raw
        peer.rest()
        peer.close()
        self.beside.ends()

    # ---- Afterwards ----

    def at_rest(self) -> None:
        for _ in range(HANG_S * 10):
            said = self.server.must("status")
            if re.search(r"^sessions 0$", said, re.M) and re.search(r"^operations out 0$", said, re.M):
                return
            time.sleep(0.1)
        raise TimeoutError(said)

    def holds(self, user: str, expected: list[bytes]) -> None:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=HANG_S)
        client.login(user, PASSWORD)
        n = int(client.select("INBOX", readonly=True)[1][0])
        data = client.fetch("1:*", "(BODY.PEEK[])")[1] if n else []
        client.logout()
        got = [mailbox.without_trace(m) if m.startswith(b"Return-Path: ") else m for m in imap.literals(data)]
        lost, more = [m for m in expected if m not in got], [m for m in got if m not in expected]
        assert got == expected, f"{n} there, {len(expected)} acknowledged; lost {lost}; too many {more}"

    def run_all(self) -> None:
        self.beside = Bystander(self.ports, [])
        self.run_cases()
        self.run_cuts()
        self.run_deletions()
        self.run_junk()
        self.beside.goes()
        self.tap.run("all sessions have ended, and nothing is owed", self.at_rest)
        for again in ("", ", also after another start"):
            self.tap.run(f"what was acknowledged is there, whole, and no more{again}", self.holds, "pat", self.kept)
            self.tap.run(f"of who went on beside it as well{again}", self.holds, "kim", self.beside.sent)
            good = self.host.end() == 0 and "Sanitizer" not in self.host.said()
            self.tap.ok(good, "it ends", self.host.said()[-2000:])
            if not again:
                self.tap.run("the store is sound", self.sound)
                self.start()

    def sound(self) -> None:
        said = self.server.must("doctor")
        assert "0 faults" in said, said


def main(built: Path) -> None:
    tap = Tap()
    rough = Rough(built, tap)
    try:
        rough.run_all()
    finally:
        rough.host.end()
        rough.server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
