#!/usr/bin/env python3
"""mailserverd as whoever runs it sees it: its command line, its files, its log, its end.  daemon.py BUILD"""
import os
import poplib
import re
import shutil
import signal
import smtplib
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import clients
import mailbox
from host import ALL, HANG_S, ROOT, Host
from tap import Tap

ACCOUNTS = """# who has mail here

pat pat@here.test,Sales@Here.Test secret
kim kim@here.test,kim@there.test two words
"""


class Server:
    """A directory with accounts, and the server on it."""

    def __init__(self, built: Path):
        self.program = built / "src/mailserverd/mailserverd"
        self.path = Path(tempfile.mkdtemp(prefix="mailserverd-"))
        self.accounts = self.path / "accounts"
        self.write_accounts(ACCOUNTS)

    def write_accounts(self, text: str, mode: int = 0o600) -> None:
        self.accounts.write_text(text)
        self.accounts.chmod(mode)

    def argv(self, *more) -> list:
        return [self.program, "serve", "--data", self.path / "data", "--accounts", self.accounts, "--hostname",
                "here.test", *more]

    def start(self) -> Host:
        return Host(self.argv(*(word for s in ALL for word in (f"--{s}", "127.0.0.1:0"))), ALL)

    def says(self, *argv) -> tuple[int, str]:
        """What it says on standard error where it ends at once."""
        done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              stdin=subprocess.DEVNULL, timeout=HANG_S)
        return done.returncode, done.stderr

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def refusals(tap: Tap, server: Server) -> None:
    """Each is told in one line what was expected."""
    data, smtp = ["--data", server.path / "data"], ["--smtp", "127.0.0.1:0"]
    with_accounts = [*data, "--accounts", server.accounts]
    for status, what, argv in (
            (2, "expected serve", ["run"]),
            (2, "expected serve", []),
            (2, "expected --data DIRECTORY", ["serve", *smtp]),
            (2, "expected a service", ["serve", *data]),
            (2, "expected a value, not --data", ["serve", "--data"]),
            (2, "expected an option", ["serve", "--colour", "red"]),
            (2, "expected options alone, not mail", ["serve", *data, *smtp, "mail"]),
            (2, "expected ADDRESS:PORT", ["serve", *data, "--smtp", "localhost:25"]),
            (2, "expected ADDRESS:PORT", ["serve", *data, "--smtp", "127.0.0.1"]),
            (2, "expected ADDRESS:PORT", ["serve", *data, "--smtp", "127.0.0.1:65536"]),
            (2, "expected ADDRESS:PORT", ["serve", *data, "--smtp", "::1:25"]),
            (2, "expected ADDRESS:PORT", ["serve", *data, "--smtp", "[127.0.0.1]:25"]),
            (2, "no TLS", ["serve", *data, "--smtp", "0.0.0.0:0"]),
            (2, "no TLS", ["serve", *data, "--pop3", "[::]:0"]),
            (2, "no TLS", ["serve", *data, "--lmtp", "192.0.2.1:24"]),
            (1, "expected a domain", ["serve", *with_accounts, *smtp, "--hostname", "my machine"]),
            (1, "No such file", ["serve", *data, *smtp, "--accounts", server.path / "nowhere"]),
            (1, "No such file", ["serve", "--data", server.path / "a/b", *smtp, "--accounts", server.accounts])):
        got, said = server.says(server.program, *argv)
        good = got == status and what in said and said.count("\n") == 1 and said.startswith("mailserverd: ")
        tap.ok(good, f"{what}: {' '.join(map(str, argv[-2:]))}", f"{got} {said}")
    for text, mode, what in ((ACCOUNTS, 0o640, "expected mode 0600"), (ACCOUNTS, 0o604, "expected mode 0600"),
                             ("# nobody\n", 0o600, "expected an account"),
                             ("\npat pat@here.test\n", 0o600, ":2: expected NAME ADDRESS"),
                             ("pat a@b c\nPat d@e f\n", 0o600, ":2: expected a name that no line before has")):
        server.write_accounts(text, mode)
        got, said = server.says(*server.argv("--smtp", "127.0.0.1:0"))
        tap.ok(got == 1 and what in said and said.count("\n") == 1, f"accounts: {what}", f"{got} {said}")
    server.write_accounts(ACCOUNTS)


