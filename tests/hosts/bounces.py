#!/usr/bin/env python3
"""What a sender is told of mail that mailserverd cannot deliver: to each way of failing belongs one notice, which says
what RFC 3464 asks for, and which programs of others read; and nobody is told who must not be.  bounces.py BUILD"""
import email
from pathlib import Path

import bounce
from bounce import Notice
from dns_server import NameServer
from liar import OK, Liar, once
from peers import message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, unpacked

NOBODY, FULL, SPAM = b"550 5.1.1 nobody here\r\n", b"452 4.2.2 it is full\r\n", b"554 5.7.1 no spam\r\n"
BODY = b"Hello\r\n.dot\r\n"
EIGHT_BITS = "päivää\r\n".encode()
ONLY_SEVEN = b"250-liar.test\r\n250 PIPELINING\r\n"


class Bounces:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.names, self.built, self.port = tap, names, built, free_port()
        self.liars: list[Liar] = []
        self.flufl = bounce.has_flufl()
        out = {"out": {"host": f"mx:{self.port}"}}
        self.a = Sender(built, "a.test", names.port, routes=out, relay_networks="127.0.0.0/8")
        self.hasty = Sender(built, "hasty.test", names.port, routes=out, queue={"expire": "3s", "delay_notice": "1s"})
        self.pat = self.a.users[0]

    def run(self) -> None:
        for one in (self.a, self.hasty):
            one.start()
        for check in (self.no_domain, self.null_mx, self.recipient, self.message, self.mixed, self.remote, self.never,
                      self.headers, self.large, self.relayed, self.of_notice, self.eight_bits, self.expired,
                      self.unreachable):
            self.tap.run(check.__doc__, check)
        for one in (self.a, self.hasty):
            self.tap.run(f"{one.domain} ends", one.end)

    def remove(self) -> None:
        for one in (self.a, self.hasty):
            if self.tap.bad:
                print("".join(f"# {line}\n" for line in one.log().splitlines()[-40:] if " imap " not in line), end="")
            one.remove()
        for liar in self.liars:
            liar.close()

    def liar(self, domain: str, **deeds: object) -> Liar:
        """The mail exchanger of a new domain."""
        at = f"127.0.2.{len(self.liars) + 1}"
        self.names.zone |= zone_of(domain, at=at)
        self.liars.append(Liar(host=at, port=self.port))
        self.liars[-1].always = deeds
        return self.liars[-1]

    # ---- What comes back ----

    def told(self, sender: Sender | None = None) -> Notice:
        """The one notice in the sender's INBOX."""
        sender = sender or self.a
        (octets,) = sender.arrived()
        sender.emptied()
        assert octets.startswith(b"Return-Path: <>\r\n"), octets
        return self.read(octets, sender.domain, sender.users[0])

    def read(self, octets: bytes, domain: str, to: str) -> Notice:
        notice = Notice(octets, f"mx.{domain}", to)
        fields = [fields for fields in notice.recipients.values() if fields["Action"] == "failed"]
        failed = {(one["Original-Recipient"] or one["Final-Recipient"]).split("; ")[1] for one in fields}
        if failed:
            assert set(bounce.by_perl(octets)) == failed, (bounce.by_perl(octets), octets)
            assert not self.flufl or set(bounce.by_flufl(self.flufl, octets)) == failed, octets
        return notice

    def says(self, notice: Notice, address: str, action: str, status: str, code: str | None = None,
             host: str | None = None) -> None:
        fields = notice.recipients[address]
        assert (fields["Action"], fields["Status"]) == (action, status), fields.items()
        assert fields["Remote-MTA"] == (f"dns; {host}" if host else None), fields.items()
        if code:
            assert fields["Diagnostic-Code"] == f"smtp; {code.strip()}", fields.items()
            assert code.strip() in notice.text.get_payload(), notice.text.get_payload()

    def sent(self, name: str, to: str, size: int = 1, **more: object) -> bytes:
        octets = message(name, BODY * size, self.pat)
        self.a.send(octets, to, **more)
        return octets

    # ---- Ways of failing ----

    def no_domain(self) -> None:
        """a domain that there is not"""
        sent = self.sent("no domain", "kim@nowhere.test")
        notice = self.told()
        self.says(notice, "kim@nowhere.test", "failed", "5.1.2")
        notice.is_whole(sent)

    def null_mx(self) -> None:
        """a domain that takes no mail (null MX): at once, and no address is looked up (T57)"""
        self.names.zone["null.test"] = {"MX": ["0 ."], "A": ["127.0.0.1"]}
        sent = self.sent("null MX", "kim@null.test")
        notice = self.told()
        self.says(notice, "kim@null.test", "failed", "5.1.10")
        notice.is_whole(sent)
        assert {kind for name, kind in self.names.asked if name == "null.test"} == {"MX"}, self.names.asked

    def recipient(self) -> None:
        """a recipient who is refused"""
        liar = self.liar("r.test", RCPT=NOBODY)
        sent = self.sent("recipient", "kim@r.test")
        notice = self.told()
        self.says(notice, "kim@r.test", "failed", "5.1.1", NOBODY.decode(), "mx.r.test")
        notice.is_whole(sent)
        assert len(liar.calls) == 1 and not liar.taken, liar.calls

    def message(self) -> None:
        """a message that is refused, in a reply of several lines, with an id, for two"""
        text = b"554-5.7.1 no\r\n554-5.7.1 spam, please,\r\n554 5.7.1 of any kind\r\n"
        self.liar("m.test", dot=text)
        sent = message("message", BODY, self.pat)
        self.a.send(sent, "kim@m.test", "lee@m.test", mail=["ENVID=QQ314159"])
        notice = self.told()
        for address in ("kim@m.test", "lee@m.test"):
            self.says(notice, address, "failed", "5.7.1", host="mx.m.test")
            said = " ".join(notice.recipients[address]["Diagnostic-Code"].split())
            assert said == "smtp; 554 5.7.1 no spam, please, of any kind", said
        assert notice.message["Original-Envelope-Id"] == "QQ314159", notice.message.items()
        notice.is_whole(sent)

    def mixed(self) -> None:
        """one message, of whose recipients some get it, once, at last, others never: one notice (T54)"""
        liar = self.liar("x.test", RCPT={b"bad@x.test": NOBODY, b"worse@x.test": SPAM, b"late@x.test": once(FULL, OK)})
        sent = message("mixed", BODY, self.pat)
        self.a.send(sent, "ok@x.test", "bad@x.test", "late@x.test", "worse@x.test")
        notice = self.told()
        assert set(notice.recipients) == {"bad@x.test", "worse@x.test"}, notice.recipients
        self.says(notice, "bad@x.test", "failed", "5.1.1", NOBODY.decode(), "mx.x.test")
        self.says(notice, "worse@x.test", "failed", "5.7.1", SPAM.decode(), "mx.x.test")
        assert [taken.to for taken in liar.taken] == [[b"ok@x.test"], [b"late@x.test"]], liar.taken
        assert all(taken.octets.endswith(sent) for taken in liar.taken)

    def remote(self) -> None:
        """a sender of another domain: the notice goes there, with the null reverse-path"""
        self.liar("gone.test", RCPT=NOBODY)
        home = self.liar("home.test")
        sent = message("remote", BODY, "lee@home.test")
        self.a.send(sent, "kim@gone.test", sender="lee@home.test", listener="mx")
        self.a.emptied()
        (taken,) = home.taken
        assert (taken.sender, taken.to) == (b"", [b"lee@home.test"]), taken
        notice = self.read(taken.octets, "a.test", "lee@home.test")
        self.says(notice, "kim@gone.test", "failed", "5.1.1", NOBODY.decode(), "mx.gone.test")
        notice.is_whole(sent)

    # ---- What a sender wants to hear (RFC 3461) ----

    def never(self) -> None:
        """NOTIFY=NEVER: nobody is told (T60)"""
        liar = self.liar("never.test", RCPT=NOBODY)
        self.sent("never", "kim@never.test", rcpt=["NOTIFY=NEVER"])
        self.a.emptied()
        assert liar.calls and not self.a.take(self.pat)

    def headers(self) -> None:
        """RET=HDRS, ENVID, ORCPT: the header comes back, and both names (T60)"""
        self.liar("h.test", RCPT=NOBODY)
        sent = self.sent("headers", "kim@h.test", mail=["RET=HDRS", "ENVID=q1"], rcpt=["ORCPT=rfc822;lee+2Bx@h.test"])
        notice = self.told()
        self.says(notice, "kim@h.test", "failed", "5.1.1", NOBODY.decode(), "mx.h.test")
        assert notice.message["Original-Envelope-Id"] == "q1", notice.message.items()
        assert notice.recipients["kim@h.test"]["Original-Recipient"] == "rfc822; lee+x@h.test", notice.recipients
        notice.is_header(sent)

    def large(self) -> None:
        """of a large message the header comes back"""
        self.liar("large.test", dot=SPAM)
        sent = self.sent("large", "kim@large.test", 10000)
        self.told().is_header(sent)

    def relayed(self) -> None:
        """NOTIFY=SUCCESS, and the other server has no DSN: relayed (T60)"""
        liar = self.liar("s.test")
        self.sent("success", "kim@s.test", rcpt=["NOTIFY=SUCCESS"])
        notice = self.told()
        fields = notice.recipients["kim@s.test"]
        assert fields["Action"] == "relayed" and fields["Status"].startswith("2."), fields.items()
        assert len(liar.taken) == 1

    def of_notice(self) -> None:
        """mail with the null reverse-path that fails: nobody is told (RFC 5321 section 6.1)"""
        liar = self.liar("n.test", RCPT=NOBODY)
        self.a.send(message("notice", BODY, "mailer-daemon@n.test"), "kim@n.test", sender="", listener="mx")
        self.a.emptied()
        assert liar.calls and not self.a.take(self.pat)

    # ---- By policy ----

    def reload(self, **queue: str) -> None:
        self.a.queue |= queue
        self.a.configure()
        self.a.reload()

    def eight_bits(self) -> None:
        """a server without 8BITMIME: the message is converted, or comes back; a reload changes which"""
        liar, sent = self.liar("seven.test", EHLO=ONLY_SEVEN), message("eight bits", EIGHT_BITS, self.pat)
        self.converts(liar, sent)
        self.reload(downgrade="no")
        self.a.send(sent, "kim@seven.test")
        notice = self.told()
        self.says(notice, "kim@seven.test", "failed", "5.6.3", "554 5.6.3 the server has no 8BITMIME", "mx.seven.test")
        notice.is_whole(sent)
        assert not liar.taken, liar.taken
        self.reload(downgrade="yes")
        self.converts(liar, sent)
        assert "the queue is as it was" not in self.a.log(), "it needs no restart"

    def converts(self, liar: Liar, sent: bytes) -> None:
        self.a.send(sent, "kim@seven.test")
        self.a.emptied()
        (taken,), liar.taken = liar.taken, []
        assert taken.octets.isascii() and email.message_from_bytes(taken.octets).get_payload(decode=True) == EIGHT_BITS, taken
        assert not self.a.take(self.pat)

    # ---- Too long ----

    def of_hasty(self, name: str, to: str) -> tuple[bytes, Notice, Notice]:
        """The two notices of mail that waits, and then is given up."""
        sent = message(name, BODY, self.hasty.users[0])
        self.hasty.send(sent, to)
        delayed, failed = (self.read(octets, "hasty.test", self.hasty.users[0]) for octets in self.hasty.arrived(2))
        self.hasty.emptied()
        assert delayed.recipients[to]["Will-Retry-Until"], delayed.octets
        assert delayed.action() == "delayed" and failed.action() == "failed", (delayed.octets, failed.octets)
        return sent, delayed, failed

    def expired(self) -> None:
        """refused for now until it is given up: the sender hears that it waits, and then that it failed"""
        liar = self.liar("e.test", RCPT=FULL)
        sent, delayed, failed = self.of_hasty("expired", "kim@e.test")
        self.says(delayed, "kim@e.test", "delayed", "4.2.2", FULL.decode(), "mx.e.test")
        self.says(failed, "kim@e.test", "failed", "5.4.7", FULL.decode(), "mx.e.test")
        failed.is_whole(sent)
        said = b"".join(line for call in liar.calls for line in call.said)
        assert said.count(b"RCPT TO:") >= 2 and not liar.taken, said

    def unreachable(self) -> None:
        """nobody listens there until it is given up"""
        self.names.zone |= zone_of("u.test", at="127.0.2.250")
        _, delayed, failed = self.of_hasty("unreachable", "kim@u.test")
        assert delayed.recipients["kim@u.test"]["Status"].startswith("4.4."), delayed.octets
        assert failed.recipients["kim@u.test"]["Status"] in ("4.4.1", "5.4.7", "4.4.7"), failed.octets


def main() -> None:
    tap = Tap()
    if not unpacked(bounce.PARSER):
        tap.ok(False, "BounceParser is here", f"tests/build/setup unpack:{bounce.PARSER} unpacks it")
        tap.end()
    run_with_names(tap, Bounces)


if __name__ == "__main__":
    main()
