"""The store over SQLite (examples/sqlite_store.py) by the conformance kit: whole, on its thread and without one; and
that the kit finds it when it lies."""
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "bindings/python/examples"))

import tap
from mailsrv import Store, c, kit, logins
from sqlite_inbox import SqliteInbox
from sqlite_store import SqliteStore

ACCOUNTS = [kit.Account("pat@here.test", "pat", "secret"), kit.Account("kim@here.test", "kim", "hush")]
INBOX = (c.MAILSRV_KIT_RECEIVE | c.MAILSRV_KIT_POP3 | c.MAILSRV_KIT_ATOMIC | c.MAILSRV_KIT_IMPORT |
         c.MAILSRV_KIT_READS_STAGED | c.MAILSRV_KIT_LOCKS | c.MAILSRV_KIT_STRUCTURE)
WHOLE = INBOX | c.MAILSRV_KIT_QUEUE | c.MAILSRV_KIT_IMAP | c.MAILSRV_KIT_MOVE
OCTETS_MAX = 4 << 20
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nobody pulls the plug here


class Setup:
    """In a directory, with a password check that is a function."""

    def __init__(self, where: Path, accounts: list[bytes] | None = None):
        super().__init__(where / "mail", octets_max=OCTETS_MAX)
        self.where = where
        self.accounts = accounts or [self.add_account(account.address) for account in ACCOUNTS]

    def bind(self, engine):
        super().bind(engine)
        engine.bind(logins(self.check))

    async def check(self, user, password):
        for account, (_, name, secret) in zip(self.accounts, ACCOUNTS):
            if (user, password) == (name, secret.encode()):
                return account
        return None


class Kept(Setup, SqliteStore):
    pass


class KeptInbox(Setup, SqliteInbox):
    pass


class AtOnce(Kept):
    """On the thread of the loop."""

    def handler(self, method):
        return Store.handler(self, method)


def after(name: str, lie) -> dict:
    """The method, with lie(self, op, answer) behind it."""
    honest = getattr(SqliteStore, name)
    return {name: lambda self, op: lie(self, op, honest(self, op))}


def uids_come_again(self, op, answer):
    self.db.execute("UPDATE mailbox SET uidnext = 1 + coalesce((SELECT max(uid) FROM message WHERE mailbox = id), 0)")
    return answer


def forgets_what_vanished(self, op, answer):
    self.db.execute("DELETE FROM vanished")
    return answer


def takes_back(self, op, answer):
    """Acknowledged, and not kept."""
    self.db.execute("DELETE FROM message WHERE modseq = ?", (answer["results"][0].get("modseq", 0),))
    return answer


def whatever_the_modseq(self, op):
    op.arg.unchanged_since = 2**64 - 1
    return SqliteStore.flags(self, op)


def one_uidvalidity(self, account, name, mailbox, unix_us, modseq):
    SqliteStore.give_name(self, account, name, mailbox, unix_us, modseq)
    self.db.execute("UPDATE mailbox SET uidvalidity = 7")


def number_comes_again(self, op, answer):
    self.db.execute("DELETE FROM sqlite_sequence WHERE name = 'queue'")
    return answer


def keeps_its_time(self, op):
    op.arg.due_us, op.arg.lane = self.one("SELECT due_us, lane FROM queue WHERE number = ?", op.arg.queue)
    return SqliteStore.queue_update(self, op)


def place_counts(self, op):
    """Pages by how many came before."""
    arg, done = op.arg, int.from_bytes(op.arg.cursor, "big")
    arg.cursor, arg.limit, limit = bytes(32), 500, arg.limit
    items = SqliteStore.queue_scan(self, op)["items"][done:]
    return {"items": items[:limit], "more": int(len(items) > limit), "next": (done + limit).to_bytes(32, "big")}


def loses_an_octet(self, op):
    op.arg.octets = op.arg.octets[:-1] + b"?"
    return SqliteStore.body_write(self, op)


