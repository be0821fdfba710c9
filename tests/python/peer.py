"""A session in memory, and who is at its other end."""
from mailsrv import READ, Engine, Profile, Session

START_US = 1_790_000_000_000_000

MX = Profile("smtp", "mx", hostname="mx.here.test")
POP3 = Profile("pop3", "pop3", hostname="pop.here.test", plain_passwords=1, auth_delay_ms=0)

MESSAGE = b"Subject: hello\r\n\r\nIt is I.\r\n.a line with a dot\r\n"
LETTER = [b"EHLO peer.remote.test", b"MAIL FROM:<ann@remote.test>", b"RCPT TO:<pat@here.test>", b"DATA"]


class Peer:
    def __init__(self, engine: Engine, profile: Profile = MX):
        self.engine = engine
        engine.advance(0, START_US)
        self.session = Session(engine, profile, ("127.0.0.1", 4711))
        self.heard()

    def say(self, *lines: bytes) -> bytes:
        """Says them, each with its end; what the server says to that."""
        octets, fed = b"".join(line + b"\r\n" for line in lines), 0
        heard = b""
        while fed < len(octets) and self.session.wants & READ:
            fed += self.session.feed(octets, fed)
            heard += self.heard()
        assert fed == len(octets), f"only {fed} octets were taken"
        return heard + self.heard()

    def heard(self) -> bytes:
        whole = b""
        while self.engine.turn():
            pass
        while octets := self.session.output():
            self.session.sent(len(octets))
            whole += octets
            self.engine.turn()
        return whole

    def begin(self) -> bytes:
        """Up to DATA: the reply to that."""
        for line in LETTER:
            reply = self.say(line)
        return reply.splitlines()[-1]

    def send(self, message: bytes = MESSAGE) -> bytes:
        """The reply to a whole message."""
        reply = self.begin()
        if not reply.startswith(b"354"):
            return reply
        return self.say(*(b"." + line if line.startswith(b".") else line for line in message.split(b"\r\n")[:-1]), b".")


def end(engine: Engine) -> None:
    """As a host ends: no session, no question is left."""
    for session in list(engine.sessions.values()):
        session.free()
    engine.close()
    while engine.turn():
        pass
    engine.free()


__all__ = ["LETTER", "MESSAGE", "MX", "POP3", "Peer", "end"]
