#!/usr/bin/env python3
"""The clients of others on one host, over loopback: whatever came in comes back the same, whoever reads it.
strangers.py BUILD HOST"""
import os
import re
import shutil
import signal
import smtplib
import sys
import tempfile
import time
from pathlib import Path

import clients
import generator
import imap
import mailbox
from host import HANG_S, Host, Mail
from hosts import kind_of
from tap import Tap

MIB = 1 << 20


class Strangers:
    def __init__(self, tap: Tap, name: str, host: Host, seed: int):
        self.tap, self.name, self.host, self.seed = tap, name, host, seed
        self.smtp, self.lmtp, self.pop3, self.imap = (host.ports[p] for p in ("smtp", "lmtp", "pop3", "imap"))

    def run(self) -> None:
        for check in (self.deliveries, self.smtp_source, self.large, self.flags, self.append, self.news, self.idle,
                      self.expunge, self.mbsync_reads, self.mbsync_writes, self.many):
            self.tap.run(f"{self.name}: {check.__doc__}", check)
            mailbox.empty(self.pop3)

    def same_for_all(self, sent: list[bytes], received=mailbox.same) -> None:
        """poplib, imaplib, curl by both, and mbsync read the same octets."""
        got = mailbox.read_all(self.pop3)
        assert len(got) == len(sent), f"{len(got)} of {len(sent)}"
        for one, message in zip(got, sent):
            received(one, message)
        assert imap.read_all(self.imap) == got, "imaplib read something else"
        imap.change_names(self.imap)
        client = imap.login(self.imap)
        uids = imap.ok(client.uid("SEARCH", "ALL"))[0].split()
        client.logout()
        for number, (uid, one) in enumerate(zip(uids, got), 1):
            assert mailbox.read_by_curl(self.pop3, number) == one, "curl by POP3 read something else"
            assert imap.read_by_curl(self.imap, int(uid)) == one, "curl by IMAP read something else"
        with self.maildir() as maildir:
            maildir.sync()
            assert maildir.messages() == got, "mbsync read something else"

    def maildir(self):
        return Scratch(self.imap)

    # ---- In ----

    def deliveries(self) -> None:
        """swaks, curl and smtplib deliver by SMTP, swaks and smtplib by LMTP; everybody reads the same octets"""
        sent = [clients.text(f"number {i}") for i in range(5)]
        clients.swaks(self.smtp, sent[0])
        clients.curl(self.smtp, sent[1])
        clients.by_smtplib(self.smtp, sent[2])
        clients.swaks(self.lmtp, sent[3], protocol="LMTP")
        with smtplib.LMTP("127.0.0.1", self.lmtp, local_hostname="client.remote.test", timeout=HANG_S) as client:
            client.sendmail(clients.SENDER, ["pat@here.test"], sent[4], mail_options=["BODY=8BITMIME"])
        self.same_for_all(sent)

    def smtp_source(self) -> None:
        """smtp-source delivers; everybody reads the same octets"""
        clients.by_smtp_source(self.smtp, 10, 3, 3000)
        self.same_for_all([b"X" * 80] * 10, lambda got, _: None)

    def large(self) -> None:
        """10 MiB, and an empty message"""
        sent = [clients.text("large", 10 * MIB), b"\r\n"]
        for message in sent:
            clients.by_smtplib(self.smtp, message)
        self.same_for_all(sent)

    # ---- imaplib ----

    def flags(self) -> None:
        """imaplib sets flags and keywords, and searches for them"""
        for i in range(4):
            clients.by_smtplib(self.smtp, clients.text(f"number {i}"))
        client = imap.login(self.imap)
        imap.ok(client.store("1,3", "+FLAGS", r"(\Flagged Later)"))
        imap.ok(client.store("2", "FLAGS.SILENT", r"(\Answered)"))
        imap.ok(client.store("3", "-FLAGS", r"(\Flagged)"))
        imap.ok(client.fetch("4", "(BODY[])"))
        for key, numbers in (("FLAGGED", b"1"), ("KEYWORD Later", b"1 3"), ("ANSWERED", b"2"), ("SEEN", b"4"),
                             ("UNFLAGGED", b"2 3 4"), ("UNKEYWORD Later UNSEEN", b"2"), ("NOT 2:3", b"1 4")):
            found = imap.ok(client.search(None, key))[0]
            assert found == numbers, f"{key}: {found}"
        client.logout()
        client = imap.login(self.imap)
        said = imap.ok(client.fetch("1:*", "(FLAGS)"))
        flags = [set(re.search(rb"FLAGS \(([^)]*)\)", line)[1].split()) - {rb"\Recent"} for line in said]
        assert flags == [{rb"\Flagged", b"Later"}, {rb"\Answered"}, {b"Later"}, {rb"\Seen"}], flags
        client.logout()

    def append(self) -> None:
        """imaplib appends with flags and a date; everybody reads the same octets"""
        sent = [clients.text("appended"), clients.text("appended, large", 3 * MIB)]
        client = imap.login(self.imap, select=None)
        when = '"17-Jul-1996 02:44:25 -0700"'
        for message in sent:
            said = imap.ok(client.append("INBOX", r"(\Seen Work)", when, message))
            assert b"APPENDUID" in said[0], said
        imap.ok(client.select())
        said = imap.ok(client.fetch("1:2", "(FLAGS INTERNALDATE)"))
        for line in said:
            assert b"17-Jul-1996 09:44:25 +0000" in line and rb"\Seen" in line and b"Work" in line, line
        client.logout()

        def exactly(got: bytes, message: bytes) -> None:
            assert got == message

        self.same_for_all(sent, exactly)

    def news(self) -> None:
        """what SMTP brings and POP3 deletes is told to who looks"""
        client = imap.login(self.imap)
        clients.by_smtplib(self.smtp, clients.text("news"))
        imap.ok(client.noop())
        assert client.untagged_responses.get("EXISTS", [None])[-1] == b"1", client.untagged_responses
        mailbox.empty(self.pop3)
        imap.ok(client.noop())
        assert client.untagged_responses.get("EXPUNGE", [None])[-1] == b"1", client.untagged_responses
        client.logout()

    def idle(self) -> None:
        """who waits in IDLE is told at once"""
        client = imap.login(self.imap)
        client.send(b"a IDLE\r\n")
        assert client.readline().startswith(b"+")
        clients.by_smtplib(self.smtp, clients.text("woken"))
        lines = [client.readline()]
        while b" EXISTS" not in lines[-1]:
            assert lines[-1] != b"", lines
            lines.append(client.readline())
        assert lines[-1] == b"* 1 EXISTS\r\n", lines
        client.send(b"DONE\r\n")
        while not lines[-1].startswith(b"a "):
            lines.append(client.readline())
        assert lines[-1].startswith(b"a OK"), lines
        client.logout()

    def expunge(self) -> None:
        """imaplib expunges; POP3 sees it, and a maildrop that is open says so"""
        sent = [clients.text(f"number {i}") for i in range(3)]
        for message in sent:
            clients.by_smtplib(self.smtp, message)
        pop3 = mailbox.login(self.pop3)
        client = imap.login(self.imap)
        imap.ok(client.store("2", "+FLAGS", r"(\Deleted)"))
        assert imap.ok(client.expunge()) == [b"2"]
        mailbox.same(b"".join(line + b"\r\n" for line in pop3.retr(3)[1]), sent[2])
        try:
            pop3.retr(2)
        except Exception as error:
            assert b"-ERR" in error.args[0], error
        else:
            raise AssertionError("what is gone was given")
        pop3.quit()
        client.logout()
        self.same_for_all([sent[0], sent[2]])

    # ---- mbsync ----

    def mbsync_reads(self) -> None:
        """mbsync fetches, and fetches only what is new"""
        first = [clients.text(f"first {i}") for i in range(20)]
        for message in first:
            clients.by_smtplib(self.smtp, message)
        with self.maildir() as maildir:
            maildir.sync()
            before = maildir.files()
            second = clients.text("second")
            clients.by_smtplib(self.smtp, second)
            maildir.sync()
            after = maildir.files()
            assert len(before) == 20 and after[:20] == before, "what was there was fetched again"
            for got, sent in zip(maildir.messages(), [*first, second]):
                mailbox.same(got, sent)

    def mbsync_writes(self) -> None:
        """flags, deletions and new messages go up by mbsync"""
        for i in range(3):
            clients.by_smtplib(self.smtp, clients.text(f"number {i}"))
        with self.maildir() as maildir:
            maildir.sync()
            one, two, three = maildir.files()
            one.rename(maildir.inbox / "cur" / (one.name.split(":")[0] + ":2,FS"))
            two.rename(maildir.inbox / "cur" / (two.name.split(":")[0] + ":2,T"))
            mine = clients.text("mine")
            (maildir.inbox / "new" / f"{time.time_ns()}.mine").write_bytes(mine.replace(b"\r\n", b"\n"))
            maildir.sync()
            client = imap.login(self.imap)
            said = imap.ok(client.fetch("1:*", "(FLAGS)"))
            client.logout()
            assert len(said) == 3 and rb"\Flagged" in said[0] and rb"\Seen" in said[0], said
            assert not re.search(rb"Flagged|Seen|Deleted", said[1]), said
            got = imap.read_all(self.imap)
            mailbox.same(got[0], clients.text("number 0"))
            mailbox.same(got[1], clients.text("number 2"))
            assert imap.without_mark(got[2]) == mine, got[2]
            maildir.sync()
            assert imap.read_all(self.imap) == got, "a second run changed something"

    def many(self) -> None:
        """500 messages by ten connections; everybody reads the same octets"""
        sent = generator.send(self.smtp, "pat@here.test", 500, 10, self.seed)
        got = mailbox.read_all(self.pop3)
        assert sorted(map(generator.mark_of, got)) == sorted(sent)
        for one in got:
            mailbox.same(one, sent[generator.mark_of(one)])
        client = imap.login(self.imap)
        by_imap = imap.literals(imap.ok(client.fetch("1:*", "(BODY.PEEK[])")))
        assert by_imap == got, "imaplib read something else"
        client.logout()
        with self.maildir() as maildir:
            maildir.sync()
            assert maildir.messages() == got, "mbsync read something else"


class Scratch:
    """A Maildir for the time of a check."""

    def __init__(self, port: int):
        self.where, self.port = Path(tempfile.mkdtemp(prefix="mbsync-")), port

    def __enter__(self) -> imap.Maildir:
        return imap.Maildir(self.where, self.port)

    def __exit__(self, *_) -> None:
        shutil.rmtree(self.where, ignore_errors=True)


def main(built: Path, name: str) -> None:
    tap, mail = Tap(), Mail()
    kind = kind_of(name, built, mail.path)
    for program in ("swaks", "curl", "mbsync"):
        tap.ok(shutil.which(program) is not None, f"{program} is here")
    tap.ok(clients.smtp_source() is not None, "smtp-source is here", "tests/build/setup unpack:postfix unpacks it")
    host = Host(kind.argv, kind.speaks, kind.env)
    try:
        Strangers(tap, name, host, int(os.environ.get("MAILSRV_SEED", 1))).run()
        tap.ok(host.end() == 0 and not re.search("Sanitizer|runtime error", host.said()), f"{name} ends", host.said())
    finally:
        host.end()
        mail.remove()
    tap.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that hosts end too
    main(Path(sys.argv[1]), sys.argv[2])
