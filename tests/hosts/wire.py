"""A wire between a peer and our server, which stays when the server is started anew: it keeps what is said on it, and
can be held or cut."""
import contextlib
import socket
import threading


class Call:
    """One connection: what each side has said."""

    def __init__(self):
        self.said, self.replied, self.is_cut = bytearray(), bytearray(), False
        self.is_over = threading.Event()


class Wire:
    def __init__(self, path: str | None = None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
        else:
            self.socket = socket.socket()
            self.socket.bind(("127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(50)
        self.to: object = None  # a port, or the path of a local socket; None: nobody is there
        self.calls: list[Call] = []
        self.at, self.when = -1, lambda call: False
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self, at: int, when) -> None:
        """At so many octets of the next call `when` is given it, before they go on; if it says so the call is cut."""
        self.at, self.when = at, when

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer: socket.socket) -> None:
        call = Call()
        self.calls.append(call)
        with peer:
            server = socket.socket(socket.AF_UNIX if isinstance(self.to, str) else socket.AF_INET)
            try:
                server.connect(self.to if isinstance(self.to, str) else ("127.0.0.1", self.to or 1))
            except OSError:  # nobody is there
                call.is_cut = True
                return server.close()
            with server:
                back = threading.Thread(target=self.carry, args=(server, peer, call.replied), daemon=True)
                back.start()
                self.carry(peer, server, call.said, call)
                back.join()
        call.is_over.set()

    def carry(self, source: socket.socket, to: socket.socket, kept: bytearray, call: Call | None = None) -> None:
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                kept += octets
                if call and 0 <= self.at <= len(kept):
                    self.at = -1
                    if self.when(call):
                        call.is_cut = True
                        source.shutdown(socket.SHUT_RDWR)
                        to.shutdown(socket.SHUT_RDWR)
                        return
                to.sendall(octets)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)

    def said(self) -> bytes:
        """What peers have said since the last time."""
        calls, self.calls = self.calls, []
        return b"".join(bytes(call.said) for call in calls)

    def close(self) -> None:
        self.socket.close()
