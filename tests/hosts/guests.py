#!/usr/bin/env python3
"""Those who come to mailserverd: who guesses, who is remembered, who is no user any more, who sends too much.
guests.py BUILD"""
import imaplib
import os
import poplib
import re
import smtplib
import socket
import sys
import time
from pathlib import Path

import clients
from host import HANG_S, USERS, Host
from server import Server, listener
from tap import Tap

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
NAMES = ["pop3", "imap", "submission"]
SUBMISSION = "[listener submission]\nprotocol = submission\naddress = 127.0.0.1:0\ntls = no\nplain-passwords = yes\n"


class Pop3(poplib.POP3):
    """From an address of one's choice."""

    def __init__(self, port: int, source: str):
        self.source = source
        super().__init__("127.0.0.1", port, timeout=HANG_S)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (self.source, 0))


def login(host: Host, user: str, password: str, source: str = HERE) -> str:
    """What it is told; empty: it is in."""
    client = Pop3(host.ports["pop3"], source)
    try:
        client.user(user)
        client.pass_(password)
        client.quit()
    except poplib.error_proto as refused:
        client.close()
        return str(refused)
    return ""


def status(server: Server, what: str) -> int:
    return int(re.search(rf"^{what} (\d+)$", server.must("status"), re.M)[1])


def start(server: Server, **keys: object) -> Host:
    server.configure(listener("pop3", "connections-per-peer = 4"), listener("imap"), SUBMISSION, **keys)
    return Host(server.argv("serve"), NAMES)


def guesses(server: Server) -> None:
    """The limit is one for all sessions, names that do not exist included; from elsewhere nobody is locked out."""
    host = start(server, login_failures=3, login_cache=0)
    assert login(host, "kim", USERS["kim"]) == ""
    for user in ("pat", "nobody", "pat"):
        assert "[AUTH]" in login(host, user, "wrong")
    assert status(server, "logins failed") == 3 and status(server, "logins refused unheard") == 0
    for user, password in (("pat", USERS["pat"]), ("nobody", "wrong"), ("ann", "wrong")):
        assert "[SYS/TEMP]" in login(host, user, password), "it is listened to"
    assert status(server, "logins refused unheard") == 3
    assert status(server, "names and addresses at the limit of failures") == 1
    assert login(host, "kim", USERS["kim"]) == "", "who has come in from there does not any more"
    assert login(host, "pat", USERS["pat"], ELSEWHERE) == "", "a user is locked out"
    assert status(server, "logins failed") == 3, "what was not listened to failed"
    assert host.end() == 0, host.said()


def known(server: Server) -> None:
    """Who has come in from there is refused by his own failures, and those are gone when he comes in."""
    host = start(server, login_failures=3, login_cache=0)
    assert login(host, "pat", USERS["pat"]) == ""
    for _ in range(2):
        assert "[AUTH]" in login(host, "pat", "wrong")
    assert login(host, "pat@HERE.test", USERS["pat"]) == ""
    for _ in range(3):
        assert "[AUTH]" in login(host, "Pat", "wrong")
    assert "[SYS/TEMP]" in login(host, "pat", USERS["pat"])
    assert login(host, "kim", USERS["kim"], ELSEWHERE) == ""
    assert host.end() == 0, host.said()


def scram(server: Server) -> None:
    """Proofs that are wrong count as passwords do, also those that get their keys late."""
    host = start(server, login_failures=5, login_cache=0)
    for _ in range(5):
        client = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=HANG_S)
        answers = iter([b"n,,n=pat,r=abcdefghij", None])
        try:
            client.authenticate("SCRAM-SHA-256", lambda said: next(answers) or b"c=biws,r=" + re.search(rb"r=([^,]*)", said)[1]
                                + b",p=" + b"A" * 43 + b"=")
            raise AssertionError("it came in")
        except imaplib.IMAP4.error as refused:
            assert "AUTHENTICATIONFAILED" in str(refused), refused
        client.shutdown()
    assert status(server, "logins failed") == 5
    assert "[SYS/TEMP]" in login(host, "pat", USERS["pat"])
    assert login(host, "pat", USERS["pat"], ELSEWHERE) == ""
    assert host.end() == 0, host.said()


def leaving(server: Server) -> None:
    """Who does not wait for an answer that comes late."""
    host = start(server, login_failures=0, login_cache=0)
    for _ in range(4):
        assert "[AUTH]" in login(host, "pat", "wrong")
    for port, said in (("imap", b"a AUTHENTICATE SCRAM-SHA-256 biwsbj1wYXQscj1hYmNkZWZnaGlq\r\n"),
                       ("pop3", b"USER pat\r\nPASS wrong\r\n")) * 3:
        with socket.create_connection(("127.0.0.1", host.ports[port])) as client:
            client.recv(100)
            client.sendall(said)
            if port == "pop3":
                client.recv(100)
    assert login(host, "pat", USERS["pat"]) == "", "with no limit somebody is refused"
    while status(server, "sessions") != 0:
        pass
    assert host.end() == 0, host.said()


