#!/usr/bin/env python3
"""No relaying for strangers: a Postfix that has no login, and smtplib, try each form of an open relay that the field
knows, at the ports for other servers, for users and for LMTP.  Each is refused for good, and nothing is stored.
relay.py BUILD"""
import re
import smtplib
import sys
from pathlib import Path

from host import HANG_S
from peers import message
from postfix import Postfix
from receiver import PASSWORD, Receiver
from tap import Tap
from tree import can_be_root, unpacked, until
from wire import Call

# Ours is clear.test, with a user pat.  What stands behind RCPT TO: - RFC 5321 sections 4.1.2, 3.6.1 and appendix C for
# routes, RFC 1123 section 5.2.16 for %, the rest is what relay testers have tried since the days of ORBS.
FORMS = {
    "another domain": "<pat@remote.test>",
    "another domain, in capitals": "<PAT@REMOTE.TEST>",
    "another domain, with a dot at its end": "<pat@remote.test.>",
    "a domain below ours": "<pat@sub.clear.test>",
    "ours with something behind it": "<pat@clear.test.remote.test>",
    "something before ours": "<pat@notclear.test>",
    "ours in another script": "<pat@cle\u0430r.test>",
    "the same as an A-label": "<pat@xn--cler-83d.test>",
    "%": "<pat%remote.test@clear.test>",
    "% at our address": "<pat%remote.test@[127.0.0.1]>",
    "% alone": "<pat%remote.test>",
    "% twice": "<pat%remote.test%clear.test@clear.test>",
    "!": "<remote.test!pat@clear.test>",
    "! at our address": "<remote.test!pat@[127.0.0.1]>",
    "! alone": "<remote.test!pat>",
    "! and another domain": "<clear.test!pat@remote.test>",
    "quoted": '<"pat@remote.test">',
    "quoted, at ours": '<"pat@remote.test"@clear.test>',
    "quoted, with %": '<"pat%remote.test"@clear.test>',
    "quoted, at our address": '<"pat@remote.test"@[127.0.0.1]>',
    "@ twice": "<pat@remote.test@clear.test>",
    "@ twice, at our address": "<pat@remote.test@[127.0.0.1]>",
    "@ twice, the other way": "<pat@clear.test@remote.test>",
    "a route by us": "<@clear.test:pat@remote.test>",
    "a route by our address": "<@[127.0.0.1]:pat@remote.test>",
    "a route by two": "<@clear.test,@remote.test:pat@remote.test>",
    "a route to us by another": "<@remote.test:pat%remote.test@clear.test>",
    "our address": "<pat@[127.0.0.1]>",
    "our address of IPv6": "<pat@[IPv6:::1]>",
    "another address": "<pat@[192.0.2.1]>",
    "localhost": "<pat@localhost>",
    "no domain": "<nobody>",
    "without brackets": "pat@remote.test",
    "two at once": "<pat@clear.test>,<pat@remote.test>",
}
SENDERS = {"nobody": "", "a user of ours": "pat@clear.test", "an address of ours": "nobody@clear.test",
           "postmaster": "postmaster", "localhost": "pat@localhost", "our address": "pat@[127.0.0.1]",
           "the recipient": "pat@remote.test"}
MARK = "This is to be nowhere."


HELLOS = ["here.test", "clear.test", "localhost", "[127.0.0.1]", "remote.test"]
PLAIN = FORMS["another domain"]
POSTFIX_MIN = 12  # forms that a Postfix says as they stand here


def has(client: smtplib.SMTP, sender: str, form: str) -> list[tuple[int, bytes]]:
    """The replies to MAIL, RCPT and, if that was taken, to the message."""
    utf8 = "" if form.isascii() else " SMTPUTF8"
    client.command_encoding = "utf-8" if utf8 else "ascii"
    replies = [client.docmd(f"MAIL FROM:<{sender}>{utf8}"), client.docmd(f"RCPT TO:{form}")]
    if replies[1][0] // 100 == 2:
        replies.append(client.data(message("relayed", MARK.encode() + b"\r\n")))
    return replies


def must_refuse(client: smtplib.SMTP, sender: str, form: str) -> None:
    replies = has(client, sender, form)
    assert replies[-1][0] // 100 == 5 and len(replies) == 2, replies
    assert client.docmd("DATA")[0] // 100 == 5
    client.rset()


