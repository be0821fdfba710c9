#!/usr/bin/env python3
"""What `mailserverd stats` says of what real clients did, number for number, over three threads.  counted.py BUILD"""
import imaplib
import json
import poplib
import smtplib
import socket
import subprocess
import sys
import time
from pathlib import Path

import clients
from host import HANG_S, Host
from server import Server
from tap import Tap

LETTERS = 7


def figures(server: Server) -> dict:
    return json.loads(server.must("stats", "--json"))


def settled(server: Server, face: str) -> dict:
    """When all of its sessions have gone: the last octet is with the client before the server has counted it."""
    until = time.monotonic() + HANG_S
    while (now := figures(server))["faces"][face]["sessions"] and time.monotonic() < until:
        time.sleep(0.05)
    return now


def counts(series: dict) -> tuple:
    return tuple(series[key] for key in ("done", "refused", "failed", "dropped"))


def whole(series: dict) -> None:
    """Buckets hold what is done, ascend, and agree with the sum of the times."""
    buckets = series["buckets_us"]
    assert sum(n for _, n in buckets) == series["done"], series
    limits = [limit for limit, _ in buckets]
    assert limits == sorted(limits) and all(n > 0 for _, n in buckets), series
    assert series["total_us"] <= sum(limit * n for limit, n in buckets) and series["most_us"] < (limits or [1])[-1], series
    assert series["begun"] == series["open"] + series["done"] + series["dropped"], series


def expect(commands: dict, **wanted: tuple) -> None:
    got = {name: counts(series) for name, series in commands.items()}
    assert got == wanted, f"{got}, not {wanted}"


def by_smtp(server: Server, host: Host) -> None:
    """Some connections with messages, one with what is refused, and one that goes in the middle."""
    for i in range(LETTERS):
        clients.by_smtplib(host.ports["smtp"], clients.text(f"number {i}"))
    with smtplib.SMTP("127.0.0.1", host.ports["smtp"], "client.test") as smtp:
        smtp.helo()
        assert smtp.docmd("MAIL", "FROM:<a@remote.test>")[0] == 250
        assert smtp.docmd("RCPT", "TO:<nobody@here.test>")[0] == 550
        assert smtp.docmd("RCPT", "TO:<pat@elsewhere.test>")[0] == 550
        assert smtp.docmd("XYZZY")[0] == 500
    with socket.create_connection(("127.0.0.1", host.ports["smtp"])) as leaves:
        assert leaves.recv(100).startswith(b"220 ")
        leaves.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<pat@here.test>\r\nDATA\r\n")
        got = b""
        while b"354" not in got:
            got += leaves.recv(1000)
    all_of_it = settled(server, "mx")
    face = all_of_it["faces"]["mx"]
    n = LETTERS
    expect(face["commands"], **{"EHLO": (n + 1, 0, 0, 0), "HELO": (1, 0, 0, 0), "MAIL": (n + 2, 0, 0, 0),
                                "RCPT": (n + 3, 2, 0, 0), "DATA": (n + 1, 0, 0, 0), ".": (n, 0, 0, 0), "QUIT": (n + 1, 0, 0, 0),
                                "?": (1, 1, 0, 0)})
    assert face["began"] == n + 2 and face["sessions"] == 0
    assert face["octets_in"] > n * len(clients.text("number 0")) and face["octets_out"] > 0
    assert all_of_it["messages_accepted"] == all_of_it["messages_delivered"] == n
    operations = all_of_it["operations"]
    assert counts(operations["BODY_COMMIT"]) == (n, 0, 0, 0) and operations["BODY_BEGIN"]["done"] == n + 1
    assert counts(operations["RESOLVE"])[:2] == (n + 3, 2), operations["RESOLVE"]
    assert operations["BODY_COMMIT"]["total_us"] > 0, "a commit takes time"
    assert operations["BODY_COMMIT"]["total_us"] <= face["commands"]["."]["total_us"], "it is within its command"


