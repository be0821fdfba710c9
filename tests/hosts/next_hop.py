#!/usr/bin/env python3
"""mailserverd gives mail to a Postfix and to an Exim, which are the mail exchangers of other domains: with STARTTLS and
in the clear.  They keep it, or give it on to a second mailserverd.  next_hop.py BUILD [PEER]

Neither is installed: each runs in a tree of its own (tree.py).  Wires (wire.py) show what is said to them."""
import email
import re
import socketserver
import sys
import threading
from email.message import Message
from pathlib import Path

from bounce import Notice
from dns_server import NameServer
from exim import Exim
from peers import KINDS, UTF8, message
from postfix import Postfix
from receiver import PASSWORD, trace_of
from sender import Sender, zone_of
from tap import Tap
from tree import Tree, can_be_root, run_as_root, unpacked, until
from wire import Wire

WAYS = {"secret": "offered", "clear": "no"}  # the first label of a domain, and `tls` of the route to it
# of domains that a peer has itself: it keeps what is for one, and finds out late that it cannot deliver to the other
KEPT, LOST = "kept.test", "lost.test"
CROWD = 60
BODY = b"Hello\r\n.dot\r\n"


# ---- Who refuses for now ----

class Policy(socketserver.StreamRequestHandler):
    """A question of Postfix: lines, and an empty one (SMTPD_POLICY_README)."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            if line.startswith(b"protocol_state="):
                state = line.strip().split(b"=")[1].decode()
            elif line == b"\n":
                says = "451 4.7.1 come back later" if self.server.shut == state else "DUNNO"
                self.wfile.write(f"action={says}\n\n".encode())


class Doors(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, shut = True, True, ""


class PostfixHop(Postfix):
    PACKAGE = "postfix"

    def __init__(self, a: Sender, b: Sender, certificate: str):
        self.doors = Doors(("127.0.0.1", 0), Policy)
        threading.Thread(target=self.doors.serve_forever, daemon=True).start()
        asks = f"check_policy_service inet:127.0.0.1:{self.doors.server_address[1]}"
        routes = {"a.test": a, **{f"{way}.test": b for way in WAYS}}
        transports = " ".join(f"{{ {domain} = smtp:[127.0.0.1]:{to.at['mx']} }}" for domain, to in routes.items())
        refused = " ".join(f"{{ nobody{i}@{way}.test = 550 5.1.1 no such user }}" for way in WAYS for i in range(2))
        super().__init__(f"transport_maps = inline:{{ {{ {LOST} = error:5.1.6 moved }} {transports} }}\n"
                         f"virtual_mailbox_domains = {KEPT}\nvirtual_mailbox_base = /var/mail\n"
                         "virtual_mailbox_maps = static:all\n"
                         f"virtual_uid_maps = static:{Tree.USER}\nvirtual_gid_maps = static:{Tree.USER}\n"
                         f"smtpd_recipient_restrictions = check_recipient_access inline:{{ {refused} }}, {asks}\n"
                         "smtp_destination_recipient_limit = 1000\n"
                         f"smtpd_end_of_data_restrictions = {asks}\n", a.certificate.read_text(),
                         certificate=certificate)
        self.tree.folder("var/mail", Tree.USER)

    def shut(self, stage: str) -> None:
        self.doors.shut = {"RCPT": "RCPT", "dot": "END-OF-MESSAGE", "": ""}[stage]

    def end(self) -> None:
        super().end()
        self.doors.shutdown()
        self.doors.server_close()


EXIM_TAKES = """\
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
tls_advertise_hosts = *
tls_certificate = /etc/exim4/tls.pem
dsn_advertise_hosts = *
begin acl
check_rcpt:
  deny local_parts = nobody0 : nobody1
    message = 550 5.1.1 no such user
  defer condition = ${if exists{/var/spool/exim4/shut-RCPT}}
    message = 451 4.7.1 come back later
  accept
check_data:
  defer condition = ${if exists{/var/spool/exim4/shut-dot}}
    message = 451 4.7.1 come back later
  accept
