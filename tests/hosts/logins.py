#!/usr/bin/env python3
"""The clients of others log in, by each mechanism that they have, over loopback: logins.py HOST PROVIDER

PROVIDER is none, openssl or mbedtls.  With TLS the host has STARTTLS: passwords are sent behind it alone, SCRAM is bound
to it where there is something to bind to, which OpenSSL always gives, and certificates let in."""
import base64
import imaplib
import poplib
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

from host import HANG_S, Host
from tap import Tap

USER, PASSWORD, WRONG = "pat", "a Secret, =1", "another Secret"
PORTS = ["smtp", "smtpx", "smtps", "pop", "popx", "pops", "imap", "imapx", "imaps"]
SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-1"]


def run(argv: list, text: str = "") -> tuple[bool, str]:
    done = subprocess.run([str(a) for a in argv], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=HANG_S, errors="replace", text=True)
    return done.returncode == 0, done.stdout


class Certificates:
    """One of the host, one of the user that an authority vouches for, one that nobody vouches for."""

    def __init__(self, where: Path):
        self.authority, self.host, self.user, self.stranger = (where / name for name in ("ca", "host", "user", "stranger"))
        self.make(self.authority, "/CN=authority")
        self.make(self.host, "/CN=here.test", "-addext", "subjectAltName=DNS:here.test,IP:127.0.0.1")
        self.make(self.user, f"/CN={USER}", "-CA", f"{self.authority}.pem", "-CAkey", f"{self.authority}.key")
        self.make(self.stranger, f"/CN={USER}")

    def make(self, name: Path, subject: str, *more: str) -> None:
        good, said = run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                          "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", subject, *more])
        assert good, said


