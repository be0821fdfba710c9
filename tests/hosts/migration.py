#!/usr/bin/env python3
"""Mail moves in, out, and to a copy: import, export, backup; what clients keyed on stays.  migration.py BUILD"""
import imaplib
import os
import re
import sys
from pathlib import Path

import clients
import imap
import mailbox
from host import HANG_S, Host
from server import Server
from tap import Tap

ONE = b"From: a@remote.test\nSubject: one\n\nhello\nFrom here\n>From there\n"
TWO = b"Subject: two\r\n\r\nwith CRLF\r\n"
THREE = b"Subject: three\n\nwithout an end"


def crlf(octets: bytes) -> bytes:
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


def maildir(path: Path) -> Path:
    """As Dovecot leaves it."""
    for folder in (path, path / ".Sent.2026", path / ".Entw&APw-rfe", path / ".Drafts"):
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True)
    (path / "cur/1000.a.host:2,FS").write_bytes(ONE)
    os.utime(path / "cur/1000.a.host:2,FS", (1577934245, 1577934245))
    (path / "new/1001.b.host").write_bytes(TWO)
    (path / "cur/1002.c.host:2,Sab").write_bytes(THREE)
    (path / ".Sent.2026/cur/1.x.host:2,RS").write_bytes(ONE)
    for i in range(3):  # in no list
        (path / f".Drafts/cur/{i}.y.host:2,D").write_bytes(b"Subject: draft %d of them\n\n" % i)
    (path / "dovecot-uidlist").write_text(
        "3 V1234567 N20 G0123456789abcdef\n7 :1000.a.host\n9 W20 Pold-uidl :1001.b.host\n12 :1002.c.host:2,S\n")
    (path / ".Sent.2026/dovecot-uidlist").write_text("3 V99 N6\n5 :1.x.host\n")
    (path / "dovecot-keywords").write_text("0 Later\n1 $Forwarded\n")
    (path / "subscriptions").write_text("V\t2\n\nSent\t2026\nINBOX\n")
    return path


def look(host: Host, user: str = "pat") -> dict:
    """What a client sees: by mailbox UIDVALIDITY, and by UID flags, date and octets."""
    client = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=HANG_S)
    imap.ok(client.login(user, "secret"))
    seen = {}
    for line in imap.ok(client.list()):
        name = re.search(rb' "/" "?([^"]*)"?$', line)[1].decode()
        imap.ok(client.select(f'"{name}"', readonly=True))
        uids = imap.ok(client.uid("SEARCH", "ALL"))[0].split()
        rows = {}
        for uid in uids:
            said = imap.ok(client.uid("FETCH", uid.decode(), "(FLAGS INTERNALDATE BODY.PEEK[])"))[0]
            flags = set(re.search(rb"FLAGS \(([^)]*)\)", said[0])[1].split()) - {rb"\Recent"}
            rows[int(uid)] = (flags, re.search(rb'INTERNALDATE "([^"]*)"', said[0])[1], said[1])
        seen[name] = (int(client.response("UIDVALIDITY")[1][0]), rows)
    client.logout()
    return seen


def uses(host: Host, user: str = "pat") -> dict[str, set[str]]:
    """By mailbox its special uses (RFC 6154)."""
    client = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=HANG_S)
    imap.ok(client.login(user, "secret"))
    found = {}
    for line in imap.ok(client.list()):
        attributes, name = re.match(r'\(([^)]*)\) "/" "?([^"]*)"?$', line.decode()).groups()
        special = set(attributes.split()) & {"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"}
        found |= {name: special} if special else {}
    client.logout()
    return found


def subscribed(host: Host) -> set[str]:
    client = imap.login(host.ports["imap"])
    names = {re.search(rb'"?([^" ]*)"?$', line)[1].decode() for line in imap.ok(client.lsub()) if line}
    client.logout()
    return names


def comes_in(server: Server) -> None:
    """From a Maildir: UIDVALIDITY, UIDs, UIDLs, flags, keywords, dates, subscriptions, special uses and octets."""
    said = server.must("import", "pat", "--maildir", maildir(server.path / "theirs"))
    assert "7 messages imported" in said and "other UIDs" not in said, said
    host = server.start()
    seen = look(host)
    assert set(seen) == {"INBOX", "Sent/2026", "Entw&APw-rfe", "Drafts"}, set(seen)
    validity, rows = seen["INBOX"]
    assert validity == 1234567 and list(rows) == [7, 9, 12], (validity, list(rows))
    assert rows[7] == ({rb"\Flagged", rb"\Seen"}, b"02-Jan-2020 03:04:05 +0000", crlf(ONE)), rows[7]
    assert rows[9][0] == set() and rows[9][2] == TWO, rows[9]
    assert rows[12][0] == {rb"\Seen", b"Later", b"$Forwarded"} and rows[12][2] == crlf(THREE), rows[12]
    assert seen["Sent/2026"][0] == 99 and list(seen["Sent/2026"][1]) == [5], seen["Sent/2026"]
    assert subscribed(host) == {"INBOX", "Sent/2026"}, subscribed(host)
    assert list(seen["Drafts"][1]) == [1, 2, 3] and all(row[0] == {rb"\Draft"} for row in seen["Drafts"][1].values()), seen["Drafts"]
    assert uses(host) == {"Drafts": {"\\Drafts"}}, uses(host)
    uidls = mailbox.login(host.ports["pop3"]).uidl()[1]
    assert uidls[1] == b"2 old-uidl", uidls
    assert host.end() == 0, host.said()


