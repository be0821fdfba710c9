"""Messages a second by LMTP, synced before the reply, beside Dovecot's sdbox."""
from typing import Callable, Iterator

from measures.deliver import APPENDS, EVERYBODY, SIZES, USERS, Grouped, straced
from peers.beside import Bench
from peers.dovecot import Dovecot
from peers.mailserverd import Mailserverd, messages
from peers.table import Row, Target


def run(bench: Bench) -> Iterator[Row]:
    yield from both(bench, "lmtp", 8.0)


def both(bench: Bench, mode: str, ratio: float) -> Iterator[Row]:
    with bench.running(Mailserverd, Dovecot) as servers:
        taken = {}
        for server in servers:  # mailboxes are made one after the other
            taken[server.name] = bench.load(server, "lmtp", count=USERS, users=USERS).ops
        for octets, size in SIZES.items():
            for connections in (1, 8, 64):
                grouped = Grouped(bench, servers[0], octets, connections)
                once = asked(bench, mode, octets, connections, taken, grouped)
                values = bench.sized(servers, once, 2 * connections, grouped.limits)
                group = grouped.median(bench.rounds)
                syncs = {}
                for server in servers:
                    n = straced(server, connections)
                    syncs[server.name] = bench.syncs(server, lambda: once(server, n), n)
                yield Row(f"{size}, {connections} connection{'s' * (connections > 1)}", "messages a second", values,
                          targets=[Target(ratio if connections > 1 else 1.0, ["Dovecot"])], syncs=syncs, group=group,
                          limits={name: values.pop(name) for name in (APPENDS, EVERYBODY)})
        for server in servers:
            assert messages(server, USERS) == taken[server.name], f"{server.name} has each message that it acknowledged"


def asked(bench: Bench, mode: str, octets: int, connections: int, taken: dict[str, int],
          grouped: Grouped) -> Callable[[object, int], float]:
    def once(server: object, count: int) -> float:
        with grouped.counting(server, count):
            said = bench.load(server, mode, count=count, connections=connections, octets=octets, users=USERS)
        taken[server.name] += said.ops
        return said.rate

    return once