def help_and_man(server: Server) -> None:
    said = subprocess.run([server.program, "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"--([a-z0-9]+)", said)) - {"help", "version"}
    manual = (ROOT / "docs/mailserverd.8").read_text()
    described = set(re.findall(r"^\.It Fl -([a-z0-9]+) Ar", manual, re.M))
    assert options and options == described, f"--help has {options}, the manual {described}"
    shown = set(re.findall(r"Fl -([a-z0-9]+) Ar", manual.split(".Sh DESCRIPTION")[0]))
    assert shown == options, f"the synopsis has {shown}"
    said = subprocess.run([server.program, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version: '([^']*)'", (ROOT / "meson.build").read_text())[1]
    assert said == f"mailserverd {version}\n", said


def addresses(server: Server, host: Host) -> None:
    """Case does not matter; postmaster is somebody; a stranger is nobody."""
    smtp, pop3 = host.ports["smtp"], host.ports["pop3"]
    for to in ("SALES@here.test", "pat@HERE.test", "postmaster@here.test", "postmaster@there.test"):
        clients.by_smtplib(smtp, clients.text(to), to)
    with smtplib.SMTP("127.0.0.1", smtp, timeout=HANG_S) as client:
        client.helo("client.remote.test")
        client.mail("kim@remote.test")
        got = [client.rcpt(to)[0] for to in ("sam@here.test", "pat@elsewhere.test", "Postmaster")]
        assert got == [550, 550, 250], got
    for user, password, n in (("pat", "secret", 3), ("KIM", "two words", 1)):
        client = poplib.POP3("127.0.0.1", pop3, timeout=HANG_S)
        client.user(user)
        client.pass_(password)
        assert client.stat()[0] == n, f"{user} has {client.stat()[0]}"
        client.quit()


def wrong_passwords(host: Host) -> None:
    for user, password in (("pat", "secreT"), ("pat", "secret2"), ("pat", "secre"), ("pat", ""), ("sam", "secret"),
                           ("kim", "two")):
        client = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=HANG_S)
        client.user(user)
        try:
            client.pass_(password)
        except poplib.error_proto:
            client.close()
        else:
            raise AssertionError(f"{user} came in with {password!r}")


def log(host: Host) -> None:
    said = host.said()
    for pattern in (r"serving 2 accounts from \S+ as here\.test", r"session \d+ began: smtp from 127\.0\.0\.1:\d+",
                    r"session \d+ accepted a message: .*kim@remote\.test", r"session \d+ refused a recipient: .*sam@here",
                    r"session \d+ login: pat", r"session \d+ refused a login: sam", r"session \d+ ended: \S"):
        assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {pattern}", said, re.M), f"no {pattern} in {said}"
    for secret in ("secret", "two words", "secreT"):
        assert secret not in said, f"{secret} is in the log"


def one_process(server: Server) -> None:
    status, said = server.says(*server.argv("--smtp", "127.0.0.1:0"))
    assert status == 1 and f"{server.path / 'data'}: in use by somebody else" in said, f"{status} {said}"


def port_taken(server: Server, host: Host) -> None:
    argv = [str(a) for a in server.argv("--smtp", f"127.0.0.1:{host.ports['smtp']}")]
    argv[argv.index("--data") + 1] = str(server.path / "other")
    status, said = server.says(*argv)
    assert status == 1 and str(host.ports["smtp"]) in said and said.count("\n") == 1, f"{status} {said}"


def modes(server: Server) -> None:
    for path in [server.path / "data", *(server.path / "data").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} can be opened by others"


def restart(server: Server) -> None:
    """What was there is there, and what was deleted is not; UIDLs stay."""
    host = server.start()
    sent = clients.text("before the end")
    clients.by_smtplib(host.ports["smtp"], sent)
    before = mailbox.login(host.ports["pop3"]).uidl()[1]
    assert host.end() == 0, host.said()
    host = server.start()
    assert mailbox.login(host.ports["pop3"]).uidl()[1] == before
    mailbox.same(mailbox.read_all(host.ports["pop3"])[-1], sent)
    mailbox.empty(host.ports["pop3"])
    assert host.end() == 0, host.said()
    host = server.start()
    assert mailbox.count(host.ports["pop3"]) == 0
    assert host.end() == 0, host.said()


def ends(server: Server) -> None:
    """Who is idle is told; who is in the middle of a message may finish it; a second signal waits for nobody."""
    host = server.start()
    idle, busy = clients.Raw(host.ports["smtp"]), clients.Raw(host.ports["smtp"])
    busy.begin_data()
    host.process.send_signal(signal.SIGINT)
    assert idle.reply().startswith(b"421")
    busy.socket.sendall(clients.stuffed(clients.text("finished")) + b".\r\n")
    assert busy.reply().startswith(b"250")
    assert busy.reply().startswith(b"421")
    assert host.process.wait(HANG_S) == 0, host.said()
    host.end()
    host = server.start()
    (got,) = mailbox.read_all(host.ports["pop3"])
    mailbox.same(got, clients.text("finished"))
    busy = clients.Raw(host.ports["smtp"])
    busy.begin_data()
    host.process.send_signal(signal.SIGTERM)
    clients.Raw.reset(idle)
    while "ending" not in host.said():
        pass
    assert host.end() == 0, host.said()
    assert "at once" in host.said(), host.said()


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    os.umask(0)  # what it makes is for its owner alone, whatever stood here
    try:
        refusals(tap, server)
        tap.run("help, version and manual agree", help_and_man, server)
        host = server.start()
        tap.run("addresses", addresses, server, host)
        tap.run("wrong passwords", wrong_passwords, host)
        tap.run("one process has the directory", one_process, server)
        tap.run("a port that is taken", port_taken, server, host)
        tap.run("files are for their owner alone", modes, server)
        tap.ok(host.end() == 0, "it ends", host.said())
        tap.run("its log, without secrets", log, host)
        tap.run("a restart", restart, server)
        tap.run("signals", ends, server)
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
