#!/usr/bin/env python3
"""TLS by the clients of OpenSSL and GnuTLS over loopback: STARTTLS, STLS and TLS from the first octet, in every protocol
and version; tickets; and what is refused.  tls_clients.py HOST VERSION

HOST is that of logins.py, VERSION the newest that it has, 1.2 or 1.3."""
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from host import HANG_S, Host
from logins import PASSWORD, PORTS, USER, Certificates
from tap import Tap
from tree import until

# What is said, and what is then heard; the door, and the one that has TLS at once.
DIALOGUES = {
    "smtp": ("smtp", "smtps", ["NOOP", "QUIT"], ["250 2.0.0 ok", "221 2.0.0 bye"]),
    "pop3": ("pop", "pops", ["CAPA", "QUIT"], ["RESP-CODES", "+OK"]),
    "imap": ("imap", "imaps", ["a NOOP", "b LOGOUT"], ["a OK", "b OK"]),
}
FAILED = 21  # MAILSRV_EVENT_TLS_FAILED


def openssl(certificates: Certificates, port: int, lines: list[str], *more: str) -> str:
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "here.test", "-crlf", "-ign_eof", "-CAfile",
            f"{certificates.host}.pem", "-verify_return_error", "-verify_hostname", "here.test", *more]
    return subprocess.run(argv, input="".join(line + "\n" for line in lines), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=HANG_S).stdout


def gnutls(certificates: Certificates, port: int, lines: list[str], heard: list[str], *more: str) -> str:
    """It looks for one line of its input at a time, and ends with it: each waits for the answer to the one before."""
    argv = ["gnutls-cli", f"--port={port}", f"--x509cafile={certificates.host}.pem", "--verify-hostname=here.test",
            "--sni-hostname=here.test", "--crlf", *more, "127.0.0.1"]
    said = ""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:
        guard = threading.Timer(HANG_S, process.kill)
        guard.start()
        for line, text in zip(lines, [*heard, "the end"]):
            try:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                break
            while (got := process.stdout.readline()) and text not in got:
                said += got
            said += got
        said += process.stdout.read()
        guard.cancel()
        with contextlib.suppress(BrokenPipeError): # where it ended before it had taken the line
            process.stdin.close()
    return said


class Clients:
    def __init__(self, host: Host, certificates: Certificates, has_13: bool):
        self.host, self.certificates, self.has_13 = host, certificates, has_13

    def expect(self, said: str, *texts: str) -> None:
        for text in texts:
            assert text in said, f"{text!r} is not in:\n{said[-3000:]}"

    def by_openssl(self, protocol: str, at_once: bool, version: str) -> None:
        door, tls_door, lines, heard = DIALOGUES[protocol]
        more = [] if at_once else ["-starttls", protocol]
        said = openssl(self.certificates, self.host.ports[tls_door if at_once else door], lines, *more,
                       f"-tls{version.replace('.', '_')}")
        self.expect(said, *heard, "Verify return code: 0 (ok)", f"TLSv{version}, Cipher is")

    def by_gnutls(self, protocol: str, at_once: bool, version: str) -> None:
        door, tls_door, lines, heard = DIALOGUES[protocol]
        more = [] if at_once else [f"--starttls-proto={protocol}"]
        said = gnutls(self.certificates, self.host.ports[tls_door if at_once else door], lines, heard, *more,
                      f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}")
        self.expect(said, *heard, "The certificate is trusted", f"(TLS{version}-X.509)")

    def resumes(self, version: str, where: Path) -> None:
        """A ticket of one connection is good for another one."""
        port, lines, option = self.host.ports["imaps"], ["a NOOP", "b LOGOUT"], f"-tls{version.replace('.', '_')}"
        ticket = where / f"ticket-{version}"
        self.expect(openssl(self.certificates, port, lines, option, "-sess_out", str(ticket)), f"New, TLSv{version}", "b OK")
        self.expect(openssl(self.certificates, port, lines, option, "-sess_in", str(ticket)), f"Reused, TLSv{version}",
                    "b OK")

    def is_refused(self, version: str, at_once: bool) -> None:
        """An alert for the client, a line for the log."""
        failed = rf"event {FAILED} .+"
        door, more = ("smtps", []) if at_once else ("smtp", ["-starttls", "smtp"])
        before = len(re.findall(failed, self.host.said()))
        said = openssl(self.certificates, self.host.ports[door], ["NOOP"], *more, f"-tls{version.replace('.', '_')}",
                       "-cipher", "ALL:@SECLEVEL=0")
        self.expect(said.lower(), "alert protocol version")
        more = [] if at_once else ["--starttls-proto=smtp"]
        said = gnutls(self.certificates, self.host.ports[door], ["NOOP"], [], *more,
                      f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{'1.0' if version == '1' else version}")
        self.expect(said, "alert")
        until("a line in the log for each", lambda: len(re.findall(failed, self.host.said())) == before + 2)


def tests_of(clients: Clients, where: Path) -> list[tuple]:
    tests = []
    versions = ["1.2", "1.3"] if clients.has_13 else ["1.2"]
    for protocol in DIALOGUES:
        for at_once in (False, True):
            how = "at once" if at_once else "in the middle"
            for version in versions:
                tests.append((f"openssl s_client, {protocol}, TLS {version} {how}", clients.by_openssl, protocol, at_once,
                              version))
                tests.append((f"gnutls-cli, {protocol}, TLS {version} {how}", clients.by_gnutls, protocol, at_once, version))
    for version in versions:
        tests.append((f"a ticket of TLS {version}", clients.resumes, version, where))
    for version in ("1", "1.1"):
        for at_once in (False, True):
            tests.append((f"TLS {version} is refused, {'at once' if at_once else 'in the middle'}", clients.is_refused,
                          version, at_once))
    return tests


def main(program: Path, has_13: bool, where: Path) -> None:
    tap = Tap()
    if not all([tap.ok(shutil.which(name) is not None, f"{name} is here") for name in ("openssl", "gnutls-cli")]):
        tap.end()
    certificates = Certificates(where)
    host = Host([program, USER, PASSWORD, f"{where}/host.pem", f"{where}/host.key", f"{where}/ca.pem"], PORTS)
    try:
        for name, test, *arguments in tests_of(Clients(host, certificates, has_13), where):
            tap.run(name, test, *arguments)
        tap.ok(host.end() == 0 and not re.search("Sanitizer|runtime error", host.said()), "the host ends", host.said())
    finally:
        host.end()
    tap.end()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(Path(sys.argv[1]), sys.argv[2] == "1.3", Path(directory))