class Relay:
    def __init__(self, tap: Tap, receiver: Receiver, postfix: Postfix):
        self.tap, self.receiver, self.postfix, self.as_written = tap, receiver, postfix, set()

    def run(self) -> None:
        for name, form in FORMS.items():
            self.tap.run(f"smtplib: {name}: {form}", self.form_by_smtplib, form)
        for name, sender in SENDERS.items():
            self.tap.run(f"smtplib: from {name}", self.by_smtplib, "clear", sender, PLAIN)
        for hello in HELLOS:
            self.tap.run(f"smtplib: EHLO {hello}", self.by_smtplib, "clear", "kim@remote.test", PLAIN, hello)
        self.tap.run("smtplib: at the port for users, after AUTH that failed", self.failed_login)
        self.tap.run("nothing is stored", self.nothing_stored)
        for name, form in FORMS.items():
            if name != "two at once":  # which Postfix does not take
                self.tap.run(f"Postfix: {name}: {form}", self.form_by_postfix, form)
        for name, sender in SENDERS.items():
            self.tap.run(f"Postfix: from {name}", self.by_postfix, "clear", sender, PLAIN)
        self.tap.run("Postfix: at the port for users, in the clear and under TLS", self.submitted)
        n = len(self.as_written)
        self.tap.ok(n >= POSTFIX_MIN, f"Postfix said {n} forms as they stand here", self.as_written)
        self.tap.run("nothing is stored", self.nothing_stored)
        self.tap.run("what is for us is stored, and found", self.taken)

    # ---- smtplib ----

    def client(self, listener: str, hello: str = "client.remote.test") -> smtplib.SMTP:
        port = self.receiver.host.ports[listener]
        if listener == "lmtp_tcp":
            client: smtplib.SMTP = smtplib.LMTP("127.0.0.1", port, hello)
        else:
            client = smtplib.SMTP("127.0.0.1", port, hello, HANG_S)
        client.ehlo()
        return client

    def form_by_smtplib(self, form: str) -> None:
        for route in ("clear", "tcp"):
            self.by_smtplib(route, "kim@remote.test", form)
        with self.client("submission") as client:
            must_refuse(client, "pat@clear.test", form)
            client.starttls()
            client.ehlo()
            must_refuse(client, "pat@clear.test", form)

    def by_smtplib(self, route: str, sender: str, form: str, hello: str = "client.remote.test") -> None:
        with self.client("lmtp_tcp" if route == "tcp" else "mx_clear", hello) as client:
            must_refuse(client, sender, form)

    def failed_login(self) -> None:
        with self.client("submission") as client:
            client.starttls()
            client.ehlo()
            client.user, client.password = "pat@clear.test", PASSWORD + "x"
            try:
                client.auth("PLAIN", client.auth_plain)
            except smtplib.SMTPAuthenticationError:
                return must_refuse(client, "pat@clear.test", PLAIN)
        raise AssertionError("a wrong password was taken")

    # ---- Postfix ----

    def form_by_postfix(self, form: str) -> None:
        for route in ("clear", "tcp"):
            said = self.by_postfix(route, "kim@remote.test", form)
            self.as_written |= {form} if f"RCPT TO:{form}\r\n".encode() in said else set()

    def by_postfix(self, route: str, sender: str, form: str) -> bytes:
        """What it said; it was refused."""
        call = self.given(route, sender, form)
        said, replied = bytes(call.said), bytes(call.replied)
        rcpt = re.findall(rb"(?m)^(\d)\d\d ", replied)[3]  # after the greeting, EHLO and MAIL
        assert said.count(b"RCPT TO:") == 1 and rcpt == b"5" and b"\n354" not in replied, (said, replied)
        return said

    def given(self, route: str, sender: str, form: str) -> Call:
        """The call of Postfix, which has taken a message and is to give it on."""
        wire = self.receiver.wires[route]
        wire.said()
        with smtplib.SMTP("127.0.0.1", self.postfix.ports[route], "client.remote.test", HANG_S) as client:
            client.ehlo()
            replies = has(client, sender, form)
            assert replies[-1][0] == 250, replies
        until("the end of the queue", lambda: not self.postfix.queue(), self.postfix.hurry)
        assert len(wire.calls) == 1 and wire.calls[0].is_over.wait(HANG_S), wire.calls
        return wire.calls[0]

    def submitted(self) -> None:
        for route in ("submission", "secret"):
            before = self.postfix.log()
            call = self.given(route, "pat@clear.test", PLAIN)
            said = self.postfix.log()[len(before):]
            assert "status=bounced (host 127.0.0.1[127.0.0.1] said: 530 5.7.0" in said, said
            assert (b"STARTTLS" in call.said) == (route == "secret"), bytes(call.said)

    # ---- What came of it ----

    def stored(self) -> list[str]:
        """The files of the server in which the mark stands, and the mailboxes that are not empty."""
        files = [file for file in self.receiver.server.data.rglob("*") if file.is_file()]
        marked = [str(file) for file in files if MARK.encode() in file.read_bytes()]
        return marked + [user for user in self.receiver.users if self.receiver.take(user)]

    def nothing_stored(self) -> None:
        stored = self.stored()
        assert not stored, stored

    def taken(self) -> None:
        with self.client("mx_clear") as client:
            assert has(client, "kim@remote.test", "<pat@clear.test>")[-1][0] == 250
        stored = self.stored()
        assert len(stored) >= 2 and stored[-1] == "pat@clear.test", stored


def postfix(receiver: Receiver) -> Postfix:
    """It gives on whatever comes, by the port at which it comes; what comes back to senders is thrown away."""
    ways = {"clear": "smtp:", "tcp": "lmtp:inet:", "submission": "smtp:", "secret": "smtp:"}
    filters = {route: f"-o content_filter={how}[127.0.0.1]:{receiver.wires[route].port}" for route, how in ways.items()}
    return Postfix("default_transport = discard:\nlocal_transport = discard:\nsmtp_tls_security_level = none\n"
                   "smtp_tls_policy_maps = "
                   f"inline:{{ {{ [127.0.0.1]:{receiver.wires['secret'].port} = encrypt }} }}\n", receiver.ca, filters)


def main() -> None:
    tap = Tap()
    if not unpacked("postfix"):
        tap.ok(False, "Postfix is here", "tests/build/setup unpack:postfix unpacks it")
    elif not can_be_root():
        tap.skip("Postfix", "it runs in a tree of its own: that takes root, or sudo without a password")
    else:
        receiver, peer = Receiver(Path(sys.argv[1]).resolve()), None
        try:
            peer = postfix(receiver)
            peer.start()
            Relay(tap, receiver, peer).run()
            tap.run("the server ends", receiver.end)
        finally:
            if peer:
                peer.end()
            receiver.remove()
    tap.end()


if __name__ == "__main__":
    main()
