"""Where the mail of a relay goes: bench-sink, on as many loopback addresses as there are destinations, each at the same
port; and what has come there."""
import socket
import subprocess
import time
from dataclasses import dataclass

from host import HANG_S
from peers.beside import LOAD
from peers.group import Group
from tree import free_port, until

QUIET_S = 60  # nothing comes any more


@dataclass
class Came:
    messages: int
    recipients: int
    octets: int
    connections: int
    last_us: int


class Hops:
    """The first `silent` of a second row take connections and say nothing."""

    def __init__(self, addresses: int, silent: int = 0):
        self.group = Group("hops")
        self.port = free_port()
        self.argv = [LOAD.parent / "bench-sink", f"port={self.port}", f"addresses={addresses}", f"silent={silent}"]

    def __enter__(self) -> "Hops":
        self.process = subprocess.Popen([*self.group.enter(), *self.argv])
        until("the next hops", self.listens)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(HANG_S)
        self.group.end()

    def listens(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.1.1", self.port)) == 0

    def came(self) -> Came:
        with socket.create_connection(("127.0.1.1", self.port), HANG_S) as s, s.makefile("rw", newline="") as said:
            said.readline()
            said.write("XCOUNT\r\n")
            said.flush()
            return Came(*map(int, said.readline().split()[1:]))

    def wait(self, messages: int) -> Came:
        """Until so many have come in all; a message that comes twice would end it too early, so that they are counted
        again by who waits for the end of the queue."""
        came, changed = self.came(), time.monotonic()
        while came.messages < messages:
            assert time.monotonic() - changed < QUIET_S, f"{came.messages} messages came, not {messages}"
            time.sleep(0.02)
            before, came = came, self.came()
            if came.messages != before.messages:
                changed = time.monotonic()
        return came