def by_lmtp(server: Server, host: Host) -> None:
    """A message to two, which is replied to twice."""
    with socket.create_connection(("127.0.0.1", host.ports["lmtp"])) as lmtp:
        lines = lmtp.makefile("rwb")
        lines.write(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<pat@here.test>\r\nRCPT TO:<kim@here.test>\r\nDATA\r\n")
        lines.flush()
        while not lines.readline().startswith(b"354 "):
            pass
        lines.write(clients.stuffed(clients.text("to both")) + b".\r\nQUIT\r\n")
        lines.flush()
        said = lines.read()
    assert said.count(b"\r\n") == 3 and said.startswith(b"250 ") and b"\r\n221 " in said, said
    all_of_it = settled(server, "lmtp")
    expect(all_of_it["faces"]["lmtp"]["commands"],
           **{"LHLO": (1, 0, 0, 0), "MAIL": (1, 0, 0, 0), "RCPT": (2, 0, 0, 0), "DATA": (1, 0, 0, 0), ".": (1, 0, 0, 0),
              "QUIT": (1, 0, 0, 0)})
    assert all_of_it["messages_accepted"] == LETTERS + 1 and all_of_it["messages_delivered"] == LETTERS + 2


def by_pop3(server: Server, host: Host) -> None:
    pop3 = poplib.POP3("127.0.0.1", host.ports["pop3"])
    pop3.user("pat")
    pop3.pass_("secret")
    for i in range(3):
        pop3.retr(i + 1)
    for wrong in ("RETR 99", "NONSENSE"):
        try:
            pop3._shortcmd(wrong)
            raise AssertionError(f"{wrong} is taken")
        except poplib.error_proto:
            pass
    pop3.quit()
    other = poplib.POP3("127.0.0.1", host.ports["pop3"])
    other.user("pat")
    try:
        other.pass_("wrong")
        raise AssertionError("a wrong password is taken")
    except poplib.error_proto:
        pass
    other.quit()
    commands = settled(server, "pop3")["faces"]["pop3"]["commands"]
    expect(commands, **{"USER": (2, 0, 0, 0), "PASS": (2, 1, 0, 0), "RETR": (4, 1, 0, 0), "QUIT": (2, 0, 0, 0), "?": (1, 1, 0, 0)})


def by_imap(server: Server, host: Host) -> None:
    """What an IDLE is, while it lasts, and afterwards."""
    imap = imaplib.IMAP4("127.0.0.1", host.ports["imap"])
    imap.login("pat", "secret")
    assert imap.select("INBOX")[0] == "OK" and imap.select("Nowhere")[0] == "NO"
    assert imap.select("INBOX")[0] == "OK"
    for i in range(5):
        assert imap.fetch("1:*", "(FLAGS)")[0] == "OK"
    assert imap.uid("FETCH", "1:*", "(FLAGS)")[0] == "OK"
    assert imap.append("INBOX", None, None, clients.text("appended"))[0] == "OK"
    imap.send(b"i IDLE\r\n")
    while b"idling" not in imap.readline():
        pass
    face = figures(server)["faces"]["imap"]
    assert face["commands"]["IDLE"]["open"] == 1 and face["commands"]["IDLE"]["done"] == 0, face
    assert face["sessions"] == face["resting"] == face["logged_in"] == 1 and face["secure"] == 0, face
    imap.send(b"DONE\r\n")
    while b"i OK" not in imap.readline():
        pass
    imap.send(b"x FETCH\r\n")
    while b"x BAD" not in imap.readline():
        pass
    imap.logout()
    all_of_it = settled(server, "imap")
    got = {name: counts(series) for name, series in all_of_it["faces"]["imap"]["commands"].items()}
    assert got.pop("CAPABILITY")[1:] == (0, 0, 0)  # as often as imaplib asks
    assert got == {"LOGIN": (1, 0, 0, 0), "SELECT": (3, 1, 0, 0), "FETCH": (7, 1, 0, 0), "APPEND": (1, 0, 0, 0), "IDLE": (1, 0, 0, 0),
                   "LOGOUT": (1, 0, 0, 0)}, got
    assert all_of_it["messages_delivered"] == LETTERS + 3


def store(server: Server) -> None:
    all_of_it = figures(server)
    kept = all_of_it["store"]
    assert sum(n for _, n in kept["group_sizes"]) == kept["groups"] >= 3
    assert sum(n for _, n in kept["sync_times_us"]) == kept["syncs"] >= kept["groups"]
    assert kept["longest_sync_us"] <= kept["sync_us"] and kept["writes_waiting"] == 0
    assert kept["log_octets"] > (LETTERS + 2) * len(clients.text("number 0"))
    classes = [n for name, n in all_of_it.items() if name.startswith("memory_of_") and name != "memory_of_tls"]
    assert sum(classes) == all_of_it["memory"] <= all_of_it["memory_peak"]
    for series in [s for face in all_of_it["faces"].values() for s in face["commands"].values()] + [*all_of_it["operations"].values()]:
        whole(series)


def tables(server: Server) -> None:
    """What a person reads is the same."""
    said, all_of_it = server.must("stats"), figures(server)
    lines = [line.split() for line in said.splitlines()]
    rows = {(line[0], line[1]): line[2:] for line in lines if len(line) > 2}
    for face, those in all_of_it["faces"].items():
        for name, series in those["commands"].items():
            assert [int(n) for n in rows[face, name][:4]] == [*counts(series)], f"{face} {name}"
    assert f"messages delivered {all_of_it['messages_delivered']}" in said and "of so many and more" in said
    assert all(len(line) <= 132 and line == line.rstrip() for line in said.splitlines()), said


def at_once(server: Server) -> None:
    """Several who ask at the same time all get everything."""
    asking = [subprocess.Popen([str(word) for word in server.argv("stats", "--json")], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for one in asking:
        out, _ = one.communicate(timeout=HANG_S)
        assert one.returncode == 0 and json.loads(out)["messages_accepted"] == LETTERS + 2, out


def main(built: Path) -> None:
    tap, server = Tap(), Server(built)
    try:
        server.configure(threads=3)
        server.add_users()
        status, out, said = server.does("stats")
        tap.ok(status == 1 and not out and said == f"mailserverd: no server runs on {server.data}\n", "without a server", said)
        status, _, said = server.does("stats", "--xml")
        tap.ok(status == 2 and "expected stats [--json]" in said, "expected stats [--json]", said)
        host = server.start()
        tap.run("SMTP", by_smtp, server, host)
        tap.run("LMTP", by_lmtp, server, host)
        tap.run("POP3", by_pop3, server, host)
        tap.run("IMAP", by_imap, server, host)
        tap.run("store and memory", store, server)
        tap.run("tables", tables, server)
        tap.run("several who ask at once", at_once, server)
        tap.ok(host.end() == 0, "it ends", host.said())
    finally:
        server.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
