"""What one account must hold, from what was acknowledged: the model of killed.py."""
import re
import threading
from dataclasses import dataclass, field

import generator
import imap
import mailbox


@dataclass
class Message:
    mark: str
    text: bytes
    is_ours: bool  # appended, not delivered: nothing stands before it
    certain: bool = False  # it was acknowledged
    gone: str = "no"  # "maybe": to be deleted, and nobody knows; "yes"
    flags: list = field(default_factory=lambda: [frozenset()])  # it has one of these sets
    uid: int = 0  # 0: not seen yet
    uidl: bytes = b""


class Ledger:
    def __init__(self, user: str):
        self.user = user
        self.lock = threading.Lock()
        self.messages: dict[str, Message] = {}
        self.uids: dict[int, str] = {}  # ever seen, and whose they were
        self.uidls: dict[bytes, str] = {}
        self.uidvalidity = 0
        self.uidnext = 1

    # ---- What the load does ----

    def add(self, mark: str, text: bytes, is_ours: bool = False) -> Message:
        """Begun: it may be there from now on."""
        message = Message(mark, text, is_ours)
        with self.lock:
            self.messages[mark] = message
        return message

    def acknowledged(self, message: Message, uid: int = 0) -> None:
        with self.lock:
            message.certain = True
            if uid:
                self.see(message, uid)

    def see(self, message: Message, uid: int) -> None:
        was = self.uids.setdefault(uid, message.mark)
        assert was == message.mark, f"UID {uid} was {was}'s, and is {message.mark}'s"
        assert message.uid in (0, uid), f"{message.mark} had UID {message.uid}, and has {uid}"
        message.uid = uid
        self.uidnext = max(self.uidnext, uid + 1)

    def present(self) -> list[Message]:
        """Those that have a UID and that nobody deletes."""
        with self.lock:
            return [m for m in self.messages.values() if m.uid and m.gone == "no"]

    # ---- What is there ----

    def compare(self, ports: dict[str, int]) -> None:
        """Nobody else is connected.  What was not known is known afterwards."""
        found = self.look(ports["imap"])
        for mark, message in list(self.messages.items()):
            if message.gone == "yes":
                assert mark not in found, f"{mark} was acknowledged as gone, and is there"
            elif mark in found:
                message.gone, message.certain = "no", True
            else:
                lost = message.certain and message.gone == "no"
                assert not lost, f"{mark} of {self.user} was acknowledged, and is not there"
                message.gone = "yes"
        self.compare_uidls(ports["pop3"])

    def look(self, port: int) -> set[str]:
        client = imap.login(port, self.user)
        n = int(client.untagged_responses["EXISTS"][-1])
        self.numbers(client)
        found, before = set(), 0
        data = imap.ok(client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")) if n else []
        for head, whole in (part for part in data if isinstance(part, tuple)):
            mark = generator.mark_of(whole)
            assert mark in self.messages, f"nobody sent {mark}"
            assert mark not in found, f"{mark} is there twice"
            found.add(mark)
            message, uid = self.messages[mark], int(re.search(rb"UID (\d+)", head)[1])
            assert uid > before, f"UID {uid} stands behind {before}"
            before = uid
            self.see(message, uid)
            self.same(message, whole)
            self.same_flags(message, head)
        assert len(found) == n, f"{len(found)} of {n} were read"
        client.logout()
        return found

    def numbers(self, client) -> None:
        uidvalidity, uidnext = (int(client.response(name)[1][-1]) for name in ("UIDVALIDITY", "UIDNEXT"))
        assert self.uidvalidity in (0, uidvalidity), f"UIDVALIDITY was {self.uidvalidity}, and is {uidvalidity}"
        assert uidnext >= self.uidnext, f"UIDNEXT went back from {self.uidnext} to {uidnext}"
        self.uidvalidity, self.uidnext = uidvalidity, uidnext

    @staticmethod
    def same(message: Message, whole: bytes) -> None:
        if message.is_ours:
            assert whole == message.text, f"{message.mark} is not what was appended"
        else:
            mailbox.same(whole, message.text)

    @staticmethod
    def same_flags(message: Message, head: bytes) -> None:
        flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", head)[1].decode().split()) - {"\\Recent"}
        assert flags in message.flags, f"{message.mark} has {set(flags)}, and {message.flags} was acknowledged"
        message.flags = [flags]

    def compare_uidls(self, port: int) -> None:
        """In the order of UIDs, as all are there."""
        here = sorted((m for m in self.messages.values() if m.gone == "no"), key=lambda m: m.uid)
        client = mailbox.login(port, self.user)
        uidls = [line.split()[1] for line in client.uidl()[1]]
        client.quit()
        assert len(uidls) == len(here), f"POP3 has {len(uidls)} of {len(here)}"
        for message, uidl in zip(here, uidls):
            was = self.uidls.setdefault(uidl, message.mark)
            assert was == message.mark, f"UIDL {uidl} was {was}'s, and is {message.mark}'s"
            assert message.uidl in (b"", uidl), f"{message.mark} had UIDL {message.uidl}, and has {uidl}"
            message.uidl = uidl
