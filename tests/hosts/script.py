"""The script that every host passes.  A host takes mail by SMTP; what it took is read by POP3, from itself or, where it
only receives, from another one over the same directory."""
import contextlib
import re
import time
from collections import Counter

import clients
import generator
import mailbox
from host import HANG_S

MIB = 1 << 20


class Script:
    def __init__(self, tap, name: str, host, reader, counts: dict[str, int]):
        self.tap, self.name, self.host, self.reader, self.counts = tap, name, host, reader, counts
        self.smtp, self.pop3 = host.ports["smtp"], reader.ports["pop3"]
        self.reads_too = host is reader

    def check(self, what: str, check, *args) -> None:
        """One check; what a failed one has left behind is not the next one's."""
        if not self.tap.run(f"{self.name}: {what}", check, *args) and self.host.is_alive():
            with contextlib.suppress(Exception):
                mailbox.empty(self.pop3, "pat")
            with contextlib.suppress(Exception):
                mailbox.empty(self.pop3, "kim")

    def run(self) -> None:
        before = self.sockets_at_rest()
        for client in (clients.swaks, clients.curl, clients.by_smtplib):
            self.check(f"{client.__name__} delivers, poplib and curl read the same octets", self.one_message, client)
        self.check("smtp-source delivers", self.smtp_source, 20, 4)
        self.check("10 MiB go in and come back", self.big)
        self.check("two sessions send at once", self.two_senders)
        self.check("a message in two halves, and a half-close", self.half_close)
        self.check("a peer vanishes in DATA", self.vanishes, False)
        self.check("a peer resets in DATA", self.vanishes, True)
        self.check("a peer that sends and does not read stops nobody", self.deaf_sender)
        if self.reads_too:
            self.check("two users read at once", self.two_readers)
            self.check("a peer that stops reading in RETR stops nobody", self.deaf_reader)
            self.check("a peer vanishes in RETR", self.vanishes_in_retr)
            self.check("what was deleted is gone, what was only marked is not", self.deletes)
        self.check("many messages over many connections: the same marks", self.flood)
        self.check("smtp-source, many messages over many connections", self.smtp_source, self.counts["messages"],
                   self.counts["connections"])
        self.check("every socket is closed again", self.no_leak, before)
        self.check("it ends at SIGTERM, with sessions open", self.end)

    # ---- Sending and reading ----

    def received(self, user: str = "pat") -> list[bytes]:
        messages = mailbox.read_all(self.pop3, user)
        mailbox.empty(self.pop3, user)
        return messages

    def one_message(self, client) -> None:
        sent = clients.text(client.__name__)
        client(self.smtp, sent)
        by_curl = mailbox.read_by_curl(self.pop3, 1)
        (got,) = self.received()
        mailbox.same(got, sent)
        assert by_curl == got, f"curl read {by_curl!r}"

    def smtp_source(self, messages: int, connections: int) -> None:
        clients.by_smtp_source(self.smtp, messages, connections, 1000)
        got = self.received()
        assert len(got) == messages, f"{len(got)} of {messages}"
        sizes = Counter(len(message.split(b"\r\n\r\n", 1)[1]) for message in got)
        assert sizes == {1002: messages}, sizes  # and the end of the last line

    def big(self) -> None:
        sent = clients.text("big", 10 * MIB)
        clients.by_smtplib(self.smtp, sent)
        by_curl = mailbox.read_by_curl(self.pop3, 1)
        (got,) = self.received()
        mailbox.same(got, sent)
        assert by_curl == got, "curl read something else"

    def two_senders(self) -> None:
        texts = {user: clients.text(user) for user in ("pat", "kim")}
        peers = {user: clients.Raw(self.smtp) for user in texts}
        for user, peer in peers.items():
            peer.begin_data(user.encode() + b"@here.test")
        pieces = {user: clients.stuffed(text) + b".\r\n" for user, text in texts.items()}
        for i in range(0, max(map(len, pieces.values())), 10):
            for user, peer in peers.items():
                peer.socket.sendall(pieces[user][i:i + 10])
        for user in ("kim", "pat"):
            assert peers[user].reply().startswith(b"250"), user
            peers[user].ask(b"QUIT", b"221")
            peers[user].close()
        for user, text in texts.items():
            (got,) = self.received(user)
            mailbox.same(got, text)

    def half_close(self) -> None:
        sent = clients.text("half")
        peer = clients.Raw(self.smtp)
        peer.begin_data()
        wire = clients.stuffed(sent) + b".\r\n"
        peer.socket.sendall(wire[:100])
        peer.socket.sendall(wire[100:] + b"NOOP\r\n")
        peer.socket.shutdown(1)  # we have said all, and want to hear the rest
        replies = [peer.reply()[:3], peer.reply()[:3]]
        assert replies == [b"250", b"250"], replies
        rest = peer.file.read()
        assert rest == b"" or rest.startswith(b"4") or rest.startswith(b"2"), rest
        peer.close()
        (got,) = self.received()
        mailbox.same(got, sent)

    # ---- Peers that misbehave ----

    def vanishes(self, by_reset: bool) -> None:
        peer = clients.Raw(self.smtp)
        peer.begin_data()
        peer.socket.sendall(clients.stuffed(clients.text("vanishes", MIB)))
        peer.reset() if by_reset else peer.close()
        self.one_message(clients.by_smtplib)  # it alone is there

    def deaf_sender(self) -> None:
        peer = clients.Raw(self.smtp, receive_buffer=4096)
        peer.ask(b"EHLO deaf.remote.test", b"250")
        peer.socket.setblocking(False)
        sent = self.push(peer, b"NOOP\r\n" * 1000)
        self.one_message(clients.by_smtplib)
        self.big()
        peer.socket.setblocking(True)
        peer.socket.settimeout(HANG_S)
        self.drain(peer, sent)
        peer.close()

    @staticmethod
    def push(peer, block: bytes) -> int:
        """Sends until nothing more is taken, for a while; how many octets went."""
        sent = idle = 0
        while idle < 20 and sent < 64 * MIB:
            try:
                sent += peer.socket.send(block[sent % len(block):])
                idle = 0
            except BlockingIOError:
                idle += 1
                time.sleep(0.01)
        assert sent < 64 * MIB, "it takes everything and reads no reply: nothing slows a peer down"
        return sent

    @staticmethod
    def drain(peer, sent: int) -> None:
        """One reply for each whole line."""
        for _ in range(sent // 6):
            assert peer.reply().startswith(b"250")

    def deaf_reader(self) -> None:
        sent = clients.text("long", 10 * MIB)
        clients.by_smtplib(self.smtp, sent, "kim@here.test")
        peer = clients.Raw(self.pop3, receive_buffer=4096)
        peer.ask(b"USER kim", b"+OK")
        peer.ask(b"PASS hush", b"+OK")
        peer.ask(b"RETR 1", b"+OK")
        self.one_message(clients.by_smtplib)  # others are served while he sleeps
        self.big()
        lines = []
        while (line := peer.file.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        mailbox.same(b"".join(lines), sent)
        peer.ask(b"DELE 1", b"+OK")
        peer.ask(b"QUIT", b"+OK")
        peer.close()

    def vanishes_in_retr(self) -> None:
        sent = clients.text("long", 10 * MIB)
        clients.by_smtplib(self.smtp, sent, "kim@here.test")
        peer = clients.Raw(self.pop3, receive_buffer=4096)
        peer.ask(b"USER kim", b"+OK")
        peer.ask(b"PASS hush", b"+OK")
        peer.ask(b"DELE 1", b"+OK")
        peer.ask(b"RSET", b"+OK")
        peer.ask(b"RETR 1", b"+OK")
        peer.reset()
        self.wait_for_lock("kim")
        (got,) = self.received("kim")
        mailbox.same(got, sent)

    def wait_for_lock(self, user: str) -> None:
        """The maildrop is locked until the host has seen that the peer is gone."""
        for _ in range(HANG_S * 100):
            try:
                return mailbox.login(self.pop3, user).quit()
            except Exception as e:
                if b"IN-USE" not in bytes(str(e), "ascii", "replace"):
                    raise
                time.sleep(0.01)
        raise TimeoutError("the lock stays")

    # ---- POP3 ----

    def two_readers(self) -> None:
        for user in ("pat", "kim"):
            clients.by_smtplib(self.smtp, clients.text(user), f"{user}@here.test")
        logins = {user: mailbox.login(self.pop3, user) for user in ("pat", "kim")}
        for user, client in logins.items():
            got = b"".join(line + b"\r\n" for line in client.retr(1)[1])
            mailbox.same(got, clients.text(user))
        for client in logins.values():
            client.dele(1)
            client.quit()

    def deletes(self) -> None:
        for i in range(3):
            clients.by_smtplib(self.smtp, clients.text(f"number {i}"))
        uidls = {line.split()[1] for line in mailbox.login(self.pop3).uidl()[1]}
        self.wait_for_lock("pat")
        client = mailbox.login(self.pop3)
        client.dele(2)
        client.quit()
        client = mailbox.login(self.pop3)
        client.dele(1)
        client.close()  # without QUIT
        self.wait_for_lock("pat")
        got = self.received()
        assert [clients.text("number 0"), clients.text("number 2")] == [mailbox.without_trace(m) for m in got]
        assert len(uidls) == 3

    # ---- Many ----

    def flood(self) -> None:
        sent = generator.send(self.smtp, "pat@here.test", self.counts["messages"], self.counts["connections"],
                              self.counts["seed"])
        got = self.received()
        assert Counter(map(generator.mark_of, got)) == Counter(sent.keys()), "other marks came back"
        for message in got:
            mailbox.same(message, sent[generator.mark_of(message)])

    # ---- The end ----

    def sockets_at_rest(self) -> int:
        """How many it has open when it has come round and nobody is connected."""
        peer = clients.Raw(self.smtp)
        peer.ask(b"QUIT", b"221")
        assert peer.file.read() == b""
        peer.close()
        with_it, n = self.host.sockets(), 0
        while n < 20 and self.host.sockets() >= with_it:  # it may have closed that one before we looked
            n += 1
            time.sleep(0.01)
        return self.host.sockets()

    def no_leak(self, before: int) -> None:
        for _ in range(HANG_S * 10):
            if self.host.sockets() <= before:
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.host.sockets()} sockets, {before} at the start")

    def end(self) -> None:
        idle, busy = clients.Raw(self.smtp), clients.Raw(self.smtp)
        busy.begin_data()
        busy.socket.sendall(clients.stuffed(clients.text("unfinished", MIB)))
        status = self.host.end()
        said = self.host.said()
        idle.close()
        busy.close()
        assert status == 0, f"it ended with {status}: {said}"
        assert not re.search("Sanitizer|runtime error", said), said
