#!/usr/bin/env python3
"""mailserverd as whoever runs it sees it: its command line, its configuration, its users, its log, its end.
daemon.py BUILD"""
import json
import os
import poplib
import re
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import clients
import mailbox
from host import ALL, HANG_S, ROOT, USERS, Host
from server import Server, listener
from tap import Tap

# ---- Words and files ----


def command_lines(tap: Tap, server: Server) -> None:
    """Each is told in one line what was expected."""
    for what, command in (("a command", []), ("a command", ["--colour"]), ("a subcommand", ["run"]),
                          ("a subcommand", ["serve", "now"]), ("user add ADDRESS", ["user"]),
                          ("user add ADDRESS", ["user", "add"]), ("user add ADDRESS", ["user", "list", "pat"]),
                          ("user add ADDRESS", ["user", "remove", "pat", "--all"]), ("alias add ADDRESS", ["alias", "add", "info"]),
                          ("import ADDRESS", ["import", "pat", "--tar", "x"]), ("export ADDRESS", ["export", "pat"]),
                          ("backup DIRECTORY", ["backup"])):
        status, _, said = server.does(*command)
        good = status == 2 and f"expected {what}" in said and said.count("\n") == 1 and said.startswith("mailserverd: ")
        tap.ok(good, f"expected {what}: {' '.join(command)}", f"{status} {said}")


SERVER = "[server]\ndata = {data}\n"
IMAP = "[listener imap]\nprotocol = imap\naddress = 127.0.0.1:0\n"


