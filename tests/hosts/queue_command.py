#!/usr/bin/env python3
"""`mailserverd queue` while mail waits: what it lists, and what it does to which; what waits outlives a restart; and only
those in relay-networks have mail relayed.  queue_command.py BUILD"""
import re
import smtplib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dns_server import NameServer
from liar import Liar
from peers import message
from sender import Sender, run_with_names, zone_of
from tap import Tap
from tree import free_port, until

FULL = b'452 4.2.2 "full" \\ for now\r\n'
MANY = 300
AT_ONCE_MAX = 20  # connections to one destination
BODY = b"Hello\r\n"
LINE = re.compile(r"(\d+) (new|waiting|held|failed) (\d+) \S+Z (\S+Z|-) (\d+) <(.*?)> <(.*?)>(?: (\S+): (\d+) (.*))?")


class QueueCommand:
    """x.test and w.test refuse for now, y.test takes all, and so does z.test's other server."""

    def __init__(self, tap: Tap, built: Path, names: NameServer):
        self.tap, port = tap, free_port()
        self.x, self.y = Liar(host="127.0.3.1", port=port), Liar(host="127.0.3.2", port=port)
        self.x.always = {"RCPT": FULL}
        names.zone |= zone_of("x.test", "w.test", at="127.0.3.1") | zone_of("y.test", at="127.0.3.2")
        routes = {"other": {"for": "nobody.test", "host": f"127.0.3.2:{port}"}, "out": {"host": f"mx:{port}"}}
        # a first try, and then none that would come in between
        self.a = Sender(built, "a.test", names.port, routes=routes, queue={"first_retry": "1d", "longest_retry": "1d"},
                        relay_networks="127.9.0.0/16")
        self.pat, self.kim = self.a.users

    def run(self) -> None:
        self.a.start()
        for check in (self.lists, self.filters, self.holds, self.retries, self.drops, self.returns, self.reroutes,
                      self.mistakes, self.orders, self.together, self.relays, self.restarts):
            self.tap.run(check.__doc__, check)
        self.tap.run("it ends", self.a.end)
        self.tap.run("queue list without a server", self.no_server)

    def remove(self) -> None:
        if self.tap.bad:
            print("".join(f"# {line}\n" for line in self.a.log().splitlines()[-40:]), end="")
        self.a.remove()
        for liar in (self.x, self.y):
            liar.close()

    def send(self, name: str, to: str, sender: str | None = None) -> int:
        """The number of what waits now, after a try."""
        before = {item["queue"] for item in self.a.queued()}
        self.a.send(message(name, BODY, sender or self.pat), to, sender=sender or self.pat)
        until("a try", lambda: all(item["tries"] for item in self.a.queued()))
        (number,) = {item["queue"] for item in self.a.queued()} - before
        return number

    def states(self) -> dict[int, str]:
        return {item["queue"]: item["state"] for item in self.a.queued()}

    def lists(self) -> None:
        """list: as text and as JSON"""
        self.first = self.send("first", "kim@x.test")
        (line,) = self.a.server.must("queue").splitlines()
        number, state, octets, due, tries, sender, to, host, code, text = LINE.fullmatch(line).groups()
        (item,) = self.a.queued()
        assert (int(number), state, int(tries)) == (self.first, "waiting", 1) == (item["queue"], item["state"], item["tries"])
        assert (sender, to) == (self.pat, "kim@x.test") == (item["from"], item["to"]), item
        assert (host, int(code)) == ("mx.x.test", 452) == (item["host"], item["code"]), item
        assert text == FULL.decode()[4:].strip() == item["text"] and int(octets) == item["octets"] > len(BODY), item
        assert item["domain"] == "x.test" and item["due_us"] > item["arrived_us"], item

    def filters(self) -> None:
        """list: what is said must fit, all of it"""
        self.second = self.send("second", "lee@x.test", self.kim)
        both = {self.first, self.second}
        for which, wanted in ((["--domain", "x.test"], both), (["--domain", "y.test"], set()),
                              (["--from", self.kim], {self.second}), (["--to", "kim@x.test"], {self.first}),
                              (["--from", self.kim, "--to", "kim@x.test"], set()), (["--held"], set()),
                              (["--from", "<>"], set()), ([str(self.second)], {self.second}),
                              ([str(self.first), str(self.second)], both), (["999999"], set())):
            found = {item["queue"] for item in self.a.queued(*which)}
            assert found == wanted, (which, found)

    def holds(self) -> None:
        """hold, release: what is held is not tried, by retry either"""
        assert self.a.does("hold", "--from", self.kim) == 1
        assert self.states() == {self.first: "waiting", self.second: "held"}, self.states()
        assert {item["queue"] for item in self.a.queued("--held")} == {self.second}
        self.a.does("retry", "--all")
        until("a try", lambda: self.a.queued(str(self.first))[0]["tries"] == 2)
        assert self.a.queued(str(self.second))[0]["tries"] == 1 and self.states()[self.second] == "held"
        assert self.a.does("release", "--held") == 1
        until("a try", lambda: self.a.queued(str(self.second))[0]["tries"] == 2)
        assert self.states()[self.second] == "waiting"

    def retries(self) -> None:
        """retry: what can go goes"""
        self.x.always = {}
        assert self.a.does("retry", str(self.second)) == 1
        until("the one", lambda: [taken.to for taken in self.x.taken] == [[b"lee@x.test"]] or len(self.x.taken) == 2)
        self.a.does("retry", "--all")  # and a first success may have freed the other
        self.a.emptied()
        assert sorted(taken.to for taken in self.x.taken) == [[b"kim@x.test"], [b"lee@x.test"]], self.x.taken
        self.x.always = {"RCPT": FULL}

    def drops(self) -> None:
        """drop: it is gone, and nobody is told"""
        number = self.send("drop", "kim@x.test")
        assert self.a.does("drop", str(number)) == 1
        assert not self.a.queued() and not self.a.take(self.pat)

    def returns(self) -> None:
        """return: its sender is told at once"""
        self.send("return", "kim@x.test", self.kim)
        assert self.a.does("return", "--domain", "x.test") == 1
        (notice,) = self.a.arrived(user=self.kim)
        assert b"Action: failed\r\n" in notice and b"Final-Recipient: rfc822; kim@x.test\r\n" in notice, notice
        self.a.emptied()

    def reroutes(self) -> None:
        """reroute: by another server, and back"""
        number, before = self.send("reroute", "kim@x.test"), len(self.y.taken)
        assert self.a.does("reroute", "other", str(number)) == 1
        self.a.emptied()
        assert [taken.to for taken in self.y.taken[before:]] == [[b"kim@x.test"]], self.y.taken

    def mistakes(self) -> None:
        """what is not said well does nothing, and says why"""
        number = self.send("mistakes", "kim@x.test")
        for words, wanted in ((["hold"], 2), (["drop"], 2), (["retry"], 2), (["reroute", "nosuch", "--all"], 1), (["reroute"], 2),
                              (["reroute", "--all"], 2), (["hold", "--domain"], 2), (["burn", "--all"], 2), (["burn", "x"], 2),
                              (["hold", "-1"], 2), (["hold", "--no", "x"], 2), (["hold", "--domain", ""], 2)):
            status, out, err = self.a.server.does("queue", *words)
            assert status == wanted and not out and err.startswith("mailserverd: "), (words, status, out, err)
            assert words[0] != "burn" or "expected list, hold" in err, err
        assert self.states() == {number: "waiting"}
        self.a.does("drop", "--all")

    def orders(self) -> None:
        """list: all by number; of a domain its own by the time of their next try, and last what has none"""
        first, other, last = (self.send(f"order {to}", to) for to in ("kim@x.test", "kim@w.test", "lee@x.test"))
        assert self.a.does("hold", str(first)) == 1
        for which, wanted in (([], [first, other, last]), (["--domain", "X.Test"], [last, first]),
                              (["--domain", "x.test", "--held"], [first]), (["--domain", "test"], [])):
            found = [item["queue"] for item in self.a.queued(*which)]
            assert found == wanted, (which, found, wanted)
        assert self.a.does("drop", "--domain", "X.Test") == 2 and self.a.does("drop", "--all") == 1

    def together(self) -> None:
        """many commands at once: each is done, and ends"""
        number = self.send("together", "kim@x.test")
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda i: self.a.does(("hold", "release")[i % 2], "--all"), range(48)))
        assert set(done) <= {0, 1} and sum(done[::2]) and abs(sum(done[::2]) - sum(done[1::2])) <= 1, done
        assert self.a.does("drop", str(number)) == 1

    def relays(self) -> None:
        """who is in relay-networks has mail relayed, and nobody else"""
        for source, code in (("127.9.1.2", 250), ("127.8.0.1", 550)):
            with smtplib.SMTP("127.0.0.1", self.a.at["mx"], "client.test", source_address=(source, 0)) as client:
                client.ehlo()
                client.docmd("MAIL FROM:<lee@elsewhere.test>")
                assert client.docmd("RCPT TO:<kim@y.test>")[0] == code, source

    def restarts(self) -> None:
        """a full queue is the same after a restart, its times too; then all of it goes, once, by few connections"""
        self.a.end()
        self.a.start()
        with self.a.client() as client:
            for i in range(MANY):
                client.sendmail(self.pat, ["kim@x.test"], message(f"many {i}", BODY, self.pat))
        until("a try", lambda: any(item["tries"] for item in self.a.queued()))
        until("quiet", lambda: not self.x.open_now)
        before = self.a.queued()
        self.a.end()
        self.a.start()
        self.a.send(message("beside", BODY, self.pat), "kim@y.test")  # nobody waits for the dead one
        until("the other", lambda: any(b"Subject: beside\r\n" in taken.octets for taken in self.y.taken))
        after = self.a.queued("--domain", "x.test")
        assert len(before) == MANY and {item["queue"] for item in after} == {item["queue"] for item in before}
        due = {item["queue"]: item["due_us"] for item in before if item["tries"]}
        assert all(item["due_us"] == due[item["queue"]] for item in after if item["queue"] in due), "other times"
        assert all(item["tries"] >= (item["queue"] in due) for item in after)
        self.x.taken, self.x.always, self.x.open_most = [], {}, 0
        self.a.does("retry", "--all")
        self.a.emptied()
        names = sorted(re.search(rb"Subject: (.*)\r", taken.octets)[1] for taken in self.x.taken)
        assert names == sorted(f"many {i}".encode() for i in range(MANY)), len(names)
        assert self.x.open_most <= AT_ONCE_MAX, self.x.open_most

    def no_server(self) -> None:
        assert self.a.server.must("queue", "list") == ""
        status, out, err = self.a.server.does("queue", "retry", "--all")
        assert status == 1 and not out and "no server runs" in err, (status, out, err)


def main() -> None:
    run_with_names(Tap(), QueueCommand)


if __name__ == "__main__":
    main()
