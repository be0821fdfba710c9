"""A whole mailbox read by FETCH BODY.PEEK[], in the clear."""
import imaplib
from typing import Iterator

from peers.beside import Bench, Limit
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.server import DOMAIN, PASSWORD
from peers.table import Row, Target
from tree import HERE

DISTINCT = 2000
AT_ONCE = 50000
used = [200]  # users below are those of other measures


def fill(bench: Bench, servers: list, count: int, octets: int, distinct: int = DISTINCT) -> str:
    """A mailbox of a user who had nothing; who that is.  The first message comes alone: to Dovecot a mailbox that two
    make at once "already exists".  Messages beyond so many are copies of these."""
    user, distinct = f"u{used[0]}@{DOMAIN}", min(count, distinct)
    used[0] += 1
    for server in servers:
        bench.load(server, "lmtp", count=1, octets=octets, user=user)
        bench.load(server, "lmtp", count=distinct - 1, octets=octets, user=user, connections=min(8, distinct - 1), seed=2)
        if count > distinct:
            copy(server, user, distinct, count)
    return user


def copy(server: object, user: str, there: int, count: int) -> None:
    """By IMAP, until there are so many."""
    with imaplib.IMAP4(HERE, server.ports["imap"]) as imap:
        imap.login(user, PASSWORD)
        imap.select("INBOX")
        while there < count:
            n = min(there, count - there, AT_ONCE)
            said, why = imap.copy(f"1:{n}", "INBOX")
            assert said == "OK", why
            there += n


def streams(bench: Bench, octets: int, way: str) -> float:
    """MB a second over loopback: of a message in memory in the slices that a server sends, or of a file."""
    said = bench.limits(only="streams", octets=octets)
    return next(value for name, value in said.items() if name.startswith(f"{way}_of_"))


def mb(values: dict[str, list[float]], octets: int) -> dict[str, list[float]]:
    """MB a second, from messages a second."""
    return {name: [rate * octets / 1e6 for rate in rates] for name, rates in values.items()}


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for octets, count, size in ((20480, 10000, "20 KiB"), (1 << 20, 300, "1 MiB")):
            count = bench.count(20, count)
            user = fill(bench, servers, count, octets, distinct=count)

            def once(server: object, n: int) -> float:
                return bench.load(server, "fetch", user=user, items="BODY.PEEK[]", set="1:*", count=n).rate

            limits = [Limit("write", lambda: streams(bench, octets, "write")),
                      Limit("sendfile", lambda: streams(bench, octets, "sendfile")),
                      Limit("pread and writev", lambda: streams(bench, octets, "copy"))]
            values = bench.again(servers, once, count, limits)
            beside = {limit.name: values.pop(limit.name) for limit in limits}
            yield Row(f"messages of {size}", "MB a second", mb(values, octets), limits=beside, targets=[Target(0.8, ["write"])])
