#!/usr/bin/env python3
"""TLS over sockets: clients of others against a full host with a certificate, at each of its doors.  tls.py BUILD HOST"""
import imaplib
import poplib
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from host import HANG_S, USERS, Host, Mail
from tap import Tap

DOORS = ["smtp", "lmtp", "pop3", "imap", "submission", "submissions", "pop3s", "imaps"]
BYTES = b"Subject: under TLS\r\n\r\n" + b"a line of a message that fills records\r\n" * 20000


def make_certificate(mail: Mail) -> Path:
    """A certificate signed by itself, and its key, in one file."""
    pem, key = mail.path / "tls.pem", mail.path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=here.test", "-addext", "subjectAltName=DNS:here.test,DNS:localhost", "-keyout",
                    key, "-out", pem], check=True, capture_output=True)
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def client(pem: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pem))


def deliver(port: int, pem: Path, version: ssl.TLSVersion) -> str:
    context = client(pem)
    context.maximum_version = version
    with smtplib.SMTP("localhost", port, timeout=HANG_S) as smtp:
        smtp.ehlo("remote.test")
        if not smtp.has_extn("starttls"):
            raise RuntimeError("STARTTLS is not offered")
        smtp.starttls(context=context)
        smtp.ehlo("remote.test")
        if smtp.has_extn("starttls"):
            raise RuntimeError("STARTTLS is offered under TLS")
        smtp.sendmail("a@remote.test", ["pat@here.test"], BYTES)
        return smtp.sock.version()


def fetch(port: int, pem: Path) -> list[bytes]:
    pop = poplib.POP3("localhost", port, timeout=HANG_S)
    pop.stls(client(pem))
    pop.user("pat")
    pop.pass_(USERS["pat"])
    count, _ = pop.stat()
    got = [b"\r\n".join(pop.retr(i + 1)[1]) + b"\r\n" for i in range(count)]
    for i in range(count):
        pop.dele(i + 1)
    pop.quit()
    return got


def s_client(port: int, pem: Path, protocol: str, said: str, *options: str) -> str:
    """What OpenSSL's client prints of a dialogue."""
    argv = ["openssl", "s_client", "-connect", f"localhost:{port}", "-starttls", protocol, "-CAfile", pem, "-crlf",
            "-verify_return_error", "-ign_eof", *options]
    run = subprocess.run([str(a) for a in argv], input=said, capture_output=True, text=True, timeout=HANG_S)
    return run.stdout + run.stderr


def all_of(port: int, *pieces: bytes) -> bytes:
    """Everything that is said to these octets, until the end."""
    with socket.create_connection(("localhost", port), HANG_S) as s:
        got = b""
        for piece in pieces:
            got += s.recv(1000)
            s.sendall(piece)
        while more := s.recv(1000):
            got += more
    return got


def refuses(port: int, pem: Path) -> bool:
    context = client(pem)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with smtplib.SMTP("localhost", port, timeout=HANG_S) as smtp:
        smtp.ehlo("remote.test")
        try:
            smtp.starttls(context=context)
        except (ssl.SSLError, smtplib.SMTPException, OSError):
            smtp.close()
            return True
    return False


# ---- Users ----

OWN = b"From: kim@here.test\r\nTo: pat@here.test\r\nSubject: by %s\r\nDate: Thu, 26 Nov 2026 00:00:00 +0000\r\n" \
      b"Message-ID: <%s@here.test>\r\n\r\n.\r\nHello\r\n"


def run(*argv: object, says: bytes = b"") -> bytes:
    done = subprocess.run([str(a) for a in argv], input=says, capture_output=True, timeout=HANG_S)
    assert done.returncode == 0, f"{argv[0]}: {done.returncode} {done.stdout.decode()} {done.stderr.decode()}"
    return done.stdout