def configurations(tap: Tap, server: Server) -> None:
    """A mistake names file, line, key and what was expected; each mistake has a line."""
    for text, line, what in (
            (SERVER + IMAP + "colour = red\n", 6, "colour: expected one of protocol, address"),
            ("[servers]\ndata = x\n" + IMAP, 1, "expected [server], [queue], [tls NAME], [listener NAME] or [route NAME], not servers"),
            (SERVER + "hostname = my machine\n" + IMAP, 3, "hostname: expected a domain"),
            (SERVER + "threads = 0\n" + IMAP, 3, "threads: expected a number from 1 to 64, not 0"),
            (SERVER + "threads = many\n" + IMAP, 3, "threads: expected a number from 1 to 64, not many"),
            (SERVER + "memory = 1K\n" + IMAP, 3, "memory: expected a number of octets from 16M"),
            (SERVER + "message-size = 99999999999999999999\n" + IMAP, 3, "message-size: expected a number of octets"),
            (SERVER + "recipients = 10\n" + IMAP, 3, "recipients: expected a number from 100 to 1000"),
            (SERVER + "log = xml\n" + IMAP, 3, "log: expected text or json, not xml"),
            (SERVER + "subaddress = ++\n" + IMAP, 3, "subaddress: expected one of"),
            (SERVER + "data\n" + IMAP, 3, "expected [SECTION], KEY = VALUE"),
            (SERVER + "domains = " + "x" * 300 + "\n" + IMAP, 3, "expected a shorter line"),
            (SERVER + IMAP.replace("imap\n", "nntp\n"), 4, "protocol: expected mx, submission, lmtp, pop3 or imap, not nntp"),
            (SERVER + IMAP.replace("127.0.0.1:0", "localhost:25"), 5, "address: expected at most 8 of ADDRESS:PORT"),
            (SERVER + IMAP.replace("127.0.0.1:0", "127.0.0.1:65536"), 5, "address: expected at most 8 of ADDRESS:PORT"),
            (SERVER + IMAP.replace("127.0.0.1:0", "::1:25"), 5, "address: expected at most 8 of ADDRESS:PORT"),
            (SERVER + IMAP + "tls = maybe\n", 6, "tls: expected no, starttls or implicit, not maybe"),
            (SERVER + IMAP + "tls = starttls\n", 3, "imap: expected a section [tls NAME]"),
            (SERVER + IMAP.replace("127.0.0.1", "0.0.0.0") + "plain-passwords = yes\n", 3, "imap: expected loopback"),
            (SERVER + "[listener imap]\nprotocol = imap\n", 3, "imap: expected address = ADDRESS:PORT"),
            (SERVER + "[listener imap]\naddress = 127.0.0.1:0\n", 3, "imap: expected protocol"),
            (SERVER + "[tls x]\nkey = /nowhere\n" + IMAP, 3, "[tls]: expected both certificate = FILE and key = FILE"),
            (SERVER + "[tls x]\nkey = /nowhere\ncertificate = /nowhere\n" + IMAP, 3, "certificate: expected a file with PEM, of at most 1 MiB, not /nowhere"),
            (SERVER + "relay-networks = 0.0.0.0/0\n" + IMAP, 3, "relay-networks: expected at most 64 networks, none larger than a /8"),
            (SERVER + "relay-networks = 127.0.0.1/33\n" + IMAP, 3, "relay-networks: expected at most 64 networks"),
            (SERVER + "relay-networks = ::/8\n" + IMAP, 3, "relay-networks: expected at most 64 networks"),
            (SERVER + "[queue]\ncolour = red\n" + IMAP, 4, "colour: expected one of first-retry, longest-retry"),
            (SERVER + "[queue]\nexpire = 5w\n" + IMAP, 4, "expire: expected a time from 1s to 60d, as in 90s, 15m, 4h or 5d, not 5w"),
            (SERVER + "[queue]\nfirst-retry = 0\n" + IMAP, 4, "first-retry: expected a time from 1s to 1d"),
            (SERVER + "[queue]\ndns = localhost\n" + IMAP, 4, "dns: expected name servers by address"),
            (SERVER + "[queue]\ndowngrade = bounce\n" + IMAP, 4, "downgrade: expected yes or no, not bounce"),
            (SERVER + "[queue]\ndnssec = yes\n" + IMAP, 4, "dnssec: expected dns = SERVER beside it, one that validates"),
            (SERVER + "[queue]\nsource = here.test\n" + IMAP, 4, "source: expected an address of IPv4"),
            (SERVER + "[queue]\ntls-roots = /nowhere\n" + IMAP, 4, "tls-roots: expected a file with PEM, of at most 1 MiB, not /nowhere"),
            (SERVER + "[route a]\nhost = b.test:70000\n" + IMAP, 4, "host: expected mx or HOST, with :PORT or without"),
            (SERVER + "[route a]\nhost = [b.test]\n" + IMAP, 4, "host: expected mx or HOST"),
            (SERVER + "[route a]\ntls = maybe\n" + IMAP, 4, "tls: expected no, offered, required, verified, implicit"),
            (SERVER + "[route a]\nhost = b.test\nuser = pat\n" + IMAP, 3, "a: expected both user = NAME and password-file or token-file"),
            (SERVER + "[route a]\nhost = b.test\nuser = pat\npassword-file = /x\n" + IMAP, 3,
             "a: expected tls = required, verified or implicit where there is a user"),
            (SERVER + "[route a]\nprotocol = lmtp\n" + IMAP, 3, "a: expected host = HOST where there is a user, or LMTP"),
            (SERVER + "[route a]\nfor = b.test\n[route a]\nfor = c.test\n" + IMAP, 5, "expected a name of one word that no route before has"),
            (SERVER, 2, "expected a section [listener NAME]"),
            (SERVER + "colour = red\n" + IMAP, 3, "colour: expected one of hostname, data"),
            (SERVER + "data =\n" + IMAP, 3, "data: expected the path of a directory"),
            (SERVER + "domains = a.test b.test.\n" + IMAP, 3, "domains: expected at most 64 domains"),
            (SERVER + "".join(f"domains = d{i}.test\n" for i in range(65)) + IMAP, 67, "domains: expected at most 64 domains"),
            (SERVER + "user = a b\n" + IMAP, 3, "user: expected the name of a user of this system, not a b"),
            (SERVER + "user = nobody-of-this-name\n" + IMAP, 3, "user: expected the name of a user of this system, not nobody-"),
            (SERVER + "grace = 3601\n" + IMAP, 3, "grace: expected a number of seconds up to 3600, not 3601"),
            (SERVER + "login-failures = 1001\n" + IMAP, 3, "login-failures: expected a number up to 1000, not 1001"),
            (SERVER + "password-hash = md5\n" + IMAP, 3, "password-hash: expected yescrypt, or argon2id where"),
            (SERVER + "login-cache = 1d\n" + IMAP, 3, "login-cache: expected a number of seconds up to 86400, not 1d"),
            (SERVER + "messages-per-hour = -1\n" + IMAP, 3, "messages-per-hour: expected a number up to 1000000, not -1"),
            (SERVER + "recipients-per-hour = x\n" + IMAP, 3, "recipients-per-hour: expected a number up to 1000000, not x"),
            (SERVER + IMAP + "plain-passwords = 1\n", 6, "plain-passwords: expected yes or no, not 1"),
            (SERVER + IMAP + "channel-binding = true\n", 6, "channel-binding: expected yes or no, not true"),
            (SERVER + IMAP + "connections = 0\n", 6, "connections: expected a number from 1 to 1000000, not 0"),
            (SERVER + IMAP + "connections-per-peer = -1\n", 6, "connections-per-peer: expected a number from 1 to 1000000"),
            (SERVER + IMAP + "protocol = nntp\n", 6, "protocol: expected mx, submission, lmtp, pop3 or imap, not nntp"),
            (SERVER + IMAP + IMAP, 6, "expected a name of one word that no listener before has"),
            (SERVER + IMAP + "[listener a b]\ntls = no\n", 6, "expected a name of one word that no listener before has"),
            (SERVER + "".join(IMAP.replace("listener imap", f"listener {i}") for i in range(33)), 99, "expected a name of one word"),
            (SERVER + IMAP + "[listener " + "x" * 60 + "]\ntls = no\n", 6, "expected a name of at most 49 octets"),
            (SERVER + IMAP + "tls = n\0o\n", 6, "expected text, without NUL"),
            (SERVER + "".join(f"[tls {i}]\nkey = /k\n" for i in range(33)) + IMAP, 67, "expected at most 32 certificates"),
            (SERVER + "[tls x]\ncert = /c\n" + IMAP, 4, "cert: expected one of certificate, key"),
            (SERVER + "[tls x]\ncertificate =\n" + IMAP, 4, "certificate: expected the path of a file, PEM, with the whole chain"),
            (SERVER + "[tls x]\nkey =\n" + IMAP, 4, "key: expected the path of a file, PEM"),
            (SERVER + "[tls x]\nkey = /dev/null\ncertificate = /dev/null\n" + IMAP, 3, "certificate: expected a file with PEM, of at most 1 MiB, not /dev/null"),
            (SERVER + "hostname = " + "a" * 64 + ".test\n" + IMAP, 3, "hostname: expected a domain"),
            (SERVER + "hostname = mail..test\n" + IMAP, 3, "hostname: expected a domain"),
            ("[server]\nhostname = here.test\n" + IMAP, 5, "[server]: expected data = DIRECTORY")):
        server.config.write_text(text.format(data=server.data))
        status, _, said = server.does("check-config")
        good = status == 1 and f"{server.config}:{line}: {what}" in said
        tap.ok(good, f"line {line}: {what}", f"{status} {said}")
    server.config.write_text(SERVER.format(data=server.data) + "threads = 0\nlog = xml\n" + IMAP + "tls = maybe\n")
    said = server.does("serve")[2]
    tap.ok(said.count("\n") == 3, "all mistakes are told at once", said)
    server.config.unlink()
    status, _, said = server.does("serve")
    tap.ok(status == 1 and "No such file" in said and said.count("\n") == 1, "a file that is not there", said)
    server.configure()
    tap.ok("4 listeners" in server.must("check-config"), "a configuration that is as it should be")