def numbers_stay(self, messages, dictionary, to, *more):
    """Keywords by their numbers, as if all mailboxes had one dictionary."""
    return SqliteStore.put(self, messages, self.dictionary(to["id"]), to, *more)


LIES = {
    "a UID is given once": after("expunge", uids_come_again),
    "every target has its result": after("body_commit", lambda self, op, answer: {"results": answer["results"][1:]}),
    "what was acknowledged survives": after("body_commit", takes_back),
    "a page that is cut has a cursor": after("rows", lambda self, op, answer: {"rows": answer["rows"]}),
    "only_deleted spares the others": {"expunge": lambda self, op: setattr(op.arg, "only_deleted", 0)
                                       or SqliteStore.expunge(self, op)},
    "no handle is left open": {"mbox_close": lambda self, op: None},
    "CHANGES tells what vanished, or its horizon": after("expunge", forgets_what_vanished),
    "unchanged_since is obeyed": {"flags": whatever_the_modseq},
    "a commit gives the whole message": {"body_write": loses_an_octet},
    "a name bears ascending UIDVALIDITYs": {"give_name": one_uidvalidity},
    "COPY translates keywords": {"put": numbers_stay},
    "MOVE moves, in one change": {"move": SqliteStore.copy},
    "queue numbers are not given again": after("queue_delete", number_comes_again),
    "an update moves an item to another time and lane": {"queue_update": keeps_its_time},
    "pages by time go on while items come and go": {"queue_scan": place_counts},
    "deleted items are gone": {"queue_delete": lambda self, op: None},
    "an item of the queue is read": {"piece": lambda self, prefix, body, arg: SqliteStore.piece(self, b"", body, arg)},
}


def crash(store: SqliteInbox) -> SqliteInbox:
    """What it left in its files is all that there is."""
    copy = Path(tempfile.mkdtemp(dir=store.where.parent))
    for file in store.where.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    store.free()
    return type(store)(copy, store.accounts)


class Kit(unittest.TestCase):
    def of(self, kind: type = AtOnce, covers: int = WHOLE, **more) -> dict[str, tuple[str, str]]:
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as where:
            outcomes = kit.run(
                lambda: kind(Path(tempfile.mkdtemp(dir=where))), covers, ACCOUNTS, "nobody@here.test",
                octets_max=OCTETS_MAX, handles=lambda store: len(store.handles), reopen=crash,
                quota=lambda store, account, octets: store.limit(store.accounts[account], octets), **more)
        return {outcome.check: (outcome.outcome, outcome.text) for outcome in outcomes}

    def whole(self, kind: type, covers: int, n: int) -> None:
        """All checks but those of what it does not cover; `n` of them or more."""
        outcomes = self.of(kind, covers)
        failed = {check: text for check, (outcome, text) in outcomes.items() if outcome == "failed"}
        self.assertEqual(failed, {})
        skipped = [check for check, (outcome, _) in outcomes.items() if outcome == "skipped"]
        print(f"# {kind.__name__}: {len(outcomes) - len(skipped)} checks passed, {len(skipped)} skipped", flush=True)
        self.assertGreaterEqual(len(outcomes) - len(skipped), n)

    def test_at_once(self):
        self.whole(AtOnce, WHOLE, len(list(kit.checks())))

    def test_on_its_thread(self):
        self.whole(Kept, WHOLE, len(list(kit.checks())))

    def test_without_what_imap_needs(self):
        self.whole(KeptInbox, INBOX, 60)

    def test_lies_are_found(self):
        """Each by the check that is named for it, which passes the store as it is."""
        for check, lie in LIES.items():
            with self.subTest(check):
                self.assertEqual(self.of(only=check)[check], ("passed", ""))
                liar = type("Liar", (AtOnce,), lie)
                self.assertEqual(self.of(liar, only=check)[check][0], "failed")
        print(f"# {len(LIES)} lies", flush=True)


if __name__ == "__main__":
    tap.main()