def submit(ports: dict[str, int], pem: Path) -> list[bytes]:
    """By smtplib, swaks and curl, after STARTTLS and under TLS from the first octet; what was sent."""
    sent = [OWN % (name, name) for name in (b"smtplib", b"smtplib-465", b"curl", b"curl-465", b"swaks", b"swaks-465")]
    with smtplib.SMTP("localhost", ports["submission"], timeout=HANG_S) as smtp:
        smtp.starttls(context=client(pem))
        smtp.login("kim", USERS["kim"])
        smtp.sendmail("kim@here.test", ["pat@here.test"], sent[0])
    with smtplib.SMTP_SSL("localhost", ports["submissions"], context=client(pem), timeout=HANG_S) as smtp:
        smtp.login("kim", USERS["kim"])
        smtp.sendmail("kim@here.test", ["pat@here.test"], sent[1])
    for url, message in ((f"smtp://localhost:{ports['submission']}/remote.test", sent[2]),
                         (f"smtps://localhost:{ports['submissions']}/remote.test", sent[3])):
        run("curl", "-sS", "--cacert", pem, "--ssl-reqd", "--user", f"kim:{USERS['kim']}", url, "--mail-from",
            "kim@here.test", "--mail-rcpt", "pat@here.test", "--upload-file", "-", says=message)
    for door, tls, message in (("submission", "--tls", sent[4]), ("submissions", "--tlsc", sent[5])):
        run("swaks", "--server", "localhost", "--port", ports[door], tls, "--auth", "PLAIN", "--auth-user", "kim",
            "--auth-password", USERS["kim"], "--from", "kim@here.test", "--to", "pat@here.test", "--data", "-",
            says=message.replace(b"\r\n", b"\n").removesuffix(b"\n"))
    return sent


def refused(ports: dict[str, int], pem: Path) -> list[tuple[str, int]]:
    """What is refused, and with which reply: no login, no password before TLS, a wrong one, another sender, relaying."""
    got = []
    with smtplib.SMTP("localhost", ports["submission"], timeout=HANG_S) as smtp:
        smtp.ehlo("remote.test")
        got.append(("no login", smtp.mail("kim@here.test")[0]))
        got.append(("before TLS", smtp.docmd("AUTH PLAIN AGtpbQBodXNo")[0]))
        smtp.starttls(context=client(pem))
        smtp.ehlo("remote.test")
        got.append(("no login under TLS", smtp.mail("kim@here.test")[0]))
        got.append(("wrong password", smtp.docmd("AUTH PLAIN AGtpbQBodXNI")[0]))
        smtp.login("kim", USERS["kim"])
        got.append(("another sender", smtp.mail("pat@here.test")[0]))
        smtp.mail("kim@here.test")
        got.append(("other domains", smtp.rcpt("a@elsewhere.test")[0]))
    with smtplib.SMTP("localhost", ports["smtp"], timeout=HANG_S) as smtp:
        smtp.ehlo("remote.test")
        smtp.mail("a@remote.test")
        got.append(("relaying", smtp.rcpt("a@elsewhere.test")[0]))
        got.append(("nobody", smtp.rcpt("nobody@here.test")[0]))
        assert smtp.rcpt("postmaster@here.test")[0] == 250
    return got


REFUSALS = [("no login", 530), ("before TLS", 538), ("no login under TLS", 530), ("wrong password", 535),
            ("another sender", 550), ("other domains", 550), ("relaying", 550), ("nobody", 550)]