def help_and_man(server: Server) -> None:
    said = server.must("--help")
    manual = (ROOT / "docs/mailserverd.8").read_text()
    commands = set(re.findall(r"^  ([a-z][a-z-]*)", said, re.M))
    described = set(re.findall(r"^\.It Cm ([a-z-]+)", manual, re.M))
    assert commands and commands == described, f"--help has {commands}, the manual {described}"
    config = (ROOT / "docs/mailserverd.conf.5").read_text()
    source = "".join((ROOT / "src/mailserverd" / name).read_text() for name in ("config.c", "config_out.c"))
    keys = set(re.findall(r'^    \{ "([a-z-]+)", (?:take|reading)_', source, re.M))
    described = set(re.findall(r"^\.It Cm ([a-z-]+) No =", config, re.M))
    assert keys and keys == described, f"the sources have {keys}, the manual {described}"
    example = re.search(r"\.Sh EXAMPLES\n\.Bd [^\n]*\n(.*?)\.Ed", config, re.S)[1]
    section, kept = server.certify("mail.example.org"), server.config.read_text()
    server.config.write_text(re.sub(r"\[tls mail.example.org\]\n.*\n.*\n", section, example))
    assert "5 listeners, 1 certificates, 1 domains" in server.must("check-config")
    server.config.write_text(kept)
    version = re.search(r"version: '([^']*)'", (ROOT / "meson.build").read_text())[1]
    assert server.must("--version") == f"mailserverd {version}\n"