"""


class EximHop(Exim):
    PACKAGE = "exim4-daemon-light"

    def __init__(self, a: Sender, b: Sender, certificate: str):
        ports = {"a": a.at["mx"], **{way: b.at["mx"] for way in WAYS}}
        routers = "".join(f"{way}:\n  driver = manualroute\n  domains = {way}.test\n  transport = {way}\n"
                          "  route_list = * localhost byname\n  self = send\n" for way in ports)
        routers += (f"lost:\n  driver = redirect\n  domains = {LOST}\n  allow_fail\n  data = :fail: moved\n"
                    f"kept:\n  driver = accept\n  domains = {KEPT}\n  transport = kept\n")
        transports = "".join(f"{way}:\n  driver = smtp\n  port = {port}\n  max_rcpt = 0\n"
                             "  message_linelength_limit = 1M\n" for way, port in ports.items())
        transports += "kept:\n  driver = appendfile\n  file = /var/spool/exim4/all\n  user = Debian-exim\n"
        super().__init__(f"begin routers\n{routers}begin transports\n{transports}", a.certificate.read_text(),
                         EXIM_TAKES, certificate)

    def shut(self, stage: str) -> None:
        if stage:
            self.tree.put(f"var/spool/exim4/shut-{stage}", "")
        else:
            run_as_root("rm", "-f", *(self.tree.path / f"var/spool/exim4/shut-{one}" for one in ("RCPT", "dot")))


PEERS = {"Postfix": PostfixHop, "Exim": EximHop}


class Hop:
    """a.test sends; b.test has what the peer gives on."""

    def __init__(self, built: Path, make, names: NameServer):
        self.wires = {way: Wire() for way in WAYS}
        at = self.wires["secret"].port
        self.a = Sender(built, "a.test", names.port, {KEPT: at, LOST: at},
                        {way: {"for": f"{way}.test", "host": f"mx:{self.wires[way].port}", "tls": tls}
                         for way, tls in WAYS.items()}, relay_networks="127.0.0.0/8")
        domains = [f"{way}.test" for way in WAYS]
        self.b = Sender(built, "b.test", names.port, {"a.test": self.a.at["mx"]},
                        domains=" ".join(["b.test", *domains]))
        self.b.server.add_users({f"pat@{domain}": PASSWORD for domain in domains})
        self.a.server.certify("mx.peer.test")
        certificate = "".join((self.a.server.path / f"mx.peer.test.{part}").read_text() for part in ("key", "pem"))
        self.peer = make(self.a, self.b, certificate)
        names.zone |= zone_of("a.test", *domains, KEPT, LOST)
        for wire in self.wires.values():
            wire.to = self.peer.port
        self.pat = self.a.users[0]

    def start(self) -> None:
        for one in (self.a, self.b, self.peer):
            one.start()

    def end(self) -> None:
        for one in (self.a, self.b):
            one.end()

    def remove(self) -> None:
        self.peer.end()
        for one in (self.a, self.b):
            one.remove()
        for wire in self.wires.values():
            wire.close()

    def settled(self) -> None:
        """Nothing is on its way."""
        self.a.emptied()
        until("the end of the peer's queue", lambda: not self.peer.queue(), self.peer.hurry)
        self.b.emptied()


class NextHop:
    def __init__(self, tap: Tap, name: str, hop: Hop):
        self.tap, self.name, self.hop, self.mta = tap, name, hop, f"{name.lower()}.remote.test"
        self.a, self.b, self.peer, self.pat = hop.a, hop.b, hop.peer, hop.pat

    def run(self) -> None:
        self.hop.start()
        for way in WAYS:
            for check in (self.kinds, self.recipients):
                self.check(f"{way}: {check.__doc__}", check, way)
            for stage in ("RCPT", "dot"):
                self.check(f"{way}: {stage} is refused for now: the mail waits, then it arrives once", self.later, way,
                           stage)
        for check in (self.success, self.success_behind, self.lost, self.never, self.headers):
            self.check(check.__doc__, check)
        self.tap.run(f"{self.name}: both end", self.hop.end)

    def check(self, what: str, check, *args) -> None:
        if not self.tap.run(f"{self.name}: {what}", check, *args):
            said = self.a.log().splitlines()[-20:] + self.peer.log().splitlines()[-20:]
            print("".join(f"# {line}\n" for line in said), end="")

    def take(self, way: str, n: int = 1) -> list[bytes]:
        self.hop.settled()
        return self.b.arrived(n, f"pat@{way}.test")

    # ---- What arrives ----

    def kinds(self, way: str) -> None:
        """messages of every kind arrive with the same octets"""
        wire, to = self.hop.wires[way], f"pat@{way}.test"
        wire.said()
        sent = {subject: message(subject, body, self.pat) for subject, body in KINDS.items()}
        for one in sent.values():
            self.a.send(one, to)
        with self.a.client("mx") as client:
            refused = client.sendmail("päivi@remote.test", [to], UTF8, ["BODY=8BITMIME", "SMTPUTF8"])
            assert not refused, refused
        sent["SMTPUTF8: päivää"] = UTF8
        got = {re.search(rb"(?m)^Subject: (.*)\r$", one)[1].decode(): one for one in self.take(way, len(sent))}
        assert set(got) == set(sent), got.keys()
        for subject, one in sent.items():
            self.came(way, trace_of(got[subject], one))
        self.spoke(way, wire.said())

    def came(self, way: str, trace: bytes) -> None:
        """The second Received field is the peer's, and says how it has it from us."""
        ours, peers, first = re.findall(rb"(?ms)^Received: (.*?)\r\n(?!\s)", trace)
        assert b"by mx.b.test" in ours and b"by mx.a.test" in first, trace
        how = re.search(rb"with (\w+)", peers)[1].lower()
        assert how.endswith(b"smtps") == (way == "secret") and b"mx.a.test" in peers, trace

    def spoke(self, way: str, said: bytes) -> None:
        if way == "secret":
            assert b"STARTTLS\r\n" in said and b"MAIL FROM" not in said, said[:3000]
            return
        for word in (b"\r\nBDAT ", b" BODY=8BITMIME", b" SIZE=", b" SMTPUTF8"):
            assert word in said, (word, said[:3000])
        assert b"STARTTLS" not in said and b"\r\nDATA\r\n" not in said, said[:3000]

    def recipients(self, way: str) -> None:
        """many recipients, of whom two are refused: one transaction, and one notice that names both"""
        sent = message("crowd", BODY, self.pat)
        unknown = [f"nobody{i}@{way}.test" for i in range(2)]
        known = [f"pat+{i}@{way}.test" for i in range(CROWD)]
        self.a.send(sent, *known[:CROWD // 2], *unknown, *known[CROWD // 2:])
        trace_of(self.take(way)[0], sent)
        notice = Notice(self.a.arrived()[0], "mx.a.test", self.pat)
        assert set(notice.recipients) == set(unknown), notice.octets
        for address, fields in notice.recipients.items():
            assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1"), fields.items()
            assert fields["Remote-MTA"] == f"dns; mx.{way}.test", fields.items()
            assert re.match(r"smtp; 550 5\.1\.1 .*no such user", fields["Diagnostic-Code"], re.S), fields.items()
        notice.is_whole(sent)

    def later(self, way: str, stage: str) -> None:
        sent = message(f"later {stage}", BODY, self.pat)
        self.peer.shut(stage)
        try:
            self.a.send(sent, f"pat@{way}.test")
            waits = self.a.waits()
        finally:
            self.peer.shut("")
        assert waits["code"] == 451 and "come back later" in waits["text"], waits
        trace_of(self.take(way)[0], sent)
        assert not self.a.take(self.pat)

    # ---- What a sender wants to hear (RFC 3461): it is the peer who knows ----

    def dsn(self, to: str, notify: str, *mail: str) -> None:
        self.a.send(message("DSN", BODY, self.pat), to, mail=["ENVID=QQ314159", *mail],
                    rcpt=[f"NOTIFY={notify}", "ORCPT=rfc822;lee@old.test"])
        self.hop.settled()

    def told(self, mta: str) -> tuple[Message, Message]:
        """The one notice: of the recipient, and what came back of the message."""
        (octets,) = self.a.arrived()
        assert octets.startswith(b"Return-Path: <>\r\n"), octets
        _, report, *rest = email.message_from_bytes(octets).get_payload()
        of_message, of_recipient = report.get_payload()
        assert of_message["Reporting-MTA"] == f"dns; {mta}", octets
        assert of_message["Original-Envelope-Id"] == "QQ314159", octets
        assert re.fullmatch("rfc822; ?lee@old.test", of_recipient["Original-Recipient"]), octets
        return of_recipient, rest[0]

    def success(self) -> None:
        """NOTIFY=SUCCESS: the peer keeps it and says so, and we say nothing"""
        self.dsn(f"kim@{KEPT}", "SUCCESS", "RET=HDRS")
        fields, _ = self.told(self.mta)
        assert fields["Action"] == "delivered" and fields["Status"].startswith("2."), fields.items()

    def success_behind(self) -> None:
        """NOTIFY=SUCCESS: the peer gives it on to one who knows DSN, and he says so alone"""
        self.dsn("pat@secret.test", "SUCCESS")
        self.take("secret")
        fields, _ = self.told("mx.b.test")
        assert fields["Action"] == "delivered", fields.items()
        assert fields["Final-Recipient"] == "rfc822; pat@secret.test", fields.items()

    def lost(self) -> None:
        """the peer takes it and finds out that it cannot deliver: its notice has our ENVID and ORCPT"""
        self.dsn(f"kim@{LOST}", "FAILURE")
        fields, back = self.told(self.mta)
        assert fields["Action"] == "failed" and fields["Status"].startswith("5."), fields.items()
        assert back.get_content_type() == "message/rfc822", back.get_content_type()

    def headers(self) -> None:
        """the same with RET=HDRS: the header comes back"""
        self.dsn(f"kim@{LOST}", "FAILURE", "RET=HDRS")
        _, back = self.told(self.mta)
        assert back.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers"), back.get_content_type()
        assert BODY.strip() not in back.as_bytes(), back.as_bytes()

    def never(self) -> None:
        """the same with NOTIFY=NEVER: nobody is told"""
        before = self.losses()
        self.dsn(f"kim@{LOST}", "NEVER")
        until("a loss", lambda: self.losses() == before + 1)
        self.hop.settled()
        assert not self.a.take(self.pat)

    def losses(self) -> int:
        return len(re.findall(f"kim@{LOST}.*moved", self.peer.log()))


def main() -> None:
    tap = Tap()
    for name, make in PEERS.items():
        if sys.argv[2:] not in ([], [name]):
            continue
        if not unpacked(make.PACKAGE):
            tap.ok(False, f"{name} is here", f"tests/build/setup unpack:{make.PACKAGE} unpacks it")
        elif not can_be_root():
            tap.skip(name, "it runs in a tree of its own: that takes root, or sudo without a password")
        else:
            with NameServer({}) as names:
                hop = Hop(Path(sys.argv[1]).resolve(), make, names)
                try:
                    NextHop(tap, name, hop).run()
                finally:
                    hop.remove()
    tap.end()


if __name__ == "__main__":
    main()
