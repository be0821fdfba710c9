"""What was received, read by the IMAP clients of others."""
import imaplib
import re
import subprocess
from pathlib import Path

from host import HANG_S, USERS

imaplib._MAXLINE = 10_000_000  # a SEARCH over many is one line


def ok(answer: tuple) -> list:
    status, data = answer
    assert status == "OK", f"{status} {data}"
    return data


def login(port: int, user: str = "pat", select: str | None = "INBOX") -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=HANG_S)
    ok(client.login(user, USERS[user]))
    if select is not None:
        ok(client.select(select))
    return client


def literals(data: list) -> list[bytes]:
    return [part[1] for part in data if isinstance(part, tuple)]


def section(client: imaplib.IMAP4, number: int, what: str) -> bytes:
    """Of one message; one that is empty is a string, not a literal (RFC 9051 section 9, nstring)."""
    data = ok(client.fetch(str(number), f"({what})"))
    if len(data) == 1 and data[0].endswith(b' "")'):
        return b""
    (octets,) = literals(data)
    return octets


def read_all(port: int, user: str = "pat") -> list[bytes]:
    """Every message; and each is as long as RFC822.SIZE says, and the same in pieces."""
    client = login(port, user)
    n = int(client.untagged_responses["EXISTS"][-1])
    messages = []
    for number in range(1, n + 1):
        whole = section(client, number, "BODY.PEEK[]")
        size = int(re.search(rb"RFC822\.SIZE (\d+)", ok(client.fetch(str(number), "(RFC822.SIZE)"))[0])[1])
        assert size == len(whole), f"RFC822.SIZE says {size}, BODY[] has {len(whole)}"
        header, text = (section(client, number, f"BODY.PEEK[{part}]") for part in ("HEADER", "TEXT"))
        assert header + text == whole, "BODY[HEADER] and BODY[TEXT] are not BODY[]"
        step = max(1, len(whole) // 3)
        pieces = [section(client, number, f"BODY.PEEK[]<{at}.{step}>") for at in range(0, len(whole), step)]
        assert b"".join(pieces) == whole, "the pieces are not the whole"
        messages.append(whole)
    ok(client.close())
    client.logout()
    return messages


def change_names(port: int, user: str = "pat") -> None:
    """A mailbox is made, listed, subscribed, renamed, looked at and removed, as imaplib understands it."""
    client = login(port, user, select=None)
    ok(client.create("Old/May"))
    ok(client.subscribe("Old/May"))
    ok(client.append("Old/May", None, None, b"Subject: May\r\n\r\ntext\r\n"))
    assert b'(\\HasNoChildren) "/" "Old/May"' in ok(client.list("Old/")), "LIST has no Old/May"
    assert ok(client.lsub("Old/")) == [b'() "/" "Old/May"'], "LSUB is not just Old/May"
    ok(client.unsubscribe("Old/May"))
    ok(client.rename("Old/May", "Old/June"))
    (status,) = ok(client.status("Old/June", "(MESSAGES UNSEEN UIDNEXT)"))
    assert status == b'"Old/June" (MESSAGES 1 UIDNEXT 2 UNSEEN 1)', status
    assert ok(client.namespace()) == [b'(("" "/")) NIL NIL'], "NAMESPACE"
    ok(client.delete("Old/June"))
    assert ok(client.list("Old/")) == [None], "Old/June is still there"
    client.logout()


def read_by_curl(port: int, uid: int, user: str = "pat") -> bytes:
    done = subprocess.run(["curl", "-sS", "--user", f"{user}:{USERS[user]}", f"imap://127.0.0.1:{port}/INBOX;UID={uid}"],
                          capture_output=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def without_mark(message: bytes) -> bytes:
    return re.sub(rb"^X-TUID: [^\r]*\r\n", b"", message, count=1, flags=re.M)


class Maildir:
    """A Maildir that mbsync keeps like the INBOX of an account."""

    def __init__(self, where: Path, port: int, user: str = "pat"):
        self.where, self.inbox = where, where / "near" / "INBOX"
        (where / "near").mkdir(parents=True)
        self.config = where / "mbsyncrc"
        self.config.write_text(f"""
IMAPAccount account
Host 127.0.0.1
Port {port}
User {user}
Pass {USERS[user]}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account account

MaildirStore near
Path {where}/near/
Inbox {self.inbox}

Channel inbox
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync All
Expunge Both
SyncState *
CopyArrivalDate yes
""")

    def sync(self) -> str:
        done = subprocess.run(["mbsync", "-c", self.config, "-a", "-V"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=HANG_S, env={
                                  "HOME": str(self.where), "PATH": "/usr/bin:/bin"})
        assert done.returncode == 0, f"mbsync ended with {done.returncode}: {done.stdout}"
        return done.stdout

    def files(self) -> list[Path]:
        return sorted([*(self.inbox / "cur").iterdir(), *(self.inbox / "new").iterdir()],
                      key=lambda path: int(re.search(r",U=(\d+)", path.name)[1]))

    def messages(self) -> list[bytes]:
        """In a Maildir lines end as the system's do, and mbsync has added a mark of its own."""
        return [without_mark(path.read_bytes().replace(b"\n", b"\r\n")) for path in self.files()]