# ---- Users and addresses ----


def users(server: Server) -> None:
    """Also without a server."""
    server.add_users()
    server.must("user", "add", "Sam@There.Test", says="x y  z\n")
    assert server.must("user", "list").split() == ["kim@here.test", "pat@here.test", "sam@there.test"]
    for command, says, what in ((("user", "add", "pat"), "x\n", "there is such a user"),
                                (("user", "add", "kim@elsewhere.test"), "x\n", "one of the domains"),
                                (("user", "add", "a b"), "x\n", "expected an address"),
                                (("user", "add", "@here.test"), "x\n", "expected an address"),
                                (("user", "add", "ann"), "\n", "expected a password"),
                                (("user", "add", "ann"), "", "expected a password"),
                                (("user", "add", "ann"), "x" * 600 + "\n", "expected a password"),
                                (("user", "passwd", "ann"), "x\n", "no such user"),
                                (("user", "remove", "ann"), "", "no such user"),
                                (("alias", "add", "info", "ann"), "", "no such user or alias"),
                                (("alias", "remove", "info"), "", "no such alias"),
                                (("alias", "add", "info@elsewhere.test", "pat"), "", "one of the domains")):
        status, _, said = server.does(*command, says=says)
        assert status == 1 and what in said and said.count("\n") == 1, f"{command}: {status} {said}"
    server.must("alias", "add", "sales", "pat", "kim")
    server.must("alias", "add", "all", "sales", "sam@there.test")
    server.must("alias", "add", "@there.test", "kim")
    server.must("alias", "add", "gone", "pat")
    server.must("alias", "remove", "gone")
    assert len(server.must("alias", "list").splitlines()) == 3
    kept = (server.data / "users").read_text()
    assert not any(password in kept for password in [*USERS.values(), "x y  z"]), kept
    for name in ("users", "aliases"):
        path = server.data / name
        kept = path.read_text()
        for line in ("pat@here.test", "no-address x", kept.splitlines()[1]):
            path.write_text(kept + line + "\n")
            status, _, said = server.does("user", "list")
            where = f"{path}:{kept.count(chr(10)) + 1}: expected ADDRESS "
            assert status == 1 and where in said and "each address once" in said, said
        path.write_text(kept)
        path.chmod(0o640)
        status, _, said = server.does("user", "list")
        assert status == 1 and "expected mode 0600" in said, said
        path.chmod(0o600)


def login(host: Host, user: str, password: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=HANG_S)
    client.user(user)
    client.pass_(password)
    return client


def refused(host: Host, user: str, password: str) -> None:
    try:
        login(host, user, password)
    except poplib.error_proto:
        return
    raise AssertionError(f"{user} came in with {password!r}")


def addresses(server: Server, host: Host) -> None:
    """Case does not matter; aliases, details, postmaster and a catch-all lead somewhere; a stranger is nobody."""
    expected = {"pat": 0, "kim": 0, "sam@there.test": 0}
    for to, whose in (("PAT@here.test", ["pat"]), ("pat@HERE.test", ["pat"]), ("sales@here.test", ["pat", "kim"]),
                      ("all@here.test", list(expected)), ("pat+lists@here.test", ["pat"]), ("sam@there.test", ["sam@there.test"]),
                      ("anybody@there.test", ["kim"]), ("postmaster@here.test", ["kim"])):
        clients.by_smtplib(host.ports["smtp"], clients.text(to), to)
        for user in whose:
            expected[user] += 1
    with smtplib.SMTP("127.0.0.1", host.ports["smtp"], timeout=HANG_S) as client:
        client.helo("client.remote.test")
        client.mail("kim@remote.test")
        got = [client.rcpt(to)[0] for to in ("ann@here.test", "pat@elsewhere.test", "Postmaster")]
        assert got == [550, 550, 250], got
    for (user, n), password in zip(expected.items(), [*USERS.values(), "x y  z"]):
        client = login(host, user, password)
        assert client.stat()[0] == n, f"{user} has {client.stat()[0]}, not {n}"
        client.quit()


