#!/usr/bin/env python3
"""The clients of others log in, by each mechanism that they have, over loopback: logins.py HOST"""
import base64
import imaplib
import poplib
import re
import shutil
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

from host import HANG_S, Host
from tap import Tap

USER, PASSWORD, WRONG = "pat", "a Secret, =1", "another Secret"
PORTS = ["smtp", "smtpx", "pop", "popx", "imap", "imapx"]
SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-1"]


def run(argv: list, text: str = "") -> tuple[bool, str]:
    done = subprocess.run([str(a) for a in argv], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=HANG_S, errors="replace", text=True)
    return done.returncode == 0, done.stdout


class Logins:
    def __init__(self, tap: Tap, host: Host):
        self.tap, self.ports = tap, host.ports

    # ---- gsasl ----

    def gsasl(self, protocol: str, mechanism: str, password: str = PASSWORD, *more: str) -> tuple[bool, str]:
        port = protocol + "x" if mechanism == "EXTERNAL" else protocol
        return run(["gsasl", f"--{protocol}", "--no-starttls", "--quiet", "-m", mechanism, "-a", USER, "-p", password,
                    *(more or ["-z", USER]), "127.0.0.1", self.ports[port]])

    def by_gsasl(self, protocol: str, mechanism: str) -> None:
        good, said = self.gsasl(protocol, mechanism)
        assert good, said
        if mechanism != "EXTERNAL":
            good, said = self.gsasl(protocol, mechanism, WRONG)
            assert not good, f"a wrong password was taken: {said}"

    def gsasl_as_another(self, protocol: str, mechanism: str) -> None:
        good, said = self.gsasl(protocol, mechanism, PASSWORD, "-z", "kim")
        assert not good, f"{USER} was let in as kim: {said}"

    # ---- curl ----

    def curl(self, scheme: str, mechanism: str, password: str = PASSWORD, ir: bool = False) -> tuple[bool, str]:
        door = {"pop3": "pop"}.get(scheme, scheme) + ("x" if mechanism == "EXTERNAL" else "")
        request = ["-X", "NOOP"] if scheme == "smtp" else []
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

    # ---- swaks ----

    def by_swaks(self, mechanism: str) -> None:
        argv = ["swaks", "--server", "127.0.0.1", "--port", self.ports["smtp"], "--auth", mechanism, "--auth-user", USER,
                "--from", "pat@here.test", "--to", "pat@here.test"]
        good, said = run([*argv, "--auth-password", PASSWORD])
        assert good and "235 2.7.0" in said, said
        good, said = run([*argv, "--auth-password", WRONG, "--quit-after", "AUTH"])
        assert not good and "535 5.7.8" in said, said

    # ---- Python ----

    def by_smtplib(self, mechanism: str) -> None:
        for initial in (True, False):
            with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=HANG_S) as client:
                client.ehlo("client.test")
                client.user, client.password = USER, PASSWORD
                ask = getattr(client, f"auth_{mechanism.lower()}")
                assert client.auth(mechanism, ask, initial_response_ok=initial)[0] == 235
                client.sendmail("pat@here.test", ["pat@here.test"], b"Subject: by AUTH\r\n\r\nhello\r\n")
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=HANG_S) as client:
            try:
                client.login(USER, WRONG)
            except smtplib.SMTPAuthenticationError as error:
                assert error.smtp_code == 535, error
            else:
                raise AssertionError("a wrong password was taken")

    def by_imaplib(self) -> None:
        plain = b"\0" + USER.encode() + b"\0"
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=HANG_S)
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
        mechanisms = client.capa()["SASL"]
        assert {"PLAIN", "LOGIN", *SCRAM} == set(mechanisms), mechanisms
        assert client._shortcmd(f"AUTH PLAIN {b64(chr(0) + USER + chr(0) + PASSWORD)}").startswith(b"+OK")
        assert client.stat()[0] >= 0
        client.quit()
        client = poplib.POP3("127.0.0.1", self.ports["pop"], timeout=HANG_S)
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


def main(program: Path) -> None:
    tap = Tap()
    for name in ("gsasl", "curl", "swaks"):
        tap.ok(shutil.which(name) is not None, f"{name} is here")
    host = Host([program, USER, PASSWORD], PORTS)
    logins = Logins(tap, host)
    try:
        for protocol in ("smtp", "imap"):
            for mechanism in ("PLAIN", "LOGIN", *SCRAM, "EXTERNAL"):
                tap.run(f"gsasl by {mechanism}, {protocol}", logins.by_gsasl, protocol, mechanism)
            for mechanism in ("PLAIN", *SCRAM):
                tap.run(f"gsasl as another by {mechanism}, {protocol}", logins.gsasl_as_another, protocol, mechanism)
        for scheme in ("smtp", "pop3", "imap"):
            for mechanism in ("PLAIN", "LOGIN", "EXTERNAL"):
                tap.run(f"curl by {mechanism}, {scheme}", logins.by_curl, scheme, mechanism)
        for mechanism in ("PLAIN", "LOGIN"):
            tap.run(f"swaks by {mechanism}", logins.by_swaks, mechanism)
            tap.run(f"smtplib by {mechanism}", logins.by_smtplib, mechanism)
        tap.run("imaplib", logins.by_imaplib)
        tap.run("poplib", logins.by_poplib)
        tap.ok(host.end() == 0 and not re.search("Sanitizer|runtime error", host.said()), "the host ends", host.said())
        tap.run(no_secrets.__doc__, no_secrets, host.said())
    finally:
        host.end()
    tap.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(Path(sys.argv[1]))
