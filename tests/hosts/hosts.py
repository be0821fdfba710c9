#!/usr/bin/env python3
"""Every host of examples/ passes the same script.  hosts.py BUILD_OF_EXAMPLES HOST ..."""
import os
import sys
import tempfile
from pathlib import Path

import clients
from host import Host, Mail
from script import Script
from tap import Tap

BOTH = ["smtp", "pop3"]


def counts() -> dict[str, int]:
    number = lambda name, otherwise: int(os.environ.get(name, otherwise))
    return {"messages": number("HOSTS_MESSAGES", 10000), "connections": number("HOSTS_CONNECTIONS", 50),
            "seed": number("MAILSRV_SEED", 1)}


def main() -> None:
    built, names, tap = Path(sys.argv[1]), sys.argv[2:], Tap()
    if clients.smtp_source() is None:
        tap.ok(False, "smtp-source is here", "tests/build/setup unpack:postfix unpacks it")
        tap.end()
    for name in names:
        mail = Mail("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        try:
            if name in ("receive_poll", "inbox_loop"):
                host = Host([built / name, 0, mail.path], ["smtp"])
                reader = Host([built / "serve_epoll", 0, 0, mail.path], BOTH)
            else:
                host = reader = Host([built / name, 0, 0, mail.path], BOTH)
            Script(tap, name, host, reader, counts()).run()
            if reader is not host:
                tap.ok(reader.end() == 0, f"{name}: its reader ends", reader.said())
        finally:
            host.end()
            reader.end()
            mail.remove()
    tap.end()


if __name__ == "__main__":
    main()
