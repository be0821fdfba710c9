#!/usr/bin/env python3
"""The host that only pulls, without one of its kinds: what needs it is hidden and refused, and nobody asks for it (the
host would end).  left_out.py BUILD"""
import poplib
import smtplib
import signal
import sys
from pathlib import Path

import clients
import mailbox
from host import BOTH, HANG_S, Host, Mail
from tap import Tap

# kind: what CAPA has no more, and what is refused
POP3 = {
    "AUTH_VERIFY": ({"USER", "SASL"}, ["USER pat"]),
    "STORE_OPEN": ({"USER", "SASL"}, ["USER pat"]),
    "MBOX_OPEN": ({"USER", "SASL"}, ["USER pat"]),
    "ROWS": ({"USER", "SASL", "UIDL"}, ["USER pat"]),
    "READ": ({"TOP"}, ["RETR 1", "TOP 1 0"]),
    "EXPUNGE": (set(), ["DELE 1"]),
    "LOCK": (set(), []),
}
SMTP = ["RESOLVE", "BODY_BEGIN", "BODY_WRITE", "BODY_COMMIT", "BODY_CLOSE"]


def capabilities(port: int) -> set[str]:
    client = poplib.POP3("127.0.0.1", port, timeout=HANG_S)
    try:
        return set(client.capa())
    finally:
        client.quit()


def refused(client: poplib.POP3, command: str) -> None:
    try:
        client._shortcmd(command)
    except poplib.error_proto as error:
        assert error.args[0].startswith(b"-ERR"), error
    else:
        raise AssertionError(f"{command} was not refused")


def pop3(host: Host, everything: set[str], hidden: set[str], commands: list[str]) -> None:
    clients.by_smtplib(host.ports["smtp"], clients.text("left out"))
    there = capabilities(host.ports["pop3"])
    assert there == everything - hidden, f"{there} of {everything}"
    client = poplib.POP3("127.0.0.1", host.ports["pop3"], timeout=HANG_S)
    if "USER" not in hidden:
        client.user("pat")
        client.pass_("secret")
        assert client.stat()[0] == 1
    for command in commands:
        refused(client, command)
    if not commands:
        mailbox.same(b"".join(line + b"\r\n" for line in client.retr(1)[1]), clients.text("left out"))
    client.quit()


def smtp(host: Host) -> None:
    """Nobody is a recipient, and DATA is not begun."""
    with smtplib.SMTP("127.0.0.1", host.ports["smtp"], timeout=HANG_S) as client:
        client.helo("client.remote.test")
        client.mail("kim@remote.test")
        code, _ = client.rcpt("pat@here.test")
        assert code >= 400, code
        code, _ = client.docmd("DATA")
        assert code >= 500, code


def main(built: Path) -> None:
    tap = Tap()

    def without(kinds: list[str], what: str, check, *args) -> None:
        mail = Mail()
        host = Host([built / "examples" / "pull_only", "0", "0", mail.path, *kinds], BOTH)
        tap.run(f"pull_only without {kinds[0] if kinds else 'nothing'}: {what}", check, host, *args)
        tap.ok(host.end() == 0, f"pull_only without {kinds[0] if kinds else 'nothing'}: it ends well", host.said())
        mail.remove()

    everything = set()
    without([], "everything is offered", lambda host: everything.update(capabilities(host.ports["pop3"])))
    tap.ok({"USER", "TOP", "UIDL"} <= everything, "USER, TOP and UIDL are offered", everything)
    for kind, (hidden, commands) in POP3.items():
        without([kind], f"{', '.join(sorted(hidden)) or 'nothing'} hidden, {len(commands)} commands refused", pop3,
                everything, hidden, commands)
    for kind in SMTP:
        without([kind], "no recipient is taken", smtp)
    tap.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that hosts end too
    main(Path(sys.argv[1]))
