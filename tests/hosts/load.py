"""Sessions that write and read until the server is gone, and put down in ledgers what it acknowledged."""
import imaplib
import itertools
import poplib
import random
import re
import smtplib

import clients
import generator
import imap
import mailbox
from host import HANG_S

LEAST = 30  # messages that an account keeps, so that there is something to change
GONE = (OSError, EOFError, imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected)
numbers = itertools.count(1)


def sessions(ports: dict[str, int], ledgers: dict, rng: random.Random) -> list:
    seeds = iter(lambda: random.Random(rng.random()), None)
    senders = [Sender(ports, ledgers, next(seeds)) for _ in range(3)]
    changer, fetcher = (kind(ports, {user: ledgers[user]}, next(seeds)) for kind, user in ((Changer, "pat"),
                                                                                          (Fetcher, "kim")))
    return [*senders, changer, fetcher]


class Session:
    def __init__(self, ports: dict[str, int], ledgers: dict, rng: random.Random):
        self.ports, self.ledgers, self.rng = ports, ledgers, rng
        self.acknowledged = 0
        self.wrong: str | None = None

    def run(self) -> None:
        try:
            while True:
                self.work()
        except GONE:
            pass  # it was killed
        except poplib.error_proto as error:
            if b"EOF" not in str(error).encode() and "closed" not in str(error):
                self.wrong = repr(error)
        except Exception as error:
            self.wrong = repr(error)

    def text(self) -> tuple[str, bytes]:
        mark = f"k{next(numbers)}"
        message = generator.message(mark, self.rng)
        if self.rng.random() < 0.05:
            message += b"a long line, and many of them\r\n" * 10000  # a body that has a file of its own
        return mark, message


class Sender(Session):
    """Messages by SMTP, to one or both."""

    def work(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="load.remote.test", timeout=HANG_S) as client:
            for _ in range(self.rng.randrange(1, 20)):
                mark, message = self.text()
                to = self.rng.choice([["pat"], ["kim"], ["pat", "kim"]])
                begun = [(self.ledgers[user], self.ledgers[user].add(mark, message)) for user in to]
                refused = client.sendmail(clients.SENDER, [f"{user}@here.test" for user in to], message)
                assert not refused, refused
                for ledger, one in begun:
                    ledger.acknowledged(one)
                self.acknowledged += 1


class Changer(Session):
    """Flags, expunges, appends by IMAP."""

    def work(self) -> None:
        (user, self.ledger), = self.ledgers.items()
        client = imap.login(self.ports["imap"], user)
        for _ in range(self.rng.randrange(5, 60)):
            what = self.rng.choice([self.store, self.store, self.store, self.expunge, self.append, self.read])
            what(client)
        client.logout()

    def some(self, n: int) -> list:
        there = self.ledger.present()
        return self.rng.sample(there, min(n, len(there)))

    def store(self, client) -> None:
        chosen, word = self.some(self.rng.randrange(1, 6)), self.rng.choice(["\\Flagged", "\\Answered", "Label"])
        if not chosen:
            return
        adds = self.rng.random() < 0.6
        for one in chosen:
            (now,) = one.flags
            one.flags = [now, now | {word} if adds else now - {word}]
        uids = ",".join(str(one.uid) for one in chosen)
        imap.ok(client.uid("STORE", uids, "+FLAGS" if adds else "-FLAGS", f"({word})"))
        for one in chosen:
            one.flags = one.flags[1:]
        self.acknowledged += 1

    def expunge(self, client) -> None:
        if len(self.ledger.present()) < LEAST:
            return
        chosen = self.some(self.rng.randrange(1, 12))
        uids = ",".join(str(one.uid) for one in chosen)
        for one in chosen:
            (now,) = one.flags
            one.flags = [now, now | {"\\Deleted"}]
        imap.ok(client.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)"))
        for one in chosen:
            one.flags, one.gone = one.flags[1:], "maybe"
        imap.ok(client.uid("EXPUNGE", uids))
        for one in chosen:
            one.gone = "yes"
        self.acknowledged += 2

    def append(self, client) -> None:
        mark, message = self.text()
        one = self.ledger.add(mark, message, is_ours=True)
        one.flags = [frozenset({"\\Draft", "Mine"})]
        said = imap.ok(client.append("INBOX", "(\\Draft Mine)", None, message))
        uid = int(re.search(rb"APPENDUID \d+ (\d+)", said[0])[1])
        self.ledger.acknowledged(one, uid)
        self.acknowledged += 1

    def read(self, client) -> None:
        for one in self.some(3):
            (whole,) = imap.literals(imap.ok(client.uid("FETCH", str(one.uid), "(BODY.PEEK[])")))
            self.ledger.same(one, whole)


class Fetcher(Session):
    """Reads all by POP3 and deletes some; QUIT makes it so."""

    def work(self) -> None:
        (user, ledger), = self.ledgers.items()
        client = mailbox.login(self.ports["pop3"], user)
        deletes = []
        for number in range(1, client.stat()[0] + 1):
            if number > LEAST and self.rng.random() < 0.5:
                whole = b"".join(line + b"\r\n" for line in client.retr(number)[1])
                one = ledger.messages[generator.mark_of(whole)]
                ledger.same(one, whole)
                client.dele(number)
                deletes.append(one)
        for one in deletes:
            one.certain, one.gone = True, "maybe"
        client.quit()
        for one in deletes:
            one.gone = "yes"
        self.acknowledged += len(deletes) > 0
