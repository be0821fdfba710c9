"""What name servers say: a stub resolver for asyncio.  It hands on each reply as it came: who asked reads it."""
import asyncio
import ipaddress
import os
import struct
from pathlib import Path

from .operation import Operation
from .status import Refused, Status

PORT = 53
TIMEOUT_S, TRIES = 3.0, 3  # the first time; each round takes twice as long
CLASS_IN, RECURSION_DESIRED = 1, 0x0100
HEADER, NAME_OCTETS_MAX = 12, 253
NO_ERROR, NO_SUCH_NAME = 0, 3
RESOLV_CONF = Path("/etc/resolv.conf")

Server = tuple[str, int]


class Resolver:
    """A handler of DNS.  `servers`: "127.0.0.1:5353,[::1]:53"; None: those of the system."""

    def __init__(self, servers: str | None = None, *, timeout_s: float = TIMEOUT_S, tries: int = TRIES):
        self.servers = [server_of(word) for word in servers.split(",")] if servers else of_system()
        self.timeout_s, self.tries = timeout_s, tries

    async def __call__(self, op: Operation) -> dict:
        """The first reply that settles it; else the last one, which says what is wrong."""
        question, last = question_of(op.arg.name, op.arg.type), b""
        for attempt in range(self.tries):
            for server in self.servers:
                try:
                    async with asyncio.timeout(self.timeout_s * 2**attempt):
                        reply = await ask(server, question)
                except OSError:  # a time-out is one, too
                    continue
                if reply[3] & 15 in (NO_ERROR, NO_SUCH_NAME):
                    return {"message": reply}
                last = reply
            if last:
                return {"message": last}
        raise Refused(Status.TEMP, "no name server has replied")


def server_of(word: str) -> Server:
    """ValueError: it is no address."""
    word = word.strip()
    if word.startswith("["):
        host, _, port = word[1:].partition("]")
        port = port.removeprefix(":")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    else:
        host, port = word, ""
    ipaddress.ip_address(host)
    return host, int(port or PORT)


def of_system() -> list[Server]:
    """As resolv.conf(5) has them; where it names none, the one of this machine."""
    lines = RESOLV_CONF.read_text().splitlines() if RESOLV_CONF.exists() else []
    words = [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]
    return [(word, PORT) for word in words] or [("127.0.0.1", PORT)]


def question_of(name: bytes, kind: int) -> bytes:
    """Of a message (RFC 1035 section 4.1.2)."""
    labels = name.split(b".") if name else []
    if len(name) > NAME_OCTETS_MAX or not all(0 < len(label) < 64 for label in labels):
        raise Refused(Status.TEMP, "this name cannot be asked for")
    return b"".join(bytes([len(label)]) + label for label in labels) + struct.pack(">BHH", 0, kind, CLASS_IN)


async def ask(server: Server, question: bytes) -> bytes:
    """From a port that is new each time, and with an id that nobody can guess (RFC 5452 section 9)."""
    query = struct.pack(">2sHHHHH", os.urandom(2), RECURSION_DESIRED, 1, 0, 0, 0) + question
    reply = await over_udp(server, query)
    return await over_tcp(server, query) if reply[2] & 2 else reply  # cut off (RFC 7766 section 5)


def is_reply(reply: bytes, query: bytes) -> bool:
    """To this query?  Anything else is somebody else's, or a forger's."""
    return (len(reply) >= len(query) and reply[:2] == query[:2] and reply[2] & 0x80 != 0
            and reply[HEADER:len(query)].lower() == query[HEADER:].lower()) or is_refusal(reply, query)


def is_refusal(reply: bytes, query: bytes) -> bool:
    """Some servers repeat no question when they refuse."""
    return (len(reply) == HEADER and reply[:2] == query[:2] and reply[2] & 0x80 != 0
            and reply[3] & 15 not in (NO_ERROR, NO_SUCH_NAME))


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, query: bytes):
        self.query, self.reply = query, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        transport.sendto(self.query)

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        if is_reply(data, self.query) and not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: OSError) -> None:
        if not self.reply.done():
            self.reply.set_exception(exc)


async def over_udp(server: Server, query: bytes) -> bytes:
    """The socket is connected: the system takes from that server alone."""
    transport, datagrams = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Datagrams(query), remote_addr=server)
    try:
        return await datagrams.reply
    finally:
        transport.close()


async def over_tcp(server: Server, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        octets, = struct.unpack(">H", await reader.readexactly(2))
        reply = await reader.readexactly(octets)
    except asyncio.IncompleteReadError:
        raise ConnectionResetError from None
    finally:
        writer.close()
    if not is_reply(reply, query):
        raise ConnectionAbortedError
    return reply