class Logins:
    def __init__(self, host: Host, certificates: Certificates | None, has_all: bool):
        self.ports, self.certificates, self.has_all = host.ports, certificates, has_all

    # ---- gsasl ----

    def gsasl(self, protocol: str, mechanism: str, password: str = PASSWORD, *more: str) -> tuple[bool, str]:
        tls = ["--no-starttls"] if self.certificates is None else ["--starttls", "--x509-ca-file="]
        who = [] if "-z" in more else ["-z", USER]
        return run(["gsasl", f"--{protocol}", "--quiet", "-m", mechanism, "-a", USER, "-p", password, *tls, *who, *more,
                    "127.0.0.1", self.ports[protocol]])

    def by_external(self, protocol: str) -> None:
        port = self.ports[protocol + "x"]
        good, said = run(["gsasl", f"--{protocol}", "--quiet", "--no-starttls", "-m", "EXTERNAL", "-z", USER, "127.0.0.1",
                          port])
        assert good, said

    def by_gsasl(self, protocol: str, mechanism: str) -> None:
        more = ["--no-cb"] if mechanism in SCRAM else []
        good, said = self.gsasl(protocol, mechanism, PASSWORD, *more)
        assert good, said
        good, said = self.gsasl(protocol, mechanism, WRONG, *more)
        assert not good, f"a wrong password was taken: {said}"

    def gsasl_as_another(self, protocol: str, mechanism: str) -> None:
        good, said = self.gsasl(protocol, mechanism, PASSWORD, "-z", "kim", "--no-cb")
        assert not good, f"{USER} was let in as kim: {said}"

    def offered_with(self, version: str) -> tuple | None:
        """What IMAP offers in that version of TLS; None: the host has it not."""
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=HANG_S)
        context = ssl.create_default_context(cafile=f"{self.certificates.host}.pem")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, f"TLSv{version.replace('.', '_')}")
        try:
            client.starttls(ssl_context=context)
        except (ssl.SSLError, OSError):
            return None
        client.logout()
        return client.capabilities

    def by_plus(self, protocol: str, mechanism: str, version: str) -> None:
        """Where -PLUS is not offered, it is not taken either."""
        offered = self.offered_with(version)
        priority = f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}"
        if offered is None or f"AUTH={mechanism}-PLUS" not in offered:
            assert not self.has_all, f"not with OpenSSL: {offered}"
            assert not self.gsasl(protocol, mechanism + "-PLUS", PASSWORD, priority)[0], "what is not offered was taken"
            return
        good, said = self.gsasl(protocol, mechanism + "-PLUS", PASSWORD, priority)
        assert good, said
        good, said = self.gsasl(protocol, mechanism + "-PLUS", WRONG, priority)
        assert not good, f"a wrong password was taken: {said}"

    def by_certificate(self, protocol: str) -> None:
        def with_one(name: Path) -> tuple[bool, str]:
            return self.gsasl(protocol, "EXTERNAL", "", f"--x509-cert-file={name}.pem", f"--x509-key-file={name}.key")

        good, said = with_one(self.certificates.user)
        assert good, said
        good, said = with_one(self.certificates.stranger)
        assert not good, f"nobody vouches for him: {said}"

    def in_the_clear(self, protocol: str, mechanism: str) -> None:
        good, said = run(["gsasl", f"--{protocol}", "--no-starttls", "-m", mechanism, "-a", USER, "-p", PASSWORD, "-z", USER,
                          "127.0.0.1", self.ports[protocol]])
        assert not good and b64(PASSWORD) not in said, f"a password was sent in the clear: {said}"

    # ---- curl ----

    def curl(self, scheme: str, mechanism: str, password: str = PASSWORD, ir: bool = False) -> tuple[bool, str]:
        door = {"pop3": "pop"}.get(scheme, scheme) + ("x" if mechanism == "EXTERNAL" else "")
        request = ["-X", "NOOP"] if scheme == "smtp" else []
        if self.certificates is not None:
            request += ["--ssl-reqd", "--cacert", f"{self.certificates.host}.pem"]
        if mechanism == "EXTERNAL":
            password = ""  # else curl does not think of it
        return run(["curl", "-sSv", "--user", f"{USER}:{password}", "--login-options", f"AUTH={mechanism}", *request,
                    *(["--sasl-ir"] if ir else []), f"{scheme}://127.0.0.1:{self.ports[door]}/"])

    def by_curl(self, scheme: str, mechanism: str) -> None:
        for ir in (False, True):
            good, said = self.curl(scheme, mechanism, ir=ir)
            said_it = re.search(rf"> .*AUTH(ENTICATE)? {re.escape(mechanism)}", said)
            assert good and said_it, said
        if mechanism != "EXTERNAL":
            good, said = self.curl(scheme, mechanism, WRONG)
            assert not good and "Login denied" in said, said

    # ---- msmtp ----

    def msmtp(self, mechanism: str, password: str, *more: str) -> tuple[bool, str]:
        port = self.ports["smtpx" if mechanism == "external" and self.certificates is None else "smtp"]
        tls = ["--tls=off"] if self.certificates is None else [
            "--tls=on", "--tls-starttls=on", f"--tls-trust-file={self.certificates.host}.pem"]
        return run(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={port}", f"--auth={mechanism}", f"--user={USER}",
                    f"--passwordeval=printf %s '{password}'", "--from=pat@here.test", "--domain=client.test", *tls, *more,
                    "pat@here.test"], "Subject: by msmtp\n\nhello\n")

    def by_msmtp(self, mechanism: str) -> None:
        more = []
        if mechanism == "external" and self.certificates is not None:
            name = self.certificates.user
            more = [f"--tls-cert-file={name}.pem", f"--tls-key-file={name}.key"]
        good, said = self.msmtp(mechanism, PASSWORD, *more)
        assert good, said
        if mechanism != "external":
            good, said = self.msmtp(mechanism, WRONG)
            assert not good and "535 5.7.8" in said, said

    # ---- swaks ----

    def by_swaks(self, mechanism: str) -> None:
        argv = ["swaks", "--server", "127.0.0.1", "--port", self.ports["smtp"], "--auth", mechanism, "--auth-user", USER,
                "--from", "pat@here.test", "--to", "pat@here.test", *([] if self.certificates is None else ["--tls"])]
        good, said = run([*argv, "--auth-password", PASSWORD])
        assert good and "235 2.7.0" in said, said
        good, said = run([*argv, "--auth-password", WRONG, "--quit-after", "AUTH"])
        assert not good and "535 5.7.8" in said, said

    # ---- Python ----

    def secure(self, client, command: str) -> None:
        if self.certificates is not None:
            context = ssl.create_default_context(cafile=f"{self.certificates.host}.pem")
            options = {"ssl_context": context} if isinstance(client, imaplib.IMAP4) else {"context": context}
            getattr(client, command)(**options)

    def by_smtplib(self, mechanism: str) -> None:
        for initial in (True, False):
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=HANG_S) as client:
                client.ehlo("client.test")
                self.secure(client, "starttls")
                client.ehlo("client.test")
                client.user, client.password = USER, PASSWORD
                ask = getattr(client, f"auth_{mechanism.lower()}")
                assert client.auth(mechanism, ask, initial_response_ok=initial)[0] == 235
                client.sendmail("pat@here.test", ["pat@here.test"], b"Subject: by AUTH\r\n\r\nhello\r\n")
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=HANG_S) as client:
            self.secure(client, "starttls")
            try:
                client.login(USER, WRONG)
            except smtplib.SMTPAuthenticationError as error:
                assert error.smtp_code == 535, error
            else:
                raise AssertionError("a wrong password was taken")

    def by_imaplib(self) -> None:
        plain = b"\0" + USER.encode() + b"\0"
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=HANG_S)
        self.secure(client, "starttls")
        assert {"AUTH=PLAIN", "AUTH=SCRAM-SHA-256", "SASL-IR"} <= set(client.capabilities), client.capabilities
        try:
            client.authenticate("PLAIN", lambda _: plain + WRONG.encode())
        except imaplib.IMAP4.error as error:
            assert "AUTHENTICATIONFAILED" in str(error), error
        else:
            raise AssertionError("a wrong password was taken")
        client.authenticate("PLAIN", lambda challenge: plain + PASSWORD.encode())
        assert client.select()[0] == "OK"
        client.logout()

    def by_poplib(self) -> None:
        client = poplib.POP3("127.0.0.1", self.ports["pop"], timeout=HANG_S)
        self.secure(client, "stls")
        mechanisms = client.capa()["SASL"]
        assert {"PLAIN", "LOGIN", *SCRAM} <= set(mechanisms), mechanisms
        assert client._shortcmd(f"AUTH PLAIN {b64(chr(0) + USER + chr(0) + PASSWORD)}").startswith(b"+OK")
        assert client.stat()[0] >= 0
        client.quit()
        client = poplib.POP3("127.0.0.1", self.ports["pop"], timeout=HANG_S)
        self.secure(client, "stls")
        client.user(USER)
        client.pass_(PASSWORD)
        client.quit()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def no_secrets(said: str) -> None:
    """What the host tells of what happens has names, and no secret in any dress."""
    assert f"event 6 {USER}" in said and f"event 7 {USER}" in said, said[:2000]
    for secret in (PASSWORD, WRONG, b64(PASSWORD), b64(f"\0{USER}\0{PASSWORD}")):
        assert secret not in said, secret


