"""Many clients of IMAP in one process: each logs in, selects INBOX, idles, and hears what comes."""
import base64
import functools
import hashlib
import hmac
import os
import select
import socket
import ssl
import time

from host import HANG_S

# That are on their way to IDLE; the others wait their turn, or idle.  What many handshakes take at once would be
# counted as the sessions'.
AT_ONCE, AT_ONCE_TLS = 100, 4
PER_ADDRESS = 200  # mailserverd lets no more come from one


@functools.cache
def salted(password: str, salt: str, rounds: int) -> bytes:
    """RFC 5802 section 3, Hi(): slow, and the same for all sessions of a user."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), rounds)


def proof(password: str, first: str, server_first: str) -> str:
    """The last message of a client of SCRAM-SHA-256 (RFC 5802 section 5)."""
    said = dict(field.split("=", 1) for field in server_first.split(","))
    final = f"c=biws,r={said['r']}"
    client_key = hmac.digest(salted(password, said["s"], int(said["i"])), b"Client Key", "sha256")
    stored = hashlib.sha256(client_key).digest()
    signature = hmac.digest(stored, f"{first},{server_first},{final}".encode(), "sha256")
    return f"{final},p={base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()}"


class Peer:
    """One client; `run` says lines and is given what comes, a line at a time."""

    def __init__(self, address: tuple, source: str, user: str, password: str, tls: ssl.SSLContext | None):
        self.user, self.password = user, password
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((source, 0))
        self.socket.settimeout(HANG_S)
        self.socket.connect(address)
        self.handshakes = tls is not None
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost", do_handshake_on_connect=False)
        self.socket.setblocking(False)
        self.got = b""
        self.idles = False
        self.heard: list[bytes] = []  # untagged, since it idles
        self.script = self.run()
        next(self.script)

    def say(self, line: str) -> None:
        octets = line.encode() + b"\r\n"
        assert self.socket.send(octets) == len(octets)

    def run(self):
        assert (yield).startswith(b"* OK")
        first = f"n={self.user},r={os.urandom(12).hex()}"
        self.say(f"1 AUTHENTICATE SCRAM-SHA-256 {base64.b64encode(b'n,,' + first.encode()).decode()}")
        server_first = base64.b64decode((yield)[2:]).decode()
        self.say(base64.b64encode(proof(self.password, first, server_first).encode()).decode())
        assert base64.b64decode((yield)[2:]).startswith(b"v=")
        self.say("")
        yield from self.tagged(b"1")
        self.say("2 SELECT INBOX")
        yield from self.tagged(b"2")
        self.say("3 IDLE")
        assert (yield).startswith(b"+ ")
        self.idles = True
        while (line := (yield)).startswith(b"* "):
            self.heard.append(line)
        assert line.startswith(b"3 OK"), line
        self.idles = False
        yield

    def tagged(self, tag: bytes):
        while (line := (yield)).startswith(b"* "):
            pass
        assert line.startswith(tag + b" OK"), line

    def comes(self) -> None:
        """What there is to read is read and heard."""
        try:
            if self.handshakes:
                self.socket.do_handshake()
                self.handshakes = False
            while octets := self.socket.recv(4096):
                *lines, self.got = (self.got + octets).split(b"\r\n")
                for line in lines:
                    self.script.send(line)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        raise ConnectionError(f"closed; heard {self.heard}")


class Crowd:
    """Peers, in turn of each user, from as many addresses of this machine as they need."""

    def __init__(self, port: int, users: dict[str, str], tls: ssl.SSLContext | None):
        self.address, self.users, self.tls = ("127.0.0.1", port), list(users.items()), tls
        self.at_once = AT_ONCE if tls is None else AT_ONCE_TLS
        self.peers: list[Peer] = []
        self.by_fd: dict[int, Peer] = {}
        self.epoll = select.epoll()

    def begin_one(self) -> None:
        i = len(self.peers)
        k = i // PER_ADDRESS
        peer = Peer(self.address, f"127.0.{1 + k // 250}.{1 + k % 250}", *self.users[i % len(self.users)], self.tls)
        self.peers.append(peer)
        self.by_fd[peer.socket.fileno()] = peer
        self.epoll.register(peer.socket.fileno(), select.EPOLLIN)
        if peer.handshakes:
            peer.comes()

    def round(self) -> None:
        events = self.epoll.poll(HANG_S)
        assert events, "nothing more comes"
        for fd, _ in events:
            self.by_fd[fd].comes()

    def until(self, n_of) -> None:
        while n_of() < len(self.peers):
            self.round()

    def grow(self, n: int) -> None:
        """Until so many idle."""
        idle = len(self.peers)
        while idle < n:
            while len(self.peers) < min(n, idle + self.at_once):
                self.begin_one()
            self.round()
            while idle < len(self.peers) and self.peers[idle].idles:
                idle += 1

    def all_hear(self, line: bytes) -> None:
        """Each hears it, and once."""
        self.until(lambda: sum(line in peer.heard for peer in self.peers))
        assert all(peer.heard.count(line) == 1 for peer in self.peers)

    def all_are_done(self) -> None:
        for peer in self.peers:
            peer.say("DONE")
        self.until(lambda: sum(not peer.idles for peer in self.peers))

    def go(self) -> None:
        for peer in self.peers:
            peer.socket.close()
        self.epoll.close()
