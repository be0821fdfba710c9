#!/usr/bin/env python3
"""What mailserverd says when something cannot be done, a line each, and that it is not done then.  told.py BUILD"""
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path

import imap
from host import HANG_S, USERS, Host
from server import Server
from tap import Tap


def refused(server: Server, command: tuple, what: str, says: str = "", code: int = 1) -> None:
    status, _, said = server.does(*command, says=says)
    assert status == code and what in said, f"{command}: {status} {said}"


# ---- Between a command and the server ----


def frame(kind: bytes, octets: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(octets)) + octets


def connect(server: Server) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(HANG_S)
    client.connect(str(server.data / "control"))
    return client


def everything(client: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: client.recv(4096), b""))
    except ConnectionError:
        return b""


def strange_frames(server: Server) -> None:
    """Commands of another version are told; what is no frame ends the connection, and nothing else."""
    host = server.start()
    with connect(server) as client:
        client.sendall(frame(b"w", b"fly") + frame(b"g"))
        said = everything(client)
        assert b"it is of another version" in said and said.endswith(frame(b"x", b"\1")), said
    for octets in (b"GET / HTTP/1.1\r\n\r\n", frame(b"?"), b"w\xff\xff\xff\xff", frame(b"w", b"user") * 100 + frame(b"g"),
                   frame(b"g"), b"w\1"):
        with connect(server) as client:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
            everything(client)
    assert server.must("user", "list").split() == [f"{user}@here.test" for user in sorted(USERS)]
    assert host.end() == 0, host.said()


def strangers(server: Server) -> None:
    """Commands are of root and the server's user alone."""
    host = server.start()
    os.chmod(server.path, 0o755), os.chmod(server.data, 0o755), os.chmod(server.data / "control", 0o666)
    done = subprocess.run([sys.executable, "-c", "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
                           "s.connect(sys.argv[1]); s.sendall(b'w\\4\\0\\0\\0userw\\4\\0\\0\\0listg\\0\\0\\0\\0'); print(s.recv(100))",
                           server.data / "control"], capture_output=True, text=True, timeout=HANG_S)
    os.chmod(server.data, 0o700)
    assert "here.test" not in done.stdout and (done.stdout == "b''\n" or "Error" in done.stderr), done
    assert host.end() == 0, host.said()


def gone(server: Server) -> None:
    """A server that ends in the middle of a command."""
    with socket.socket(socket.AF_UNIX) as fake:
        fake.bind(str(server.data / "control"))
        fake.listen()
        asks = subprocess.Popen([str(word) for word in server.argv("user", "list")], stderr=subprocess.PIPE, text=True)
        fake.accept()[0].close()
        said = asks.communicate(timeout=HANG_S)[1]
    (server.data / "control").unlink()
    assert asks.returncode == 1 and "the server has gone" in said, said


# ---- Passwords ----


def on_a_terminal(server: Server, *lines: bytes) -> tuple[int, str]:
    """Types a line for each question."""
    ours, theirs = pty.openpty()
    asks = subprocess.Popen([str(word) for word in server.argv("user", "passwd", "pat")], stdin=theirs, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=False)
    said = b""
    for line in lines:
        while not said.endswith(b": "):
            octet = asks.stderr.read(1)
            assert octet, said
            said += octet
        while termios.tcgetattr(theirs)[3] & termios.ECHO:
            pass  # the question stands before what is typed is hidden
        os.write(ours, line + b"\n")
        said += b"|"
    said += asks.communicate(timeout=HANG_S)[1]
    os.close(theirs)
    os.close(ours)
    return asks.returncode, said.decode()


def passwords(server: Server) -> None:
    """Asked for twice, and not shown."""
    status, said = on_a_terminal(server, b"one", b"two")
    assert status == 1 and "the two are not the same" in said, said
    status, said = on_a_terminal(server, b"")
    assert status == 1 and "expected a password of 1 to" in said, said
    status, said = on_a_terminal(server, USERS["pat"].encode(), USERS["pat"].encode())
    assert status == 0 and "Once more: " in said, said


# ---- Files ----


def people(server: Server) -> None:
    """Files that are none, and those that cannot be written: then all is as it was."""
    users = server.data / "users"
    kept = users.read_text()
    users.unlink()
    users.mkdir(0o700)
    refused(server, ("user", "list"), f"{users}: expected a file of at most 64 MiB")
    users.rmdir()
    users.symlink_to("/etc/passwd")
    refused(server, ("user", "list"), f"{users}: ")
    users.unlink()
    users.write_text(kept)
    users.chmod(0o600)
    for name, command in (("users", ("user", "remove", "pat")), ("aliases", ("alias", "add", "info", "pat"))):
        (server.data / f"{name}.new").mkdir()
        refused(server, command, f"{server.data / name}: it cannot be written: ")
        (server.data / f"{name}.new").rmdir()
    assert users.read_text() == kept and server.must("alias", "list") == ""
    names = [f"{'x' * 240}{i}@here.test" for i in range(40)]
    users.write_text(kept + "".join(f"{name} *\n" for name in names))
    refused(server, ("alias", "add", "many", *names), "many: expected targets of at most 8191 octets together")
    users.write_text(kept)
    long = "x" * 250 + "@here.test"
    refused(server, ("user", "add", long), "expected an address, as in pat@here.test", says="x\n")
    users.write_text(kept + long + " *\n")
    refused(server, ("user", "list"), "expected ADDRESS HASH")
    users.write_text(kept)


