#!/usr/bin/env python3
"""mailserverd sends where other servers were bitten (T38 to T61, in what senders have to do), over sockets: to servers that
put words between STARTTLS and TLS, or have no TLS where it is required; by name servers that do not answer; to domains
without mail exchangers; and many to one that is down.  What dialogues, bounces.py and liars.py show of these traps is
not shown again.  traps.py BUILD"""
from pathlib import Path

from dns_server import NameServer
from liar import Liar, refuse_handshake
from peers import message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, until

BODY = b"Hello\r\n.\r\n..\r\n.x\r\nbye\r\n"
MANY, AT_FIRST, AT_ONCE = 150, 4, 20  # messages for one that is down; connections to it: while it is, and ever
DOWN = b"421 4.3.2 down\r\n"
OURS = "127.0.6.240"
SILENCES = ["servfail", "refused", "silent"]


def commands(liar: Liar, call: int) -> list[bytes]:
    return [line.split()[0].upper() for line in liar.calls[call].said if line.strip()]


class Traps:
    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, self.names, self.port = tap, names, free_port()
        self.liars: list[Liar] = []
        routes = {"must": {"for": ".must.test", "host": f"mx:{self.port}", "tls": "required"},
                  "smart": {"for": "via.test", "host": f"smart.test:{self.port}"}, "out": {"host": f"mx:{self.port}"}}
        self.a = Sender(built, "a.test", names.port, routes=routes, queue={"own_addresses": OURS})
        self.slow = Sender(built, "slow.test", names.port, routes=routes,
                           queue={"first_retry": "1h", "longest_retry": "4h"})
        self.secret = tuple(self.a.server.path / f"mx.a.test.{end}" for end in ("pem", "key"))

    def run(self) -> None:
        for one in (self.a, self.slow):
            one.start()
        for check in (self.quoted, self.dots, self.words_before_tls, self.tls_fails, self.no_answer, self.no_domain, self.no_exchanger,
                      self.unusable, self.ours, self.no_tls, self.tls_refused, self.next_has_tls, self.many):
            self.tap.run(check.__doc__, check)
        for one in (self.a, self.slow):
            self.tap.run(f"{one.domain} ends", one.end)

    def remove(self) -> None:
        for one in (self.a, self.slow):
            if self.tap.bad:
                print("".join(f"# {line}\n" for line in one.log().splitlines()[-40:] if " imap " not in line), end="")
            one.remove()
        for liar in self.liars:
            liar.close()

    def liar(self, *deeds: dict, host: str | None = None, **more: object) -> tuple[Liar, str]:
        """A server, and its address."""
        at = host or f"127.0.6.{len(self.liars) + 1}"
        self.liars.append(Liar(*deeds, host=at, port=self.port, **more))
        return self.liars[-1], at

    def exchanger(self, domain: str, *deeds: dict, **more: object) -> Liar:
        """The mail exchanger of a new domain."""
        liar, at = self.liar(*deeds, **more)
        self.names.zone |= zone_of(domain, at=at)
        return liar

    def sent(self, name: str, to: str) -> bytes:
        octets = message(name, BODY, self.a.users[0])
        self.a.send(octets, to)
        return octets

    def over(self, *domains: str) -> None:
        for domain in domains:
            until(f"the end of what is for {domain}", lambda: not self.a.queued("--domain", domain))

    def arrives(self, liar: Liar, to: str, sent: bytes) -> None:
        """Once, and the sender hears of nothing."""
        self.a.emptied()  # of a notice, too
        (taken,) = liar.taken
        assert (taken.sender, taken.to) == (b"pat@a.test", [to.encode()]), taken
        assert taken.octets.endswith(sent), taken.octets
        assert not self.a.take(self.a.users[0])

    # ---- What is said ----

    def quoted(self) -> None:
        """a space in a quoted local part is passed on as it stands (T38)"""
        liar, to = self.exchanger("q.test"), '"odd user"@q.test'
        self.arrives(liar, to, self.sent("quoted", to))
        assert b'RCPT TO:<"odd user"@q.test>\r\n' in liar.calls[0].said, liar.calls[0].said

    def dots(self) -> None:
        """lines that are one dot, or begin with one, to a server that knows DATA alone (T44)"""
        liar = self.exchanger("dots.test")
        self.arrives(liar, "kim@dots.test", self.sent("dots", "kim@dots.test"))
        assert commands(liar, 0)[:4] == [b"EHLO", b"MAIL", b"RCPT", b"DATA"], liar.calls[0].said

    # ---- TLS ----

    def words_before_tls(self) -> None:
        """replies behind 220, before TLS, are an attack: nothing more is said, and the next time TLS is sound (T43)"""
        liar = self.exchanger("evil.test", {"STARTTLS": b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n"},
                              {"STARTTLS": b"220 go\r\n250-AU"}, certificate=self.secret)
        self.arrives(liar, "kim@evil.test", self.sent("evil", "kim@evil.test"))
        assert [commands(liar, n) for n in (0, 1)] == [[b"EHLO", b"STARTTLS"]] * 2, liar.calls
        assert len(liar.calls) == 3 and liar.calls[2].tls_from == 2, liar.calls

    def tls_fails(self) -> None:
        """a server that offers TLS and cannot do it gets mail in the clear, where TLS is not required (RFC 7435 section 4)"""
        liar = self.exchanger("broken.test", {"STARTTLS": refuse_handshake}, certificate=self.secret)
        self.arrives(liar, "kim@broken.test", self.sent("broken", "kim@broken.test"))
        assert commands(liar, 0) == [b"EHLO", b"STARTTLS"], liar.calls
        assert liar.calls[1].tls_from is None and b"STARTTLS" not in commands(liar, 1), liar.calls

    def no_tls(self) -> None:
        """TLS is required and not offered: it is not tried, nothing is said in the clear, and the mail waits (T59)"""
        liar = self.exchanger("none.must.test")
        sent = self.sent("none", "kim@none.must.test")
        item = self.a.waits(2, "--domain", "none.must.test")
        assert item["text"].startswith("4.7.5 TLS is required"), item
        assert {command for n in range(len(liar.calls)) for command in commands(liar, n)} <= {b"EHLO", b"QUIT"}, liar.calls
        other, at = self.liar(certificate=self.secret)
        self.names.zone |= zone_of("none.must.test", at=at)
        self.a.does("retry", "--all")
        self.arrives(other, "kim@none.must.test", sent)
        assert other.calls[0].tls_from == 2 and not liar.taken, (other.calls, liar.taken)

    def tls_refused(self) -> None:
        """TLS is required, and refused for the moment, in whatever words: the mail waits, and is not returned (T59)"""
        replies = [b"502 5.5.1 what?\r\n", b"454 4.7.0 not now\r\n", b"554 5.7.0 never\r\n"]
        liar = self.exchanger("moody.must.test", *({"STARTTLS": reply} for reply in replies), certificate=self.secret)
        self.arrives(liar, "kim@moody.must.test", self.sent("moody", "kim@moody.must.test"))
        for n in range(len(replies)):
            assert commands(liar, n) in ([b"EHLO", b"STARTTLS"], [b"EHLO", b"STARTTLS", b"QUIT"]), liar.calls[n]
        assert liar.calls[len(replies)].tls_from == 2, liar.calls

    def next_has_tls(self) -> None:
        """TLS is required, and the first exchanger has none: the second one has, and gets it (T59)"""
        first, second = self.liar(), self.liar(certificate=self.secret)
        self.names.zone |= {"two.must.test": {"MX": ["10 mx1.two.must.test", "20 mx2.two.must.test"]},
                            "mx1.two.must.test": {"A": [first[1]]}, "mx2.two.must.test": {"A": [second[1]]}}
        self.arrives(second[0], "kim@two.must.test", self.sent("two", "kim@two.must.test"))
        assert b"MAIL" not in commands(first[0], 0) and not first[0].taken, first[0].calls
        assert second[0].calls[0].tls_from == 2, second[0].calls

    # ---- DNS ----

    def no_answer(self) -> None:
        """name servers that fail, refuse or are silent: the mail waits, and nobody hears that it failed (T55)"""
        liar, at = self.liar()
        for wrong in SILENCES:
            self.names.zone |= zone_of(f"{wrong}.test", at=at)
            self.names.zone[f"{wrong}.test"]["wrong"] = {"MX": wrong}
        self.names.zone["smart.test"] = {"A": [at], "wrong": {"A": "servfail", "AAAA": "servfail"}}
        domains = [f"{wrong}.test" for wrong in SILENCES] + ["via.test"]
        sent = [self.sent(domain, f"kim@{domain}") for domain in domains]
        for domain in domains:
            item = self.a.waits(1, "--domain", domain)
            assert item["code"] == 451 and item["text"].startswith("4.4.3 "), item
        assert not liar.calls and not self.a.take(self.a.users[0])
        for domain in [f"{wrong}.test" for wrong in SILENCES] + ["smart.test"]:
            del self.names.zone[domain]["wrong"]
        self.a.does("retry", "--all")
        self.a.emptied()
        arrived = {taken.to[0].decode(): taken.octets for taken in liar.taken}
        assert len(liar.taken) == len(arrived) == len(domains), liar.taken
        assert all(arrived[f"kim@{domain}"].endswith(octets) for domain, octets in zip(domains, sent)), arrived
        assert not self.a.take(self.a.users[0])

    def no_domain(self) -> None:
        """that there is no such domain is an answer: the sender hears of it (T55)"""
        self.sent("no domain", "kim@nowhere.test")
        (notice,) = self.a.arrived()
        self.over("nowhere.test")
        assert b"\r\nStatus: 5.1.2\r\n" in notice, notice

    def no_exchanger(self) -> None:
        """a domain without MX and with an A or AAAA record is its own exchanger (T56)"""
        liar, at = self.liar()
        self.names.zone["onlya.test"] = {"A": [at]}
        self.arrives(liar, "kim@onlya.test", self.sent("only A", "kim@onlya.test"))
        liar, _ = self.liar(host="::1")
        self.names.zone["onlyaaaa.test"] = {"AAAA": ["::1"]}
        self.arrives(liar, "kim@onlyaaaa.test", self.sent("only AAAA", "kim@onlyaaaa.test"))

    def unusable(self) -> None:
        """MX records that lead nowhere are no reason to ask for the domain's own address (T56)"""
        liar, at = self.liar()
        self.names.zone["unusable.test"] = {"MX": ["10 gone.unusable.test"], "A": [at]}
        self.sent("unusable", "kim@unusable.test")
        (notice,) = self.a.arrived()
        self.over("unusable.test")
        assert b"\r\nStatus: 5.4.4\r\n" in notice and not liar.calls, notice

    def ours(self) -> None:
        """the best exchanger has an address of ours: it would come back, and the sender hears of it (RFC 5321 section 5.1)"""
        ours, worse = Liar(host=OURS, port=self.port), self.exchanger("worse.test")
        self.liars.append(ours)
        self.names.zone |= {"ours.test": {"MX": ["10 other-name.test", "20 mx.worse.test"]}, "other-name.test": {"CNAME": "we.test"},
                            "we.test": {"A": [OURS]}}
        self.sent("ours", "kim@ours.test")
        (notice,) = self.a.arrived()
        self.over("ours.test")
        assert b"\r\nStatus: 5.4.6\r\n" in notice and not ours.calls and not worse.calls, notice
        until("the log", lambda: "554 5.4.6 mail for ours.test would come back to us" in self.a.log())

    # ---- Many ----

    def many(self) -> None:
        """many for one that is down: few connections, also over a restart; others are served; one success frees all (T61)"""
        down, other, slow = self.exchanger("down.test"), self.exchanger("other.test"), self.slow
        down.always = {"greeting": DOWN}
        with slow.client() as client:
            for n in range(MANY):
                client.sendmail(slow.users[0], [f"kim{n}@down.test"], message(f"many {n}", BODY, slow.users[0]))
        until("a try", lambda: any(item["tries"] for item in slow.queued()))
        slow.send(message("other", BODY, slow.users[0]), "kim@other.test")
        until("what is for another", lambda: other.taken)
        before = {item["queue"]: item for item in slow.queued() if item["tries"]}
        assert 1 <= len(down.calls) <= AT_FIRST and 1 <= len(before) <= AT_FIRST, (down.calls, before)
        slow.end()
        calls = len(down.calls)
        slow.start()
        after = {item["queue"]: item for item in slow.queued()}
        assert len(after) == MANY and all(after[n]["due_us"] == before[n]["due_us"] for n in before), (before, after)
        until("a try behind the restart", lambda: len(down.calls) > calls)
        assert len(down.calls) <= 2 * AT_FIRST, down.calls
        down.always = {}
        slow.does("retry", str(min(after)))
        slow.emptied()
        assert sorted(taken.to[0] for taken in down.taken) == sorted(b"kim%d@down.test" % n for n in range(MANY))
        assert down.open_most <= AT_ONCE, down.open_most
        assert not slow.take(slow.users[0])


def main() -> None:
    run_with_names(Tap(), Traps)


if __name__ == "__main__":
    main()
