#!/usr/bin/env python3
"""TLS over sockets: clients of others against serve_epoll with a certificate.  tls.py BUILD"""
import poplib
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from host import BOTH, HANG_S, USERS, Host, Mail
from tap import Tap

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


def main(built: Path) -> None:
    tap, mail, host = Tap(), Mail(), None
    if not shutil.which("openssl"):
        tap.ok(False, "openssl is here", "install it")
        tap.end()
    try:
        pem = make_certificate(mail)
        host = Host([built / "examples" / "serve_epoll", 0, 0, mail.path], BOTH)
        check(tap, host, pem)
        tap.ok(host.end() == 0, "the host ends", host.said())
    finally:
        if host is not None:
            host.end()
        mail.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