def wrong_passwords(host: Host) -> None:
    for user, password in (("pat", "secreT"), ("pat", ""), ("pat", "x" * 600), ("ann", "secret")):
        refused(host, user, password)


def while_it_runs(server: Server, host: Host) -> None:
    """Commands reach the server, and hold at once."""
    server.must("user", "add", "ann", says="first\n")
    login(host, "ann", "first").quit()
    server.must("user", "passwd", "ann", says="second\n")
    refused(host, "ann", "first")
    login(host, "ann@here.test", "second").quit()
    server.must("alias", "add", "post", "ann")
    clients.by_smtplib(host.ports["smtp"], clients.text("to post"), "post@here.test")
    assert login(host, "ann", "second").stat()[0] == 1
    server.must("alias", "remove", "post")
    server.must("user", "remove", "ann", "--mail")
    refused(host, "ann", "second")
    server.must("user", "add", "ann", says="third\n")
    assert login(host, "ann", "third").stat()[0] == 0, "the mail of who was removed is there"
    server.must("user", "remove", "ann")
    status = server.must("status")
    assert re.search(rf"^process {host.process.pid}$", status, re.M) and "sessions" in status, status


# ---- The rest of an operator's day ----


def log(host: Host) -> None:
    said = host.said()
    for pattern in (r"serving 3 users from \S+ as here\.test", r"session \d+ began: smtp from 127\.0\.0\.1:\d+",
                    r"session \d+ accepted a message: .*kim@remote\.test", r"session \d+ refused a recipient: .*ann@here",
                    r"session \d+ login: pat", r"session \d+ refused a login: ann", r"session \d+ ended: \S"):
        assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {pattern}", said, re.M), f"no {pattern} in {said}"
    for secret in ("secret", "x y  z", "secreT", "second"):
        assert secret not in said, f"{secret} is in the log"


def one_process(server: Server) -> None:
    status, _, said = server.does("serve")
    assert status == 1 and f"{server.data}/store: in use by somebody else" in said, f"{status} {said}"
    status, _, said = server.does("doctor")
    assert status == 1 and "a server runs on it" in said, f"{status} {said}"


def port_taken(server: Server, host: Host) -> None:
    before = server.config.read_text()
    server.configure(listener("imap", at=f"127.0.0.1:{host.ports['smtp']}"), data=server.path / "other")
    status, _, said = server.does("serve")
    server.config.write_text(before)
    assert status == 1 and f"127.0.0.1:{host.ports['smtp']}: Address already in use" in said, f"{status} {said}"


def modes(server: Server) -> None:
    for path in [server.data, *server.data.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} can be opened by others"


def wait_for(host: Host, text: str) -> None:
    while text not in host.said():
        assert host.is_alive(), host.said()


def reload(server: Server) -> None:
    """SIGHUP: other listeners, and who is here stays; a mistake changes nothing."""
    host = server.start()
    here = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=HANG_S)
    kept = server.config.read_text()
    server.config.write_text("nonsense")
    host.process.send_signal(signal.SIGHUP)
    wait_for(host, "the configuration is as it was")
    here.noop if here.user("pat") and here.pass_("secret") else None
    at = {name: f"127.0.0.1:{host.ports[name]}" for name in ALL}
    path = server.path / "lmtp"
    server.configure(*(listener(name, at=f"127.0.0.1:0" if name == "imap" else f"unix:{path}" if name == "lmtp" else at[name])
                       for name in ALL if name != "smtp"), log="json")
    host.process.send_signal(signal.SIGHUP)
    wait_for(host, '"reloaded"')
    here.noop()
    with smtplib.LMTP(str(path), local_hostname="client.remote.test") as client:
        client.sendmail(clients.SENDER, ["pat@here.test"], clients.text("by a local socket"))
    try:
        socket.create_connection(("127.0.0.1", host.ports["smtp"])).close()
        raise AssertionError("smtp still listens")
    except ConnectionRefusedError:
        pass
    server.config.write_text(kept)
    assert host.end() == 0, host.said()
    for line in host.said().splitlines():
        if line.startswith("{"):
            one = json.loads(line)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) and one["message"], line