def one_file(server: Server) -> None:
    """Who changes an alias leaves users alone, and the other way round."""
    server.must("alias", "add", "info", "pat")
    before = {name: os.stat(server.data / name).st_ino for name in ("users", "aliases")}
    server.must("alias", "add", "help", "pat")
    assert os.stat(server.data / "users").st_ino == before["users"] and os.stat(server.data / "aliases").st_ino != before["aliases"]
    aliases = os.stat(server.data / "aliases").st_ino
    server.must("user", "passwd", "kim", says=USERS["kim"] + "\n")
    assert os.stat(server.data / "users").st_ino != before["users"] and os.stat(server.data / "aliases").st_ino == aliases
    server.must("alias", "remove", "info"), server.must("alias", "remove", "help")


def folders(server: Server) -> None:
    """Maildirs that cannot be read, or that there is no room in."""
    theirs = server.path / "theirs"
    (theirs / "cur").mkdir(parents=True)
    (theirs / "cur/1.a.host:2,").symlink_to("nowhere")
    refused(server, ("import", "pat", "--maildir", theirs), "cur/1.a.host:2,: No such file")
    (theirs / "cur/1.a.host:2,").unlink()
    (theirs / ".Entwürfe/cur").mkdir(parents=True)
    refused(server, ("import", "pat", "--maildir", theirs), ".Entwürfe: it cannot be read as a folder")
    host = server.start()
    client = imap.login(host.ports["imap"])
    imap.ok(client.append("INBOX", " ".join(f"word{i}" for i in range(30)), None, b"Subject: many words\r\n\r\n"))
    client.logout()
    status, _, said = server.does("export", "pat", "--maildir", server.path / "ours")
    assert status == 0 and "4 keywords left out: a folder of a Maildir has room for 26" in said, said
    assert host.end() == 0, host.said()


def paths(server: Server) -> None:
    refused(server, ("backup", "x" * 600), "expected a shorter path", code=2)
    refused(server, ("backup", "/" + "x" * 600), "cannot be done")


# ---- The server ----


def restart_is_needed(server: Server) -> None:
    """What cannot change while it runs."""
    host = server.start()
    kept = server.config.read_text()
    for i, key in enumerate((f"data = {server.path / 'elsewhere'}", "threads = 2", "user = daemon"), 1):
        server.config.write_text(kept.replace("[server]\n", f"[server]\n{key}\n") if "data" not in key else
                                 kept.replace(f"data = {server.data}", key))
        host.process.send_signal(signal.SIGHUP)
        while host.said().count("the configuration is as it was") < i:
            assert host.is_alive(), host.said()
    assert host.said().count("not reloaded: data, threads and user need a restart") == 3, host.said()
    server.config.write_text(kept)
    assert host.end() == 0, host.said()


def queue_is_as_it_was(server: Server) -> None:
    """A reload says that the queue goes on by the tls-roots that it began with."""
    kept, roots = server.config.read_text(), server.path / "roots.pem"
    for name in ("one.test", "two.test"):
        server.certify(name)
    one, two = ((server.path / f"{name}.test.pem").read_bytes() for name in ("one", "two"))
    roots.write_bytes(one)
    server.config.write_text(f"{kept}[queue]\ntls-roots = {roots}\n")
    host = server.start()
    for i, (octets, times) in enumerate(((one, 0), (two, 1), (two, 1)), 1):
        roots.write_bytes(octets)
        host.process.send_signal(signal.SIGHUP)
        while host.said().count("reloaded\n") < i:
            assert host.is_alive(), host.said()
        assert host.said().count("the queue is as it was: ") == times, host.said()
    server.config.write_text(kept)
    assert host.end() == 0, host.said()


def no_socket(server: Server) -> None:
    """Of a supervisor that gives something else."""
    words = " ".join(f"'{word}'" for word in server.argv("serve"))
    done = subprocess.run(["/bin/sh", "-c", f"exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {words}"], capture_output=True,
                          text=True, timeout=HANG_S)
    assert done.returncode == 1 and "LISTEN_FDS: descriptor 3 is no bound socket" in done.stderr, done


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    os.umask(0)
    try:
        server.add_users()
        for what in (strange_frames, gone, passwords, people, one_file, folders, paths, restart_is_needed, queue_is_as_it_was, no_socket,
                     *([strangers] if os.geteuid() == 0 else [])):
            tap.run((what.__doc__ or what.__name__).splitlines()[0], what, server)
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
