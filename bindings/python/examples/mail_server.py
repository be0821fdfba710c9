"""A mail server in Python: SMTP and submission in, POP3 and IMAP out; mail and users in one SQLite file.

    mail_server.py FILE [--pem FILE] [--ports SMTP SUBMISSION POP3 IMAP] NAME:PASSWORD ...

With the certificate and key of --pem, logins are under TLS alone; without, passwords go in the clear, over loopback.
"""
import argparse
import asyncio
import contextlib
import signal
from pathlib import Path

import mailsrv
from mailsrv import Refused, Status
from sqlite_store import SqliteStore
from users import Users

DOMAIN = "here.test"


class Mail(SqliteStore):
    def resolve(self, op):
        if op.arg.domain.lower() not in (b"", DOMAIN.encode()):
            raise Refused(Status.NOPERM, f"mail is taken for {DOMAIN} alone")
        op.arg.address = op.arg.user + b"@" + op.arg.domain  # pat+lists is pat, too
        return super().resolve(op)


def add(store, users, name, password):
    """An account for who has none, and the password that he has from now on."""
    known = users.find(name, "account")
    users.set(name, password, known[0] if known else store.add_account(f"{name}@{DOMAIN}"))


async def serve(store, users, ports, pem):
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    secured = {"tls_by": mailsrv.TLS((pem, pem))} if pem else {"plain_passwords": 1}
    async with mailsrv.Server(store, mailsrv.logins(users.check, users.keys), grace_s=1) as server:
        for name, port in zip(("smtp", "submission", "pop3", "imap"), ports):
            bound = await getattr(server, name)("127.0.0.1", port, hostname=DOMAIN, **secured)
            print(f"{name} 127.0.0.1:{bound}", flush=True)
        await end.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--pem", type=lambda name: Path(name).read_bytes())
    parser.add_argument("--ports", nargs=4, type=int, default=(2525, 2587, 2110, 2143))
    parser.add_argument("users", nargs="*", metavar="NAME:PASSWORD")
    given = parser.parse_intermixed_args()
    with Mail(given.file) as store, contextlib.closing(Users(given.file)) as users:
        for user in given.users:
            add(store, users, *user.split(":", 1))
        asyncio.run(serve(store, users, given.ports, given.pem))


if __name__ == "__main__":
    main()