def several_threads(server: Server) -> None:
    """The same mail, whichever thread a connection comes to."""
    kept = server.config.read_text()
    server.configure(threads=3)
    host = server.start()
    mailbox.empty(host.ports["pop3"])
    sent = [clients.text(f"number {i}") for i in range(12)]
    for one in sent:
        clients.by_smtplib(host.ports["smtp"], one)
    got = mailbox.read_all(host.ports["pop3"])
    assert len(got) == len(sent)
    for one, message in zip(got, sent):
        mailbox.same(one, message)
    assert "threads 3" in server.must("status")
    assert host.end() == 0, host.said()
    server.config.write_text(kept)


def activation(server: Server) -> None:
    """Sockets of a supervisor are taken, and not bound again."""
    given = socket.socket()
    given.bind(("127.0.0.1", 0))
    port = given.getsockname()[1]
    kept = server.config.read_text()
    server.configure(*(listener(name, at=f"127.0.0.1:{port}" if name == "smtp" else "127.0.0.1:0") for name in ALL))
    words = " ".join(f"'{word}'" for word in server.argv("serve"))
    take = f"exec 3<&{given.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec {words}"
    host = Host(["/bin/sh", "-c", take], ALL, pass_fds=[given.fileno()])
    given.close()
    clients.by_smtplib(port, clients.text("through a socket of somebody else"))
    assert host.ports["smtp"] == port and host.end() == 0, host.said()
    server.config.write_text(kept)


def descriptors(server: Server) -> None:
    """It takes as many as it may have, whatever the habit is."""
    words = " ".join(f"'{word}'" for word in server.argv("serve"))
    host = Host(["/bin/sh", "-c", f"ulimit -Sn 64; exec {words}"], ALL)
    limits = Path(f"/proc/{host.process.pid}/limits").read_text()
    soft, hard = re.search(r"^Max open files +(\d+) +(\d+)", limits, re.M).groups()
    peers = [clients.Raw(host.ports["smtp"]) for _ in range(100)]
    assert soft == hard and all(peer.greeting.startswith(b"220") for peer in peers), limits
    for peer in peers:
        peer.close()
    assert host.end() == 0, host.said()


def privileges(server: Server) -> None:
    """Root only until its ports are bound."""
    kept = server.config.read_text()
    os.chmod(server.path, 0o755)
    server.configure(user="nobody", data=server.path / "nobodys")
    server.must("user", "add", "early", says="x\n")  # what is made before is that user's, too
    assert {path.stat().st_uid for path in (server.path / "nobodys").rglob("*")} == {65534}
    host = server.start()
    ids = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)", Path(f"/proc/{host.process.pid}/status").read_text(), re.M).groups()
    assert set(ids) == {"65534"}, ids
    server.add_users()
    clients.by_smtplib(host.ports["smtp"], clients.text("to nobody's server"))
    assert len(mailbox.read_all(host.ports["pop3"])) == 1
    assert host.end() == 0, host.said()
    assert (server.path / "nobodys").stat().st_uid == 65534
    server.config.write_text(kept)


def shown(port: int, name: str, trusted: Path) -> str:
    """The version under which a client that asks for a host finds one of that name."""
    context = ssl.create_default_context(cafile=str(trusted))
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name) as s:
        assert s.recv(4) == b"* OK"
        return s.version()


