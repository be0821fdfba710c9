#!/usr/bin/env python3
"""mailserverd sends by the smarthost of who sends: two users, one domain, two servers with a login at each under TLS, a
third for all other mail.  senders.py BUILD"""
import base64
from pathlib import Path

from dns_server import NameServer
from liar import Liar, hello
from peers import message
from sender import Sender, run_with_names
from tap import Tap
from tree import free_port, until

BODY = b"Hello\r\n"
TO = "lee@x.test"
GOOD = {"EHLO": hello(b"STARTTLS", b"AUTH PLAIN"), "AUTH": b"235 2.7.0 welcome\r\n"}
DOWN = {**GOOD, "MAIL": b"421 4.3.2 down\r\n"}
SENDERS = {"kims": "kim@a.test", "pats": "pat@a.test"}


class Senders:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.port = tap, free_port()
        self.a = Sender(built, "a.test", names.port, relay_networks="127.0.0.0/8")
        secret = tuple(self.a.server.path / f"mx.a.test.{end}" for end in ("pem", "key"))
        self.at = {name: f"127.0.8.{n + 1}" for n, name in enumerate([*SENDERS, "rest"])}
        self.liars = {name: Liar(host=at, port=self.port, certificate=secret) for name, at in self.at.items()}
        for name, liar in self.liars.items():
            liar.always = GOOD
            (self.a.server.path / name).write_text(f"secret of {name}\n")
        self.routes = {name: {"host": f"{at}:{self.port}", "tls": "required", "user": name,
                              "password_file": self.a.server.path / name} for name, at in self.at.items()}

    def run(self) -> None:
        self.configure(by_sender=False)
        self.a.start()
        for check in (self.one_for_all, self.reloads, self.logs_in, self.one_is_down, self.restarts):
            self.tap.run(check.__doc__, check)
        self.tap.run("it ends", self.a.end)

    def remove(self) -> None:
        if self.tap.bad:
            print("".join(f"# {line}\n" for line in self.a.log().splitlines()[-40:]), end="")
        self.a.remove()
        for liar in self.liars.values():
            liar.close()

    def configure(self, by_sender: bool) -> None:
        froms = {name: {"from": sender} for name, sender in SENDERS.items()} if by_sender else {}
        self.a.routes = {name: {**self.routes[name], **froms.get(name, {})} for name in [*froms, "rest"]}
        self.a.configure()

    def send_all(self) -> None:
        """Of each, and of nobody, to one recipient."""
        for sender in SENDERS.values():
            self.a.send(message(f"of {sender}", BODY, sender), TO, sender=sender)
        self.a.send(message("of nobody", BODY, "<>"), TO, sender="", listener="mx")

    def took(self, **wanted: set[str]) -> None:
        """Since this was asked last."""
        found = {name: {one.sender.decode() for one in liar.taken} for name, liar in self.liars.items()}
        n = sum(len(liar.taken) for liar in self.liars.values())
        for liar in self.liars.values():
            liar.taken = []
        wanted = {name: wanted.get(name, set()) for name in self.liars}
        assert found == wanted and n == sum(map(len, wanted.values())), (found, n)

    def one_for_all(self) -> None:
        """no route has senders: one server has all mail"""
        self.send_all()
        self.a.emptied()
        self.took(rest={"", *SENDERS.values()})

    def reloads(self) -> None:
        """routes by senders behind a reload: each has what its sender sends, and the last what others do"""
        self.configure(by_sender=True)
        self.a.reload()
        self.send_all()
        self.a.emptied()
        self.took(kims={"kim@a.test"}, pats={"pat@a.test"}, rest={""})

    def logs_in(self) -> None:
        """at each by its own name and password, under TLS"""
        for name, liar in self.liars.items():
            said = [line.split()[2] for call in liar.calls for line in call.said if line.startswith(b"AUTH PLAIN ")]
            assert {base64.b64decode(one) for one in said} == {f"\0{name}\0secret of {name}".encode()}, (name, said)
            assert all(call.tls_from is not None for call in liar.calls), name

    def one_is_down(self) -> None:
        """one is down: mail of its sender waits, and nothing else"""
        self.liars["kims"].always = DOWN
        self.send_all()
        until("what others sent", lambda: self.liars["pats"].taken and self.liars["rest"].taken)
        self.a.waits(1, "--from", "kim@a.test", "--domain", TO.split("@")[1])
        until("nothing else", lambda: {item["from"] for item in self.a.queued()} == {"kim@a.test"})
        self.took(pats={"pat@a.test"}, rest={""})

    def restarts(self) -> None:
        """and goes by it behind a restart"""
        self.a.end()
        self.liars["kims"].always = GOOD
        self.a.start()
        self.a.emptied()
        self.took(kims={"kim@a.test"})


def main() -> None:
    run_with_names(Tap(), Senders)


if __name__ == "__main__":
    main()