def tests_of(logins: Logins) -> list[tuple]:
    """Each with what is said of it."""
    tests = []
    for protocol in ("smtp", "imap"):
        for mechanism in ("PLAIN", "LOGIN", *SCRAM):
            tests.append((f"gsasl by {mechanism}, {protocol}", logins.by_gsasl, protocol, mechanism))
        for mechanism in ("PLAIN", *SCRAM):
            tests.append((f"gsasl as another by {mechanism}, {protocol}", logins.gsasl_as_another, protocol, mechanism))
    mechanisms = ["PLAIN", "LOGIN"] if logins.certificates is not None else ["PLAIN", "LOGIN", "EXTERNAL"]
    for scheme in ("smtp", "pop3", "imap"):
        for mechanism in mechanisms:
            tests.append((f"curl by {mechanism}, {scheme}", logins.by_curl, scheme, mechanism))
    for mechanism in ("PLAIN", "LOGIN"):
        tests.append((f"swaks by {mechanism}", logins.by_swaks, mechanism))
        tests.append((f"smtplib by {mechanism}", logins.by_smtplib, mechanism))
    for mechanism in ("plain", "login", "scram-sha-1", "scram-sha-256", "external"):
        tests.append((f"msmtp by {mechanism}", logins.by_msmtp, mechanism))
    return [*tests, ("imaplib", logins.by_imaplib), ("poplib", logins.by_poplib)]


def tests_of_tls(logins: Logins) -> list[tuple]:
    tests = []
    for protocol in ("smtp", "imap"):
        for mechanism in SCRAM:
            for version in ("1.2", "1.3"):
                tests.append((f"gsasl by {mechanism}-PLUS, {protocol}, TLS {version}", logins.by_plus, protocol, mechanism,
                              version))
        for mechanism in ("PLAIN", "LOGIN"):
            tests.append((f"no {mechanism} in the clear, {protocol}", logins.in_the_clear, protocol, mechanism))
        tests.append((f"gsasl by a certificate, {protocol}", logins.by_certificate, protocol))
    return tests


def main(program: Path, provider: str, where: Path) -> None:
    tap, has_tls = Tap(), provider != "none"
    programs = ("gsasl", "curl", "swaks", "msmtp", *(["openssl"] if has_tls else []))
    if not all([tap.ok(shutil.which(name) is not None, f"{name} is here") for name in programs]):
        tap.end()
    certificates = Certificates(where) if has_tls else None
    files = [f"{where}/host.pem", f"{where}/host.key", f"{where}/ca.pem"] if has_tls else []
    host = Host([program, USER, PASSWORD, *files], PORTS)
    logins = Logins(host, certificates, provider == "openssl")
    by_name = [(f"gsasl by EXTERNAL, {protocol}", logins.by_external, protocol) for protocol in ("smtp", "imap")]
    try:
        for name, test, *arguments in tests_of(logins) + (tests_of_tls(logins) if has_tls else by_name):
            tap.run(name, test, *arguments)
        tap.ok(host.end() == 0 and not re.search("Sanitizer|runtime error", host.said()), "the host ends", host.said())
        tap.run(no_secrets.__doc__, no_secrets, host.said())
    finally:
        host.end()
    tap.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as where:
        main(Path(sys.argv[1]), sys.argv[2], Path(where))
