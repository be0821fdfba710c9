#!/usr/bin/env python3
"""The clients that people use, against mailserverd as it ships: TLS, logins, submission.  Whatever goes in by one comes
back the same by the others.  real.py BUILD"""
import imaplib
import json
import os
import poplib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import clients
from host import HANG_S, ROOT, Host
from server import Server, listener
from tap import Tap

NAMES = ["mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"]
PASSWORD = "secret"


def secured(name: str) -> str:
    protocol = name.removesuffix("s")
    tls = "implicit" if name.endswith("s") else "starttls"
    return f"[listener {name}]\nprotocol = {protocol}\naddress = 127.0.0.1:0\ntls = {tls}\n"


class Real:
    """A server, and a home for the clients."""

    def __init__(self, built: Path):
        self.server = Server(built)
        self.path = self.server.path
        tls = self.server.certify("localhost", more=["IP:127.0.0.1"])
        self.cert = self.path / "localhost.pem"
        self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a name server that says nothing: nothing goes out
        self.names.bind(("127.0.0.1", 0))
        queue = f"[queue]\ndns = 127.0.0.1:{self.names.getsockname()[1]}\n"
        self.server.configure(tls, queue, *map(secured, NAMES))
        self.server.add_users({"pat": PASSWORD, "kim": PASSWORD})
        self.host = Host(self.server.argv("serve"), NAMES)
        self.ports = self.host.ports
        self.context = ssl.create_default_context(cafile=str(self.cert))
        self.env = os.environ | {"HOME": str(self.path), "SSL_CERT_FILE": str(self.cert)}

    def run(self, *argv: object, says: bytes = b"", fine: tuple = (0,)) -> str:
        done = subprocess.run([str(a) for a in argv], input=says, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=HANG_S, env=self.env, cwd=self.path)
        said = done.stdout.decode(errors="replace")
        assert done.returncode in fine, f"{argv[0]} ended with {done.returncode}:\n{said}"
        return said

    def file(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    # ---- What is there, by Python's clients ----

    def imap(self, user: str = "pat") -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.context, timeout=HANG_S)
        client.login(user, PASSWORD)
        assert client.select()[0] == "OK"
        return client

    def received(self, user: str = "pat") -> list[bytes]:
        client = self.imap(user)
        there = client.search(None, "ALL")[1] != [b""]
        status, data = client.fetch("1:*", "(BODY.PEEK[])") if there else ("OK", [])
        client.logout()
        assert status == "OK"
        return [part[1] for part in data if isinstance(part, tuple)]

    def empty(self) -> None:
        for user in ("pat", "kim"):
            client = self.imap(user)
            if client.search(None, "ALL")[1] != [b""]:
                client.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
                client.expunge()
            for line in client.list()[1]:
                name = re.search(rb'"?([^" ]*)"?$', line)[1].decode()
                if name != "INBOX":
                    client.delete(name)
            client.logout()

    def arrived(self, subject: str, user: str = "pat") -> bytes:
        (message,) = self.received(user)
        assert re.search(rb"(?m)^Subject: " + subject.encode() + rb"\r$", message), message
        return message

    def put(self, n: int, user: str = "pat") -> list[bytes]:
        """So many messages by smtplib."""
        sent = [clients.text(f"number {i}") for i in range(n)]
        for message in sent:
            with smtplib.SMTP("127.0.0.1", self.ports["mx"], "client.remote.test", HANG_S) as client:
                client.sendmail(clients.SENDER, [f"{user}@here.test"], message, mail_options=["BODY=8BITMIME"])
        return sent

    # ---- In ----

    def smtplib_sends(self) -> None:
        """smtplib: STARTTLS and 465"""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "kim@here.test", "pat@here.test", "by smtplib"
        message.set_content("Hello\n.\n")
        with smtplib.SMTP("localhost", self.ports["submission"], timeout=HANG_S) as client:
            client.starttls(context=self.context)
            client.login("kim", PASSWORD)
            client.send_message(message)
        self.arrived("by smtplib")
        with smtplib.SMTP_SSL("localhost", self.ports["submissions"], context=self.context, timeout=HANG_S) as client:
            client.login("kim@here.test", PASSWORD)
            client.send_message(message)
        assert len(self.received()) == 2

    def smtplib_is_refused(self) -> None:
        """smtplib: without a login, before TLS, as somebody else; to other domains without a login"""
        with smtplib.SMTP("localhost", self.ports["submission"], timeout=HANG_S) as client:
            client.ehlo()
            assert not {"PLAIN", "LOGIN"} & set(client.esmtp_features.get("auth", "").split()), client.esmtp_features
            assert client.mail("kim@here.test")[0] == 530
            client.starttls(context=self.context)
            client.ehlo()
            assert client.mail("kim@here.test")[0] == 530
            client.login("kim", PASSWORD)
            assert client.mail("pat@here.test")[0] == 550
        with smtplib.SMTP("localhost", self.ports["mx"], timeout=HANG_S) as client:
            client.ehlo()
            assert client.mail("kim@here.test")[0] == 250
            code, text = client.rcpt("a@elsewhere.test")
            assert code == 550 and text.startswith(b"5.7.1 "), (code, text)
        assert self.received() == [] and self.queued() == []

    def smtplib_sends_elsewhere(self) -> None:
        """smtplib: with a login to another domain is queued, as it came"""
        message = b"From: kim@here.test\r\nTo: a@elsewhere.test\r\nSubject: elsewhere\r\n\r\nHello\r\n"
        with smtplib.SMTP("localhost", self.ports["submission"], timeout=HANG_S) as client:
            client.starttls(context=self.context)
            client.login("kim", PASSWORD)
            client.sendmail("kim@here.test", ["a@elsewhere.test"], message)
        (waiting,) = self.queued()
        assert (waiting["from"], waiting["to"]) == ("kim@here.test", "a@elsewhere.test"), waiting
        assert waiting["octets"] > len(message), waiting
        assert self.server.must("queue", "drop", "--all") == "1\n" and self.queued() == []

    def queued(self) -> list[dict]:
        return [json.loads(line) for line in self.server.must("queue", "list", "--json").splitlines()]

    def swaks_sends(self) -> None:
        """swaks: STARTTLS and TLS at once, PLAIN and LOGIN"""
        for i, (port, tls, how) in enumerate((("submission", "--tls", "PLAIN"), ("submission", "--tls", "LOGIN"),
                                              ("submissions", "--tlsc", "PLAIN"))):
            self.run("swaks", "--server", "127.0.0.1", "--port", self.ports[port], tls, "--auth", how, "--auth-user", "kim",
                     "--auth-password", PASSWORD, "--from", "kim@here.test", "--to", "pat@here.test")
            assert len(self.received()) == i + 1

    def msmtp_sends(self) -> None:
        """msmtp: STARTTLS and 465, every mechanism that it has"""
        n = 0
        for port, starttls in (("submission", "on"), ("submissions", "off")):
            for how in ("plain", "login", "scram-sha-1", "scram-sha-256", "on"):
                config = self.file("msmtprc", f"""
account default
host localhost
port {self.ports[port]}
from kim@here.test
user kim
password {PASSWORD}
auth {how}
tls on
tls_starttls {starttls}
tls_trust_file {self.cert}
""")
                self.run("msmtp", "-C", config, "pat@here.test", says=b"Subject: by msmtp\n\nHello\n.\n")
                n += 1
        got = self.received()
        assert len(got) == n and all(one.endswith(b"\r\n\r\nHello\r\n.\r\n") for one in got), got

    def curl_sends_and_reads(self) -> None:
        """curl: smtp and smtps, imap and imaps, pop3 and pop3s"""
        message = b"From: kim@here.test\r\nTo: pat@here.test\r\nSubject: by curl\r\nDate: Thu, 26 Nov 2026 00:00:00 +0000\r\n" \
                  b"Message-ID: <curl@here.test>\r\n\r\n.\r\n..\r\nHello\r\n"
        file = self.path / "curl.eml"
        file.write_bytes(message)
        by = ["curl", "-sS", "--cacert", self.cert, "--ssl-reqd", "--user"]
        for scheme, port in (("smtp", "submission"), ("smtps", "submissions")):
            self.run(*by, f"kim:{PASSWORD}", f"{scheme}://localhost:{self.ports[port]}/client.test", "--mail-from",
                     "kim@here.test", "--mail-rcpt", "pat@here.test", "--upload-file", file)
        got = self.received()
        assert len(got) == 2 and all(one.endswith(message) for one in got), got
        for scheme, path in (("imap", "INBOX;UID={}"), ("imaps", "INBOX;UID={}"), ("pop3", "{}"), ("pop3s", "{}")):
            first = int(self.uids()[0]) if "UID" in path else 1
            done = subprocess.run([*map(str, by), f"pat:{PASSWORD}",
                                   f"{scheme}://localhost:{self.ports[scheme]}/{path.format(first)}"],
                                  capture_output=True, timeout=HANG_S, env=self.env)
            assert done.returncode == 0 and done.stdout == got[0], (scheme, done.stderr, done.stdout)
        for keys, found in (('BODY hello HEADER Message-ID "<curl@"', " 1 2"), ("NOT BODY hello", "")):
            said = self.run(*by, f"pat:{PASSWORD}", f"imaps://localhost:{self.ports['imaps']}/INBOX", "-X", f"SEARCH {keys}")
            assert said == f"* SEARCH{found}\r\n", (keys, said)

    def uids(self) -> list[bytes]:
        client = self.imap()
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        client.logout()
        return uids

    # ---- Out ----

    def poplib_reads(self) -> None:
        """poplib: STLS and 995; capabilities, UIDL, TOP, deletion"""
        sent = self.put(3)
        client = poplib.POP3("localhost", self.ports["pop3"], timeout=HANG_S)
        assert "STLS" in client.capa() and "USER" not in client.capa()
        client.stls(context=self.context)
        assert "USER" in client.capa() and "SASL" in client.capa()
        client.user("pat")
        client.pass_(PASSWORD)
        assert len(set(client.uidl()[1])) == 3
        assert b"".join(line + b"\r\n" for line in client.retr(2)[1]).endswith(sent[1])
        assert client.top(1, 0)[1][-1] == b""
        client.dele(1)
        client.quit()
        client = poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.context, timeout=HANG_S)
        client.user("pat")
        client.pass_(PASSWORD)
        assert client.stat()[0] == 2
        client.quit()

    def imaplib_reads(self) -> None:
        """imaplib: STARTTLS; AUTHENTICATE, mailboxes, flags, APPEND, COPY, SEARCH"""
        self.put(3)
        client = imaplib.IMAP4("localhost", self.ports["imap"], timeout=HANG_S)
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(self.context)
        client.authenticate("PLAIN", lambda _: b"\0pat\0" + PASSWORD.encode())
        client.select()
        for name in ("Sent", "Work/Old"):
            assert client.create(name)[0] == "OK"
        assert client.append("Sent", r"(\Seen)", imaplib.Time2Internaldate(0), b"Subject: mine\r\n\r\nHello\r\n")[0] == "OK"
        assert client.copy("1:2", "Work/Old")[0] == "OK" and client.rename("Work/Old", "Work/New")[0] == "OK"
        assert client.status("Work/New", "(MESSAGES UNSEEN)")[1][0].endswith(b"(MESSAGES 2 UNSEEN 2)")
        kind, data = client.fetch("1", "(ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert kind == "OK" and b'"number 0"' in data[0][0] and data[0][1] == b"Subject: number 0\r\n\r\n", data
        for keys, found in (('SUBJECT "1"', b"2"), ('TEXT "EIGHT bits"', b"1 2 3"), ('BODY "number"', b""),
                            ('OR FROM kim NOT BODY bits', b"1 2 3"), ('NOT HEADER Subject "number 1"', b"1 3"),
                            ('SENTSINCE 1-Jan-1990', b""), ('SINCE 1-Jan-1990 SUBJECT 2 SMALLER 1000', b"3")):
            assert client.search(None, keys) == ("OK", [found]), (keys, client.search(None, keys))
        client.literal = "Ä".encode()
        assert client.uid("SEARCH", "CHARSET", "UTF-8", "BODY")[1] == client.uid("SEARCH", "ALL")[1]
        client.logout()

    def fetchmail_reads(self) -> None:
        """fetchmail: by POP3S and by IMAPS, and what it fetched is gone"""
        for protocol, port in (("pop3", "pop3s"), ("imap", "imaps"), ("pop3", "pop3"), ("imap", "imap")):
            sent = self.put(3)
            tls = "ssl" if port.endswith("s") else "sslproto tls1.2+"
            got = self.path / f"fetched-{port}"
            config = self.file("fetchmailrc", f"""
poll localhost protocol {protocol} port {self.ports[port]}
  user "pat" password "{PASSWORD}" {tls} sslcertck sslcertfile "{self.cert}" fetchall
  mda "cat >> '{got}'; echo ==== >> '{got}'"
""")
            self.run("fetchmail", "-f", config, "--invisible", "--nosyslog", "--idfile", self.path / "fetchids", "--pidfile",
                     self.path / "fetchmail.pid")
            parts = got.read_bytes().split(b"====\n")[:-1]
            assert len(parts) == 3, parts
            for one, message in zip(parts, sent):
                assert one.replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n")), one
            assert self.received() == []

    def getmail_reads(self) -> None:
        """getmail: by POP3S and IMAPS, and only what is new"""
        for kind in ("POP3SSL", "IMAPSSL"):
            self.empty()
            home = self.path / f"getmail-{kind}"
            maildir = home / "maildir"
            for part in ("cur", "new", "tmp"):
                (maildir / part).mkdir(parents=True)
            port = self.ports["pop3s" if kind == "POP3SSL" else "imaps"]
            (home / "getmailrc").write_text(f"""
[retriever]
type = Simple{kind}Retriever
server = localhost
port = {port}
username = pat
password = {PASSWORD}
ca_certs = {self.cert}
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > {maildir}/new/$(date +%s%N)")
allow_root_commands = true
unixfrom = false
[options]
read_all = false
delivered_to = false
received = false
""")
            sent = self.put(2)
            for n in (2, 2, 3):
                self.run("getmail", "--getmaildir", home, "--rcfile", "getmailrc")
                files = sorted((maildir / "new").iterdir())
                assert len(files) == n, (kind, files)
                if n == 2 and len(sent) == 2 and files:
                    last = self.put(1) if self.again(kind) else None
                    sent += last or []
            for message in sent:
                body = message.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]  # it adds a field of its own
                assert any(f.read_bytes().split(b"\n\n", 1)[1] == body for f in (maildir / "new").iterdir()), body

    seen: set = set()

    def again(self, kind: str) -> bool:
        """True at the second time: a run without anything new comes first."""
        if kind in self.seen:
            return True
        self.seen.add(kind)
        return False

    def two_way(self, sync, root: Path, inbox: Path) -> None:
        """Both sides change; after it the next run changes nothing."""
        self.put(4)
        sync()
        files = sorted(f for part in ("cur", "new") for f in (inbox / part).iterdir())
        assert len(files) == 4, files
        (inbox / "new" / "1.mine").write_bytes(b"Subject: mine\n\nHello\n")
        files[0].unlink()
        client = self.imap()
        client.store("2", "+FLAGS", r"(\Flagged)")
        client.create("Made")
        client.copy("3", "Made")
        client.logout()
        sync()
        client = self.imap()
        subjects = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        client.logout()
        text = b"".join(b" ".join(part) for part in subjects if isinstance(part, tuple))
        assert text.count(b"Subject:") == 4 and b"mine" in text and text.count(rb"\Flagged") == 1, text
        state = lambda: {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()
                         and f.parent.name in ("cur", "new")}
        before, modseq = state(), self.modseq()
        sync()
        assert state() == before and self.modseq() == modseq, "the next run changed something"

    def modseq(self) -> list:
        """Of every mailbox: what a change would raise."""
        client = self.imap()
        names = [re.search(rb'"?([^" ]*)"?$', line)[1].decode() for line in client.list()[1]]
        got = [client.status(name, "(MESSAGES UIDNEXT UNSEEN UIDVALIDITY)")[1] for name in names]
        client.logout()
        return got

    def mbsync_two_way(self) -> None:
        """mbsync: both ways over IMAPS, and again"""
        root = self.path / "mbsync"
        root.mkdir()
        config = self.file("mbsyncrc", f"""
IMAPStore far
Host localhost
Port {self.ports['imaps']}
User pat
Pass {PASSWORD}
SSLType IMAPS
CertificateFile {self.cert}

MaildirStore near
Path {root}/
Inbox {root}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
        self.two_way(lambda: self.run("mbsync", "-c", config, "all"), root, root / "INBOX")

    def offlineimap_two_way(self) -> None:
        """offlineimap3: both ways over IMAPS, and again"""
        root = self.path / "offline"
        config = self.file("offlineimaprc", f"""
[general]
accounts = test
metadata = {self.path}/offline-meta
ui = quiet
[Account test]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {root}
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {self.ports['imaps']}
remoteuser = pat
remotepass = {PASSWORD}
ssl = yes
sslcacertfile = {self.cert}
""")
        self.two_way(lambda: self.run("offlineimap", "-o", "-c", config), root, root / "INBOX")

    def neomutt_reads_and_sends(self) -> None:
        """neomutt in batch: sends by 465 with a file beside it, saves from IMAPS"""
        attached = self.path / "attached.txt"
        attached.write_text("attached\n")
        config = self.file("muttrc", f"""
set from = "kim@here.test"
set smtp_url = "smtps://kim@localhost:{self.ports['submissions']}"
set smtp_pass = "{PASSWORD}"
set imap_user = "pat"
set imap_pass = "{PASSWORD}"
set certificate_file = "{self.cert}"
set ssl_ca_certificates_file = "{self.cert}"
set copy = no
set quit = yes
set delete = yes
set confirmappend = no
set confirmcreate = no
set wait_key = no
set mbox_type = Maildir
""")
        self.run("neomutt", "-n", "-F", config, "-s", "by neomutt", "-a", attached, "--", "pat@here.test", says=b"Hello\n")
        message = self.arrived("by neomutt")
        assert b"multipart/mixed" in message and b"attached" in message
        client = self.imap()
        structure = client.fetch("1", "(BODYSTRUCTURE)")[1][0]
        client.logout()
        assert b'"attached.txt"' in structure and b'"MIXED"' in structure.upper(), structure
        saved = self.path / "saved"
        command = f"<tag-pattern>~A<enter><tag-prefix><copy-message>{saved}<enter><quit>"
        self.run("script", "-qec", f"TERM=xterm neomutt -n -F {config} -f imaps://localhost:{self.ports['imaps']}/INBOX"
                 f" -e 'push \"{command}\"'", "/dev/null", fine=(0, 1))
        files = [f for part in ("cur", "new") for f in (saved / part).iterdir()] if saved.is_dir() else []
        assert len(files) == 1 and b"Subject: by neomutt" in files[0].read_bytes(), files

    def nodemailer_and_imapflow(self) -> None:
        """nodemailer sends, imapflow in IDLE sees it come, and finds it"""
        said = self.run("node", ROOT / "tests/hosts/real.mjs", json.dumps(
            {"modules": str(ROOT / "build/node/node_modules"), "ports": self.ports, "password": PASSWORD,
             "ca": self.cert.read_text()}))
        assert "nodemailer sent" in said and "imapflow saw 1" in said and "imapflow read by nodemailer" in said, said
        assert "imapflow found 1, none" in said, said

    def mail_imapclient(self) -> None:
        """Perl's Mail::IMAPClient: mailboxes, SEARCH, flags, move, IDLE"""
        self.put(2)
        said = self.run("perl", ROOT / "tests/hosts/real.pl", self.ports["imaps"], self.cert, PASSWORD)
        assert said == "messages 2\nsubject number 0\nfound number 1\nflags \\Flagged\ncopied 1\nidle ok\nleft 1\n", said


CHECKS = ("smtplib_sends", "smtplib_is_refused", "smtplib_sends_elsewhere", "swaks_sends", "msmtp_sends",
          "curl_sends_and_reads", "poplib_reads", "imaplib_reads", "fetchmail_reads", "getmail_reads", "mbsync_two_way",
          "offlineimap_two_way", "neomutt_reads_and_sends", "nodemailer_and_imapflow", "mail_imapclient")


def main(built: Path, *only: str) -> None:
    tap = Tap()
    for program in ("swaks", "msmtp", "curl", "fetchmail", "getmail", "mbsync", "offlineimap", "neomutt", "node", "perl"):
        tap.ok(shutil.which(program) is not None, f"{program} is here")
    real = Real(built)
    try:
        for name in only or CHECKS:
            check = getattr(real, name)
            tap.run(check.__doc__, check)
            real.empty()
        tap.ok(real.host.end() == 0 and not re.search("Sanitizer|runtime error", real.host.said()), "it ends",
               real.host.said()[-3000:])
    finally:
        real.host.end()
        real.server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
