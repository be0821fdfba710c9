"""The mail server of examples/mail_server.py, by clients that others have written, smtplib, imaplib, poplib and curl,
under TLS; what goes in by one comes out of the others unchanged."""
import contextlib
import imaplib
import poplib
import re
import smtplib
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import tap

EXAMPLES = Path(__file__).resolve().parents[2] / "bindings/python/examples"
HANG_S = 120  # a guard; nothing that works takes so long
NAMES = ["smtp", "submission", "pop3", "imap"]
PASSWORDS = {"pat": "secret: with spaces", "kim": "hush"}
BODY = b"".join(b"line %d %s\r\n" % (i, b"x" * (i % 900)) for i in range(900)) + b".\r\n..two dots\r\n"


def letter(subject: str, sender: str = "pat", to: str = "kim") -> bytes:
    return (f"From: {sender}@here.test\r\nTo: {to}@here.test\r\nSubject: {subject}\r\nDate: Thu, 1 Jan 2026 10:00:00 "
            f"+0000\r\nMessage-ID: <{subject}@here.test>\r\n\r\n").encode() + BODY


class Host:
    def __init__(self, where: Path, *users: str):
        argv = [sys.executable, EXAMPLES / "mail_server.py", where / "mail", "--pem", where / "pem", "--ports", *"0000"]
        self.process = subprocess.Popen([*argv, *users], stdout=subprocess.PIPE)
        self.ports = {}
        for name in NAMES:
            line = self.process.stdout.readline().decode()
            self.ports[name] = int(re.fullmatch(rf"{name} 127\.0\.0\.1:(\d+)\n", line)[1])

    def end(self, kill: bool = False) -> int:
        self.process.kill() if kill else self.process.terminate()
        self.process.stdout.close()
        return self.process.wait(HANG_S)


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.where = Path(directory.name)
        cls.cert = cls.where / "cert"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", cls.where / "key", "-out", cls.cert], check=True, capture_output=True)
        (cls.where / "pem").write_bytes(cls.cert.read_bytes() + (cls.where / "key").read_bytes())
        cls.context = ssl.create_default_context(cafile=str(cls.cert))
        cls.host = Host(cls.where, *(f"{name}:{password}" for name, password in PASSWORDS.items()))
        cls.addClassCleanup(lambda: cls.host.end())

    # ---- Clients, logged in ----

    def smtp(self, name: str = "smtp", user: str | None = None) -> smtplib.SMTP:
        client = smtplib.SMTP("localhost", self.host.ports[name], timeout=HANG_S)
        self.addCleanup(client.close)
        client.starttls(context=self.context)
        if user:
            client.login(user, PASSWORDS[user])
        return client

    def imap(self, user: str, mailbox: str = "INBOX") -> imaplib.IMAP4:
        client = imaplib.IMAP4("localhost", self.host.ports["imap"], timeout=HANG_S)
        self.addCleanup(client.shutdown)
        client.starttls(self.context)
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{PASSWORDS[user]}".encode())
        client.select(mailbox)
        return client

    def pop3(self, user: str) -> poplib.POP3:
        client = poplib.POP3("localhost", self.host.ports["pop3"], timeout=HANG_S)
        self.addCleanup(client.close)
        client.stls(self.context)
        client.user(user)
        client.pass_(PASSWORDS[user])
        return client

    def curl(self, *argv: object, user: str = "kim", fine: int = 0) -> bytes:
        done = subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", self.cert, "--max-time", str(HANG_S), "-u",
                               f"{user}:{PASSWORDS[user]}", *map(str, argv)], stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, fine)
        return done.stdout

    def fetch(self, user: str, subject: str, mailbox: str = "INBOX") -> bytes:
        """The message with that subject, by IMAP."""
        return next(m for m in self.messages(user, mailbox) if b"\r\nSubject: %s\r\n" % subject.encode() in m)

    def messages(self, user: str, mailbox: str = "INBOX") -> list[bytes]:
        parts = self.imap(user, mailbox).uid("fetch", "1:*", "(BODY.PEEK[])")[1]
        return [part[1] for part in parts if isinstance(part, tuple)]

    def has(self, user: str, sent: bytes, subject: str) -> None:
        """As it was sent, behind the fields that were put before it; by IMAP and by POP3."""
        by_imap = self.fetch(user, subject)
        self.assertTrue(by_imap.endswith(sent), by_imap[:2000])
        pop3 = self.pop3(user)
        got = [b"\r\n".join(pop3.retr(i + 1)[1]) + b"\r\n" for i in range(pop3.stat()[0])]
        pop3.quit()
        self.assertIn(by_imap, got)

    # ---- What they do ----

    def test_smtplib_from_outside(self):
        self.smtp().sendmail("ann@remote.test", ["kim@here.test"], letter("outside"))
        self.has("kim", letter("outside"), "outside")

    def test_smtplib_by_a_user(self):
        client = self.smtp("submission", "pat")
        client.sendmail("pat@here.test", ["kim@here.test", "pat+lists@here.test"], letter("inside"))
        for user in PASSWORDS:
            self.has(user, letter("inside"), "inside")
        self.assertIs(client.has_extn("auth"), True)
        self.assertIn("SCRAM-SHA-256", client.esmtp_features["auth"].split())

    def test_who_is_refused(self):
        client = self.smtp("submission")
        client.user, client.password = "pat", "wrong"
        client.ehlo()
        self.assertRaises(smtplib.SMTPAuthenticationError, client.auth, "PLAIN", client.auth_plain)
        client = self.smtp("submission", "pat")
        with self.assertRaises(smtplib.SMTPSenderRefused):
            client.sendmail("kim@here.test", ["pat@here.test"], letter("forged"))
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            self.smtp().sendmail("ann@remote.test", ["kim@elsewhere.test"], letter("relayed"))
        self.assertEqual(caught.exception.recipients["kim@elsewhere.test"],
                         (550, b"5.7.1 mail is taken for here.test alone"))
        with self.assertRaises(smtplib.SMTPRecipientsRefused) as caught:
            self.smtp().sendmail("ann@remote.test", ["nobody@here.test"], letter("lost"))
        self.assertEqual(caught.exception.recipients["nobody@here.test"][0], 550)
        plain = imaplib.IMAP4("localhost", self.host.ports["imap"], timeout=HANG_S)
        with self.assertRaises(imaplib.IMAP4.error):  # not before TLS
            plain.login("kim", PASSWORDS["kim"])
        plain.shutdown()

    def test_imaplib(self):
        client = self.imap("pat")
        for command in (client.create("a/b"), client.create("sent"), client.subscribe("a/b"),
                        client.append("a/b", r"\Flagged", None, letter("appended")), client.select("a/b"),
                        client.store("1", "+FLAGS", r"(\Seen $Label)"), client.copy("1", "sent"),
                        client.rename("sent", "kept")):
            self.assertEqual(command[0], "OK", command)
        names = {line.split(b' "/" ')[1].strip(b'"') for line in client.list()[1]}
        self.assertEqual(names, {b"INBOX", b"a/b", b"kept"})
        self.assertEqual(self.fetch("pat", "appended", "kept"), letter("appended"))
        self.assertEqual(client.select("kept")[0], "OK")
        flags = client.fetch("1", "(FLAGS)")[1][0]
        for flag in (rb"\Seen", rb"\Flagged", rb"$Label"):
            self.assertIn(flag, flags)
        self.assertEqual(client.store("1", "+FLAGS", r"\Deleted")[0], "OK")
        self.assertEqual(client.expunge()[1], [b"1"])
        self.assertEqual(client.status("kept", "(MESSAGES UIDNEXT)")[1], [b'"kept" (MESSAGES 0 UIDNEXT 2)'])
        self.assertEqual(client.unselect()[0], "OK")
        self.assertEqual(client.delete("kept")[0], "OK")

    def test_idle_sees_new_mail(self):
        client = self.imap("kim")
        client.send(b"x IDLE\r\n")
        self.assertTrue(client.readline().startswith(b"+"))
        self.smtp().sendmail("ann@remote.test", ["kim@here.test"], letter("awaited"))
        self.assertRegex(client.readline(), rb"\* \d+ EXISTS\r\n")
        client.send(b"DONE\r\n")
        while not (line := client.readline()).startswith(b"x "):
            pass
        self.assertTrue(line.startswith(b"x OK"), line)

    def test_gsasl_by_scram(self):
        for protocol, name in (("smtp", "submission"), ("imap", "imap")):
            for password, fine in ((PASSWORDS["pat"], True), ("wrong", False)):
                with self.subTest(protocol, password=password):
                    done = subprocess.run(["gsasl", f"--{protocol}", "--quiet", "-m", "SCRAM-SHA-256", "--no-cb", "-a",
                                           "pat", "-p", password, "--starttls", "--x509-ca-file=", "127.0.0.1",
                                           str(self.host.ports[name])], stdin=subprocess.DEVNULL, capture_output=True,
                                          timeout=HANG_S)
                    self.assertEqual(done.returncode == 0, fine, done)

    def test_poplib_deletes(self):
        self.smtp().sendmail("ann@remote.test", ["pat@here.test"], letter("short", to="pat"))
        client = self.pop3("pat")
        lists = [client.retr(i + 1)[1] for i in range(client.stat()[0])]
        number = next(i for i, lines in enumerate(lists, 1) if b"Subject: short" in lines)
        client.dele(number)
        client.quit()
        self.assertRaises(StopIteration, self.fetch, "pat", "short")

    def test_curl(self):
        sent = self.where / "letter"
        sent.write_bytes(letter("curled"))
        smtp, imap, pop3 = (self.host.ports[name] for name in ("submission", "imap", "pop3"))
        self.curl(f"smtp://localhost:{smtp}", "--mail-from", "pat@here.test", "--mail-rcpt", "kim@here.test", "-T",
                  sent, user="pat")
        last = self.curl(f"pop3://localhost:{pop3}/").split(b"\r\n")[-2].split()[0].decode()
        by_imap = self.curl(f"imap://localhost:{imap}/INBOX/;MAILINDEX={last}")
        self.assertTrue(by_imap.endswith(letter("curled")))
        self.assertEqual(self.curl(f"pop3://localhost:{pop3}/{last}"), by_imap)

    def test_what_was_acknowledged_outlives_a_kill(self):
        self.smtp().sendmail("ann@remote.test", ["kim@here.test"], letter("durable"))
        client = self.imap("kim")
        client.create("killed")
        self.assertEqual(client.append("killed", None, None, letter("appended"))[0], "OK")
        self.assertEqual(self.host.end(kill=True), -9)
        type(self).host = Host(self.where)
        self.has("kim", letter("durable"), "durable")
        self.assertEqual(self.fetch("kim", "appended", "killed"), letter("appended"))

    def test_it_ends_politely(self):
        other = Path(tempfile.mkdtemp(dir=self.where))
        (other / "pem").write_bytes((self.where / "pem").read_bytes())
        host = Host(other, "pat:x")
        idle = smtplib.SMTP("localhost", host.ports["smtp"], timeout=HANG_S)
        self.assertEqual(host.end(), 0)
        with contextlib.closing(idle):
            self.assertEqual(idle.getreply()[0], 421)


if __name__ == "__main__":
    tap.main()
