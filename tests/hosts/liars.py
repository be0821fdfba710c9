#!/usr/bin/env python3
"""mailserverd sends to servers that refuse for now, hang up, talk nonsense, too much or too late, at each stage; and to
names that name servers do not give, or give badly.  The mail waits, and then arrives once: twice at most where the other
had taken it and nobody said so.  liars.py BUILD"""
import socket
from pathlib import Path

from dns_server import NameServer
from liar import GOOD, HANGS_UP, OK, STAGES, Liar, endless, hello, late
from peers import KINDS, message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, until

BODY = b"Hello\r\n.\r\n..\r\n.x\r\n" + b"0123456789" * 9 + b"\r\n"
IN_THE_MIDDLE = 70  # octets of it
WRONG = {"greeting": b"354 go on\r\n", "EHLO": b"354 go on\r\n", "MAIL": b"354 go on\r\n", "RCPT": b"354 go on\r\n",
         "DATA": b"250 fine\r\n", "dot": b"354 go on\r\n"}
REPLIES = {
    "refuses for now": b"451 4.3.0 not now\r\n",
    "says 421": b"421 4.3.2 going down\r\n",
    "says a code that there is not": b"099 what\r\n999 what\r\n",
    "talks nonsense": b"\xff\0hello \x1b[2J\r\n",
    "says half a line and hangs up": b"250",
}


def good(stage: str) -> bytes:
    return {**GOOD, "EHLO": hello()}[stage]


def cases() -> dict[str, list[dict]]:
    """What each does on its first connections."""
    found: dict[str, list[dict]] = {}
    for stage in STAGES:
        for what, reply in REPLIES.items():
            found[f"{stage}: it {what}"] = [{stage: half(reply)}]
        found[f"{stage}: it refuses twice"] = [{stage: REPLIES["refuses for now"]}] * 2
        found[f"{stage}: it hangs up"] = [{stage: HANGS_UP}]
        found[f"{stage}: it replies as to something else"] = [{stage: WRONG[stage]}]
        found[f"{stage}: lines without end"] = [{stage: endless(good(stage)[:3] + b"-more\r\n")}]
        found[f"{stage}: a line without end"] = [{stage: endless(good(stage)[:3] + b"-more")}]
        found[f"{stage}: LF without end"] = [{stage: endless(good(stage)[:3] + b"-more\n")}]
        found[f"{stage}: it comes late"] = [{stage: late(good(stage)), "takes": True}]
    found["it hangs up in the middle of the message"] = [{"text": IN_THE_MIDDLE}]
    found["it takes the message, and hangs up"] = [{"takes": True, "dot": HANGS_UP}]
    found["it takes the message, says so, and hangs up"] = [{"then hangs up": True}]
    found["it takes the message, and says 421 behind that"] = [{"takes": True, "dot": OK + b"421 4.3.2 bye\r\n",
                                                                "then hangs up": True}]
    return found


def half(reply: bytes):
    """A line that does not end is the last thing that is said."""
    def say(peer: socket.socket) -> None:
        peer.sendall(reply)
        peer.shutdown(socket.SHUT_RDWR)
    return reply if reply.endswith(b"\n") else say


class Liars:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.all, port = tap, {}, free_port()
        for n, (what, deeds) in enumerate(cases().items()):  # an address and a domain for each
            self.all[what] = (f"d{n}.test", Liar(*deeds, host=f"127.0.1.{n + 1}", port=port))
            names.zone |= zone_of(f"d{n}.test", at=f"127.0.1.{n + 1}")
        self.sender = Sender(built, "a.test", names.port, routes={"out": {"host": f"mx:{port}"}})

    def run(self) -> None:
        self.sender.start()
        with self.sender.client() as client:
            for n, (domain, _) in enumerate(self.all.values()):
                client.sendmail(self.sender.users[0], [f"kim@{domain}"], self.message(n))
        for n, (what, (domain, liar)) in enumerate(self.all.items()):
            self.tap.run(what, self.arrives, domain, liar, n)
        self.tap.run("the sender hears of nothing", self.is_silent)
        self.tap.run("it ends", self.sender.end)

    def message(self, n: int) -> bytes:
        return message(f"case {n}", BODY, self.sender.users[0])

    def arrives(self, domain: str, liar: Liar, n: int) -> None:
        until(f"the end of what is for {domain}", lambda: not self.sender.queued("--domain", domain))
        most = 2 if liar.calls[0].said and self.may_come_twice(n) else 1
        assert 1 <= len(liar.taken) <= most, f"{len(liar.taken)} times, {[call.said for call in liar.calls]}"
        for taken in liar.taken:
            assert (taken.sender, taken.to) == (b"pat@a.test", [f"kim@{domain}".encode()]), taken
            sent = self.message(n)
            assert taken.octets.startswith(b"Received: ") and taken.octets.endswith(sent), taken.octets

    def may_come_twice(self, n: int) -> bool:
        return list(self.all)[n] == "it takes the message, and hangs up"

    def is_silent(self) -> None:
        assert not self.sender.take(self.sender.users[0])

    def remove(self) -> None:
        if self.tap.bad:
            print("".join(f"# {line}\n" for line in self.sender.log().splitlines()[-60:]), end="")
        self.sender.remove()
        for _, liar in self.all.values():
            liar.close()


def main() -> None:
    run_with_names(Tap(), Liars)


if __name__ == "__main__":
    main()