def read_everywhere(ports: dict[str, int], pem: Path) -> dict[str, list[bytes]]:
    """All of pat's messages, by each client and door."""
    got = {}
    starttls = imaplib.IMAP4("localhost", ports["imap"], timeout=HANG_S)
    assert "LOGINDISABLED" in starttls.capabilities, starttls.capabilities
    starttls.starttls(ssl_context=client(pem))
    for door, imap in (("imap", starttls), ("imaps", imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=client(pem)))):
        imap.login("pat", USERS["pat"])
        imap.select()
        got[door] = [part[1] for part in imap.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
        imap.logout()
    n = len(got["imaps"])
    pop3 = poplib.POP3_SSL("localhost", ports["pop3s"], context=client(pem), timeout=HANG_S)
    pop3.user("pat")
    pop3.pass_(USERS["pat"])
    got["pop3s"] = [b"".join(line + b"\r\n" for line in pop3.retr(i + 1)[1]) for i in range(pop3.stat()[0])]
    pop3.quit()
    by = ["curl", "-sS", "--cacert", pem, "--ssl-reqd", "--user", f"pat:{USERS['pat']}"]
    for door in ("imap", "imaps", "pop3", "pop3s"):
        paths = [f"INBOX;MAILINDEX={i + 1}" if door.startswith("imap") else f"{i + 1}" for i in range(n)]
        got[f"curl {door}"] = [run(*by, f"{door}://localhost:{ports[door]}/{path}") for path in paths]
    return got


def users(tap: Tap, ports: dict[str, int], pem: Path) -> None:
    got = refused(ports, pem)
    tap.ok(got == REFUSALS, "who is no user, or wants what is not his, is refused", got)
    sent = submit(ports, pem)
    read = read_everywhere(ports, pem)
    one = read["imaps"]
    tap.ok(len(one) == len(sent) and all(m.endswith(s) for m, s in zip(one, sent)),
           "smtplib, curl and swaks log in and submit, by STARTTLS and at 465", one)
    tap.ok(all(b"with ESMTPSA" in m.split(b"\r\n\r\n")[0] for m in one), "Received says that they did (RFC 3848)", one)
    tap.ok(all(b"127.0.0.1]" in m.split(b"\r\n\r\n")[0] for m in one), "and where they came from", one)
    for who, messages in read.items():
        tap.ok(messages == one != [], f"{who} reads the same octets", messages)


# ---- Strangers ----


def check(tap: Tap, host: Host, pem: Path) -> None:
    smtp, pop3 = host.ports["smtp"], host.ports["pop3"]
    versions = [deliver(smtp, pem, v) for v in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    tap.ok(versions == ["TLSv1.2", "TLSv1.3"], "smtplib delivers by STARTTLS, in both versions", str(versions))
    got = fetch(pop3, pem)
    tap.ok(len(got) == 2 and all(m.endswith(BYTES) for m in got), "poplib reads by STLS what was sent")
    tap.ok(all(b"with ESMTPS" in m.split(b"\r\n\r\n")[0] for m in got), "Received says so (RFC 3848)")
    said = s_client(smtp, pem, "smtp", "NOOP\nQUIT\n")
    tap.ok("250 2.0.0 ok" in said and "221 2.0.0 bye" in said, "openssl s_client speaks SMTP", said[-400:])
    tap.ok("Verify return code: 0 (ok)" in said, "and takes the certificate", said[-400:])
    said = s_client(pop3, pem, "pop3", "QUIT\n")
    tap.ok("+OK" in said.split("---")[-1], "openssl s_client speaks POP3", said[-400:])
    tap.ok(refuses(smtp, pem), "TLS 1.1 is refused")
    got = all_of(smtp, b"EHLO a\r\n", b"STARTTLS\r\nNOOP\r\n")
    tap.ok(got.endswith(b"ready for TLS\r\n"), "what stands behind STARTTLS ends the session", got[-60:].decode())
    got = all_of(smtp, b"EHLO a\r\n", b"STARTTLS\r\n", b"GET / HTTP/1.1\r\n\r\n")
    tap.ok(got.endswith(b"ready for TLS\r\n"), "HTTP behind STARTTLS does so, too", got[-60:].decode())
    tap.ok(deliver(smtp, pem, ssl.TLSVersion.TLSv1_3) == "TLSv1.3", "and others go on")


def main(built: Path, name: str) -> None:
    tap, mail, host = Tap(), Mail(), None
    if not shutil.which("openssl"):
        tap.ok(False, "openssl is here", "install it")
        tap.end()
    try:
        pem = make_certificate(mail)
        host = Host([built / "examples" / name, mail.path], DOORS)
        check(tap, host, pem)
        fetch(host.ports["pop3"], pem)
        users(tap, host.ports, pem)
        tap.ok(host.end() == 0, "the host ends", host.said())
    finally:
        if host is not None:
            host.end()
        mail.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
