"""The SMTP clients of others, each delivering one message, and some that misbehave."""
import re
import shutil
import smtplib
import socket
import struct
import subprocess
import tempfile

from host import HANG_S, ROOT

SENDER = "kim@remote.test"


def text(subject: str, octets: int = 0) -> bytes:
    """A message with lines that begin with dots, an empty one, one without an end to be seen, and octets above 127."""
    head = [b"From: <kim@remote.test>", b"To: <pat@here.test>", b"Subject: " + subject.encode(), b"",
            b"Hello,", b"", b".", b"..", b".a line that begins with a dot", b"\xc3\xa4\xff\x80 eight bits", b" ", b""]
    line = b"." + bytes(range(33, 109)) + b"\r\n"
    return b"\r\n".join(head) + line * (octets // len(line))


def run(argv: list, **more) -> str:
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=HANG_S,
                          errors="replace", text=True, **more)
    assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def swaks(port: int, message: bytes, to: str = "pat@here.test", protocol: str = "SMTP") -> None:
    assert message.endswith(b"\r\n")  # the end of the last line is swaks's own
    with_file(message[:-2], ["swaks", "--server", "127.0.0.1", "--port", port, "--from", SENDER, "--to", to,
                             "--protocol", protocol, "--suppress-data", "--data"], "@")


def curl(port: int, message: bytes, to: str = "pat@here.test") -> None:
    with_file(message, ["curl", "-sS", f"smtp://127.0.0.1:{port}/client.remote.test", "--mail-from", SENDER,
                        "--mail-rcpt", to, "--upload-file"])


def with_file(message: bytes, argv: list, before: str = "") -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        run([*argv, before + file.name])


def by_smtplib(port: int, message: bytes, *to: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.remote.test", timeout=HANG_S) as client:
        client.sendmail(SENDER, to or ["pat@here.test"], message, mail_options=["BODY=8BITMIME"])


def smtp_source() -> str | None:
    here = ROOT / "build" / "bin" / "smtp-source"
    return shutil.which("smtp-source") or (str(here) if here.exists() else None)


def by_smtp_source(port: int, messages: int, connections: int, octets: int) -> None:
    run([smtp_source(), "-d", "-s", connections, "-m", messages, "-l", octets, "-f", SENDER, "-t", "pat@here.test",
         f"127.0.0.1:{port}"])


def stuffed(message: bytes) -> bytes:
    """As it goes over the wire, without the end (RFC 5321 section 4.5.2)."""
    return re.sub(rb"(?m)^\.", b"..", message)


class Raw:
    """A peer whose every octet is in our hands."""

    def __init__(self, port: int, receive_buffer: int = 0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(HANG_S)
        self.socket.connect(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def say(self, *lines: bytes) -> None:
        self.socket.sendall(b"".join(line + b"\r\n" for line in lines))

    def reply(self) -> bytes:
        """The last line of the next reply of SMTP, or the next line of POP3."""
        while True:
            line = self.file.readline()
            if not line:
                raise ConnectionError("the host closed")
            if line[3:4] != b"-" or line[:1] in b"-+":
                return line

    def ask(self, line: bytes, expected: bytes) -> bytes:
        self.say(line)
        got = self.reply()
        assert got.startswith(expected), f"{got!r} to {line!r}"
        return got

    def begin_data(self, to: bytes = b"pat@here.test") -> None:
        self.ask(b"EHLO raw.remote.test", b"250")
        self.ask(b"MAIL FROM:<kim@remote.test>", b"250")
        self.ask(b"RCPT TO:<" + to + b">", b"250")
        self.ask(b"DATA", b"354")

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()
