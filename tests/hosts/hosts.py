#!/usr/bin/env python3
"""One host passes the script: hosts.py BUILD_OF_EXAMPLES HOST."""
import os
import sys
from pathlib import Path

import clients
from host import BOTH, Host, Mail
from script import Script
from tap import Tap

# What a host is started with, behind its ports, and what it speaks.  One that only receives is read by serve_epoll.
HOSTS = {
    "receive_poll": ["smtp"],
    "inbox_loop": ["smtp"],
    "pull_only": BOTH,
    "serve_epoll": BOTH,
}
MANY = "serve_epoll"  # this one gets all the messages, the others a tenth


def counts(name: str) -> dict[str, int]:
    number = lambda name, otherwise: int(os.environ.get(name, otherwise))
    return {"messages": number("HOSTS_MESSAGES", 10000) // (1 if name == MANY else 10),
            "connections": number("HOSTS_CONNECTIONS", 50), "seed": number("MAILSRV_SEED", 1)}


def main(built: Path, name: str) -> None:
    tap, hosts = Tap(), []
    if clients.smtp_source() is None:
        tap.ok(False, "smtp-source is here", "tests/build/setup unpack:postfix unpacks it")
        tap.end()
    mail = Mail()
    try:
        for program, speaks in {name: HOSTS[name], "serve_epoll": BOTH}.items():
            if not hosts or "pop3" not in hosts[-1].ports:
                hosts.append(Host([built / program, *("0" for _ in speaks), mail.path], speaks))
        Script(tap, name, hosts[0], hosts[-1], counts(name)).run()
        for reader in hosts[1:]:
            tap.ok(reader.end() == 0, f"{name}: its reader ends", reader.said())
    finally:
        for host in hosts:
            host.end()
        mail.remove()
    tap.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