def comes_again(server: Server) -> None:
    """Beside what is there UIDs are other ones, and that is told."""
    host = server.start()  # a running server does it
    said = server.must("import", "pat", "--maildir", server.path / "theirs")
    assert "7 messages imported" in said and "4 of them have other UIDs" in said, said
    seen = look(host)
    assert seen["INBOX"][0] == 1234567 and list(seen["INBOX"][1]) == [7, 9, 12, 13, 14, 15], seen["INBOX"]
    assert host.end() == 0, host.said()


def goes_out(server: Server) -> None:
    """Into a Maildir and mbox files, and from both back again."""
    host = server.start()
    client = imap.login(host.ports["imap"])
    imap.ok(client.xatom("CREATE", "Sent/Old", "(USE", "(\\Archive", "\\Sent))"))
    client.logout()
    before = look(host)
    server.must("export", "pat", "--maildir", server.path / "ours")
    server.must("export", "pat", "--mbox", server.path / "files")
    for user in ("ann", "sam"):
        server.must("user", "add", user, says="secret\n")
    server.must("import", "ann", "--maildir", server.path / "ours")
    after = look(host, "ann")
    assert after == before, after
    assert uses(host, "ann") == {"Drafts": {"\\Drafts"}, "Sent/Old": {"\\Archive", "\\Sent"}} == uses(host), uses(host, "ann")
    for path in sorted((server.path / "files").rglob("*.mbox")):
        name = str(path.relative_to(server.path / "files"))[:-5]
        server.must("import", "sam", "--mbox", path, "--mailbox", name)
    after = look(host, "sam")
    assert {name: box[0] for name, box in after.items() if box[1]} == {name: box[0] for name, box in before.items() if box[1]}
    for name, (_, rows) in before.items():
        for uid, (flags, date, octets) in rows.items():
            ended = octets if octets.endswith(b"\n") else octets + b"\r\n"
            assert after[name][1][uid] == (flags, date, ended), (name, uid, after[name][1][uid])
    assert host.end() == 0, host.said()


def structures(server: Server) -> None:
    """What comes in by import has its structure, as what is delivered has: nobody reads it again for that."""
    host = server.start()
    subject, delivered = b"once in the message", b"Subject: as delivered\r\n\r\ntext\r\n"
    (server.path / "one.mbox").write_bytes(b"From a@remote.test\nSubject: " + subject + b"\n\ntext\n")
    server.must("import", "pat", "--mbox", server.path / "one.mbox")
    clients.by_smtplib(host.ports["smtp"], delivered)
    assert host.end() == 0, host.said()
    kept = b"".join(path.read_bytes() for path in (server.data / "store").glob("*.log"))
    assert kept.count(b"as delivered") == kept.count(subject) == 2, (kept.count(b"as delivered"), kept.count(subject))


def mistakes(server: Server) -> None:
    (server.path / "no.mbox").write_text("Subject: no\n\n")
    for command, what in ((("import", "pat", "--maildir", server.path / "nowhere"), "expected a Maildir"),
                          (("import", "pat", "--mbox", server.path / "nowhere"), "No such file"),
                          (("import", "pat", "--mbox", server.path / "no.mbox"), 'begins with "From "'),
                          (("import", "kate", "--maildir", server.path / "theirs"), "kate@here.test: does not exist"),
                          (("export", "kate", "--mbox", server.path / "files"), "kate@here.test: does not exist"),
                          (("export", "pat", "--mbox", server.config / "x"), "not all could be written"),
                          (("backup", server.path / "theirs"), "theirs: expected a directory that is empty")):
        status, _, said = server.does(*command)
        assert status == 1 and what in said, f"{command}: {status} {said}"


def copied(server: Server) -> None:
    """A copy of a running server is served, with its users; UIDs stay, UIDVALIDITY does not."""
    host = server.start()
    clients.by_smtplib(host.ports["smtp"], clients.text("before the copy"))
    before = look(host)
    server.must("backup", server.path / "copy")
    clients.by_smtplib(host.ports["smtp"], clients.text("after the copy"))
    assert host.end() == 0, host.said()
    other = Server(server.program.parents[2], server.path / "elsewhere")
    other.configure(data=server.path / "copy")
    assert "0 faults" in other.must("doctor")
    assert other.must("user", "list") == server.must("user", "list")
    host = other.start()
    after = look(host)
    assert {name: box[1] for name, box in after.items()} == {name: box[1] for name, box in before.items()}
    assert all(after[name][0] > box[0] for name, box in before.items()), (before.keys(), after.keys())
    assert host.end() == 0, host.said()


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    try:
        (server.path / "elsewhere").mkdir()
        server.add_users()
        for check in (comes_in, comes_again, goes_out, structures, mistakes, copied):
            tap.run(check.__doc__ or check.__name__, check, server)
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
