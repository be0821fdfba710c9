"""A whole mailbox read by FETCH BODY.PEEK[], in the clear."""
from typing import Iterator

from peers.beside import Bench, Limit
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd
from peers.server import DOMAIN
from peers.table import Row, Target

used = [200]  # users below are those of other measures


def fill(bench: Bench, servers: list, count: int, octets: int) -> str:
    """A mailbox of a user who had nothing; who that is.  The first message comes alone: to Dovecot a mailbox that two
    make at once "already exists"."""
    user = f"u{used[0]}@{DOMAIN}"
    used[0] += 1
    for server in servers:
        bench.load(server, "lmtp", count=1, octets=octets, user=user)
        bench.load(server, "lmtp", count=count - 1, octets=octets, user=user, connections=min(32, count - 1), seed=2)
    return user


def streams(bench: Bench, octets: int, way: str) -> float:
    """MB a second over loopback: of a message in memory in the slices that a server sends, or of a file."""
    said = bench.limits(only="streams", octets=octets)
    return next(value for name, value in said.items() if name.startswith(f"{way}_of_"))


def run(bench: Bench) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        for octets, count, size in ((20480, 10000, "20 KiB"), (1 << 20, 300, "1 MiB")):
            user = fill(bench, servers, bench.count(20, count), octets)

            def once(server: object) -> float:
                said = bench.load(server, "fetch", user=user, items="BODY.PEEK[]", set="1:*")
                return said.octets / said.seconds / 1e6

            once(servers[0]), once(servers[1])
            limits = [Limit("write", lambda: streams(bench, octets, "write")),
                      Limit("sendfile", lambda: streams(bench, octets, "sendfile"))]
            values = bench.alternately([*servers, *limits], once)
            yield Row(f"messages of {size}", "MB a second", values, limits={limit.name: values.pop(limit.name) for limit in limits},
                      targets=[Target(0.8, ["write"])])
