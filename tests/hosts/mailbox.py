"""What was received, read by the POP3 clients of others."""
import poplib
import subprocess

from host import HANG_S, USERS

TRACE = {b"return-path", b"delivered-to", b"received"}


def login(port: int, user: str = "pat") -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", port, timeout=HANG_S)
    client.user(user)
    client.pass_(USERS[user])
    return client


def count(port: int, user: str = "pat") -> int:
    client = login(port, user)
    try:
        return client.stat()[0]
    finally:
        client.quit()


def read_all(port: int, user: str = "pat") -> list[bytes]:
    """Every message, with its lines ended as on the wire; and each is as long as LIST says."""
    client = login(port, user)
    messages = []
    for line in client.list()[1]:
        number, octets = map(int, line.split())
        _, lines, _ = client.retr(number)
        messages.append(b"".join(line + b"\r\n" for line in lines))
        assert len(messages[-1]) == octets, f"LIST says {octets}, RETR gave {len(messages[-1])}"
    client.quit()
    return messages


def empty(port: int, user: str = "pat") -> int:
    """Deletes all; how many there were."""
    client = login(port, user)
    n = client.stat()[0]
    for number in range(1, n + 1):
        client.dele(number)
    client.quit()
    return n


def read_by_curl(port: int, number: int, user: str = "pat") -> bytes:
    done = subprocess.run(["curl", "-sS", "--user", f"{user}:{USERS[user]}", f"pop3://127.0.0.1:{port}/{number}"],
                          capture_output=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def without_trace(message: bytes) -> bytes:
    """The message as it was sent: what a receiver puts before it (RFC 5321 section 4.4) is taken off, and nothing
    else may stand there."""
    lines = message.split(b"\r\n")
    seen, i = [], 0
    while i < len(lines):
        name = lines[i].split(b":")[0].lower()
        if name not in TRACE or name in seen:
            break
        seen.append(name)
        i += 1
        while lines[i][:1] in (b" ", b"\t"):
            i += 1
    assert b"return-path" in seen and b"received" in seen, seen
    return b"\r\n".join(lines[i:])


def same(got: bytes, sent: bytes) -> None:
    body = without_trace(got)
    if body != sent:
        at = next((i for i, (a, b) in enumerate(zip(body, sent)) if a != b), min(len(body), len(sent)))
        raise AssertionError(f"{len(body)} octets came back, {len(sent)} were sent; they differ at {at}: "
                             f"{body[at:at + 40]!r}, {sent[at:at + 40]!r}")