def remembered(server: Server) -> None:
    """A right password is; a wrong one never, nor the old one when there is another."""
    host = start(server)
    for i in range(3):
        assert login(host, "kim", USERS["kim"]) == ""
        assert status(server, "logins remembered") == i
    assert "[AUTH]" in login(host, "kim", "wrong")
    server.must("user", "passwd", "kim", says="other\n")
    assert "[AUTH]" in login(host, "kim", USERS["kim"]) and status(server, "logins remembered") == 2
    assert login(host, "kim", "other") == "" and login(host, "kim", "other") == ""
    assert status(server, "logins remembered") == 3
    server.must("user", "passwd", "kim", says=USERS["kim"] + "\n")
    assert host.end() == 0, host.said()
    host = start(server, login_cache=0)
    for _ in range(2):
        assert login(host, "kim", USERS["kim"]) == ""
    assert status(server, "logins remembered") == 0, "it remembers though it must not"
    assert host.end() == 0, host.said()
    host = start(server, login_cache=1)
    assert login(host, "kim", USERS["kim"]) == ""
    time.sleep(2.1)  # more does not matter
    assert login(host, "kim", USERS["kim"]) == ""
    assert status(server, "logins remembered") == 0, "it remembers for too long"
    assert host.end() == 0, host.said()


def hashes(server: Server) -> None:
    """New passwords are hashed as the configuration says; the old ones are still looked at."""
    users = server.data / "users"
    server.configure(password_hash="argon2id")
    server.must("user", "add", "ann", says="third\n")
    assert re.search(r"^ann@here\.test \$argon2id\$v=19\$m=19456,t=2,p=1\$\S+ SCRAM", users.read_text(), re.M)
    assert re.search(r"^pat@here\.test \$y\$", users.read_text(), re.M)
    host = start(server, password_hash="argon2id", login_cache=0)
    assert [login(host, "pat", USERS["pat"]), login(host, "ann", "third")] == ["", ""]
    for user, password in (("pat", "wrong"), ("ann", "Third"), ("nobody", "third")):
        assert "[AUTH]" in login(host, user, password)
    assert host.end() == 0, host.said()
    server.must("user", "remove", "ann")


def see_off(server: Server) -> None:
    """Another password, or none: who is connected is sent away, and nobody else is."""
    host = start(server, threads=2)
    server.must("user", "add", "ann", says="first\n")
    pats = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=HANG_S)
    pats.user("pat"), pats.pass_(USERS["pat"])
    for command, says in ((("user", "passwd", "ann"), "first\n"), (("user", "remove", "ann"), "")):
        idle = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=HANG_S)
        idle.login("ann", "first")
        idle.send(b"i IDLE\r\n")
        assert idle.readline().startswith(b"+")
        sends = smtplib.SMTP("127.0.0.1", host.ports["submission"], timeout=HANG_S)
        sends.login("ann", "first")
        proved = imaplib.IMAP4("127.0.0.1", host.ports["imap"], timeout=HANG_S)
        proved.authenticate("PLAIN", lambda _: b"\0ann\0first")
        server.must(*command, says=says)
        said = b"".join(iter(idle.readline, b""))
        assert b"* BYE" in said, said
        assert sends.getreply()[0] == 421
        assert b"* BYE" in proved.readline()
    assert pats.noop().startswith(b"+OK")
    pats.quit()
    assert host.end() == 0, host.said()


def crowd(server: Server) -> None:
    """Connections of one address are counted over all addresses and threads of a listener; those that end make room.

    The log says who it was that ended, and who was turned away."""
    with socket.socket() as one, socket.socket() as two:
        one.bind((HERE, 0)), two.bind((HERE, 0))
        ports = [one.getsockname()[1], two.getsockname()[1]]
    at = " ".join(f"127.0.0.1:{port}" for port in ports)
    server.configure(listener("pop3", "connections-per-peer = 4", at=at), listener("imap"), SUBMISSION, threads=3)
    host = Host(server.argv("serve"), NAMES)
    for _ in range(2):
        here = [Pop3(port, HERE) for port in ports * 2]
        try:
            Pop3(ports[0], HERE)
            raise AssertionError("a fifth one came")
        except (poplib.error_proto, OSError):
            pass
        Pop3(ports[1], ELSEWHERE).quit()
        for client in here:
            client.quit()
        while status(server, "sessions") != 0:
            pass
    assert host.end() == 0, host.said()
    began, ended, turned_away = (re.findall(rf"session \d+ {what}: .*$", host.said(), re.M)
                                 for what in ("began", "ended", "is turned away"))
    assert (len(began), len(ended), len(turned_away)) == (12, 12, 2), host.said()


def hourly(server: Server) -> None:
    """Messages and recipients of a user, over all of his sessions; others are not bound by them."""
    host = start(server, messages_per_hour=3, recipients_per_hour=4)

    def session(user: str) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", host.ports["submission"], timeout=HANG_S)
        client.login(user, USERS[user])
        return client

    message = b"From: pat@here.test\r\nSubject: one\r\n\r\ntext\r\n"
    for to in (["kim@here.test"], ["kim@here.test", "pat@here.test"]):
        assert session("pat").sendmail("pat@here.test", to, message) == {}
    third = session("pat")
    third.ehlo(), third.mail("pat@here.test")
    assert [third.rcpt(to) [0] for to in ("kim@here.test", "pat@here.test")] == [250, 450]
    assert third.rset()[0] == 250
    code, text = third.mail("pat@here.test")
    assert code == 450 and text.startswith(b"4.7.1") and b"come again later" in text, (code, text)
    assert status(server, "submissions over a limit") == 2
    other = session("kim")
    assert other.sendmail("kim@here.test", ["pat@here.test"], message.replace(b"pat", b"kim")) == {}
    assert host.end() == 0, host.said()


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    os.umask(0)
    try:
        server.add_users()
        for what in (guesses, known, scram, leaving, remembered, hashes, see_off, crowd, hourly):
            tap.run(what.__doc__.splitlines()[0], what, server)
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
