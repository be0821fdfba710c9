"""A peer that takes mail by SMTP, and does on its first connections what nobody should: it refuses, hangs up, talks
nonsense or too much, comes late.  When it has done all that it is honest, and keeps what it is given."""
import contextlib
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

HELLO = [b"liar.test", b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 50000000"]
OK = b"250 2.0.0 fine\r\n"
GOOD = {"greeting": b"220 liar.test ESMTP\r\n", "HELO": OK, "MAIL": OK, "RCPT": OK, "DATA": b"354 go on\r\n", "dot": OK,
        "RSET": OK, "NOOP": OK, "QUIT": b"221 2.0.0 bye\r\n", "STARTTLS": b"220 2.0.0 go\r\n"}
STAGES = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"]
HANGS_UP = b""
LATE_S = 1


def late(reply: bytes):
    """A deed: what is said comes late."""
    def say(peer: socket.socket) -> None:
        time.sleep(LATE_S)
        peer.sendall(reply)
    return say


class Silence:
    """A deed: perhaps something is said, and then nothing any more, nor is anything read, until it is broken."""

    def __init__(self, said: bytes = b""):
        self.said, self.began, self.broken = said, threading.Event(), threading.Event()

    def __call__(self, peer: socket.socket) -> None:
        peer.sendall(self.said)
        self.began.set()
        self.broken.wait()
        raise ConnectionError


def endless(octets: bytes):
    """A deed: as long as somebody listens."""
    def say(peer: socket.socket) -> bytes:
        while True:
            peer.sendall(octets * 1000)
    return say


def once(reply: bytes, after: bytes):
    """A deed: only the first time."""
    replies = [reply]

    def say(peer: socket.socket) -> bytes:
        said = replies.pop() if replies else after
        peer.sendall(said)
        return said
    return say


def refuse_handshake(peer: socket.socket) -> None:
    """A deed: TLS is agreed to, and an alert is all that comes of it (handshake_failure, RFC 8446 section 6)."""
    peer.sendall(GOOD["STARTTLS"])
    peer.recv(10000)
    peer.sendall(b"\x15\x03\x01\x00\x02\x02\x28")
    raise ConnectionError


def hello(*more: bytes) -> bytes:
    words = [*HELLO, *more]
    return b"".join(b"250-" + word + b"\r\n" for word in words[:-1]) + b"250 " + words[-1] + b"\r\n"


@dataclass
class Taken:
    sender: bytes
    to: list[bytes]
    octets: bytes
    run: int


@dataclass
class Call:
    """A connection: its commands as they were said, and whether they came under TLS."""
    run: int = 0
    said: list[bytes] = field(default_factory=list)
    is_over: bool = False
    tls_from: int | None = None  # the first command that did


class Liar:
    """`deeds`: for each connection to come what is said at which stage: octets, HANGS_UP, or what gets the socket.
    MAIL and RCPT may have some by address.  At "text": so many octets of the message are read, and it hangs up; "takes": it keeps
    the message whatever it says at "dot".  `always` holds for all connections.

    `run` is who calls, for those who count: of a connection it is what it was before that heard a greeting."""

    def __init__(self, *deeds: dict, host: str = "127.0.0.1", port: int = 0, certificate: tuple | None = None):
        self.deeds, self.always = list(deeds), {}
        self.taken: list[Taken] = []
        self.calls: list[Call] = []
        self.open_now = self.open_most = self.run = 0
        self.lock = threading.Lock()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listener.bind((host, port))
        self.listener.listen(200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # or the one who waits in it does not wake
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer: socket.socket) -> None:
        with self.lock:
            deed, call = self.deeds.pop(0) if self.deeds else {}, Call(self.run)
            self.calls.append(call)
            self.open_now += 1
            self.open_most = max(self.open_most, self.open_now)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            Session(self, peer, deed, call).run()
        with self.lock:
            self.open_now -= 1
        call.is_over = True


def path_of(line: bytes) -> bytes:
    found = re.search(rb":<(.*)>", line)
    return found[1] if found else b""


class Session:
    def __init__(self, liar: Liar, peer: socket.socket, deed: dict, call: Call):
        self.liar, self.own, self.call, self.sender, self.to = liar, deed, call, None, []
        self.begin(peer)
        self.good = {**GOOD, "EHLO": hello(*([b"STARTTLS"] if liar.context else [])), "LHLO": hello()}

    @property
    def deed(self) -> dict:
        """`always` may change while a connection lasts."""
        return {**self.liar.always, **self.own}

    def begin(self, peer: socket.socket) -> None:
        self.peer, self.lines = peer, peer.makefile("rb")

    def run(self) -> None:
        try:
            self.talk()
        finally:
            self.lines.close()
            self.peer.close()

    def talk(self) -> None:
        goes_on = self.say("greeting")
        while goes_on and (line := self.lines.readline()):
            self.call.said.append(line)
            stage = re.match(rb"\w*", line)[0].decode().upper()
            goes_on = self.say(stage, line) and self.then(stage, line)

    def say(self, stage: str, line: bytes = b"") -> bool:
        """Whether it goes on."""
        good = self.good.get(stage, b"500 5.5.1 what?\r\n")
        if (stage == "RCPT" and self.sender is None) or (stage == "DATA" and not self.to):
            good = b"503 5.5.1 not now\r\n"
        found = self.deed.get(stage, good)
        if isinstance(found, dict):  # by address
            found = found.get(path_of(line), good)
        if callable(found):
            self.reply = found(self.peer) or good
        else:
            self.reply = found
            self.peer.sendall(found)
        return self.reply != HANGS_UP

    def then(self, stage: str, line: bytes) -> bool:
        is_fine = self.reply[:1] == b"2"
        if stage in ("MAIL", "RSET", "EHLO", "HELO", "LHLO"):
            self.sender, self.to = path_of(line) if stage == "MAIL" and is_fine else None, []
        elif stage == "RCPT" and is_fine:
            self.to.append(path_of(line))
        elif stage == "DATA" and self.reply[:1] == b"3":
            return self.text()
        elif stage == "STARTTLS" and is_fine and self.reply == GOOD["STARTTLS"]:
            self.lines.close()
            self.begin(self.liar.context.wrap_socket(self.peer, server_side=True))
            self.call.tls_from = len(self.call.said)
        return stage != "QUIT"

    def text(self) -> bool:
        """The message; and its reply."""
        if "text" in self.deed:
            self.lines.read(self.deed["text"])
            return False
        octets = bytearray()
        while (line := self.lines.readline()) != b".\r\n":
            if not line:
                return False
            octets += line[1:] if line.startswith(b".") else line
        taken = Taken(self.sender, self.to, bytes(octets), self.call.run)
        if self.deed.get("takes", "dot" not in self.deed):
            self.liar.taken.append(taken)
        goes_on = self.say("dot")
        return goes_on and not self.deed.get("then hangs up")