def certificates(server: Server) -> None:
    """By the name that is asked for; other ones after SIGHUP, which those that do not fit are not."""
    kept = server.config.read_text()
    others = [listener(name) for name in ALL if name != "imap"]
    imaps = listener("imap").replace("tls = no", "tls = implicit")
    both = server.certify("mail.here.test") + server.certify("mail.there.test")
    server.configure(both, imaps, *others)
    host = server.start()
    for name in ("mail.here.test", "mail.there.test"):
        assert shown(host.ports["imap"], name, server.path / f"{name}.pem") == "TLSv1.3"
    server.configure(server.certify("third.here.test", key_of="mail.here.test"), imaps, *others)
    status, _, said = server.does("check-config")
    assert status == 1 and f"{server.config}:" in said and "[tls]: expected" in said, said
    host.process.send_signal(signal.SIGHUP)
    wait_for(host, "the configuration is as it was")
    shown(host.ports["imap"], "mail.here.test", server.path / "mail.here.test.pem")
    server.configure(server.certify("third.here.test"), imaps, *others)
    host.process.send_signal(signal.SIGHUP)
    wait_for(host, "reloaded")
    shown(host.ports["imap"], "third.here.test", server.path / "third.here.test.pem")
    with socket.create_connection(("127.0.0.1", host.ports["imap"])) as junk:
        junk.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while junk.recv(100):
            pass
    wait_for(host, "failed at TLS")
    assert host.end() == 0, host.said()
    server.config.write_text(kept)


def index(server: Server) -> None:
    """What docs/operating.md promises of the data directory: the index is made anew, and another format is not touched."""
    host = server.start()
    clients.by_smtplib(host.ports["smtp"], clients.text("without an index"))
    before = mailbox.login(host.ports["pop3"]).uidl()[1]
    assert host.end() == 0, host.said()
    for path in (server.data / "store").glob("index.db*"):
        path.unlink()
    host = server.start()
    assert mailbox.login(host.ports["pop3"]).uidl()[1] == before
    mailbox.same(mailbox.read_all(host.ports["pop3"])[-1], clients.text("without an index"))
    mailbox.empty(host.ports["pop3"])
    assert host.end() == 0, host.said()


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
    wait_for(host, "ending")
    assert host.end() == 0, host.said()
    assert "at once" in host.said(), host.said()


def doctor(server: Server) -> None:
    """It finds what was bent, and what leads nowhere."""
    assert "0 faults" in server.must("doctor")
    aliases, users = server.data / "aliases", server.data / "users"
    for path, line, fault in ((aliases, "old@here.test pat@here.test gone@here.test\n", "old@here.test leads to gone@here.test"),
                              (aliases, "a@old.test pat@here.test\n", "a@old.test is in none of the domains"),
                              (users, "ann@old.test *\n", "ann@old.test is in none of the domains")):
        kept = path.read_text()
        path.write_text(kept + line)
        status, out, _ = server.does("doctor")
        path.write_text(kept)
        assert status == 1 and f"{path}: {fault}" in out and f"{server.data}: 1 faults" in out, out
    users.write_text("nonsense\n" + (kept := users.read_text()))
    status, _, said = server.does("doctor")
    users.write_text(kept)
    assert status == 1 and f"{users}:1: expected ADDRESS HASH" in said, said
    status, _, said = server.does("doctor", "now")
    assert status == 2 and "expected a subcommand" in said, said
    log = sorted((server.data / "store").glob("*.log"))[-1]
    octets = log.read_bytes()
    log.write_bytes(octets[:len(octets) // 2] + bytes([octets[len(octets) // 2] ^ 1]) + octets[len(octets) // 2 + 1:])
    status, out, _ = server.does("doctor")
    log.write_bytes(octets)
    assert status == 1 and "0 faults" not in out, out


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    os.umask(0)  # what it makes is for its owner alone, whatever stood here
    try:
        command_lines(tap, server)
        configurations(tap, server)
        tap.run("help, version and manuals agree", help_and_man, server)
        tap.run("users and aliases", users, server)
        host = server.start()
        tap.run("addresses", addresses, server, host)
        tap.run("wrong passwords", wrong_passwords, host)
        tap.run("commands while it runs", while_it_runs, server, host)
        tap.run("one process has the directory", one_process, server)
        tap.run("a port that is taken", port_taken, server, host)
        tap.run("files are for their owner alone", modes, server)
        tap.ok(host.end() == 0, "it ends", host.said())
        tap.run("its log, without secrets", log, host)
        tap.run("reload", reload, server)
        tap.run("several threads", several_threads, server)
        tap.run("sockets of a supervisor", activation, server)
        tap.run("descriptors", descriptors, server)
        if os.geteuid() == 0:
            tap.run("privileges are dropped", privileges, server)
        tap.run("certificates", certificates, server)
        tap.run("a restart", restart, server)
        tap.run("without its index", index, server)
        tap.run("signals", ends, server)
        tap.run("doctor", doctor, server)
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
