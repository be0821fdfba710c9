#!/usr/bin/env python3
"""One host passes the script: hosts.py BUILD HOST."""
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import clients
from host import ALL, BOTH, ROOT, USERS, Host, Mail
from script import Script
from server import Server
from tap import Tap


@dataclass
class Kind:
    """How a host is started, behind its ports; what it speaks.  One that only receives is read by pull_only."""

    argv: list
    speaks: list[str]
    env: dict[str, str] = field(default_factory=dict)
    share: int = 10  # of the many messages it gets one in so many
    most: int = 1 << 30  # of them, whatever is asked for


def kind_of(name: str, built: Path, mail: Path) -> Kind:
    if name == "python":
        env = {"MAILSRV_LIBRARY": str(built / "src" / "libmailserver.so"),
               "PYTHONPATH": str(ROOT / "bindings" / "python")}
        accounts = [f"{user}:{password}" for user, password in USERS.items()]
        return Kind([sys.executable, ROOT / "bindings/python/examples/serve.py", 0, 0, *accounts], BOTH, env)
    if name == "mailserverd":
        return Kind(mailserverd(built, mail), ALL, share=2)
    program = built / "examples" / name
    if name in ("serve_epoll", "serve_uv"):
        return Kind([program, mail], ALL, share=2)
    if name in ("receive_poll", "inbox_loop"):
        return Kind([program, 0, mail], ["smtp"])
    # a store of a file for each message reads its directory once for each page
    return Kind([program, 0, 0, mail], BOTH, most=20000)


def mailserverd(built: Path, mail: Path) -> list:
    """The server, over a durable store in a directory of its own."""
    server = Server(built, mail)
    server.add_users()
    return server.argv("serve")


def main(built: Path, name: str) -> None:
    tap, mail, hosts = Tap(), Mail(), []
    if clients.smtp_source() is None:
        tap.ok(False, "smtp-source is here", "tests/build/setup unpack:postfix unpacks it")
        tap.end()
    kind = kind_of(name, built, mail.path)
    number = lambda name, otherwise: int(os.environ.get(name, otherwise))
    counts = {"messages": min(number("HOSTS_MESSAGES", 10000) // kind.share, kind.most),
              "connections": number("HOSTS_CONNECTIONS", 50), "seed": number("MAILSRV_SEED", 1)}
    try:
        hosts.append(Host(kind.argv, kind.speaks, kind.env))
        if "pop3" not in kind.speaks:
            hosts.append(Host(kind_of("pull_only", built, mail.path).argv, BOTH))
        Script(tap, name, hosts[0], hosts[-1], counts).run()
        for reader in hosts[1:]:
            tap.ok(reader.end() == 0, f"{name}: its reader ends", reader.said())
    finally:
        for host in hosts:
            host.end()
        mail.remove()
    tap.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that hosts end too
    main(Path(sys.argv[1]), sys.argv[2])
